"""Plan activity: a to-do, call or meeting for somebody, who is told of it."""

from typing import Literal

from pydantic import Field

from activities.appointments import (
    AN_HOUR,
    RESULTS,
    Appointment,
    appoint,
    in_words,
    said,
    zone_of,
)
from activities.registry import ActionContext, ActionGroup, rule_action
from models.crm_activity import CrmActivityKind
from models.item_type import ItemType
from models.languages import translated
from models.templates import Template
from models.timing import Delay


class PlanActivity(Appointment):
    subject: Template = Field(title="What to do", min_length=1)
    kind: Literal[CrmActivityKind.TO_DO, CrmActivityKind.CALL, CrmActivityKind.MEETING] = Field(
        default=CrmActivityKind.TO_DO, title="Kind"
    )
    duration: Delay | None = Field(
        default=None,
        title="Duration",
        description="An hour for a call or meeting, if not chosen.",
    )
    place: Template | None = Field(default=None, title="Place")


@rule_action(
    title="Plan activity",
    group=ActionGroup.RECURRING_SALES,
    also_in=[ActionGroup.EMPLOYEE_CONTROL],
    items=ItemType,
    results=RESULTS,
)
async def plan_activity(params: PlanActivity, context: ActionContext) -> str:
    """Plan something for the item, and tell the responsible person.

    It stands in their calendar too.
    """
    usual = None if params.kind is CrmActivityKind.TO_DO else AN_HOUR
    crm_activity = await appoint(
        params,
        context,
        params.kind,
        duration=params.duration or usual,
        place=params.place,
    )
    responsible = crm_activity.responsible
    if responsible is not None:
        locale = responsible.locale or context.home.locale
        when = in_words(crm_activity.starts_at, locale, zone_of(responsible, context))
        told = translated("Planned for you", locale)
        context.notify(responsible, f"{told}: «{crm_activity.subject}», {when}.")
    return said(crm_activity, context)
