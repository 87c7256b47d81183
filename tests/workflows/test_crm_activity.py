"""A CRM activity's workflow offers each reminder at its moment, as that of a stage entry does."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from tests.workflows.shapes import (
    A_DAY,
    A_MINUTE,
    HALF_A_YEAR,
    Desk,
    Held,
    declines,
    loses_the_reply,
    meeting_completed_early,
    meeting_postponed,
    page,
    reminded_twice,
    reminder_broken,
    reminders_cancelled,
)


@pytest.fixture
async def desk(temporal: WorkflowEnvironment, task_queue: str) -> AsyncIterator[Desk]:
    desk = Desk(temporal, task_queue)
    async with desk.workers():
        yield desk


def given(desk: Desk) -> list[tuple[int, int]]:
    """Return the reminders offered, each with how many minutes after planning that was."""
    return [
        (offer.run_id, (offer.at - desk.database.entered_at) // A_MINUTE)
        for offer in desk.database.offers
    ]


def minutes(span: object) -> int:
    return int(span / A_MINUTE)  # type: ignore[operator]


async def test_each_reminder_is_given_at_its_time_and_then_it_ends(desk: Desk) -> None:
    handle = await reminded_twice(desk)

    assert await handle.result() == {"done": 2}
    assert given(desk) == [(1, minutes(A_DAY)), (2, minutes(A_DAY) + 1)]


async def test_nobody_is_reminded_at_the_time_before_it_was_postponed(desk: Desk) -> None:
    await meeting_postponed(desk)

    assert given(desk) == [(1, minutes(HALF_A_YEAR))]


async def test_what_is_completed_early_reminds_nobody(desk: Desk) -> None:
    handle = await meeting_completed_early(desk)

    assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED
    assert given(desk) == []


async def test_a_fault_is_recorded_and_the_reminder_given_later(desk: Desk) -> None:
    handle = await reminder_broken(desk)

    (fault,) = desk.database.faults
    assert await handle.result() == {"retrying": 1, "done": 1}
    assert fault.error_type == "ConnectionError"
    assert "Jane" not in fault.model_dump_json()
    assert [offer.attempt for offer in desk.database.offers] == [1, 2, 3, 1]


async def test_a_lost_reply_is_made_good_by_the_next_try(desk: Desk) -> None:
    desk.database.acts[1] = [loses_the_reply]
    handle = await desk.enter(desk.item(1))

    assert await handle.result() == {"done": 1}


async def test_a_declined_reminder_is_offered_again_with_growing_pauses(desk: Desk) -> None:
    desk.database.acts[1] = [declines] * 3
    handle = await desk.enter(desk.item(1))
    await handle.result()

    assert given(desk) == [(1, 0), (1, 1), (1, 3), (1, 7)]


async def test_cancelling_stops_the_reminders_that_are_left(desk: Desk) -> None:
    handle = await reminders_cancelled(desk)

    (stop,) = desk.database.stops
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert stop.model_dump(include={"crm_activity_id"}) == {"crm_activity_id": 17}
    assert given(desk) == []


async def test_it_never_ends_while_a_reminder_is_being_given(desk: Desk) -> None:
    step = Held()
    desk.database.acts[1] = [step]
    handle = await desk.enter(desk.item(1))
    await step.begun.wait()
    await desk.change(handle, dropped=1)
    meanwhile = (await handle.describe()).status
    step.may_go_on.set()

    assert await handle.result() == {"dropped": 1, "done": 1}
    assert meanwhile == WorkflowExecutionStatus.RUNNING


async def test_its_page_says_which_crm_activity_it_is_and_when_it_reminds(desk: Desk) -> None:
    handle = await desk.enter_and_wait(desk.item(1, after=A_DAY))

    shown = await page(handle)

    assert shown.startswith("CRM activity 17, agenda 1\n")
    assert "Remind 15 minutes before" in shown
