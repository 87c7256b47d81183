"""Working time: hours of the week in a time zone, less holidays, days off and an absence.

Moments go in and come out as aware UTC. It is working time when the clock on the wall says so:
an hour that the clock shows twice counts twice, one that it leaves out does not count. Both ends
of a span are working moments.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from whenever import Date, Time

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""What lies beyond is in no calendar."""

A_DAY = timedelta(days=1)
A_SECOND = timedelta(seconds=1)
A_WEEK = timedelta(weeks=1)
LONGEST_COUNT = timedelta(days=36_525)
LONGEST_BREAK = timedelta(days=5 * 366)
"""So long nothing is counted through, and so long a time without work is none of ours."""

MOST_SPANS = 12
COUNTRY = re.compile(r"[A-Z]{2}(-.+)?")

DayTime = Annotated[
    str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$", examples=["09:00", "24:00"])
]
Span = Annotated[list[DayTime], Field(min_length=2, max_length=2)]


def _in_order(spans: list[list[str]]) -> list[list[str]]:
    """Return the spans of a day if each begins after the one before has ended."""
    ends = "00:00"
    for begin, end in spans:
        if begin >= end:
            raise ValueError(f"{begin} is not before {end}")
        if begin < ends:
            raise ValueError(f"{begin} is before {ends}, when the span above it ends")
        ends = end
    return spans


Spans = Annotated[list[Span], Field(max_length=MOST_SPANS), AfterValidator(_in_order)]


class WorkingHours(BaseModel):
    """When work is done in a week: from and to, several times a day; 24:00 ends the day."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"mon": [["09:00", "13:00"], ["14:00", "18:00"]], "tue": []}]
        },
    )

    mon: Spans = Field(default=[], description="On Mondays.")
    tue: Spans = Field(default=[], description="On Tuesdays.")
    wed: Spans = Field(default=[], description="On Wednesdays.")
    thu: Spans = Field(default=[], description="On Thursdays.")
    fri: Spans = Field(default=[], description="On Fridays.")
    sat: Spans = Field(default=[], description="On Saturdays.")
    sun: Spans = Field(default=[], description="On Sundays.")

    @model_validator(mode="after")
    def _has_some(self) -> Self:
        if not any(self.week):
            raise ValueError("at least one day of the week needs working hours")
        return self

    @property
    def week(self) -> tuple[list[list[str]], ...]:
        """The spans of each day, Monday first."""
        return self.mon, self.tue, self.wed, self.thu, self.fri, self.sat, self.sun


_FROM_NINE_TO_SIX = [["09:00", "18:00"]]
USUAL_HOURS = WorkingHours(
    mon=_FROM_NINE_TO_SIX,
    tue=_FROM_NINE_TO_SIX,
    wed=_FROM_NINE_TO_SIX,
    thu=_FROM_NINE_TO_SIX,
    fri=_FROM_NINE_TO_SIX,
)
"""Those of a company that has not said."""


class NoWorkingTime(Exception):
    """A calendar never has the working moment that is looked for, or not within our time."""


@dataclass(frozen=True)
class Absence:
    """Away from one moment to another; None is since ever, or until nobody knows when."""

    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True)
class Calendar:
    """When somebody works, or a company. `country` may name a part of one: `DE-BY`.

    Whatever cannot be counted raises `NoWorkingTime`: after the beginning of an absence of which
    nobody knows the end, for example.
    """

    hours: WorkingHours
    zone: str
    country: str | None = None
    days_off: frozenset[date] = frozenset()
    absence: Absence | None = None

    def is_working(self, moment: datetime) -> bool:
        try:
            return self.next(moment) == moment
        except NoWorkingTime:
            return False

    def spans(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield what is worked between two moments, in order; spans may touch."""
        for begin, end in self._spans_after(since):
            if begin >= until:
                return
            if max(begin, since) < min(end, until):
                yield max(begin, since), min(end, until)

    def next(self, moment: datetime) -> datetime:
        """Return the first working moment, this one if it is one."""
        return self.add(moment, timedelta())

    def previous(self, moment: datetime) -> datetime:
        """Return the last working moment, this one if it is one."""
        return self.subtract(moment, timedelta())

    def add(self, moment: datetime, span: timedelta) -> datetime:
        """Return the first moment by which so much working time has passed."""
        for begin, end in self._spans_after(moment):
            start = max(begin, moment)
            if start + span <= end:
                return start + span
            span -= end - start
        raise NoWorkingTime

    def subtract(self, moment: datetime, span: timedelta) -> datetime:
        """Return the last moment from which so much working time passes."""
        for begin, end in self._spans_before(moment):
            stop = min(end, moment)
            if stop - span >= begin:
                return stop - span
            span -= stop - begin
        raise NoWorkingTime

    def add_days(self, moment: datetime, days: int) -> datetime:
        """Return the moment so many working days later, at the same clock time if that is one.

        Counted from the first working moment.
        """
        start = local(self.next(moment), self.zone)
        return self.next(moment_at(self.day_after(start.date(), days), start.time(), self.zone))

    def subtract_days(self, moment: datetime, days: int) -> datetime:
        """Return the moment so many working days earlier, counted as `add_days` counts."""
        start = local(self.previous(moment), self.zone)
        day = self.day_before(start.date(), days)
        return self.previous(moment_at(day, start.time(), self.zone))

    def day_after(self, day: date, days: int) -> date:
        """Return the working day so many after this one, or after the next if this is none."""
        return self._day(day, days, A_DAY)

    def day_before(self, day: date, days: int) -> date:
        """Return the working day so many before this one, or the one before if this is none."""
        self._must_be_known(moment_at(day, time(), self.zone))
        return self._day(day, days, -A_DAY)

    def works_on(self, day: date) -> bool:
        """Tell whether any of the day is working time."""
        spans = self._week[day.weekday()]
        if not spans or self._is_off(day):
            return False
        if self.absence is None:
            return True
        (first, _), (_, last) = spans[0], spans[-1]
        return bool(self._there(self._at(day, first), self._at(day, last)))

    def _day(self, day: date, days: int, step: timedelta) -> date:
        if days > LONGEST_COUNT.days:
            raise NoWorkingTime
        idle = timedelta()
        while EARLIEST.date() < day < LATEST.date() and idle < LONGEST_BREAK:
            works = self.works_on(day)
            if works and not days:
                return day
            days -= works
            idle = timedelta() if works else idle + A_DAY
            day += step
        raise NoWorkingTime

    @cached_property
    def _week(self) -> tuple[tuple[tuple[timedelta, timedelta], ...], ...]:
        return tuple(
            tuple((_since_midnight(begin), _since_midnight(end)) for begin, end in spans)
            for spans in self.hours.week
        )

    def _is_off(self, day: date) -> bool:
        if day in self.days_off:
            return True
        return self.country is not None and day in holidays_of(self.country, day.year)

    def _at(self, day: date, since_midnight: timedelta) -> datetime:
        wall = datetime.combine(day, time()) + since_midnight
        return moment_at(wall.date(), wall.time(), self.zone)

    def _spans_after(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the spans that end at the moment or later, in order."""
        begin, last = _shifted(moment, -2 * A_DAY), _shifted(moment, LONGEST_COUNT)
        worked = moment
        while begin < last and begin - worked < LONGEST_BREAK and self._knows(begin):
            offset = self._offset(begin)
            end = min(begin + A_WEEK, last)
            if self._offset(end) != offset:
                end = self._change(begin, end)
            for span in self._spans(begin, end, offset):
                if span[1] >= moment:
                    worked = span[1]
                    yield span
            begin = end

    def _spans_before(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the spans that begin at the moment or earlier, the last first."""
        self._must_be_known(moment)
        end, first = _shifted(moment, 2 * A_DAY), _shifted(moment, -LONGEST_COUNT)
        worked = moment
        while end > first and worked - end < LONGEST_BREAK:
            offset = self._offset(end - A_SECOND)
            begin = max(end - A_WEEK, first)
            if self._offset(begin) != offset:
                begin = self._change(begin, end - A_SECOND)
            for span in reversed(list(self._spans(begin, end, offset))):
                if span[0] <= moment:
                    worked = span[0]
                    yield span
            end = begin

    def _spans(
        self, begin: datetime, end: datetime, offset: timedelta
    ) -> Iterator[tuple[datetime, datetime]]:
        """Yield what is worked between two moments that have the same offset from UTC."""
        day, last = (begin + offset).date(), (end + offset).date()
        while day <= last:
            spans = self._week[day.weekday()]
            if spans and not self._is_off(day):
                midnight = datetime.combine(day, time(), tzinfo=UTC) - offset
                for since, until in spans:
                    yield from self._there(max(midnight + since, begin), min(midnight + until, end))
            day += A_DAY

    def _there(self, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        """Return what remains of a span without the absence."""
        parts = [(begin, end)]
        if self.absence is not None:
            leaves, returns = self.absence.begins or EARLIEST, self.absence.ends or LATEST
            parts = [(begin, min(end, leaves)), (max(begin, returns), end)]
        return [(since, until) for since, until in parts if since < until]

    def _knows(self, moment: datetime) -> bool:
        """Tell whether it is known when work is done from this moment on."""
        away = self.absence
        return away is None or away.ends is not None or moment < (away.begins or EARLIEST)

    def _must_be_known(self, moment: datetime) -> None:
        if not self._knows(moment):
            raise NoWorkingTime

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()

    def _change(self, before: datetime, after: datetime) -> datetime:
        """Return the first moment of the offset that is there after, and was not before."""
        offset = self._offset(before)
        while after - before > A_SECOND:
            middle = before + (after - before) / 2
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after.replace(microsecond=0)


def moment_at(day: date, clock_time: time, zone: str) -> datetime:
    """Return when the clock shows that time: of two moments the first, in a gap that much later."""
    wall = Date(day).at(Time(clock_time))
    return wall.assume_tz(zone, disambiguation="compatible").to_instant().to_stdlib()


def local(moment: datetime, zone: str) -> datetime:
    """Return what calendar and clock show at a moment, naive."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def _since_midnight(clock_time: str) -> timedelta:
    hours, _, minutes = clock_time.partition(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _shifted(moment: datetime, by: timedelta) -> datetime:
    """Return the moment so much later or earlier, at most at an end of our time."""
    return moment + min(max(by, EARLIEST - moment), LATEST - moment)


@lru_cache(maxsize=1024)
def holidays_of(country: str, year: int) -> frozenset[date]:
    """Return the public holidays of a country or a part of it (`DE-BY`) in a year.

    One that does not exist is a ValueError.
    """
    from holidays import country_holidays  # noqa: PLC0415 - a quarter of a second, for few

    code, _, part = country.partition("-")
    try:
        return frozenset(country_holidays(code, subdiv=part or None, years=year))
    except NotImplementedError as error:
        raise ValueError(_unknown(code, part)) from error


def _unknown(code: str, part: str) -> str:
    from holidays import country_holidays  # noqa: PLC0415

    try:
        parts = country_holidays(code).subdivisions
    except NotImplementedError:
        return f"unknown country {code or '(empty)'}; ISO 3166 has codes such as DE"
    known = f"; there are {', '.join(parts)}" if parts else ""
    return f"{code} has no part {part}{known}"


def check_country(country: str) -> str:
    """Return a country whose holidays are known as it is, or a part of it, else a ValueError."""
    if not COUNTRY.fullmatch(country):
        raise ValueError("write a country like DE, or a part of it like DE-BY, after ISO 3166")
    holidays_of(country, 2000)
    return country


HolidayCountry = Annotated[str, Field(max_length=64), AfterValidator(check_country)]
