"""Locking: names that one transaction at a time may claim, and races that were only lost."""

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

TRIES = 3
"""How often a transaction is tried that PostgreSQL ended for the sake of another."""

LOST_A_RACE = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock timeout."""


async def one_at_a_time(session: AsyncSession, *names: str) -> None:
    """Wait for whoever has claimed one of these names, then claim all until the transaction ends.

    So what must be there once only is looked for and made by one at a time; on SQLite everything
    is. Names are claimed after items are locked, before contacts; those of what comes in before
    anything is, so that nobody who waits for them holds anything.
    """
    if session.get_bind().dialect.name == "postgresql":
        for name in sorted(set(names)):
            await session.execute(
                select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0)))
            )


def lost_a_race(error: BaseException) -> bool:
    """Tell whether the database ended a transaction only for the sake of another."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in LOST_A_RACE
