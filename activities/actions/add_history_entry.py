"""Add history entry: write down that something happened, for whoever looks later."""

from pydantic import Field

from activities.registry import ActionContext, ActionGroup, ActionParams, Result, rule_action
from models.fields import FieldKind
from models.history import HistoryKind, about_item
from models.item_type import ItemType
from models.stage_entry import sign
from models.templates import Template
from models.user_choice import UserChoice


class AddHistoryEntry(ActionParams):
    text: Template = Field(title="Text", min_length=1)
    created_by: UserChoice | None = Field(
        default=None, title="Created by", description="Automation, if not chosen."
    )


@rule_action(
    title="Add history entry",
    group=ActionGroup.EMPLOYEE_CONTROL,
    items=ItemType,
    results=[Result("text", "Text", FieldKind.TEXT)],
)
async def add_history_entry(params: AddHistoryEntry, context: ActionContext) -> str:
    """Write an entry of kind Information into the history of the item, not on its timeline."""
    line = about_item(context.item, HistoryKind.INFORMATION, context.render(params.text))
    sign(line, context.cause)
    if params.created_by is not None:
        line.author_id = (await context.user(params.created_by)).id
    context.session.add(line)
    context.leave(text=line.text)
    return "Wrote a history entry."
