"""Calls of triggers: another system says that something has happened to an item."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.access import reached
from models.base import find_named
from models.client import the_first
from models.errors import NotFound
from models.item import Item
from models.mistakes import shortened
from models.near_misses import did_you_mean
from models.occasion import WebhookOccasion, occurred
from models.stage_entry import Cause, StageEntry, present_entry
from models.trigger import Trigger, TriggerCheck, TriggerOutcome, checks_where, triggers_where
from models.triggering import fire_triggers
from models.user import User

WEBHOOK = "webhook"
"""The type of the triggers that are called."""


@dataclass(frozen=True)
class Called:
    """What came of a call: the item as it is now, where it stands, and what was considered."""

    item: Item
    entry: StageEntry
    considered: Sequence[TriggerCheck]

    @property
    def moved(self) -> bool:
        return any(check.outcome is TriggerOutcome.MOVED for check in self.considered)


async def must_be_awaited(session: AsyncSession, code: str) -> None:
    """Raise `NotFound` where no trigger waits for the code of a call; one that is off does not."""
    found = await session.scalars(triggers_where(type=WEBHOOK).order_by(Trigger.id))
    by_code: dict[str, list[Trigger]] = {}
    for trigger in found:
        by_code.setdefault(str(trigger.settings.get("code")), []).append(trigger)
    codes = [each for each, triggers in by_code.items() if any(one.enabled for one in triggers)]
    if code in codes:
        return
    if off := by_code.get(code):
        names = the_first([trigger.called for trigger in off])
        raise NotFound(f"What waits for the code {shortened(code)} is switched off: {names}.")
    hint = did_you_mean(code, codes) or "."
    known = f"Triggers wait for {the_first(codes)}." if codes else "No trigger waits for a call."
    raise NotFound(f"No trigger waits for the code {shortened(code)}{hint} {known}")


async def lock_named(session: AsyncSession, item_id: int, by: User) -> Item:
    """Return the item of a call, locked, if it is in somebody's reach."""
    item = await find_named(session, Item, item_id, "/item_id", lock={"key_share": True})
    return await reached(session, by, item)


async def call_triggers(
    session: AsyncSession, item: Item, code: str, by: User, text: str = ""
) -> Called:
    """Let the triggers that wait for this code consider a locked item, at once.

    `text` says what has happened. What was considered includes what followed from it for the item.
    """
    last = await session.scalar(
        select(func.max(TriggerCheck.id)).where(TriggerCheck.item_id == item.id)
    )
    said = f"{by.name} called the webhook {code}"
    occasion = WebhookOccasion(
        trigger=WEBHOOK,
        item_ids=(item.id,),
        cause=Cause.person(by),
        text=f"{said}: {text.strip().removesuffix('.')}" if text else said,
        code=code,
    )
    occurred(session, occasion)
    await fire_triggers(session)
    considered = await session.scalars(
        checks_where(item_id=item.id).where(TriggerCheck.id > (last or 0)).order_by(TriggerCheck.id)
    )
    return Called(item, await present_entry(session, item), considered.all())
