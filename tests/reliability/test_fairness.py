"""Where more is to be done than workers can do at once, each stage has its turn."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from models.pipeline import Stage
from models.rule_run import RuleRun, RunState
from models.stage_entry import StageEntry
from relay import Relay
from tests.factories import a_deal, a_pipeline, all_of, rules_of
from tests.fixtures.scene import Scene
from tests.fixtures.temporal import dev_server

pytestmark = pytest.mark.timeout(120)

CROWD = 24


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A server of its own that is fair, as ours are; to all other tests it makes no difference."""
    async with dev_server("matching.enableFairness=true") as environment:
        yield environment


@pytest.fixture
async def stages(scene: Scene) -> list[Stage]:
    """Two stages with a rule that is due at once."""
    async with scene.database.transaction() as session:
        stages = a_pipeline(session, "Crowded", "Quiet")
        for stage in stages:
            rules_of(session, stage, {})
    return stages


async def entered(scene: Scene, stage: Stage, count: int) -> list[StageEntry]:
    async with scene.database.transaction() as session:
        return [(await a_deal(session, stage))[1] for _ in range(count)]


async def told_of_all(relay: Relay) -> None:
    while await relay.tell_once():
        pass


async def test_who_enters_another_stage_after_a_crowd_does_not_wait_for_all_of_it(
    scene: Scene, stages: list[Stage]
) -> None:
    crowded, quiet = stages
    await entered(scene, crowded, CROWD)
    relay = scene.relay()
    await told_of_all(relay)
    [single] = await entered(scene, quiet, 1)
    await relay.tell_once()

    async with scene.worker():
        await scene.run_is(single.id, RunState.DONE)
        runs = await all_of(scene.database, RuleRun)

    [own] = [run.finished_at for run in runs if run.stage_entry_id == single.id]
    before = [run for run in runs if run.finished_at and own and run.finished_at < own]
    assert len(runs) == CROWD + 1
    assert len(before) < CROWD / 2
