"""Notify supervisor: tell the boss, or the employee, that something was not done in time."""

from pydantic import Field

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    UserChoice,
    rule_action,
)
from models.fields import FieldKind
from models.item_type import ItemType
from models.templates import Template


class NotifySupervisor(ActionParams):
    text: Template = Field(title="Text", min_length=1)
    recipients: tuple[UserChoice, ...] = Field(
        default=(UserChoice.supervisor(),),
        min_length=1,
        title="Recipients",
        description="The supervisor of the responsible person, if not chosen.",
    )


@rule_action(
    title="Notify supervisor",
    group=ActionGroup.EMPLOYEE_CONTROL,
    items=ItemType,
    results=[
        Result("recipients", "Recipients", FieldKind.TEXT),
        Result("count", "How many were notified", FieldKind.NUMBER),
    ],
)
async def notify_supervisor(params: NotifySupervisor, context: ActionContext) -> str:
    """Notify the supervisor with a link to the item; with a delay only if it is still there."""
    recipients = await context.users(params.recipients)
    for recipient in recipients:
        text = context.render(params.text, reader=recipient)
        context.notify(recipient, text, sender=context.item.responsible)
    names = ", ".join(recipient.name for recipient in recipients)
    context.leave(recipients=names, count=len(recipients))
    return f"Notified {names}."
