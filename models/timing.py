"""When a rule is due: at once, some time after its anchor, or around a date of the item.

The anchor is when the rule starts counting: entering the stage, or the end of the rule above it.
Moments go in and come out as aware UTC. Days and longer are counted on the calendar of a named
time zone, seconds to hours on the clock.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from whenever import Date, Instant, Time

from models.errors import Problem
from models.fields import Catalogue, FieldKind

LONGEST_YEARS = 1000

BEGINNING = datetime(1, 1, 3, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)
"""What would be earlier or later is taken for these: in every zone they are moments."""

NOT_A_PLACE = frozenset({"Factory", "localtime"})


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


ON_THE_CALENDAR = frozenset({Unit.DAYS, Unit.WEEKS, Unit.MONTHS, Unit.YEARS})


class Delay(BaseModel):
    """An amount of time, always counted from its anchor and never step by step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int = Field(ge=0, strict=True)
    unit: Unit

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
        start = Instant(anchor)
        if not self.amount:
            return anchor
        local = start.to_tz(check_zone(zone))
        due = local.add(**{self.unit.value: self.amount}, disambiguation="compatible")
        return due.to_instant().to_stdlib()

    def begins_at(self, end: datetime, zone: str) -> datetime:
        """Return the moment so long before the end, aware UTC, counted as `ends_at` counts."""
        if not self.amount:
            return end
        local = Instant(end).to_tz(check_zone(zone))
        begin = local.subtract(**{self.unit.value: self.amount}, disambiguation="compatible")
        return begin.to_instant().to_stdlib()

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


class AtOnce(BaseModel):
    """Due the moment the item enters the stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["at_once"] = "at_once"

    def due_at(self, anchor: datetime, zone: str) -> datetime:  # noqa: ARG002 - as its sibling
        return anchor

    def in_words(self) -> str:
        return "at once"


class AfterDelay(Delay):
    """Due when the delay that began at the anchor has ended."""

    kind: Literal["after_delay"] = "after_delay"

    def due_at(self, anchor: datetime, zone: str) -> datetime:
        """Return the moment the delay ends, aware UTC, never before the anchor."""
        return self.ends_at(anchor, zone)


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


@dataclass(frozen=True)
class Due:
    """When a run is due. If `at` is None it waits until that is known, or is skipped, and why."""

    at: datetime | None
    skipped: str | None = None


class AroundDate(Delay):
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

    def due(self, value: object, anchor: datetime, zone: str) -> Due:
        """Return when a rule that starts counting at the anchor is due, given the field's value.

        Never before the anchor. A value that is no date is as good as none.
        """
        moment = moment_of(value, zone)
        if moment is None:
            match self.when_empty:
                case WhenEmpty.WAIT:
                    return Due(None)
                case WhenEmpty.SKIP:
                    return Due(None, f"{self._called} is empty")
                case WhenEmpty.RUN:
                    return Due(anchor)
        due = self.due_at(moment, zone)
        if due < anchor and self.when_past is WhenPast.SKIP:
            return Due(None, f"{self._called} {self._counted_from(value, zone)} was past")
        return Due(max(due, anchor))

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
            return f"at {self.field}"
        return f"{self.span} {self.direction} {self.field}"

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
