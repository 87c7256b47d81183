"""Unique values: a text that no other item of the type has in a field."""

from collections.abc import Sequence
from zlib import crc32

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.field_writing import Writable
from models.item import Item
from models.item_type import ItemType


async def first_free(
    session: AsyncSession, item_type: ItemType, field: Writable, values: Sequence[str]
) -> str | None:
    """Return the first of these values that no item has in a field of texts, or None.

    Items in the recycle bin count: they may come back. Whoever looks for a value of the same field
    meanwhile waits until the transaction ends.
    """
    await _wait_for_others(session, f"{item_type}.{field.name}")
    held: ColumnElement[str] = (
        getattr(Item, field.name)
        if field.custom is None
        else Item.custom[field.custom.path].as_string()
    )
    taken = set(await session.scalars(select(held).where(Item.type == item_type, held.in_(values))))
    return next((value for value in values if value not in taken), None)


async def _wait_for_others(session: AsyncSession, what: str) -> None:
    # SQLite has one writer anyway.
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(crc32(what.encode()))))
