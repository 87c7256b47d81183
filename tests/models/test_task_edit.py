"""Changing tasks: to what people tie them, for whom nobody waits then, and the result they keep."""

from typing import Any

import pytest

from models.database import Database
from models.errors import Conflict, NotAllowed
from models.rule_run import RuleRun, RunState
from models.settings import Settings
from models.task import Task, lock_task
from models.task_edit import add_task, change_task
from models.task_fields import TaskStatus
from models.user import Reach, Role, User
from tests.factories import a_deal, a_pipeline, a_rule, all_of
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


@pytest.fixture
async def ada(database: Database) -> User:
    ada = User(name="Ada", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(ada)
    return ada


async def test_people_tie_tasks_only_to_items_within_their_reach(
    database: Database, ada: User
) -> None:
    tom = User(name="Tom", reach=Reach.OWN)
    async with database.transaction() as session:
        session.add(tom)
        (stage,) = a_pipeline(session, "New")
        his, _ = await a_deal(session, stage, responsible=tom)
        hers, _ = await a_deal(session, stage)
    said = {"title": "Call", "item_id": his.id, "further_item_ids": [hers.id]}

    async with database.transaction() as session:
        with pytest.raises(NotAllowed, match=f"Deal {hers.id} is not yours"):
            await add_task(session, tom, said)

    async with database.transaction() as session:
        task = await add_task(session, ada, said)
    async with database.transaction() as session:
        # What it is tied to already stays so, whoever changes something else.
        changes = {"title": "Write", "further_item_ids": [hers.id]}
        await change_task(session, await lock_task(session, task.id), changes, tom)
        assert task.further_item_ids == [hers.id]


async def test_a_task_for_several_items_ends_the_waits_of_each(
    database: Database, ada: User
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        params = {"until": {"amount": 3, "unit": "days"}}
        a_rule(session, stage, "wait", params=params)
        entries = [(await a_deal(session, stage))[1] for _ in range(2)]
    runner = Runner(database, Settings())
    [await runner.do(entry.id) for entry in entries]
    first, second = entries

    async with database.transaction() as session:
        said = {"title": "Call", "item_id": first.item_id, "further_item_ids": [second.item_id]}
        await add_task(session, ada, said)

    runs = await all_of(database, RuleRun)
    assert [(run.state, run.outcome) for run in runs] == [(RunState.DONE, "Ada goes on.")] * 2


DONE = {"title": "Call", "status": TaskStatus.COMPLETED, "result": "She buys"}


async def changed(database: Database, by: User, done: dict[str, Any], sent: dict[str, Any]) -> Task:
    """Store such a task, then change it in a transaction of its own."""
    async with database.transaction() as session:
        task = await add_task(session, await session.get_one(User, by.id), done)
    async with database.transaction() as session:
        await change_task(session, await lock_task(session, task.id), sent, by)
    (task,) = await all_of(database, Task)
    return task


@on_one_database
@pytest.mark.parametrize("nothing", [None, ""])
async def test_a_completed_task_keeps_the_result_that_it_needs(
    database: Database, ada: User, nothing: str | None
) -> None:
    needs = DONE | {"result_required": True}

    with pytest.raises(Conflict, match="take it up again first") as caught:
        await changed(database, ada, needs, {"result": nothing})

    assert caught.value.field == "/result"
    (kept,) = await all_of(database, Task)
    assert (kept.status, kept.result) == (TaskStatus.COMPLETED, "She buys")


@on_one_database
@pytest.mark.parametrize(
    ("done", "sent", "result"),
    [
        ({}, {"result": None}, None),
        ({"result_required": True}, {"result": "She buys two"}, "She buys two"),
        ({"result_required": True}, {"title": "Write"}, "She buys"),
        ({"result_required": True}, {"result": None, "status": TaskStatus.PENDING}, None),
        ({"result_required": True}, {"result": None, "result_required": False}, None),
    ],
)
async def test_a_result_can_be_taken_away_where_none_is_needed(
    database: Database, ada: User, done: dict[str, Any], sent: dict[str, Any], result: str | None
) -> None:
    task = await changed(database, ada, DONE | done, sent)

    assert task.result == result
