"""Working time: counted within the hours of the week, over holidays, absences and clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.working_time import (
    USUAL_HOURS,
    Absence,
    Calendar,
    NoWorkingTime,
    WorkingHours,
    check_country,
    local,
)

HOUR = timedelta(hours=1)
WARSAW = "Europe/Warsaw"

SHIFTS = WorkingHours(
    mon=[["09:00", "13:00"], ["14:00", "18:00"]],
    tue=[["09:00", "13:00"], ["14:00", "18:00"]],
    wed=[["09:00", "13:00"], ["14:00", "18:00"]],
    thu=[["09:00", "13:00"], ["14:00", "18:00"]],
    fri=[["09:00", "13:00"], ["14:00", "18:00"]],
)
NIGHTS = WorkingHours(
    fri=[["22:00", "24:00"]], sat=[["00:00", "06:00"], ["22:00", "24:00"]], sun=[["00:00", "06:00"]]
)
OFFICE = Calendar(SHIFTS, WARSAW, "PL")

several = st.sampled_from(
    [
        OFFICE,
        Calendar(USUAL_HOURS, "America/New_York", "US"),
        Calendar(NIGHTS, "Europe/Berlin", "DE-BY", days_off=frozenset({date(2027, 7, 2)})),
        Calendar(NIGHTS, "America/Havana"),
        Calendar(USUAL_HOURS, "Australia/Lord_Howe"),
        Calendar(
            SHIFTS,
            WARSAW,
            absence=Absence(
                datetime(2027, 3, 1, 11, tzinfo=UTC), datetime(2027, 4, 1, 11, tzinfo=UTC)
            ),
        ),
    ]
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
spans = st.timedeltas(timedelta(), timedelta(hours=200))
few_days = st.integers(0, 60)
properties = settings(max_examples=60, derandomize=True, deadline=None)


def at(text: str) -> datetime:
    """Return when the clocks of Warsaw show that."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(WARSAW)).astimezone(UTC)


@pytest.mark.parametrize(
    ("begin", "hours", "end"),
    [
        ("2027-03-01 09:00", 0, "2027-03-01 09:00"),
        ("2027-03-01 08:00", 0, "2027-03-01 09:00"),
        ("2027-03-01 09:00", 4, "2027-03-01 13:00"),
        ("2027-03-01 12:00", 2, "2027-03-01 15:00"),
        ("2027-03-05 17:00", 2, "2027-03-08 10:00"),
        ("2027-03-06 11:00", 1, "2027-03-08 10:00"),
        ("2026-12-23 16:30", 4, "2026-12-28 11:30"),
    ],
)
def test_hours_are_counted_over_breaks_weekends_and_holidays(
    begin: str, hours: int, end: str
) -> None:
    assert OFFICE.add(at(begin), hours * HOUR) == at(end)


@pytest.mark.parametrize(
    ("end", "hours", "begin"),
    [
        ("2027-03-08 10:00", 2, "2027-03-05 17:00"),
        ("2027-03-07 10:00", 0, "2027-03-05 18:00"),
        ("2026-12-28 11:30", 4, "2026-12-23 16:30"),
    ],
)
def test_hours_are_counted_back(end: str, hours: int, begin: str) -> None:
    assert OFFICE.subtract(at(end), hours * HOUR) == at(begin)


def test_a_day_before_a_day_off_is_two_days_earlier() -> None:
    office = Calendar(USUAL_HOURS, WARSAW, days_off=frozenset({date(2027, 4, 15)}))

    assert office.day_before(date(2027, 4, 15), 1) == date(2027, 4, 13)
    assert office.day_after(date(2027, 4, 15), 1) == date(2027, 4, 19)


def test_working_days_keep_the_clock_time_over_a_change_of_the_clocks() -> None:
    friday, monday = at("2027-03-26 10:00"), datetime(2027, 3, 30, 8, tzinfo=UTC)

    assert OFFICE.add_days(friday, 1) == monday, "Easter Monday is a holiday"
    assert OFFICE.subtract_days(monday, 1) == friday


def test_a_night_is_as_long_as_the_clock_says() -> None:
    club = Calendar(NIGHTS, "Europe/Berlin")
    opens = datetime(2027, 10, 30, 20, tzinfo=UTC)

    assert club.add(opens, 8 * HOUR) == opens + 8 * HOUR
    assert club.add(opens, 9 * HOUR) == datetime(2027, 10, 31, 5, tzinfo=UTC)


def test_who_is_away_works_after_that() -> None:
    away = Absence(at("2027-03-01 12:00"), at("2027-03-03 10:00"))
    ann = Calendar(SHIFTS, WARSAW, absence=away)

    assert ann.add(at("2027-03-01 11:00"), 2 * HOUR) == at("2027-03-03 11:00")
    assert not ann.is_working(at("2027-03-02 10:00"))


@pytest.mark.parametrize("begins", [None, at("2027-02-01 12:00")])
def test_who_is_away_until_nobody_knows_has_no_working_time(begins: datetime | None) -> None:
    ann = Calendar(SHIFTS, WARSAW, absence=Absence(begins, None))

    with pytest.raises(NoWorkingTime):
        ann.next(at("2027-03-01 10:00"))


def test_what_is_too_far_away_is_not_counted() -> None:
    with pytest.raises(NoWorkingTime):
        OFFICE.add(at("2027-03-01 10:00"), timedelta(days=36_600))
    with pytest.raises(NoWorkingTime):
        OFFICE.add_days(at("2027-03-01 10:00"), 40_000)


@given(several, moments, spans)
@properties
def test_what_is_counted_ends_in_working_time_and_not_earlier(
    calendar: Calendar, moment: datetime, span: timedelta
) -> None:
    end = calendar.add(moment, span)

    assert calendar.is_working(end)
    assert end - moment >= span


@given(several, moments, spans)
@properties
def test_counting_back_undoes_counting(
    calendar: Calendar, moment: datetime, span: timedelta
) -> None:
    begin = calendar.next(moment)

    end = calendar.add(begin, span)

    assert calendar.add(calendar.subtract(end, span), span) == end
    assert calendar.subtract(end, span) <= begin or span == timedelta()


@given(several, moments, moments, spans, spans)
@properties
def test_later_and_longer_never_end_earlier(
    calendar: Calendar, one: datetime, other: datetime, short: timedelta, more: timedelta
) -> None:
    early, late = sorted([one, other])

    assert calendar.add(early, short) <= calendar.add(late, short)
    assert calendar.add(early, short) <= calendar.add(early, short + more)
    assert calendar.subtract(early, short) <= calendar.subtract(late, short)


@given(several, moments, few_days)
@properties
def test_working_days_end_on_a_working_day(calendar: Calendar, moment: datetime, days: int) -> None:
    end = calendar.add_days(moment, days)
    begin = calendar.subtract_days(moment, days)

    assert calendar.is_working(end)
    assert calendar.is_working(begin)
    assert begin <= moment <= end


@given(moments)
@properties
def test_nobody_works_on_a_holiday(moment: datetime) -> None:
    day = local(OFFICE.next(moment), WARSAW).date()

    assert (day.month, day.day) not in {(1, 1), (1, 6), (5, 1), (5, 3), (11, 11), (12, 25)}
    assert day.weekday() < 5


@pytest.mark.parametrize(
    "hours",
    [
        {},
        {"mon": []},
        {"mon": [["09:00", "09:00"]]},
        {"mon": [["18:00", "09:00"]]},
        {"mon": [["09:00", "13:00"], ["12:00", "18:00"]]},
        {"mon": [["24:00", "24:00"]]},
        {"mon": [["9:00", "18:00"]]},
        {"mon": [["09:00"]]},
    ],
    ids=str,
)
def test_hours_that_cannot_be_are_refused(hours: object) -> None:
    with pytest.raises(ValidationError):
        WorkingHours.model_validate(hours)


@pytest.mark.parametrize("country", ["PL", "DE-BY", "US-CA"])
def test_a_country_or_a_part_of_it_has_holidays(country: str) -> None:
    assert check_country(country) == country


@pytest.mark.parametrize(
    ("country", "reason"),
    [("", "after ISO 3166"), ("pl", "after ISO 3166"), ("XX", "unknown"), ("DE-XX", "no part XX")],
)
def test_a_country_that_is_none_is_refused(country: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_country(country)
