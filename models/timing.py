"""When a rule is due: at once, or some time after its anchor (entering the stage).

Moments go in and come out as aware UTC. Days and longer are counted on the calendar of a named
time zone, seconds to hours on the clock.
"""

from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from whenever import Instant

LONGEST_YEARS = 1000

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

    def in_words(self) -> str:
        unit = self.unit.removesuffix("s") if self.amount == 1 else self.unit
        return f"{self.amount} {unit} after"


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


Timing = Annotated[AtOnce | AfterDelay, Field(discriminator="kind")]


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
