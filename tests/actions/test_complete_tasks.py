"""Complete task: what rules made in other stages is done with, what people made is not."""

from typing import Any

import pytest

from models.database import Database
from models.entering import enter_stage
from models.item import Deal
from models.pipeline import Stage, find_stage
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, StageEntry, lock_entry
from models.task import Task
from models.task_edit import add_task
from models.task_fields import TaskStatus
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


@pytest.fixture
async def stages(database: Database) -> list[Stage]:
    """New, Offer and Won, of which the first two make a task each."""
    async with database.transaction() as session:
        new, offer, won = a_pipeline(session, "New", "Offer", "Won")
        a_rule(session, new, "create_task", params={"title": "Call"})
        a_rule(session, offer, "create_task", params={"title": "Write"})
    return [new, offer, won]


@pytest.fixture
async def ann(database: Database) -> User:
    ann = User(name="Ann", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(ann)
    return ann


async def completes(database: Database, stage: Stage, *stages: Stage, **params: Any) -> None:
    """Hang a rule on a stage that completes the tasks of others."""
    params["stages"] = [each.id for each in stages]
    async with database.transaction() as session:
        a_rule(session, await find_stage(session, stage.id), "complete_tasks", params=params)


async def through(
    database: Database, runner: Runner, stages: list[Stage], by: User
) -> tuple[Deal, RuleRun]:
    """Let a deal go through all stages, whose rules run; return it with the last run."""
    first, *others = stages
    async with database.transaction() as session:
        deal, entry = await a_deal(session, await find_stage(session, first.id))
    run = await runner.do(entry.id)
    for stage in others:
        entry = await moved(database, entry, stage, by)
        run = await runner.do(entry.id)
    return deal, run


async def moved(database: Database, entry: StageEntry, stage: Stage, by: User) -> StageEntry:
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        target = await find_stage(session, stage.id)
        entered = await enter_stage(session, locked.item, target, Cause.person(by))
    assert entered is not None
    return entered


async def statuses(database: Database) -> dict[str, TaskStatus]:
    return {task.title: task.status for task in await all_of(database, Task)}


async def test_open_tasks_that_rules_made_in_these_stages_are_completed(
    database: Database, runner: Runner, stages: list[Stage], ann: User
) -> None:
    new, offer, won = stages
    await completes(database, won, new, offer)

    _, run = await through(database, runner, stages, ann)

    call, write = await all_of(database, Task)
    assert (call.status, write.status) == (TaskStatus.COMPLETED, TaskStatus.COMPLETED)
    assert call.completed_at == run.finished_at
    titles = f"{call.id} «Call», {write.id} «Write»"
    assert (run.state, run.outcome) == (RunState.DONE, f"Completed tasks {titles}.")
    assert run.result == {"count": 2, "titles": titles}


async def test_tasks_of_other_stages_stay_open(
    database: Database, runner: Runner, stages: list[Stage], ann: User
) -> None:
    _, offer, won = stages
    await completes(database, won, offer)

    _, run = await through(database, runner, stages, ann)

    assert await statuses(database) == {
        "Call": TaskStatus.PENDING,
        "Write": TaskStatus.COMPLETED,
    }
    assert run.outcome is not None
    assert run.outcome.startswith("Completed task ")


async def test_tasks_that_people_have_made_stay_open(
    database: Database, runner: Runner, stages: list[Stage], ann: User
) -> None:
    new, offer, won = stages
    deal, _ = await through(database, runner, [new, offer], ann)
    async with database.transaction() as session:
        await add_task(session, ann, {"title": "By hand", "item_id": deal.id})
    await completes(database, won, new, offer)
    (*_, entry) = await all_of(database, StageEntry)

    await runner.do((await moved(database, entry, won, ann)).id)

    assert await statuses(database) == {
        "Call": TaskStatus.COMPLETED,
        "Write": TaskStatus.COMPLETED,
        "By hand": TaskStatus.PENDING,
    }


async def test_tasks_of_other_deals_stay_open(
    database: Database, runner: Runner, stages: list[Stage], ann: User
) -> None:
    new, _, won = stages
    await through(database, runner, [new], ann)
    await completes(database, won, new)

    await through(database, runner, [new, won], ann)

    assert [task.status for task in await all_of(database, Task)] == [
        TaskStatus.PENDING,
        TaskStatus.COMPLETED,
    ]


async def test_a_result_that_is_required_is_not_waited_for(
    database: Database, runner: Runner, ann: User
) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        a_rule(session, new, "create_task", params={"title": "Call", "result_required": True})
    await completes(database, won, new)

    await through(database, runner, [new, won], ann)

    assert await statuses(database) == {"Call": TaskStatus.COMPLETED}


async def test_a_rule_that_waits_for_such_a_task_goes_on(
    database: Database, runner: Runner, ann: User
) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        waiting = {"title": "Call", "wait_until_completed": True}
        a_rule(
            session, new, "create_task", params=waiting, keep_when_item_leaves=True, title="Survey"
        )
    await completes(database, won, new)

    await through(database, runner, [new, won], ann)

    survey, completing = await all_of(database, RuleRun)
    assert (survey.state, completing.state) == (RunState.DONE, RunState.DONE)
    assert survey.outcome is not None
    assert survey.outcome.endswith("was completed by a rule.")


async def test_a_rule_that_waits_in_the_same_stage_goes_on_too(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (new,) = a_pipeline(session, "New")
        waiting = {"title": "Call", "wait_until_completed": True}
        a_rule(session, new, "create_task", params=waiting)
        await session.flush()
        a_rule(session, new, "complete_tasks", params={"stages": [new.id]}, position=1)
        a_rule(session, new, position=2, after_previous=True)
        _, entry = await a_deal(session, new)
    await runner.do(entry.id)

    await runner.do(entry.id)

    runs = await all_of(database, RuleRun)
    assert [run.state for run in runs] == [RunState.DONE, RunState.DONE, RunState.WAITING]


async def test_nothing_to_complete_is_said(
    database: Database, runner: Runner, stages: list[Stage], ann: User
) -> None:
    _, offer, won = stages
    await completes(database, won, offer)

    _, run = await through(database, runner, [stages[0], won], ann)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        "No task that rules made there was open.",
    )
    assert run.result == {"count": 0, "titles": ""}


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/stages", "Field required"),
        (
            {"stages": []},
            "/params/stages",
            "Input should have at least 1 item, not 0",
        ),
        ({"stages": [4711]}, "/params/stages/0", "There is no stage 4711."),
    ],
)
async def test_a_rule_without_a_stage_is_refused(
    database: Database, stages: list[Stage], params: dict[str, Any], field: str, reason: str
) -> None:
    assert await refused(database, stages[0], "complete_tasks", params) == {field: reason}


async def test_a_stage_of_another_pipeline_is_refused_unless_that_is_chosen(
    database: Database, stages: list[Stage]
) -> None:
    async with database.transaction() as session:
        (planning,) = a_pipeline(session, "Planning")
    own = stages[0]

    other = await refused(database, own, "complete_tasks", {"stages": [own.id, planning.id]})
    chosen = await refused(
        database,
        own,
        "complete_tasks",
        {"pipeline": planning.pipeline_id, "stages": [own.id, planning.id]},
    )

    assert other == {
        "/params/stages/1": f"Stage {planning.id} «Planning» is not of pipeline {own.pipeline_id}."
    }
    assert chosen == {
        "/params/stages/0": f"Stage {own.id} «New» is not of pipeline {planning.pipeline_id}."
    }
