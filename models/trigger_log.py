"""The trigger log: who considered triggers when, and as whom those moved that did."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.access import item_within_reach
from models.base import in_order
from models.stage_entry import StageEntry
from models.trigger import TriggerCheck, checks_where
from models.user import User


def checks_for(by: User, **values: object) -> Select[TriggerCheck]:
    """Return the lines with these values about items in somebody's reach, None meaning any."""
    return checks_where(**values).where(item_within_reach(by, TriggerCheck.item_id))


async def moved_as(
    session: AsyncSession, checks: Iterable[TriggerCheck]
) -> Mapping[int, int | None]:
    """Return as whom triggers have moved items, by the entry that each move began.

    None is automation.
    """
    wanted = in_order(check.stage_entry_id for check in checks)
    if not wanted:
        return {}
    found = await session.execute(
        select(StageEntry.id, StageEntry.cause_user_id).where(StageEntry.id.in_(wanted))
    )
    return {entry_id: user_id for entry_id, user_id in found}  # noqa: C416 - rows are no pairs
