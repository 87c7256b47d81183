"""API tokens: shown once, kept as a hash."""

import secrets
from datetime import datetime
from hashlib import sha256

from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from models import clock
from models.base import Base, Record
from models.user import User

PREFIX = "cue_"


class ApiToken(Record, Base, kw_only=True):
    """Who may use the API as whom, until when. Only the SHA-256 of the token is kept."""

    __tablename__ = "api_tokens"

    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), init=False)
    user: Mapped[User] = relationship(lazy="raise")
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None, init=False)


def hash_of(token: str) -> str:
    # 256 random bits need no slow hash.
    return sha256(token.encode()).hexdigest()


def make_token(
    session: AsyncSession, user: User, name: str, *, expires_at: datetime | None = None
) -> str:
    """Make a token for a user and return it; it cannot be read again."""
    token = PREFIX + secrets.token_urlsafe(32)
    session.add(ApiToken(name=name, token_hash=hash_of(token), user=user, expires_at=expires_at))
    return token


async def user_of(session: AsyncSession, token: str) -> User | None:
    """Return the active user whose valid token this is."""
    found = await session.scalar(
        select(ApiToken)
        .where(ApiToken.token_hash == hash_of(token), ApiToken.revoked_at.is_(None))
        .options(joinedload(ApiToken.user, innerjoin=True))
    )
    if found is None or (found.expires_at is not None and found.expires_at <= clock.now()):
        return None
    return found.user if found.user.active else None
