"""Field values: every field of the catalogue has one, as the item is at that moment."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from models.clock import now
from models.company import Company
from models.contact import Contact
from models.contact_point import email, phone
from models.database import Database
from models.field_definition import FieldDefinition, catalogue_of
from models.field_values import field_values
from models.fields import Catalogue, FieldKind
from models.item import Invoice, Item, Lead, lock_item
from models.item_type import ItemType
from models.product_row import ProductRow
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, an_invoice

ALL = "phone email products"
"""A text that mentions all that is read only where it is wanted."""


async def values_of(database: Database, item: Item, *, wanted: str = ALL) -> Mapping[str, object]:
    async with database.transaction() as session:
        return await field_values(
            session,
            await lock_item(session, item.id),
            await catalogue_of(session, item.type),
            url="http://crm.example",
            currency="EUR",
            wanted=wanted,
        )


def client() -> dict[str, Any]:
    """Everybody who may have to do with an item, with all that is known of them."""
    return {
        "contact": Contact(
            first_name="Anna",
            last_name="Keller",
            position="Head of roofs",
            contact_points=[phone("030 1234567", region="DE"), email("anna@mills.example")],
        ),
        "company": Company(
            name="Mills",
            address="Mill Road 1",
            contact_points=[email("office@mills.example"), phone("030 7654321", region="DE")],
        ),
        "responsible": User(name="Tom", email="tom@crm.example"),
        "creator": User(name="Eve", email="eve@crm.example"),
    }


def fields() -> dict[str, Any]:
    """All fields that leads and deals share."""
    return {
        "title": "Solar roof",
        "amount": Decimal("18500.50"),
        "currency": "PLN",
        "begin_date": date(2027, 3, 1),
        "close_date": date(2027, 6, 1),
        "source": "Fair",
        "comments": "Facing south.",
        "product_rows": [
            ProductRow(name="Panel", price=Decimal("250.00"), quantity=Decimal("1.5"))
        ],
    }


async def defined(database: Database, **kinds: FieldKind) -> None:
    """Give deals custom fields of these kinds."""
    async with database.transaction() as session:
        session.add_all(
            FieldDefinition(item_type=ItemType.DEAL, name=name, title=name, kind=kind, choices=[])
            for name, kind in kinds.items()
        )


async def deal_with(database: Database, **fields: Any) -> Item:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Contract")
        deal, _ = await a_deal(session, stage, **fields)
    return deal


async def lead_with(database: Database, **fields: Any) -> Item:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        lead, _ = await a_lead(session, stage, **fields)
    return lead


async def invoice_with(database: Database, **fields: Any) -> Item:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Open", item_type=ItemType.INVOICE)
        invoice, _ = await an_invoice(session, stage, **fields)
    return invoice


async def test_every_field_of_a_deal_has_its_value(database: Database) -> None:
    deal = await deal_with(database, **client(), **fields())

    values = await values_of(database, deal)

    assert values.keys() == Catalogue.of(ItemType.DEAL).fields.keys()
    assert [path for path, value in values.items() if value is None] == []


async def test_every_field_of_a_lead_has_its_value(database: Database) -> None:
    lead = await lead_with(
        database,
        **client(),
        **fields(),
        first_name="Ben",
        last_name="Bright",
        contact_points=[phone("030 1112223", region="DE"), email("ben@bright.example")],
    )
    async with database.transaction() as session:
        (await session.get_one(Lead, lead.id)).converted_at = now()

    values = await values_of(database, lead)

    assert values.keys() == Catalogue.of(ItemType.LEAD).fields.keys()
    assert [path for path, value in values.items() if value is None] == []


async def test_every_field_of_an_invoice_has_its_value(database: Database) -> None:
    invoice = await invoice_with(database, **client(), **fields())
    async with database.transaction() as session:
        (await session.get_one(Invoice, invoice.id)).paid_at = now()

    values = await values_of(database, invoice)

    assert values.keys() == Catalogue.of(ItemType.INVOICE).fields.keys()
    assert [path for path, value in values.items() if value is None] == []


@pytest.mark.parametrize("make", [deal_with, lead_with, invoice_with])
async def test_of_what_is_not_there_every_field_is_empty(database: Database, make: Any) -> None:
    item = await make(database)

    values = await values_of(database, item)

    assert values.keys() == Catalogue.of(item.type).fields.keys()
    there = {path for path, value in values.items() if value not in (None, [], False)}
    assert there == {
        f"{root}.{name}"
        for root in ("item", item.type)
        for name in ("id", "title", "url", "stage", "pipeline", "currency", "created_at")
    }


async def test_the_values_are_those_of_the_deal_and_the_people_around_it(
    database: Database,
) -> None:
    deal = await deal_with(database, **client(), **fields())

    values = await values_of(database, deal)

    assert {
        "deal.title": "Solar roof",
        "item.url": f"http://crm.example/v1/deals/{deal.id}",
        "deal.stage": "Contract",
        "deal.pipeline": "Sales",
        "deal.amount": Decimal("18500.50"),
        "deal.currency": "PLN",
        "deal.close_date": date(2027, 6, 1),
        "contact.name": "Anna Keller",
        "contact.phone": "030 1234567",
        "contact.email": "anna@mills.example",
        "company.name": "Mills",
        "company.phone": "030 7654321",
        "responsible.name": "Tom",
        "creator.email": "eve@crm.example",
    }.items() <= values.items()


async def test_products_are_rows_with_their_totals(database: Database) -> None:
    deal = await deal_with(database, **fields())

    values = await values_of(database, deal)

    assert values["deal.products"] == [
        {
            "name": "Panel",
            "price": Decimal("250.00"),
            "quantity": Decimal("1.5"),
            "total": Decimal("375.00"),
        }
    ]


async def test_custom_fields_have_their_values_under_both_names(database: Database) -> None:
    await defined(database, contract_no=FieldKind.TEXT)
    deal = await deal_with(database, custom={"contract_no": "K-17"})

    values = await values_of(database, deal)

    assert values["deal.custom.contract_no"] == "K-17"
    assert values["item.custom.contract_no"] == "K-17"


@pytest.mark.parametrize(
    ("kind", "kept", "value"),
    [
        (FieldKind.NUMBER, 0.1, Decimal("0.1")),
        (FieldKind.MONEY, "12.50", Decimal("12.50")),
        (FieldKind.DATE, "2027-12-31", date(2027, 12, 31)),
        (FieldKind.DATETIME, "2027-12-31T09:00:00Z", datetime(2027, 12, 31, 9, tzinfo=UTC)),
        (FieldKind.BOOLEAN, False, False),
        (FieldKind.LIST, "Large", "Large"),
        (FieldKind.MULTI, ["North", "West"], ["North", "West"]),
        (FieldKind.USER, 7, 7),
        (FieldKind.NUMBER, "three", "three"),
        (FieldKind.DATE, "2027-02-30", "2027-02-30"),
        (FieldKind.MULTI, "North", "North"),
        (FieldKind.USER, "Bea", "Bea"),
    ],
)
async def test_a_custom_value_is_of_the_kind_of_its_field_or_as_it_is_kept(
    database: Database, kind: FieldKind, kept: object, value: object
) -> None:
    await defined(database, some=kind)
    deal = await deal_with(database, custom={"some": kept})

    values = await values_of(database, deal, wanted="{{ deal.custom.some }}")

    assert (type(values["deal.custom.some"]), values["deal.custom.some"]) == (type(value), value)


async def test_a_custom_field_that_was_never_filled_in_is_empty(database: Database) -> None:
    await defined(database, manager=FieldKind.USER, floors=FieldKind.NUMBER)
    deal = await deal_with(database)

    values = await values_of(database, deal)

    paths = ("floors", "manager", "manager.name", "manager.email")
    assert [values[f"deal.custom.{path}"] for path in paths] == [None] * 4


async def test_a_value_without_a_definition_is_still_there(database: Database) -> None:
    deal = await deal_with(database, custom={"gone": 3})

    assert (await values_of(database, deal))["deal.custom.gone"] == 3


async def test_of_a_user_name_and_address_are_told_where_they_are_wanted(
    database: Database,
) -> None:
    await defined(database, manager=FieldKind.USER, deputy=FieldKind.USER)
    bea = User(name="Bea", email="bea@crm.example")
    async with database.transaction() as session:
        session.add(bea)
    deal = await deal_with(database, custom={"manager": bea.id, "deputy": 999})

    values = await values_of(database, deal, wanted="custom manager deputy")
    unwanted = await values_of(database, deal, wanted="custom")

    assert (values["deal.custom.manager"], values["deal.custom.deputy"]) == (bea.id, 999)
    assert values["deal.custom.manager.name"] == values["item.custom.manager.name"] == "Bea"
    assert values["deal.custom.manager.email"] == "bea@crm.example"
    assert values["deal.custom.deputy.name"] is None
    assert unwanted["deal.custom.manager.name"] is None


async def test_an_item_without_a_currency_has_the_companys(database: Database) -> None:
    deal = await deal_with(database, amount=Decimal(1))

    values = await values_of(database, deal)

    assert values["deal.currency"] == "EUR"


async def test_a_lead_of_a_client_is_a_repeat_lead(database: Database) -> None:
    new = await lead_with(database)
    again = await lead_with(database, contact=Contact(first_name="Anna"))

    assert (await values_of(database, new))["lead.is_repeat"] is False
    assert (await values_of(database, again))["lead.is_repeat"] is True


async def test_phones_addresses_and_products_are_read_only_where_they_are_wanted(
    database: Database,
) -> None:
    deal = await deal_with(database, **client(), **fields())

    values = await values_of(database, deal, wanted="{{ deal.title }}")

    assert values.keys() == Catalogue.of(ItemType.DEAL).fields.keys()
    assert (values["contact.phone"], values["company.email"]) == (None, None)
    assert values["deal.products"] == []


@pytest.mark.parametrize("wanted", ["Call {{ contact.phone }}", '{"field": "company.email"}'])
async def test_one_of_them_wanted_brings_all_addresses(database: Database, wanted: str) -> None:
    deal = await deal_with(database, **client())

    values = await values_of(database, deal, wanted=wanted)

    assert values["contact.phone"] == "030 1234567"
    assert values["company.email"] == "office@mills.example"


async def test_of_several_phones_the_first_counts(database: Database) -> None:
    points = [phone("030 1234567", region="DE"), phone("030 7654321", region="DE")]
    deal = await deal_with(database, contact=Contact(first_name="Anna", contact_points=points))

    values = await values_of(database, deal)

    assert values["contact.phone"] == "030 1234567"
