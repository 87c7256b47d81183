"""Keysets: a long list is read part by part, and stays in order while rows come and go.

A part begins after the key of a row, found by an index: the thousandth costs what the first does.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

Wanted = Select[*tuple[Any, ...]]
Key = tuple[Any, ...]
"""What a row has in the columns of an order."""


@dataclass(frozen=True)
class Order:
    """By which columns a list is ordered; no two rows share the last, as a rule the id.

    Only the first column may be empty: those rows come last, whichever way the order goes.
    """

    columns: tuple[Any, ...]
    descending: bool = False

    @property
    def has_gaps(self) -> bool:
        """Whether rows may have nothing in the first column."""
        return bool(getattr(self.columns[0], "nullable", False))

    def key_of(self, row: Any) -> Key:
        return tuple(getattr(row, column.key) for column in self.columns)

    def parts(self, after: Key | None) -> Iterator[list[ColumnElement[bool]]]:
        """Yield conditions that together are all rows behind a key, each in order of an index."""
        if not self.has_gaps:
            yield self._behind(after, 0)
            return
        first = self.columns[0]
        if after is None or after[0] is not None:
            yield [first.is_not(None), *self._behind(after, 0)]
            after = None
        yield [first.is_(None), *self._behind(after, 1)]

    def _behind(self, after: Key | None, start: int) -> list[ColumnElement[bool]]:
        if after is None:
            return []
        columns = self.columns[start:]
        here = tuple_(*columns)
        pairs = zip(columns, after[start:], strict=True)
        there = tuple_(*(literal(value, column.type) for column, value in pairs))
        return [here < there if self.descending else here > there]

    def by(self) -> list[ColumnElement[Any]]:
        return [each.desc() if self.descending else each.asc() for each in self.columns]


async def rows_after(
    session: AsyncSession, wanted: Wanted, order: Order, after: Key | None, limit: int
) -> list[Any]:
    """Return so many rows behind a key, or the first: objects, where one kind is selected."""
    rows: list[Any] = []
    for conditions in order.parts(after):
        part = wanted.where(*conditions).order_by(*order.by()).limit(limit - len(rows))
        found = await session.execute(part)
        rows += found.scalars() if _is_of_objects(wanted) else found
        if len(rows) == limit:
            break
    return rows


async def all_in_parts(
    session: AsyncSession, wanted: Wanted, order: Order, after: Key | None, size: int
) -> AsyncIterator[list[Any]]:
    """Yield all rows behind a key, so many at a time."""
    while rows := await rows_after(session, wanted, order, after, size):
        yield rows
        after = order.key_of(rows[-1])
        if len(rows) < size:
            break


def _is_of_objects(wanted: Wanted) -> bool:
    return wanted.column_descriptions[0]["expr"] is wanted.column_descriptions[0]["entity"]
