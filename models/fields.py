"""The field catalogue: what conditions and texts may ask of an item and of the people around it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from models.item_type import ItemType


class FieldKind(StrEnum):
    """What a field holds, hence what it compares with and how it reads."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    LIST = "list"


@dataclass(frozen=True)
class Field:
    """One field under its full path; a list has columns, whose paths begin at the row."""

    path: str
    title: str
    kind: FieldKind
    columns: tuple["Field", ...] = ()


PRODUCT_COLUMNS = (
    Field("name", "Name", FieldKind.TEXT),
    Field("price", "Price", FieldKind.MONEY),
    Field("quantity", "Quantity", FieldKind.NUMBER),
    Field("total", "Total", FieldKind.MONEY),
)

ITEM_FIELDS = (
    Field("id", "ID", FieldKind.NUMBER),
    Field("title", "Title", FieldKind.TEXT),
    Field("url", "Link", FieldKind.TEXT),
    Field("stage", "Stage", FieldKind.TEXT),
    Field("pipeline", "Pipeline", FieldKind.TEXT),
    Field("amount", "Amount", FieldKind.MONEY),
    Field("currency", "Currency", FieldKind.TEXT),
    Field("begin_date", "Begin date", FieldKind.DATE),
    Field("close_date", "Close date", FieldKind.DATE),
    Field("source", "Source", FieldKind.TEXT),
    Field("comments", "Comments", FieldKind.TEXT),
    Field("created_at", "Created at", FieldKind.DATETIME),
    Field("products", "Products", FieldKind.LIST, PRODUCT_COLUMNS),
)

LEAD_FIELDS = (
    Field("is_repeat", "Repeat lead", FieldKind.BOOLEAN),
    Field("name", "Name", FieldKind.TEXT),
    Field("first_name", "First name", FieldKind.TEXT),
    Field("last_name", "Last name", FieldKind.TEXT),
    Field("phone", "Phone", FieldKind.TEXT),
    Field("email", "E-mail", FieldKind.TEXT),
)

USER_FIELDS = (
    Field("id", "ID", FieldKind.NUMBER),
    Field("name", "Name", FieldKind.TEXT),
    Field("email", "E-mail", FieldKind.TEXT),
)

COMPANY_FIELDS = (*USER_FIELDS, Field("phone", "Phone", FieldKind.TEXT))

CONTACT_FIELDS = (
    *COMPANY_FIELDS,
    Field("first_name", "First name", FieldKind.TEXT),
    Field("last_name", "Last name", FieldKind.TEXT),
    Field("position", "Position", FieldKind.TEXT),
)

PEOPLE = {
    "contact": ("Contact", CONTACT_FIELDS),
    "company": ("Company", COMPANY_FIELDS),
    "responsible": ("Responsible", USER_FIELDS),
    "creator": ("Creator", USER_FIELDS),
}

CUSTOM = re.compile(r"(\w+)\.custom\.(\w+)")


@cache
def fields_of(item_type: ItemType) -> Mapping[str, Field]:
    """Return every field that an item of this type offers, by full path (`deal.title`).

    The fields of the item itself are there twice: under its type and under `item`.
    """
    return MappingProxyType({field.path: field for field in _catalogue(item_type)})


def find_field(item_type: ItemType, path: str) -> Field | None:
    """Return the field of that full path, or None if items of this type have none such.

    Any identifier names a custom field, a text (`deal.custom.contract_no`).
    """
    if custom := CUSTOM.fullmatch(path):
        root, name = custom.groups()
        known = root in {"item", item_type} and name.isidentifier()
        return Field(path, name, FieldKind.TEXT) if known else None
    return fields_of(item_type).get(path)


def find_field_of_any(path: str) -> Field | None:
    """Return the field of that full path of whatever item type has it, else None."""
    return next(filter(None, (find_field(item_type, path) for item_type in ItemType)), None)


def nearest(item_type: ItemType, path: str) -> str | None:
    """Return the real path that is most like this one, or None if none is alike."""
    return next(iter(get_close_matches(path, fields_of(item_type), n=1)), None)


def unknown_field(item_type: ItemType, path: str) -> str:
    """Say that there is no such field, and which was perhaps meant."""
    meant = nearest(item_type, path)
    return f"unknown field {path}" + (f", did you mean {meant}?" if meant else "")


def _catalogue(item_type: ItemType) -> Iterator[Field]:
    own = ITEM_FIELDS + (LEAD_FIELDS if item_type is ItemType.LEAD else ())
    for root in (item_type.value, "item"):
        for field in own:
            yield Field(f"{root}.{field.path}", field.title, field.kind, field.columns)
    for root, (group, fields) in PEOPLE.items():
        for field in fields:
            yield Field(f"{root}.{field.path}", f"{group}: {field.title}", field.kind)
