"""The calendar feed: what somebody has to do, for calendar programs, behind a secret link."""

from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import structlog
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Path, Request, Response, status
from pydantic import Field

from api.dependencies import ANY_VERSION, CurrentUser, ReadSession, Session, tags_in
from api.limits import Limits
from api.routing import resource
from api.schemas import Read
from models.calendar_feed import Feed, feed_of, reader_with, renew_key, revoke_key
from models.errors import NotFound
from models.settings import Settings

router = resource("calendar", "/calendar-link")
feeds = APIRouter(prefix="/calendar", tags=["calendar"])
"""Without a token: the key in the path opens it."""

UNCHANGED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.NOT_MODIFIED.value: {"description": "Whoever asks has it already."}
}


class CalendarLinkMade(Read):
    """It is shown here and never again; whoever has it reads the calendar."""

    shown_once: ClassVar[bool] = True

    feed_url: str = Field(
        description="What a calendar program subscribes to. It is shown here and never again.",
        examples=["https://crm.example/v1/calendar/….ics"],
    )


class CalendarAnswer(Response):
    """A feed. Programs ask for it again and again: they are told if it is what they have."""

    media_type = "text/calendar"

    @classmethod
    def to(cls, known: str | None, content: bytes) -> Response:
        """Return the content, or no more than that it is known."""
        tag = f'"{sha256(content).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tags_in(known or "") & {tag, ANY_VERSION}:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return cls(content, headers=headers)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_calendar_link(
    request: Request, session: Session, user: CurrentUser, response: Response
) -> CalendarLinkMade:
    """Make the link to your calendar feed, or another one: the one before opens nothing then.

    Subscribe to it with any calendar program. It holds what you are responsible for: CRM
    activities with their places and reminders, the deadlines of tasks, and when you are booked. It
    is shown only now.
    """
    settings: Settings = request.app.state.settings
    key = await renew_key(session, user)
    response.headers["Cache-Control"] = "no-store"
    return CalendarLinkMade(feed_url=f"{settings.url}/v1/calendar/{key}.ics")


@router.delete("", name="revoke_calendar_link", status_code=status.HTTP_204_NO_CONTENT)
async def delete_calendar_link(session: Session, user: CurrentUser) -> None:
    """Revoke the link to your calendar feed: from now on it opens nothing."""
    await revoke_key(session, user)


async def feed_behind(
    request: Request,
    session: ReadSession,
    key: Annotated[str, Path(description="The secret part of the link.")],
) -> Feed:
    """Return the feed that a key opens; who tries others is counted as a stranger."""
    limits: Limits = request.app.state.limits
    settings: Settings = request.app.state.settings
    try:
        user = await reader_with(session, key)
    except NotFound:
        await limits.count_stranger(request)
        raise
    structlog.contextvars.bind_contextvars(user_id=user.id)
    await limits.count_user(request, user.id)
    return await feed_of(session, user, url=settings.url)


@feeds.get("/{key}.ics", response_class=CalendarAnswer, responses=UNCHANGED)
async def read_calendar(
    feed: Annotated[Feed, Depends(feed_behind)],
    known: Annotated[
        str | None,
        Header(
            alias="If-None-Match",
            description="The `ETag` of what you have; if it is still so, the answer is an empty "
            "304.",
            examples=['"3f1c9a7e5b0d2468ace013579bdf2468"'],
        ),
    ] = None,
) -> Response:
    """Return somebody's calendar after RFC 5545; needs no token, the link is the key.

    What began in the last 90 days or is still ahead, in the time zone of the person. A link that
    was renewed or revoked, or whose person no longer works here, leads nowhere.
    """
    return CalendarAnswer.to(known, await run_sync(feed.written))
