"""A moment that params of actions name: so long after now, or around a date of the item."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from models.errors import Problem
from models.fields import Catalogue
from models.timing import BEGINNING, END, AroundDate, Delay, Direction, Unit, moment_of
from models.timing import check as check_timing


class ItemDate(Delay):
    """So long before or after a date of the item, or when it comes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "deal.close_date", "direction": "before", "amount": 3, "unit": "days"},
                {"field": "item.custom.renewal", "direction": "at"},
            ]
        }
    )

    field: str = Field(
        max_length=200,
        title="Date",
        description="A date or datetime of the item itself, custom fields included.",
    )
    direction: Direction = Field(title="Before, at or after")
    amount: int = Field(
        default=0,
        ge=0,
        strict=True,
        title="How many",
        description="How long before or after; nothing for `at`.",
    )
    unit: Unit = Field(default=Unit.DAYS, title="Unit of time")

    @model_validator(mode="after")
    def _amount_suits_direction(self) -> Self:
        if (self.direction is Direction.AT) is bool(self.amount):
            raise ValueError("at the date takes no amount; before and after need at least 1")
        return self

    @property
    def name(self) -> str:
        """The field as the item calls it: `close_date`, `custom.renewal`."""
        return self.field.partition(".")[2]

    def moment(self, value: object, zone: str) -> datetime | None:
        """Return the moment that is told by the field's value, aware UTC; None if that is no date.

        A date counts from 00:00 in the zone, and days on its calendar.
        """
        date = moment_of(value, zone)
        if date is None or self.direction is Direction.AT:
            return date
        back = self.direction is Direction.BEFORE
        try:
            return self.begins_at(date, zone) if back else self.ends_at(date, zone)
        except ValueError:  # Not in the years 1 to 9999.
            return BEGINNING if back else END

    def problems(self, catalogue: Catalogue) -> list[Problem]:
        """Return why items with these fields have no such date."""
        return check_timing(AroundDate(field=self.field, direction=Direction.AT), catalogue)

    def in_words(self) -> str:
        if self.direction is Direction.AT:
            return f"at {self.name}"
        return f"{self.span} {self.direction} {self.name}"


def _kind(sent: object) -> str:
    dated = isinstance(sent, ItemDate) or (isinstance(sent, Mapping) and "field" in sent)
    return "date" if dated else "delay"


When = Annotated[
    Annotated[Delay, Tag("delay")] | Annotated[ItemDate, Tag("date")], Discriminator(_kind)
]
"""`{"amount": 2, "unit": "days"}` from now, or an `ItemDate`."""
