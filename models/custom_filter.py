"""Finding items by their custom fields: what is asked as text becomes SQL of the database."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Numeric,
    Text,
    and_,
    case,
    cast,
    collate,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from models.custom_fields import unknown_custom_field
from models.custom_values import as_json, pointer_of, read, refusal
from models.errors import Invalid, Problem
from models.field_definition import custom_fields_of
from models.fields import Field, FieldKind, as_read
from models.item import Item
from models.item_type import ItemType

SQLITE = "sqlite"

MOST_ASKED = 50
"""Conditions on custom fields in one request."""


class Bound(StrEnum):
    """Which end of a range a value is; both are included."""

    FROM = "from"
    TO = "to"


@dataclass(frozen=True)
class CustomAsked:
    """One thing asked of a custom field, as text: that it is this, or lies on one side of it."""

    name: str
    value: str
    bound: Bound | None = None


async def custom_conditions(
    session: AsyncSession, item_type: ItemType, asked: Sequence[CustomAsked]
) -> list[ColumnElement[bool]]:
    """Return what is asked as conditions on items of this type, or raise `Invalid`."""
    if not asked:
        return []
    if len(asked) > MOST_ASKED:
        raise Invalid(Problem("/custom", f"At most {MOST_ASKED} conditions can be sent at once."))
    fields = await custom_fields_of(session, item_type)
    dialect = session.get_bind().dialect.name
    answers = [_condition(each, fields, dialect) for each in asked]
    if problems := [each for each in answers if isinstance(each, Problem)]:
        raise Invalid(*problems)
    return [each for each in answers if not isinstance(each, Problem)]


def _condition(
    asked: CustomAsked, fields: Mapping[str, Field], dialect: str
) -> ColumnElement[bool] | Problem:
    """Return what is asked of a field in SQL, or what is wrong with it."""
    pointer = pointer_of(asked.name)
    if asked.name not in fields:
        return unknown_custom_field(asked.name, fields)
    field = as_read(fields[asked.name])
    if asked.bound is not None and field.kind not in WITH_RANGE:
        reason = f"«{field.title}» is a {field.kind}, which has no {asked.bound}."
        return Problem(pointer, reason)
    kind = FieldKind.TEXT if field.kind is FieldKind.MULTI else field.kind
    try:
        wanted = _comparable(kind, read(kind, AS_JSON.get(kind, str)(asked.value)), dialect)
    except ValueError:
        return Problem(pointer, refusal(replace(field, kind=kind)))
    if field.kind is FieldKind.MULTI:
        return _holds(field.path, asked.value, dialect)
    return COMPARED[asked.bound](_kept(field, dialect), wanted)


WITH_RANGE = frozenset({FieldKind.NUMBER, FieldKind.MONEY, FieldKind.DATE, FieldKind.DATETIME})

COMPARED: Mapping[Bound | None, Callable[[Any, Any], ColumnElement[bool]]] = {
    None: operator.eq,
    Bound.FROM: operator.ge,
    Bound.TO: operator.le,
}

WHOLE = re.compile(r"[0-9]{1,19}")

TRUTH = {"true": True, "false": False}

AS_JSON: Mapping[FieldKind, Callable[[str], object]] = {
    FieldKind.BOOLEAN: lambda text: TRUTH.get(text, text),
    FieldKind.USER: lambda text: int(text) if WHOLE.fullmatch(text) else text,
}
"""How values look in JSON whose text in a query is another; the others are texts."""

JSON_TYPES: Mapping[FieldKind, Sequence[str]] = {
    FieldKind.NUMBER: ("number", "integer", "real"),
    FieldKind.USER: ("number", "integer"),
    FieldKind.BOOLEAN: ("boolean", "true", "false"),
}
"""What PostgreSQL and SQLite call the type in which a kind is kept; the others are texts."""

TEXTS = ("string", "text")

SHAPES: Mapping[FieldKind, str] = {
    FieldKind.MONEY: r"^-?[0-9]{1,16}\.[0-9]{2}$",
    FieldKind.DATE: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    FieldKind.DATETIME: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z$",
}
"""What the texts are like in which a kind is kept."""


def _comparable(kind: FieldKind, value: Any, dialect: str) -> object:
    """Return a value as it compares with `_kept`."""
    match kind:
        case FieldKind.NUMBER | FieldKind.USER:
            return float(value) if dialect == SQLITE else Decimal(value)
        case FieldKind.MONEY:
            return int(value * 100)
        case FieldKind.BOOLEAN:
            return str(value).lower()
        case FieldKind.DATETIME:
            return str(as_json(kind, value)).rstrip("Z")
    return as_json(kind, value)


def _kept(field: Field, dialect: str) -> ColumnElement[Any]:
    """Return what items hold in a field, in a form that compares as its kind does.

    It is NULL where an item holds nothing, or what is not of the kind. Texts of dates and times
    have an order of their own; cents are whole, and what a double holds is a number.
    """
    text = Item.custom[field.path].as_string()
    json_type = _json_type(field.path, dialect)
    fits: ColumnElement[bool] = json_type.in_(JSON_TYPES.get(field.kind, TEXTS))
    form: ColumnElement[Any] = text
    if field.kind in SHAPES:
        fits = and_(fits, text.regexp_match(SHAPES[field.kind]))
    match field.kind:
        case FieldKind.NUMBER | FieldKind.USER:
            form = cast(text, Float() if dialect == SQLITE else Numeric())
        case FieldKind.MONEY:
            form = cast(func.replace(text, ".", ""), BigInteger())
        case FieldKind.DATE | FieldKind.DATETIME:
            form = func.rtrim(text, "Z", type_=Text())
            form = form if dialect == SQLITE else collate(form, "C")
        case FieldKind.BOOLEAN if dialect == SQLITE:
            form = json_type
    return case((fits, form))


def _holds(name: str, choice: str, dialect: str) -> ColumnElement[bool]:
    """Return whether an item has chosen this among others."""
    if dialect != SQLITE:
        return type_coerce(Item.custom, JSONB).contains({name: [choice]})
    chosen = func.json_each(Item.custom, _path(name)).table_valued("value")
    return and_(
        _json_type(name, dialect) == "array",
        select(chosen).where(chosen.c.value == choice).exists(),
    )


def _json_type(name: str, dialect: str) -> ColumnElement[str]:
    if dialect == SQLITE:
        return func.json_type(Item.custom, _path(name), type_=Text())
    return func.jsonb_typeof(Item.custom[name], type_=Text())


def _path(name: str) -> str:
    return f'$."{name}"'
