"""Viewing: who has looked at an item, as far as what people look at it with says so."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.history import HistoryEntry, HistoryKind, about_item
from models.item import Item
from models.stage_entry import Cause, sign
from models.user import User

ONE_LOOK = timedelta(minutes=10)
"""Whoever looks again so soon has not looked away."""


async def keep_view(session: AsyncSession, item: Item, by: User) -> HistoryEntry:
    """Let history tell that somebody looks at an item; return its line, perhaps of just before."""
    known = await session.scalar(
        select(HistoryEntry)
        .where(
            HistoryEntry.item_id == item.id,
            HistoryEntry.kind == HistoryKind.VIEWED,
            HistoryEntry.author_id == by.id,
            HistoryEntry.created_at > clock.now() - ONE_LOOK,
        )
        .order_by(HistoryEntry.id.desc())
        .limit(1)
    )
    if known is not None:
        return known
    line = about_item(item, HistoryKind.VIEWED, f"Viewed {item.called}.")
    sign(line, Cause.person(by))
    session.add(line)
    await session.flush()
    return line
