"""Notifications: what the product tells its people."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models import clock
from models.base import Base, Record
from models.bookmark import Bookmark
from models.errors import NotAllowed
from models.provenance import MadeByRun
from models.user import User

LATEST = timedelta(minutes=2)
"""Longer than a transaction takes: what is as old as this has nothing before it that may appear."""


class Notification(Record, Base, kw_only=True):
    """Without a sender it comes from the automation itself. `link` leads to the item."""

    __tablename__ = "notifications"
    __table_args__ = (Index(None, "recipient_id", "id"), Record.options)

    recipient_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    text: Mapped[str]
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), default=None)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"), default=None)
    link: Mapped[str | None] = mapped_column(default=None)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    read_at: Mapped[datetime | None] = mapped_column(default=None, init=False)


def notifications_of(recipient_id: int, *, unread: bool | None = None) -> Select[Notification]:
    """Return what somebody has been told and has read, or not; None means both."""
    wanted = select(Notification).where(Notification.recipient_id == recipient_id)
    if unread is None:
        return wanted
    return wanted.where(Notification.read_at.is_(None) == unread)


async def unread_count(session: AsyncSession, recipient_id: int) -> int:
    """Return how much of what somebody has been told they have not read."""
    unread = notifications_of(recipient_id, unread=True).subquery()
    return await session.scalar(select(func.count()).select_from(unread)) or 0


def mark_read(notification: Notification, by: User) -> None:
    """Note that the recipient has read it; the first time counts."""
    if notification.recipient_id != by.id:
        raise NotAllowed(f"Notification {notification.id} is not yours.")
    notification.read_at = notification.read_at or clock.now()


async def mark_all_read(session: AsyncSession, by: User, up_to: int) -> None:
    """Note that somebody has read all they were told, up to the notification with that id."""
    await session.execute(
        update(Notification)
        .where(
            Notification.recipient_id == by.id,
            Notification.read_at.is_(None),
            Notification.id <= up_to,
        )
        .values(read_at=clock.now())
    )


def told_since(bookmark: Bookmark, recipient_id: int) -> Select[Notification]:
    """Return what somebody has been told that lies behind a bookmark, in the order of ids."""
    return (
        notifications_of(recipient_id)
        .where(Notification.id > bookmark.floor, Notification.id.not_in(bookmark.above))
        .order_by(Notification.id)
    )


def ids_above(floor: int, recipients: Collection[int]) -> Select[int, int]:
    """Return the ids of what these people have been told above a floor, each with whose it is."""
    return select(Notification.id, Notification.recipient_id).where(
        Notification.recipient_id.in_(recipients), Notification.id > floor
    )


async def settled_up_to(session: AsyncSession, recipient_id: int) -> int:
    """Return the id up to which nothing can appear any more that somebody is told."""
    return (
        await session.scalar(
            select(Notification.id)
            .where(
                Notification.recipient_id == recipient_id,
                Notification.created_at < clock.now() - LATEST,
            )
            .order_by(Notification.id.desc())
            .limit(1)
        )
        or 0
    )


async def bookmark_of_now(session: AsyncSession, recipient_id: int) -> Bookmark:
    """Return the bookmark of whoever has got everything that somebody has been told so far."""
    settled = await settled_up_to(session, recipient_id)
    present = await session.scalars(
        select(Notification.id).where(
            Notification.recipient_id == recipient_id, Notification.id > settled
        )
    )
    return Bookmark(settled, frozenset(present)).up_to(settled)


async def newest_id(session: AsyncSession) -> int:
    """Return the id of the newest notification of all."""
    return await session.scalar(select(func.max(Notification.id))) or 0
