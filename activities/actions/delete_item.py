"""Delete item: into the recycle bin with it."""

from activities.registry import ActionContext, ActionGroup, ActionParams, rule_action
from models import recycle_bin
from models.item_type import ItemType


class DeleteItem(ActionParams):
    """Nothing to choose."""


@rule_action(
    title="Delete item",
    group=ActionGroup.CLIENT_BASE,
    items=ItemType,
    warning="Deletes the item; statistics will miss it.",
)
async def delete_item(params: DeleteItem, context: ActionContext) -> str:  # noqa: ARG001
    """Put the item into the recycle bin; its clients stay, what its rules had to do is dropped."""
    await recycle_bin.delete_item(context.session, context.item, context.cause)
    return f"Deleted {context.item.called}."
