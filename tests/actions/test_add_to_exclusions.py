"""Add to exceptions: item and client go, unless the client is needed, and are not heard again."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models.clock import now
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, ContactPointKind, email, phone
from models.database import Database
from models.entering import enter_stage
from models.errors import NotFound
from models.excluding import exclude, undo_exclusion
from models.exclusion import (
    Exclusion,
    ExclusionClaim,
    ExclusionKind,
    find_listed,
    take_off,
)
from models.history import HistoryEntry, HistoryKind
from models.item import Deal, Item, Lead, lock_item
from models.item_type import ItemType
from models.pipeline import Stage, find_stage
from models.recycle_bin import restore_item
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, StageEntry
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.runner import Runner

A_MOMENT = 0.3

SAM = "Sam@Prizes.example"


@pytest.fixture
async def stages(database: Database) -> list[Stage]:
    """A pipeline of deals; items in *Spam* are excepted."""
    async with database.transaction() as session:
        return a_pipeline(session, "New", "Spam")


async def spam(
    database: Database, stages: list[Stage], params: dict[str, Any] | None = None, **deal: Any
) -> StageEntry:
    """Let a deal enter *Spam*."""
    async with database.transaction() as session:
        stage = await find_stage(session, stages[1].id)
        a_rule(session, stage, "add_to_exclusions", params=params or {}, title="Spam goes")
        _, entry = await a_deal(session, stage, title="You have won!", **deal)
    return entry


async def another(database: Database, stages: list[Stage], **deal: Any) -> Deal:
    """Let an honest deal enter the first stage."""
    async with database.transaction() as session:
        stage = await find_stage(session, stages[0].id)
        made, _ = await a_deal(session, stage, **deal)
    return made


def sam(**rest: Any) -> Contact:
    """Somebody who is written to at sam@prizes.example and called at 020 7946 0958."""
    return Contact(
        first_name="Sam",
        contact_points=[phone("020 7946 0958", region="GB"), email("Sam@Prizes.example")],
        **rest,
    )


async def listed(database: Database) -> list[str]:
    return [each.value for each in await all_of(database, Exclusion)]


async def deletions(database: Database, item_id: int) -> list[str]:
    lines = await all_of(
        database,
        HistoryEntry,
        HistoryEntry.item_id == item_id,
        HistoryEntry.kind == HistoryKind.DELETED,
    )
    return [f"{line.subject_type} {line.subject_id}: {line.text}" for line in lines]


async def is_gone(database: Database, client: Contact | Company) -> bool:
    async with database.reading() as session:
        session.add(client)
        await session.refresh(client, ["deleted_at"])
    return client.deleted_at is not None


async def test_contact_and_company_go_with_the_deal_and_all_their_addresses_are_listed(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact = sam()
    firm = Company(name="Prizes", contact_points=[email("office@prizes.example")])
    entry = await spam(database, stages, contact=contact, company=firm)

    run = await runner.do(entry.id)

    exclusions = await all_of(database, Exclusion)
    assert [(each.kind, each.value) for each in exclusions] == [
        (ExclusionKind.EMAIL, "office@prizes.example"),
        (ExclusionKind.EMAIL, "sam@prizes.example"),
        (ExclusionKind.PHONE, "+442079460958"),
    ]
    assert {each.made_by_run_id for each in exclusions} == {run.id}
    assert {each.comment for each in exclusions} == {f"Spam goes: deal {entry.item_id}"}
    assert await is_gone(database, contact)
    assert await is_gone(database, firm)
    (deal,) = await all_of(database, Deal)
    assert (deal.deleted_at is not None, deal.deleted_by_run_id) == (True, run.id)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Put 3 addresses on the exceptions list, deleted deal {entry.item_id}, Sam, Prizes.",
    )


async def test_there_is_one_line_of_history_for_each_thing_deleted(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact, firm = sam(), Company(name="Prizes")
    entry = await spam(database, stages, contact=contact, company=firm)

    run = await runner.do(entry.id)

    item_id = entry.item_id
    assert await deletions(database, item_id) == [
        f"deal {item_id}: Deleted deal {item_id}.",
        f"contact {contact.id}: Deleted contact {contact.id}.",
        f"company {firm.id}: Deleted company {firm.id}.",
    ]
    lines = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.DELETED)
    assert {(line.run_id, line.rule_id, line.author_id) for line in lines} == {
        (run.id, run.rule_id, None)
    }


async def test_the_rest_of_the_agenda_is_dropped(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    async with database.transaction() as session:
        stage = await find_stage(session, stages[1].id)
        a_rule(session, stage, timing=IN_AN_HOUR, position=1, keep_when_item_leaves=True)
    entry = await spam(database, stages)
    agenda = await runner.agenda(entry.id)

    left = await runner.offer(await runner.step(entry.id))

    assert left.items == ()
    assert left.totals == {"done": 1, "dropped": 1}
    assert (await runner.run(agenda.items[1].run_id)).outcome == "the item was deleted"


async def test_a_contact_whom_another_deal_needs_stays_and_is_listed_nevertheless(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact = sam()
    entry = await spam(database, stages, contact=contact)
    other = await another(database, stages, contact=contact)

    run = await runner.do(entry.id)

    assert not await is_gone(database, contact)
    assert await listed(database) == ["sam@prizes.example", "+442079460958"]
    assert run.outcome == (
        f"Put 2 addresses on the exceptions list, deleted deal {entry.item_id}."
        f" Sam stays: deal {other.id}; their addresses are excepted."
    )


async def test_clients_who_stay_are_not_listed_if_so_chosen(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact = sam()
    entry = await spam(database, stages, {"list_clients_who_stay": False}, contact=contact)
    other = await another(database, stages, contact=contact)

    run = await runner.do(entry.id)

    assert await listed(database) == []
    assert run.outcome == (
        f"Put 0 addresses on the exceptions list, deleted deal {entry.item_id}."
        f" Sam stays: deal {other.id}; their addresses are not excepted."
    )


async def test_a_deal_that_names_the_contact_as_a_further_one_needs_them_too(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact = sam()
    entry = await spam(database, stages, contact=contact)
    await another(database, stages, contact=Contact(first_name="Anna"), further_contacts=[contact])

    await runner.do(entry.id)

    assert not await is_gone(database, contact)


async def test_items_in_the_recycle_bin_need_nobody(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact = sam()
    entry = await spam(database, stages, contact=contact)
    other = await another(database, stages, contact=contact)
    async with database.transaction() as session:
        (await session.get_one(Item, other.id)).deleted_at = now()

    await runner.do(entry.id)

    assert await is_gone(database, contact)


async def test_a_company_that_another_contact_works_for_stays(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    firm = Company(name="Prizes", contact_points=[email("office@prizes.example")])
    colleague = Contact(first_name="Cleo", company=firm)
    contact = sam(company=firm)
    async with database.transaction() as session:
        session.add(colleague)
    entry = await spam(database, stages, contact=contact, company=firm)

    run = await runner.do(entry.id)

    assert await is_gone(database, contact)
    assert not await is_gone(database, firm)
    assert not await is_gone(database, colleague)
    assert run.outcome == (
        f"Put 3 addresses on the exceptions list, deleted deal {entry.item_id}, Sam."
        f" Prizes stays: contact {colleague.id}; their addresses are excepted."
    )


async def test_a_company_goes_if_only_the_contact_who_goes_works_for_it(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    firm = Company(name="Prizes")
    contact = sam(company=firm)
    entry = await spam(database, stages, contact=contact, company=firm)

    await runner.do(entry.id)

    assert await is_gone(database, contact)
    assert await is_gone(database, firm)


async def test_further_contacts_are_left_alone(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    ben = Contact(first_name="Ben", contact_points=[email("ben@prizes.example")])
    entry = await spam(database, stages, contact=sam(), further_contacts=[ben])

    await runner.do(entry.id)

    assert not await is_gone(database, ben)
    assert "ben@prizes.example" not in await listed(database)


async def test_further_contacts_go_too_if_so_chosen(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact = sam()
    ben = Contact(first_name="Ben", contact_points=[email("ben@prizes.example")])
    entry = await spam(
        database, stages, {"further_contacts": True}, contact=contact, further_contacts=[ben]
    )

    run = await runner.do(entry.id)

    assert await is_gone(database, ben)
    assert await is_gone(database, contact)
    assert "ben@prizes.example" in await listed(database)
    assert run.outcome == (
        f"Put 3 addresses on the exceptions list, deleted deal {entry.item_id}, Sam, Ben."
    )


async def test_of_a_lead_without_a_client_its_own_addresses_are_listed(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (junk,) = a_pipeline(session, "Junk", item_type=ItemType.LEAD)
        a_rule(session, junk, "add_to_exclusions", params={})
        lead, entry = await a_lead(
            session, junk, contact_points=[email("bot@prizes.example"), phone("110", region="DE")]
        )

    run = await runner.do(entry.id)

    assert await listed(database) == ["bot@prizes.example", "+49110"]
    (after,) = await all_of(database, Lead)
    assert after.deleted_at is not None
    assert run.outcome == (f"Put 2 addresses on the exceptions list, deleted lead {lead.id}.")


async def test_of_a_lead_with_a_client_the_clients_addresses_are_listed(
    database: Database, runner: Runner
) -> None:
    contact = sam()
    async with database.transaction() as session:
        (junk,) = a_pipeline(session, "Junk", item_type=ItemType.LEAD)
        a_rule(session, junk, "add_to_exclusions", params={})
        _, entry = await a_lead(
            session, junk, contact=contact, contact_points=[email("bot@prizes.example")]
        )

    await runner.do(entry.id)

    assert await listed(database) == ["sam@prizes.example", "+442079460958"]
    assert await is_gone(database, contact)


async def test_a_deal_without_a_client_goes_all_the_same(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    entry = await spam(database, stages)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Put 0 addresses on the exceptions list, deleted deal {entry.item_id}.",
    )


async def test_addresses_that_are_listed_already_are_not_listed_twice(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    mine = Exclusion(kind=ExclusionKind.EMAIL, value="sam@prizes.example", comment="By hand")
    async with database.transaction() as session:
        session.add(mine)
    entry = await spam(database, stages, contact=sam())

    run = await runner.do(entry.id)

    (kept, new) = await all_of(database, Exclusion)
    assert (kept.comment, kept.made_by_run_id) == ("By hand", None)
    assert new.value == "+442079460958"
    assert run.outcome == (
        f"Put 1 address on the exceptions list, deleted deal {entry.item_id}, Sam."
    )


async def test_an_address_that_is_being_listed_at_the_moment_is_no_obstacle(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    entry = await spam(database, stages, contact=sam())
    async with database.transaction() as session:
        await exclude(session, [email("sam@prizes.example")], comment="At the same time")
        doing = asyncio.create_task(runner.do(entry.id))
        done, _ = await asyncio.wait({doing}, timeout=A_MOMENT)

    run = await doing

    assert not done
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Put 1 address on the exceptions list, deleted deal {entry.item_id}, Sam.",
    )


async def test_an_address_that_nobody_could_read_is_passed_over(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    unreadable = ContactPoint(kind=ContactPointKind.PHONE, raw="ask Sam", value=None)
    contact = Contact(first_name="Sam", contact_points=[unreadable])
    entry = await spam(database, stages, contact=contact)

    await runner.do(entry.id)

    assert await listed(database) == []
    assert await is_gone(database, contact)


async def undone(database: Database, run_id: int) -> Item:
    async with database.transaction() as session:
        person = User(name="Uma")
        session.add(person)
        await session.flush()
        return await undo_exclusion(session, run_id, person)


async def test_undo_brings_back_item_clients_and_list_and_no_rule_runs(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact, firm = sam(), Company(name="Prizes")
    entry = await spam(database, stages, contact=contact, company=firm)
    run = await runner.do(entry.id)

    item = await undone(database, run.id)

    assert (item.id, item.deleted_at, item.deleted_by_run_id) == (entry.item_id, None, None)
    assert not await is_gone(database, contact)
    assert not await is_gone(database, firm)
    assert await listed(database) == []
    *_, present = await all_of(database, StageEntry, options=(selectinload(StageEntry.runs),))
    assert (present.stage_id, present.left_at, present.runs) == (entry.stage_id, None, [])
    restored = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.RESTORED)
    assert [f"{line.subject_type}: {line.text}" for line in restored] == [
        f"contact: Restored contact {contact.id}.",
        f"company: Restored company {firm.id}.",
        "deal: Restored to «Spam». The rule «Spam goes» had deleted it.",
    ]


async def test_undo_leaves_on_the_list_what_was_there_before(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    async with database.transaction() as session:
        session.add(Exclusion(kind=ExclusionKind.EMAIL, value="sam@prizes.example"))
    entry = await spam(database, stages, contact=sam())
    run = await runner.do(entry.id)

    await undone(database, run.id)

    assert await listed(database) == ["sam@prizes.example"]


async def spam_twice(
    database: Database, runner: Runner, stages: list[Stage]
) -> tuple[RuleRun, RuleRun]:
    """Let two deals of Sam's be excepted, of whom the second finds his addresses listed."""
    contact = sam()
    first = await spam(database, stages, contact=contact)
    second = await another(database, stages, contact=contact)
    run = await runner.do(first.id)
    async with database.transaction() as session:
        deal = await lock_item(session, second.id)
        boss = User(name="Boss")
        session.add(boss)
        stage = await find_stage(session, stages[1].id)
        entry = await enter_stage(session, deal, stage, Cause.person(boss))
        assert entry is not None
    return run, await runner.do(entry.id)


async def test_undo_leaves_on_the_list_what_another_run_wants_there(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    first, second = await spam_twice(database, runner, stages)

    await undone(database, first.id)

    kept = await all_of(database, Exclusion)
    assert [each.value for each in kept] == ["sam@prizes.example", "+442079460958"]
    assert {each.made_by_run_id for each in kept} == {second.id}
    assert {each.comment for each in kept} == {f"Spam goes: deal {second.item_id}"}


@pytest.mark.parametrize("last_first", [True, False])
async def test_when_all_runs_are_undone_the_list_is_as_before(
    database: Database, runner: Runner, stages: list[Stage], *, last_first: bool
) -> None:
    runs = await spam_twice(database, runner, stages)

    one, other = sorted(runs, key=lambda run: run.id, reverse=last_first)
    await undone(database, one.id)
    await undone(database, other.id)

    assert await listed(database) == []
    assert await all_of(database, ExclusionClaim) == []


async def test_what_a_person_takes_off_stays_off_whoever_wanted_it(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    first, _ = await spam_twice(database, runner, stages)
    async with database.transaction() as session:
        entry = await find_listed(session, ExclusionKind.EMAIL, "SAM@prizes.example")
        await take_off(session, entry)

    await undone(database, first.id)

    assert await listed(database) == ["+442079460958"]


async def test_a_run_that_listed_nothing_new_can_be_undone(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    first, second = await spam_twice(database, runner, stages)

    item = await undone(database, second.id)

    assert (item.id, item.deleted_at) == (second.item_id, None)
    kept = await all_of(database, Exclusion)
    assert {each.made_by_run_id for each in kept} == {first.id}


async def test_what_is_being_taken_off_at_the_moment_is_listed_again(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    async with database.transaction() as session:
        session.add(Exclusion(kind=ExclusionKind.EMAIL, value="sam@prizes.example"))
    entry = await spam(database, stages, contact=sam())
    async with database.transaction() as session:
        await take_off(session, await find_listed(session, ExclusionKind.EMAIL, SAM))
        await session.flush()
        doing = asyncio.create_task(runner.do(entry.id))
        await asyncio.wait({doing}, timeout=A_MOMENT)

    await doing

    assert await listed(database) == ["sam@prizes.example", "+442079460958"]


async def test_undo_brings_back_the_client_also_if_the_deal_was_restored_before(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    contact = sam()
    entry = await spam(database, stages, contact=contact)
    run = await runner.do(entry.id)
    async with database.transaction() as session:
        person = User(name="Rita")
        session.add(person)
        await restore_item(session, await lock_item(session, entry.item_id), Cause.restore(person))

    await undone(database, run.id)

    assert not await is_gone(database, contact)
    assert await listed(database) == []
    assert len(await all_of(database, StageEntry)) == 2


async def test_what_was_undone_cannot_be_undone_again(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    entry = await spam(database, stages, contact=sam())
    run = await runner.do(entry.id)
    await undone(database, run.id)

    with pytest.raises(NotFound) as caught:
        await undone(database, run.id)

    assert caught.value.message == (
        f"Run {run.id} has put nothing on the exceptions list, or it was undone."
    )


async def test_a_setting_that_there_is_not_is_refused(
    database: Database, stages: list[Stage]
) -> None:
    problems = await refused(database, stages[1], "add_to_exclusions", {"forgive": True})

    assert problems == {"/params/forgive": "unknown field forgive"}
