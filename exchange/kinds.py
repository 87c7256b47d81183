"""Kinds: what can be loaded, in the order in which one needs the other, and the fields of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from sqlalchemy import Table, inspect

from exchange import values
from exchange.values import Parse
from models.base import Record
from models.company import Company
from models.contact import Contact
from models.department import Department
from models.fields import FieldKind
from models.item import Deal, Invoice, Lead, Quote
from models.item_type import ItemType
from models.pipeline import StageKind
from models.product import Product
from models.user import Reach, Role, User

CUSTOM = "custom."
"""Begins the names of custom fields."""


class Kind(StrEnum):
    FIELD_DEFINITIONS = "field_definitions"
    PIPELINES = "pipelines"
    DEPARTMENTS = "departments"
    USERS = "users"
    PRODUCTS = "products"
    COMPANIES = "companies"
    CONTACTS = "contacts"
    LEADS = "leads"
    DEALS = "deals"
    QUOTES = "quotes"
    INVOICES = "invoices"
    PRODUCT_ROWS = "product_rows"

    @property
    def noun(self) -> str:
        """How people call one of them."""
        one = "company" if self is Kind.COMPANIES else self.value.removesuffix("s")
        return one.replace("_", " ")


NAMED: dict[Kind, type[Record]] = {
    Kind.DEPARTMENTS: Department,
    Kind.USERS: User,
    Kind.PRODUCTS: Product,
    Kind.COMPANIES: Company,
    Kind.CONTACTS: Contact,
    Kind.LEADS: Lead,
    Kind.DEALS: Deal,
    Kind.QUOTES: Quote,
    Kind.INVOICES: Invoice,
}
"""Kinds whose rows have an external id, by which others name them."""

ITEMS = {
    Kind.LEADS: ItemType.LEAD,
    Kind.DEALS: ItemType.DEAL,
    Kind.QUOTES: ItemType.QUOTE,
    Kind.INVOICES: ItemType.INVOICE,
}

SOLD_BY = {item_type.value: kind for kind, item_type in ITEMS.items()}
"""The fields of a product row that may name the item which sells it: one of them does."""

MADE_ON_DEMAND = frozenset({Kind.USERS, Kind.PRODUCTS, Kind.COMPANIES})
"""A name is all that these need."""


def table_of(kind: Kind) -> Table:
    """Return the table where rows of a kind stand; items share one."""
    table = inspect(NAMED[kind]).local_table
    if not isinstance(table, Table):
        raise TypeError(f"{kind} stand in no table.")
    return table


@dataclass(frozen=True)
class FieldOf:
    """One field of a kind: how its cells are read, or which kind it names."""

    parse: Parse = values.name
    names: Kind | None = None
    many: bool = False
    required: bool = False


@cache
def fields_of(kind: Kind, region: str) -> Mapping[str, FieldOf]:
    """Return the fields that a layout may fill; `region` is the country of bare phone numbers."""
    reached = {
        "phones": FieldOf(values.phones(region)),
        "emails": FieldOf(values.emails),
    }
    external_id = FieldOf(values.name, required=kind in {Kind.CONTACTS, *ITEMS})
    short, long = (
        FieldOf(values.text(values.LONGEST_VALUE)),
        FieldOf(values.text(values.LONGEST_TEXT)),
    )
    named = {"external_id": external_id, "name": FieldOf(required=True)}
    item = {
        "external_id": external_id,
        "title": FieldOf(required=True),
        "pipeline": FieldOf(),
        "stage": FieldOf(),
        "responsible": FieldOf(names=Kind.USERS),
        "creator": FieldOf(names=Kind.USERS),
        "contact": FieldOf(names=Kind.CONTACTS),
        "further_contacts": FieldOf(names=Kind.CONTACTS, many=True),
        "company": FieldOf(names=Kind.COMPANIES),
        "amount": FieldOf(values.money),
        "currency": FieldOf(values.currency),
        "begin_date": FieldOf(values.day),
        "close_date": FieldOf(values.day),
        "source": short,
        "comments": long,
        "product": FieldOf(names=Kind.PRODUCTS),
        **{f"source_{name}": FieldOf(names=kind) for name, kind in SOLD_BY.items()},
    }
    fields: dict[Kind, dict[str, FieldOf]] = {
        Kind.FIELD_DEFINITIONS: {
            "item_type": FieldOf(values.one_of(ItemType), required=True),
            "name": FieldOf(values.identifier, required=True),
            "title": FieldOf(),
            "kind": FieldOf(values.one_of(FieldKind), required=True),
            "choices": FieldOf(values.several),
            "position": FieldOf(values.whole),
        },
        Kind.PIPELINES: {
            "item_type": FieldOf(values.one_of(ItemType), required=True),
            "name": FieldOf(required=True),
            "stage": FieldOf(),
            "stage_kind": FieldOf(values.one_of(StageKind)),
        },
        Kind.DEPARTMENTS: {
            **named,
            "parent": FieldOf(names=Kind.DEPARTMENTS),
            "head": FieldOf(names=Kind.USERS),
        },
        Kind.USERS: {
            **named,
            "email": FieldOf(values.address),
            "role": FieldOf(values.one_of(Role)),
            "reach": FieldOf(values.one_of(Reach)),
            "department": FieldOf(names=Kind.DEPARTMENTS),
            "locale": FieldOf(values.locale),
            "time_zone": FieldOf(values.zone),
            "active": FieldOf(values.yes_or_no),
            "absent_from": FieldOf(values.moment),
            "absent_until": FieldOf(values.moment),
        },
        Kind.PRODUCTS: {
            **named,
            "series": short,
            "price": FieldOf(values.money),
            "currency": FieldOf(values.currency),
        },
        Kind.COMPANIES: {
            **named,
            **reached,
            "industry": short,
            "address": short,
            "founded_year": FieldOf(values.whole),
            "employees": FieldOf(values.whole),
            "annual_revenue": FieldOf(values.money),
            "parent": FieldOf(names=Kind.COMPANIES),
            "comments": long,
        },
        Kind.CONTACTS: {
            **reached,
            "external_id": external_id,
            "first_name": FieldOf(),
            "last_name": FieldOf(),
            "position": short,
            "comments": long,
            "company": FieldOf(names=Kind.COMPANIES),
        },
        Kind.LEADS: {
            **item,
            **reached,
            "first_name": FieldOf(),
            "last_name": FieldOf(),
            "converted_at": FieldOf(values.moment),
        },
        Kind.DEALS: item,
        Kind.QUOTES: item,
        Kind.INVOICES: {**item, "paid_at": FieldOf(values.moment)},
        Kind.PRODUCT_ROWS: {
            **{name: FieldOf(names=kind) for name, kind in SOLD_BY.items()},
            "name": FieldOf(),
            "price": FieldOf(values.money),
            "quantity": FieldOf(values.quantity),
            "product": FieldOf(names=Kind.PRODUCTS),
        },
    }
    return fields[kind]
