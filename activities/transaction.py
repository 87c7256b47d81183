"""What every Temporal activity does: one transaction at its time, faults told by kind only."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from models import clock
from models.database import Database

log = structlog.get_logger()

Reply = TypeVar("Reply")
Pause = Callable[[str], Awaitable[None]]


async def no_pause(_point: str) -> None:
    """Go on at once; tests stop activities here, between commit and reply."""


async def in_transaction(
    database: Database, work: Callable[[AsyncSession], Awaitable[Reply]]
) -> Reply:
    """Do the work at the time that Temporal says, again where it only lost a race."""
    with clock.at(activity.info().started_time):
        return await database.tried(work)


async def told_by_kind(
    work: Awaitable[Reply],
    keep: Callable[[str], Awaitable[None]] | None = None,
    **about: int | None,
) -> Reply:
    """Keep the words of a fault in our log, and where `keep` puts them; tell Temporal its kind."""
    try:
        return await work
    except Exception as error:
        kind = type(error).__name__
        log.exception("An activity failed", kind=kind, **about)
        if keep is not None:
            await keep(f"{kind}: {error}")
        raise ApplicationError(kind, type=kind) from None
