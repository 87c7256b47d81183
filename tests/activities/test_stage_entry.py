"""The runner: fence, conditions, savepoint, outcome, reply."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from temporalio.exceptions import ApplicationError

from activities.registry import ActionContext, all_actions
from models.agenda import Fault, Stop
from models.base import Base
from models.clock import now
from models.database import Database
from models.entering import MOST_LINKS
from models.errors import ActionFailed
from models.history import HistoryEntry, HistoryKind
from models.notification import Notification
from models.rule_run import FAULT_PAUSES, Hold, RunState, release_all
from models.stage_entry import StageEntry, lock_run
from models.task import Task
from models.user import Role, User
from tests.factories import IN_AN_HOUR, a_deal, a_pipeline, rules_of
from tests.fixtures.runner import MoveOn, Runner


async def entered(database: Database, *rules: dict[str, Any]) -> StageEntry:
    """Let a deal enter a stage with these rules, told to Temporal already."""
    async with database.transaction() as session:
        first, *_ = a_pipeline(session, "New", "Won")
        rules_of(session, first, *rules)
        await session.flush()
        _, entry = await a_deal(session, first)
        await session.flush()
        entry.told_version = entry.agenda_version
    return entry


async def count(database: Database, what: type[Base]) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(what)) or 0


async def test_effect_and_outcome_are_there_and_the_reply_is_the_rest(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"action": "create_task", "params": {"title": "Call"}}, {})

    agenda = await runner.offer(await runner.step(entry.id))

    assert await count(database, Task) == 1
    assert agenda.totals == {"done": 1}
    assert [item.activity for item in agenda.items] == ["add_history_entry"]


async def test_an_undisturbed_run_leaves_nothing_to_tell(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})

    agenda = await runner.offer(await runner.step(entry.id))

    async with database.reading() as session:
        after = await session.get_one(StageEntry, entry.id)
    assert after.told_version == after.agenda_version == agenda.version == 2


async def test_a_reply_tells_nothing_that_was_not_told_before(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})
    async with database.transaction() as session:
        (await session.get_one(StageEntry, entry.id)).told_version = 0

    await runner.offer(await runner.step(entry.id))

    async with database.reading() as session:
        after = await session.get_one(StageEntry, entry.id)
    assert (after.told_version, after.agenda_version) == (0, 2)


async def test_a_step_offered_twice_is_done_once(database: Database, runner: Runner) -> None:
    entry = await entered(database, {"action": "create_task", "params": {"title": "Call"}})
    step = await runner.step(entry.id)
    first = await runner.offer(step)

    again = await runner.offer(step)

    assert again == first
    assert await count(database, Task) == 1


async def test_a_step_whose_time_has_moved_is_turned_away(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})
    step = await runner.step(entry.id)
    earlier = step.item.model_copy(update={"due_at": step.item.due_at - timedelta(hours=1)})

    agenda = await runner.offer(step.model_copy(update={"item": earlier}))

    assert agenda == await runner.agenda(entry.id)
    assert agenda.totals == {}


async def test_a_step_of_another_database_is_turned_away(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})
    step = await runner.step(entry.id)

    agenda = await runner.offer(step.model_copy(update={"database_id": uuid4()}))

    assert agenda == await runner.agenda(entry.id)


async def test_a_step_of_an_entry_that_is_not_there_is_told_that_nothing_is_left(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})
    step = await runner.step(entry.id)

    agenda = await runner.offer(step.model_copy(update={"entry_id": entry.id + 1000}))

    assert agenda.items == ()
    assert agenda.version == 0


async def test_a_rule_whose_condition_is_not_met_is_skipped_and_says_what_decided(
    database: Database, runner: Runner
) -> None:
    condition = {"field": "deal.title", "operator": "=", "value": "Mill"}
    entry = await entered(database, {"conditions": condition})
    step = await runner.step(entry.id)

    await runner.offer(step)

    run = await runner.run(step.item.run_id)
    assert run.state is RunState.SKIPPED
    assert run.outcome is not None
    assert "Lathe" in run.outcome
    assert run.comparisons is not None
    assert run.comparisons[0]["actual"] == "Lathe"


async def test_a_fact_in_the_way_fails_the_run_and_the_others_go_on(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"action": "create_repeat_lead", "params": {}}, {})
    step = await runner.step(entry.id)

    agenda = await runner.offer(step)

    run = await runner.run(step.item.run_id)
    assert run.state is RunState.FAILED
    assert run.outcome == f"Deal {entry.item_id} has no contact and no company."
    assert len(agenda.items) == 1


async def test_nothing_half_done_is_kept_when_an_action_fails(
    database: Database, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await entered(database, {"action": "create_task", "params": {"title": "Call"}})
    step = await runner.step(entry.id)
    half = Broken(ActionFailed("The ladder is too short."))
    monkeypatch.setattr("activities.registry.ActionContext.in_charge", half)

    agenda = await runner.offer(step)

    assert await count(database, Task) == 0
    assert (await runner.run(step.item.run_id)).outcome == "The ladder is too short."
    assert agenda.totals == {"failed": 1}


class Broken:
    """Writes something, then raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __get__(self, context: ActionContext, kind: type) -> object:
        async def half(_choice: object) -> None:
            context.session.add(Task(title="Half"))
            context.item.title = "Half"
            await context.session.flush()
            raise self.error

        return half


async def test_a_fault_tells_temporal_its_kind_only_and_keeps_its_words_in_the_database(
    database: Database, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await entered(database, {"action": "create_task", "params": {"title": "Call"}})
    step = await runner.step(entry.id)
    monkeypatch.setattr(
        "activities.registry.ActionContext.in_charge", Broken(RuntimeError("Anna's secret"))
    )

    with pytest.raises(ApplicationError, match=r"^RuntimeError: RuntimeError$") as told:
        await runner.offer(step)

    assert told.value.__cause__ is None
    run = await runner.run(step.item.run_id)
    assert run.state is RunState.WAITING
    assert run.fault == "RuntimeError: Anna's secret"


async def test_a_run_that_met_a_fault_tries_again_with_growing_pauses(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})
    at = now()

    agenda = await runner.record_fault(
        Fault(step=await runner.step(entry.id), error_type="OSError"), at
    )
    again = await runner.record_fault(
        Fault(step=await runner.step(entry.id), error_type="OSError"), at
    )

    assert agenda.items[0].due_at == at + timedelta(minutes=1)
    assert again.items[0].due_at == at + timedelta(minutes=2)


async def test_a_day_of_faults_fails_the_run(database: Database, runner: Runner) -> None:
    entry = await entered(database, {})
    step = await runner.step(entry.id)
    async with database.transaction() as session:
        (await lock_run(session, step.item.run_id)).attempts = len(FAULT_PAUSES)

    agenda = await runner.record_fault(Fault(step=step, error_type="OSError"))

    run = await runner.run(step.item.run_id)
    assert run.state is RunState.FAILED
    assert run.outcome == "Gave up after 19 tries in a day: OSError."
    assert agenda.items == ()


async def test_a_fault_told_late_changes_nothing(database: Database, runner: Runner) -> None:
    entry = await entered(database, {})
    step = await runner.step(entry.id)
    done = await runner.offer(step)

    agenda = await runner.record_fault(Fault(step=step, error_type="OSError"))

    assert agenda == done


async def test_cancelling_in_temporal_drops_what_has_not_run(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"timing": IN_AN_HOUR}, {"timing": IN_AN_HOUR})
    agenda = await runner.agenda(entry.id)

    left = await runner.stop(Stop(database_id=agenda.database_id, entry_id=entry.id))

    assert left.totals == {"dropped": 2}
    assert (await runner.run(agenda.items[0].run_id)).outcome == "cancelled in Temporal"


async def test_paused_automation_holds_what_it_is_offered_until_it_runs_again(
    database: Database, paused_runner: Runner
) -> None:
    entry = await entered(database, {})
    step = await paused_runner.step(entry.id)

    held = await paused_runner.offer(step)

    assert held.items == ()
    assert (await paused_runner.run(step.item.run_id)).held_because is Hold.PAUSED
    async with database.transaction() as session:
        await release_all(session, Hold.PAUSED)
    assert [item.key for item in (await paused_runner.agenda(entry.id)).items] == [step.item.key]


WAIT = {"action": "wait", "params": {"until": {"amount": 3, "unit": "days"}}}


async def test_a_run_that_stays_open_comes_back_at_its_time_and_ends_by_it(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, WAIT, {"after_previous": True})
    first = await runner.step(entry.id)

    waiting = await runner.offer(first)
    again = await runner.offer(first)
    over = await runner.offer(await runner.step(entry.id))

    assert again == waiting
    assert [item.run_id for item in waiting.items] == [first.item.run_id]
    assert waiting.items[0].due_at > first.item.due_at
    assert over.totals == {"done": 1}
    assert [item.activity for item in over.items] == ["add_history_entry"]
    run = await runner.run(first.item.run_id)
    assert run.result is not None
    assert (run.outcome, run.result["ended_by"]) == ("The time is up.", "time")


async def test_a_run_that_has_begun_comes_to_its_end_though_its_rule_is_off_and_all_is_paused(
    database: Database, runner: Runner, paused_runner: Runner
) -> None:
    entry = await entered(database, WAIT)
    run = await runner.do(entry.id)
    async with database.transaction() as session:
        (await lock_run(session, run.id)).rule.enabled = False

    ended = await paused_runner.do(entry.id)

    assert ended.state is RunState.DONE


async def test_cancelling_in_temporal_drops_a_run_in_progress_too(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, WAIT)
    run = await runner.do(entry.id)
    step = await runner.step(entry.id)

    await runner.stop(Stop(database_id=step.database_id, entry_id=entry.id))

    assert (await runner.run(run.id)).state is RunState.DROPPED


async def test_what_a_run_makes_remembers_the_run(database: Database, runner: Runner) -> None:
    entry = await entered(database, {"action": "create_task", "params": {"title": "Call"}})
    step = await runner.step(entry.id)

    await runner.offer(step)

    async with database.reading() as session:
        task = (await session.scalars(select(Task))).one()
    assert task.made_by_run_id == step.item.run_id


async def test_a_run_ends_with_a_line_of_history_that_names_rule_and_run(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"title": "Note it"})
    step = await runner.step(entry.id)

    await runner.offer(step)

    async with database.reading() as session:
        line = (
            await session.scalars(
                select(HistoryEntry).where(HistoryEntry.kind == HistoryKind.RULE_RUN)
            )
        ).one()
    assert line.run_id == step.item.run_id
    assert line.text == "«Note it» done: Wrote a history entry."


async def test_moving_the_item_drops_the_other_runs_and_never_the_one_that_moves_it(
    database: Database, runner: Runner, mover: str
) -> None:
    entry = await entered(
        database, {"action": mover, "params": {}}, {"timing": IN_AN_HOUR, "title": "Later"}
    )
    step = await runner.step(entry.id)

    agenda = await runner.offer(step)

    assert agenda.items == ()
    assert agenda.totals == {"done": 1, "dropped": 1}
    async with database.reading() as session:
        present = (
            await session.scalars(select(StageEntry).where(StageEntry.left_at.is_(None)))
        ).one()
    assert present.id != entry.id
    assert present.cause_run_id == step.item.run_id
    assert (present.root_id, present.depth) == (entry.id, 1)


async def test_a_chain_that_is_too_long_stops_with_the_whole_path_and_tells_the_administrators(
    database: Database, runner: Runner, mover: str
) -> None:
    entry = await entered(database, {"action": mover, "params": {}})
    async with database.transaction() as session:
        session.add(User(name="Ada", role=Role.ADMIN))
        (await session.get_one(StageEntry, entry.id)).depth = MOST_LINKS
    step = await runner.step(entry.id)

    await runner.offer(step)

    run = await runner.run(step.item.run_id)
    assert run.state is RunState.FAILED
    assert run.outcome == f"loop: deal {entry.item_id} in «New»"
    assert await count(database, Notification) == 1


@pytest.mark.parametrize(
    "error",
    [ActionFailed("Not today."), IntegrityError("", {}, Exception("<E>: Not today"))],
    ids=["fact", "constraint"],
)
async def test_an_action_that_fails_after_it_moved_the_item_moves_nothing_and_says_why(
    database: Database,
    runner: Runner,
    mover: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    entry = await entered(database, {"action": mover, "params": {}}, {"timing": IN_AN_HOUR})
    step = await runner.step(entry.id)
    action = all_actions()[mover]

    async def half(params: MoveOn, context: ActionContext) -> str:
        await action.handler(params, context)
        await context.session.flush()
        raise error

    monkeypatch.setitem(all_actions(), mover, replace(action, handler=half))

    agenda = await runner.offer(step)

    run = await runner.run(step.item.run_id)
    assert run.state is RunState.FAILED
    assert run.outcome is not None
    assert run.outcome.endswith("Not today.")
    assert agenda.totals == {"failed": 1}
    assert len(agenda.items) == 1


async def test_no_activity_tells_temporal_the_words_of_a_fault(
    database: Database, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await entered(database, {})
    step = await runner.step(entry.id)

    async def broken(*_arguments: object) -> None:
        raise RuntimeError("Anna's secret")

    monkeypatch.setattr("activities.steps.lock_entry", broken)

    with pytest.raises(ApplicationError, match=r"^RuntimeError: RuntimeError$"):
        await runner.record_fault(Fault(step=step, error_type="OSError"))
    with pytest.raises(ApplicationError, match=r"^RuntimeError: RuntimeError$"):
        await runner.stop(Stop(database_id=step.database_id, entry_id=entry.id))
