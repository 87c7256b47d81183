"""Schedule a call: to the client of the item, in the calendar of whoever is to make it."""

from pydantic import Field

from activities.appointments import AN_HOUR, RESULTS, Appointment, appoint, said
from activities.registry import ActionContext, ActionGroup, rule_action
from models.crm_activity import CrmActivityKind
from models.item_type import ItemType
from models.timing import Delay


class ScheduleCall(Appointment):
    duration: Delay = Field(
        default=AN_HOUR, title="Duration", description="An hour, if not chosen."
    )


@rule_action(
    title="Schedule a call",
    group=ActionGroup.EMPLOYEE_CONTROL,
    items=ItemType,
    results=RESULTS,
)
async def schedule_call(params: ScheduleCall, context: ActionContext) -> str:
    """Plan a call to the first phone of the contact, else the company, else the lead itself."""
    call = await appoint(params, context, CrmActivityKind.CALL, duration=params.duration)
    return said(call, context)
