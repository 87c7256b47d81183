"""Courses that a workflow can take, played with a stand-in for database and runner.

Tests look at how each one ends; `tests/replay/record.py` saves their histories.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from temporalio import activity
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.agenda import (
    Agenda,
    AgendaItem,
    AnyAgenda,
    AnyItem,
    CrmActivityAgenda,
    Fault,
    ReminderFault,
    ReminderItem,
    ReminderStep,
    Step,
    Stop,
    StopReminders,
)
from workflows.agenda import deliveries_of
from workflows.crm_activity import CrmActivityWorkflow
from workflows.stage_entry import StageEntryWorkflow

A_MINUTE = timedelta(minutes=1)
A_DAY = timedelta(days=1)
HALF_A_YEAR = timedelta(days=182)

Handle = WorkflowHandle[Any, dict[str, int]]


class Offer(NamedTuple):
    """One attempt at a step, at the workflow's own time; `run_id` may be that of a reminder."""

    run_id: int
    at: datetime
    attempt: int
    task_queue: str


class StandIn:
    """Plays database and runner: what is to do, what befalls those who do it, what was asked.

    `acts` says what happens at the successive attempts of a run, of `record_fault` or of
    `stop_entry`; where nothing is said, or no longer, they work.
    """

    def __init__(self) -> None:
        self.entered_at = datetime.now(UTC)
        self.agenda = self.empty()
        self.acts: dict[int | str, list[Act]] = defaultdict(list)
        self.offers: list[Offer] = []
        self.faults: list[Any] = []
        self.stops: list[Any] = []

    def empty(self) -> AnyAgenda[Any]:
        return Agenda(database_id=uuid4(), entry_id=1057, version=0)

    def item(
        self,
        run_id: int,
        *,
        after: timedelta = timedelta(),
        title: str = "Copy deal",
        position: int | None = None,
        beside: bool = False,
    ) -> AnyItem:
        return AgendaItem(
            run_id=run_id,
            activity="deliver" if beside else "copy_deal",
            title=title,
            due_at=self.entered_at + after,
            position=run_id if position is None else position,
            beside=beside,
        )

    def change(self, *items: AnyItem, **more: int) -> AnyAgenda[Any]:
        """Set what is to do and add to the totals, under a new version."""
        totals = self.agenda.totals
        totals = {name: totals.get(name, 0) + more.get(name, 0) for name in [*totals, *more]}
        self.agenda = self.agenda.model_copy(
            update={"version": self.agenda.version + 1, "items": items, "totals": totals}
        )
        return self.agenda

    def others(self, run_id: int) -> list[AnyItem]:
        return [item for item in self.agenda.items if item.step_id != run_id]

    async def do(self, step: Step | ReminderStep) -> AnyAgenda[Any]:
        info = activity.info()
        self.offers.append(
            Offer(step.item.step_id, info.started_time, info.attempt, info.task_queue)
        )
        if step.item not in self.agenda.items:
            return self.agenda
        return await self._act(step.item.step_id, works)(self, step.item.step_id)

    async def record_fault(self, fault: Fault | ReminderFault) -> AnyAgenda[Any]:
        self.faults.append(fault)
        return await self._act("record_fault", puts_back)(self, fault.step.item.step_id)

    async def stop_entry(self, stop: Stop | StopReminders) -> AnyAgenda[Any]:
        self.stops.append(stop)
        return await self._act("stop_entry", drops_the_rest)(self, 0)

    def _act(self, asked: int | str, otherwise: "Act") -> "Act":
        return self.acts[asked].pop(0) if self.acts[asked] else otherwise


class RemindingStandIn(StandIn):
    """The same for a CRM activity, whose steps are reminders."""

    def empty(self) -> AnyAgenda[Any]:
        return CrmActivityAgenda(database_id=uuid4(), crm_activity_id=17, version=0)

    def item(
        self,
        run_id: int,
        *,
        after: timedelta = timedelta(),
        title: str = "Remind 15 minutes before",
        **_only_of_runs: object,
    ) -> AnyItem:
        return ReminderItem(reminder_id=run_id, title=title, due_at=self.entered_at + after)


Act = Callable[[StandIn, int], Awaitable[AnyAgenda[Any]]]


async def works(database: StandIn, run_id: int) -> AnyAgenda[Any]:
    return database.change(*database.others(run_id), done=1)


async def declines(database: StandIn, run_id: int) -> AnyAgenda[Any]:
    return database.agenda


async def fails(database: StandIn, run_id: int) -> AnyAgenda[Any]:
    raise ConnectionError("Jane Doe, jane@example.org")


async def fails_for_good(database: StandIn, run_id: int) -> AnyAgenda[Any]:
    raise ApplicationError("No such stage entry", type="NotFound", non_retryable=True)


async def loses_the_reply(database: StandIn, run_id: int) -> AnyAgenda[Any]:
    await works(database, run_id)
    raise ConnectionError


async def puts_back(database: StandIn, run_id: int) -> AnyAgenda[Any]:
    return database.change(
        *database.others(run_id), database.item(run_id, after=10 * A_MINUTE), retrying=1
    )


async def drops_the_rest(database: StandIn, run_id: int) -> AnyAgenda[Any]:
    return database.change(dropped=len(database.agenda.items))


class Held:
    """An act that begins, and goes on when the test says so."""

    def __init__(self, act: Act = works) -> None:
        self._act = act
        self.begun = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def __call__(self, database: StandIn, run_id: int) -> AnyAgenda[Any]:
        self.begun.set()
        await self.may_go_on.wait()
        return await self._act(database, run_id)


class Stage:
    """Where a course is played: a server, a task queue, and the stand-in behind the workers."""

    workflow: type = StageEntryWorkflow
    stand_in: type[StandIn] = StandIn

    def __init__(self, temporal: WorkflowEnvironment, task_queue: str) -> None:
        self.temporal = temporal
        self.task_queue = task_queue
        self.workflow_id = f"deal-42-entry-{uuid4()}"
        self.database = self.stand_in()
        self.item = self.database.item

    def activities(self) -> list[Callable[..., Awaitable[Any]]]:
        @activity.defn
        async def copy_deal(step: Step) -> AnyAgenda[Any]:
            return await self.database.do(step)

        @activity.defn
        async def record_fault(fault: Fault) -> AnyAgenda[Any]:
            return await self.database.record_fault(fault)

        @activity.defn
        async def stop_entry(stop: Stop) -> AnyAgenda[Any]:
            return await self.database.stop_entry(stop)

        return [copy_deal, record_fault, stop_entry]

    @asynccontextmanager
    async def workers(self, *, cached_workflows: int = 100) -> AsyncIterator[None]:
        @activity.defn
        async def deliver(step: Step) -> AnyAgenda[Any]:
            return await self.database.do(step)

        async with (
            Worker(
                self.temporal.client,
                task_queue=self.task_queue,
                workflows=[self.workflow],
                activities=self.activities(),
                max_cached_workflows=cached_workflows,
                workflow_failure_exception_types=[Exception],
            ),
            Worker(
                self.temporal.client,
                task_queue=deliveries_of(self.task_queue),
                activities=[deliver],
            ),
        ):
            yield

    async def enter(self, *items: AnyItem, skipping: bool = True) -> Handle:
        """Start with these items; time skips whenever the workflow only waits, unless told not."""
        with nullcontext() if skipping else self.temporal.with_time_skipping_disabled():
            return await self.temporal.client.start_workflow(
                self.workflow.__name__,
                self.database.change(*items),
                id=self.workflow_id,
                task_queue=self.task_queue,
                result_type=dict[str, int],
            )

    async def enter_and_wait(self, *items: AnyItem) -> Handle:
        """Start with these items, without skipping time; return when the first task is done."""
        handle = await self.enter(*items, skipping=False)
        await page(handle)
        return handle

    async def enter_or_tell(self, agenda: AnyAgenda[Any]) -> Handle:
        """Tell as the relay tells of every later version: signal-with-start."""
        return await self.temporal.client.start_workflow(
            self.workflow.__name__,
            agenda,
            id=self.workflow_id,
            task_queue=self.task_queue,
            result_type=dict[str, int],
            start_signal="agenda_changed",
            start_signal_args=[agenda],
        )

    async def change(self, handle: Handle, *items: AnyItem, **totals: int) -> None:
        """Change the agenda and tell the workflow; return when it has taken that in."""
        await self.tell(handle, self.database.change(*items, **totals))

    async def tell(self, handle: Handle, agenda: AnyAgenda[Any]) -> None:
        await handle.signal("agenda_changed", agenda)
        await page(handle)

    async def end(self, handle: Handle) -> dict[str, int]:
        """Let time skip from here on and return the result."""
        await self.temporal.fast_forward(handle)
        return await handle.result()


class Desk(Stage):
    """Where reminders of a CRM activity are waited for and given."""

    workflow = CrmActivityWorkflow
    stand_in = RemindingStandIn

    def __init__(self, temporal: WorkflowEnvironment, task_queue: str) -> None:
        super().__init__(temporal, task_queue)
        self.workflow_id = f"crm-activity-{uuid4()}"

    def activities(self) -> list[Callable[..., Awaitable[Any]]]:
        @activity.defn
        async def remind(step: ReminderStep) -> AnyAgenda[Any]:
            return await self.database.do(step)

        @activity.defn
        async def record_reminder_fault(fault: ReminderFault) -> AnyAgenda[Any]:
            return await self.database.record_fault(fault)

        @activity.defn
        async def stop_reminders(stop: StopReminders) -> AnyAgenda[Any]:
            return await self.database.stop_entry(stop)

        return [remind, record_reminder_fault, stop_reminders]


async def page(handle: Handle) -> str:
    """Return the current details; the server answers after all that happened before the query."""
    metadata: WorkflowMetadata = await handle.query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    return metadata.current_details


async def cancelled(handle: Handle) -> None:
    """Wait for the end of a cancelled workflow."""
    try:
        await handle.result()
    except WorkflowFailureError:
        return
    raise AssertionError("It was not cancelled")


# The shapes: each is a course whose history has an order of events of its own.


async def at_once(stage: Stage) -> Handle:
    handle = await stage.enter(stage.item(1))
    await handle.result()
    return handle


async def after_delay(stage: Stage) -> Handle:
    handle = await stage.enter(stage.item(1, after=HALF_A_YEAR))
    await handle.result()
    return handle


async def retimed(stage: Stage) -> Handle:
    handle = await stage.enter_and_wait(stage.item(1, after=HALF_A_YEAR))
    await stage.change(handle, stage.item(1, after=2 * HALF_A_YEAR))
    await stage.change(handle, stage.item(1, after=A_DAY))
    await stage.end(handle)
    return handle


async def left_early(stage: Stage) -> Handle:
    handle = await stage.enter_and_wait(stage.item(1, after=HALF_A_YEAR))
    await handle.signal("agenda_changed", stage.database.change(dropped=1))
    await handle.result()
    return handle


async def declined_and_offered_again(stage: Stage) -> Handle:
    stage.database.acts[1] = [declines] * 8
    handle = await stage.enter(stage.item(1))
    await handle.result()
    return handle


async def fault_recorded(stage: Stage) -> Handle:
    stage.database.acts[1] = [fails] * 3
    stage.database.acts["record_fault"] = [fails] * 2
    handle = await stage.enter(stage.item(1))
    await handle.result()
    return handle


async def delivery_beside(stage: Stage) -> Handle:
    """Deliver, do two other steps before the delivery has ended, and end after it."""
    delivery, last = Held(), Held()
    stage.database.acts[1] = [delivery]
    stage.database.acts[3] = [last]
    handle = await stage.enter(stage.item(1, beside=True), stage.item(2), stage.item(3))
    await last.begun.wait()
    last.may_go_on.set()
    delivery.may_go_on.set()
    await handle.result()
    return handle


async def cancelled_in_flight(stage: Stage) -> Handle:
    step, delivery = Held(), Held()
    stage.database.acts[1] = [delivery]
    stage.database.acts[2] = [step]
    handle = await stage.enter(
        stage.item(1, beside=True), stage.item(2), stage.item(3, after=HALF_A_YEAR)
    )
    await delivery.begun.wait()
    await step.begun.wait()
    await handle.cancel()
    await page(handle)
    step.may_go_on.set()
    delivery.may_go_on.set()
    await cancelled(handle)
    return handle


async def cancelled_waiting(stage: Stage) -> Handle:
    handle = await stage.enter_and_wait(stage.item(1, after=HALF_A_YEAR))
    await handle.cancel()
    await cancelled(handle)
    return handle


async def restarted_by_signal_with_start(stage: Stage) -> Handle:
    handle = await stage.enter(stage.item(1))
    await handle.result()
    handle = await stage.enter_or_tell(stage.database.change(stage.item(2)))
    await handle.result()
    return handle


async def continued_as_new(stage: Stage) -> Handle:
    """Do six steps: on a server that suggests it early, the first run does not do them all."""
    handle = await stage.enter(*(stage.item(run_id) for run_id in range(1, 7)))
    await handle.result()
    first: Handle = stage.temporal.client.get_workflow_handle_for(
        StageEntryWorkflow.run, handle.id, run_id=handle.first_execution_run_id
    )
    return first


SHAPES: dict[str, Callable[[Stage], Awaitable[Handle]]] = {
    shape.__name__: shape
    for shape in (
        at_once,
        after_delay,
        retimed,
        left_early,
        declined_and_offered_again,
        fault_recorded,
        delivery_beside,
        cancelled_in_flight,
        cancelled_waiting,
        restarted_by_signal_with_start,
        continued_as_new,
    )
}

# Of a CRM activity.


async def reminded_twice(desk: Stage) -> Handle:
    handle = await desk.enter(desk.item(1, after=A_DAY), desk.item(2, after=A_DAY + A_MINUTE))
    await handle.result()
    return handle


async def meeting_postponed(desk: Stage) -> Handle:
    handle = await desk.enter_and_wait(desk.item(1, after=A_DAY))
    await desk.change(handle, desk.item(1, after=HALF_A_YEAR))
    await desk.end(handle)
    return handle


async def meeting_completed_early(desk: Stage) -> Handle:
    handle = await desk.enter_and_wait(desk.item(1, after=A_DAY))
    await handle.signal("agenda_changed", desk.database.change(dropped=1))
    await handle.result()
    return handle


async def reminder_broken(desk: Stage) -> Handle:
    desk.database.acts[1] = [fails] * 3
    handle = await desk.enter(desk.item(1, after=A_DAY))
    await handle.result()
    return handle


async def reminders_cancelled(desk: Stage) -> Handle:
    handle = await desk.enter_and_wait(desk.item(1, after=A_DAY), desk.item(2, after=HALF_A_YEAR))
    await handle.cancel()
    await cancelled(handle)
    return handle


REMINDER_SHAPES: dict[str, Callable[[Stage], Awaitable[Handle]]] = {
    shape.__name__: shape
    for shape in (
        reminded_twice,
        meeting_postponed,
        meeting_completed_early,
        reminder_broken,
        reminders_cancelled,
    )
}

SHORT_HISTORIES = "limit.historyCount.suggestContinueAsNew=20"
SERVER_SETTINGS = {continued_as_new.__name__: (SHORT_HISTORIES,)}
