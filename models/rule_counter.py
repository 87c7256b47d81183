"""Rule counters: whom a rule that picks people in turn has picked last."""

from collections.abc import Sequence

from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, insert_for
from models.rule import Rule
from models.user import User


class RuleCounter(Base, kw_only=True):
    """One row per rule that has picked somebody. Locked after items and clients, before entries.

    `place` is where that person stood among all whom the rule knew, counted from 0.
    """

    __tablename__ = "rule_counters"

    rule_id: Mapped[int] = mapped_column(ForeignKey(Rule.id), primary_key=True)
    last_user_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    place: Mapped[int] = mapped_column(default=0)


async def next_in_turn(
    session: AsyncSession, rule_id: int, people: Sequence[User], available: Sequence[User]
) -> User:
    """Return who comes next among all people of a rule, of whom some are available, and note it.

    After somebody who is no longer among them comes whoever has moved up to their place. Others
    who ask for the same rule wait until the transaction ends.
    """
    counter = await _lock(session, rule_id)
    if counter is None:
        begun = await session.scalar(
            insert_for(session)(RuleCounter)
            .values(rule_id=rule_id, last_user_id=available[0].id, place=people.index(available[0]))
            .on_conflict_do_nothing()
            .returning(RuleCounter.rule_id)
        )
        if begun is not None:
            return available[0]
        counter = await _lock(session, rule_id)  # Somebody else has begun meanwhile.
    if counter is None:
        raise LookupError(f"Rule {rule_id} has no counter.")
    ids = [user.id for user in people]
    last = counter.last_user_id
    first = ids.index(last) + 1 if last in ids else counter.place
    in_turn = [*people[first:], *people[:first]]
    chosen = next(user for user in in_turn if user in available)
    counter.last_user_id, counter.place = chosen.id, ids.index(chosen.id)
    return chosen


async def _lock(session: AsyncSession, rule_id: int) -> RuleCounter | None:
    return await session.get(
        RuleCounter, rule_id, with_for_update={"key_share": True}, populate_existing=True
    )
