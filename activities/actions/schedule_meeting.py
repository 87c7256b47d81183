"""Schedule a meeting: with the client of the item, in the calendar of whoever is to hold it."""

from pydantic import Field

from activities.appointments import AN_HOUR, RESULTS, Appointment, appoint, said
from activities.registry import ActionContext, ActionGroup, rule_action
from models.crm_activity import CrmActivityKind
from models.item_type import ItemType
from models.templates import Template
from models.timing import Delay


class ScheduleMeeting(Appointment):
    duration: Delay = Field(
        default=AN_HOUR, title="Duration", description="An hour, if not chosen."
    )
    place: Template | None = Field(
        default=None,
        title="Place",
        description="A text with fields, such as the address of the company.",
    )


@rule_action(
    title="Schedule a meeting",
    group=ActionGroup.EMPLOYEE_CONTROL,
    items=ItemType,
    results=RESULTS,
)
async def schedule_meeting(params: ScheduleMeeting, context: ActionContext) -> str:
    """Plan a meeting; it stands in the calendar of the responsible person, with its place."""
    meeting = await appoint(
        params,
        context,
        CrmActivityKind.MEETING,
        duration=params.duration,
        place=params.place,
    )
    return said(meeting, context)
