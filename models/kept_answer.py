"""Kept answers: what a request with an `Idempotency-Key` was answered, to be answered again."""

from datetime import timedelta

from sqlalchemy import ForeignKey, Index, UniqueConstraint, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models import clock
from models.base import Base, Record, insert_for
from models.user import User

KEPT_FOR = timedelta(days=7)


class KeptAnswer(Record, Base, kw_only=True):
    """`fingerprint` is the SHA-256 of method, path, query and body.

    `body` is None where the answer held a secret, and both are until the answer is made.
    """

    __tablename__ = "kept_answers"
    __table_args__ = (
        UniqueConstraint("user_id", "key"),
        Index(None, "created_at"),
        Record.options,
    )

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    key: Mapped[str]
    fingerprint: Mapped[str]
    status: Mapped[int | None] = mapped_column(default=None)
    body: Mapped[str | None] = mapped_column(default=None)


async def claim_key(
    session: AsyncSession, user: User, key: str, fingerprint: str
) -> tuple[KeptAnswer, bool]:
    """Return what is kept under a user's key, and whether it is new and has still to be made.

    Of two requests with one key at the same time, the second waits for the first.
    """
    claimed = await session.scalar(
        insert_for(session)(KeptAnswer)
        .values(user_id=user.id, key=key, fingerprint=fingerprint, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(KeptAnswer.id)
    )
    kept = (
        await session.scalars(
            select(KeptAnswer).where(KeptAnswer.user_id == user.id, KeptAnswer.key == key)
        )
    ).one()
    return kept, claimed is not None


async def forget_answers(session: AsyncSession) -> None:
    """Delete the answers that were kept long enough."""
    await session.execute(delete(KeptAnswer).where(KeptAnswer.created_at < clock.now() - KEPT_FOR))
