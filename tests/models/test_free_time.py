"""Free time: what is offered is worked by all and booked by nobody, and nothing is left out."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.free_time import GRID, Span, free_spans, slots
from models.working_time import Absence, Calendar, WorkingHours

SINCE = datetime(2027, 3, 22, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=10)
"""The clocks of Berlin go forward on 28 March."""

DAY = [["09:00", "13:00"], ["14:00", "18:00"]]
ROUND_THE_CLOCK = [["00:00", "24:00"]]
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

moments = st.integers(0, 10 * 24 * 12).map(lambda steps: SINCE + steps * GRID)
odd_moments = st.datetimes(
    SINCE.replace(tzinfo=None), UNTIL.replace(tzinfo=None), timezones=st.just(UTC)
)
lengths = st.integers(1, 30).map(lambda steps: steps * GRID)
spans = st.tuples(odd_moments | moments, st.integers(1, 3000)).map(
    lambda drawn: Span(drawn[0], drawn[0] + timedelta(minutes=drawn[1]))
)
hours = st.lists(st.sampled_from([[], DAY, ROUND_THE_CLOCK]), min_size=7, max_size=7).filter(any)
calendars = st.builds(
    Calendar,
    hours=hours.map(lambda week: WorkingHours(**dict(zip(WEEK, week, strict=True)))),
    zone=st.sampled_from(["Europe/Berlin", "UTC", "America/New_York", "Asia/Kathmandu"]),
    country=st.sampled_from([None, "DE", "PL"]),
    days_off=st.just(frozenset({datetime(2027, 3, 24, tzinfo=UTC).date()})),
    absence=st.none() | st.builds(Absence, st.none() | moments, st.none() | moments),
)


def overlap(one: Span, other: Span) -> bool:
    return one.starts_at < other.ends_at and other.starts_at < one.ends_at


def works(calendar: Calendar, span: Span) -> bool:
    """Tell whether a calendar works at each minute of the grid within a span, looked up singly."""
    steps = (span.ends_at - span.starts_at) // GRID
    return all(
        calendar.is_working(span.starts_at + step * GRID)
        and calendar.is_working(span.starts_at + step * GRID + GRID / 2)
        for step in range(steps)
    )


@given(st.lists(calendars, max_size=2), st.lists(spans, max_size=5), lengths)
def test_every_slot_that_is_offered_is_free_and_within_working_hours_of_all(
    several: list[Calendar], busy: list[Span], length: timedelta
) -> None:
    offered = list(slots(free_spans(several, busy, SINCE, UNTIL), length))

    assert all(end - begin == length for begin, end in offered)
    assert all(begin >= SINCE and end <= UNTIL for begin, end in offered)
    assert not any(overlap(slot, taken) for slot in offered for taken in busy)
    assert all(works(calendar, slot) for calendar in several for slot in offered[:2] + offered[-2:])
    assert all(one.ends_at <= other.starts_at for one, other in pairwise(offered))


@given(st.lists(calendars, max_size=2), st.lists(spans, max_size=5), lengths, odd_moments)
def test_the_next_free_slot_is_the_first(
    several: list[Calendar], busy: list[Span], length: timedelta, since: datetime
) -> None:
    until = min(since + timedelta(days=1), UNTIL)

    found = next(slots(free_spans(several, busy, since, until), length), None)

    first = since.replace(minute=0, second=0, microsecond=0)
    starts = [first + step * GRID for step in range(24 * 12 + 12)]
    before = found.starts_at if found else until
    earlier = [Span(each, each + length) for each in starts if since <= each < before]
    fitting = [
        span
        for span in earlier
        if span.ends_at <= until
        and not any(overlap(span, taken) for taken in busy)
        and all(works(calendar, span) for calendar in several)
    ]
    assert fitting == []


def test_slots_may_touch_what_is_booked() -> None:
    nine = datetime(2027, 3, 22, 9, tzinfo=UTC)
    hour = timedelta(hours=1)
    nine_to_six = Calendar(WorkingHours(mon=[["09:00", "18:00"]]), "UTC")
    busy = [Span(nine + hour, nine + 2 * hour), Span(nine + 3 * hour, nine + 8 * hour)]

    offered = list(slots(free_spans([nine_to_six], busy, SINCE, SINCE + 24 * hour), hour))

    assert [slot.starts_at.hour for slot in offered] == [9, 11, 17]


def test_a_night_between_two_working_days_is_worked_through_where_nobody_sleeps() -> None:
    always = Calendar(WorkingHours(**dict.fromkeys(WEEK, ROUND_THE_CLOCK)), "Europe/Berlin")

    assert free_spans([always], [], SINCE, UNTIL) == [Span(SINCE, UNTIL)]
