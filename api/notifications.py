"""Notifications: what the product tells its people."""

import math
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

import structlog
from fastapi import Depends, Header, Query, Request, status
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import CurrentUser, ReadSession, Session, bearer
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Id, Page, Read, Write
from api.streams import (
    KEEP_ALIVE,
    TOLD,
    Stream,
    StreamAnswer,
    Streams,
    said,
    still_there,
    to_its_end,
)
from models.access import must_be
from models.api_token import find_token
from models.base import find
from models.bookmark import WRITTEN, Bookmark
from models.database import Database
from models.notification import (
    Notification,
    bookmark_of_now,
    mark_all_read,
    mark_read,
    newest_id,
    notifications_of,
    settled_up_to,
    told_since,
    unread_count,
)
from models.user import Role

log = structlog.get_logger()

router = resource("notifications", "/notifications")

AT_ONCE = 100
"""Notifications that a stream reads at a time."""

LONGEST = 86_400
"""Seconds that a client may name."""


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


class UnreadCount(Read):
    """How much there is that you have not read."""

    unread: int = Field(description="How many you have not read.", examples=[3])


class ReadUpTo(Write):
    """How far you have read."""

    up_to: Id = Field(description="The id of the newest that you have seen.")


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


async def _unread(session: ReadSession, user: CurrentUser) -> UnreadCount:
    return UnreadCount(unread=await unread_count(session, user.id))


@router.get("/unread-count")
async def read_unread_count(unread: Annotated[UnreadCount, Depends(_unread)]) -> UnreadCount:
    """Return how many of your notifications you have not read."""
    return unread


@router.post("/read", name="mark_notifications_read")
async def read_notifications(session: Session, user: CurrentUser, body: ReadUpTo) -> UnreadCount:
    """Note that you have read your notifications up to one of them; return what is left.

    Send the id of the newest that you have seen: what has come since stays unread. What was read
    before keeps its `read_at`.
    """
    await mark_all_read(session, user, body.up_to)
    return await _unread(session, user)


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


async def _bookmark(
    session: ReadSession,
    user: CurrentUser,
    sent: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            pattern=WRITTEN,
            description="The `id` of what you got last: you get what has come since, nothing "
            "twice. Clients for server-sent events send it by themselves when they come back.",
            examples=["120.124,125"],
        ),
    ] = None,
    sent_in_query: Annotated[
        str | None,
        Query(
            alias="last_event_id",
            pattern=WRITTEN,
            description="The same, for clients that cannot send the header; the header counts.",
            examples=["120.124,125"],
        ),
    ] = None,
) -> Bookmark:
    if known := sent or sent_in_query:
        return Bookmark.of(known).no_later_than(await newest_id(session))
    return await bookmark_of_now(session, user.id)


async def _news(
    request: Request,
    user: CurrentUser,
    token: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
    bookmark: Annotated[Bookmark, Depends(_bookmark)],
    unread: Annotated[UnreadCount, Depends(_unread)],
    seconds: Annotated[
        int | None,
        Query(
            ge=0,
            le=LONGEST,
            description="End the stream after so many seconds; 0 tells what there is and ends.",
        ),
    ] = None,
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Open a stream that is closed again when its answer has ended, however it does."""
    state = request.app.state
    streams: Streams = state.streams
    with streams.opened(state.database, user.id, bookmark.floor) as stream:
        news = _News(state.database, token.credentials, user.id, bookmark)
        yield news.said(stream, unread, math.inf if seconds is None else seconds)


class _News:
    """What one client is told, from a bookmark on.

    Whatever is read is read before it is sent: while the client is slow or there is nothing new,
    nothing is held but the connection.
    """

    def __init__(self, database: Database, token: str, user_id: int, bookmark: Bookmark) -> None:
        self._database = database
        self._token = token
        self._user_id = user_id
        self._bookmark = bookmark
        self._settled = 0

    async def said(
        self, stream: Stream, unread: UnreadCount, seconds: float
    ) -> AsyncIterator[bytes]:
        ends_at = time.monotonic() + seconds
        yield said("unread", unread, self._bookmark)
        while not stream.ended and (rows := await to_its_end(self._look())) is not None:
            for row in rows:
                self._bookmark = self._bookmark.after(row.id, self._settled)
                yield said("notification", NotificationRead.model_validate(row), self._bookmark)
            if len(rows) == AT_ONCE:
                continue
            self._bookmark = self._bookmark.up_to(self._settled)
            stream.floor = self._bookmark.floor
            left = ends_at - time.monotonic()
            if left <= 0:
                return
            if not await stream.rung(min(left, KEEP_ALIVE)):
                yield still_there()

    async def _look(self) -> list[Notification] | None:
        """Return the next that are new; None where the client may not be told any more."""
        try:
            async with self._database.reading() as session:
                token = await find_token(session, self._token)
                if token is None or token.refusal is not None:
                    return None
                self._settled = await settled_up_to(session, self._user_id)
                new = told_since(self._bookmark, self._user_id).limit(AT_ONCE)
                return list(await session.scalars(new))
        except (OSError, SQLAlchemyError) as error:
            log.warning("A stream ends, for the database does not answer", error=repr(error))
            return None


@router.get(
    "/stream",
    response_class=StreamAnswer,
    status_code=status.HTTP_200_OK,
    responses=dict(TOLD),
)
async def stream_notifications(
    news: Annotated[AsyncIterator[bytes], Depends(_news)],
) -> StreamAnswer:
    """Tell you what is new as soon as it is there, as server-sent events.

    First comes `unread`, how many you have not read; then a `notification` for each new one, as the
    list shows it. Every `id` is a bookmark: come back with the last one as `Last-Event-ID`, and you
    get what you have missed, each once, also what was written earlier and became visible later.
    Without it you get what comes from now on. A comment every 15 seconds says that the stream
    lives. It ends within a minute after your token does, and when the server is restarted; you may
    have five open.
    """
    return StreamAnswer(news)
