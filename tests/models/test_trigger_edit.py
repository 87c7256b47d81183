"""Arranging triggers: whoever does it at once comes one after another, and nobody else waits."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from models.database import Database
from models.pipeline import Stage, find_stage
from models.trigger import Trigger, find_trigger
from models.trigger_edit import add_trigger, change_trigger
from tests.factories import a_pipeline, a_trigger, all_of
from tests.fixtures.database import somebody_waits
from tests.fixtures.scene import until

NEW: dict[str, Any] = {
    "type": "webhook",
    "name": "",
    "settings": {"code": "go"},
    "conditions": None,
    "moves_as": None,
    "allow_moving_back": False,
    "enabled": True,
    "position": None,
}


@pytest.fixture
async def postgres(postgres_database_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_database_url)
    yield database
    await database.close()


@pytest.fixture
async def won(postgres: Database) -> Stage:
    """The last of two stages."""
    async with postgres.transaction() as session:
        _, won = a_pipeline(session, "New", "Won")
    return won


async def place(database: Database, trigger: Trigger, position: int) -> None:
    async with database.transaction() as session:
        found = await find_trigger(session, trigger.id, lock=True)
        await change_trigger(session, found, {"position": position})


async def add(database: Database, stage: Stage) -> None:
    async with database.transaction() as session:
        await add_trigger(session, await find_stage(session, stage.id), NEW)


async def test_who_places_triggers_of_a_stage_waits_before_anything_else(
    postgres: Database, won: Stage
) -> None:
    async with postgres.transaction() as session:
        stage = await find_stage(session, won.id)
        upper, lower = (a_trigger(session, stage, position=place) for place in range(2))

    async with postgres.transaction() as session:
        found = await find_trigger(session, upper.id, lock=True)
        placing = asyncio.create_task(place(postgres, lower, 0))
        await until(lambda: somebody_waits(postgres))
        # If it had locked the other trigger first, the two would wait for each other.
        await change_trigger(session, found, {"position": 1})
    await placing

    there = await all_of(postgres, Trigger)
    assert {each.id: each.position for each in there} == {lower.id: 0, upper.id: 1}


async def test_triggers_that_are_hung_on_a_stage_at_once_get_places_of_their_own(
    postgres: Database, won: Stage
) -> None:
    async with postgres.transaction() as session:
        await add_trigger(session, await find_stage(session, won.id), NEW)
        adding = asyncio.create_task(add(postgres, won))
        await until(lambda: somebody_waits(postgres))
    await adding

    there = await all_of(postgres, Trigger)
    assert [each.position for each in there] == [0, 1]


async def test_who_moves_items_to_a_stage_waits_for_nobody_who_arranges_its_triggers(
    postgres: Database, won: Stage
) -> None:
    async with postgres.transaction() as session:
        await add_trigger(session, await find_stage(session, won.id), NEW)
        async with postgres.transaction() as other:
            moved_to = await find_stage(other, won.id)

    assert moved_to.name == "Won"
