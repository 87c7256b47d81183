"""A stage entry's workflow offers each step at its moment and ends when nothing is left."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ActivityError
from temporalio.testing import WorkflowEnvironment

from models.agenda import AnyAgenda
from tests.fixtures.temporal import dev_server
from tests.workflows.shapes import (
    A_DAY,
    A_MINUTE,
    HALF_A_YEAR,
    SHAPES,
    SHORT_HISTORIES,
    Handle,
    Held,
    Stage,
    StandIn,
    after_delay,
    at_once,
    cancelled,
    cancelled_in_flight,
    cancelled_waiting,
    continued_as_new,
    declined_and_offered_again,
    declines,
    delivery_beside,
    fails,
    fails_for_good,
    fault_recorded,
    left_early,
    loses_the_reply,
    page,
    restarted_by_signal_with_start,
    retimed,
)
from workflows.agenda import deliveries_of, one_line

A_CENTURY = timedelta(days=36_500)


@pytest.fixture
def curtain_down(temporal: WorkflowEnvironment, task_queue: str) -> Stage:
    """Return a stage whose workers do not run yet."""
    return Stage(temporal, task_queue)


@pytest.fixture
async def stage(curtain_down: Stage) -> AsyncIterator[Stage]:
    async with curtain_down.workers():
        yield curtain_down


@pytest.fixture
async def short_histories(task_queue: str) -> AsyncIterator[Stage]:
    """Return a stage on a server that suggests to continue as new after a few steps."""
    async with dev_server(SHORT_HISTORIES) as temporal:
        stage = Stage(temporal, task_queue)
        async with stage.workers():
            yield stage


def order(stage: Stage) -> list[int]:
    """Return the runs offered, in that order."""
    return [offer.run_id for offer in stage.database.offers]


def delays(stage: Stage) -> list[timedelta]:
    """Return how long after entering each offer was made, in whole minutes."""
    return [
        (offer.at - stage.database.entered_at) // A_MINUTE * A_MINUTE
        for offer in stage.database.offers
    ]


async def status(handle: Handle) -> WorkflowExecutionStatus | None:
    return (await handle.describe()).status


async def count(handle: Handle, kind: EventType.ValueType) -> int:
    history = await handle.fetch_history()
    return sum(event.event_type == kind for event in history.events)


async def happened(handle: Handle, kind: EventType.ValueType) -> None:
    """Wait until the history holds such an event."""
    events = handle.fetch_history_events(wait_new_event=True)
    await anext(event async for event in events if event.event_type == kind)


# When


async def test_a_stage_without_rules_ends_at_once(stage: Stage) -> None:
    handle = await stage.enter()

    assert await handle.result() == {}
    assert stage.database.offers == []


async def test_a_step_due_now_is_done_at_once(stage: Stage) -> None:
    handle = await at_once(stage)

    assert await handle.result() == {"done": 1}
    assert delays(stage) == [timedelta()]


async def test_a_step_due_in_half_a_year_is_done_in_half_a_year(stage: Stage) -> None:
    await after_delay(stage)

    assert delays(stage) == [HALF_A_YEAR]


async def test_a_wait_longer_than_a_timer_can_be_is_continued(stage: Stage) -> None:
    handle = await stage.enter(stage.item(1, after=A_CENTURY + HALF_A_YEAR))

    assert await handle.result() == {"done": 1}
    assert delays(stage) == [A_CENTURY + HALF_A_YEAR]
    assert await count(handle, EventType.EVENT_TYPE_TIMER_STARTED) == 2


async def test_steps_of_one_moment_are_done_top_down_one_after_another(stage: Stage) -> None:
    first = Held()
    stage.database.acts[7] = [first]
    handle = await stage.enter(
        stage.item(5, position=3, after=A_DAY),
        stage.item(6, position=2, after=A_DAY),
        stage.item(7, position=1, after=A_DAY),
    )

    await first.begun.wait()
    offered_meanwhile = order(stage)
    first.may_go_on.set()
    await handle.result()

    assert offered_meanwhile == [7]
    assert order(stage) == [7, 6, 5]


async def test_an_earlier_step_comes_before_a_higher_one(stage: Stage) -> None:
    handle = await stage.enter(stage.item(1, after=2 * A_DAY), stage.item(2, after=A_DAY))

    await handle.result()

    assert order(stage) == [2, 1]


# What the database changes while we wait


async def test_a_step_moved_there_and_back_is_done_once_at_the_last_moment_said(
    stage: Stage,
) -> None:
    handle = await retimed(stage)

    assert await handle.result() == {"done": 1}
    assert delays(stage) == [A_DAY]


async def test_a_postponed_step_is_not_done_at_the_old_moment(stage: Stage) -> None:
    handle = await stage.enter_and_wait(stage.item(1, after=A_DAY))
    await stage.change(handle, stage.item(1, after=HALF_A_YEAR))

    await stage.end(handle)

    assert delays(stage) == [HALF_A_YEAR]


async def test_a_step_added_while_waiting_is_done_in_its_turn(stage: Stage) -> None:
    later = stage.item(1, after=HALF_A_YEAR)
    handle = await stage.enter_and_wait(later)
    await stage.change(handle, later, stage.item(2, after=A_DAY))

    await stage.end(handle)

    assert order(stage) == [2, 1]


async def test_an_item_that_left_early_ends_the_workflow_with_what_became_of_its_runs(
    stage: Stage,
) -> None:
    handle = await left_early(stage)

    assert await handle.result() == {"dropped": 1}
    assert await status(handle) == WorkflowExecutionStatus.COMPLETED
    assert stage.database.offers == []


async def test_a_change_that_concerns_another_step_leaves_the_timer_alone(stage: Stage) -> None:
    next_one = stage.item(1, after=A_DAY)
    handle = await stage.enter_and_wait(next_one, stage.item(2, after=HALF_A_YEAR))
    await stage.change(handle, next_one)
    await stage.tell(handle, stage.database.agenda)

    await stage.end(handle)

    assert await count(handle, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) == 2
    assert await count(handle, EventType.EVENT_TYPE_TIMER_STARTED) == 1


async def test_a_stale_agenda_is_ignored(stage: Stage) -> None:
    stale = stage.database.change(stage.item(1, after=A_DAY))
    handle = await stage.enter_and_wait(stage.item(1, after=HALF_A_YEAR))
    await stage.tell(handle, stale)

    await stage.end(handle)

    assert delays(stage) == [HALF_A_YEAR]


async def test_another_database_wins_whatever_its_version(stage: Stage) -> None:
    handle = await stage.enter_and_wait(stage.item(1, after=HALF_A_YEAR))
    replaced = {"database_id": uuid4(), "version": 0}
    stage.database.agenda = stage.database.agenda.model_copy(update=replaced)
    await stage.change(handle, stage.item(2, after=A_DAY))

    await stage.end(handle)

    assert order(stage) == [2]


async def test_signals_before_the_first_task_count(curtain_down: Stage) -> None:
    handle = await curtain_down.enter(curtain_down.item(1))
    changed = curtain_down.database.change(curtain_down.item(2))
    await handle.signal("agenda_changed", changed)

    async with curtain_down.workers():
        await handle.result()

    assert order(curtain_down) == [2]


async def test_an_agenda_told_after_the_end_starts_the_workflow_again(stage: Stage) -> None:
    handle = await restarted_by_signal_with_start(stage)

    assert await handle.result() == {"done": 2}
    assert order(stage) == [1, 2]


# What the database changes while a step is under way


async def test_the_reply_of_a_step_does_not_undo_a_newer_agenda(stage: Stage) -> None:
    async def replies_with_what_it_saw(*_: object) -> AnyAgenda[Any]:
        return seen

    step = Held(replies_with_what_it_saw)
    stage.database.acts[1] = [step]
    handle = await stage.enter(stage.item(1), stage.item(2, after=HALF_A_YEAR))
    seen = stage.database.agenda
    await step.begun.wait()
    await stage.change(handle, stage.item(3))
    step.may_go_on.set()

    await handle.result()

    assert order(stage) == [1, 3]


async def test_the_workflow_never_ends_while_a_step_is_under_way(stage: Stage) -> None:
    step = Held()
    stage.database.acts[1] = [step]
    handle = await stage.enter(stage.item(1))
    await step.begun.wait()
    await stage.change(handle, dropped=1)
    meanwhile = await status(handle)
    step.may_go_on.set()

    assert await handle.result() == {"dropped": 1, "done": 1}
    assert meanwhile == WorkflowExecutionStatus.RUNNING


async def test_the_workflow_never_ends_while_a_delivery_is_under_way(stage: Stage) -> None:
    first, second = Held(), Held()
    stage.database.acts[1] = [first]
    stage.database.acts[2] = [second]
    handle = await stage.enter(stage.item(1, beside=True), stage.item(2, beside=True))
    await first.begun.wait()
    await second.begun.wait()
    await stage.change(handle, dropped=2)
    first.may_go_on.set()
    await happened(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
    await page(handle)
    meanwhile = await status(handle)
    second.may_go_on.set()

    assert await handle.result() == {"dropped": 2, "done": 2}
    assert meanwhile == WorkflowExecutionStatus.RUNNING


async def test_a_run_never_has_two_steps_under_way(stage: Stage) -> None:
    delivery, other = Held(), Held()
    stage.database.acts[1] = [delivery]
    stage.database.acts[2] = [other]
    handle = await stage.enter(stage.item(1, beside=True))
    await delivery.begun.wait()
    await stage.change(handle, stage.item(1, title="Again"), stage.item(2))
    await other.begun.wait()
    offered_meanwhile = order(stage)
    other.may_go_on.set()
    delivery.may_go_on.set()

    await handle.result()

    assert offered_meanwhile == [1, 2]


# Steps that do not go well


async def test_a_declined_step_is_offered_again_with_growing_pauses(stage: Stage) -> None:
    await declined_and_offered_again(stage)

    assert delays(stage) == [minutes * A_MINUTE for minutes in (0, 1, 3, 7, 15, 31, 63, 123, 183)]


async def test_a_declined_step_does_not_hold_up_the_others(stage: Stage) -> None:
    stage.database.acts[1] = [declines]
    handle = await stage.enter(stage.item(1), stage.item(2))

    await handle.result()

    assert order(stage) == [1, 2, 1]


async def test_a_declined_step_that_is_moved_is_done_at_its_new_moment(stage: Stage) -> None:
    stage.database.acts[1] = [declines, declines]
    other = Held()
    stage.database.acts[2] = [other]
    handle = await stage.enter(stage.item(1), stage.item(2))
    await other.begun.wait()
    await stage.change(handle, stage.item(1, after=timedelta(seconds=1)))
    other.may_go_on.set()

    await handle.result()

    assert delays(stage) == [minutes * A_MINUTE for minutes in (0, 0, 0, 1)]


async def test_a_fault_is_recorded_after_three_tries_and_the_step_done_later(
    stage: Stage,
) -> None:
    handle = await fault_recorded(stage)

    assert await handle.result() == {"retrying": 1, "done": 1}
    assert [offer.attempt for offer in stage.database.offers] == [1, 2, 3, 1]
    assert delays(stage)[-1] == 10 * A_MINUTE


async def test_recording_a_fault_is_tried_until_it_works_and_tells_no_message(
    stage: Stage,
) -> None:
    await fault_recorded(stage)

    faults = stage.database.faults
    assert [fault.error_type for fault in faults] == ["ConnectionError"] * 3
    assert {fault.step.item.run_id for fault in faults} == {1}
    assert "Jane" not in faults[0].model_dump_json()


async def test_a_fault_does_not_stop_the_steps_after_it(stage: Stage) -> None:
    stage.database.acts[1] = [fails] * 3
    handle = await stage.enter(stage.item(1), stage.item(2))

    await handle.result()

    assert order(stage) == [1, 1, 1, 2, 1]


async def test_an_action_that_no_worker_knows_is_a_fault(stage: Stage) -> None:
    unknown = stage.item(1).model_copy(update={"activity": "launch_rocket"})
    handle = await stage.enter(unknown)

    await handle.result()

    assert [fault.error_type for fault in stage.database.faults] == ["NotFoundError"]


async def test_a_lost_reply_is_made_good_by_the_next_try(stage: Stage) -> None:
    stage.database.acts[1] = [loses_the_reply]
    handle = await stage.enter(stage.item(1))

    assert await handle.result() == {"done": 1}
    assert [offer.attempt for offer in stage.database.offers] == [1, 2]


async def test_a_step_that_breaks_beyond_a_fault_is_not_passed_over(stage: Stage) -> None:
    stage.database.acts[1] = [fails_for_good]
    stage.database.acts["record_fault"] = [fails_for_good]
    handle = await stage.enter_and_wait(
        stage.item(1, beside=True), stage.item(2, after=HALF_A_YEAR)
    )

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, ActivityError)


# Beside the loop


async def test_a_delivery_does_not_hold_up_the_others(stage: Stage) -> None:
    handle = await delivery_beside(stage)

    assert await handle.result() == {"done": 3}
    assert sorted(order(stage)) == [1, 2, 3]


async def test_deliveries_have_a_task_queue_of_their_own(stage: Stage) -> None:
    await delivery_beside(stage)

    assert {offer.run_id: offer.task_queue for offer in stage.database.offers} == {
        1: deliveries_of(stage.task_queue),
        2: stage.task_queue,
        3: stage.task_queue,
    }


async def test_the_end_of_a_delivery_may_bring_the_next_step(stage: Stage) -> None:
    async def goes_on(database: StandIn, _: int) -> AnyAgenda[Any]:
        return database.change(stage.item(2), stage.item(3, after=HALF_A_YEAR))

    delivery = Held(goes_on)
    stage.database.acts[1] = [delivery]
    handle = await stage.enter_and_wait(
        stage.item(1, beside=True), stage.item(3, after=HALF_A_YEAR)
    )
    await delivery.begun.wait()
    await page(handle)
    delivery.may_go_on.set()

    await stage.end(handle)

    assert order(stage) == [1, 2, 3]


# Cancelling


async def test_cancelled_in_flight_it_finishes_what_is_under_way_and_drops_the_rest(
    stage: Stage,
) -> None:
    handle = await cancelled_in_flight(stage)

    assert await status(handle) == WorkflowExecutionStatus.CANCELED
    assert stage.database.agenda.totals == {"done": 2, "dropped": 1}
    assert [stop.entry_id for stop in stage.database.stops] == [1057]


async def test_cancelled_while_waiting_it_drops_everything(stage: Stage) -> None:
    handle = await cancelled_waiting(stage)

    assert await status(handle) == WorkflowExecutionStatus.CANCELED
    assert stage.database.agenda.totals == {"dropped": 1}
    assert stage.database.offers == []


async def test_cancelled_before_the_first_task_it_starts_nothing(curtain_down: Stage) -> None:
    handle = await curtain_down.enter(curtain_down.item(1))
    await handle.cancel()

    async with curtain_down.workers():
        await cancelled(handle)

    assert await status(handle) == WorkflowExecutionStatus.CANCELED
    assert curtain_down.database.offers == []
    assert len(curtain_down.database.stops) == 1


async def test_stopping_is_tried_until_it_works(stage: Stage) -> None:
    stage.database.acts["stop_entry"] = [fails] * 4

    handle = await cancelled_in_flight(stage)

    assert len(stage.database.stops) == 5
    assert await status(handle) == WorkflowExecutionStatus.CANCELED


async def test_a_cancellation_together_with_a_change_is_not_swallowed(
    curtain_down: Stage,
) -> None:
    handle = await curtain_down.enter(curtain_down.item(1, after=HALF_A_YEAR), skipping=False)
    async with curtain_down.workers():
        await page(handle)
    await handle.signal(
        "agenda_changed", curtain_down.database.change(curtain_down.item(1, after=A_DAY))
    )
    await handle.cancel()

    async with curtain_down.workers():
        await cancelled(handle)

    assert await status(handle) == WorkflowExecutionStatus.CANCELED
    assert len(curtain_down.database.stops) == 1


# Living long


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_course_is_the_same_when_each_task_starts_from_history(
    shape: str, curtain_down: Stage
) -> None:
    async with curtain_down.workers(cached_workflows=0):
        handle = await SHAPES[shape](curtain_down)

    assert await count(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED) == 0


async def test_a_long_history_is_continued_as_new_without_losing_a_step(
    short_histories: Stage,
) -> None:
    first_run = await continued_as_new(short_histories)

    assert await status(first_run) == WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert short_histories.database.agenda.totals == {"done": 6}
    assert order(short_histories) == [1, 2, 3, 4, 5, 6]


async def test_nothing_is_continued_as_new_while_a_delivery_is_under_way(
    short_histories: Stage,
) -> None:
    delivery, last = Held(), Held()
    short_histories.database.acts[1] = [delivery]
    short_histories.database.acts[6] = [last]
    steps = [short_histories.item(run_id) for run_id in range(2, 7)]
    handle = await short_histories.enter(short_histories.item(1, beside=True), *steps)
    await last.begun.wait()
    meanwhile = await status(handle)
    delivery.may_go_on.set()
    last.may_go_on.set()

    assert await handle.result() == {"done": 6}
    assert meanwhile == WorkflowExecutionStatus.RUNNING
    assert sorted(order(short_histories)) == [1, 2, 3, 4, 5, 6]


# What ops see


async def test_the_page_shows_what_is_to_do_when_and_what_has_been(stage: Stage) -> None:
    step = Held()
    stage.database.acts[2] = [step]
    tomorrow = stage.item(3, after=A_DAY, title="Notify supervisor")
    handle = await stage.enter_and_wait(
        stage.item(1), stage.item(2, title="Create a task"), tomorrow
    )
    await step.begun.wait()

    shown = await page(handle)

    assert shown.splitlines() == [
        "Stage entry 1057, agenda 2",
        "",
        "| When (UTC) | What |",
        "| --- | --- |",
        "| under way\u2003 | Create a task |",
        f"| {tomorrow.due_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}\u2003 | Notify supervisor |",
        "",
        "2 to do, 1 done",
    ]
    step.may_go_on.set()
    await stage.end(handle)


async def test_a_rule_title_cannot_break_the_page(stage: Stage) -> None:
    title = "Call | them\n| --- |\n[now](http://x) <b>*_`\\"
    handle = await stage.enter_and_wait(stage.item(1, after=A_DAY, title=title))

    shown = await page(handle)

    assert r" | Call \| them \| --- \| \[now\](http://x) \<b>\*\_\`\\ |" in shown
    await stage.end(handle)


async def test_every_wait_and_every_step_carries_the_title_of_its_rule(stage: Stage) -> None:
    handle = await stage.enter(stage.item(1, after=A_DAY, title="Create repeat lead"))
    await handle.result()

    summaries = [
        event.user_metadata.summary.data.decode()
        for event in (await handle.fetch_history()).events
        if event.user_metadata.HasField("summary")
    ]
    assert summaries == ['"Create repeat lead"'] * 2


def test_a_summary_is_one_line_of_at_most_200_bytes() -> None:
    shortened = one_line("Договор\n" * 40)

    assert len(shortened.encode()) <= 200
    assert shortened.startswith("Договор Договор ")
    assert shortened.endswith("…")
