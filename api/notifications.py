"""Notifications: what the product tells its people."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from api.dependencies import CurrentUser, Paging, ReadSession, Session, page_of
from api.schemas import Id, Page, Read
from models.base import find
from models.notification import Notification, mark_read, notifications_of

router = APIRouter(prefix="/notifications", tags=["notifications"])


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


def _recipient(user: CurrentUser, recipient_id: Id | None = None) -> int:
    return recipient_id or user.id


Recipient = Annotated[int, Depends(_recipient)]


@router.get("")
async def list_notifications(
    session: ReadSession, recipient: Recipient, paging: Paging
) -> Page[NotificationRead]:
    """Return your notifications, or somebody's, newest first."""
    wanted = notifications_of(recipient)
    return await page_of(session, wanted, paging, NotificationRead, newest_first=True)


@router.post("/{notification_id}/read")
async def read_notification(
    session: Session, user: CurrentUser, notification_id: Id
) -> NotificationRead:
    """Note that you have read a notification."""
    notification = await find(session, Notification, notification_id)
    mark_read(notification, user)
    return NotificationRead.model_validate(notification)
