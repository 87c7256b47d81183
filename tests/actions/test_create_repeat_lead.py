"""Create repeat lead: a lead for the client of a deal."""

from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from activities.registry import RulePlace, all_actions
from activities.rule_check import check_rule
from models.clock import now
from models.company import Company
from models.contact import Contact
from models.database import Database
from models.item import Deal, Lead
from models.item_type import ItemType
from models.pipeline import Stage, find_stage
from models.rule_run import RunState
from models.stage_entry import CauseKind, StageEntry
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


@pytest.fixture
async def incoming(database: Database) -> Stage:
    """The first stage of the lead pipeline."""
    async with database.transaction() as session:
        first, _ = a_pipeline(session, "Incoming", "Answered", item_type=ItemType.LEAD)
    return first


async def won(database: Database, **deal: Any) -> tuple[Deal, StageEntry]:
    """Let a deal enter a stage that makes a repeat lead."""
    params = deal.pop("params", {})
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Closed won")
        a_rule(session, stage, "create_repeat_lead", params=params)
        return await a_deal(session, stage, **deal)


async def test_the_lead_is_for_the_deals_contact_and_company_and_is_a_repeat_lead(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    anna, firm = Contact(first_name="Anna"), Company(name="Mills")
    deal, entry = await won(database, contact=anna, company=firm)

    run = await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    assert (lead.contact_id, lead.company_id) == (anna.id, firm.id)
    assert lead.is_repeat
    assert lead.source_item_id == deal.id
    assert lead.stage_id == incoming.id
    assert lead.made_by_run_id == run.id
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Created repeat lead {lead.id} «Lathe, repeat».",
    )


async def test_a_company_alone_is_a_client_too(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    _, entry = await won(database, company=Company(name="Mills"))

    await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    assert lead.contact_id is None
    assert lead.is_repeat


async def test_the_title_holds_fields_of_the_deal_and_its_client(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    _, entry = await won(
        database,
        contact=Contact(first_name="Anna", last_name="Keller"),
        params={"title": "Batteries for {{ contact.name }}, as {{ item.title }}"},
    )

    await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    assert lead.title == "Batteries for Anna Keller, as Lathe"


async def test_a_title_of_empty_fields_only_fails_with_that_reason(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    _, entry = await won(
        database, company=Company(name="Mills"), params={"title": "{{ contact.name }}"}
    )

    run = await runner.do(entry.id)

    assert run.outcome == "The title is empty, now that its fields are filled in."
    assert await all_of(database, Lead) == []


async def test_whoever_is_responsible_for_the_deal_gets_the_lead(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    tom = User(name="Tom")
    _, entry = await won(database, contact=Contact(first_name="Anna"), responsible=tom)

    await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    assert lead.responsible_id == tom.id


async def test_a_deal_that_nobody_is_responsible_for_makes_a_lead_of_nobodys(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    _, entry = await won(database, contact=Contact(first_name="Anna"))

    await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    assert lead.responsible_id is None


async def test_the_lead_goes_to_the_person_chosen(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    eve = User(name="Eve")
    async with database.transaction() as session:
        session.add(eve)
    _, entry = await won(
        database,
        contact=Contact(first_name="Anna"),
        params={"responsible": {"by": "user", "id": eve.id}},
    )

    await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    assert lead.responsible_id == eve.id


async def test_somebody_who_has_left_is_given_nothing(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    eve = User(name="Eve", active=False)
    async with database.transaction() as session:
        session.add(eve)
    _, entry = await won(
        database,
        contact=Contact(first_name="Anna"),
        params={"responsible": {"by": "user", "id": eve.id}},
    )

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"User {eve.id} does not work here any more.",
    )
    assert await all_of(database, Lead) == []


async def test_a_deal_without_contact_and_company_fails_with_that_reason(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    deal, entry = await won(database)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Deal {deal.id} has no contact and no company.",
    )


async def test_a_client_in_the_recycle_bin_is_no_client(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    deal, entry = await won(database, contact=Contact(first_name="Sam", deleted_at=now()))

    run = await runner.do(entry.id)

    assert run.outcome == f"Deal {deal.id} has no contact and no company."
    assert await all_of(database, Lead) == []


async def test_where_there_is_no_pipeline_for_leads_it_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    _, entry = await won(database, contact=Contact(first_name="Anna"))

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, "There is no stage for leads.")


async def test_the_lead_enters_its_stage_as_every_other_so_that_its_rules_start(
    database: Database, runner: Runner, incoming: Stage
) -> None:
    async with database.transaction() as session:
        stage = await find_stage(session, incoming.id)
        rule = a_rule(session, stage, title="Call at once")
    _, entry = await won(database, contact=Contact(first_name="Anna"))

    run = await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    (its_entry,) = await all_of(
        database,
        StageEntry,
        StageEntry.item_id == lead.id,
        options=(selectinload(StageEntry.runs),),
    )
    assert [each.rule_id for each in its_entry.runs] == [rule.id]
    assert (its_entry.cause, its_entry.cause_run_id) == (CauseKind.RULE, run.id)
    assert (its_entry.root_id, its_entry.depth) == (entry.id, 1)


async def test_a_rule_that_says_nothing_else_is_saved_with_the_usual_title(
    database: Database,
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Closed won")
        await session.flush()
        checked = await check_rule(
            RulePlace(session, stage), action="create_repeat_lead", params={}, conditions=None
        )

    assert checked.model_dump(mode="json") == {
        "title": "{{ deal.title }}, repeat",
        "responsible": {"by": "responsible", "id": None},
    }


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        (
            {"title": "For\n{{ deal.titel }}"},
            "/params/title",
            "line 2, column 4: unknown field deal.titel, did you mean deal.title?",
        ),
        (
            {"responsible": {"by": "user", "id": 42}},
            "/params/responsible/id",
            "There is no user 42.",
        ),
        (
            {"responsible": {"by": "department", "id": 42}},
            "/params/responsible/id",
            "There is no department 42.",
        ),
        (
            {"responsible": {"by": "user"}},
            "/params/responsible",
            "a choice by user needs an id",
        ),
        (
            {"responsible": {"by": "supervisor", "id": 1}},
            "/params/responsible",
            "a choice by supervisor has no id",
        ),
        ({"titel": "Again"}, "/params/titel", "unknown field titel, did you mean title?"),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Closed won")

    problems = await refused(database, stage, "create_repeat_lead", params)

    assert problems == {field: reason}


async def test_a_rule_on_a_stage_of_leads_is_refused(database: Database, incoming: Stage) -> None:
    problems = await refused(database, incoming, "create_repeat_lead")

    assert problems == {"/action": "«Create repeat lead» is not for leads, whose stage this is."}


async def test_an_action_that_does_not_exist_is_refused_with_those_that_do(
    database: Database, incoming: Stage
) -> None:
    problems = await refused(database, incoming, "make_coffee")

    assert problems == {
        "/action": f"There is no action make_coffee. There are {', '.join(all_actions())}."
    }
