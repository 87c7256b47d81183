"""What has changed of an item since it entered a stage, as its history tells."""

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.history import HistoryEntry, HistoryKind
from models.stage_entry import StageEntry

ENTERING = (HistoryKind.CREATED, HistoryKind.STAGE_CHANGED, HistoryKind.RESTORED)
TYING = (HistoryKind.LINKED, HistoryKind.UNLINKED)
"""They speak of the client; all others of the item itself."""

CHANGING = (HistoryKind.CHANGED, HistoryKind.RESPONSIBLE_CHANGED, HistoryKind.BOOKING, *TYING)


async def changed_since(session: AsyncSession, entry: StageEntry) -> frozenset[str]:
    """Return the fields, as history names them, that were changed after the entry began.

    A field that was changed back has been changed. Each entry has one line that tells of its
    beginning, and the order of lines counts, not their times: many may have the same.
    """
    later = (
        select(func.count())
        .select_from(StageEntry)
        .where(StageEntry.item_id == entry.item_id, StageEntry.id > entry.id)
        .scalar_subquery()
    )
    began = (
        select(HistoryEntry.id)
        .where(HistoryEntry.item_id == entry.item_id, HistoryEntry.kind.in_(ENTERING))
        .order_by(HistoryEntry.id.desc())
        .offset(later)
        .limit(1)
        .scalar_subquery()
    )
    found = await session.scalars(
        select(HistoryEntry.field)
        .where(
            HistoryEntry.item_id == entry.item_id,
            or_(HistoryEntry.subject_type == HistoryEntry.item_type, HistoryEntry.kind.in_(TYING)),
            HistoryEntry.kind.in_(CHANGING),
            HistoryEntry.id > began,
        )
        .distinct()
    )
    return frozenset(field for field in found if field is not None)
