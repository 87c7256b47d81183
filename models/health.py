"""How the installation is doing, from the database and the workers' last words."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from models import clock
from models.database import Database
from models.installation import WorkerHeartbeat
from models.telling import last_tell_error

SILENT = timedelta(seconds=60)
"""A worker that has said nothing for so long counts as gone."""

PATIENCE = 5
"""Seconds that the database may take to answer."""


class HealthStatus(StrEnum):
    """`degraded`: moves are taken, but their rules may run late. `down`: nothing works."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True)
class Health:
    """`problems` say in words what is not well; `workers` are those heard of lately."""

    status: HealthStatus
    problems: Sequence[str] = ()
    workers: Sequence[WorkerHeartbeat] = ()


async def check_health(database: Database) -> Health:
    """Ask the database, never Temporal; whatever keeps it from answering means that it is down."""
    heard_since = clock.now() - SILENT
    try:
        async with asyncio.timeout(PATIENCE), database.reading() as session:
            workers = await session.scalars(
                select(WorkerHeartbeat)
                .where(WorkerHeartbeat.beat_at > heard_since)
                .order_by(WorkerHeartbeat.worker)
            )
            alive = workers.all()
            untold = await last_tell_error(session)
    except (SQLAlchemyError, OSError):
        return Health(HealthStatus.DOWN, ["The database does not answer."])
    problems = list(_problems(alive, untold))
    return Health(HealthStatus.DEGRADED if problems else HealthStatus.OK, problems, alive)


def _problems(workers: Sequence[WorkerHeartbeat], untold: str | None) -> Iterator[str]:
    if not workers:
        yield f"No worker has been heard of for {SILENT.seconds} seconds: rules do not run."
    for worker in workers:
        if worker.temporal_error is not None:
            yield f"Worker {worker.worker} cannot reach Temporal: {worker.temporal_error}"
    if overdue := max((worker.overdue for worker in workers), default=0):
        yield f"Runs and reminders that are more than a minute late: {overdue}."
    if untold is not None:
        yield f"Temporal could not be told of what is to be done: {untold}"
