"""Change contact: a rule edits the primary contact of its item, as the API would."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models import clock
from models.changes import changed_since
from models.company import Company
from models.contact import Contact
from models.contact_point import points
from models.database import Database
from models.entering import create_item
from models.history import HistoryEntry, HistoryKind
from models.item import Quote
from models.item_type import ItemType
from models.rule_run import RunState
from models.stage_entry import Cause, StageEntry, load_entry
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


def change(field: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "value": value}


async def entered(
    database: Database,
    *changes: dict[str, Any],
    item_type: ItemType = ItemType.DEAL,
    append: bool = False,
    **item: Any,
) -> StageEntry:
    """Let a deal or lead enter a stage where a rule changes its contact so."""
    enter = {ItemType.DEAL: a_deal, ItemType.LEAD: a_lead}[item_type]
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New", item_type=item_type)
        params = {"changes": list(changes), "append": append}
        a_rule(session, stage, "edit_contact", params=params)
        _, entry = await enter(session, stage, **item)
    return entry


def anna(**rest: Any) -> Contact:
    there = points(phones=["030 1234567"], emails=["anna@example.com"], region="DE")
    return Contact(first_name="Anna", contact_points=there, **rest)


async def the_contact(database: Database) -> Contact:
    (contact,) = await all_of(database, Contact, options=(selectinload(Contact.contact_points),))
    return contact


async def changes_told(database: Database) -> list[HistoryEntry]:
    return await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.CHANGED)


async def test_fields_of_the_contact_take_constants_and_fields_of_the_item(
    database: Database, runner: Runner
) -> None:
    mills = Company(name="Mills")
    async with database.transaction() as session:
        session.add(mills)
    entry = await entered(
        database,
        change("contact.last_name", "Keller"),
        change("contact.position"),
        change("contact.comments", "Wants {{ deal.title }}"),
        change("contact.company_id", mills.id),
        change("contact.phones", "{{ contact.phone }}\n030 22222"),
        contact=anna(position="Buyer"),
    )

    run = await runner.do(entry.id)

    contact = await the_contact(database)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Changed Last name, Position, Comments, Company, Phones of contact {contact.id}.",
    )
    assert run.result == {"changed": 5}
    assert (contact.name, contact.position) == ("Anna Keller", None)
    assert (contact.comments, contact.company_id) == ("Wants Lathe", mills.id)
    assert (contact.phones, contact.emails) == (["030 1234567", "030 22222"], ["anna@example.com"])


async def test_phones_and_addresses_are_added_if_that_is_chosen(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        change("contact.phones", ["030 22222", "030 1234567"]),
        change("contact.emails", "ceo@example.com"),
        append=True,
        contact=anna(),
    )

    await runner.do(entry.id)

    contact = await the_contact(database)
    assert contact.phones == ["030 1234567", "030 22222"]
    assert contact.emails == ["anna@example.com", "ceo@example.com"]


async def test_the_change_stands_in_the_history_of_contact_and_item_with_rule_and_run(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom")
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        params = {
            "changes": [
                change("contact.last_name", "Keller"),
                change("contact.first_name", "Anna"),
            ],
            "changed_by": {"by": "responsible"},
        }
        a_rule(session, stage, "edit_contact", params=params)
        deal, entry = await a_deal(session, stage, contact=anna(), responsible=tom)

    run = await runner.do(entry.id)

    (line,) = await changes_told(database)
    assert line.text == "Last name: (empty) → Keller"
    assert (line.subject_type, line.subject_id, line.item_id) == (
        "contact",
        deal.contact_id,
        deal.id,
    )
    assert (line.field, line.old, line.new) == ("last_name", None, "Keller")
    assert (line.author_id, line.rule_id, line.run_id) == (tom.id, run.rule_id, run.id)


async def test_a_field_of_the_contact_is_no_changed_field_of_the_lead(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        change("contact.first_name", "Ida"),
        item_type=ItemType.LEAD,
        contact=anna(),
    )

    await runner.do(entry.id)

    async with database.reading() as session:
        stay = await load_entry(session, entry.id)
        assert stay is not None
        assert await changed_since(session, stay) == frozenset()


async def test_the_version_of_the_contact_goes_up_only_by_a_real_change(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        change("contact.first_name", "{{ contact.first_name }}"),
        change("contact.phones", ["030 1234567"]),
        contact=anna(),
    )
    before = (await the_contact(database)).version

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.DONE, "Nothing changed.")
    assert run.result == {"changed": 0}
    assert (await the_contact(database)).version == before
    assert await changes_told(database) == []


@pytest.mark.parametrize("contact", [lambda: None, lambda: anna(deleted_at=clock.now())])
async def test_without_a_contact_outside_the_bin_it_fails_with_that_reason(
    database: Database, runner: Runner, contact: Callable[[], Contact | None]
) -> None:
    entry = await entered(database, change("contact.first_name", "Ida"), contact=contact())

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, f"Deal {entry.item_id} has no contact.")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("contact.phones", "{{ deal.title }}", "«Lathe» is not a phone number."),
        ("contact.company_id", "{{ deal.amount | floor }}7", "There is no company 107."),
        (
            "contact.first_name",
            "{{ deal.comments }}",
            "String should have at most 200 characters",
        ),
    ],
)
async def test_what_the_api_would_refuse_fails_with_field_and_reason(
    database: Database, runner: Runner, field: str, value: str, reason: str
) -> None:
    entry = await entered(
        database, change(field, value), contact=anna(), comments="x" * 201, amount=Decimal(10)
    )

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, f"{field}: {reason}")


async def test_two_rules_that_edit_the_contact_of_two_deals_at_once_lose_nothing(
    database: Database, runner: Runner
) -> None:
    contact = anna()
    first = await entered(
        database, change("contact.phones", "030 1111111"), append=True, contact=contact
    )
    async with database.transaction() as session:
        again = await session.get_one(Contact, contact.id)
        (stage,) = a_pipeline(session, "Other")
        changes = [change("contact.phones", "030 2222222")]
        a_rule(session, stage, "edit_contact", params={"changes": changes, "append": True})
        _, second = await a_deal(session, stage, contact=again)

    await asyncio.gather(runner.do(first.id), runner.do(second.id))

    assert set((await the_contact(database)).phones) == {
        "030 1234567",
        "030 1111111",
        "030 2222222",
    }


async def test_it_is_for_quotes_too(database: Database, runner: Runner) -> None:
    changes = [change("contact.position", "{{ quote.title }}")]
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Draft", item_type=ItemType.QUOTE)
        a_rule(session, stage, "edit_contact", params={"changes": changes})
        person = User(name="Ann")
        session.add(person)
        await session.flush()
        quote = Quote(title="Offer", contact=anna())
        entry = await create_item(session, quote, stage, Cause.person(person))

    await runner.do(entry.id)

    assert (await the_contact(database)).position == "Offer"


@on_one_database
@pytest.mark.parametrize(
    ("field", "value", "at", "reason"),
    [
        (
            "contact.firstname",
            "x",
            "field",
            "unknown field contact.firstname, did you mean contact.first_name?",
        ),
        ("contact.phone", "x", "field", "contact.phone cannot be changed, but contact.phones can"),
        ("contact.name", "x", "field", "contact.name cannot be changed"),
        ("deal.title", "x", "field", "deal.title is changed by the action edit_item"),
        ("company.name", "x", "field", "company.name is changed by the action edit_company"),
        ("deal.stage", "x", "field", "deal.stage is changed by the action change_stage"),
        ("contact.first_name", "x" * 201, "value", "String should have at most 200 characters"),
        ("contact.company_id", 42, "value", "There is no company 42."),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, field: str, value: Any, at: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "edit_contact", {"changes": [change(field, value)]}) == {
        f"/params/changes/0/{at}": reason
    }
