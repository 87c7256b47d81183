"""The relay: tells Temporal what the database decided, as often as it takes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import delete
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models import clock
from models.crm_activity import CrmActivity
from models.database import Database
from models.installation import WorkerHeartbeat, installation
from models.kept_answer import forget_answers
from models.stage_entry import StageEntry
from models.telling import (
    KINDS,
    Kind,
    Tell,
    bring_forward,
    claim,
    last_tell_error,
    mark_failed,
    mark_told,
    oldest_untold,
    still_leased,
    tell_again,
    tell_all_again,
    tell_overdue_again,
    tell_terminated_again,
)
from workflows.agenda import AgendaWorkflow
from workflows.crm_activity import CrmActivityWorkflow
from workflows.stage_entry import StageEntryWorkflow

log = structlog.get_logger()

TASK_QUEUE = "cuebook"
ONE_CALL = timedelta(seconds=5)
BATCH = 50
POLL = timedelta(seconds=0.5)
"""How long the relay sleeps at most without being woken."""

SWEEP = timedelta(minutes=1)
BEAT = timedelta(seconds=10)
LOOK_BACK = timedelta(days=1)
MOST_LOOKED_AT = 100
FORGET_WORKERS = timedelta(minutes=10)
GONE = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
"""Temporal itself does not answer, rather than refusing one call."""

MARK_TRIES = 20
MARK_PAUSE = 0.05

ITEM = SearchAttributeKey.for_keyword("CuebookItem")
PIPELINE = SearchAttributeKey.for_keyword("CuebookPipeline")
STAGE = SearchAttributeKey.for_keyword("CuebookStage")
SEARCH_ATTRIBUTES = (ITEM, PIPELINE, STAGE)

WORKFLOWS: Mapping[Kind, type[AgendaWorkflow[Any]]] = {
    StageEntry: StageEntryWorkflow,
    CrmActivity: CrmActivityWorkflow,
}

Pause = Callable[[str], Awaitable[None]]


async def no_pause(_point: str) -> None:
    """Go on at once; tests stop the relay here, between claim, send and mark."""


class Relay:
    """One of any number. `name` tells its heartbeat from those of others."""

    def __init__(
        self,
        database: Database,
        client: Client,
        *,
        name: str,
        task_queue: str = TASK_QUEUE,
        pause: Pause = no_pause,
    ) -> None:
        self._database = database
        self._client = client
        self._name = name
        self._task_queue = task_queue
        self._pause = pause
        self._woken = asyncio.Event()
        self._unreachable: str | None = None
        self._overdue = 0
        database.on_agenda_change(self.wake)

    def wake(self) -> None:
        """Something has changed: look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled; look after lost clocks and say how things are meanwhile."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forever(self._tell_all, POLL, woken=True))
            tasks.create_task(self._forever(self.sweep, SWEEP))
            tasks.create_task(self._forever(self.beat, BEAT))

    async def _forever(
        self, work: Callable[[], Awaitable[object]], pause: timedelta, *, woken: bool = False
    ) -> None:
        while True:
            self._woken.clear() if woken else None
            try:
                await work()
            except Exception:
                log.exception("The relay stumbled and goes on", at=work.__name__)
                await asyncio.sleep(pause.total_seconds())
            if woken:
                await self._sleep_until_woken(pause)
            else:
                await asyncio.sleep(pause.total_seconds())

    async def _sleep_until_woken(self, pause: timedelta) -> None:
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _tell_all(self) -> None:
        if self._unreachable is not None and not await self._look_for_temporal():
            return
        told = BATCH
        while told:
            batch = asyncio.create_task(self.tell_once())
            try:
                told = await asyncio.shield(batch)
            except asyncio.CancelledError:
                await batch  # Else what is claimed would wait for the end of its lease.
                raise

    async def tell_once(self) -> int:
        """Tell Temporal of one batch of changed agendas; return how many it was told of."""
        lease = uuid4()
        async with self._database.transaction() as session:
            tells = [
                tell for kind in KINDS for tell in await claim(session, kind, lease, limit=BATCH)
            ]
        if not tells:
            return 0
        await self._pause("claim/send")
        results = await asyncio.gather(*(self._tell(tell) for tell in tells))
        await self._pause("send/mark")
        failed = {tell: error for tell, error in zip(tells, results, strict=True) if error}
        told = [tell for tell in tells if tell not in failed]
        for kind in KINDS:
            versions = {
                tell.agenda.row_id: tell.agenda.version for tell in told if tell.kind is kind
            }
            if versions:
                await self._mark(kind, lease, versions)
        if failed:
            error = next(iter(failed.values()))
            log.warning("Temporal could not be told", agendas=len(failed), error=error)
            async with self._database.transaction() as session:
                await mark_failed(session, lease, failed)
        return len(told)

    async def _tell(self, tell: Tell) -> str | None:
        """Tell of one agenda; return why it could not be done."""
        try:
            if tell.begins:
                await self._begin(tell)
            else:
                await self._change(tell)
        except RPCError as error:
            if error.status in GONE:
                self._unreachable = f"{error.status.name}: {error.message}"
            return f"{error.status.name}: {error.message}"[:500]
        except Exception as error:  # noqa: BLE001 - one agenda must not hold up its whole batch.
            return repr(error)[:500]
        return None

    async def _begin(self, tell: Tell) -> None:
        # A workflow of that id may live already: of an earlier start whose mark was lost, or of
        # another database. It must hear this agenda too, so a plain start must not succeed then.
        try:
            await self._start(tell, WorkflowIDConflictPolicy.FAIL)
        except WorkflowAlreadyStartedError:
            await self._change(tell)

    async def _change(self, tell: Tell) -> None:
        if tell.agenda.items:
            await self._start(tell, WorkflowIDConflictPolicy.USE_EXISTING, signal=True)
        else:
            await self._end(tell)

    async def _start(
        self, tell: Tell, conflict: WorkflowIDConflictPolicy, *, signal: bool = False
    ) -> None:
        await self._client.start_workflow(
            WORKFLOWS[tell.kind].__name__,
            tell.agenda,
            id=tell.workflow_id,
            task_queue=self._task_queue,
            id_conflict_policy=conflict,
            start_signal="agenda_changed" if signal else None,
            start_signal_args=[tell.agenda] if signal else [],
            static_summary=tell.summary[:200],
            search_attributes=_search_attributes(tell),
            priority=_fair_share(tell),
            rpc_timeout=ONE_CALL,
        )

    async def _end(self, tell: Tell) -> None:
        handle = self._client.get_workflow_handle(tell.workflow_id)
        try:
            await handle.signal("agenda_changed", tell.agenda, rpc_timeout=ONE_CALL)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _mark(self, kind: Kind, lease: UUID, told: dict[int, int]) -> None:
        left = dict(told)
        for _ in range(MARK_TRIES):
            async with self._database.transaction() as session:
                noted = await mark_told(session, kind, lease, left)
                locked = await still_leased(session, kind, lease, set(left) - noted)
                # Others told of the rest meanwhile; ours may have overtaken what they told.
                await tell_again(session, kind, set(left) - noted - locked)
            left = {row: version for row, version in left.items() if row in locked}
            if not left:
                return
            await asyncio.sleep(MARK_PAUSE)

    async def _look_for_temporal(self) -> bool:
        """Ask Temporal for its namespace; once it answers again, nothing waits any longer."""
        try:
            await self.namespace_id()
        except RPCError as error:
            self._unreachable = f"{error.status.name}: {error.message}"
            return False
        if self._unreachable is not None:
            self._unreachable = None
            log.info("Temporal answers again")
            async with self._database.transaction() as session:
                await bring_forward(session)
            await self.sweep()
        return True

    async def namespace_id(self) -> str:
        """Return Temporal's own id of our namespace; another one means an empty Temporal."""
        answer = await self._client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=self._client.namespace), timeout=ONE_CALL
        )
        return str(answer.namespace_info.id)

    async def sweep(self) -> None:
        """Find lost clocks: tell an empty Temporal everything, and again what is overdue."""
        if self._unreachable is not None:
            return
        present = await self.namespace_id()
        async with self._database.transaction() as session:
            home = await installation(session)
            if home.namespace_id not in {None, present}:
                log.warning("Temporal has forgotten everything and is told again")
                await tell_all_again(session)
            home.namespace_id = present
            self._overdue = await tell_overdue_again(session)
            await forget_answers(session)
        for kind in KINDS:
            if terminated := await self._terminated(kind):
                async with self._database.transaction() as session:
                    await tell_terminated_again(session, kind, terminated)
        self.wake()

    async def _terminated(self, kind: Kind) -> set[int]:
        """Return the rows whose newest workflow somebody has terminated in the last day."""
        since = (clock.now() - LOOK_BACK).isoformat()
        of_kind = f"WorkflowType = '{WORKFLOWS[kind].__name__}'"
        query = f"{of_kind} AND ExecutionStatus = 'Terminated' AND CloseTime > '{since}'"
        found = {each.id async for each in self._client.list_workflows(query, limit=MOST_LOOKED_AT)}
        rows = set()
        for name in sorted(found):
            row_id = name.rpartition("-")[2]  # Each ends with it: deal-42-entry-1057.
            newest = await self._client.get_workflow_handle(name).describe()
            if newest.status is WorkflowExecutionStatus.TERMINATED and row_id.isdecimal():
                rows.add(int(row_id))
        return rows

    async def beat(self) -> None:
        """Say in the database how things are, for `/health`."""
        await self._look_for_temporal()
        async with self._database.transaction() as session:
            oldest = await oldest_untold(session)
            now = clock.now()
            await session.merge(
                WorkerHeartbeat(
                    worker=self._name,
                    beat_at=now,
                    temporal_error=self._unreachable or await last_tell_error(session),
                    relay_lag=0.0 if oldest is None else (now - oldest).total_seconds(),
                    overdue=self._overdue,
                )
            )
            await session.execute(
                delete(WorkerHeartbeat).where(WorkerHeartbeat.beat_at < now - FORGET_WORKERS)
            )


def _fair_share(tell: Tell) -> Priority:
    """Let the entries of each stage have their turn, and the reminders of all CRM activities.

    Where more is to be done than workers can do, Temporal takes the next step of another stage each
    time: a thousand deals that enter one, or are due in it at nine o'clock, hold up each other and
    nobody else. Actions and deliveries inherit it. A server must have `matching.enableFairness`;
    one that has not does first what came first.
    """
    whose = "crm-activities" if tell.stage_id is None else f"stage-{tell.stage_id}"
    return Priority(fairness_key=whose)


def _search_attributes(tell: Tell) -> TypedSearchAttributes:
    values = {
        ITEM: f"{tell.item_type}:{tell.item_id}",
        PIPELINE: tell.pipeline_id,
        STAGE: tell.stage_id,
    }
    return TypedSearchAttributes(
        [SearchAttributePair(key, str(value)) for key, value in values.items() if value is not None]
    )
