"""Re-timing of whatever waits, batch by batch: after calendars or time zones have changed."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.database import Database
from models.retiming import FOLLOWING, Retimed, retime_all
from models.rule_run import RuleRun
from models.savepoints import OnlyLooking

ITEMS_AT_ONCE = 200
"""Whose runs are re-timed in one transaction."""


async def _waiting_items(session: AsyncSession, after: int) -> Sequence[int]:
    """Return the next items, by id, for which runs wait whose time somebody has not set by hand."""
    found = await session.scalars(
        select(RuleRun.item_id)
        .join(RuleRun.version)
        .where(
            RuleRun.item_id > after,
            RuleRun.state.in_(FOLLOWING),
            RuleRun.began_at.is_(None),
            RuleRun.by_hand.is_(False),
            RuleRun.due_at > clock.now(),
        )
        .distinct()
        .order_by(RuleRun.item_id)
        .limit(ITEMS_AT_ONCE)
    )
    return found.all()


async def retimed(
    database: Database, *, dry: bool = False
) -> AsyncIterator[tuple[Sequence[int], list[Retimed]]]:
    """Let whatever waits be due as calendars and zones are now; yield items and what changed.

    Each batch of items is a transaction of its own. `dry` changes nothing.
    """
    after = 0
    while True:
        async with database.reading() as session:
            item_ids = await _waiting_items(session, after)
        if not item_ids:
            return
        after = item_ids[-1]
        yield item_ids, await _in_transaction(database, item_ids, dry=dry)


async def _in_transaction(
    database: Database, item_ids: Sequence[int], *, dry: bool
) -> list[Retimed]:
    """Retime a batch; try again where the database ends it for the sake of a worker."""

    async def retime(session: AsyncSession) -> list[Retimed]:
        changed = await retime_all(session, item_ids)
        if dry:
            raise OnlyLooking(changed)
        return changed

    try:
        return await database.tried(retime)
    except OnlyLooking as looked:
        changed: list[Retimed] = looked.found
        return changed
