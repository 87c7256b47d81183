"""The recycle bin: what goes in, what comes back, and what history tells of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from models import clock
from models.company import Company
from models.contact import Contact
from models.database import Database
from models.entering import enter_stage
from models.errors import Conflict, NotFound
from models.history import HistoryEntry, HistoryKind
from models.item import Item, find_item, lock_item
from models.pipeline import Pipeline, Stage, find_stage
from models.recycle_bin import (
    delete_client,
    delete_item,
    deleted_items,
    restore_client,
    restore_item,
)
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, CauseKind, StageEntry, lock_run
from models.user import Role, User
from tests.factories import IN_AN_HOUR, a_pipeline, all_of, entered

LATER = {"timing": IN_AN_HOUR}
KEPT = LATER | {"keep_when_item_leaves": True}


@asynccontextmanager
async def working(
    database: Database, entry: StageEntry
) -> AsyncIterator[tuple[AsyncSession, Item, User]]:
    """Let Rita have the entry's item before her, in a transaction of its own."""
    async with database.transaction() as session:
        rita = User(name="Rita")
        session.add(rita)
        await session.flush()
        yield session, await lock_item(session, entry.item_id), rita


async def deleted(database: Database, *rules: dict[str, Any]) -> StageEntry:
    """Let a deal have entered a stage with these rules, and have been deleted by hand."""
    entry = await entered(database, *rules)
    async with working(database, entry) as (session, item, rita):
        await delete_item(session, item, Cause.person(rita))
    return entry


async def restored(database: Database, entry: StageEntry) -> None:
    async with working(database, entry) as (session, item, rita):
        await restore_item(session, item, Cause.restore(rita))


async def the_item(database: Database) -> Item:
    (item,) = await all_of(database, Item)
    return item


async def lines(database: Database, kind: HistoryKind) -> list[HistoryEntry]:
    return await all_of(database, HistoryEntry, HistoryEntry.kind == kind)


async def test_a_deleted_item_rests_in_the_bin_and_is_found_nowhere_else(
    database: Database,
) -> None:
    entry = await deleted(database)

    async with database.reading() as session:
        (in_bin,) = await session.scalars(deleted_items(User(name="Ada", role=Role.ADMIN)))
        with pytest.raises(NotFound, match="It is in the recycle bin"):
            await find_item(session, entry.item_id)
    assert in_bin.id == entry.item_id


async def test_deleting_drops_all_that_its_rules_had_still_to_do(database: Database) -> None:
    entry = await entered(database, LATER, KEPT)
    async with working(database, entry) as (session, item, rita):
        won = await find_stage(session, entry.stage_id + 1)
        await enter_stage(session, item, won, Cause.person(rita))

    async with working(database, entry) as (session, item, rita):
        await delete_item(session, item, Cause.person(rita))

    runs = await all_of(database, RuleRun)
    assert [(run.state, run.outcome) for run in runs] == [
        (RunState.DROPPED, "left the stage"),
        (RunState.DROPPED, "the item was deleted"),
    ]
    stays = await all_of(database, StageEntry)
    assert all(stay.left_at is not None for stay in stays)


async def test_a_deletion_is_told_with_who_did_it(database: Database) -> None:
    entry = await entered(database)
    async with working(database, entry) as (session, item, rita):
        await delete_item(session, item, Cause.person(rita))

    (line,) = await lines(database, HistoryKind.DELETED)
    assert line.text == f"Deleted deal {entry.item_id}."
    assert (line.item_id, line.author_id, line.run_id) == (entry.item_id, rita.id, None)
    assert (await the_item(database)).deleted_by_run_id is None


async def test_a_deletion_by_a_rule_is_told_with_its_run_which_is_not_dropped(
    database: Database,
) -> None:
    await entered(database, LATER, LATER)
    acting, _ = await all_of(database, RuleRun)

    async with database.transaction() as session:
        run = await lock_run(session, acting.id)
        await delete_item(session, run.item, Cause.rule(run))

    (line,) = await lines(database, HistoryKind.DELETED)
    assert (line.author_id, line.rule_id, line.run_id) == (None, acting.rule_id, acting.id)
    assert (await the_item(database)).deleted_by_run_id == acting.id
    assert [run.state for run in await all_of(database, RuleRun)] == [
        RunState.WAITING,
        RunState.DROPPED,
    ]


async def test_a_restored_item_is_back_in_its_stage_and_its_rules_do_not_run(
    database: Database,
) -> None:
    entry = await deleted(database, {}, KEPT)

    await restored(database, entry)

    item = await the_item(database)
    assert (item.deleted_at, item.stage_id) == (None, entry.stage_id)
    before, after = await all_of(database, StageEntry, options=(selectinload(StageEntry.runs),))
    assert (after.cause, after.left_at, after.runs) == (CauseKind.RESTORE, None, [])
    assert [run.state for run in before.runs] == [RunState.DROPPED, RunState.DROPPED]


async def test_a_restoration_is_told_with_who_did_it(database: Database) -> None:
    entry = await deleted(database)

    async with working(database, entry) as (session, item, rita):
        await restore_item(session, item, Cause.restore(rita))

    (line,) = await lines(database, HistoryKind.RESTORED)
    assert (line.text, line.author_id) == ("Restored to «New».", rita.id)


async def test_what_is_not_in_the_bin_cannot_be_restored(database: Database) -> None:
    entry = await entered(database)

    with pytest.raises(Conflict, match=f"^Deal {entry.item_id} is not in the recycle bin.$"):
        await restored(database, entry)


async def test_an_item_whose_stage_is_gone_comes_back_to_the_first_of_its_pipeline(
    database: Database,
) -> None:
    async with database.transaction() as session:
        a_pipeline(session, "Elsewhere")
    entry = await deleted(database)
    async with database.transaction() as session:
        (await session.get_one(Stage, entry.stage_id)).deleted_at = clock.now()

    await restored(database, entry)

    item = await the_item(database)
    assert item.stage_id == entry.stage_id + 1
    (line,) = await lines(database, HistoryKind.RESTORED)
    assert line.text == "Restored to «Won»."


async def test_an_item_whose_pipeline_is_gone_comes_back_to_the_first_that_there_is(
    database: Database,
) -> None:
    async with database.transaction() as session:
        (elsewhere, _) = a_pipeline(session, "Elsewhere", "Further")
    entry = await deleted(database)
    async with database.transaction() as session:
        gone = (await session.get_one(Stage, entry.stage_id)).pipeline_id
        (await session.get_one(Pipeline, gone)).deleted_at = clock.now()

    await restored(database, entry)

    item = await the_item(database)
    assert (item.stage_id, item.pipeline_id) == (elsewhere.id, elsewhere.pipeline_id)


async def test_an_item_that_could_stand_nowhere_stays_in_the_bin(database: Database) -> None:
    entry = await deleted(database)
    async with database.transaction() as session:
        gone = (await session.get_one(Stage, entry.stage_id)).pipeline_id
        (await session.get_one(Pipeline, gone)).deleted_at = clock.now()

    with pytest.raises(Conflict, match=r"^There is no stage for deals\.$"):
        await restored(database, entry)

    assert (await the_item(database)).deleted_at is not None


async def test_clients_go_and_come_back_with_a_line_of_history_each(database: Database) -> None:
    anna, firm = Contact(first_name="Anna"), Company(name="Mills")
    rita = User(name="Rita")
    async with database.transaction() as session:
        session.add_all([anna, firm, rita])
        await session.flush()
        delete_client(session, anna, Cause.person(rita))
        delete_client(session, firm, Cause.person(rita))

    async with database.transaction() as session:
        restore_client(session, await session.get_one(Contact, anna.id), Cause.restore(rita))

    (anna_now,) = await all_of(database, Contact)
    (firm_now,) = await all_of(database, Company)
    assert (anna_now.deleted_at, firm_now.deleted_at is None) == (None, False)
    told = [
        (line.kind, line.text, line.author_id, line.item_id)
        for line in await all_of(database, HistoryEntry)
    ]
    assert told == [
        (HistoryKind.DELETED, f"Deleted contact {anna.id}.", rita.id, None),
        (HistoryKind.DELETED, f"Deleted company {firm.id}.", rita.id, None),
        (HistoryKind.RESTORED, f"Restored contact {anna.id}.", rita.id, None),
    ]


async def test_a_client_deleted_by_a_rule_is_told_in_the_history_of_its_item(
    database: Database,
) -> None:
    entry = await entered(database, LATER)
    (acting,) = await all_of(database, RuleRun)
    anna = Contact(first_name="Anna")

    async with database.transaction() as session:
        session.add(anna)
        await session.flush()
        delete_client(session, anna, Cause.rule(await lock_run(session, acting.id)))

    (line,) = await lines(database, HistoryKind.DELETED)
    assert (line.subject_type, line.subject_id, line.item_id) == (
        "contact",
        anna.id,
        entry.item_id,
    )
    (after,) = await all_of(database, Contact)
    assert after.deleted_by_run_id == acting.id
