"""Values of cells: each field says what its text must be; what it is not is said in words."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Any

from babel.numbers import is_currency

from models.base import CENTS
from models.contact_point import email, phone
from models.errors import Invalid
from models.fields import UNSTORABLE
from models.installation import check_locale
from models.timing import check_zone

LONGEST_NAME = 200
LONGEST_VALUE = 1000
LONGEST_TEXT = 20_000
LONGEST_TOLD = 100
"""Characters of a cell that are repeated where it may be very long."""

MOST_MONEY = Decimal(10) ** 16
LARGEST = 2**63 - 1
MOST_COMPARED = 5000
"""Among more names than these nobody looks for the nearest one."""

Parse = Callable[[str], Any]


class Bad(Exception):
    """What a cell holds cannot be; the message says why."""


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Return ", did you mean …?" with the name that is most alike, or nothing."""
    known = list(right)
    if len(known) > MOST_COMPARED:
        return ""
    found = get_close_matches(wrong, known, n=1)
    return f", did you mean {found[0]}?" if found else ""


def text(longest: int) -> Parse:
    def read(cell: str) -> str:
        if len(cell) > longest:
            raise Bad(f"it is longer than {longest} characters")
        return cell

    return read


def name(cell: str) -> str:
    return str(text(LONGEST_NAME)(cell.strip()))


def number(cell: str) -> Decimal:
    try:
        value = Decimal(cell.strip())
    except InvalidOperation as error:
        raise Bad(f"«{cell}» is not a number such as 12.50") from error
    if not value.is_finite():
        raise Bad(f"«{cell}» is not a number such as 12.50")
    return value


def whole(cell: str) -> int:
    value = number(cell)
    if value != value.to_integral_value() or not 0 <= value <= LARGEST:
        raise Bad(f"«{cell}» is not a whole number from 0 on")
    return int(value)


def money(cell: str) -> Decimal:
    value = number(cell)
    if not 0 <= value < MOST_MONEY:
        raise Bad(f"«{cell}» is not an amount from 0 to 16 digits")
    if value != value.quantize(CENTS):
        raise Bad(f"«{cell}» has more than two decimals")
    return value.quantize(CENTS)


def quantity(cell: str) -> Decimal:
    value = money(cell)
    if not value:
        raise Bad("a quantity is more than 0")
    return value


def day(cell: str) -> date:
    try:
        return date.fromisoformat(cell.strip())
    except ValueError as error:
        raise Bad(f"«{cell}» is not a date such as 2027-08-31") from error


def moment(cell: str) -> datetime:
    try:
        value = datetime.fromisoformat(cell.strip())
        if value.tzinfo is not None:
            return value.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Bad(f"«{cell}» is not a moment such as 2027-08-31T09:00:00Z") from error
    raise Bad(f"«{cell}» has no time zone; a moment is such as 2027-08-31T09:00:00Z")


def yes_or_no(cell: str) -> bool:
    match cell.strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise Bad(f"«{cell}» is neither true nor false")


def one_of(kind: type[StrEnum]) -> Parse:
    def read(cell: str) -> StrEnum:
        try:
            return kind(cell.strip())
        except ValueError as error:
            known = [each.value for each in kind]
            hint = nearest(cell, known) or f"; known are {', '.join(known)}"
            raise Bad(f"unknown {kind.__name__.lower()} {cell}{hint}") from error

    return read


def currency(cell: str) -> str:
    code = cell.strip()
    if len(code) == len("EUR") and code.isupper() and is_currency(code):
        return code
    raise Bad(f"«{cell}» is no currency code of ISO 4217 such as EUR")


def locale(cell: str) -> str:
    try:
        return check_locale(cell.strip())
    except ValueError as error:
        raise Bad(str(error)) from error


def zone(cell: str) -> str:
    try:
        return check_zone(cell.strip())
    except ValueError as error:
        raise Bad(str(error)) from error


def several(cell: str) -> list[str]:
    """Read a JSON list of texts, or texts with semicolons between them."""
    if not cell.lstrip().startswith("["):
        return [part.strip() for part in cell.split(";") if part.strip()]
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise Bad(f"«{cell[:LONGEST_TOLD]}» is no list in JSON: {error}") from error
    if not all(isinstance(each, str) for each in found):
        raise Bad("a list in JSON holds texts only")
    if any(UNSTORABLE.search(each) for each in found):
        raise Bad("a text holds U+0000 or half a character, which cannot be stored")
    return list(found)


def phones(region: str) -> Parse:
    """Read phone numbers; those without a country prefix are of this country."""

    def read(cell: str) -> list[str]:
        return [_reached(partial(phone, each, region=region), each) for each in several(cell)]

    return read


def emails(cell: str) -> list[str]:
    return [_reached(partial(email, each), each) for each in several(cell)]


def address(cell: str) -> str:
    """Read one e-mail address."""
    return _reached(partial(email, cell.strip()), cell.strip())


def identifier(cell: str) -> str:
    found = cell.strip()
    if found.isidentifier():
        return found
    raise Bad(f"«{cell}» is no name of a field: letters, digits and _, such as contract_no")


def _reached(read: Callable[[], object], raw: str) -> str:
    try:
        read()
    except Invalid as error:
        raise Bad(error.problems[0].reason) from error
    return raw
