"""Field definitions: the custom part of the catalogue, as texts and conditions have it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from models.conditions import Circumstances, Comparison, Operator, Outcome, evaluate
from models.database import Database
from models.errors import Invalid
from models.field_definition import FieldDefinition, add_definition, catalogue_of
from models.field_values import field_values
from models.fields import Catalogue, Field, FieldKind
from models.item import lock_item
from models.item_type import ItemType
from models.templates import render
from models.user import User
from tests.factories import a_deal, a_pipeline


def a_definition(name: str, kind: FieldKind = FieldKind.TEXT) -> FieldDefinition:
    return FieldDefinition(
        item_type=ItemType.DEAL, name=name, title=name.capitalize(), kind=kind, choices=[]
    )


async def test_a_catalogue_holds_the_custom_fields_in_order(database: Database) -> None:
    async with database.transaction() as session:
        await add_definition(session, a_definition("second"), position=5)
        await add_definition(session, a_definition("first"), position=1)

    async with database.reading() as session:
        catalogue = await catalogue_of(session, ItemType.DEAL)
        other = await catalogue_of(session, ItemType.LEAD)

    custom = [path for path in catalogue.fields if path.startswith("deal.custom.")]
    assert custom == ["deal.custom.first", "deal.custom.second"]
    assert other == Catalogue.of(ItemType.LEAD)


async def test_choices_are_part_of_the_catalogue(database: Database) -> None:
    size = a_definition("size", FieldKind.LIST)
    size.choices = ["Small", "Large"]

    async with database.transaction() as session:
        await add_definition(session, size)
        catalogue = await catalogue_of(session, ItemType.DEAL)

    found = catalogue.find("deal.custom.size")
    assert found == Field("deal.custom.size", "Size", FieldKind.LIST, choices=("Small", "Large"))


@pytest.mark.parametrize("name", ["", "1st", "a-b", "größe", "x\n", "x" * 65])
async def test_a_name_is_an_identifier(database: Database, name: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(Invalid) as caught:
            await add_definition(session, a_definition(name))

    assert caught.value.field == "/name"


TEXT = (
    "{{ deal.custom.contract_no }}/{{ deal.custom.floors }}/{{ deal.custom.deposit | money }}/"
    "{{ item.custom.manager }}/{{ deal.custom.manager.name }}/{{ deal.custom.manager.email }}/"
    "{{ deal.custom.never }}/{{ deal.custom.misfit }}/{{ deal.custom.left }}/"
    "{{ deal.custom.deputy }}/{{ deal.custom.deputy.name }}"
)

CUSTOM = {
    "contract_no": FieldKind.TEXT,
    "floors": FieldKind.NUMBER,
    "deposit": FieldKind.MONEY,
    "manager": FieldKind.USER,
    "deputy": FieldKind.USER,
    "never": FieldKind.DATE,
    "misfit": FieldKind.DATE,
}


HERE = Circumstances(datetime(2027, 8, 1, tzinfo=UTC), "UTC")

COMPARED: list[tuple[str, Operator, Any]] = [
    ("floors", Operator.GREATER, 99),
    ("deposit", Operator.GREATER, "1250.00"),
    ("manager", Operator.EQUAL, 7),
    ("manager.name", Operator.EQUAL, "Bea"),
    ("never", Operator.EMPTY, None),
    ("misfit", Operator.GREATER, "2027-01-01"),
    ("left", Operator.EQUAL, "over"),
]


async def test_custom_fields_are_written_into_texts_and_compared(database: Database) -> None:
    async with database.transaction() as session:
        for name, kind in CUSTOM.items():
            await add_definition(session, a_definition(name, kind))
        bea = User(name="Bea", email="bea@crm.example")
        bea.id = 7
        session.add(bea)
        [stage] = a_pipeline(session, "New")
        await session.flush()
        values = {
            "contract_no": "A-1",
            "floors": 100,
            "deposit": "1250.00",
            "manager": bea.id,
            "deputy": "Gus",
            "misfit": "soon",
            "left": "over",
        }
        deal, _ = await a_deal(session, stage, custom=values)

    async with database.transaction() as session:
        catalogue = await catalogue_of(session, ItemType.DEAL)
        known = await field_values(
            session,
            await lock_item(session, deal.id),
            catalogue,
            url="http://crm.example",
            currency="EUR",
            wanted=TEXT,
        )

    assert render(TEXT, known, locale="en", zone="UTC") == (
        "A-1/100/€1,250.00/Bea/Bea/bea@crm.example//soon/over/Gus/"
    )
    outcomes = {
        name: evaluate(
            Comparison(field=f"deal.custom.{name}", operator=operator, value=value),
            known,
            catalogue,
            HERE,
        ).outcome
        for name, operator, value in COMPARED
    }
    assert outcomes == {
        "floors": Outcome.MET,
        "deposit": Outcome.NOT_MET,
        "manager": Outcome.MET,
        "manager.name": Outcome.MET,
        "never": Outcome.MET,
        "misfit": Outcome.UNKNOWN,
        "left": Outcome.UNKNOWN,
    }
