"""Notify supervisor: tell the boss, or the employee, that something was not done in time."""

from pydantic import Field

from activities.notices import RESULTS, Notice, notify_all
from activities.registry import ActionContext, ActionGroup, rule_action
from models.item_type import ItemType
from models.user_choice import UserChoice


class NotifySupervisor(Notice):
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
    results=RESULTS,
)
async def notify_supervisor(params: NotifySupervisor, context: ActionContext) -> str:
    """Notify the supervisor with a link to the item; with a delay only if it is still there."""
    return await notify_all(params, params.recipients, context, sender=context.item.responsible)
