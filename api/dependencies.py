"""What endpoints ask for: the request's one transaction, who is asking, which part of a list."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Query, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from api.schemas import Id, Page, Read
from models.api_token import user_of
from models.base import Record
from models.database import Database
from models.errors import Invalid, Problem
from models.user import User

LONGEST_PAGE = 200
USUAL_PAGE = 50

bearer = HTTPBearer(auto_error=False, description="An API token: `cue_…`")


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


async def current_user(
    session: Session, token: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> User:
    """Return whose token was sent, in the session of the request."""
    user = None if token is None else await user_of(session, token.credentials)
    if user is None:
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED,
            "Send the header «Authorization: Bearer» with a valid token.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return user


CurrentUser = Annotated[User, Depends(current_user)]


@dataclass(frozen=True)
class PageQuery:
    """Which part of a list: so many, after where the last part ended."""

    limit: int = USUAL_PAGE
    after: str | None = None


def page_query(
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="How many at most.")] = (
        USUAL_PAGE
    ),
    after: Annotated[
        str | None, Query(max_length=500, description="The `next` of the page before.")
    ] = None,
) -> PageQuery:
    return PageQuery(limit, after)


Paging = Annotated[PageQuery, Depends(page_query)]

Row = TypeVar("Row", bound=Record)
Shown = TypeVar("Shown", bound=Read)
Key = TypeVar("Key")

ID: TypeAdapter[int] = TypeAdapter(Id)


async def page_of(
    session: AsyncSession,
    wanted: Select[Row],
    paging: PageQuery,
    read: type[Shown],
    *,
    newest_first: bool = False,
) -> Page[Shown]:
    """Return a part of the rows wanted, by ascending id, or descending for the newest first."""
    key = wanted.column_descriptions[0]["entity"].id
    last = read_cursor(paging, ID)
    if last is not None:
        wanted = wanted.where(key < last if newest_first else key > last)
    order = key.desc() if newest_first else key
    rows = (await session.scalars(wanted.order_by(order).limit(paging.limit + 1))).all()
    return cut(rows, paging, read, [row.id for row in rows])


def cut(
    rows: Sequence[object], paging: PageQuery, read: type[Shown], keys: Sequence[Any]
) -> Page[Shown]:
    """Return the page of rows of which one more than wanted was asked for; `keys` order them."""
    more = len(rows) > paging.limit
    return Page(
        items=[read.model_validate(row) for row in rows[: paging.limit]],
        next=cursor(keys[paging.limit - 1]) if more else None,
    )


def cursor(key: object) -> str:
    """Return where a page ended as a text that says nothing to clients; the key is plain JSON."""
    return urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def read_cursor(paging: PageQuery, kind: TypeAdapter[Key]) -> Key | None:
    """Return the key at which the last page ended, None for the first; refuse what is no cursor."""
    if paging.after is None:
        return None
    try:
        return kind.validate_json(urlsafe_b64decode(paging.after + "=" * (-len(paging.after) % 4)))
    except (ValueError, ValidationError) as error:
        raise Invalid(Problem("/after", "This is not the `next` of a page.")) from error
