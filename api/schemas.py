"""What every resource's schemas share: how rows are read, bodies checked, lists cut into pages."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from babel.numbers import is_currency
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from models.base import CENTS, LARGEST_ID
from models.fields import UNSTORABLE

LONGEST_VALUE = 1000
LONGEST_TEXT = 20_000
MOST_CUSTOM_VALUES = 200
MOST_IN_A_LIST = 50
MOST_LEVELS = 100

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


class Filter(BaseModel):
    """Which rows of a list are wanted; nothing means all. Ends of a range are within it."""

    def asked(self) -> dict[str, Any]:
        """Return what was sent, by name."""
        return self.model_dump(exclude_none=True)


class Page(Read, Generic[Shown]):
    """A part of a list. `next` is the `after` of the part that follows; null at the end."""

    items: list[Shown]
    next: str | None = None


def _as_written(sent: object) -> object:
    """Pass on what is written as a day or moment: a number would count seconds since 1970."""
    if isinstance(sent, int | float) or (isinstance(sent, str) and "-" not in sent[1:]):
        raise ValueError("write a day like 2027-08-31, a moment like 2027-08-31T09:00:00Z")
    return sent


def _no_boolean(sent: object) -> object:
    """Pass on what may be a number: true would be taken for 1."""
    if isinstance(sent, bool):
        raise ValueError("this is true or false, not a whole number")  # noqa: TRY004
    return sent


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this moment is beyond the calendar") from error


def _with_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENTS)


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("a text holds U+0000 or half a character, which nothing holds")
    return text


def _is_currency(code: str) -> str:
    if CURRENCY.fullmatch(code) and is_currency(code):
        return code
    raise ValueError("this is no currency code of ISO 4217 such as EUR")


Version = Annotated[int, Field(description="Counts changes; it is the `ETag`.", examples=[3])]
YesOrNo = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Id = Annotated[int, Field(gt=0, le=LARGEST_ID, examples=[42]), BeforeValidator(_no_boolean)]
StoredText = Annotated[str, AfterValidator(_storable)]
SearchText = Annotated[
    StoredText, Field(min_length=1, max_length=200, description="Somewhere in it, in any capitals.")
]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
ShortText = Annotated[StoredText, Field(max_length=LONGEST_VALUE)]
LongText = Annotated[str, Field(max_length=LONGEST_TEXT)]
Day = Annotated[date, BeforeValidator(_as_written)]
Moment = Annotated[AwareDatetime, BeforeValidator(_as_written), AfterValidator(_in_utc)]
Money = Annotated[
    Decimal, Field(ge=0, max_digits=18, decimal_places=2), AfterValidator(_with_cents)
]
Quantity = Annotated[
    Decimal, Field(gt=0, max_digits=18, decimal_places=2), AfterValidator(_with_cents)
]
Currency = Annotated[str, AfterValidator(_is_currency)]
Phones = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MOST_IN_A_LIST)]
Emails = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=MOST_IN_A_LIST)]
PhoneText = Annotated[
    StoredText, Field(max_length=100, description="However it is written.", examples=["030 12345"])
]
EmailText = Annotated[StoredText, Field(max_length=320, description="In any capitals.")]
Ids = Annotated[list[Id], Field(max_length=MOST_IN_A_LIST)]

CustomValue = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": LONGEST_TEXT},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "array", "items": {"type": "string"}},
                {"type": "null"},
            ]
        }
    ),
]
Custom = Annotated[
    dict[str, CustomValue],
    Field(
        max_length=MOST_CUSTOM_VALUES,
        description="Values by name, of the kinds that `/v1/field-definitions` say.",
        examples=[{"contract_no": "A-1", "deposit": "12.50", "roof": ["north", "south"]}],
    ),
]
