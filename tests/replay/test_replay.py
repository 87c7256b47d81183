"""Workflows that started under older code still run under today's."""

import asyncio
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from models.agenda import Agenda
from relay import WORKFLOWS
from tests.replay.record import EVERY_SHAPE, HISTORIES


def saved(shape: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(
        "deal-42-entry-1057", (HISTORIES / f"{shape}.json").read_text()
    )


@workflow.defn(name="StageEntryWorkflow", sandboxed=False)
class ChangedWorkflow:
    """What must never be deployed: it waits before it does anything."""

    @workflow.run
    async def run(self, agenda: Agenda) -> dict[str, int]:
        await asyncio.sleep(timedelta(days=1).total_seconds())
        return agenda.totals


@pytest.mark.parametrize("shape", EVERY_SHAPE)
async def test_todays_workflow_continues_a_history_of_this_shape(shape: str) -> None:
    workflows = list(WORKFLOWS.values())
    replayer = Replayer(workflows=workflows, data_converter=pydantic_data_converter)

    await replayer.replay_workflow(saved(shape))


async def test_no_history_is_saved_of_a_shape_that_nobody_knows() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} == set(EVERY_SHAPE)


async def test_a_workflow_changed_without_a_patch_is_found_out() -> None:
    replayer = Replayer(workflows=[ChangedWorkflow], data_converter=pydantic_data_converter)

    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(saved("at_once"))
