"""API tokens: made for a person, shown once, listed and revoked."""

from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import Depends, Query, Response, status
from pydantic import Field

from api.dependencies import CurrentUser, ReadSession, Session
from api.paging import Paging, page_of
from api.routing import resource
from api.schemas import Filter, Id, Moment, Name, Page, Read, Write
from models import clock
from models.access import must_be
from models.api_token import (
    USUAL_LIFE,
    ApiToken,
    issue_token,
    lock_token,
    own_token,
    revoke_token,
    tokens_where,
)
from models.user import Role

router = resource("tokens", "/tokens")


class TokenRead(Read):
    """Without `expires_at` it is valid until it is revoked."""

    id: int
    name: str
    hint: str | None = Field(description="How the token ends.", examples=["x3Qw"])
    user_id: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenMade(TokenRead):
    """`token` is shown here and never again."""

    shown_once: ClassVar[bool] = True

    token: str = Field(examples=["cue_…"])


class TokenCreate(Write):
    name: Name = Field(description="What it is for.", examples=["Web shop"])
    expires_at: Moment | None = Field(
        default_factory=lambda: clock.now() + USUAL_LIFE,
        description="In a year, if left out; null for never.",
    )
    user_id: Id | None = Field(
        default=None, description="Who uses the API with it; by default you yourself."
    )


class TokenFilter(Filter):
    """Which tokens to list, of those that you may see."""

    user_id: Id | None = None
    valid: bool | None = Field(
        default=None, description="Whether they open anything: not expired, not revoked."
    )


async def _seen(user: CurrentUser, where: Annotated[TokenFilter, Query()]) -> TokenFilter:
    """Narrow a filter to one's own tokens for whoever may not see those of others."""
    if user.role is Role.ADMIN:
        return where
    if where.user_id not in {None, user.id}:
        must_be(user, [Role.ADMIN], "see the tokens of others")
    return where.model_copy(update={"user_id": user.id})


Seen = Annotated[TokenFilter, Depends(_seen)]


async def _own(session: Session, user: CurrentUser, token_id: Id) -> ApiToken:
    return own_token(user, await lock_token(session, token_id))


OwnToken = Annotated[ApiToken, Depends(_own)]


@router.get("")
async def list_tokens(session: ReadSession, where: Seen, paging: Paging) -> Page[TokenRead]:
    """Return your tokens or, for administrators, everybody's, oldest first."""
    return await page_of(session, tokens_where(**where.asked()), paging, TokenRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_token(
    session: Session, user: CurrentUser, new: TokenCreate, response: Response
) -> TokenMade:
    """Make a token for yourself or, as administrator, for others. It is shown only now."""
    token, made = await issue_token(session, user, **new.model_dump())
    response.headers["Cache-Control"] = "no-store"
    return TokenMade(token=token, **TokenRead.model_validate(made).model_dump())


@router.delete("/{token_id}", name="revoke_token", status_code=status.HTTP_204_NO_CONTENT)
async def delete_token(token: OwnToken) -> None:
    """Revoke a token of your own or, as administrator, any: from now on it opens nothing."""
    revoke_token(token)
