"""How CRM activities end: somebody completes them, or their item leaves the stage or is deleted.

Whoever calls holds the locks of the items, and of single CRM activities that are named.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.base import assign
from models.client import Client
from models.crm_activity import (
    Completion,
    CrmActivity,
    CrmActivityKind,
    CrmActivityStatus,
    planned_for,
)
from models.history import HistoryEntry, HistoryKind, about_client, about_item
from models.item import Item
from models.occasion import CrmActivityOccasion, occurred
from models.reminders import move_reminders, stop_reminders_of
from models.stage_entry import Cause, sign
from models.user import User

HAPPENED: Mapping[CrmActivityKind, HistoryKind] = {
    CrmActivityKind.CALL: HistoryKind.CALL,
    CrmActivityKind.EMAIL: HistoryKind.EMAIL,
    CrmActivityKind.MESSAGE: HistoryKind.MESSAGE,
}
"""How history calls it when somebody was talked or written to; what is planned is not that yet."""


async def complete_those(
    session: AsyncSession,
    crm_activity_ids: Collection[int],
    completion: Completion,
    *,
    by: User | None,
    **also: Any,
) -> None:
    """Complete planned CRM activities; nobody is reminded of them any more.

    `also` are columns to set with it. Without a person it was automation.
    """
    await _assign(session, crm_activity_ids, _completed(completion, by, clock.now()) | also)
    await stop_reminders_of(session, crm_activity_ids)


def as_completed(
    crm_activity: CrmActivity,
    by: User | None,
    at: datetime,
    completion: Completion = Completion.PERSON,
) -> None:
    """Let a new CRM activity begin as completed at that moment: it tells of what has happened."""
    assign(crm_activity, _completed(completion, by, at))


def has_lasted(crm_activity: CrmActivity, until: datetime) -> None:
    """Let what has happened, and is locked, end when it did, which is known only now."""
    if crm_activity.completed_at == crm_activity.ends_at:
        crm_activity.completed_at = until
    crm_activity.ends_at = until


def _completed(completion: Completion, by: User | None, at: datetime) -> dict[str, Any]:
    return {
        "status": CrmActivityStatus.COMPLETED,
        "completed_at": at,
        "completed_by_id": None if by is None else by.id,
        "completion": completion,
    }


async def take_up(session: AsyncSession, crm_activity: CrmActivity) -> None:
    """Let a completed CRM activity be planned again, with the reminders that are still to come."""
    planned = {
        "status": CrmActivityStatus.PLANNED,
        "completed_at": None,
        "completed_by_id": None,
        "completion": None,
    }
    await _assign(session, [crm_activity.id], planned)
    move_reminders(session, crm_activity)


async def _assign(
    session: AsyncSession, crm_activity_ids: Collection[int], values: Mapping[str, Any]
) -> None:
    """Give many CRM activities the same status in one statement."""
    await session.execute(
        update(CrmActivity)
        .where(CrmActivity.id.in_(crm_activity_ids))
        .values(version=CrmActivity.version + 1, revised_at=clock.now(), **values)
        .execution_options(synchronize_session="fetch")
    )


async def complete_left(session: AsyncSession, items: Sequence[Item], cause: Cause) -> None:
    """Complete what completes itself now that these items leave their stages.

    In few statements for any number of items, of whom none has entered another stage yet.
    """
    by_id = {item.id: item for item in items}
    rows = await session.execute(
        select(CrmActivity.id, CrmActivity.item_id, CrmActivity.kind, CrmActivity.subject)
        .where(
            CrmActivity.item_id.in_(by_id),
            CrmActivity.status == CrmActivityStatus.PLANNED,
            CrmActivity.complete_on_stage_change,
            CrmActivity.deleted_at.is_(None),
        )
        .order_by(CrmActivity.id)
        .with_for_update(key_share=True)
    )
    found = rows.all()
    if not found:
        return
    known = [row.id for row in found]
    await complete_those(session, known, Completion.STAGE_CHANGE, by=cause.user)
    for row in found:
        item, called = by_id[row.item_id], f"{row.kind} {row.id} «{row.subject}»"
        text = f"The item left the stage: {called} is completed."
        line = about_status(item, row.id, text, CrmActivityStatus.COMPLETED)
        sign(line, cause)
        session.add(line)
        has_completed(session, item, row.kind, called, cause)


def has_completed(
    session: AsyncSession, item: Item, kind: CrmActivityKind, called: str, cause: Cause
) -> None:
    """Let triggers know that something planned for an item, or noted, is completed."""
    occasion = CrmActivityOccasion(
        trigger="activity_completed",
        item_ids=(item.id,),
        cause=cause,
        text=f"{called[0].upper()}{called[1:]} is completed",
        kind=kind,
    )
    occurred(session, occasion)


def about_status(
    item: Item, crm_activity_id: int, text: str, new: CrmActivityStatus
) -> HistoryEntry:
    """Write a line about a CRM activity that has this status from now on, and had the other."""
    line = about(item, crm_activity_id, text)
    [old] = set(CrmActivityStatus) - {new}
    line.field, line.old, line.new = "status", old, new
    return line


def about(item: Item | Client, crm_activity_id: int, text: str) -> HistoryEntry:
    """Write a line about a CRM activity into the history of its item, or else of its client."""
    if not isinstance(item, Item):
        return about_client(item, HistoryKind.CRM_ACTIVITY, text)
    line = about_item(item, HistoryKind.CRM_ACTIVITY, text)
    line.subject_type, line.subject_id = "crm activity", crm_activity_id
    return line


async def let_rest(session: AsyncSession, item_ids: Collection[int]) -> None:
    """Remind nobody of what is planned for items that are being deleted."""
    found = await session.scalars(
        select(CrmActivity.id)
        .where(CrmActivity.item_id.in_(item_ids), CrmActivity.status == CrmActivityStatus.PLANNED)
        .order_by(CrmActivity.id)
        .with_for_update(key_share=True)
    )
    if there := found.all():
        await stop_reminders_of(session, there)


async def wake(session: AsyncSession, item: Item) -> None:
    """Let people be reminded again of what is still to come for an item that was restored."""
    for crm_activity in await planned_for(session, item):
        move_reminders(session, crm_activity)
