"""Results of rules for the rules below them: left, kept, read again, checked when saved."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from activities.registry import Result, RulePlace, all_actions
from activities.results import as_kept, values_of
from activities.rule_check import check_rule
from models.agenda import Fault
from models.contact import Contact
from models.database import Database
from models.errors import InvalidRule, Problem
from models.fields import FieldKind
from models.item_type import ItemType
from models.notification import Notification
from models.pipeline import Stage
from models.rule import Rule
from models.rule_run import RunState, retry
from models.stage_entry import StageEntry, lock_run
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_pipeline, all_of, entered, rules_of
from tests.fixtures.runner import Runner

TITLE = {"title": "Call about {{ deal.title }}"}
TASK: dict[str, Any] = {"action": "create_task", "params": TITLE}
TELL: dict[str, Any] = {
    "action": "add_history_entry",
    "params": {
        "text": "[{{ results.create_task.id }}] {{ results.create_task.title }} "
        "{{ results.create_task.deadline | datetime: 'yyyy-MM-dd HH:mm' }}"
    },
}
DONE_BEFORE = {"field": "results.create_task.id", "operator": "not empty"}


async def test_a_rule_below_can_tell_what_the_rule_above_has_made(
    database: Database, runner: Runner
) -> None:
    task = TASK | {"params": TITLE | {"deadline": {"amount": 2, "unit": "days"}}}
    entry = await entered(database, task, TELL)
    now = datetime(2027, 8, 1, 9, tzinfo=UTC)

    made = await runner.do(entry.id, now)
    told = await runner.do(entry.id, now)

    assert made.result is not None
    assert told.result == {"text": f"[{made.result['id']}] Call about Lathe 2027-08-03 09:00"}


async def test_what_has_not_run_reads_as_nothing(database: Database, runner: Runner) -> None:
    entry = await entered(database, TASK | {"timing": IN_AN_HOUR}, TELL)
    step = await runner.step(entry.id, 1)

    await runner.offer(step)

    told = await runner.run(step.item.run_id)
    assert told.result == {"text": "[]  "}


async def test_what_was_skipped_or_has_failed_is_empty_in_conditions(
    database: Database, runner: Runner
) -> None:
    never = {"field": "deal.title", "operator": "empty"}
    failing = TASK | {"params": {"title": "{{ deal.source }}"}}
    entry = await entered(
        database, TASK | {"conditions": never}, failing, {"conditions": DONE_BEFORE}
    )

    skipped, failed, below = [await runner.do(entry.id) for _ in range(3)]

    assert (skipped.state, failed.state) == (RunState.SKIPPED, RunState.FAILED)
    assert (skipped.result, failed.result) == (None, None)
    assert below.state is RunState.SKIPPED
    assert below.outcome == "results.create_task.id is empty, needed not empty"


async def test_conditions_may_ask_whether_the_rule_above_has_run(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, TASK, {"conditions": DONE_BEFORE})
    await runner.do(entry.id)

    below = await runner.do(entry.id)

    assert below.state is RunState.DONE


async def test_the_last_rule_above_with_the_same_action_counts(
    database: Database, runner: Runner
) -> None:
    second = TASK | {"params": {"title": "Second"}}
    text = {"params": {"text": "{{ results.create_task.title }}"}}
    third = TASK | {"params": {"title": "Third"}}
    entry = await entered(database, TASK, second, text, third)

    _, _, told = [await runner.do(entry.id) for _ in range(3)]

    assert told.result == {"text": "Second"}


async def test_what_a_run_in_progress_has_made_is_there_for_the_rules_below(
    database: Database, runner: Runner
) -> None:
    waiting = TASK | {"params": {"title": "Call", "wait_until_completed": True}}
    text = {"params": {"text": "{{ results.create_task.title }}"}}
    entry = await entered(database, waiting, text)
    await runner.do(entry.id)

    told = await runner.do(entry.id)

    assert told.result == {"text": "Call"}


async def test_rules_below_leave_nothing_for_those_above(
    database: Database, runner: Runner
) -> None:
    late = {"timing": IN_AN_HOUR, "params": {"text": "[{{ results.create_task.title }}]"}}
    entry = await entered(database, late, TASK)
    await runner.offer(await runner.step(entry.id, 1))

    told = await runner.do(entry.id)

    assert told.result == {"text": "[]"}


async def test_a_run_that_is_tried_again_leaves_what_it_makes_then(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"action": "notify_supervisor", "params": {"text": "Look"}})
    failed = await runner.do(entry.id)
    async with database.transaction() as session:
        run = await lock_run(session, failed.id)
        boss = User(name="Boss")
        session.add(boss)
        run.item.responsible = boss
        run.version.params = {"text": "Look", "recipients": [{"by": "responsible"}]}
        retry(session, run)

    done = await runner.do(entry.id)

    assert (failed.state, failed.result) == (RunState.FAILED, None)
    assert done.result == {"recipients": "Boss", "count": 1}
    assert len(await all_of(database, Notification)) == 1


async def test_a_retry_forgets_what_was_left_before(database: Database, runner: Runner) -> None:
    entry = await entered(database, TASK)
    done = await runner.do(entry.id)
    async with database.transaction() as session:
        run = await lock_run(session, done.id)
        run.state = RunState.FAILED
        retry(session, run)

    assert (await runner.run(done.id)).result is None


async def test_a_fault_leaves_nothing(database: Database, runner: Runner) -> None:
    entry = await entered(database, TASK)
    step = await runner.step(entry.id)

    await runner.record_fault(Fault(step=step, error_type="OSError"))

    assert (await runner.run(step.item.run_id)).result is None


async def test_what_actions_leave_is_what_they_say_they_do(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        [stage] = a_pipeline(session, "New")
        a_pipeline(session, "Fresh", item_type=ItemType.LEAD)
        rules_of(
            session,
            stage,
            TASK,
            {},
            {"action": "create_repeat_lead", "params": {}},
            {"action": "copy_deal", "params": {"name": "Again"}},
            {
                "action": "notify_supervisor",
                "params": {"text": "Look", "recipients": [{"by": "responsible"}]},
            },
            {"action": "add_to_exclusions", "params": {}},
        )
        anna = Contact(first_name="Anna", contact_points=[])
        await a_deal(session, stage, responsible=User(name="Ann"), contact=anna)
    [entry, *_] = await all_of(database, StageEntry)

    runs = [await runner.do(entry.id) for _ in range(6)]

    assert {run.state for run in runs} == {RunState.DONE}
    assert {run.next_activity: set(run.result or {}) for run in runs} == {
        run.next_activity: {result.path for result in all_actions()[run.next_activity].results}
        for run in runs
    }


def test_what_an_action_does_not_declare_it_cannot_leave() -> None:
    with pytest.raises(LookupError, match="create_task leaves colour"):
        as_kept(all_actions()["create_task"], {"id": 1, "colour": "red"})


def test_a_long_text_is_cut_before_it_is_kept() -> None:
    kept = as_kept(all_actions()["add_history_entry"], {"text": "x" * 5000})

    assert kept == {"text": "x" * 1000 + "…"}


def test_an_action_that_leaves_nothing_keeps_nothing() -> None:
    assert as_kept(all_actions()["create_task"], {}) is None


async def test_results_keep_their_kind_on_their_way_through_json(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = replace(
        all_actions()["create_task"],
        results=(
            Result("day", "Day", FieldKind.DATE),
            Result("at", "At", FieldKind.DATETIME),
            Result("sum", "Sum", FieldKind.MONEY),
            Result("empty", "Empty", FieldKind.TEXT),
        ),
    )
    monkeypatch.setitem(all_actions(), action.code, action)
    left = {
        "day": date(2027, 8, 1),
        "at": datetime(2027, 8, 1, 9, tzinfo=UTC),
        "sum": Decimal("12.50"),
        "empty": None,
    }
    entry = await entered(database, TASK)
    async with database.transaction() as session:
        run = await lock_run(session, entry.runs[0].id)
        run.state = RunState.DONE
        run.result = as_kept(action, left)

    async with database.transaction() as session:
        run = await lock_run(session, entry.runs[0].id)
        values = values_of([run], ItemType.DEAL)

    assert {path: values[path] for path in values if path.startswith("results.create_task.")} == {
        f"results.create_task.{name}": value for name, value in left.items()
    }


async def a_stage(database: Database, *rules: dict[str, Any]) -> Stage:
    """Make a stage with these rules."""
    async with database.transaction() as session:
        [stage] = a_pipeline(session, "New")
        rules_of(session, stage, *rules)
    return stage


async def problems(
    database: Database, place: dict[str, Any], said: dict[str, Any] = TELL
) -> list[Problem]:
    """Check a rule as it is checked when it is saved."""
    async with database.transaction() as session:
        try:
            await check_rule(
                RulePlace(session, **place),
                action="add_history_entry",
                params=said.get("params", {"text": "x"}),
                conditions=said.get("conditions"),
            )
        except InvalidRule as refused:
            return list(refused.problems)
    return []


async def test_a_rule_below_may_speak_of_what_the_rule_above_leaves(database: Database) -> None:
    stage = await a_stage(database, TASK)

    assert await problems(database, {"stage": stage}) == []
    assert await problems(database, {"stage": stage}, {"conditions": DONE_BEFORE}) == []


ABSENT = "results.create_task.id is empty: no rule above this one uses the action create_task"


async def test_what_no_rule_above_leaves_is_refused(database: Database) -> None:
    stage = await a_stage(database, {}, TASK | {"enabled": False})
    text = {"params": {"text": "{{ results.create_task.id }}"}}
    beside = {"field": "deal.id", "operator": "=", "value": {"field": "results.create_task.id"}}

    in_text = await problems(database, {"stage": stage}, text)
    in_conditions = await problems(database, {"stage": stage}, {"conditions": DONE_BEFORE})
    as_value = await problems(database, {"stage": stage}, {"conditions": beside})

    assert in_text == [Problem("/params/text", f"line 1, column 4: {ABSENT}")]
    assert in_conditions == [Problem("/conditions/field", ABSENT)]
    assert as_value == [Problem("/conditions/value/field", ABSENT)]


async def test_only_rules_at_a_place_above_count(database: Database) -> None:
    stage = await a_stage(database, {}, TASK, {})
    above, task, below = await all_of(database, Rule)

    new_above = await problems(database, {"stage": stage, "position": 0})
    new_beside = await problems(database, {"stage": stage, "position": 1})
    moved_up = await problems(database, {"stage": stage, "position": 0, "rule_id": below.id})
    moved_beside = await problems(database, {"stage": stage, "position": 1, "rule_id": above.id})
    as_it_is = await problems(database, {"stage": stage, "position": 2, "rule_id": below.id})
    itself = await problems(database, {"stage": stage, "position": 1, "rule_id": task.id})

    assert [bool(each) for each in (new_above, new_beside, moved_up)] == [True, False, True]
    assert [bool(each) for each in (moved_beside, as_it_is, itself)] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "{{ results.create_tsk.id }}",
            "unknown field results.create_tsk.id, did you mean results.create_task.id?",
        ),
        (
            "{{ results.create_task.titel }}",
            "unknown field results.create_task.titel, did you mean results.create_task.title?",
        ),
        (
            "{{ results.create_task }}",
            "results.create_task holds several fields, name one such as results.create_task.id",
        ),
        (
            "{{ results.create_task.title.x }}",
            "unknown field results.create_task.title.x",
        ),
    ],
)
async def test_a_result_that_no_action_offers_is_unknown_and_the_nearest_is_told(
    database: Database, text: str, reason: str
) -> None:
    stage = await a_stage(database, TASK)

    [problem] = await problems(database, {"stage": stage}, {"params": {"text": text}})

    assert problem.reason == f"line 1, column 4: {reason}"
