"""Notify employee: tell somebody who works here something about the item."""

from pydantic import Field

from activities.notices import RESULTS, Notice, notify_all
from activities.registry import ActionContext, ActionGroup, rule_action
from models.item_type import ItemType
from models.user_choice import UserChoice


class NotifyEmployee(Notice):
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
    results=RESULTS,
)
async def notify_employee(params: NotifyEmployee, context: ActionContext) -> str:
    """Notify the recipients with a link to the item, each in their language; automation sends it.

    Of a department all who work there are told.
    """
    return await notify_all(params, params.recipients, context, sender=None)
