"""What every resource's schemas share: how rows are read, bodies checked, lists cut into pages."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from babel.numbers import is_currency
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)

from models.base import CENTS, LARGEST_ID

LONGEST_VALUE = 1000
LONGEST_TEXT = 20_000
MOST_CUSTOM_FIELDS = 100
MOST_IN_A_LIST = 50
MOST_LEVELS = 100

UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
"""What PostgreSQL cannot store, and halves of a character, which are no text at all."""

CURRENCY = re.compile(r"[A-Z]{3}")


class Read(BaseModel):
    """What a client is shown of a row."""

    model_config = ConfigDict(from_attributes=True)


class Write(BaseModel):
    """What a client sends: a field that nobody knows is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _can_be_stored(cls, sent: object) -> object:
        level = [sent]
        for _ in range(MOST_LEVELS):
            if any(isinstance(part, str) and UNSTORABLE.search(part) for part in level):
                raise ValueError("a text holds U+0000 or half a character, which cannot be stored")
            level = [inner for part in level for inner in _parts(part)]
        if level:
            raise ValueError(f"this is nested more than {MOST_LEVELS} levels deep")
        return sent

    def changes(self) -> dict[str, Any]:
        """Return what was sent and nothing else, as validated; a field left out is no change."""
        return self.model_dump(include=self.model_fields_set)


def _parts(sent: object) -> Iterable[object]:
    match sent:
        case Mapping():
            return [*sent, *sent.values()]
        case list():
            return sent
    return ()


Shown = TypeVar("Shown")


class Page(Read, Generic[Shown]):
    """A part of a list. `next` is the `after` of the part that follows; null at the end."""

    items: list[Shown]
    next: str | None = None


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this moment is beyond the calendar") from error


def _with_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENTS)


def _is_currency(code: str) -> str:
    if CURRENCY.fullmatch(code) and is_currency(code):
        return code
    raise ValueError("this is no currency code of ISO 4217 such as EUR")


def _is_identifier(name: str) -> str:
    if name.isidentifier():
        return name
    raise ValueError("a custom field is named by letters, digits and _, such as contract_no")


Id = Annotated[int, Field(gt=0, le=LARGEST_ID, examples=[42])]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
ShortText = Annotated[str, Field(max_length=LONGEST_VALUE)]
LongText = Annotated[str, Field(max_length=LONGEST_TEXT)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Money = Annotated[
    Decimal, Field(ge=0, max_digits=18, decimal_places=2), AfterValidator(_with_cents)
]
Currency = Annotated[str, AfterValidator(_is_currency)]
Phones = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MOST_IN_A_LIST)]
Emails = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=MOST_IN_A_LIST)]
Ids = Annotated[list[Id], Field(max_length=MOST_IN_A_LIST)]

CustomName = Annotated[str, Field(max_length=64), AfterValidator(_is_identifier)]
CustomValue = (
    StrictBool
    | StrictInt
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
    | Annotated[StrictStr, Field(max_length=LONGEST_TEXT)]
    | None
)
Custom = Annotated[dict[CustomName, CustomValue], Field(max_length=MOST_CUSTOM_FIELDS)]
"""Custom fields of an item: JSON scalars by name."""
