"""Availability: when people and resources all work and none of them is booked."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy.ext.asyncio import AsyncSession

from models.base import AGAINST_DELETION, Row, find_named
from models.booking import NOBODY, Booked, busy_spans
from models.calendars import Calendars
from models.errors import Invalid, Problem
from models.free_time import Span, free_spans, slots
from models.installation import installation
from models.resource import Resource
from models.user import User
from models.working_time import EARLIEST, LATEST

LONGEST_SEARCH = timedelta(days=366)
MOST_HELD = 20
"""Resources, and as many people, that are booked together."""

MOST_SLOTS = 500
"""In one answer."""


async def named(
    session: AsyncSession,
    resource_ids: Sequence[int],
    user_ids: Sequence[int],
    present: Booked = NOBODY,
    *,
    lock: bool = True,
) -> Booked:
    """Return what was sent as ids, each once, or raise `Invalid`; somebody or something must be.

    Who and what is booked at present may stay, also where it is gone since. `lock`: nobody can
    delete them meanwhile.
    """
    if not resource_ids and not user_ids:
        raise Invalid(Problem("/resource_ids", "Name at least one resource or user to book."))

    async def found(
        kind: type[Row], ids: Sequence[int], pointer: str, present: Sequence[Row]
    ) -> list[Row]:
        known = {each.id: each for each in present}
        for place, row_id in enumerate(ids):
            if row_id not in known:
                at, how = f"{pointer}/{place}", AGAINST_DELETION if lock else False
                known[row_id] = await find_named(session, kind, row_id, at, lock=how)
        return [known[row_id] for row_id in dict.fromkeys(ids)]

    return Booked(
        await found(Resource, resource_ids, "/resource_ids", present.resources),
        await found(User, user_ids, "/user_ids", present.users),
    )


async def free_slots(
    session: AsyncSession, booked: Booked, within: Span, length: timedelta
) -> Iterator[Span]:
    """Return slots of that length, in order, in which all of them work and are free.

    Slots do not overlap; each begins at a whole five minutes. Resources work as the company does
    if they have no hours of their own, people keep their own hours, holidays and absences.
    """
    calendars = Calendars(await installation(session))
    works = [calendars.with_hours(each.working_hours) for each in booked.resources]
    works += [calendars.of(each) for each in booked.users]
    busy = await busy_spans(session, booked, within)
    return slots(free_spans(works, busy, *within), length)


async def slots_asked(
    session: AsyncSession, booked: Booked, since: datetime, until: datetime, minutes: int
) -> tuple[list[Span], bool]:
    """Return the free slots of a time that somebody asks for, and whether these are all."""
    if until <= since:
        raise Invalid(Problem("/until", "The time ends before it begins."))
    if until - since > LONGEST_SEARCH:
        raise Invalid(Problem("/until", f"Ask for at most {LONGEST_SEARCH.days} days at once."))
    if not EARLIEST <= since <= until <= LATEST:
        raise Invalid(Problem("/from", "This moment is beyond the calendar."))
    found = await free_slots(session, booked, Span(since, until), timedelta(minutes=minutes))
    some = list(islice(found, MOST_SLOTS + 1))
    return some[:MOST_SLOTS], len(some) <= MOST_SLOTS


async def next_free_slot(
    session: AsyncSession, booked: Booked, within: Span, length: timedelta
) -> Span | None:
    """Return the first slot of that length in which all of them work and are free, if any."""
    begin, end = max(within.starts_at, EARLIEST), min(within.ends_at, LATEST)
    if begin >= end:
        return None
    return next(await free_slots(session, booked, Span(begin, end), length), None)
