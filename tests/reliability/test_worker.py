"""A worker ends when it is told to, whatever Temporal's core still waits for."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus

from models.rule_run import RunState
from tests.fixtures.database import on_one_database
from tests.fixtures.scene import Scene


class Stubborn:
    """Holds an action up once it has committed, though it is told to end."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, _point: str) -> None:
        self.reached.set()
        while not self.open.is_set():
            with suppress(asyncio.CancelledError):
                await self.open.wait()


@on_one_database
async def test_a_core_that_does_not_end_is_left_alone_and_nothing_is_lost(scene: Scene) -> None:
    scene.patience = timedelta(seconds=0.2)
    stubborn = Stubborn()
    entry = await scene.enter({"action": "create_task", "params": {"title": "Call"}})
    await scene.relay().tell_once()

    async with scene.worker(stubborn):
        await stubborn.reached.wait()
    still_held = not stubborn.open.is_set()
    stubborn.open.set()

    assert still_held
    async with scene.worker():
        await scene.run_is(entry.id, RunState.DONE)
        await scene.ends(entry.id, WorkflowExecutionStatus.COMPLETED)
