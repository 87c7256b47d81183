"""Outbox: a row that Temporal must know of says itself what has still to be told."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, MappedAsDataclass, mapped_column

from models import clock


class Outbox(MappedAsDataclass, kw_only=True, eq=False, repr=False):
    """The version of a row's agenda, and what Temporal is known to know of it.

    `changed_at` is since when there is something to tell, `told_version` the newest one told.
    `tell_after` is lease and back-off in one, `lease_token` says whose.
    """

    agenda_version: Mapped[int] = mapped_column(default=1, init=False, sort_order=60)
    changed_at: Mapped[datetime] = mapped_column(
        insert_default=clock.now, init=False, sort_order=61
    )
    told_version: Mapped[int] = mapped_column(default=0, init=False, sort_order=62)
    tell_after: Mapped[datetime | None] = mapped_column(default=None, init=False, sort_order=63)
    tell_attempts: Mapped[int] = mapped_column(default=0, init=False, sort_order=64)
    tell_error: Mapped[str | None] = mapped_column(default=None, init=False, sort_order=65)
    lease_token: Mapped[UUID | None] = mapped_column(default=None, init=False, sort_order=66)


def raise_agenda(session: AsyncSession, row: Outbox) -> None:
    """Count up the agenda's version: whatever was told before is out of date from now on."""
    row.agenda_version += 1
    row.changed_at = clock.now()
    untold(session).add(row)


def untold(session: AsyncSession) -> set[Outbox | None]:
    """Return the rows of which this transaction gives the relay something to tell.

    None stands for many that were changed at once.
    """
    rows: set[Outbox | None] = session.info.setdefault("untold", set())
    return rows


@contextmanager
def told_by_reply(session: AsyncSession, row: Outbox) -> Iterator[None]:
    """Let a row that was fully told be so again after the block.

    Whoever changes it there answers the workflow itself, with the new agenda.
    """
    fully_told = row.told_version == row.agenda_version
    yield
    if fully_told:
        row.told_version = row.agenda_version
        untold(session).discard(row)
