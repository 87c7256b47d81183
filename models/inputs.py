"""Inputs: what a field takes from outside, be it sent to the API or written by a rule."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

from babel.numbers import is_currency
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    Strict,
    StringConstraints,
)

from models.base import CENTS, LARGEST_ID
from models.fields import UNSTORABLE
from models.mistakes import A_MOMENT
from models.seen import NOT_IN_A_NAME, in_lines, in_one_line, name_of

LONGEST_VALUE = 1000
LONGEST_TEXT = 20_000
MOST_IN_A_LIST = 50
LAST_YEAR = 9999

RowId = Annotated[int, Field(gt=0, le=LARGEST_ID)]
"""How settings name a row: what no table could hold is refused before one is asked."""

CURRENCY = re.compile(r"[A-Z]{3}")


def _day_as_written(sent: object) -> object:
    if _counts_seconds(sent):
        raise ValueError("write a day like 2027-08-31")
    return sent


def _moment_as_written(sent: object) -> object:
    if _counts_seconds(sent):
        raise ValueError(f"write {A_MOMENT}")
    return sent


def _counts_seconds(sent: object) -> bool:
    """Tell what is no day or moment as people write them: a number would count from 1970 on."""
    return isinstance(sent, int | float) or (isinstance(sent, str) and "-" not in sent[1:])


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


def _all_seen(name: str) -> str:
    if found := NOT_IN_A_NAME.search(name):
        place = f"U+{ord(found[0]):04X}"
        raise ValueError(f"there is {place} in it: a name is one line of what can be seen")
    return name


def _name_as_copied(sent: object) -> object:
    return name_of(sent) if isinstance(sent, str) else sent


def _seen(read: Callable[[str], str]) -> BeforeValidator:
    """Return what reads each text so that strangers have written, also within others."""

    def of(sent: object) -> object:
        match sent:
            case str():
                return read(sent)
            case list():
                return [of(each) for each in sent]
            case dict():
                return {of(name): of(each) for name, each in sent.items()}
        return sent

    return BeforeValidator(of)


def _is_currency(code: str) -> str:
    if CURRENCY.fullmatch(code) and is_currency(code):
        return code
    raise ValueError("this is no currency code of ISO 4217 such as EUR")


Whole = Annotated[int, Strict()]
Count = Annotated[Whole, Field(ge=0, le=LARGEST_ID)]
Year = Annotated[Whole, Field(ge=0, le=LAST_YEAR)]
Id = Annotated[int, Field(gt=0, le=LARGEST_ID, examples=[42]), BeforeValidator(_no_boolean)]
Ids = Annotated[list[Id], Field(max_length=MOST_IN_A_LIST)]

StoredText = Annotated[str, AfterValidator(_storable)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_all_seen),
    BeforeValidator(_name_as_copied),
]
ShortText = Annotated[StoredText, Field(max_length=LONGEST_VALUE)]
LongText = Annotated[str, Field(max_length=LONGEST_TEXT)]
Phones = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MOST_IN_A_LIST)]
Emails = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=MOST_IN_A_LIST)]

SEEN_LINE = _seen(in_one_line)
"""Stands at what strangers have written for one line: it is kept without what nobody can see."""

SEEN_LINES = _seen(in_lines)

Day = Annotated[date, BeforeValidator(_day_as_written)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment_as_written), AfterValidator(_in_utc)]
Money = Annotated[
    Decimal, Field(ge=0, max_digits=18, decimal_places=2), AfterValidator(_with_cents)
]
Quantity = Annotated[
    Decimal, Field(gt=0, max_digits=18, decimal_places=2), AfterValidator(_with_cents)
]
Currency = Annotated[str, AfterValidator(_is_currency)]
