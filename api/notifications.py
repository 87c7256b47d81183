"""Notifications: what the product tells its people."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends

from api.dependencies import CurrentUser, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Id, Page, Read
from models.access import must_be
from models.base import find
from models.notification import Notification, mark_read, notifications_of
from models.user import Role

router = resource("notifications", "/notifications")


class NotificationRead(Read):
    """Without a sender it comes from the automation itself."""

    id: int
    recipient_id: int
    sender_id: int | None
    text: str
    item_id: int | None
    link: str | None
    made_by_run_id: int | None
    created_at: datetime
    read_at: datetime | None


async def _recipient(user: CurrentUser, recipient_id: Id | None = None) -> int:
    if recipient_id is None or recipient_id == user.id:
        return user.id
    must_be(user, [Role.ADMIN], "read what others are told")
    return recipient_id


Recipient = Annotated[int, Depends(_recipient)]
NewestFirst = Annotated[PageQuery, sorted_by("id", usually="-id")]


@router.get("")
async def list_notifications(
    session: ReadSession, recipient: Recipient, paging: NewestFirst, *, unread: bool | None = None
) -> Page[NotificationRead]:
    """Return your notifications or, for administrators, somebody's, newest first."""
    wanted = notifications_of(recipient, unread=unread)
    return await page_of(session, wanted, paging, NotificationRead)


@router.post("/{notification_id}/read", name="mark_notification_read")
async def read_notification(
    session: Session, user: CurrentUser, notification_id: Id
) -> NotificationRead:
    """Note that you have read a notification.

    Only its recipient can; `read_at` says when.
    """
    notification = await find(session, Notification, notification_id)
    mark_read(notification, user)
    return NotificationRead.model_validate(notification)
