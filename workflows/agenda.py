"""Following an agenda: wait for each step's moment, have it done, end. What every workflow does.

Workflows pass this module through their sandbox, which else would load it anew for each of them: a
quarter of what one costs a worker. So it has to be deterministic without being watched.
"""

import asyncio
import re
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from models.agenda import AnyAgenda, AnyItem, StepKey

ONE_STEP = timedelta(seconds=30)
ONE_DELIVERY = timedelta(seconds=90)
SIGN_OF_LIFE = timedelta(seconds=10)  # A delivery without one is under way no more.
THREE_QUICK_TRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_attempts=3
)
UNTIL_IT_WORKS = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=0,
)
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)

SUMMARY_BYTES = 200  # Both limits are Temporal's.
DETAILS_ROWS = 50
GAP = "\u2003"  # The UI's tables have no space between columns.


SomeAgenda = TypeVar("SomeAgenda", bound=AnyAgenda[Any])


class AgendaWorkflow(Generic[SomeAgenda]):
    """Until nothing is left to do: wait for the next step, do it, look again.

    It knows an agenda and nothing else. The database decides what is on it: here is only when a
    step is offered, in which order, and that none is left alone before it has ended.
    """

    def __init__(self, agenda: SomeAgenda) -> None:
        self._agenda = agenda
        self._under_way: dict[int, asyncio.Task[None]] = {}  # By step: one offer of it at a time.
        self._pauses: dict[StepKey, timedelta] = {}
        self._not_before: dict[StepKey, datetime] = {}
        self._show()

    async def _follow(self) -> dict[str, int]:
        """Do each step when it is due until none is left; return how many ended in which way."""
        try:
            while self._agenda.items or self._under_way:
                self._heed_cancellation()
                self._continue_as_new_if_long()
                if step := await self._next_due():
                    await self._start(step)
                self._settle()
        except asyncio.CancelledError:
            await self._to_the_end(self._stop_by_hand())
            raise
        return self._agenda.totals

    async def _next_due(self) -> AnyItem | None:
        """Wait for the next step and return it; nothing if it is another by now, or one ended."""
        step = self._next()
        wait = self._starts_at(step) - workflow.now() if step else None
        if wait is not None and wait <= timedelta():
            return step
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._next() != step or bool(self._ended()),
                timeout=wait,  # The server cuts it at 100 years: then we wait again.
                timeout_summary=one_line(step.title) if step else None,
            )
        return None

    def _next(self) -> AnyItem | None:
        """Return the earliest step, the topmost of a moment, of those that are not under way."""
        idle = [step for step in self._agenda.items if step.step_id not in self._under_way]
        return min(idle, key=self._turn, default=None)

    def _turn(self, step: AnyItem) -> tuple[datetime, int, int]:
        return self._starts_at(step), step.position, step.step_id

    def _starts_at(self, step: AnyItem) -> datetime:
        return max(step.due_at, self._not_before.get(step.key, step.due_at))

    async def _start(self, step: AnyItem) -> None:
        """Have the step done; wait for its end unless it may run beside the others."""
        task = asyncio.create_task(self._do(step))
        self._under_way[step.step_id] = task
        self._show()
        if not step.beside:
            await asyncio.shield(task)

    async def _do(self, step: AnyItem) -> None:
        self._adopt(await self._try(step))
        if any(left.key == step.key for left in self._agenda.items):
            self._pause(step)

    async def _try(self, step: AnyItem) -> SomeAgenda:
        """Run the step, which is a Temporal activity of that name; return the agenda it leaves."""
        agenda = self._agenda
        offer = agenda.offer(step)
        task_queue = deliveries_of(workflow.info().task_queue) if step.beside else None
        try:
            return await self._ask(step.activity, offer, step.title, THREE_QUICK_TRIES, task_queue)
        except ActivityError as error:
            fault = agenda.fault(step, kind(error))
            return await self._ask(agenda.FAULT, fault, f"Failed: {step.title}", UNTIL_IT_WORKS)

    async def _ask(
        self,
        activity: str,
        about: BaseModel,
        in_words: str,
        retries: RetryPolicy,
        task_queue: str | None = None,
    ) -> SomeAgenda:
        agenda: SomeAgenda = await workflow.execute_activity(
            activity,
            about,
            result_type=type(self._agenda),
            task_queue=task_queue,
            summary=one_line(in_words),
            start_to_close_timeout=ONE_DELIVERY if task_queue else ONE_STEP,
            heartbeat_timeout=SIGN_OF_LIFE if task_queue else None,
            retry_policy=retries,
        )
        return agenda

    def _pause(self, step: AnyItem) -> None:
        """Offer a step that came back unchanged only after 1, 2, 4 … 60 minutes."""
        last = self._pauses.get(step.key)
        pause = min(2 * last, LONGEST_PAUSE) if last else FIRST_PAUSE
        self._pauses[step.key] = pause
        self._not_before[step.key] = workflow.now() + pause
        self._show()

    def _settle(self) -> None:
        """Forget the steps that have ended; one that broke in a way nobody foresaw breaks us."""
        for step_id in self._ended():
            self._under_way.pop(step_id).result()
        self._show()

    def _ended(self) -> list[int]:
        return [step_id for step_id, task in self._under_way.items() if task.done()]

    def _heed_cancellation(self) -> None:
        # Else a cancellation would start one more step first, and one that arrives together with
        # what `asyncio.wait_for` waits for would be swallowed.
        if workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError

    def _continue_as_new_if_long(self) -> None:
        if workflow.info().is_continue_as_new_suggested() and not self._under_way:
            workflow.continue_as_new(self._agenda)

    async def _stop_by_hand(self) -> None:
        """Finish what is under way, then have the rest dropped: somebody pressed Cancel."""
        await asyncio.gather(*self._under_way.values())
        self._settle()
        stop = self._agenda.stop()
        in_words = "Drop what has not run"
        self._adopt(await self._ask(self._agenda.STOP, stop, in_words, UNTIL_IT_WORKS))

    async def _to_the_end(self, work: Coroutine[None, None, None]) -> None:
        # The cancellation we heeded early still arrives by itself, and must not cut this short.
        task = asyncio.create_task(work)
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(task)
        task.result()

    def _adopt(self, agenda: SomeAgenda) -> None:
        """Go by the newer agenda: a reply may be older than a signal that overtook it."""
        self._agenda = self._agenda.or_newer(agenda)
        self._show()

    def _show(self) -> None:
        """Keep the page that ops see in the Temporal UI up to date."""
        steps = sorted(self._agenda.items, key=self._turn)
        page = [f"{self._agenda.heading}, agenda {self._agenda.version}", ""]
        page += ["| When (UTC) | What |", "| --- | --- |"]
        page += [
            f"| {self._moment(step)}{GAP} | {escaped(step.title)} |"
            for step in steps[:DETAILS_ROWS]
        ]
        totals = [f"{count} {outcome}" for outcome, count in self._agenda.totals.items()]
        page += ["", ", ".join([f"{len(steps)} to do", *totals])]
        workflow.set_current_details("\n".join(page))

    def _moment(self, step: AnyItem) -> str:
        if step.step_id in self._under_way:
            return "under way"
        return f"{self._starts_at(step).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def deliveries_of(task_queue: str) -> str:
    """Return the task queue, beside that of a workflow, of what leaves the house or takes long."""
    return f"{task_queue}-deliveries"


def kind(error: ActivityError) -> str:
    """Return what sort of error it was; its message may hold personal data and stays out."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type:
        return cause.type
    return type(cause).__name__


def one_line(text: str) -> str:
    """Return the text on one line, cut to what Temporal allows."""
    line = " ".join(text.split())
    if len(line.encode()) <= SUMMARY_BYTES:
        return line
    return line.encode()[: SUMMARY_BYTES - len("…".encode())].decode(errors="ignore") + "…"


def escaped(text: str) -> str:
    """Return the text as one line of Markdown that shows each character as it is."""
    return re.sub(r"([\\`*_\[\]<|~])", r"\\\1", one_line(text))
