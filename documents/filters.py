"""What templates may do with a value: the filters, and how values read without one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

from jinja2 import Undefined

from documents.pipe import AsItIs
from documents.shape import UNPRINTABLE
from models.formats import OWN_FILTERS, OWN_OPTIONS, Reader, as_datetime
from models.near_misses import did_you_mean


def filters(reader: Reader) -> dict[str, Callable[..., object]]:
    """Return the filters by name, for this reader."""
    return {
        **{name: _for(reader, name, function) for name, function in OWN_FILTERS.items()},
        **{name: partial(_on_text, reader, change) for name, change in TEXT_FILTERS.items()},
        **OTHER_FILTERS,
        "join": partial(_join, reader),
    }


def written(value: object, *, reader: Reader) -> str:
    """Return how a value reads where no filter says it, as in other texts."""
    match value:
        case Undefined():
            return str(value)  # which tells that there is no such field
        case None:
            text = ""
        case bool():
            text = str(value).lower()
        case date():
            text = as_datetime(value, reader=reader)
        case list():
            text = ", ".join(written(each, reader=reader) for each in value)
        case _:
            text = str(value)
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _for(reader: Reader, name: str, function: Callable[..., str]) -> Callable[..., str]:
    def filter_(value: object, *given: object, **options: object) -> str:
        if unknown := sorted(options.keys() - OWN_OPTIONS[name]):
            meant = did_you_mean(unknown[0], OWN_OPTIONS[name])
            raise ValueError(f"{name}: unknown option {unknown[0]}{meant}")
        if isinstance(value, AsItIs):
            return value
        if isinstance(value, Undefined):
            return str(value)  # which tells that there is no such field
        try:
            return function(value, *given, reader=reader.elsewhere(**options))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from error

    return filter_


def _on_text(reader: Reader, change: Callable[..., str], value: object, *given: Any) -> str:
    return change(written(value, reader=reader), *given)


def _join(reader: Reader, values: object, between: str = " ") -> str:
    several = values if isinstance(values, list) else [values]
    return between.join(written(each, reader=reader) for each in several)


def _default(value: object, other: object = "", *, allow_false: bool = False) -> object:
    if isinstance(value, Undefined) or value is None or value in ("", [], {}):
        return other
    return other if value is False and not allow_false else value


def _round(value: object, digits: int = 0) -> object:
    if value is None:
        return None
    number = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return number if digits > 0 else int(number)


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | Sequence) else 0


TEXT_FILTERS: Mapping[str, Callable[..., str]] = {
    "append": lambda text, more="": f"{text}{more}",
    "capitalize": str.capitalize,
    "downcase": str.lower,
    "lower": str.lower,
    "prepend": lambda text, more="": f"{more}{text}",
    "replace": lambda text, old, new="": text.replace(str(old), str(new)),
    "strip": str.strip,
    "trim": str.strip,
    "upcase": str.upper,
    "upper": str.upper,
}

OTHER_FILTERS: Mapping[str, Callable[..., object]] = {
    "default": _default,
    "first": lambda rows: rows[0] if rows else None,
    "last": lambda rows: rows[-1] if rows else None,
    "length": _size,
    "round": _round,
    "size": _size,
}

FILTERS = (*OWN_FILTERS, *TEXT_FILTERS, *OTHER_FILTERS, "join")
