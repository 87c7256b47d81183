from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from models.timing import A_YEAR, AfterDelay, AtOnce, TimeZoneName, Timing, Unit, check_zone

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


def after(amount: int, unit: Unit) -> AfterDelay:
    return AfterDelay(amount=amount, unit=unit)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_at_once_is_due_at_the_anchor() -> None:
    anchor = moment("2026-08-31T10:00:00.123456Z")

    assert AtOnce().due_at(anchor, MADRID) == anchor


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
    assert after(amount, unit).due_at(moment(anchor), MADRID) == moment(due)


def test_a_clock_time_that_does_not_exist_moves_on_by_the_gap() -> None:
    due = after(1, Unit.DAYS).due_at(moment("2026-03-28T02:30+01:00"), MADRID)

    assert due == moment("2026-03-29T03:30+02:00")


def test_of_a_clock_time_that_comes_twice_the_first_is_taken() -> None:
    due = after(1, Unit.DAYS).due_at(moment("2026-10-24T02:30+02:00"), MADRID)

    assert due == moment("2026-10-25T02:30+02:00")


@given(anchor=anchors, zone=zones, unit=units)
def test_no_delay_is_the_anchor(anchor: datetime, zone: str, unit: Unit) -> None:
    assert after(0, unit).due_at(anchor, zone) == anchor


@given(anchor=anchors, zone=zones, unit=units, few=amounts, more=amounts)
def test_a_longer_delay_is_never_due_earlier(
    anchor: datetime, zone: str, unit: Unit, few: int, more: int
) -> None:
    few, more = sorted((few % 900, more % 900))

    first, second = after(few, unit).due_at(anchor, zone), after(more, unit).due_at(anchor, zone)

    assert anchor <= first <= second


@given(anchor=anchors, zone=zones, unit=units, amount=st.integers(0, 900))
def test_the_due_time_is_utc_and_keeps_the_microseconds(
    anchor: datetime, zone: str, unit: Unit, amount: int
) -> None:
    due = after(amount, unit).due_at(anchor, zone)

    assert due.tzinfo is UTC
    assert due.microsecond == anchor.microsecond


@given(anchor=anchors, zone=zones, amount=st.integers(0, 10**9))
def test_seconds_are_exact_in_every_zone(anchor: datetime, zone: str, amount: int) -> None:
    assert after(amount, Unit.SECONDS).due_at(anchor, zone) == anchor + timedelta(seconds=amount)


@given(
    minutes=st.integers(0, 180),
    unit=CALENDAR,
    amount=amounts.map(lambda n: n % 50),
    day=st.sampled_from(["2026-03-28T00:30Z", "2026-10-24T23:30Z", "2026-03-29T00:00Z"]),
)
def test_dst_never_raises(minutes: int, unit: Unit, amount: int, day: str) -> None:
    anchor = moment(day) + timedelta(minutes=minutes)

    assert after(amount, unit).due_at(anchor, MADRID) >= anchor


@pytest.mark.parametrize("unit", Unit)
def test_a_thousand_years_are_accepted_and_can_be_counted(unit: Unit) -> None:
    due = after(1000 * A_YEAR[unit], unit).due_at(moment("2026-01-01T00:00Z"), MADRID)

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
        {"kind": "some_day"},
        {},
    ],
)
def test_what_is_no_timing_is_refused(sent: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TIMING.validate_python(sent)


@pytest.mark.parametrize("timing", [AtOnce(), after(6, Unit.MONTHS)])
def test_a_timing_survives_json(timing: AtOnce | AfterDelay) -> None:
    assert TIMING.validate_json(TIMING.dump_json(timing)) == timing


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (AtOnce(), "at once"),
        (after(6, Unit.MONTHS), "6 months after"),
        (after(1, Unit.DAYS), "1 day after"),
    ],
)
def test_a_timing_reads_as_words(timing: AtOnce | AfterDelay, words: str) -> None:
    assert timing.in_words() == words


def test_a_naive_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        after(1, Unit.DAYS).due_at(datetime(2026, 1, 1), "UTC")  # noqa: DTZ001 - the point


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
