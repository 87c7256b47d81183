"""Edit item: give fields of the item other values."""

from activities.field_changes import CHANGED, FieldChanges, changed_in_words
from activities.registry import ActionContext, ActionGroup, rule_action
from models import item_edit
from models.field_writing import as_sent, refused_by_path
from models.item_type import ItemType


class EditItem(FieldChanges):
    """Fields of the item itself, under its type or under `item`."""


@rule_action(title="Edit item", group=ActionGroup.MANAGE_ITEMS, items=ItemType, results=[CHANGED])
async def edit_item(params: EditItem, context: ActionContext) -> str:
    """Change fields of the item; what they take is what the API takes for them."""
    item = await item_edit.find_whole(context.session, context.item.id, type(context.item))
    sent = as_sent(await params.values(item, context))
    with refused_by_path(item.type):
        titles = await item_edit.edit_item(
            context.session, item, sent, await context.cause_as(params.changed_by)
        )
    context.leave(changed=len(titles))
    return changed_in_words(titles)
