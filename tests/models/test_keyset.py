"""A list is read part by part: nothing twice, nothing left out, whatever has no value last."""

from typing import Any

import pytest
from sqlalchemy import select

from models.database import Database
from models.keyset import Order, all_in_parts
from models.task import Task

NAMES = ["c", "a", None, "b", "b", None]


@pytest.fixture
async def tasks(database: Database) -> dict[int, str | None]:
    """Tasks with and without a description, by id."""
    made = [Task(title="Call", description=name, people=[]) for name in NAMES]
    async with database.transaction() as session:
        session.add_all(made)
    return {task.id: task.description for task in made}


async def read(database: Database, order: Order, size: int) -> list[list[Any]]:
    async with database.reading() as session:
        parts = all_in_parts(session, select(Task), order, None, size)
        return [[task.id for task in part] async for part in parts]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize(
    ("descending", "told"),
    [(False, ["a", "b", "b", "c", None, None]), (True, ["c", "b", "b", "a", None, None])],
)
async def test_parts_of_any_size_are_the_whole_list(
    database: Database,
    tasks: dict[int, str | None],
    size: int,
    told: list[str | None],
    *,
    descending: bool,
) -> None:
    order = Order((Task.description, Task.id), descending=descending)

    parts = await read(database, order, size)

    ids = [each for part in parts for each in part]
    assert [tasks[each] for each in ids] == told
    assert sorted(ids) == sorted(tasks)
    assert max(len(part) for part in parts) <= size


@pytest.mark.parametrize("descending", [False, True])
async def test_rows_of_one_value_are_in_order_of_their_id(
    database: Database, tasks: dict[int, str | None], *, descending: bool
) -> None:
    order = Order((Task.title, Task.id), descending=descending)

    parts = await read(database, order, 4)

    assert [each for part in parts for each in part] == sorted(tasks, reverse=descending)
