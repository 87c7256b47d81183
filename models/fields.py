"""The field catalogue: what conditions and texts may ask of an item and of the people around it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Self

from models.item_type import ItemType
from models.near_misses import did_you_mean

UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
"""What no field can hold: U+0000, and halves of a character, which are no text at all."""


class FieldKind(StrEnum):
    """What a field holds, hence what it compares with and how it reads.

    A `booking` is a custom field that bookings fill: texts, conditions and timing read it as a
    `datetime`.
    """

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    USER = "user"
    LIST = "list"
    MULTI = "multi"
    BOOKING = "booking"
    ROWS = "rows"


@dataclass(frozen=True)
class Field:
    """One field under its full path; rows have columns, whose paths begin at the row.

    `choices` are those of a list or multi.
    """

    path: str
    title: str
    kind: FieldKind
    columns: tuple["Field", ...] = ()
    choices: tuple[str, ...] = ()


READ_AS = {FieldKind.BOOKING: FieldKind.DATETIME}
"""What a kind is read as that is filled in another way than others."""

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
    Field("products", "Products", FieldKind.ROWS, PRODUCT_COLUMNS),
)

LEAD_FIELDS = (
    Field("is_repeat", "Repeat lead", FieldKind.BOOLEAN),
    Field("name", "Full name", FieldKind.TEXT),
    Field("first_name", "First name", FieldKind.TEXT),
    Field("last_name", "Last name", FieldKind.TEXT),
    Field("phone", "Phone", FieldKind.TEXT),
    Field("email", "E-mail", FieldKind.TEXT),
    Field("converted_at", "Converted at", FieldKind.DATETIME),
)

QUOTE_FIELDS = (Field("close_date", "Valid until", FieldKind.DATE),)

INVOICE_FIELDS = (
    Field("close_date", "Pay until", FieldKind.DATE),
    Field("paid_at", "Paid at", FieldKind.DATETIME),
)

FIELDS_OF = {
    ItemType.LEAD: LEAD_FIELDS,
    ItemType.QUOTE: QUOTE_FIELDS,
    ItemType.INVOICE: INVOICE_FIELDS,
}
"""What items of a type have beside the fields of all, or call otherwise."""

USER_FIELDS = (
    Field("id", "ID", FieldKind.NUMBER),
    Field("name", "Name", FieldKind.TEXT),
    Field("email", "E-mail", FieldKind.TEXT),
)

CLIENT_FIELDS = (*USER_FIELDS, Field("phone", "Phone", FieldKind.TEXT))

COMPANY_FIELDS = (*CLIENT_FIELDS, Field("address", "Address", FieldKind.TEXT))

CONTACT_FIELDS = (
    *CLIENT_FIELDS,
    Field("first_name", "First name", FieldKind.TEXT),
    Field("last_name", "Last name", FieldKind.TEXT),
    Field("position", "Position", FieldKind.TEXT),
)

CUSTOM_USER_FIELDS = tuple(field for field in USER_FIELDS if field.path != "id")
"""What is told of the user in a custom field, whose own value is the id."""

PEOPLE = {
    "contact": ("Contact", CONTACT_FIELDS),
    "company": ("Company", COMPANY_FIELDS),
    "responsible": ("Responsible", USER_FIELDS),
    "creator": ("Creator", USER_FIELDS),
}


@dataclass(frozen=True)
class Catalogue:
    """Every field that items of one type offer, by full path (`deal.title`).

    The fields of the item itself are there twice: under its type and under `item`. Custom fields
    are among them (`deal.custom.contract_no`); one that is a user has what is told of users too
    (`deal.custom.manager.name`), one that is a booking is a datetime here.
    """

    item_type: ItemType
    fields: Mapping[str, Field]

    @classmethod
    def of(cls, item_type: ItemType, custom: Iterable[Field] = ()) -> Self:
        """Return the fields of the product itself and these custom ones, whose paths are names."""
        defined = {
            path: replace(field, path=path)
            for each in map(as_read, custom)
            for field in (each, *_of_person(each))
            for path in (f"{root}.custom.{field.path}" for root in (item_type.value, "item"))
        }
        return cls(item_type, MappingProxyType({**_own_fields(item_type), **defined}))

    def find(self, path: str) -> Field | None:
        """Return the field of that full path, or None if items of this type have none such."""
        return self.fields.get(path)

    def unknown(self, path: str) -> str:
        """Say that there is no such field, and which was perhaps meant."""
        return f"unknown field {path}{did_you_mean(path, self.fields)}"


def as_read(custom: Field) -> Field:
    """Return a custom field as the kind that its values are read as."""
    return replace(custom, kind=READ_AS.get(custom.kind, custom.kind))


def _of_person(custom: Field) -> Iterator[Field]:
    """Yield what a custom field tells of the user that it holds."""
    if custom.kind is FieldKind.USER:
        for field in CUSTOM_USER_FIELDS:
            title = f"{custom.title}: {field.title}"
            yield Field(f"{custom.path}.{field.path}", title, field.kind)


@cache
def _own_fields(item_type: ItemType) -> Mapping[str, Field]:
    return MappingProxyType({field.path: field for field in _catalogue(item_type)})


def _catalogue(item_type: ItemType) -> Iterator[Field]:
    own = {field.path: field for field in (*ITEM_FIELDS, *FIELDS_OF.get(item_type, ()))}
    for root in (item_type.value, "item"):
        for field in own.values():
            yield Field(f"{root}.{field.path}", field.title, field.kind, field.columns)
    for root, (group, fields) in PEOPLE.items():
        for field in fields:
            yield Field(f"{root}.{field.path}", f"{group}: {field.title}", field.kind)
