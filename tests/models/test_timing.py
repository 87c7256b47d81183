from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from models.errors import Problem
from models.fields import Catalogue, Field, FieldKind
from models.item_type import ItemType
from models.timing import (
    A_YEAR,
    BEGINNING,
    END,
    AfterDelay,
    AroundDate,
    AtOnce,
    Clocks,
    Direction,
    Due,
    Hours,
    TimeZoneName,
    Timing,
    Unit,
    WhenEmpty,
    WhenPast,
    check,
    check_zone,
    moment_of,
)
from models.working_time import USUAL_HOURS, Absence, Calendar, local

TIMING: TypeAdapter[Timing] = TypeAdapter(Timing)

MADRID = "Europe/Madrid"

anchors = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
zones = st.sampled_from(
    [
        "UTC",
        MADRID,
        "America/St_Johns",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Africa/Casablanca",
    ]
)
units = st.sampled_from(Unit)
amounts = st.integers(0, 5000)
CALENDAR = st.sampled_from([Unit.DAYS, Unit.WEEKS, Unit.MONTHS, Unit.YEARS])
CLOCK = st.sampled_from([Unit.SECONDS, Unit.MINUTES, Unit.HOURS])
days = st.dates(date(1990, 1, 1), date(2090, 1, 1))
any_date = st.dates() | st.datetimes(timezones=st.timezones())

WIDEST_GAP = timedelta(hours=24)
"""Samoa left out a whole day; elsewhere clocks go forward by an hour or two at most."""

SHORTEST_MONTH = timedelta(days=28)
LONGEST_MONTH = timedelta(days=31)


def after(amount: int, unit: Unit) -> AfterDelay:
    return AfterDelay(amount=amount, unit=unit)


def around(direction: str, amount: int = 0, unit: Unit = Unit.DAYS, **rest: Any) -> AroundDate:
    said = {"field": "deal.close_date", "direction": direction, "amount": amount, "unit": unit}
    return AroundDate.model_validate(said | rest)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_at_once_is_due_at_the_anchor() -> None:
    anchor = moment("2026-08-31T10:00:00.123456Z")

    assert AtOnce().due(None, anchor, Clocks(MADRID), 1) == Due(anchor)


@pytest.mark.parametrize(
    ("anchor", "amount", "unit", "due"),
    [
        ("2026-08-31T10:00+02:00", 6, Unit.MONTHS, "2027-02-28T10:00+01:00"),
        ("2027-08-31T10:00+02:00", 6, Unit.MONTHS, "2028-02-29T10:00+01:00"),
        ("2024-02-29T10:00+01:00", 1, Unit.YEARS, "2025-02-28T10:00+01:00"),
        ("2026-03-28T12:00+01:00", 1, Unit.DAYS, "2026-03-29T12:00+02:00"),
        ("2026-03-28T12:00+01:00", 24, Unit.HOURS, "2026-03-29T13:00+02:00"),
        ("2026-10-24T12:00+02:00", 1, Unit.WEEKS, "2026-10-31T12:00+01:00"),
        ("2026-10-25T01:30+02:00", 90, Unit.MINUTES, "2026-10-25T02:00+01:00"),
        ("2026-01-01T00:00+01:00", 45, Unit.SECONDS, "2026-01-01T00:00:45+01:00"),
    ],
)
def test_days_and_longer_follow_the_calendar_hours_and_shorter_the_clock(
    anchor: str, amount: int, unit: Unit, due: str
) -> None:
    assert after(amount, unit).ends_at(moment(anchor), MADRID) == moment(due)


def test_a_clock_time_that_does_not_exist_moves_on_by_the_gap() -> None:
    due = after(1, Unit.DAYS).ends_at(moment("2026-03-28T02:30+01:00"), MADRID)

    assert due == moment("2026-03-29T03:30+02:00")


def test_of_a_clock_time_that_comes_twice_the_first_is_taken() -> None:
    due = after(1, Unit.DAYS).ends_at(moment("2026-10-24T02:30+02:00"), MADRID)

    assert due == moment("2026-10-25T02:30+02:00")


@pytest.mark.parametrize(
    ("anchor", "amount", "unit"),
    [
        ("2026-01-25T02:30+01:00", 9, Unit.MONTHS),
        ("2020-10-25T02:30+01:00", 6, Unit.YEARS),
        ("2020-10-25T02:30+02:00", 6, Unit.YEARS),
    ],
)
def test_the_first_is_taken_wherever_it_is_counted_from(
    anchor: str, amount: int, unit: Unit
) -> None:
    due = after(amount, unit).ends_at(moment(anchor), MADRID)

    assert due == moment("2026-10-25T02:30+02:00")


@given(anchor=anchors, zone=zones, unit=units)
def test_no_delay_is_the_anchor(anchor: datetime, zone: str, unit: Unit) -> None:
    assert after(0, unit).ends_at(anchor, zone) == anchor


@given(anchor=anchors, zone=zones, unit=units, few=amounts, more=amounts)
def test_a_longer_delay_is_never_due_earlier(
    anchor: datetime, zone: str, unit: Unit, few: int, more: int
) -> None:
    few, more = sorted((few % 900, more % 900))

    first, second = after(few, unit).ends_at(anchor, zone), after(more, unit).ends_at(anchor, zone)

    assert anchor <= first <= second


@given(anchor=anchors, zone=zones, unit=units, amount=st.integers(0, 900))
def test_the_due_time_is_utc_and_keeps_the_microseconds(
    anchor: datetime, zone: str, unit: Unit, amount: int
) -> None:
    due = after(amount, unit).ends_at(anchor, zone)

    assert due.tzinfo is UTC
    assert due.microsecond == anchor.microsecond


@given(anchor=anchors, zone=zones, amount=st.integers(0, 10**9))
def test_seconds_are_exact_in_every_zone(anchor: datetime, zone: str, amount: int) -> None:
    assert after(amount, Unit.SECONDS).ends_at(anchor, zone) == anchor + timedelta(seconds=amount)


@given(
    minutes=st.integers(0, 180),
    unit=CALENDAR,
    amount=amounts.map(lambda n: n % 50),
    day=st.sampled_from(["2026-03-28T00:30Z", "2026-10-24T23:30Z", "2026-03-29T00:00Z"]),
)
def test_dst_never_raises(minutes: int, unit: Unit, amount: int, day: str) -> None:
    anchor = moment(day) + timedelta(minutes=minutes)

    assert after(amount, unit).ends_at(anchor, MADRID) >= anchor


@pytest.mark.parametrize("unit", Unit)
def test_a_thousand_years_are_accepted_and_can_be_counted(unit: Unit) -> None:
    due = after(1000 * A_YEAR[unit], unit).ends_at(moment("2026-01-01T00:00Z"), MADRID)

    assert 3022 <= due.year <= 3026


@pytest.mark.parametrize("unit", Unit)
def test_more_than_a_thousand_years_are_refused(unit: Unit) -> None:
    with pytest.raises(ValidationError, match=rf"at most \d+ {unit} \(1000 years\)"):
        after(1000 * A_YEAR[unit] + 1, unit)


@pytest.mark.parametrize(
    "sent",
    [
        {"kind": "after_delay", "amount": -1, "unit": "days"},
        {"kind": "after_delay", "amount": 1.5, "unit": "days"},
        {"kind": "after_delay", "amount": True, "unit": "days"},
        {"kind": "after_delay", "amount": 10**30, "unit": "seconds"},
        {"kind": "after_delay", "amount": 1, "unit": "fortnights"},
        {"kind": "after_delay", "amount": 1, "unit": "days", "zone": "UTC"},
        {"kind": "at_once", "amount": 1},
        {"kind": "around_date", "direction": "at"},
        {"kind": "around_date", "field": "deal.close_date"},
        {"kind": "around_date", "field": "deal.close_date", "direction": "near"},
        {"kind": "around_date", "field": "deal.close_date", "direction": "at", "amount": 1},
        {"kind": "around_date", "field": "deal.close_date", "direction": "before"},
        {"kind": "around_date", "field": "deal.close_date", "direction": "after", "amount": 0},
        {"kind": "around_date", "field": "deal.close_date", "direction": "at", "when_past": "wait"},
        {"kind": "around_date", "field": "x" * 201, "direction": "at"},
        {"kind": "some_day"},
        {},
    ],
)
def test_what_is_no_timing_is_refused(sent: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TIMING.validate_python(sent)


@pytest.mark.parametrize("timing", [AtOnce(), after(6, Unit.MONTHS), around("before", 3)])
def test_a_timing_survives_json(timing: Timing) -> None:
    assert TIMING.validate_json(TIMING.dump_json(timing)) == timing


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (AtOnce(), "at once"),
        (after(6, Unit.MONTHS), "6 months after"),
        (after(1, Unit.DAYS), "1 day after"),
        (around("before", 3), "3 days before deal.close_date"),
        (around("after", 1, Unit.MONTHS), "1 month after deal.close_date"),
        (around("at"), "at deal.close_date"),
    ],
)
def test_a_timing_reads_as_words(timing: Timing, words: str) -> None:
    assert timing.in_words() == words


def test_a_naive_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        after(1, Unit.DAYS).ends_at(datetime(2026, 1, 1), "UTC")  # noqa: DTZ001 - the point


def test_an_unknown_zone_is_refused_with_the_nearest_real_one() -> None:
    with pytest.raises(
        ValueError, match=r"unknown time zone Europe/Warsow, did you mean Europe/Warsaw\?"
    ):
        check_zone("Europe/Warsow")


@pytest.mark.parametrize("name", ["", "Europe", "../etc/passwd", "localtime", "utc\0", "x" * 500])
def test_what_is_no_zone_is_refused(name: str) -> None:
    class Company(BaseModel):
        zone: TimeZoneName

    with pytest.raises(ValidationError):
        Company(zone=name)


@pytest.mark.parametrize(
    ("direction", "amount", "unit", "day", "due"),
    [
        ("before", 3, Unit.DAYS, "2027-03-01", "2027-02-26T00:00+01:00"),
        ("before", 1, Unit.MONTHS, "2027-03-31", "2027-02-28T00:00+01:00"),
        ("before", 1, Unit.MONTHS, "2028-03-31", "2028-02-29T00:00+01:00"),
        ("before", 1, Unit.YEARS, "2028-02-29", "2027-02-28T00:00+01:00"),
        ("before", 1, Unit.DAYS, "2027-03-29", "2027-03-28T00:00+01:00"),
        ("before", 24, Unit.HOURS, "2027-03-29", "2027-03-27T23:00+01:00"),
        ("before", 1, Unit.WEEKS, "2027-11-03", "2027-10-27T00:00+02:00"),
        ("at", 0, Unit.DAYS, "2027-07-01", "2027-07-01T00:00+02:00"),
        ("after", 9, Unit.HOURS, "2027-07-01", "2027-07-01T09:00+02:00"),
        ("after", 6, Unit.MONTHS, "2027-08-31", "2028-02-29T00:00+01:00"),
    ],
)
def test_a_date_counts_from_midnight_on_the_calendar_of_the_zone(
    direction: str, amount: int, unit: Unit, day: str, due: str
) -> None:
    midnight = moment_of(date.fromisoformat(day), MADRID)

    assert midnight is not None
    assert around(direction, amount, unit).due_at(midnight, MADRID) == moment(due)


def test_where_the_clock_leaves_out_midnight_a_date_counts_from_the_first_moment_of_the_day() -> (
    None
):
    assert moment_of(date(2018, 11, 4), "America/Sao_Paulo") == moment("2018-11-04T01:00-02:00")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0001-01-01T00:00:00+14:00", BEGINNING),
        ("0001-01-01T00:00:00Z", BEGINNING),
        ("9999-12-31T23:59:59.999999-12:00", END),
    ],
)
def test_a_moment_at_the_end_of_the_calendar_is_a_moment_too(written: str, meant: datetime) -> None:
    assert moment_of(written, MADRID) == meant


@given(value=any_date, zone=zones, amount=st.integers(1, 1000), unit=units)
@example(value=date.min, zone="Asia/Kathmandu", amount=1000, unit=Unit.YEARS)
@example(value=date.max, zone="America/Sao_Paulo", amount=1000, unit=Unit.YEARS)
def test_whatever_date_it_is_before_and_after_are_moments_in_utc(
    value: date, zone: str, amount: int, unit: Unit
) -> None:
    timings = [around("before", min(amount, 1000), unit), around("after", amount, unit)]
    anchor = moment("2027-01-01T00:00Z")

    dues = [timing.due(value, anchor, Clocks(zone), 1) for timing in timings]
    moments = [timing.due_at(moment_of(value, zone) or BEGINNING, zone) for timing in timings]

    assert all(due.at is None or (due.at.tzinfo is UTC and due.at >= anchor) for due in dues)
    assert all(each.tzinfo is UTC and BEGINNING <= each <= END for each in moments)


@given(anchor=anchors, zone=zones, unit=CLOCK, amount=st.integers(1, 5000))
def test_hours_before_and_after_again_is_the_moment_itself(
    anchor: datetime, zone: str, unit: Unit, amount: int
) -> None:
    before = around("before", amount, unit).due_at(anchor, zone)

    assert before < anchor
    assert around("after", amount, unit).due_at(before, zone) == anchor


@given(day=days, zone=zones, unit=st.sampled_from([Unit.DAYS, Unit.WEEKS]), amount=amounts)
def test_days_before_and_after_again_miss_a_date_by_no_more_than_a_change_of_the_clocks(
    day: date, zone: str, unit: Unit, amount: int
) -> None:
    amount = amount % 900 + 1
    midnight = moment_of(day, zone) or END

    before = around("before", amount, unit).due_at(midnight, zone)
    back = around("after", amount, unit).due_at(before, zone)

    assert before < midnight
    assert abs(back - midnight) <= WIDEST_GAP


@given(day=days, zone=zones, unit=st.sampled_from([Unit.MONTHS, Unit.YEARS]), amount=amounts)
def test_months_before_and_after_again_miss_it_by_no_more_than_the_months_differ(
    day: date, zone: str, unit: Unit, amount: int
) -> None:
    amount = amount % 60 + 1
    midnight = moment_of(day, zone) or END

    before = around("before", amount, unit).due_at(midnight, zone)
    back = around("after", amount, unit).due_at(before, zone)

    assert abs(back - midnight) <= LONGEST_MONTH - SHORTEST_MONTH + WIDEST_GAP


@given(
    first=days,
    second=days,
    zone=zones,
    unit=CALENDAR,
    amount=amounts,
    direction=st.sampled_from(["before", "after"]),
)
def test_a_later_date_is_never_due_earlier(
    first: date, second: date, zone: str, unit: Unit, amount: int, direction: str
) -> None:
    timing = around(direction, amount % 90 + 1, unit)
    early, late = sorted((first, second))

    dues = [timing.due_at(moment_of(day, zone) or END, zone) for day in (early, late)]

    assert dues == sorted(dues)


@given(
    first=anchors,
    second=anchors,
    zone=zones,
    unit=units,
    amount=st.integers(1, 90),
    direction=st.sampled_from(["before", "after"]),
)
def test_a_later_moment_is_due_earlier_only_within_a_change_of_the_clocks(
    first: datetime, second: datetime, zone: str, unit: Unit, amount: int, direction: str
) -> None:
    timing = around(direction, amount, unit)
    early, late = sorted((first, second))

    assert timing.due_at(early, zone) <= timing.due_at(late, zone) + WIDEST_GAP


FIRST_OF_MARCH = moment("2027-03-01T09:00Z")


def test_a_moment_still_to_come_is_when_it_is_due() -> None:
    due = around("before", 3).due(date(2027, 5, 1), FIRST_OF_MARCH, Clocks(MADRID), 1)

    assert due == Due(moment("2027-04-28T00:00+02:00"))


def test_a_moment_that_is_past_is_due_when_the_rule_starts_counting() -> None:
    assert around("before", 3).due(date(2027, 3, 2), FIRST_OF_MARCH, Clocks(MADRID), 1) == Due(
        FIRST_OF_MARCH
    )


@pytest.mark.parametrize(
    ("timing", "value", "reason"),
    [
        (around("before", 3), date(2027, 3, 1), "close date 1 March 2027 − 3 days was past"),
        (around("after", 1), date(2027, 2, 1), "close date 1 February 2027 + 1 day was past"),
        (around("at"), date(2027, 2, 1), "close date 1 February 2027 was past"),
        (
            around("at", field="item.created_at"),
            moment("2027-02-28T23:30Z"),
            "created at 1 March 2027 00:30 was past",
        ),
        (
            around("at", field="deal.custom.renewal"),
            "2027-02-01",
            "renewal 1 February 2027 was past",
        ),
    ],
)
def test_a_moment_that_is_past_is_skipped_if_the_rule_says_so(
    timing: AroundDate, value: object, reason: str
) -> None:
    strict = timing.model_copy(update={"when_past": WhenPast.SKIP})

    assert strict.due(value, FIRST_OF_MARCH, Clocks(MADRID), 1) == Due(None, reason)


def test_a_moment_that_is_just_now_is_not_past() -> None:
    timing = around("at", when_past="skip")

    assert timing.due(FIRST_OF_MARCH, FIRST_OF_MARCH, Clocks(MADRID), 1) == Due(FIRST_OF_MARCH)


@pytest.mark.parametrize("value", [None, "", "soon", "2027-03-01T10:00", 20270301, ["2027-03-01"]])
@pytest.mark.parametrize(
    ("when_empty", "due"),
    [
        (WhenEmpty.WAIT, Due(None)),
        (WhenEmpty.SKIP, Due(None, "close date is empty")),
        (WhenEmpty.RUN, Due(FIRST_OF_MARCH)),
    ],
)
def test_without_a_date_it_waits_is_skipped_or_runs(
    value: object, when_empty: WhenEmpty, due: Due
) -> None:
    assert around("at", when_empty=when_empty).due(value, FIRST_OF_MARCH, Clocks(MADRID), 1) == due


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("2027-03-01", "2027-03-01T00:00+01:00"),
        ("2027-03-01T10:00:00Z", "2027-03-01T10:00Z"),
        ("2027-03-01 10:00+05:30", "2027-03-01T04:30Z"),
        (moment("2027-03-01T10:00Z"), "2027-03-01T10:00Z"),
    ],
)
def test_a_date_is_read_from_columns_and_from_json(value: object, meant: str) -> None:
    assert moment_of(value, MADRID) == moment(meant)


def test_a_naive_moment_to_count_from_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        around("before", 1).due_at(datetime(2026, 1, 1), "UTC")  # noqa: DTZ001 - the point


@pytest.mark.parametrize("direction", Direction)
def test_a_zone_that_does_not_exist_is_refused_around_dates_too(direction: Direction) -> None:
    timing = around(direction, 0 if direction is Direction.AT else 1)

    with pytest.raises(ValueError, match="unknown time zone"):
        timing.due_at(FIRST_OF_MARCH, "Europe/Warsow")


DEALS = Catalogue.of(
    ItemType.DEAL,
    [Field("renewal", "Renewal", FieldKind.DATE), Field("colour", "Colour", FieldKind.TEXT)],
)


@pytest.mark.parametrize(
    "timing",
    [
        AtOnce(),
        after(1, Unit.DAYS),
        around("at", field="deal.close_date"),
        around("at", field="item.begin_date"),
        around("at", field="deal.created_at"),
        around("at", field="deal.custom.renewal"),
        around("at", field="item.custom.renewal"),
    ],
)
def test_a_rule_may_be_timed_around_every_date_of_the_item(timing: Timing) -> None:
    assert check(timing, DEALS) == []


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("deal.close_dat", "unknown field deal.close_dat, did you mean deal.close_date?"),
        (
            "deal.custom.renewel",
            "unknown field deal.custom.renewel, did you mean deal.custom.renewal?",
        ),
        ("lead.close_date", "unknown field lead.close_date, did you mean deal.close_date?"),
        ("zzz", "unknown field zzz"),
        ("deal.title", "deal.title is no date of the item, as deal.begin_date is"),
        ("deal.custom.colour", "deal.custom.colour is no date of the item, as deal.begin_date is"),
        ("contact.name", "contact.name is no date of the item, as deal.begin_date is"),
    ],
)
def test_any_other_field_is_refused_with_the_nearest_date(field: str, reason: str) -> None:
    assert check(around("at", field=field), DEALS) == [Problem("/field", reason)]


WARSAW = "Europe/Warsaw"
OFFICE = Calendar(USUAL_HOURS, WARSAW, "PL", days_off=frozenset({date(2027, 4, 15)}))
TOKYO = Calendar(USUAL_HOURS, "Asia/Tokyo", "JP")
WORKING = Clocks(WARSAW, OFFICE, TOKYO)
FRIDAY_EVENING = moment("2027-03-05T17:00+01:00")
properties = settings(max_examples=80, derandomize=True, deadline=None)


def timed(**said: Any) -> Timing:
    return TIMING.validate_python({"kind": "after_delay", "amount": 2, "unit": "hours"} | said)


def due_of(timing: Timing, anchor: datetime, value: object = None) -> datetime | None:
    return timing.due(value, anchor, WORKING, 4711).at


@pytest.mark.parametrize(
    ("said", "due"),
    [
        ({"kind": "at_once", "clock_time": "18:30"}, "2027-03-05T18:30+01:00"),
        ({"kind": "at_once", "clock_time": "09:00"}, "2027-03-06T09:00+01:00"),
        ({"clock_time": "09:00"}, "2027-03-06T09:00+01:00"),
        ({"unit": "days", "clock_time": "09:00"}, "2027-03-07T09:00+01:00"),
        ({"unit": "days", "clock_time": "09:00", "time_zone": "UTC"}, "2027-03-07T09:00Z"),
        ({"unit": "months", "clock_time": "00:00"}, "2027-05-05T00:00+02:00"),
        ({"working_hours": "company"}, "2027-03-08T10:00+01:00"),
        ({"working_hours": "company", "unit": "days"}, "2027-03-09T17:00+01:00"),
        ({"working_hours": "company", "unit": "weeks"}, "2027-03-19T17:00+01:00"),
        (
            {"working_hours": "company", "unit": "days", "clock_time": "08:00"},
            "2027-03-09T09:00+01:00",
        ),
        ({"kind": "at_once", "working_hours": "company"}, "2027-03-05T17:00+01:00"),
        (
            {"kind": "at_once", "working_hours": "company", "clock_time": "16:00"},
            "2027-03-08T16:00+01:00",
        ),
        ({"kind": "at_once", "working_hours": "responsible"}, "2027-03-08T09:00+09:00"),
        ({"working_hours": "responsible"}, "2027-03-08T11:00+09:00"),
    ],
    ids=str,
)
def test_clock_and_working_time_are_counted_from_friday_evening(
    said: dict[str, Any], due: str
) -> None:
    plain = {"amount": 2, "unit": "hours"} if said.get("kind") is None else {}
    timing = TIMING.validate_python({"kind": "after_delay"} | plain | said)

    assert due_of(timing, FRIDAY_EVENING) == moment(due)


@pytest.mark.parametrize(
    ("said", "value", "due"),
    [
        ({"direction": "at"}, date(2027, 4, 14), "2027-04-14T09:00+02:00"),
        ({"direction": "at"}, date(2027, 4, 15), "2027-04-16T09:00+02:00"),
        ({"direction": "before", "amount": 1}, date(2027, 4, 15), "2027-04-13T09:00+02:00"),
        ({"direction": "after", "amount": 1}, date(2027, 4, 15), "2027-04-19T09:00+02:00"),
        (
            {"direction": "before", "amount": 1, "unit": "months"},
            date(2027, 5, 15),
            "2027-04-14T09:00+02:00",
        ),
        (
            {"direction": "before", "amount": 2, "unit": "hours"},
            date(2027, 4, 16),
            "2027-04-14T16:00+02:00",
        ),
        ({"direction": "at", "clock_time": "15:30"}, date(2027, 4, 17), "2027-04-19T15:30+02:00"),
        (
            {"direction": "before", "amount": 1, "clock_time": "07:00"},
            date(2027, 4, 14),
            "2027-04-12T18:00+02:00",
        ),
        ({"direction": "at"}, "2027-04-15T12:00:00+02:00", "2027-04-16T09:00+02:00"),
        (
            {"direction": "before", "amount": 1, "unit": "hours"},
            "2027-04-14T09:30:00+02:00",
            "2027-04-13T17:30+02:00",
        ),
    ],
    ids=str,
)
def test_around_a_date_what_is_no_working_time_gives_way(
    said: dict[str, Any], value: object, due: str
) -> None:
    timing = around(**({"working_hours": "company"} | said))

    assert due_of(timing, FIRST_OF_MARCH, value) == moment(due)


def test_a_moment_that_is_past_waits_for_working_time() -> None:
    timing = around("at", working_hours="company")

    assert due_of(timing, moment("2027-03-06T12:00Z"), date(2027, 1, 4)) == moment(
        "2027-03-08T09:00+01:00"
    )


def test_of_a_date_the_day_is_decisive_and_the_clock_time_may_be_past() -> None:
    skipping = around("at", clock_time="08:00", when_past="skip")
    noon = moment("2027-03-05T12:00Z")

    assert skipping.due(date(2027, 3, 5), noon, WORKING, 1).skipped is not None
    assert skipping.due(date(2027, 3, 6), noon, WORKING, 1).at == moment("2027-03-06T08:00+01:00")


def test_where_somebody_is_away_until_nobody_knows_the_company_counts() -> None:
    away = Calendar(USUAL_HOURS, "Asia/Tokyo", absence=Absence(FIRST_OF_MARCH, None))
    timing = timed(working_hours="responsible")

    due = timing.due(None, FRIDAY_EVENING, Clocks(WARSAW, OFFICE, away), 1)

    assert due.at == moment("2027-03-08T10:00+01:00")


def test_where_nobody_is_responsible_the_company_counts() -> None:
    due = timed(working_hours="responsible").due(None, FRIDAY_EVENING, Clocks(WARSAW, OFFICE), 1)

    assert due.at == moment("2027-03-08T10:00+01:00")


def test_the_runs_of_many_items_are_spread_and_each_keeps_its_moment() -> None:
    timing = timed(kind="after_delay", amount=1, unit="hours", spread_minutes=60)

    dues = [timing.due(None, FIRST_OF_MARCH, WORKING, run_id).at for run_id in range(1000)]
    again = [timing.due(None, FIRST_OF_MARCH, WORKING, run_id).at for run_id in range(1000)]

    begin = FIRST_OF_MARCH + timedelta(hours=1)
    assert dues == again
    assert min(filter(None, dues)) >= begin
    assert max(filter(None, dues)) < begin + timedelta(hours=1)
    assert len(set(dues)) > 500


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({}, None),
        (
            {"kind": "around_date", "field": "deal.close_date", "direction": "after"},
            "2027-03-04T17:00+01:00",
        ),
    ],
)
def test_of_working_days_a_short_one_counts_too_where_the_clock_time_is_said(
    said: dict[str, Any], value: str | None
) -> None:
    short = USUAL_HOURS.model_copy(update={"fri": [["09:00", "14:00"]]})
    clocks = Clocks(WARSAW, Calendar(short, WARSAW))
    timing = timed(unit="days", amount=1, clock_time="09:00", working_hours="company", **said)

    due = timing.due(value, moment("2027-03-04T17:00+01:00"), clocks, 1)

    assert due.at == moment("2027-03-05T09:00+01:00")


def test_what_is_spread_stays_in_working_time() -> None:
    timing = timed(unit="minutes", amount=55, working_hours="company", spread_minutes=120)

    dues = [timing.due(None, FRIDAY_EVENING, WORKING, run_id).at for run_id in range(50)]

    assert all(OFFICE.is_working(due) for due in dues if due)
    assert {local(due, WARSAW).date() for due in dues if due} == {
        date(2027, 3, 5),
        date(2027, 3, 8),
    }


timings: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    clock_time=st.none() | st.sampled_from(["00:00", "02:30", "09:00", "23:59"]),
    time_zone=st.none() | zones,
    working_hours=st.none() | st.sampled_from(Hours),
    spread_minutes=st.sampled_from([0, 1, 60]),
)
near = st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
spans = st.tuples(st.integers(1, 400), units)


@given(timings, near, spans, zones)
@properties
def test_however_it_is_timed_it_is_never_due_before_its_anchor_nor_off_its_hours(
    said: dict[str, Any], anchor: datetime, span: tuple[int, Unit], zone: str
) -> None:
    clocks = Clocks(zone, OFFICE, TOKYO)
    timing = after(*span).model_copy(update=said)

    due = timing.due(None, anchor, clocks, 7).at

    counted = {None: [], Hours.COMPANY: [OFFICE], Hours.RESPONSIBLE: [TOKYO]}
    assert due is not None
    assert due >= anchor
    assert all(calendar.is_working(due) for calendar in counted[timing.working_hours])


@given(timings, near, near, spans, zones)
@properties
def test_however_it_is_timed_a_later_anchor_is_never_due_earlier(
    said: dict[str, Any], one: datetime, other: datetime, span: tuple[int, Unit], zone: str
) -> None:
    clocks = Clocks(zone, OFFICE, TOKYO)
    timing = after(*span).model_copy(update=said)
    early, late = sorted([one, other])

    first, second = (timing.due(None, anchor, clocks, 7).at for anchor in (early, late))

    assert first is not None
    assert second is not None
    assert first <= second


@given(timings, near, st.dates(date(2026, 1, 1), date(2028, 12, 31)), zones)
@properties
def test_at_a_clock_time_it_is_that_time_where_nothing_stands_against_it(
    said: dict[str, Any], anchor: datetime, day: date, zone: str
) -> None:
    timing = around("at", clock_time="12:15", time_zone=said["time_zone"])

    due = timing.due(day, BEGINNING, Clocks(zone, OFFICE, TOKYO), 7).at

    assert due is not None
    assert f"{local(due, said['time_zone'] or zone):%Y-%m-%d %H:%M}" == f"{day} 12:15"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"clock_time": "09:00", "time_zone": "UTC"}, "2 hours after, at 09:00, in UTC"),
        ({"working_hours": "company"}, "2 hours after, in the working time of the company"),
        ({"spread_minutes": 5}, "2 hours after, spread over 5 minutes"),
    ],
)
def test_a_timing_is_told_in_words(said: dict[str, Any], words: str) -> None:
    assert timed(**said).in_words() == words


@pytest.mark.parametrize(
    "said",
    [
        {"clock_time": "24:00"},
        {"clock_time": "9:00"},
        {"time_zone": "Warsaw"},
        {"working_hours": "mine"},
        {"spread_minutes": -1},
        {"spread_minutes": 1441},
    ],
    ids=str,
)
def test_a_clock_that_cannot_be_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        timed(**said)
