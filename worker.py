"""The worker: runs workflows and actions, and relays to Temporal what the database decided."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.channels import open_channels
from activities.crm_activity import ReminderActivities
from activities.delivery import BEAT, DeliveryActivities
from activities.stage_entry import StageEntryActivities
from models.database import Database
from models.logs import configure_logs
from models.notices import Notices
from models.rule_run import Hold, release_all
from models.settings import Automation, Settings, WrongSettings, variable
from relay import TASK_QUEUE, WORKFLOWS, Relay
from workflows.agenda import deliveries_of

log = structlog.get_logger()

GRACE = timedelta(seconds=20)
"""How long actions under way may take to end when the worker is told to stop."""

LAST_PATIENCE = timedelta(seconds=5)
"""And Temporal's core after them: in half a minute whoever stops a worker would kill it."""

CACHED_WORKFLOWS = 300
WORKFLOWS_AT_ONCE = 10
"""That decide at a time what comes next: one process has one thread for them, and whatever it has
taken from Temporal already stands before what is more urgent."""

MOST_DELIVERIES = 20
"""Sent at a time; each holds a connection to the database only before and after."""

CONNECT_PAUSE = 1.0


class NotOnSqlite(Exception):
    """SQLite has one writer: everything must share a process."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"`cuebook {command}` alone needs PostgreSQL, and {variable('database_url')} names "
            "SQLite, where everything must share one process. Use `cuebook dev`."
        )


async def connect(settings: Settings) -> Client:
    """Return a client of Temporal, waiting until it answers."""
    told = False
    while True:
        try:
            return await Client.connect(
                settings.temporal,
                namespace=settings.temporal_namespace,
                data_converter=pydantic_data_converter,
            )
        except RuntimeError as error:
            if not told:
                log.warning("Temporal does not answer yet", at=settings.temporal, error=str(error))
                told = True
            await asyncio.sleep(CONNECT_PAUSE)


@asynccontextmanager
async def running_worker(
    settings: Settings, database: Database, client: Client
) -> AsyncIterator[Relay]:
    """Run worker and relay within the block; both end gracefully with it."""
    if settings.automation is Automation.RUNNING:
        async with database.transaction() as session:
            await release_all(session, Hold.PAUSED)
    relay = Relay(database, client, name=f"{socket.gethostname()}-{os.getpid()}")
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=list(WORKFLOWS.values()),
        activities=[
            *StageEntryActivities(database, settings).all(),
            *ReminderActivities(database, settings).all(),
        ],
        max_concurrent_activities=database.pool_size,
        max_cached_workflows=CACHED_WORKFLOWS,
        max_concurrent_workflow_tasks=WORKFLOWS_AT_ONCE,
        graceful_shutdown_timeout=GRACE,
    )
    async with open_channels(settings) as channels:
        deliveries = DeliveryActivities(database, settings, channels)
        delivering = delivery_worker(client, TASK_QUEUE, deliveries, grace=GRACE)
        async with at_work(worker, delivering, patience=GRACE + LAST_PATIENCE):
            relaying = asyncio.create_task(relay.run())
            try:
                yield relay
            finally:
                relaying.cancel()
                await asyncio.gather(relaying, return_exceptions=True)


@asynccontextmanager
async def at_work(*workers: Worker, patience: timedelta) -> AsyncIterator[None]:
    """Run workers within the block; they end with it, together.

    Temporal's core sometimes waits for ever for a call of its own. What has not ended in time is
    left alone: whatever it was doing is done again elsewhere.
    """
    for worker in workers:
        await worker.__aenter__()
    raised: BaseException | None = None
    try:
        yield
    except BaseException as error:
        raised = error
        raise
    finally:
        kind = None if raised is None else type(raised)
        ends = [asyncio.create_task(worker.__aexit__(kind, raised, None)) for worker in workers]
        ended, stuck = await asyncio.wait(ends, timeout=patience.total_seconds())
        if stuck:
            log.warning("Temporal's core does not end and is left alone", workers=len(stuck))
        for end in ended:
            end.result()


def delivery_worker(
    client: Client, task_queue: str, deliveries: DeliveryActivities, *, grace: timedelta
) -> Worker:
    """Return what sends at the rate that is allowed, beside the workers of a task queue."""
    return Worker(
        client,
        task_queue=deliveries_of(task_queue),
        activities=deliveries.all(),
        max_concurrent_activities=MOST_DELIVERIES,
        max_task_queue_activities_per_second=deliveries.settings.deliveries_per_second,
        max_heartbeat_throttle_interval=BEAT,  # Else most would come only just in time.
        graceful_shutdown_timeout=grace,
    )


async def run_worker(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM. Raises `NotOnSqlite`."""
    if settings.is_sqlite:
        raise NotOnSqlite("worker")
    stop = stop_signal()
    database = Database(settings.database)
    async with Notices(settings.listen_url) as notices:
        connecting = asyncio.create_task(connect(settings))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            return
        async with running_worker(settings, database, connecting.result()) as relay:
            notices.listen(relay.wake)
            log.info("Worker runs", temporal=settings.temporal)
            await stopping
    await database.close()
    log.info("Worker has stopped")


def stop_signal() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def exit_at_once(status: int = 0) -> None:
    """End the process without the interpreter's own end, in which Temporal's core may abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    try:
        environment = Settings.of_environment()
        configure_logs(environment)
        asyncio.run(run_worker(environment))
    except (NotOnSqlite, WrongSettings) as refusal:
        sys.exit(str(refusal))
    exit_at_once()
