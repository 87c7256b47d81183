"""How values are written for a reader: numbers, money, days and times, by locale and zone."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, dates, numbers
from babel.localedata import locale_identifiers

from models.near_misses import did_you_mean

LONGEST_FORMAT = 50
LONGEST_NAME = 64
LARGEST_EXPONENT = 30


@dataclass(frozen=True)
class Reader:
    """Who reads, as far as it matters: how they write, when their day begins."""

    locale: Locale
    zone: ZoneInfo
    currency: str | None

    def elsewhere(self, *, locale: object = None, zone: object = None) -> Self:
        """Return the reader in that locale or zone, None leaving it; may raise ValueError."""
        changes: dict[str, Any] = {
            name: READER_OPTIONS[name](value)
            for name, value in (("locale", locale), ("zone", zone))
            if value is not None
        }
        return replace(self, **changes) if changes else self


def _money(value: object, currency: str | None = None, *, reader: Reader) -> str:
    """`{{ deal.amount | money }}` in the item's currency, `| money: "EUR"` in another."""
    if (amount := _number(value)) is None:
        return ""
    code = currency or reader.currency
    if not code:
        return numbers.format_decimal(amount, locale=reader.locale)
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ValueError(f"{code} is no currency such as EUR")
    return numbers.format_currency(amount, code, locale=reader.locale)


def _decimal(value: object, *, reader: Reader) -> str:
    """`{{ p.quantity | number }}`."""
    number = _number(value)
    return "" if number is None else numbers.format_decimal(number, locale=reader.locale)


def _date(value: object, form: str = "medium", *, reader: Reader) -> str:
    """`{{ deal.close_date | date }}`, or with `short`, `long`, `full`, `"dd.MM.yyyy"`."""
    day = _moment(value, reader.zone)
    return "" if day is None else dates.format_date(day, _form(form), reader.locale)


def as_datetime(value: object, form: str = "medium", *, reader: Reader) -> str:
    """`{{ deal.created_at | datetime }}` in the reader's zone; forms as for dates."""
    moment = _moment(value, reader.zone)
    if not isinstance(moment, datetime):
        return _date(moment, form, reader=reader)
    return dates.format_datetime(moment, _form(form), tzinfo=reader.zone, locale=reader.locale)


def _number(value: object) -> Decimal | None:
    match value:
        case None | "":
            return None
        case bool():
            pass
        case str() | int() | float() | Decimal():
            try:
                number = Decimal(str(value))
            except InvalidOperation:
                number = Decimal("nan")
            if number.is_finite() and abs(number.adjusted()) <= LARGEST_EXPONENT:
                return number
    raise ValueError(f"{value} is no number")


def _moment(value: object, zone: ZoneInfo) -> date | None:
    """Return a day, or a time in the zone; None if there is nothing."""
    match value:
        case None | "":
            return None
        case str():
            moment = datetime.fromisoformat(value)
            return moment.date() if "T" not in value else _moment(moment, zone)
        case datetime():
            return value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)
        case date():
            return value
    raise ValueError(f"{value} is no date")


def _form(form: str) -> Any:
    if len(form) > LONGEST_FORMAT:
        raise ValueError(f"a format has at most {LONGEST_FORMAT} characters")
    if "%" in form:
        raise ValueError("a format is written like dd.MM.yyyy, or is short, medium, long or full")
    return form


OWN_FILTERS: Mapping[str, Callable[..., str]] = {
    "money": _money,
    "number": _decimal,
    "date": _date,
    "datetime": as_datetime,
}

OWN_OPTIONS: Mapping[str, frozenset[str]] = {
    "money": frozenset({"locale"}),
    "number": frozenset({"locale"}),
    "date": frozenset({"locale", "zone"}),
    "datetime": frozenset({"locale", "zone"}),
}
"""What each of them takes by name."""


@lru_cache
def locale_named(name: str) -> Locale:
    """Return the locale; one that does not exist is a ValueError."""
    if len(name) > LONGEST_NAME:
        raise ValueError(f"unknown locale {name[:LONGEST_NAME]}…")
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError) as error:
        meant = did_you_mean(name.replace("-", "_"), locale_identifiers())
        raise ValueError(f"unknown locale {name or '(empty)'}{meant}") from error


def _zone(name: str) -> ZoneInfo:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"unknown time zone {name[:LONGEST_NAME]}…")
    from models.timing import check_zone  # noqa: PLC0415 - a tenth of a second, for few

    return ZoneInfo(check_zone(name))


def _named(kind: str, find: Callable[[str], object]) -> Callable[[object], object]:
    def of(name: object) -> object:
        if not isinstance(name, str):
            raise ValueError(f"{name} is no {kind}")  # noqa: TRY004 - as the others are
        return find(name)

    return of


READER_OPTIONS: Mapping[str, Callable[[object], object]] = {
    "locale": _named("locale such as de_DE", locale_named),
    "zone": _named("time zone such as Europe/Berlin", _zone),
}
"""What a filter may say instead of the reader."""
