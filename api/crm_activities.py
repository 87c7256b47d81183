"""CRM activities: to-dos, calls and meetings that are planned, or were noted, for an item."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, MatchIfSent, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    Filter,
    Id,
    LongText,
    Moment,
    Page,
    Read,
    SearchText,
    ShortText,
    Version,
    Whole,
    Write,
    YesOrNo,
)
from models import clock
from models.crm_activity import (
    Colour,
    Completion,
    CrmActivity,
    CrmActivityDirection,
    CrmActivityKind,
    CrmActivityStatus,
    crm_activities_where,
    find_crm_activity,
    reached_crm_activity,
)
from models.crm_activity_edit import (
    USUAL_REMINDERS,
    add_crm_activity,
    change_crm_activity,
    complete_crm_activity,
    delete_crm_activity,
    postpone_crm_activity,
    reopen_crm_activity,
)
from models.stage_entry import Cause

router = resource("crm activities", "/crm-activities")

MOST_REMINDERS = 10

A_YEAR = 366 * 24 * 60
"""Minutes."""

Minutes = Annotated[Whole, Field(ge=0, le=A_YEAR)]
Reminders = Annotated[
    list[Minutes],
    Field(
        max_length=MOST_REMINDERS,
        description="So many minutes before it starts, whoever is responsible is reminded.",
    ),
]


class CrmActivityRead(Read):
    """Without a creator a rule made it, or it came in: `made_by_run_id`, `inbound_id` say which."""

    id: int
    kind: CrmActivityKind
    subject: str
    description: str | None
    status: CrmActivityStatus
    direction: CrmActivityDirection
    item_id: int | None = Field(
        description="Null for what came in from a client of whom nothing is open."
    )
    responsible_id: int | None
    creator_id: int | None
    contact_id: int | None
    company_id: int | None
    phone: str | None
    place: str | None
    starts_at: datetime
    ends_at: datetime | None
    important: bool
    colour: Colour | None
    complete_on_stage_change: bool
    reminders: list[int] = Field(
        validation_alias="minutes_before",
        description="So many minutes before it starts, whoever is responsible is reminded.",
    )
    result: str | None
    completed_at: datetime | None
    completed_by_id: int | None
    completion: Completion | None
    made_by_run_id: int | None
    inbound_id: int | None = Field(description="What came in, if it tells of that.")
    created_at: datetime
    version: Version


class CrmActivityFields(Write):
    description: LongText | None = None
    direction: CrmActivityDirection = CrmActivityDirection.OUTGOING
    responsible_id: Id | None = None
    contact_id: Id | None = None
    company_id: Id | None = None
    phone: ShortText | None = None
    place: ShortText | None = None
    ends_at: Moment | None = None
    important: YesOrNo = False
    colour: Colour | None = None
    complete_on_stage_change: YesOrNo = False
    reminders: Reminders = list(USUAL_REMINDERS)
    result: LongText | None = None


class CrmActivityCreate(CrmActivityFields):
    """Whoever creates it is responsible, and client and phone are those of the item, if left out.

    What has happened already is created as `completed`; then nobody is reminded.
    """

    kind: CrmActivityKind
    subject: ShortText = Field(min_length=1)
    item_id: Id
    status: CrmActivityStatus = CrmActivityStatus.PLANNED
    starts_at: Moment | None = Field(default=None, description="Now, if left out.")


class CrmActivityUpdate(CrmActivityFields):
    """What is left out stays as it is; reminders that are sent replace those there are."""

    subject: ShortText = Field(default="", min_length=1)
    starts_at: Moment = Field(default_factory=clock.now)


class CrmActivityCompletion(Write):
    result: LongText | None = None


class CrmActivityPostponement(Write):
    starts_at: Moment = Field(description="When it shall start; it takes as long as before.")


class CrmActivityFilter(Filter):
    """Which CRM activities to list."""

    item_id: Id | None = None
    responsible_id: Id | None = None
    creator_id: Id | None = None
    contact_id: Id | None = None
    company_id: Id | None = None
    made_by_run_id: Id | None = None
    inbound_id: Id | None = None
    kind: CrmActivityKind | None = None
    status: CrmActivityStatus | None = None
    direction: CrmActivityDirection | None = None
    important: bool | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the subject.")
    starts_from: Moment | None = None
    starts_to: Moment | None = None
    completed_from: Moment | None = None
    completed_to: Moment | None = None


Sorted = Annotated[
    PageQuery,
    sorted_by("starts_at", "id", "created_at", "completed_at", usually="starts_at"),
]


async def _present(session: Session, user: CurrentUser, crm_activity_id: Id) -> CrmActivity:
    found = await find_crm_activity(session, crm_activity_id)
    return await reached_crm_activity(session, user, found)


async def _locked(session: Session, user: CurrentUser, crm_activity_id: Id) -> CrmActivity:
    found = await find_crm_activity(session, crm_activity_id, lock=True)
    return await reached_crm_activity(session, user, found)


async def _seen(
    crm_activity: Annotated[CrmActivity, Depends(_locked)], match: IfMatch
) -> CrmActivity:
    return match.of(crm_activity)


async def _perhaps_seen(
    crm_activity: Annotated[CrmActivity, Depends(_locked)], match: MatchIfSent
) -> CrmActivity:
    return crm_activity if match is None else match.of(crm_activity)


PresentCrmActivity = Annotated[CrmActivity, Depends(_present)]
SeenCrmActivity = Annotated[CrmActivity, Depends(_seen)]
LockedCrmActivity = Annotated[CrmActivity, Depends(_perhaps_seen)]


@router.get("")
async def list_crm_activities(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[CrmActivityFilter, Query()],
    paging: Sorted,
) -> Page[CrmActivityRead]:
    """Return the CRM activities that are yours or whose item is within your reach.

    In the order in which they start, if not told another. Those of items in the recycle bin are
    left out.
    """
    wanted = crm_activities_where(user, **where.asked())
    return await page_of(session, wanted, paging, CrmActivityRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_crm_activity(
    session: Session, user: CurrentUser, new: CrmActivityCreate
) -> CrmActivityRead:
    """Plan a to-do, call or meeting for an item, or note one that has happened.

    Either ends a wait of the item: somebody goes on with it or, where an incoming call or meeting
    is noted, the client has been in touch. Mails and messages are noted only.
    """
    return CrmActivityRead.model_validate(await add_crm_activity(session, user, new.changes()))


@router.get("/{crm_activity_id}")
async def read_crm_activity(crm_activity: PresentCrmActivity) -> CrmActivityRead:
    """Return a CRM activity.

    `completion` says what completed it: a person, a rule, its item by leaving the stage, or the
    client by getting in touch.
    """
    return CrmActivityRead.model_validate(crm_activity)


@router.patch("/{crm_activity_id}")
async def update_crm_activity(
    session: Session, user: CurrentUser, crm_activity: SeenCrmActivity, sent: CrmActivityUpdate
) -> CrmActivityRead:
    """Change fields of a CRM activity; reminders follow its start.

    Its kind and item stay. To complete or postpone it is an operation of its own.
    """
    await change_crm_activity(session, crm_activity, sent.changes(), user)
    return CrmActivityRead.model_validate(crm_activity)


@router.delete(
    "/{crm_activity_id}", name="delete_crm_activity", status_code=status.HTTP_204_NO_CONTENT
)
async def remove_crm_activity(
    session: Session, user: CurrentUser, crm_activity: SeenCrmActivity
) -> None:
    """Delete a CRM activity.

    It cannot be restored; history keeps that it was there.
    """
    delete_crm_activity(session, crm_activity, Cause.person(user))


@router.post("/{crm_activity_id}/complete", name="complete_crm_activity")
async def complete(
    session: Session,
    user: CurrentUser,
    crm_activity: LockedCrmActivity,
    said: CrmActivityCompletion,
) -> CrmActivityRead:
    """Complete a planned CRM activity, and say what came of it.

    Nobody is reminded of it any more.
    """
    await complete_crm_activity(session, crm_activity, Cause.person(user), said.result)
    return CrmActivityRead.model_validate(crm_activity)


@router.post("/{crm_activity_id}/reopen", name="reopen_crm_activity")
async def reopen(
    session: Session, user: CurrentUser, crm_activity: LockedCrmActivity
) -> CrmActivityRead:
    """Take up a completed CRM activity again: it is planned, with what is still to come of it."""
    await reopen_crm_activity(session, crm_activity, Cause.person(user))
    return CrmActivityRead.model_validate(crm_activity)


@router.post("/{crm_activity_id}/postpone", name="postpone_crm_activity")
async def postpone(
    session: Session,
    user: CurrentUser,
    crm_activity: LockedCrmActivity,
    to: CrmActivityPostponement,
) -> CrmActivityRead:
    """Let a planned CRM activity start at another moment, later or earlier.

    It takes as long as before, and reminders follow, also those that were given already.
    """
    await postpone_crm_activity(session, crm_activity, to.starts_at, Cause.person(user))
    return CrmActivityRead.model_validate(crm_activity)
