"""Free time: when several calendars all work and nothing is booked. Moments are aware UTC."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from models.working_time import EARLIEST, Calendar

GRID = timedelta(minutes=5)
"""Slots that are offered begin at whole multiples of it."""


class Span(NamedTuple):
    """From one moment until another; touching spans do not overlap."""

    starts_at: datetime
    ends_at: datetime


def free_spans(
    calendars: Sequence[Calendar], busy: Iterable[Span], since: datetime, until: datetime
) -> list[Span]:
    """Return when all of the calendars work and nothing is busy, in order and as long as can be."""
    free = [Span(since, until)]
    for calendar in calendars:
        free = _common(free, _joined(Span(*each) for each in calendar.spans(since, until)))
    return _without(free, _joined(sorted(busy)))


def slots(free: Iterable[Span], length: timedelta) -> Iterator[Span]:
    """Yield one slot of that length after another, each within one of the spans."""
    for since, until in free:
        start = _on_the_grid(since)
        while start + length <= until:
            yield Span(start, start + length)
            start = _on_the_grid(start + length)


def _on_the_grid(moment: datetime) -> datetime:
    """Return the moment, or the next where a slot can begin."""
    past = (moment - EARLIEST) % GRID
    return moment + (GRID - past) if past else moment


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans, in order, with those that touch or overlap made one."""
    joined: list[Span] = []
    for span in spans:
        if joined and span.starts_at <= joined[-1].ends_at:
            joined[-1] = Span(joined[-1].starts_at, max(joined[-1].ends_at, span.ends_at))
        else:
            joined.append(span)
    return joined


def _common(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return what is in both of two lists of spans, each in order and without overlaps."""
    common = []
    here = there = 0
    while here < len(some) and there < len(others):
        begin = max(some[here].starts_at, others[there].starts_at)
        end = min(some[here].ends_at, others[there].ends_at)
        if begin < end:
            common.append(Span(begin, end))
        if some[here].ends_at <= others[there].ends_at:
            here += 1
        else:
            there += 1
    return common


def _without(free: Sequence[Span], busy: Sequence[Span]) -> list[Span]:
    """Return what remains of free spans, both in order and without overlaps."""
    remaining = []
    place = 0
    for begin, end in free:
        while place < len(busy) and busy[place].ends_at <= begin:
            place += 1
        start, at = begin, place
        while at < len(busy) and busy[at].starts_at < end:
            if start < busy[at].starts_at:
                remaining.append(Span(start, busy[at].starts_at))
            start = max(start, busy[at].ends_at)
            at += 1
        if start < end:
            remaining.append(Span(start, end))
    return remaining
