"""Reminders: notifications about a planned CRM activity, each at its time, by a durable timer.

Whoever changes them holds the lock of the CRM activity and has its reminders loaded.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton, format_time, format_timedelta
from sqlalchemy import ForeignKey, Index, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from models import clock
from models.agenda import CrmActivityAgenda, ReminderItem
from models.base import Base, Record
from models.installation import Installation, installation
from models.item import Item
from models.languages import translated
from models.notification import Notification
from models.outbox import raise_agenda, untold
from models.user import User

if TYPE_CHECKING:
    from models.crm_activity import CrmActivity

TOLERANCE = timedelta(minutes=1)
"""A reminder whose time was so short a while ago is still given; an older one is not."""

FAULT_PAUSES = [timedelta(minutes=2**n) for n in range(7)]
"""After a fault it is tried again in 1, 2, 4 … 64 minutes; later nobody is helped by it."""

MOST_AT_ONCE = 10_000
"""CRM activities named in one statement; both databases take no more than 32,766 values."""

_IS_OPEN = "due_at IS NOT NULL"

A_MINUTE = timedelta(minutes=1)
TWO = 2
"""From so many hours or days on people are told these, before that minutes or hours."""


class Reminder(Record, Base, kw_only=True):
    """A notification so many minutes before a CRM activity starts.

    Without `due_at` nobody is to be reminded any more; `reminded_at` says when somebody was.
    `attempts` counts faults of ours, each of which has moved `due_at`.
    """

    __tablename__ = "reminders"
    __table_args__ = (
        Index(None, "crm_activity_id"),
        Index(
            "ix_reminders_due",
            "due_at",
            postgresql_where=text(_IS_OPEN),
            sqlite_where=text(_IS_OPEN),
        ),
        Record.options,
    )

    crm_activity_id: Mapped[int] = mapped_column(ForeignKey("crm_activities.id"), init=False)
    crm_activity: Mapped["CrmActivity"] = relationship(
        init=False, lazy="raise", back_populates="reminders"
    )
    minutes_before: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0, init=False)
    reminded_at: Mapped[datetime | None] = mapped_column(default=None, init=False)


def set_reminders(
    session: AsyncSession, crm_activity: "CrmActivity", minutes_before: Sequence[int]
) -> None:
    """Give a CRM activity, new or locked, these reminders; those that it has stay as they are.

    One whose time is past already, or of a CRM activity that is not planned, is never given.
    """
    with _telling(session, crm_activity):
        present = {each.minutes_before: each for each in crm_activity.reminders}
        crm_activity.reminders = [
            present.get(minutes)
            or Reminder(minutes_before=minutes, due_at=_its_time(crm_activity, minutes))
            for minutes in sorted(set(minutes_before), reverse=True)
        ]


def move_reminders(session: AsyncSession, crm_activity: "CrmActivity") -> None:
    """Let people be reminded anew, because a CRM activity starts at another time or is open again.

    Also of what they were reminded of before, as long as that is still to come.
    """
    with _telling(session, crm_activity):
        for reminder in crm_activity.reminders:
            due_at = _its_time(crm_activity, reminder.minutes_before)
            if due_at is not None:
                reminder.reminded_at = None
            reminder.due_at = due_at
            reminder.attempts = 0


def stop_reminders(session: AsyncSession, crm_activity: "CrmActivity") -> None:
    """Remind nobody of a CRM activity any more: it is completed or deleted."""
    with _telling(session, crm_activity):
        for reminder in crm_activity.reminders:
            reminder.due_at = None


async def stop_reminders_of(session: AsyncSession, crm_activity_ids: Collection[int]) -> None:
    """Remind nobody of these locked CRM activities any more, in few statements for any number."""
    ids = sorted(crm_activity_ids)
    for start in range(0, len(ids), MOST_AT_ONCE):
        await _stop_some(session, ids[start : start + MOST_AT_ONCE])


async def _stop_some(session: AsyncSession, crm_activity_ids: Sequence[int]) -> None:
    crm_activity = Reminder.crm_activity.property.mapper.class_
    await session.flush()
    stopped = await session.scalars(
        update(Reminder)
        .where(Reminder.crm_activity_id.in_(crm_activity_ids), Reminder.due_at.is_not(None))
        .values(due_at=None)
        .returning(Reminder.crm_activity_id)
        .execution_options(synchronize_session="fetch")
    )
    if concerned := sorted(set(stopped)):
        await session.execute(
            update(crm_activity)
            .where(crm_activity.id.in_(concerned))
            .values(
                agenda_version=crm_activity.agenda_version + 1,
                changed_at=clock.now(),
            )
            .execution_options(synchronize_session="fetch")
        )
        untold(session).add(None)


def is_to_come(crm_activity: "CrmActivity") -> bool:
    """Tell whether a CRM activity, whose item is loaded, is planned and not deleted."""
    deleted_at = crm_activity.deleted_at or crm_activity.its_item.deleted_at
    return crm_activity.completed_at is None and deleted_at is None


def _its_time(crm_activity: "CrmActivity", minutes_before: int) -> datetime | None:
    """Return when a reminder is due; None if nobody is to be reminded."""
    if crm_activity.completed_at is not None or crm_activity.deleted_at is not None:
        return None
    before = timedelta(minutes=minutes_before)
    if crm_activity.starts_at <= clock.now() - TOLERANCE + before:
        return None
    return crm_activity.starts_at - before


@contextmanager
def _telling(session: AsyncSession, crm_activity: "CrmActivity") -> Iterator[None]:
    """Let Temporal be told if other reminders are open after the block than before."""
    before = _open(crm_activity)
    yield
    after = _open(crm_activity)
    if after != before:
        raise_agenda(session, crm_activity)
    elif not after and not crm_activity.told_version:
        crm_activity.told_version = crm_activity.agenda_version  # There is nothing to tell.


def _open(crm_activity: "CrmActivity") -> list[tuple[int, datetime]]:
    return [
        (each.minutes_before, each.due_at)
        for each in crm_activity.reminders
        if each.due_at is not None
    ]


def agenda_of(crm_activity: "CrmActivity", database_id: UUID) -> CrmActivityAgenda:
    """Return the open reminders as Temporal may know them; all must be loaded."""
    ended = [each for each in crm_activity.reminders if each.due_at is None]
    given = sum(each.reminded_at is not None for each in ended)
    totals = {"given": given, "not given": len(ended) - given}
    return CrmActivityAgenda(
        database_id=database_id,
        crm_activity_id=crm_activity.id,
        version=crm_activity.agenda_version,
        items=tuple(
            ReminderItem(reminder_id=each.id, title=_title(each.minutes_before), due_at=each.due_at)
            for each in crm_activity.reminders
            if each.due_at is not None
        ),
        totals={outcome: count for outcome, count in totals.items() if count},
    )


def _title(minutes: int) -> str:
    """Return what ops read of a reminder: "Remind 15 minutes before"."""
    for unit, size in {"day": 1440, "hour": 60, "minute": 1}.items():
        if minutes and minutes % size == 0:
            count = minutes // size
            return f"Remind {count} {unit}{'s' if count > 1 else ''} before"
    return "Remind at the time"


async def lock_reminders(session: AsyncSession, crm_activity_id: int) -> "CrmActivity | None":
    """Return a CRM activity with item and reminders; item and CRM activity are locked, so ordered.

    None if there is none.
    """
    crm_activity = Reminder.crm_activity.property.mapper.class_
    item = await session.scalar(
        select(Item)
        .join(crm_activity, crm_activity.item_id == Item.id)
        .where(crm_activity.id == crm_activity_id)
        .with_for_update(key_share=True, of=Item)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(
        select(crm_activity)
        .where(crm_activity.id == crm_activity_id)
        .options(
            selectinload(crm_activity.reminders),
            joinedload(crm_activity.responsible),
        )
        .with_for_update(key_share=True, of=crm_activity)
        .execution_options(populate_existing=True)
    )
    if found is not None:
        set_committed_value(found, "item", item)
    return found


async def remind(
    session: AsyncSession, crm_activity: "CrmActivity", reminder: Reminder, *, url: str
) -> None:
    """Remind whoever is responsible now of a locked CRM activity; give what else is due with it.

    Where nobody is, or nobody who works here, nobody is reminded. `url` is that of the API.
    """
    now = clock.now()
    responsible = crm_activity.responsible
    reader = responsible if responsible and responsible.active else None
    with _telling(session, crm_activity):
        for each in crm_activity.reminders:
            if each is reminder or (each.due_at is not None and each.due_at <= now):
                each.due_at = None
                each.reminded_at = now if reader else None
    if reader is not None:
        item = crm_activity.its_item
        session.add(
            Notification(
                recipient_id=reader.id,
                text=_in_words(crm_activity, reader, await installation(session)),
                item_id=item.id,
                link=f"{url}/v1/{item.type}s/{item.id}",
            )
        )


def put_back(session: AsyncSession, crm_activity: "CrmActivity", reminder: Reminder) -> bool:
    """Try a reminder again some time after a fault; False if that was tried often enough."""
    with _telling(session, crm_activity):
        if reminder.attempts >= len(FAULT_PAUSES):
            reminder.due_at = None
            return False
        reminder.due_at = clock.now() + FAULT_PAUSES[reminder.attempts]
        reminder.attempts += 1
    return True


def _in_words(crm_activity: "CrmActivity", reader: User, home: Installation) -> str:
    """Return what the reader is told: "In 15 minutes, 14:00: Call «Offer» (deal 42)"."""
    locale = reader.locale or home.locale
    zone = ZoneInfo(reader.time_zone or home.time_zone)
    now, starts_at = clock.now().astimezone(zone), crm_activity.starts_at.astimezone(zone)
    minutes = round((starts_at - now) / A_MINUTE)
    when = translated("now", locale)
    if minutes:
        span = timedelta(minutes=minutes)
        when = format_timedelta(
            span, granularity="minute", threshold=TWO, add_direction=True, locale=locale
        )
    at = format_time(starts_at, "short", tzinfo=zone, locale=locale)
    if starts_at.date() != now.date():
        day = format_skeleton("MMMEd", starts_at, tzinfo=zone, locale=locale)
        at = f"{day}, {at}"
    what = f"{_called(crm_activity, locale)} «{crm_activity.subject}»"
    return f"{when[:1].upper()}{when[1:]}, {at}: {what} ({crm_activity.its_item.called})"


def _called(crm_activity: "CrmActivity", locale: str) -> str:
    words = {
        "to-do": translated("To-do", locale),
        "call": translated("Call", locale),
        "meeting": translated("Meeting", locale),
    }
    return words[crm_activity.kind]
