"""Tasks: in which order they are locked with what hangs on them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from models.database import Database
from models.item import lock_item
from models.rule_run import RuleRun, RunState
from models.settings import Settings
from models.stage_entry import StageEntry
from models.task import Task, TaskStatus, find_task, lock_task, set_status
from tests.factories import a_deal, a_pipeline, a_rule, all_of
from tests.fixtures.runner import Runner
from tests.fixtures.scene import until


@pytest.fixture
async def postgres(postgres_database_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_database_url)
    yield database
    await database.close()


async def waited_for(database: Database) -> tuple[StageEntry, Task]:
    """Let a rule make a task and wait for it."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        params = {"title": "Call", "wait_until_completed": True}
        a_rule(session, stage, "create_task", params=params)
        _, entry = await a_deal(session, stage)
    await Runner(database, Settings()).do(entry.id)
    (task,) = await all_of(database, Task)
    return entry, task


async def somebody_waits(database: Database) -> bool:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with database.reading() as session:
        return bool(await session.scalar(waiting))


async def complete(database: Database, task_id: int) -> None:
    async with database.transaction() as session:
        await set_status(session, await lock_task(session, task_id), TaskStatus.COMPLETED)


async def test_whoever_completes_a_task_waits_for_its_item_before_anything_else(
    postgres: Database,
) -> None:
    entry, task = await waited_for(postgres)

    async with postgres.transaction() as session:
        await lock_item(session, entry.item_id)
        completing = asyncio.create_task(complete(postgres, task.id))
        await until(lambda: somebody_waits(postgres))
        # If it had locked the task first, the two would wait for each other.
        await find_task(session, task.id, lock=True)
    await completing

    (run,) = await all_of(postgres, RuleRun)
    assert run.state is RunState.DONE


async def test_two_who_complete_a_task_at_once_end_its_run_once(postgres: Database) -> None:
    _, task = await waited_for(postgres)

    await asyncio.gather(complete(postgres, task.id), complete(postgres, task.id))

    (run,) = await all_of(postgres, RuleRun)
    (entry,) = await all_of(postgres, StageEntry)
    assert run.state is RunState.DONE
    assert entry.agenda_version == 3
