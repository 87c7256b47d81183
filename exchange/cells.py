"""CSV cells: how a value looks in a table, whoever writes it and whoever reads it again."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from io import StringIO
from typing import Any
from uuid import UUID

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"

FORMULA = r"(?:[=@\t\r]|[+-](?![\d\s.,()/-]*$))"
"""How a cell begins that a spreadsheet would compute; numbers and phones are harmless."""

TO_BE_MARKED = re.compile(f"'*{FORMULA}")
MARKED = re.compile(f"'+{FORMULA}")


def cell(value: object) -> str:
    """Return a value as the text of one cell; nothing is an empty one.

    Moments are ISO 8601 in UTC, amounts plain decimals, lists and objects JSON. Texts stay as
    they are, also those that a spreadsheet would take for a formula: what goes in comes out.
    """
    match value:
        case None:
            text = ""
        case Enum():
            text = cell(value.value)
        case bool():
            text = "true" if value else "false"
        case Decimal():
            text = format(value, "f")
        case datetime():
            text = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            text = value.isoformat()
        case Mapping() | list() | tuple():
            text = json.dumps(value, ensure_ascii=False, default=_plain)
        case _:
            text = str(value)
    return text


def cells(row: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    """Return the cells of a row, such as the dump of a pydantic model, in order of the columns.

    A column `custom.name` is `name` within the object `custom`; what a row has not is empty.
    """
    return [cell(_at(row, column)) for column in columns]


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: strangers may have written it."""
    return f"'{text}" if TO_BE_MARKED.match(text) else text


def as_written(text: str) -> str:
    """Return what `harmless` was given, of any cell that came of it."""
    return text[1:] if MARKED.match(text) else text


def lines(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as lines of CSV after RFC 4180."""
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _at(row: Mapping[str, Any], column: str) -> object:
    outer, _, inner = column.partition(".")
    value = row.get(outer)
    if not inner:
        return value
    return value.get(inner) if isinstance(value, Mapping) else None


def _plain(value: object) -> str:
    match value:
        case datetime() | date() | Decimal() | UUID() | Enum():
            return cell(value)
    raise TypeError(f"No cell can hold {value!r}.")
