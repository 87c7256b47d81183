"""Triggers: what moves items by itself to the stage that it hangs on, and why it did or did not."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, ScalarSelect, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from models.base import Base, EnumText, Record, Versioned, having
from models.errors import NotFound
from models.keyset import Order
from models.pipeline import Stage
from models.user import User


class Trigger(Record, Versioned, Base, kw_only=True):
    """It hangs on the stage that it moves items to.

    `settings` and `conditions` are JSON of the type's settings and of `conditions`; `moves_as` is
    that of a `UserChoice`, None meaning automation. Triggers are never deleted from the table:
    stage entries and the log name them for ever.
    """

    __tablename__ = "triggers"
    __table_args__ = (Index(None, "stage_id", "position"), Index(None, "type"), Record.options)

    stage_id: Mapped[int] = mapped_column(ForeignKey(Stage.id), init=False)
    stage: Mapped[Stage] = relationship(lazy="raise")
    type: Mapped[str]
    name: Mapped[str]
    settings: Mapped[dict[str, Any]]
    conditions: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    moves_as: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    allow_moving_back: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    position: Mapped[int] = mapped_column(default=0)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    @property
    def called(self) -> str:
        """How people call it: "trigger 7 «Invoice is paid»"."""
        return f"trigger {self.id} «{self.name}»"


class TriggerOutcome(StrEnum):
    """What came of considering a trigger for one item on one occasion.

    `refused`: the move itself was, as for a loop; `broken`: it met a fault of ours.
    """

    MOVED = "moved"
    ANOTHER_WAS_FIRST = "another was first"
    STANDS_THERE = "stands there"
    WOULD_MOVE_BACK = "would move back"
    OTHER_SETTINGS = "other settings"
    NOT_MET = "not met"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    BROKEN = "broken"


class TriggerCheck(Record, Base, kw_only=True):
    """One line of the trigger log: a trigger was considered for an item, and why it did or did not.

    Lines of one `occasion` belong together, in the order in which triggers were tried.
    `cause_user` and `cause_run` are who brought the occasion about, `stage_entry` the one that a
    move began.
    """

    __tablename__ = "trigger_checks"
    __table_args__ = (
        Index(None, "item_id", "id"),
        Index(None, "trigger_id", "id"),
        Index(None, "stage_entry_id"),
        Record.options,
    )

    trigger_id: Mapped[int] = mapped_column(ForeignKey(Trigger.id), init=False)
    trigger: Mapped[Trigger] = relationship(lazy="raise")
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    occasion: Mapped[UUID]
    what_happened: Mapped[str]
    outcome: Mapped[TriggerOutcome] = mapped_column(EnumText(TriggerOutcome))
    reason: Mapped[str]
    comparisons: Mapped[list[Any]] = mapped_column(default_factory=list)
    cause_user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), default=None)
    cause_run_id: Mapped[int | None] = mapped_column(
        ForeignKey("rule_runs.id", use_alter=True), default=None
    )
    stage_entry_id: Mapped[int | None] = mapped_column(
        ForeignKey("stage_entries.id", use_alter=True), default=None
    )


TOP_DOWN = Order((Trigger.position, Trigger.id))


def triggers_where(**values: object) -> Select[Trigger]:
    """Return the triggers that have these values, None meaning any."""
    return having(select(Trigger).where(Trigger.deleted_at.is_(None)), **values)


def checks_where(**values: object) -> Select[TriggerCheck]:
    """Return the lines of the log that have these values, None meaning any, with their triggers."""
    there = select(TriggerCheck).options(joinedload(TriggerCheck.trigger, innerjoin=True))
    return having(there, **values)


async def find_trigger(session: AsyncSession, trigger_id: int, *, lock: bool = False) -> Trigger:
    """Return a trigger with its stage and pipeline, or raise `NotFound`."""
    if lock:
        hung = select(Trigger.stage_id).where(Trigger.id == trigger_id)
        await lock_triggers_on(session, hung.scalar_subquery())
    trigger = await session.scalar(
        select(Trigger)
        .where(Trigger.id == trigger_id, Trigger.deleted_at.is_(None))
        .options(joinedload(Trigger.stage, innerjoin=True).joinedload(Stage.pipeline))
        .execution_options(populate_existing=lock)
    )
    if trigger is None:
        raise NotFound(f"There is no trigger {trigger_id}.")
    return trigger


async def lock_triggers_on(session: AsyncSession, stage_id: int | ScalarSelect[int]) -> None:
    """Let nobody else hang triggers on a stage, change or place them until the transaction ends.

    Whoever moves items there meanwhile, be it by these triggers, need not wait.
    """
    await session.execute(
        select(Stage.id).where(Stage.id == stage_id).with_for_update(key_share=True)
    )
