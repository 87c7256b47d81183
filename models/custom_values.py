"""Values of custom fields: what may be sent for a kind, how it is kept as JSON, what it means."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from models.errors import Invalid, Problem
from models.fields import Field, FieldKind
from models.mistakes import shortened

LONGEST_TEXT = 20_000
MOST_SAID = 10
NUMBER_DIGITS = 15
MONEY_DIGITS = 18
LARGEST_ID = 2**63 - 1

KINDS = tuple(kind for kind in FieldKind if kind is not FieldKind.ROWS)
"""What a custom field can be."""

WITH_CHOICES = frozenset({FieldKind.LIST, FieldKind.MULTI})

WANTED: Mapping[FieldKind, str] = {
    FieldKind.TEXT: f"a text of at most {LONGEST_TEXT} characters",
    FieldKind.NUMBER: f"a number of at most {NUMBER_DIGITS} digits such as 3 or 0.1",
    FieldKind.MONEY: "an amount with at most two decimals such as 12.50",
    FieldKind.DATE: "a date such as 2027-12-31",
    FieldKind.DATETIME: "a time with its zone such as 2027-12-31T09:00+01:00",
    FieldKind.BOOLEAN: "true or false",
    FieldKind.USER: "the id of a user",
    FieldKind.LIST: "one of its choices",
    FieldKind.MULTI: "a list of its choices",
    FieldKind.BOOKING: "nothing by itself: it says when the next of its bookings starts",
}

DECIMAL = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)


class Unfit(ValueError):
    """A value is not of the kind of its field."""


def read(kind: FieldKind, value: object) -> object:
    """Return what a value means, sent or kept: Decimal, date, time in UTC, the id of a user.

    Raises `Unfit`, or another ValueError, where it is not of that kind.
    """
    return READ[kind](value)


def meaning(kind: FieldKind, kept: object) -> object:
    """Return what a kept value means; one that no longer is of the kind stays as it is."""
    try:
        return None if kept is None else read(kind, kept)
    except ValueError:
        return kept


def accepted(field: Field, sent: object, present: object = None) -> Any:
    """Return what is sent for a field, named by its path, as JSON to keep.

    A choice that the field no longer has may stay where it is present. Raises `Invalid` with
    pointers that begin at the item.
    """
    if type(sent) is type(present) and sent == present:
        return sent
    pointer = pointer_of(field.path)
    if field.kind is FieldKind.BOOKING:
        raise Invalid(Problem(pointer, refusal(field)))
    try:
        value = read(field.kind, sent)
    except ValueError as error:
        raise Invalid(Problem(pointer, refusal(field))) from error
    if field.kind in WITH_CHOICES:
        several = value if isinstance(value, list) else [value]
        old = present if isinstance(present, list) else [present]
        wrong = _wrong_choices(field, several, old)
        if wrong and field.kind is FieldKind.LIST:
            raise Invalid(Problem(pointer, wrong[0]))
        if wrong:
            raise Invalid(*(Problem(f"{pointer}/{at}", reason) for at, reason in wrong.items()))
    return as_json(field.kind, value)


def refusal(field: Field) -> str:
    """Say what the field takes; what was sent is not repeated."""
    return f"«{field.title}» takes {WANTED[field.kind]}."


def pointer_of(name: str) -> str:
    """Return the JSON pointer of a custom field within its item."""
    return "/custom/" + name.replace("~", "~0").replace("/", "~1")


def _wrong_choices(field: Field, chosen: Sequence[Any], old: Sequence[object]) -> dict[int, str]:
    """Return the first places that are wrong, and why; the rest is not looked at then."""
    wrong: dict[int, str] = {}
    for place, choice in enumerate(chosen):
        if len(wrong) == MOST_SAID:
            break
        if choice not in field.choices and choice not in old:
            wrong[place] = (
                f"«{field.title}» has no choice {shortened(choice)}{_others(field, choice)}"
            )
        elif choice in chosen[:place]:
            wrong[place] = (
                f"«{field.title}» takes each choice once; {shortened(choice)} is there twice."
            )
    return wrong


def _others(field: Field, choice: str) -> str:
    folded = {each.casefold(): each for each in field.choices}
    if near := get_close_matches(choice.casefold(), folded, n=1):
        return f", did you mean {folded[near[0]]}?"
    more = len(field.choices) - MOST_SAID
    return f"; there are {', '.join(field.choices[:MOST_SAID])}" + (
        f" and {more} more." if more > 0 else "."
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise Unfit
    return value


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Unfit
    written = repr(value) if isinstance(value, float) else str(value)
    if not DECIMAL.fullmatch(written):
        raise Unfit
    return Decimal(written)


def _number(value: object) -> Decimal:
    """Read what a JSON number holds exactly, so that every reader sees the same digits."""
    number = _decimal(value)
    if number and abs(number.adjusted()) >= NUMBER_DIGITS:
        raise Unfit
    if number != Decimal(repr(float(number))):
        raise Unfit
    return number + 0


def _money(value: object) -> Decimal:
    amount = _decimal(value)
    exact = amount.quantize(Decimal("0.01")) if abs(amount) < 10**MONEY_DIGITS else amount
    if exact != amount or abs(exact) >= 10 ** (MONEY_DIGITS - 2):
        raise Unfit
    return exact + 0


def _date(value: object) -> date:
    if not isinstance(value, str):
        raise Unfit
    return date.fromisoformat(value)


def _datetime(value: object) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.utcoffset() is None:
        raise Unfit
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise Unfit from error


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit
    return value


def _id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST_ID:
        raise Unfit
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise Unfit
    return [_text(each) for each in value]


READ: Mapping[FieldKind, Callable[[object], object]] = {
    FieldKind.TEXT: _text,
    FieldKind.NUMBER: _number,
    FieldKind.MONEY: _money,
    FieldKind.DATE: _date,
    FieldKind.DATETIME: _datetime,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.USER: _id,
    FieldKind.LIST: _text,
    FieldKind.MULTI: _texts,
    FieldKind.BOOKING: _datetime,
}


def as_json(kind: FieldKind, value: Any) -> Any:
    """Return a value that was read as it is kept."""
    match kind:
        case FieldKind.NUMBER:
            return int(value) if value == value.to_integral_value() else float(value)
        case FieldKind.MONEY:
            return f"{value:f}"
        case FieldKind.DATE:
            return value.isoformat()
        case FieldKind.DATETIME | FieldKind.BOOKING:
            return value.isoformat().replace("+00:00", "Z")
    return value
