"""How CRM activities end by themselves: their item leaves the stage, or is deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from models.clock import at
from models.crm_activity import (
    Completion,
    CrmActivity,
    CrmActivityKind,
    CrmActivityStatus,
)
from models.database import Database
from models.entering import enter_stage, enter_stages
from models.history import HistoryEntry, HistoryKind
from models.item import Item, lock_item
from models.pipeline import Stage, find_stage
from models.recycle_bin import delete_item, restore_item
from models.reminders import Reminder, set_reminders
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of
from tests.fixtures.database import counted
from tests.fixtures.runner import Runner

NOW = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)


async def a_call(session: AsyncSession, item: Item, **said: Any) -> CrmActivity:
    """Plan a call for tomorrow that completes itself, unless it is said otherwise."""
    call = CrmActivity(
        kind=CrmActivityKind.CALL,
        subject=said.pop("subject", "Call"),
        item=item,
        starts_at=said.pop("starts_at", TOMORROW),
        reminders=[],
        **{"complete_on_stage_change": True, **said},
    )
    with at(NOW):
        set_reminders(session, call, [15])
    session.add(call)
    await session.flush()
    return call


async def ann(session: AsyncSession) -> User:
    found = await session.scalars(select(User).order_by(User.id))
    return found.all()[0]


async def move(database: Database, item: Item, stage: Stage) -> None:
    """Let a person move the item."""
    with at(NOW):
        async with database.transaction() as session:
            locked = await lock_item(session, item.id)
            there = await find_stage(session, stage.id)
            await enter_stage(session, locked, there, Cause.person(await ann(session)))


async def calls(database: Database) -> dict[str, CrmActivity]:
    return {each.subject: each for each in await all_of(database, CrmActivity)}


async def due(database: Database) -> list[datetime | None]:
    return [each.due_at for each in await all_of(database, Reminder)]


async def test_leaving_the_stage_completes_what_has_the_switch_and_nothing_else(
    database: Database,
) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        deal, _ = await a_deal(session, new)
        other, _ = await a_deal(session, new)
        await a_call(session, deal, subject="with")
        await a_call(session, deal, subject="without", complete_on_stage_change=False)
        await a_call(session, other, subject="of another")

    await move(database, deal, won)

    found = await calls(database)
    done = found["with"]
    async with database.reading() as session:
        person = await ann(session)
    assert (done.status, done.completion) == (
        CrmActivityStatus.COMPLETED,
        Completion.STAGE_CHANGE,
    )
    assert (done.completed_at, done.completed_by_id, done.version) == (NOW, person.id, 2)
    assert found["without"].status is CrmActivityStatus.PLANNED
    assert found["of another"].status is CrmActivityStatus.PLANNED
    before = TOMORROW - timedelta(minutes=15)
    assert await due(database) == [None, before, before]


async def test_history_tells_what_completed_itself_when_it_stood_in_the_old_stage(
    database: Database,
) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        deal, _ = await a_deal(session, new)
        call = await a_call(session, deal)

    await move(database, deal, won)

    [line] = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.CRM_ACTIVITY)
    assert line.text == f"The item left the stage: call {call.id} «Call» is completed."
    assert (line.field, line.old, line.new) == ("status", "planned", "completed")
    assert (line.stage_id, line.subject_id) == (new.id, call.id)
    assert line.author_id is not None


async def test_standing_there_already_completes_nothing(database: Database) -> None:
    async with database.transaction() as session:
        (new,) = a_pipeline(session, "New")
        deal, _ = await a_deal(session, new)
        await a_call(session, deal)

    await move(database, deal, new)

    assert (await calls(database))["Call"].status is CrmActivityStatus.PLANNED


async def test_completed_and_deleted_ones_stay_as_they_are(database: Database) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        deal, _ = await a_deal(session, new)
        deleted = await a_call(session, deal, subject="deleted")
        deleted.deleted_at = NOW
        await a_call(session, deal, subject="done")
    await move(database, deal, won)

    with at(NOW + timedelta(hours=1)):
        async with database.transaction() as session:
            locked = await lock_item(session, deal.id)
            there = await find_stage(session, new.id)
            await enter_stage(session, locked, there, Cause.person(await ann(session)))

    found = await calls(database)
    assert found["done"].completed_at == NOW
    assert found["deleted"].status is CrmActivityStatus.PLANNED


async def test_a_rule_that_moves_the_item_completes_it_as_automation(
    database: Database, runner: Runner, mover: str
) -> None:
    async with database.transaction() as session:
        new, _ = a_pipeline(session, "New", "Won")
        rule = a_rule(session, new, mover, params={})
        deal, entry = await a_deal(session, new)
        await a_call(session, deal)

    run = await runner.do(entry.id, at=NOW)

    call = (await calls(database))["Call"]
    assert (call.completion, call.completed_by_id) == (Completion.STAGE_CHANGE, None)
    [line] = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.CRM_ACTIVITY)
    assert (line.rule_id, line.run_id, line.author_id) == (rule.id, run.id, None)


async def test_it_is_completed_before_the_rules_of_the_new_stage_start(
    database: Database,
) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        a_rule(session, won, timing={"kind": "after_delay", "amount": 1, "unit": "days"})
        deal, _ = await a_deal(session, new)
        await a_call(session, deal)

    await move(database, deal, won)

    lines = await all_of(
        database,
        HistoryEntry,
        HistoryEntry.kind.in_([HistoryKind.CRM_ACTIVITY, HistoryKind.STAGE_CHANGED]),
    )
    [run] = await all_of(database, RuleRun, options=(joinedload(RuleRun.version),))
    assert [line.kind for line in lines] == [
        HistoryKind.CRM_ACTIVITY,
        HistoryKind.STAGE_CHANGED,
    ]
    assert run.state is RunState.WAITING


async def test_deleting_the_item_lets_everything_rest_and_restoring_takes_it_up(
    database: Database,
) -> None:
    async with database.transaction() as session:
        (new,) = a_pipeline(session, "New")
        deal, _ = await a_deal(session, new)
        await a_call(session, deal, subject="ahead")
        await a_call(session, deal, subject="soon", starts_at=NOW + timedelta(hours=1))
    with at(NOW):
        async with database.transaction() as session:
            person = Cause.person(await ann(session))
            await delete_item(session, await lock_item(session, deal.id), person)
    rested = await due(database)

    with at(NOW + timedelta(hours=2)):
        async with database.transaction() as session:
            person = Cause.restore(await ann(session))
            await restore_item(session, await lock_item(session, deal.id), person)

    found = await calls(database)
    assert rested == [None, None]
    assert {each.status for each in found.values()} == {CrmActivityStatus.PLANNED}
    # What would have been told meanwhile is not told any more.
    assert await due(database) == [TOMORROW - timedelta(minutes=15), None]


@pytest.mark.parametrize("with_calls", [True, False])
async def test_many_items_take_as_many_statements_as_few(
    database: Database, *, with_calls: bool
) -> None:
    async def statements(how_many: int) -> int:
        async with database.transaction() as session:
            new, won = a_pipeline(session, "New", "Won")
            deals = [(await a_deal(session, new))[0] for _ in range(how_many)]
            _ = [await a_call(session, deal) for deal in deals if with_calls]
        async with database.transaction() as session:
            items = [await lock_item(session, deal.id) for deal in deals]
            there = await find_stage(session, won.id)
            person = Cause.person(await ann(session))
            with counted(database) as said:
                await enter_stages(session, [(item, there) for item in items], person)
                await session.flush()
        return len([each for each in said if "crm_activities" in each or "reminders" in each])

    assert await statements(2) == await statements(12)
