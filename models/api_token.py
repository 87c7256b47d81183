"""API tokens: shown once, kept as a hash."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import ForeignKey, Select, and_, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from models import clock
from models.access import must_be
from models.base import Base, Record, find_named, having
from models.errors import Invalid, NotAllowed, NotFound, Problem
from models.user import Role, User

PREFIX = "cue_"
USUAL_LIFE = timedelta(days=365)
HINT = 4
"""So many last characters of a token are kept, to recognise it by."""


class ApiToken(Record, Base, kw_only=True):
    """Who may use the API as whom, until when. Only the SHA-256 of the token is kept.

    `hint` is how the token ends; without an end (`expires_at`) it is valid for ever.
    """

    __tablename__ = "api_tokens"

    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str | None] = mapped_column(default=None)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), init=False)
    user: Mapped[User] = relationship(lazy="raise")
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    @property
    def refusal(self) -> str | None:
        """Why the token opens nothing, in words; None while it is valid."""
        if self.revoked_at is not None:
            return f"This token was revoked on {self.revoked_at:%Y-%m-%d}."
        if self.expires_at is not None and self.expires_at <= clock.now():
            return f"This token expired on {self.expires_at:%Y-%m-%d}."
        return None if self.user.active else "The user of this token no longer works here."


def hash_of(token: str) -> str:
    # 256 random bits need no slow hash.
    return sha256(token.encode()).hexdigest()


def make_token(
    session: AsyncSession, user: User, name: str, *, expires_at: datetime | None = None
) -> str:
    """Make a token for a user and return it; it cannot be read again."""
    token, row = _new(user, name, expires_at)
    session.add(row)
    return token


def _new(user: User, name: str, expires_at: datetime | None) -> tuple[str, ApiToken]:
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        name=name, token_hash=hash_of(token), hint=token[-HINT:], user=user, expires_at=expires_at
    )
    return token, row


async def issue_token(
    session: AsyncSession, by: User, name: str, *, user_id: int | None, expires_at: datetime | None
) -> tuple[str, ApiToken]:
    """Let a person make a token for themselves or, as administrator, for somebody else.

    Raises `Invalid` for an end that is past or a user who is not there.
    """
    user = by
    if user_id is not None and user_id != by.id:
        must_be(by, [Role.ADMIN], "make tokens for others")
        user = await find_named(session, User, user_id, "/user_id")
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid(Problem("/expires_at", "This moment is past already."))
    token, row = _new(user, name, expires_at)
    session.add(row)
    await session.flush()
    return token, row


async def find_token(session: AsyncSession, token: str) -> ApiToken | None:
    """Return what is known of a token, with its user; valid or not, see `refusal`."""
    found: ApiToken | None = await session.scalar(
        select(ApiToken)
        .where(ApiToken.token_hash == hash_of(token))
        .options(joinedload(ApiToken.user, innerjoin=True))
    )
    return found


def tokens_where(*, user_id: int | None = None, valid: bool | None = None) -> Select[ApiToken]:
    """Return the tokens of a user or of all, valid ones or not; None means any."""
    wanted = having(select(ApiToken), user_id=user_id)
    if valid is None:
        return wanted
    is_valid = and_(
        ApiToken.revoked_at.is_(None),
        or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > clock.now()),
        ApiToken.user.has(User.active),
    )
    return wanted.where(is_valid if valid else not_(is_valid))


async def lock_token(session: AsyncSession, token_id: int) -> ApiToken:
    """Return a token by its id, locked, or raise `NotFound`."""
    token = await session.get(ApiToken, token_id, with_for_update=True)
    if token is None:
        raise NotFound(f"There is no token {token_id}.")
    return token


def own_token(user: User, token: ApiToken) -> ApiToken:
    """Return a token that somebody may revoke, being theirs or they administrator."""
    if token.user_id != user.id and user.role is not Role.ADMIN:
        raise NotAllowed(f"Token {token.id} is not yours: ask an administrator to revoke it.")
    return token


def revoke_token(token: ApiToken) -> None:
    """Let a locked token open nothing from now on; the first time counts."""
    token.revoked_at = token.revoked_at or clock.now()
