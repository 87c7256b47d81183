"""Tasks: in which order they are locked with what hangs on them, and what triggers hear of them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from sqlalchemy import select

from models.database import Database
from models.errors import Conflict
from models.item import Deal, lock_item
from models.occasion import TaskOccasion, waiting
from models.rule_run import RuleRun, RunState
from models.settings import Settings
from models.stage_entry import Cause, StageEntry
from models.task import Task, find_task, lock_task, set_status, values_of
from models.task_edit import add_task, change_task
from models.task_fields import TASK_FIELDS, TaskStatus
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, a_rule, all_of
from tests.fixtures.database import somebody_waits
from tests.fixtures.runner import Runner
from tests.fixtures.scene import until


@pytest.fixture
async def postgres(postgres_database_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_database_url)
    yield database
    await database.close()


@pytest.fixture
async def ada(database: Database) -> User:
    ada = User(name="Ada", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(ada)
    return ada


async def deals(database: Database, *titles: str, **said: Any) -> list[Deal]:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        return [(await a_deal(session, stage, title=title, **said))[0] for title in titles]


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


async def complete(database: Database, task_id: int) -> None:
    async with database.transaction() as session:
        ann = (await session.scalars(select(User).where(User.name == "Ann").limit(1))).one()
        task = await lock_task(session, task_id)
        await set_status(session, task, TaskStatus.COMPLETED, Cause.person(ann))


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


async def test_all_items_of_a_task_are_locked_by_ascending_id_before_the_task(
    postgres: Database,
) -> None:
    roof, cellar = await deals(postgres, "Roof", "Cellar")
    async with postgres.transaction() as session:
        ada = User(name="Ada", role=Role.ADMIN)
        session.add(ada)
        await session.flush()
        said = {"title": "Call", "item_id": cellar.id, "further_item_ids": [roof.id]}
        task = await add_task(session, ada, said)

    async with postgres.transaction() as session:
        await lock_item(session, roof.id)
        completing = asyncio.create_task(complete(postgres, task.id))
        await until(lambda: somebody_waits(postgres))
        # If it had locked the other item or the task first, the two would wait for each other.
        await lock_item(session, cellar.id)
        await find_task(session, task.id, lock=True)
    await completing

    (completed,) = await all_of(postgres, Task)
    assert completed.status is TaskStatus.COMPLETED


async def test_two_who_complete_a_task_at_once_end_its_run_once(postgres: Database) -> None:
    _, task = await waited_for(postgres)

    await asyncio.gather(complete(postgres, task.id), complete(postgres, task.id))

    (run,) = await all_of(postgres, RuleRun)
    (entry,) = await all_of(postgres, StageEntry)
    assert run.state is RunState.DONE
    assert entry.agenda_version == 3


async def test_a_change_of_status_is_an_occasion_for_each_item_of_the_task(
    database: Database, ada: User
) -> None:
    roof, cellar = await deals(database, "Roof", "Cellar")
    said = {"title": "Call", "item_id": cellar.id, "further_item_ids": [roof.id], "tags": ["soon"]}
    async with database.transaction() as session:
        task = await add_task(session, ada, said)

    async with database.transaction() as session:
        changes = {"status": TaskStatus.IN_PROGRESS, "responsible_id": ada.id}
        await change_task(session, await lock_task(session, task.id), changes, ada)
        (occasion,) = cast("list[TaskOccasion]", waiting(session).copy())

    assert (occasion.trigger, occasion.status) == ("task_status", "in progress")
    assert occasion.item_ids == (roof.id, cellar.id)
    assert occasion.text == f"Task {task.id} «Call» is in progress"
    assert occasion.cause == Cause.person(ada)
    assert occasion.task["task.responsible"] == ada.id
    assert occasion.task["task.tags"] == ["soon"]


@pytest.mark.parametrize(
    ("first", "then", "heard"),
    [
        ({}, {}, []),
        ({"status": TaskStatus.PENDING}, {"title": "Write"}, []),
        ({"status": TaskStatus.DEFERRED}, {}, ["deferred"]),
        ({}, {"status": TaskStatus.PENDING}, []),
        (
            {"status": TaskStatus.COMPLETED},
            {"status": TaskStatus.PENDING},
            ["completed", "pending"],
        ),
        ({}, {"status": TaskStatus.COMPLETED}, ["completed"]),
    ],
)
async def test_triggers_hear_of_real_changes_alone_and_a_new_task_is_pending_first(
    database: Database, ada: User, first: dict[str, Any], then: dict[str, Any], heard: list[str]
) -> None:
    (roof,) = await deals(database, "Roof")

    async with database.transaction() as session:
        task = await add_task(session, ada, {"title": "Call", "item_id": roof.id} | first)
        await change_task(session, task, then, ada)
        occasions = cast("list[TaskOccasion]", waiting(session).copy())

    assert [each.status for each in occasions] == heard


async def test_a_refused_change_is_no_occasion(database: Database, ada: User) -> None:
    (roof,) = await deals(database, "Roof")
    said = {"title": "Call", "item_id": roof.id, "result_required": True}

    async with database.transaction() as session:
        task = await add_task(session, ada, said)
        with pytest.raises(Conflict, match="needs a result"):
            await change_task(session, task, {"status": TaskStatus.COMPLETED}, ada)
        occasions = waiting(session).copy()

    assert occasions == []


async def test_every_field_that_a_filter_may_ask_for_has_a_value(
    database: Database, ada: User
) -> None:
    said = {
        "title": "Prepare the invoice",
        "status": TaskStatus.COMPLETED,
        "responsible_id": ada.id,
        "result": "Sent",
    }
    async with database.transaction() as session:
        task = await add_task(session, await session.get_one(User, ada.id), said)
        values = values_of(task)

    assert values.keys() == {field.path for field in TASK_FIELDS}
    assert values["task.title"] == "Prepare the invoice"
    assert values["task.status"] == "completed"
    assert values["task.completed_at"] == task.completed_at
    assert (values["task.responsible"], values["task.creator"]) == (ada.id, ada.id)
    assert (values["task.result"], values["task.deadline_at"]) == ("Sent", None)
    assert values["task.made_by_rule"] is False


async def test_a_task_that_a_rule_has_made_says_so(database: Database) -> None:
    _, task = await waited_for(database)

    async with database.reading() as session:
        values = values_of(await find_task(session, task.id))

    assert values["task.made_by_rule"] is True
    assert values["task.creator"] is None
