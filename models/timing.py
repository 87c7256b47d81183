"""When a rule is due: at once, some time after its anchor, or around a date of the item.

The anchor is when the rule starts counting: entering the stage, or the end of the rule above it.
Moments go in and come out as aware UTC. Days and longer are counted on the calendar of a named
time zone, seconds to hours on the clock; in working time, both are those of somebody's calendar.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal, Self
from zlib import crc32
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from whenever import Date, Instant, Time

from models.errors import Problem
from models.fields import Catalogue, FieldKind
from models.working_time import Calendar, NoWorkingTime, local, moment_at

LONGEST_YEARS = 1000

BEGINNING = datetime(1, 1, 3, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)
"""What would be earlier or later is taken for these: in every zone they are moments."""

NOT_A_PLACE = frozenset({"Factory", "localtime"})


def check_zone(name: str) -> str:
    """Return the IANA time zone name as it is; one that does not exist is a ValueError."""
    if name in _zones():
        return name
    meant = next(iter(get_close_matches(name, _zones(), n=1)), None)
    hint = f", did you mean {meant}?" if meant else ""
    raise ValueError(f"unknown time zone {name or '(empty)'}{hint}")


TimeZoneName = Annotated[str, Field(max_length=64), AfterValidator(check_zone)]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - NOT_A_PLACE)


class Unit(StrEnum):
    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"


A_YEAR = {
    Unit.SECONDS: 31_536_000,
    Unit.MINUTES: 525_600,
    Unit.HOURS: 8760,
    Unit.DAYS: 365,
    Unit.WEEKS: 52,
    Unit.MONTHS: 12,
    Unit.YEARS: 1,
}


MOST_SPREAD = 1440
"""Minutes."""

A_SECOND = timedelta(seconds=1)
A_DAY = timedelta(days=1)

ON_THE_CLOCK = {
    Unit.SECONDS: timedelta(seconds=1),
    Unit.MINUTES: timedelta(minutes=1),
    Unit.HOURS: timedelta(hours=1),
}
ON_THE_CALENDAR = frozenset({Unit.DAYS, Unit.WEEKS, Unit.MONTHS, Unit.YEARS})


class Delay(BaseModel):
    """An amount of time, always counted from its anchor and never step by step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int = Field(ge=0, strict=True, title="How many")
    unit: Unit = Field(title="Unit of time")

    @model_validator(mode="after")
    def _ends_in_our_time(self) -> Self:
        longest = LONGEST_YEARS * A_YEAR[self.unit]
        if self.amount > longest:
            raise ValueError(f"at most {longest} {self.unit} ({LONGEST_YEARS} years)")
        return self

    def ends_at(self, anchor: datetime, zone: str) -> datetime:
        """Return the moment the delay ends, aware UTC, never before the anchor.

        On the calendar of the zone, 31 August + 6 months is the last of February and the clock
        time stays across DST; one that does not exist moves on by the gap, of one that comes
        twice the first is taken. A naive anchor or an unknown zone is a ValueError.
        """
        return self._moved(anchor, self.amount, zone)

    def begins_at(self, end: datetime, zone: str) -> datetime:
        """Return the moment so long before the end, aware UTC, counted as `ends_at` counts."""
        return self._moved(end, -self.amount, zone)

    def _moved(self, moment: datetime, amount: int, zone: str) -> datetime:
        start = Instant(moment).to_tz(check_zone(zone))
        if not amount:
            return moment
        if self.unit in ON_THE_CLOCK:
            moved = start.add(**{self.unit.value: amount}, disambiguation="compatible")
        else:
            # On the wall: a moment with a zone keeps its offset where the clock shows it twice.
            wall = start.date().add(**{self.unit.value: amount}).at(start.time())
            moved = wall.assume_tz(zone, disambiguation="compatible")
        return moved.to_instant().to_stdlib()

    def counted_from(self, moment: datetime, calendar: Calendar | None, zone: str) -> datetime:
        """Return the moment the delay ends, hours and days in the working time of a calendar.

        Weeks and longer are those of any calendar. It may raise `NoWorkingTime`.
        """
        if calendar is None or not self._is_worked:
            return self.ends_at(moment, zone)
        if self.unit is Unit.DAYS:
            return calendar.add_days(moment, self.amount)
        return calendar.add(moment, self.amount * ON_THE_CLOCK[self.unit])

    def counted_day(self, moment: datetime, calendar: Calendar | None, zone: str) -> date:
        """Return the day on which the delay ends, whatever the clock shows by then."""
        if calendar is None or self.unit is not Unit.DAYS:
            return local(self.counted_from(moment, calendar, zone), zone).date()
        return calendar.day_after(local(calendar.next(moment), zone).date(), self.amount)

    def counted_back(self, moment: datetime, calendar: Calendar | None, zone: str) -> datetime:
        """Return the moment so long before, counted as `counted_from` counts."""
        if calendar is None or not self._is_worked:
            return self.begins_at(moment, zone)
        if self.unit is Unit.DAYS:
            return calendar.subtract_days(moment, self.amount)
        return calendar.subtract(moment, self.amount * ON_THE_CLOCK[self.unit])

    @property
    def _is_worked(self) -> bool:
        return self.unit is Unit.DAYS or self.unit in ON_THE_CLOCK

    def day_after(self, day: date) -> date:
        """Return the day so long after, of a shorter month its last; hours are a ValueError."""
        return Date(day).add(**self._calendar()).to_stdlib()

    def day_before(self, day: date) -> date:
        """Return the day so long before, of a shorter month its last; hours are a ValueError."""
        return Date(day).subtract(**self._calendar()).to_stdlib()

    def _calendar(self) -> dict[str, int]:
        if self.unit not in ON_THE_CALENDAR:
            raise ValueError("between days there are days, weeks, months and years")
        return {self.unit.value: self.amount}

    @property
    def span(self) -> str:
        """How long it is, in words."""
        return f"{self.amount} {self.unit.removesuffix('s') if self.amount == 1 else self.unit}"

    def in_words(self) -> str:
        return f"{self.span} after"


@dataclass(frozen=True)
class Due:
    """When a run is due. If `at` is None it waits until that is known, or is skipped, and why."""

    at: datetime | None
    skipped: str | None = None


class Hours(StrEnum):
    """Whose working time counts."""

    COMPANY = "company"
    RESPONSIBLE = "responsible"


@dataclass(frozen=True)
class Clocks:
    """By what rules count for an item: the company's time zone, and working time.

    `responsible` is None where nobody is responsible.
    """

    zone: str
    company: Calendar | None = None
    responsible: Calendar | None = None

    def counted(
        self, whose: Hours | None, count: Callable[[Calendar | None], datetime]
    ) -> datetime:
        """Return what is counted on that calendar, or on the next one that has working time.

        After the responsible's that is the company's, for they may be away until nobody knows
        when; after that none at all.
        """
        several = [self.responsible] if whose is Hours.RESPONSIBLE else []
        several += [] if whose is None else [self.company]
        for calendar in several:
            with suppress(NoWorkingTime):
                if calendar is not None:
                    return count(calendar)
        return count(None)


ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["09:00"])]


def _unsaid(value: object) -> bool:
    return not value


class Timed(BaseModel):
    """What can be said of every timing: at which clock time, where, in whose working time.

    Without a time zone clocks are read where whoever's working time counts is, else where the
    company is. A rule never counts back to before its anchor. What is not said is not written
    either, so that rules from before it could be said read the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    clock_time: ClockTime | None = Field(
        default=None,
        exclude_if=_unsaid,
        description="At that time of the day that comes out, or else of the next.",
    )
    time_zone: TimeZoneName | None = Field(
        default=None, exclude_if=_unsaid, description="In which days are counted and clocks read."
    )
    working_hours: Hours | None = Field(
        default=None,
        exclude_if=_unsaid,
        description="Count in the working time of the company or of the responsible person, "
        "holidays left out, and wait for it.",
    )
    spread_minutes: int = Field(
        default=0,
        ge=0,
        le=MOST_SPREAD,
        strict=True,
        exclude_if=_unsaid,
        description="Let the runs of many items be due within so many minutes, each at its own.",
    )

    def _zone(self, calendar: Calendar | None, clocks: Clocks) -> str:
        return self.time_zone or (clocks.zone if calendar is None else calendar.zone)

    def _at_clock_time(
        self, day: date, earliest: datetime, calendar: Calendar | None, zone: str
    ) -> datetime:
        """Return that clock time of the day, or of the next that clock and calendar allow."""
        if self._on(day, zone) < earliest:
            day += A_DAY
        return self._on(day if calendar is None else calendar.day_after(day, 0), zone)

    def _on(self, day: date, zone: str) -> datetime:
        """Return when the clock shows the time that was said, else when the day begins."""
        return moment_at(day, time.fromisoformat(self.clock_time or "00:00"), zone)

    def _spread(self, moment: datetime, calendar: Calendar | None, run_id: int) -> datetime:
        """Return the run's own moment within the minutes after; always the same of one run."""
        if not self.spread_minutes:
            return moment
        later = A_SECOND * (crc32(str(run_id).encode()) % (60 * self.spread_minutes))
        return moment + later if calendar is None else calendar.add(moment, later)

    def _in_words(self, when: str) -> str:
        said = [when]
        said += [f"at {self.clock_time}"] if self.clock_time else []
        said += [f"in {self.time_zone}"] if self.time_zone else []
        said += [f"in the working time of the {self.working_hours}"] if self.working_hours else []
        said += [f"spread over {self.spread_minutes} minutes"] if self.spread_minutes else []
        return ", ".join(said)


class AtOnce(Timed):
    """Due the moment the item enters the stage, or at the next such clock or working time."""

    kind: Literal["at_once"] = "at_once"

    def due(self, _value: object, anchor: datetime, clocks: Clocks, run_id: int) -> Due:
        """Return when a rule that starts counting at the anchor is due, never before."""

        def count(calendar: Calendar | None) -> datetime:
            moment = anchor
            if self.clock_time is not None:
                zone = self._zone(calendar, clocks)
                day = local(anchor, zone).date()
                moment = self._at_clock_time(day, anchor, calendar, zone)
            moment = moment if calendar is None else calendar.next(moment)
            return self._spread(moment, calendar, run_id)

        return Due(clocks.counted(self.working_hours, count))

    def in_words(self) -> str:
        return self._in_words("at once")


class AfterDelay(Delay, Timed):
    """Due when the delay that began at the anchor has ended."""

    kind: Literal["after_delay"] = "after_delay"

    def due(self, _value: object, anchor: datetime, clocks: Clocks, run_id: int) -> Due:
        """Return when a rule that starts counting at the anchor is due, never before."""

        def count(calendar: Calendar | None) -> datetime:
            zone = self._zone(calendar, clocks)
            if self.clock_time is None:
                moment = self.counted_from(anchor, calendar, zone)
            else:
                day = self.counted_day(anchor, calendar, zone)
                moment = self._at_clock_time(day, anchor, calendar, zone)
            moment = moment if calendar is None else calendar.next(moment)
            return self._spread(moment, calendar, run_id)

        return Due(clocks.counted(self.working_hours, count))

    def in_words(self) -> str:
        return self._in_words(super().in_words())


class Direction(StrEnum):
    BEFORE = "before"
    AT = "at"
    AFTER = "after"


class WhenPast(StrEnum):
    """What becomes of a run whose moment has passed when it begins to wait."""

    RUN = "run"
    SKIP = "skip"


class WhenEmpty(StrEnum):
    """What becomes of a run while the field is empty; to wait is until it is filled in."""

    WAIT = "wait"
    SKIP = "skip"
    RUN = "run"


class AroundDate(Delay, Timed):
    """Due some time before or after a date field of the item, or when it comes.

    A date counts from 00:00 in the company's time zone. While the run waits it follows the field.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "around_date",
                    "field": "deal.close_date",
                    "direction": "before",
                    "amount": 3,
                    "unit": "days",
                },
                {"kind": "around_date", "field": "deal.custom.renewal", "direction": "at"},
            ]
        }
    )

    kind: Literal["around_date"] = "around_date"
    field: str = Field(
        max_length=200,
        description="A date or datetime of the item itself, custom fields included.",
        examples=["deal.close_date", "item.custom.renewal"],
    )
    direction: Direction
    amount: int = Field(
        default=0, ge=0, strict=True, description="How long before or after; nothing for `at`."
    )
    unit: Unit = Unit.DAYS
    when_past: WhenPast = Field(
        default=WhenPast.RUN, description="If the moment is past already: run at once, or skip."
    )
    when_empty: WhenEmpty = Field(
        default=WhenEmpty.WAIT, description="`wait` is until the field is filled in."
    )

    @model_validator(mode="after")
    def _amount_suits_direction(self) -> Self:
        if self.direction is Direction.AT and self.amount:
            raise ValueError("at the date takes no amount; say before or after")
        if self.direction is not Direction.AT and not self.amount:
            raise ValueError(f"{self.direction} the date needs an amount of at least 1, or say at")
        return self

    @property
    def name(self) -> str:
        """The field as the item calls it: `close_date`, `custom.renewal`."""
        return self.field.partition(".")[2]

    def due(self, value: object, anchor: datetime, clocks: Clocks, run_id: int) -> Due:
        """Return when a rule that starts counting at the anchor is due, given the field's value.

        Never before the anchor. A value that is no date is as good as none.
        """
        read = _read(value)
        if read is None and self.when_empty is WhenEmpty.WAIT:
            return Due(None)
        if read is None and self.when_empty is WhenEmpty.SKIP:
            return Due(None, f"{self._called} is empty")
        past = False

        def count(calendar: Calendar | None) -> datetime:
            nonlocal past
            zone = self._zone(calendar, clocks)
            moment = anchor if read is None else self._around(read, calendar, zone)
            past = moment < anchor
            if moment <= anchor:
                moment = anchor if calendar is None else calendar.next(anchor)
            return self._spread(moment, calendar, run_id)

        due = clocks.counted(self.working_hours, count)
        if past and self.when_past is WhenPast.SKIP:
            zone = self.time_zone or clocks.zone
            return Due(None, f"{self._called} {self._counted_from(value, zone)} was past")
        return Due(due)

    def _around(self, read: date, calendar: Calendar | None, zone: str) -> datetime:
        """Return the moment that a date or datetime leads to.

        Before the date, what falls outside working time goes back, else on. A date alone counts
        from the start of its working day.
        """
        back = self.direction is Direction.BEFORE
        if not isinstance(read, datetime):
            read = min(max(read, BEGINNING.date()), END.date())
        elif self.clock_time is not None and self.unit in ON_THE_CALENDAR:
            read = self._day_of(read, calendar, zone)
        with_days = self.unit in ON_THE_CALENDAR and not isinstance(read, datetime)
        try:
            if with_days:
                moment = self._begin(self._day(read, calendar), calendar, zone)
            else:
                start = read if isinstance(read, datetime) else self._begin(read, calendar, zone)
                counted = self.counted_back if back else self.counted_from
                moment = counted(start, calendar, zone) if self.amount else start
        except (ValueError, OverflowError):  # Not in the years 1 to 9999.
            return BEGINNING if back else END
        moment = min(max(moment, BEGINNING), END)
        if self.clock_time is not None:
            day = local(moment, zone).date()
            moment = self._on(day if calendar is None else self._worked(day, calendar), zone)
        if calendar is None:
            return moment
        return calendar.previous(moment) if back else calendar.next(moment)

    def _day(self, day: date, calendar: Calendar | None) -> date:
        """Return the day so long before or after, on a calendar a working day."""
        back = self.direction is Direction.BEFORE
        if calendar is not None and self.unit is Unit.DAYS:
            counted = calendar.day_before if back else calendar.day_after
            return counted(day, self.amount)
        if self.amount:
            day = self.day_before(day) if back else self.day_after(day)
        return day if calendar is None else self._worked(day, calendar)

    def _day_of(self, moment: datetime, calendar: Calendar | None, zone: str) -> date:
        """Return the day from which a moment counts where the clock time is said."""
        if calendar is not None and self.unit is Unit.DAYS:
            back = self.direction is Direction.BEFORE
            moment = calendar.previous(moment) if back else calendar.next(moment)
        return local(moment, zone).date()

    def _worked(self, day: date, calendar: Calendar) -> date:
        """Return the day if it is a working day, else the one before or after."""
        nearest = calendar.day_before if self.direction is Direction.BEFORE else calendar.day_after
        return nearest(day, 0)

    @staticmethod
    def _begin(day: date, calendar: Calendar | None, zone: str) -> datetime:
        midnight = moment_at(day, time(), zone)
        return midnight if calendar is None else calendar.next(midnight)

    def due_at(self, moment: datetime, zone: str) -> datetime:
        """Return the moment so long before or after the one of the field, aware UTC.

        Counted on the calendar as delays are: 31 March less a month is the last of February. A
        naive moment or an unknown zone is a ValueError.
        """
        moment = Instant(moment).to_stdlib()
        zone = check_zone(zone)
        if self.direction is Direction.AT:
            return moment
        back = self.direction is Direction.BEFORE
        try:
            due = self.begins_at(moment, zone) if back else self.ends_at(moment, zone)
        except ValueError:  # Not in the years 1 to 9999.
            return BEGINNING if back else END
        return min(max(due, BEGINNING), END)

    def in_words(self) -> str:
        if self.direction is Direction.AT:
            return self._in_words(f"at {self.field}")
        return self._in_words(f"{self.span} {self.direction} {self.field}")

    @property
    def _called(self) -> str:
        return self.name.removeprefix("custom.").replace("_", " ")

    def _counted_from(self, value: object, zone: str) -> str:
        """Return the date and what is counted from it, in words: `1 March 2027 − 3 days`."""
        read = _read(value)
        local = Instant(read).to_tz(zone).to_stdlib() if isinstance(read, datetime) else read
        day = "" if local is None else f"{local.day} {local:%B} {local.year}"
        time = f" {local:%H:%M}" if isinstance(local, datetime) else ""
        sign = {Direction.BEFORE: f" − {self.span}", Direction.AFTER: f" + {self.span}"}
        return day + time + sign.get(self.direction, "")


Timing = Annotated[AtOnce | AfterDelay | AroundDate, Field(discriminator="kind")]

DATES = frozenset({FieldKind.DATE, FieldKind.DATETIME})


def check(timing: Timing, catalogue: Catalogue) -> list[Problem]:
    """Return why rules for items with these fields could not be timed so.

    Pointers begin at the timing: `/field`.
    """
    if not isinstance(timing, AroundDate):
        return []
    own = (f"{catalogue.item_type}.", "item.")
    dates = {
        path: field
        for path, field in catalogue.fields.items()
        if field.kind in DATES and path.startswith(own)
    }
    if timing.field in dates:
        return []
    field = catalogue.find(timing.field)
    if field is None:
        return [Problem("/field", replace(catalogue, fields=dates).unknown(timing.field))]
    reason = f"{field.path} is no date of the item, as {next(iter(dates))} is"
    return [Problem("/field", reason)]


def moment_of(value: object, zone: str) -> datetime | None:
    """Return the moment that the value of a date field means, aware UTC; None if it is no date.

    A date is 00:00 in the zone, or the first moment of a day that begins later. Texts are read as
    ISO 8601; a clock time without its zone is no moment.
    """
    read = _read(value)
    if read is None or isinstance(read, datetime):
        return read
    day = Date(min(max(read, BEGINNING.date()), END.date()))
    midnight = day.at(Time()).assume_tz(check_zone(zone), disambiguation="compatible")
    return midnight.to_instant().to_stdlib()


def _read(value: object) -> date | None:
    """Return a date, or a moment in UTC, as stored in a column or as JSON."""
    if isinstance(value, str):
        for fromisoformat in (date.fromisoformat, datetime.fromisoformat):
            with suppress(ValueError):
                return _read(fromisoformat(value))
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            return None
        return min(max(value, BEGINNING), END).astimezone(UTC)
    return value if isinstance(value, date) else None
