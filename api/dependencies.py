"""What endpoints ask for: the request's one transaction, who is asking, which part of a list."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import Depends, Header, HTTPException, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from api.limits import Limits
from models.access import MANAGING, must_be
from models.api_token import find_token
from models.base import Versioned
from models.database import Database
from models.item import Item
from models.user import Role, User

Changed = TypeVar("Changed", bound=Versioned | Item)

BAD_TOKEN = 'Bearer error="invalid_token"'  # noqa: S105 - a challenge after RFC 6750

bearer = HTTPBearer(
    scheme_name="token",
    auto_error=False,
    description="An API token, `cue_…`: `make run` prints one, `POST /v1/tokens` makes more.",
)


async def session_of(request: Request) -> AsyncIterator[AsyncSession]:
    """Open the request's one session: a GET reads, everything else is a transaction."""
    database: Database = request.app.state.database
    async with database.reading() if request.method == "GET" else database.transaction() as session:
        yield session


Session = Annotated[AsyncSession, Depends(session_of, scope="function")]
"""Committed when the endpoint has returned and before the answer is sent: a commit that fails is
told. (With FastAPI's usual scope it would answer 200 first.)"""

ReadSession = Session
"""The same, named by GETs, which change nothing."""


Token = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


async def current_user(request: Request, session: Session, token: Token) -> User:
    """Return whose token was sent, in the session of the request, which counts as theirs."""
    limits: Limits = request.app.state.limits
    if token is None:
        await limits.count_stranger(request)
        raise _unauthorized("Send the header «Authorization: Bearer» with a valid token.", "Bearer")
    found = await find_token(session, token.credentials)
    if found is None:
        await limits.count_stranger(request)
        raise _unauthorized("There is no such token.", BAD_TOKEN)
    if found.refusal is not None:
        await limits.count_stranger(request)
        raise _unauthorized(found.refusal, BAD_TOKEN)
    structlog.contextvars.bind_contextvars(user_id=found.user.id)
    await limits.count_user(request, found.user.id)
    return found.user


def _unauthorized(reason: str, challenge: str) -> HTTPException:
    headers = {"WWW-Authenticate": challenge}
    return HTTPException(status.HTTP_401_UNAUTHORIZED, reason, headers=headers)


CurrentUser = Annotated[User, Depends(current_user)]


@asynccontextmanager
async def before_the_transaction(
    request: Request, token: HTTPAuthorizationCredentials | None, *roles: Role, to: str
) -> AsyncIterator[AsyncSession]:
    """Let these roles read what is needed to examine for seconds what they have sent.

    A transaction that has begun would keep others waiting meanwhile, on SQLite everybody. It counts
    as a request of its own.
    """
    database: Database = request.app.state.database
    async with database.reading() as session:
        must_be(await current_user(request, session, token), roles, to)
        yield session


def only(*roles: Role, to: str = "") -> Any:
    """Let in these roles only, for what they alone do: by default, change what the page is about.

    Stands among the `dependencies` of a route, so that it is asked before anything else.
    """

    async def check(request: Request, user: CurrentUser) -> User:
        must_be(user, roles, to or f"change {request.scope['route'].tags[0]}")
        return user

    return Depends(check)


MANAGERS = only(*MANAGING)
"""Managers and administrators."""

ADMINS = only(Role.ADMIN)

ANY_VERSION = "*"


def tags_in(header: str) -> set[str]:
    """Return the entity tags of `If-Match` or `If-None-Match`, quotes included.

    A proxy that compresses answers makes tags weak, and people forget the quotes; what they say is
    the same.
    """
    found = {each.strip().removeprefix("W/").strip('"') for each in header.split(",")} - {""}
    return {each if each == ANY_VERSION else f'"{each}"' for each in found}


@dataclass(frozen=True)
class Match:
    """Which version of a thing the client has seen, and so may change."""

    tags: frozenset[str]

    def of(self, row: Changed) -> Changed:
        """Return a locked row if it still has that version, else refuse with 412."""
        self.must_be(row.version)
        return row

    def must_be(self, version: int) -> None:
        """Refuse with 412 where the client has not seen this version."""
        tag = f'"{version}"'
        if not self.tags & {ANY_VERSION, tag}:
            raise HTTPException(
                status.HTTP_412_PRECONDITION_FAILED,
                f"It has changed since: its ETag is {tag} now. Read it again.",
                headers={"ETag": tag},
            )


SentMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=500,
        description="The `ETag` of what you have read, so that you change what you have seen; "
        "`*` changes whatever is there.",
        examples=['"3"', "*"],
    ),
]


async def if_match(sent: SentMatch = None) -> Match:
    if sent is None:
        raise HTTPException(
            status.HTTP_428_PRECONDITION_REQUIRED,
            "Send the header If-Match with the ETag of what you have read, or * for any version.",
        )
    return Match(frozenset(tags_in(sent)))


async def match_if_sent(sent: SentMatch = None) -> Match | None:
    return None if sent is None else Match(frozenset(tags_in(sent)))


IfMatch = Annotated[Match, Depends(if_match)]
"""Asked for by whatever changes or deletes something that was there before."""

MatchIfSent = Annotated[Match | None, Depends(match_if_sent)]
"""Heeded by what may be done without having seen the present version."""
