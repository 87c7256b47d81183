"""Create a contact for a lead: of what the lead says, or whoever is known by it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models.clock import now
from models.contact import Contact
from models.contact_point import ContactPoint, points
from models.database import Database
from models.history import HistoryEntry, HistoryKind
from models.item import Lead
from models.item_type import ItemType
from models.pipeline import Stage, find_stage
from models.rule_run import RunState
from models.stage_entry import StageEntry
from tests.factories import a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.runner import Runner

WITH_POINTS = (selectinload(Contact.contact_points),)


@pytest.fixture
async def incoming(database: Database) -> Stage:
    """A stage of leads whose rule makes contacts of them."""
    async with database.transaction() as session:
        [stage] = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, stage, "create_contact_for_lead", params={})
    return stage


def at(*, phones: tuple[str, ...] = (), emails: tuple[str, ...] = ()) -> list[ContactPoint]:
    return points(phones=list(phones), emails=list(emails), region="DE")


async def come(database: Database, stage: Stage, **lead: Any) -> tuple[Lead, StageEntry]:
    """Let a lead enter the stage."""
    async with database.transaction() as session:
        return await a_lead(session, await find_stage(session, stage.id), **lead)


async def client_of(database: Database, lead: Lead) -> int | None:
    [present] = await all_of(database, Lead, Lead.id == lead.id)
    return present.contact_id


async def test_the_contact_has_the_names_phones_and_addresses_of_the_lead(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    lead, entry = await come(
        database,
        incoming,
        first_name="Clara",
        last_name="Vogt",
        contact_points=at(phones=("0171 5550199",), emails=("Clara@Vogt.example",)),
    )

    run = await runner.do(entry.id)

    [contact] = await all_of(database, Contact, options=WITH_POINTS)
    assert (contact.name, contact.phones, contact.emails) == (
        "Clara Vogt",
        ["0171 5550199"],
        ["Clara@Vogt.example"],
    )
    assert [point.value for point in contact.contact_points] == [
        "+491715550199",
        "Clara@vogt.example",
    ]
    assert contact.made_by_run_id == run.id
    assert await client_of(database, lead) == contact.id
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Created contact {contact.id} «Clara Vogt».",
    )
    assert run.result == {
        "id": contact.id,
        "name": "Clara Vogt",
        "is_new": True,
        "url": f"http://crm.example/v1/contacts/{contact.id}",
    }


async def test_the_lead_keeps_what_it_says_and_is_a_repeat_lead(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    lead, entry = await come(
        database, incoming, first_name="Clara", contact_points=at(phones=("0171 5550199",))
    )

    await runner.do(entry.id)

    [present] = await all_of(
        database, Lead, Lead.id == lead.id, options=(selectinload(Lead.contact_points),)
    )
    assert present.is_repeat
    assert (present.first_name, present.phones) == ("Clara", ["0171 5550199"])


async def test_history_tells_the_new_contact_as_linked_by_the_rule(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    _, entry = await come(database, incoming, first_name="Clara", contact_points=[])

    run = await runner.do(entry.id)

    [contact] = await all_of(database, Contact)
    [line] = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.LINKED)
    assert (line.field, line.new, line.run_id) == ("contact", str(contact.id), run.id)
    assert (line.subject_type, line.subject_id) == ("contact", contact.id)


@pytest.mark.parametrize(
    "lead",
    [
        {"contact_points": at(phones=("+49 171 555 01 99",))},
        {"contact_points": at(emails=("CLARA@vogt.example",))},
    ],
)
async def test_whoever_has_the_same_phone_or_address_is_linked_and_not_made_again(
    database: Database, runner: Runner, incoming: Stage, lead: dict[str, Any]
) -> None:
    known = Contact(
        first_name="Clara",
        contact_points=at(phones=("0171 5550199",), emails=("clara@vogt.example",)),
    )
    async with database.transaction() as session:
        session.add(known)
    anew = [point.again() for point in lead["contact_points"]]
    caller, entry = await come(database, incoming, first_name="C.", contact_points=anew)

    run = await runner.do(entry.id)

    assert await client_of(database, caller) == known.id
    assert len(await all_of(database, Contact)) == 1
    assert run.outcome == f"Linked contact {known.id} «Clara», known by its address."


async def test_of_several_it_is_who_shares_most_and_of_those_the_oldest(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    office, desk, mail = "030 901820", "030 901821", "clara@vogt.example"
    colleague, first, second = (
        Contact(first_name="Carl", contact_points=at(phones=(office,))),
        Contact(first_name="Clara", contact_points=at(phones=(office, desk), emails=(mail,))),
        Contact(first_name="Clara", contact_points=at(phones=(office, desk), emails=(mail,))),
    )
    async with database.transaction() as session:
        session.add_all([colleague, first, second])
    lead, entry = await come(
        database, incoming, contact_points=at(phones=(office, desk), emails=(mail,))
    )

    run = await runner.do(entry.id)

    assert await client_of(database, lead) == first.id
    assert run.outcome == (
        f"Linked contact {first.id} «Clara», known by its address, "
        "who shares most with it or is the oldest of 3."
    )


async def test_who_is_in_the_recycle_bin_is_not_linked(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    gone = Contact(
        first_name="Clara", deleted_at=now(), contact_points=at(phones=("0171 5550199",))
    )
    async with database.transaction() as session:
        session.add(gone)
    lead, entry = await come(database, incoming, contact_points=at(phones=("0171 5550199",)))

    await runner.do(entry.id)

    assert await client_of(database, lead) not in {None, gone.id}


async def test_the_same_name_alone_is_somebody_else(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    async with database.transaction() as session:
        session.add(Contact(first_name="Anna", contact_points=at(phones=("030 901820",))))
    _, entry = await come(database, incoming, first_name="Anna", contact_points=[])

    await runner.do(entry.id)

    assert len(await all_of(database, Contact)) == 2


async def test_a_lead_that_has_a_contact_fails(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    anna = Contact(first_name="Anna")
    lead, entry = await come(
        database, incoming, contact=anna, first_name="Clara", contact_points=[]
    )

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Lead {lead.id} has contact {anna.id} «Anna» already.",
    )


async def test_a_contact_in_the_recycle_bin_is_replaced(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    gone = Contact(first_name="Anna", deleted_at=now())
    lead, entry = await come(
        database, incoming, contact=gone, first_name="Clara", contact_points=[]
    )

    run = await runner.do(entry.id)

    assert run.state is RunState.DONE
    assert await client_of(database, lead) != gone.id


async def test_a_lead_that_says_nothing_fails(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    lead, entry = await come(database, incoming, contact_points=[])

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Lead {lead.id} has no name, phone or e-mail that a contact could be made of.",
    )
    assert await all_of(database, Contact) == []


async def test_leads_of_one_caller_that_come_at_once_make_one_contact(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    came = [
        await come(database, incoming, contact_points=at(phones=("0171 5550199",)))
        for _ in range(6)
    ]

    runs = await asyncio.gather(*(runner.do(entry.id) for _, entry in came))

    assert {run.state for run in runs} == {RunState.DONE}
    [contact] = await all_of(database, Contact)
    assert {await client_of(database, lead) for lead, _ in came} == {contact.id}


async def test_it_is_for_leads_only(database: Database) -> None:
    async with database.transaction() as session:
        [stage] = a_pipeline(session, "New")

    assert await refused(database, stage, "create_contact_for_lead") == {
        "/action": "«Create a contact for a lead» is not for deals, whose stage this is."
    }
