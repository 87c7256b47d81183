"""Savepoints: what is undone in the database is undone in the session too.

What was only tried is undone by an error that carries what would have come of it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.base import NO_VALUE


class OnlyLooking(Exception):
    """Takes back what was only tried, a savepoint or a transaction; whoever asked catches it."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found


@asynccontextmanager
async def savepoint(session: AsyncSession) -> AsyncIterator[None]:
    """Do something that is undone whole if it fails; then rows are known again as they were.

    A rollback alone would let the session forget every row that was changed, and what was loaded
    around it: whoever still holds one could not even ask for its id.
    """
    known: dict[InstanceState[Any], dict[str, Any]] = {}

    def remember(changing: Session, *_: object) -> None:
        for row in changing.dirty:
            if inspect(row) not in known:
                known[inspect(row)] = _values(row)

    await session.flush()  # What it writes itself, the savepoint forgets too.
    try:
        async with session.begin_nested():
            event.listen(session.sync_session, "before_flush", remember)
            try:
                yield
            finally:
                event.remove(session.sync_session, "before_flush", remember)
                remember(session.sync_session)
    except Exception:
        for state, values in known.items():
            _restore(state, values)
        for row in [*session]:
            # Changed by a statement about many; so nobody knows what it was.
            if (state := inspect(row)).expired:
                await session.refresh(row, state.expired_attributes)
        raise


def _values(row: object) -> dict[str, Any]:
    """Return what was loaded of a row, as it was before the changes that are not written yet."""
    state = inspect(row)
    values = {**state.dict, **state.committed_state}
    return {
        name: [*value] if isinstance(value, list) else value
        for name, value in values.items()
        if name in state.mapper.attrs and value is not NO_VALUE
    }


def _restore(state: InstanceState[Any], values: dict[str, Any]) -> None:
    if state.persistent:
        for name, value in values.items():
            set_committed_value(state.obj(), name, value)
