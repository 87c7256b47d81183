"""Rules: what managers hang on a stage, each edit kept as a version."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Select, UniqueConstraint, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from models.base import Base, Record, having
from models.errors import NotFound
from models.keyset import Order
from models.pipeline import Stage
from models.user import User


class Rule(Record, Base, kw_only=True):
    """A place on a stage; what it says stands in its present version.

    Rules due at the same moment run in order of position, then id. A rule switched off holds its
    waiting runs. `changes` counts those of place, switch and text. Rules are never deleted from
    the table: their runs are kept for ever. `braked_at` is when administrators were last told that
    the brake holds it, None while it does not; `released_at` when it was last let go on.
    """

    __tablename__ = "rules"
    __table_args__ = (Index(None, "stage_id", "position"), Record.options)

    stage_id: Mapped[int] = mapped_column(ForeignKey(Stage.id), init=False)
    stage: Mapped[Stage] = relationship(lazy="raise")
    position: Mapped[int] = mapped_column(default=0)
    enabled: Mapped[bool] = mapped_column(default=True)
    version_id: Mapped[int | None] = mapped_column(
        ForeignKey("rule_versions.id", use_alter=True), init=False
    )
    version: Mapped["RuleVersion | None"] = relationship(
        default=None, lazy="raise", foreign_keys=version_id, post_update=True
    )
    changes: Mapped[int] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    braked_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    released_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    __mapper_args__ = {"version_id_col": changes}


class RuleVersion(Record, Base, kw_only=True):
    """The frozen text of a rule: waiting runs keep the version they were made from.

    `timing`, `conditions` and `params` are JSON of the models in `timing`, `conditions` and of
    the action's params. `after_previous`: start counting when the rule above has ended;
    `stop_on_failure`: not if that has failed.
    """

    __tablename__ = "rule_versions"
    __table_args__ = (UniqueConstraint("rule_id", "number"), Record.options)

    rule_id: Mapped[int] = mapped_column(ForeignKey(Rule.id), init=False)
    rule: Mapped[Rule] = relationship(lazy="raise", foreign_keys=rule_id)
    number: Mapped[int]
    title: Mapped[str]
    action: Mapped[str]
    params: Mapped[dict[str, Any]]
    timing: Mapped[dict[str, Any]]
    conditions: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    after_previous: Mapped[bool] = mapped_column(default=False)
    keep_when_item_leaves: Mapped[bool] = mapped_column(default=False)
    once_per_item: Mapped[bool] = mapped_column(default=False)
    stop_on_failure: Mapped[bool] = mapped_column(default=False)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), default=None)


async def rules_of(
    session: AsyncSession, stage_id: int, *, enabled_only: bool = False
) -> list[Rule]:
    """Return the rules of a stage with their present versions, top-down."""
    wanted = rules_where(stage_id=stage_id, enabled=enabled_only or None)
    return list(await session.scalars(wanted.order_by(*TOP_DOWN.by())))


TOP_DOWN = Order((Rule.position, Rule.id))


def rules_where(**values: object) -> Select[Rule]:
    """Return the rules that have these values, None meaning any, with their present versions."""
    there = select(Rule).where(Rule.deleted_at.is_(None)).options(joinedload(Rule.version))
    return having(there, **values)


async def find_rule(session: AsyncSession, rule_id: int, *, lock: bool = False) -> Rule:
    """Return a rule with its present version, stage and pipeline, or raise `NotFound`."""
    wanted = (
        select(Rule)
        .where(Rule.id == rule_id, Rule.deleted_at.is_(None))
        .options(joinedload(Rule.version), joinedload(Rule.stage).joinedload(Stage.pipeline))
    )
    if lock:
        # Whoever freezes rules into runs meanwhile need not wait.
        locked = select(Rule.id).where(Rule.id == rule_id).with_for_update(key_share=True)
        await session.execute(locked)
        wanted = wanted.execution_options(populate_existing=True)
    rule = await session.scalar(wanted)
    if rule is None:
        raise NotFound(f"There is no rule {rule_id}.")
    return rule


async def is_enabled(session: AsyncSession, rule_id: int) -> bool:
    """Tell whether a rule is on, and keep others from switching it until the transaction ends."""
    found = await session.scalar(
        select(Rule.enabled).where(Rule.id == rule_id).with_for_update(read=True)
    )
    return bool(found)


def present(rule: Rule) -> RuleVersion:
    """Return what the rule says now; a saved rule has a version."""
    if rule.version is None:
        raise LookupError(f"Rule {rule.id} has no version.")
    return rule.version


async def next_position(session: AsyncSession, stage_id: int) -> int:
    """Return the place below the last rule of a stage."""
    last = await session.scalar(
        select(func.max(Rule.position)).where(Rule.stage_id == stage_id, Rule.deleted_at.is_(None))
    )
    return 0 if last is None else last + 1
