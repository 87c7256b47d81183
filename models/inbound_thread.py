"""Threads: which items the mails are about that a mail answers."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.delivery import Delivery
from models.inbound import items_of_mails
from models.item import Item


async def items_answered(session: AsyncSession, references: Sequence[str]) -> set[int]:
    """Return the items of the nearest mail that is answered and of which any is still there."""
    ours = {each: key for each in references if (key := _our_key(each))}
    sent: dict[str, list[int]] = {}
    if ours:
        rows = await session.execute(
            select(Delivery.key, Delivery.item_id).where(Delivery.key.in_(ours.values()))
        )
        by_key = {row.key: row.item_id for row in rows}
        sent = {each: [by_key[key]] for each, key in ours.items() if key in by_key}
    known = sent | (await items_of_mails(session, references) if references else {})
    every = {item_id for item_ids in known.values() for item_id in item_ids}
    if not every:
        return set()
    there = set(
        await session.scalars(select(Item.id).where(Item.id.in_(every), Item.deleted_at.is_(None)))
    )
    found = (there.intersection(known.get(each, ())) for each in references)
    return next((each for each in found if each), set())


def _our_key(reference: str) -> UUID | None:
    """Return the key of the delivery whose Message-ID this is, if it looks like one of ours."""
    local, _, domain = reference.strip("<>").partition("@")
    try:
        return UUID(local) if domain else None
    except ValueError:
        return None
