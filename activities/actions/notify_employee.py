"""Notify employee: tell somebody who works here something about the item."""

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


class NotifyEmployee(ActionParams):
    text: Template = Field(title="Text", min_length=1)
    recipients: tuple[UserChoice, ...] = Field(
        default=(UserChoice.of_item(),),
        min_length=1,
        title="Recipients",
        description="The responsible person, if not chosen.",
    )


@rule_action(
    title="Notify employee",
    group=ActionGroup.COMMUNICATION,
    items=ItemType,
    results=[
        Result("recipients", "Recipients", FieldKind.TEXT),
        Result("count", "How many were notified", FieldKind.NUMBER),
    ],
)
async def notify_employee(params: NotifyEmployee, context: ActionContext) -> str:
    """Notify the recipients with a link to the item, each in their language; automation sends it.

    Of a department all who work there are told.
    """
    recipients = await context.users(params.recipients)
    for recipient in recipients:
        context.notify(recipient, context.render(params.text, reader=recipient))
    names = ", ".join(recipient.name for recipient in recipients)
    context.leave(recipients=names, count=len(recipients))
    return f"Notified {names}."
