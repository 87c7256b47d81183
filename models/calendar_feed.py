"""Calendar feeds: what somebody has to do, for calendar programs, behind a link that is the key."""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, vDuration
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.api_token import hash_of
from models.booking import Booking, BookingHold, bookings_there
from models.crm_activity import (
    WRITTEN,
    CrmActivity,
    CrmActivityKind,
    CrmActivityStatus,
    crm_activities_there,
)
from models.errors import NotFound
from models.installation import installation
from models.item import Item
from models.task import Task
from models.task_fields import TaskStatus
from models.user import User
from models.vtimezone import vtimezone

BACK = timedelta(days=90)
"""What began longer ago is not in a feed."""

AHEAD = timedelta(days=3660)
"""Of what begins later it is told when in UTC: who knows how clocks will be set."""

MOST = 1000
"""CRM activities in one feed, as many bookings and as many deadlines, the next first."""

LONGEST_LINE = 250
LONGEST_TEXT = 1000
"""Characters; the CRM itself has all of it."""

REFRESH = timedelta(minutes=15)

DONE = "✓ "

UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
"""What RFC 5545 forbids in texts, and what some programs take for the end of a line."""


async def renew_key(session: AsyncSession, user: User) -> str:
    """Return the key of somebody's feed, made now: the one before opens nothing from now on.

    Only its hash is kept; it cannot be read again.
    """
    key = secrets.token_urlsafe(32)
    await _keep_hash(session, user, hash_of(key))
    return key


async def revoke_key(session: AsyncSession, user: User) -> None:
    """Let nobody read somebody's feed, until its key is renewed."""
    await _keep_hash(session, user, None)


async def _keep_hash(session: AsyncSession, user: User, key_hash: str | None) -> None:
    # It is no change of the person: whoever edits them at this moment is not to be held up.
    await session.execute(
        update(User)
        .where(User.id == user.id)
        .values(calendar_key_hash=key_hash)
        .execution_options(synchronize_session=False)
    )


async def reader_with(session: AsyncSession, key: str) -> User:
    """Return whose feed a key opens, or raise `NotFound`; it is found by its hash alone."""
    user = await session.scalar(
        select(User).where(User.calendar_key_hash == hash_of(key), User.active)
    )
    if user is None:
        raise NotFound("There is no such calendar.")
    return user


@dataclass(frozen=True)
class Feed:
    """What stands in somebody's calendar, read from the database and ready to be written."""

    name: str
    zone: str
    database_id: UUID
    url: str
    crm_activities: Sequence[tuple[CrmActivity, Item | None]]
    deadlines: Sequence[Task]
    bookings: Sequence[tuple[Booking, Item]]
    now: datetime

    def written(self) -> bytes:
        """Return it after RFC 5545; the same as long as nothing of it changes."""
        calendar = Calendar()
        calendar.add("PRODID", "-//Cuebook//Calendar//EN")
        calendar.add("VERSION", "2.0")
        calendar.add("CALSCALE", "GREGORIAN")
        calendar.add("NAME", self.name)
        calendar.add("X-WR-CALNAME", self.name)
        calendar.add("X-WR-TIMEZONE", self.zone)
        calendar.add("REFRESH-INTERVAL", REFRESH, {"VALUE": "DURATION"})
        calendar.add("X-PUBLISHED-TTL", vDuration(REFRESH))
        if self.zone != UTC.tzname(None):
            calendar.add_component(vtimezone(self.zone, *_years_around(self.now)))
        for entry in self._entries():
            calendar.add_component(entry)
        return bytes(calendar.to_ical())

    def _entries(self) -> Iterator[Event]:
        for crm_activity, item in self.crm_activities:
            yield self._crm_activity(crm_activity, item)
        for task in self.deadlines:
            yield self._deadline(task)
        for booking, item in self.bookings:
            yield self._booking(booking, item)

    def _crm_activity(self, crm_activity: CrmActivity, item: Item | None) -> Event:
        planned = crm_activity.status is CrmActivityStatus.PLANNED
        subject = one_line(crm_activity.subject)
        entry = self._entry("crm-activity", crm_activity, crm_activity.revised_at)
        entry.add("SUMMARY", subject if planned else DONE + subject)
        entry.add("DTSTART", self._local(crm_activity.starts_at))
        if crm_activity.ends_at is not None:
            entry.add("DTEND", self._local(crm_activity.ends_at))
        if crm_activity.place:
            entry.add("LOCATION", one_line(crm_activity.place))
        phone = f"{one_line(crm_activity.phone)}\n" if crm_activity.phone else ""
        where = f"{phone}{self._client(crm_activity) if item is None else self._link(item)}"
        description = several_lines(crm_activity.description or "")
        entry.add("DESCRIPTION", f"{description}\n\n{where}".strip())
        entry.add("URL", f"{self.url}/v1/crm-activities/{crm_activity.id}")
        entry.add("STATUS", "CONFIRMED")
        entry.add("CATEGORIES", [crm_activity.kind.value])
        takes_time = planned and crm_activity.kind is not CrmActivityKind.TO_DO
        entry.add("TRANSP", "OPAQUE" if takes_time else "TRANSPARENT")
        if crm_activity.important:
            entry.add("PRIORITY", 1)
        if crm_activity.colour:
            entry.add("COLOR", crm_activity.colour)
        for minutes in crm_activity.minutes_before if planned else ():
            entry.add_component(_alarm(minutes, subject))
        return entry

    def _link(self, item: Item) -> str:
        return f"{self.url}/v1/{item.type}s/{item.id}"

    def _client(self, crm_activity: CrmActivity) -> str:
        """Return where the client is of whom nothing is open."""
        if crm_activity.contact_id is not None:
            return f"{self.url}/v1/contacts/{crm_activity.contact_id}"
        return f"{self.url}/v1/companies/{crm_activity.company_id}"

    def _deadline(self, task: Task) -> Event:
        entry = self._entry("task", task, task.created_at)
        entry.add("SUMMARY", one_line(task.title))
        entry.add("DTSTART", self._local(task.deadline_at or self.now))
        link = f"{self.url}/v1/tasks/{task.id}"
        entry.add("DESCRIPTION", f"{several_lines(task.description or '')}\n\n{link}".strip())
        entry.add("URL", link)
        entry.add("STATUS", "CONFIRMED")
        entry.add("CATEGORIES", ["task"])
        entry.add("TRANSP", "TRANSPARENT")
        return entry

    def _booking(self, booking: Booking, item: Item) -> Event:
        entry = self._entry("booking", booking, booking.revised_at)
        entry.add("SUMMARY", one_line(booking.service))
        entry.add("DTSTART", self._local(booking.starts_at))
        entry.add("DTEND", self._local(booking.ends_at))
        booked = one_line(booking.booked.in_words)
        entry.add("DESCRIPTION", f"{booked}\n{self._link(item)}")
        entry.add("URL", f"{self.url}/v1/bookings/{booking.id}")
        entry.add("STATUS", "CONFIRMED")
        entry.add("CATEGORIES", ["booking"])
        entry.add("TRANSP", "OPAQUE")
        return entry

    def _entry(self, kind: str, row: CrmActivity | Task | Booking, revised_at: datetime) -> Event:
        entry = Event()
        entry.add("UID", f"{kind}-{row.id}@{self.database_id}")
        entry.add("DTSTAMP", revised_at)
        entry.add("LAST-MODIFIED", revised_at)
        entry.add("CREATED", row.created_at)
        entry.add("SEQUENCE", row.version - 1)
        return entry

    def _local(self, moment: datetime) -> datetime:
        """Return a moment on the clock of the person.

        In UTC where the feed's zone ends, and in the hour that clocks show for the second time.
        """
        first, last = _years_around(self.now)
        if not first <= moment < last:
            return moment
        local = moment.astimezone(ZoneInfo(self.zone))
        return moment if local.fold else local


def _years_around(moment: datetime) -> tuple[datetime, datetime]:
    """Return the beginnings of the years between which a feed tells times of a zone."""
    first, last = (moment - BACK).year, (moment + AHEAD).year
    return datetime(first, 1, 1, tzinfo=UTC), datetime(last, 1, 1, tzinfo=UTC)


def _alarm(minutes: int, subject: str) -> Alarm:
    alarm = Alarm()
    alarm.add("ACTION", "DISPLAY")
    alarm.add("TRIGGER", -timedelta(minutes=minutes))
    alarm.add("DESCRIPTION", subject)
    return alarm


def one_line(text: str) -> str:
    """Return a text as one line of moderate length, without what calendars cannot hold."""
    return _cut(" ".join(UNPRINTABLE.sub(" ", text).split()), LONGEST_LINE)


def several_lines(text: str) -> str:
    """Return a text with its lines, without what calendars cannot hold."""
    lines = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    return _cut(UNPRINTABLE.sub(" ", lines).strip(), LONGEST_TEXT)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


async def feed_of(session: AsyncSession, user: User, *, url: str) -> Feed:
    """Read what somebody is responsible for, from some months ago on; `url` is that of the API.

    CRM activities, completed ones too but no mails and messages, the deadlines of tasks that are
    still to be done, and where the person is booked.
    """
    home = await installation(session)
    now = clock.now()
    crm_activities = await session.execute(
        crm_activities_there(
            CrmActivity.responsible_id == user.id,
            CrmActivity.starts_at >= now - BACK,
            CrmActivity.kind.not_in(WRITTEN),
        )
        .outerjoin(Item, Item.id == CrmActivity.item_id)
        .add_columns(Item)
        .order_by(CrmActivity.starts_at, CrmActivity.id)
        .limit(MOST)
    )
    deadlines = await session.scalars(
        select(Task)
        .where(
            Task.responsible_id == user.id,
            Task.deadline_at >= now - BACK,
            Task.deleted_at.is_(None),
            Task.status != TaskStatus.COMPLETED,
        )
        .order_by(Task.deadline_at, Task.id)
        .limit(MOST)
    )
    bookings = await session.execute(
        bookings_there(
            Booking.holds.any(BookingHold.user_id == user.id),
            Booking.cancelled_at.is_(None),
            Booking.starts_at >= now - BACK,
        )
        .join(Item, Item.id == Booking.item_id)
        .add_columns(Item)
        .order_by(Booking.starts_at, Booking.id)
        .limit(MOST)
    )
    return Feed(
        name=f"Cuebook: {one_line(user.name)}",
        zone=user.time_zone or home.time_zone,
        database_id=home.database_id,
        url=url,
        crm_activities=[(row[0], row[1]) for row in crm_activities],
        deadlines=deadlines.all(),
        bookings=[(row[0], row[1]) for row in bookings],
        now=now,
    )
