"""Time zones as calendars of RFC 5545 carry them: every change of the clock between two moments."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

A_DAY = timedelta(days=1)
A_SECOND = timedelta(seconds=1)


class _Clock(NamedTuple):
    """How clocks are set: so far from UTC, under that name, in summer or not."""

    offset: timedelta
    name: str
    is_summer: bool


@lru_cache(maxsize=200)
def vtimezone(zone: str, first: datetime, last: datetime) -> Timezone:
    """Return the zone as it is between these moments; the result is shared, and not to be changed.

    A change is told, as RFC 5545 wants it, in the time that clocks show just before it.
    """
    place = ZoneInfo(zone)
    found = Timezone()
    found.add("TZID", zone)
    before = _clock(place, first)
    _add(found, first.astimezone(place), before, before)
    for moment in _changes(place, first, last):
        after = _clock(place, moment)
        shown_before = (moment + before.offset).replace(tzinfo=None)
        _add(found, shown_before, before, after)
        before = after
    return found


def _add(zone: Timezone, shown_before: datetime, before: _Clock, after: _Clock) -> None:
    part = TimezoneDaylight() if after.is_summer else TimezoneStandard()
    part.add("DTSTART", shown_before.replace(tzinfo=None))
    part.add("TZOFFSETFROM", before.offset)
    part.add("TZOFFSETTO", after.offset)
    part.add("TZNAME", after.name)
    zone.add_component(part)


def _changes(place: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield each moment of the span from which on clocks are set otherwise, to the second."""
    moment = first
    while moment < last:
        following = min(moment + A_DAY, last)
        if _clock(place, moment) != _clock(place, following):
            yield _change_between(place, moment, following)
        moment = following


def _change_between(place: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = _clock(place, before)
    while after - before > A_SECOND:
        middle = before + (after - before) // A_SECOND // 2 * A_SECOND
        if _clock(place, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _clock(place: ZoneInfo, moment: datetime) -> _Clock:
    local = moment.astimezone(UTC).astimezone(place)
    return _Clock(local.utcoffset() or timedelta(), local.tzname() or "", bool(local.dst()))
