"""Savepoints: what failed is undone whole, and whoever holds a row sees it as it was before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import inspect, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import Database
from models.errors import Conflict
from models.savepoints import OnlyLooking, savepoint
from models.task import Task, TaskPart, TaskPerson, find_task
from models.user import User
from tests.factories import all_of


@pytest.fixture
async def task(database: Database) -> Task:
    """A task with two tags, in which nobody takes part."""
    task = Task(title="Call", tags=["soon", "phone"], people=[], further_items=[])
    async with database.transaction() as session:
        session.add(task)
    return task


@asynccontextmanager
async def failing(session: AsyncSession) -> AsyncIterator[None]:
    """Do something in a savepoint, and fail at its end."""
    with suppress(Conflict):
        async with savepoint(session):
            yield
            raise Conflict("It cannot be.")


async def test_what_a_row_was_before_is_known_again(database: Database, task: Task) -> None:
    async with database.transaction() as session:
        task = await find_task(session, task.id)
        task.title = "Write"

        async with failing(session):
            task.title = "Visit"
            await session.flush()
            task.title, task.description = "Wave", "From the window"

        seen: tuple[object, ...] = (task.title, task.description, task.version)

    assert seen == ("Write", None, 2)
    (kept,) = await all_of(database, Task)
    assert (kept.title, kept.description, kept.version) == seen


async def test_a_row_can_be_changed_after_what_failed(database: Database, task: Task) -> None:
    async with database.transaction() as session:
        task = await find_task(session, task.id)
        async with failing(session):
            task.title = "Visit"
            await session.flush()

        task.title = "Wave"

    (kept,) = await all_of(database, Task)
    assert (kept.title, kept.version) == ("Wave", 2)


async def test_lists_are_as_they_were(database: Database, task: Task) -> None:
    ann = User(name="Ann")
    async with database.transaction() as session:
        session.add(ann)
        await session.flush()
        task = await find_task(session, task.id)

        async with failing(session):
            task.people.append(TaskPerson(user_id=ann.id, part=TaskPart.OBSERVER))
            task.tags = [*task.tags, "late"]
            await session.flush()

        seen = (task.observer_ids, task.tags)

    assert seen == ([], ["soon", "phone"])
    async with database.reading() as session:
        kept = await find_task(session, task.id)
    assert (kept.observer_ids, kept.tags) == seen


async def test_what_a_statement_about_many_has_changed_is_known_again(
    database: Database, task: Task
) -> None:
    async with database.transaction() as session:
        task = await find_task(session, task.id)

        async with failing(session):
            await session.execute(
                update(Task).values(title="Visit", spent_minutes=Task.spent_minutes + 5)
            )

        seen = (task.title, task.spent_minutes)

    assert seen == ("Call", 0)
    (kept,) = await all_of(database, Task)
    assert (kept.title, kept.spent_minutes) == seen


async def made(session: AsyncSession, *titles: str) -> list[Task]:
    tasks = [Task(title=title, people=[], further_items=[]) for title in titles]
    session.add_all(tasks)
    await session.flush()
    return tasks


async def test_a_row_that_was_made_is_unmade_and_those_before_and_after_stay(
    database: Database, task: Task
) -> None:
    async with database.transaction() as session:
        (before,) = await made(session, "Before")

        async with failing(session):
            (unmade,) = await made(session, "Unmade")

        state: Any = inspect(unmade)
        await made(session, "After")
        seen = (before.title, before.version, state.transient)

    assert seen == ("Before", 1, True)
    assert [each.title for each in await all_of(database, Task)] == [task.title, "Before", "After"]


async def test_a_row_that_was_deleted_is_there_again(database: Database, task: Task) -> None:
    async with database.transaction() as session:
        task = await find_task(session, task.id)

        async with failing(session):
            await session.delete(task)
            await session.flush()

        task.title = "Wave"

    (kept,) = await all_of(database, Task)
    assert kept.title == "Wave"


async def let_nobody_take_part(session: AsyncSession, task: Task) -> None:
    async with savepoint(session):
        task.title = "Visit"
        task.people.append(TaskPerson(user_id=4711, part=TaskPart.OBSERVER))
        await session.flush()


async def test_after_what_the_database_refuses_the_transaction_goes_on(
    database: Database, task: Task
) -> None:
    async with database.transaction() as session:
        task = await find_task(session, task.id)
        task.title = "Write"

        with pytest.raises(IntegrityError):
            await let_nobody_take_part(session, task)

        seen = (task.title, await session.scalar(select(Task.title)))

    assert seen == ("Write", "Write")


async def test_what_succeeds_is_kept(database: Database, task: Task) -> None:
    async with database.transaction() as session:
        task = await find_task(session, task.id)
        async with savepoint(session):
            task.title = "Visit"
            await made(session, "After")

    assert [each.title for each in await all_of(database, Task)] == ["Visit", "After"]


async def look(session: AsyncSession, task: Task) -> None:
    async with savepoint(session):
        task.title = "Visit"
        raise OnlyLooking(task.title)


async def test_what_was_only_tried_is_undone_and_told(database: Database, task: Task) -> None:
    async with database.transaction() as session:
        task = await find_task(session, task.id)

        with pytest.raises(OnlyLooking) as looked:
            await look(session, task)

        seen = (looked.value.found, task.title)

    assert seen == ("Visit", "Call")
