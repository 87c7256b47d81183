"""Notifications: what the product tells its people."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Select, select
from sqlalchemy.orm import Mapped, mapped_column

from models import clock
from models.base import Base, Record
from models.errors import NotAllowed
from models.provenance import MadeByRun
from models.user import User


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


def mark_read(notification: Notification, by: User) -> None:
    """Note that the recipient has read it; the first time counts."""
    if notification.recipient_id != by.id:
        raise NotAllowed(f"Notification {notification.id} is not yours.")
    notification.read_at = notification.read_at or clock.now()
