"""Stage entries: one stay of one item in one stage, and why it began."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, ForeignKey, Index, ScalarSelect, Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from models.access import within_reach
from models.agenda import Agenda, AgendaItem, workflow_id
from models.base import Base, EnumText, Record, having
from models.errors import NotFound
from models.history import HistoryEntry
from models.item import Item
from models.keyset import Order
from models.outbox import Outbox
from models.pipeline import Stage
from models.rule_run import DELIVER, ENDED, ON_THE_AGENDA, OPEN, RuleRun
from models.trigger import Trigger
from models.user import User


class CauseKind(StrEnum):
    """`client`: what came in from outside, such as a mail or a form."""

    PERSON = "person"
    RULE = "rule"
    TRIGGER = "trigger"
    CLIENT = "client"
    RESTORE = "restore"


class Automation(StrEnum):
    """Whether the rules of the stage run for this entry."""

    RUN = "run"
    SKIP = "skip"


@dataclass(frozen=True)
class Cause:
    """Why an item enters or leaves a stage: a person, the run of a rule, a trigger, the client.

    The run of a trigger is the one that brought its occasion about, `after` the entry that did,
    being begun by another trigger. `remark` is what history adds to the sentence of an entry.
    `automation` goes on to what triggers make of it: who wants no rules gets none.
    """

    kind: CauseKind
    user: User | None = None
    run: RuleRun | None = None
    trigger: Trigger | None = None
    after: "StageEntry | None" = None
    remark: str = ""
    automation: Automation = Automation.RUN

    @property
    def user_id(self) -> int | None:
        return None if self.user is None else self.user.id

    @property
    def run_id(self) -> int | None:
        return None if self.run is None else self.run.id

    @property
    def trigger_id(self) -> int | None:
        return None if self.trigger is None else self.trigger.id

    @property
    def acting(self) -> RuleRun | None:
        """The run that is at work now, and so is not dropped by what it does itself."""
        return self.run if self.kind is CauseKind.RULE else None

    @property
    def parent(self) -> "StageEntry | None":
        """The entry from which this came; None where a person or a client begins anew."""
        return self.after or (None if self.run is None else self.run.stage_entry)

    @classmethod
    def person(cls, user: User) -> Self:
        return cls(CauseKind.PERSON, user=user)

    @classmethod
    def rule(cls, run: RuleRun, user: User | None = None) -> Self:
        """Return the cause of what a rule does, as automation or as the user whom it names."""
        return cls(CauseKind.RULE, user=user, run=run)

    @classmethod
    def by_trigger(cls, trigger: Trigger, user: User | None, before: Self) -> Self:
        """Return the cause of a move by a trigger, as automation or as a user.

        `before` is that of the occasion.
        """
        who = "automation" if user is None else user.name
        remark = f" By {trigger.called}, as {who}."
        return cls(
            CauseKind.TRIGGER, user, before.run, trigger, before.after, remark, before.automation
        )

    @classmethod
    def client(cls) -> Self:
        """Return the cause of what somebody outside has done: written, called, opened a link."""
        return cls(CauseKind.CLIENT)

    @classmethod
    def restore(cls, user: User) -> Self:
        return cls(CauseKind.RESTORE, user=user)


class StageEntry(Record, Outbox, Base, kw_only=True):
    """The stay and its agenda: its own outbox.

    `root` began the chain of causes that led here, `depth` links ago; `parent` was the last of it.
    """

    __tablename__ = "stage_entries"
    __table_args__ = (
        Index(
            "uq_stage_entries_present",
            "item_id",
            unique=True,
            postgresql_where=text("left_at IS NULL"),
            sqlite_where=text("left_at IS NULL"),
        ),
        Index(None, "item_id"),
        Index(None, "root_id"),
        Index(None, "stage_id", "id"),
        Index(None, "cause_trigger_id", "id"),
        Index(
            "ix_stage_entries_untold",
            "id",
            postgresql_where=text("told_version < agenda_version"),
            sqlite_where=text("told_version < agenda_version"),
        ),
        Record.options,
    )

    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item] = relationship(lazy="raise_on_sql", foreign_keys=item_id)
    stage_id: Mapped[int] = mapped_column(ForeignKey(Stage.id), init=False)
    stage: Mapped[Stage] = relationship(lazy="raise_on_sql")
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    cause: Mapped[CauseKind] = mapped_column(EnumText(CauseKind))
    cause_user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    cause_user: Mapped[User | None] = relationship(default=None, lazy="raise_on_sql")
    cause_run_id: Mapped[int | None] = mapped_column(
        ForeignKey("rule_runs.id", use_alter=True), init=False
    )
    cause_run: Mapped[RuleRun | None] = relationship(
        default=None, lazy="raise_on_sql", foreign_keys=cause_run_id
    )
    cause_trigger_id: Mapped[int | None] = mapped_column(ForeignKey(Trigger.id), init=False)
    cause_trigger: Mapped[Trigger | None] = relationship(default=None, lazy="raise_on_sql")
    automation: Mapped[Automation] = mapped_column(EnumText(Automation), default=Automation.RUN)
    root_id: Mapped[int | None] = mapped_column(ForeignKey("stage_entries.id"), default=None)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("stage_entries.id"), default=None)
    depth: Mapped[int] = mapped_column(default=0)
    runs: Mapped[list[RuleRun]] = relationship(
        default_factory=list,
        lazy="raise",
        foreign_keys=RuleRun.stage_entry_id,
        order_by=(RuleRun.position, RuleRun.id),
        back_populates="stage_entry",
    )

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that waits for this entry's rules, as Temporal's UI shows it."""
        return workflow_id(self.item.type, self.item_id, self.id)

    def agenda(self, database_id: UUID) -> Agenda:
        """Return the open steps as Temporal may know them; the runs must be loaded."""
        return Agenda(
            database_id=database_id,
            entry_id=self.id,
            version=self.agenda_version,
            items=tuple(
                AgendaItem(
                    run_id=run.id,
                    activity=run.next_activity,
                    title=run.version.title,
                    due_at=run.due_at,
                    position=run.position,
                    beside=run.next_activity == DELIVER,
                )
                for run in self.runs
                if run.state in ON_THE_AGENDA and run.due_at is not None
            ),
            totals={
                state: count
                for state in ENDED
                if (count := sum(run.state is state for run in self.runs))
            },
        )


_WITH_RUNS = (
    joinedload(StageEntry.stage, innerjoin=True),
    selectinload(StageEntry.runs).options(
        joinedload(RuleRun.version, innerjoin=True), joinedload(RuleRun.rule, innerjoin=True)
    ),
)


async def load_entry(session: AsyncSession, entry_id: int) -> StageEntry | None:
    """Return an entry with its runs and their texts, to read."""
    found: StageEntry | None = await session.scalar(
        select(StageEntry).where(StageEntry.id == entry_id).options(*_WITH_RUNS)
    )
    return found


async def lock_entry(session: AsyncSession, entry_id: int | ScalarSelect[int]) -> StageEntry | None:
    """Return an entry with its item and runs; item and entry are locked, in this order."""
    item = await session.scalar(
        select(Item)
        .join(StageEntry, StageEntry.item_id == Item.id)
        .where(StageEntry.id == entry_id)
        .with_for_update(key_share=True, of=Item)
        .execution_options(populate_existing=True)
    )
    entry = await session.scalar(
        select(StageEntry)
        .where(StageEntry.id == entry_id)
        .options(*_WITH_RUNS)
        .with_for_update(key_share=True, of=StageEntry)
        .execution_options(populate_existing=True)
    )
    if item is None or entry is None:
        return None
    _tie(entry, item)
    return entry


async def lock_run(session: AsyncSession, run_id: int) -> RuleRun:
    """Return a run with its item and entry, all locked in the order that everybody keeps."""
    its_entry = select(RuleRun.stage_entry_id).where(RuleRun.id == run_id).scalar_subquery()
    entry = await lock_entry(session, its_entry)
    if entry is None:
        raise NotFound(f"There is no run {run_id}.")
    return next(run for run in entry.runs if run.id == run_id)


def _tie(entry: StageEntry, item: Item) -> None:
    """Let rows know each other that were loaded apart; the session alone would forget them."""
    set_committed_value(entry, "item", item)
    for run in entry.runs:
        set_committed_value(run, "stage_entry", entry)
        set_committed_value(run, "item", item)


async def lock_entries(
    session: AsyncSession, items: Sequence[Item], which: ColumnElement[bool]
) -> Sequence[StageEntry]:
    """Return the entries of locked items that are meant, with their runs, locked in order."""
    by_id = {item.id: item for item in items}
    found = await session.scalars(
        select(StageEntry)
        .where(StageEntry.item_id.in_(by_id), which)
        .order_by(StageEntry.id)
        .options(*_WITH_RUNS)
        .with_for_update(key_share=True, of=StageEntry)
    )
    entries = found.all()
    for entry in entries:
        _tie(entry, by_id[entry.item_id])
    return entries


def sign(line: HistoryEntry, cause: Cause) -> None:
    """Say in a line of history who did it: a person, a trigger, or a rule in one of its runs."""
    line.author_id = cause.user_id
    line.trigger_id = cause.trigger_id
    if cause.run is not None:
        line.rule_id = cause.run.rule_id
        line.run_id = cause.run.id


async def present_entry(session: AsyncSession, item: Item) -> StageEntry:
    """Return the stay that an item outside the bin is in, without its runs."""
    found = await session.scalars(
        select(StageEntry).where(StageEntry.item_id == item.id, StageEntry.left_at.is_(None))
    )
    return found.one()


async def present_entries(session: AsyncSession, item_ids: Collection[int]) -> dict[int, int]:
    """Return the ids of the stays that these items are in, by item; in the bin they are in none."""
    rows = await session.execute(
        select(StageEntry.item_id, StageEntry.id).where(
            StageEntry.item_id.in_(item_ids), StageEntry.left_at.is_(None)
        )
    )
    return dict(rows.all())


_TO_SHOW = (
    joinedload(StageEntry.item, innerjoin=True),
    joinedload(StageEntry.stage, innerjoin=True),
    joinedload(StageEntry.cause_trigger),
    selectinload(StageEntry.runs).joinedload(RuleRun.version, innerjoin=True),
)


async def find_entry(session: AsyncSession, entry_id: int) -> StageEntry:
    """Return an entry with item, stage and runs, or raise `NotFound`."""
    entry = await session.get(StageEntry, entry_id, options=_TO_SHOW)
    if entry is None:
        raise NotFound(f"There is no stage entry {entry_id}.")
    return entry


def runs_where(*conditions: ColumnElement[bool]) -> Select[RuleRun]:
    """Return runs with all that is shown of them: item, entry, and the runs beside them."""
    return (
        select(RuleRun)
        .where(*conditions)
        .options(
            joinedload(RuleRun.version, innerjoin=True),
            joinedload(RuleRun.item, innerjoin=True),
            joinedload(RuleRun.stage_entry, innerjoin=True).options(*_TO_SHOW[1:]),
        )
    )


def runs_for(
    by: User,
    *,
    stage_id: int | None = None,
    pipeline_id: int | None = None,
    responsible_id: int | None = None,
    is_open: bool | None = None,
    **values: object,
) -> Select[RuleRun]:
    """Return the runs for items in somebody's reach that have these values, None meaning any.

    The stage is the one whose rule it is, the responsible that of the item now.
    """
    items = having(select(Item).where(within_reach(by)), responsible_id=responsible_id)
    stages = having(select(Stage), id=stage_id, pipeline_id=pipeline_id)
    wanted = having(runs_where(), **values).where(RuleRun.item.has(items.whereclause))
    if stages.whereclause is not None:
        in_stage = StageEntry.stage.has(stages.whereclause)
        wanted = wanted.where(RuleRun.stage_entry.has(in_stage))
    if is_open is None:
        return wanted
    return wanted.where(RuleRun.state.in_(OPEN if is_open else ENDED))


def chain_to(entry_id: int) -> CTE:
    """Return id and depth of every entry in the chain of causes that led to one, itself included.

    The last link is found first.
    """
    links = select(StageEntry.id, StageEntry.parent_id, StageEntry.depth)
    chain = links.where(StageEntry.id == entry_id).cte("chain", recursive=True)
    return chain.union_all(links.join(chain, chain.c.parent_id == StageEntry.id))


def causes_for(by: User, entry_id: int) -> Select[StageEntry]:
    """Return the entries that led to one, itself included, of items in somebody's reach."""
    return entries_for(by).where(StageEntry.id.in_(select(chain_to(entry_id).c.id)))


CHAIN = Order((StageEntry.depth, StageEntry.id))
"""First to last."""


def entries_for(by: User, *, present: bool | None = None, **values: object) -> Select[StageEntry]:
    """Return the stays of items in somebody's reach that have these values, None meaning any."""
    there = select(StageEntry).where(StageEntry.item.has(within_reach(by))).options(*_TO_SHOW)
    wanted = having(there, **values)
    return wanted if present is None else wanted.where(StageEntry.left_at.is_(None) == present)


async def find_run(session: AsyncSession, run_id: int) -> RuleRun:
    """Return a run with all that is shown of it, or raise `NotFound`."""
    run = await session.scalar(runs_where(RuleRun.id == run_id))
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


AGENDA = Order((RuleRun.due_at, RuleRun.position, RuleRun.id))
"""The next first; what waits for another run comes last."""
