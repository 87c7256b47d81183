"""Stage entries: one stay of one item in one stage, and the one function that begins it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    ScalarSelect,
    Select,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from models import clock
from models.access import within_reach
from models.agenda import Agenda, AgendaItem, workflow_id
from models.base import Base, EnumText, Record, having, in_order
from models.errors import Conflict, Invalid, LoopDetected, NotFound, Problem
from models.history import HistoryEntry, HistoryKind, about_item
from models.installation import installation
from models.item import Item
from models.keyset import Order
from models.pipeline import Stage
from models.rule import present, rules_of
from models.rule_run import (
    ENDED,
    ON_THE_AGENDA,
    OPEN,
    RuleRun,
    RunState,
    finish_run,
    next_due,
    ran_before,
    untold,
)
from models.user import User

MOST_LINKS = 100
MOST_ENTRIES = 200
ENTRIES_COUNT_FOR = timedelta(hours=24)
"""One root cause may open so many entries in this time, and so deep a chain whatever the time."""


class CauseKind(StrEnum):
    PERSON = "person"
    RULE = "rule"
    RESTORE = "restore"


class Automation(StrEnum):
    """Whether the rules of the stage run for this entry."""

    RUN = "run"
    SKIP = "skip"


@dataclass(frozen=True)
class Cause:
    """Why an item enters or leaves a stage: a person, or the run of a rule."""

    kind: CauseKind
    user: User | None = None
    run: RuleRun | None = None

    @property
    def user_id(self) -> int | None:
        return None if self.user is None else self.user.id

    @property
    def run_id(self) -> int | None:
        return None if self.run is None else self.run.id

    @classmethod
    def person(cls, user: User) -> Self:
        return cls(CauseKind.PERSON, user=user)

    @classmethod
    def rule(cls, run: RuleRun) -> Self:
        return cls(CauseKind.RULE, run=run)

    @classmethod
    def restore(cls, user: User) -> Self:
        return cls(CauseKind.RESTORE, user=user)


class StageEntry(Record, Base, kw_only=True):
    """The stay, its agenda's version, and what Temporal is known to know of it: its own outbox.

    `changed_at` is since when there is something to tell, `told_version` the newest one told.
    `tell_after` is lease and back-off in one, `lease_token` says whose. `root` began the chain
    of causes that led here, `depth` links ago.
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
    automation: Mapped[Automation] = mapped_column(EnumText(Automation), default=Automation.RUN)
    root_id: Mapped[int | None] = mapped_column(ForeignKey("stage_entries.id"), default=None)
    depth: Mapped[int] = mapped_column(default=0)
    agenda_version: Mapped[int] = mapped_column(default=1, init=False)
    changed_at: Mapped[datetime] = mapped_column(insert_default=clock.now, init=False)
    told_version: Mapped[int] = mapped_column(default=0, init=False)
    tell_after: Mapped[datetime | None] = mapped_column(default=None, init=False)
    tell_attempts: Mapped[int] = mapped_column(default=0, init=False)
    tell_error: Mapped[str | None] = mapped_column(default=None, init=False)
    lease_token: Mapped[UUID | None] = mapped_column(default=None, init=False)
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
                    beside=run.state is RunState.DELIVERING,
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


async def enter_stage(
    session: AsyncSession,
    item: Item,
    stage: Stage,
    cause: Cause,
    *,
    new_pipeline: bool = False,
    automation: Automation = Automation.RUN,
) -> StageEntry | None:
    """Let a locked item enter a stage: leave the present one, begin an entry, freeze its rules.

    The stage comes with its pipeline. Setting the same stage again changes nothing and returns
    None. Raises `Invalid` for a stage that the item cannot stand in, `Conflict` for an item in
    the recycle bin, `LoopDetected` where rules move items in a circle.
    """
    must_fit(item, stage, new_pipeline=new_pipeline)
    if item.stage_id == stage.id and cause.kind is not CauseKind.RESTORE:
        return None
    [entry] = await _enter(session, [(item, stage)], cause, automation)
    return entry


async def enter_stages(
    session: AsyncSession,
    placed: Sequence[tuple[Item, Stage]],
    cause: Cause,
    *,
    automation: Automation = Automation.RUN,
) -> list[StageEntry]:
    """Let many locked items enter a stage each, as `enter_stage` does, in few statements.

    Each must fit, and stand elsewhere now; the entries come in the same order.
    """
    for item, stage in placed:
        must_fit(item, stage)
    return await _enter(session, placed, cause, automation)


async def create_item(
    session: AsyncSession,
    item: Item,
    stage: Stage,
    cause: Cause,
    *,
    automation: Automation = Automation.RUN,
) -> StageEntry:
    """Put a new item into its first stage, whose rules start as for every other."""
    [entry] = await create_items(session, [(item, stage)], cause, automation=automation)
    return entry


async def create_items(
    session: AsyncSession,
    placed: Sequence[tuple[Item, Stage]],
    cause: Cause,
    *,
    automation: Automation = Automation.RUN,
) -> list[StageEntry]:
    """Put many new items, none of them in the session yet, into a stage each, in few statements."""
    return await enter_stages(session, placed, cause, automation=automation)


async def _enter(
    session: AsyncSession,
    placed: Sequence[tuple[Item, Stage]],
    cause: Cause,
    automation: Automation,
) -> list[StageEntry]:
    root_id, depth = await _chain(session, cause)
    left = await _leave(session, [item for item, _ in placed], cause, "left the stage")
    if cause.kind is CauseKind.RESTORE:
        automation = Automation.SKIP
    entries = []
    for item, stage in placed:
        item.pipeline = stage.pipeline
        item.stage = stage
        entry = StageEntry(
            item=item,
            stage=stage,
            entered_at=clock.now(),
            cause=cause.kind,
            cause_user=cause.user,
            cause_run=cause.run,
            automation=automation,
            root_id=root_id,
            depth=depth,
            runs=[],
        )
        session.add(entry)
        entries.append(entry)
    skipped = [] if automation is Automation.SKIP else await _freeze_rules(session, entries)
    await session.flush()
    for run, why in reversed(skipped):  # From below, as the end of one is felt by the next.
        await finish_run(session, run, RunState.SKIPPED, why)
    for entry in entries:
        entry.agenda_version = 1  # Nobody has seen an earlier one.
        session.add(_line(entry, left.get(entry.item.id), cause))
    untold(session).update(entries if len(entries) == 1 else [None])
    return entries


async def leave_stage(session: AsyncSession, item: Item, cause: Cause, reason: str) -> None:
    """End the stay of a locked item for good: it is deleted. Every open run is dropped.

    Except the one that acts; also runs that were kept, of earlier stays.
    """
    await _leave(session, [item], cause, reason, for_good=True)


async def _leave(
    session: AsyncSession,
    items: Sequence[Item],
    cause: Cause,
    reason: str,
    *,
    for_good: bool = False,
) -> dict[int, StageEntry]:
    """End the present stays, by item: drop open runs, except kept ones and the one that acts.

    `for_good` drops what was kept too, of earlier stays as well.
    """
    known = set(in_order(item.id for item in items))
    if not known:
        return {}
    concerned: ColumnElement[bool] = StageEntry.left_at.is_(None)
    if for_good:
        still_open = select(RuleRun.stage_entry_id).where(
            RuleRun.item_id.in_(known), RuleRun.state.in_(OPEN)
        )
        concerned = or_(concerned, StageEntry.id.in_(still_open))
    left = {}
    there = [item for item in items if item.id in known]
    for entry in await lock_entries(session, there, concerned):
        if entry.left_at is None:
            entry.left_at = clock.now()
            left[entry.item_id] = entry
        for run in reversed(entry.runs):  # From below, as the end of one is felt by the next.
            if run.is_open and run is not cause.run and (for_good or not run.keep):
                await finish_run(session, run, RunState.DROPPED, reason, by=cause.user)
    return left


async def _freeze_rules(
    session: AsyncSession, entries: Sequence[StageEntry]
) -> list[tuple[RuleRun, str]]:
    """Make the runs of these entries; return those to be skipped at once, and why."""
    stages = {entry.stage.id for entry in entries}
    rules = {stage: await rules_of(session, stage, enabled_only=True) for stage in stages}
    every = [rule for several in rules.values() for rule in several]
    if not every:
        return []
    home = await installation(session)
    once = [rule.id for rule in every if present(rule).once_per_item]
    ran = await ran_before(session, [entry.item.id for entry in entries], once)
    skipped = []
    for entry in entries:
        for rule in rules[entry.stage.id]:
            version = present(rule)
            run = RuleRun(
                stage_entry=entry,
                item=entry.item,
                rule=rule,
                version=version,
                position=rule.position,
                keep=version.keep_when_item_leaves,
                next_activity=version.action,
            )
            session.add(run)
            if (entry.item.id, rule.id) in ran:
                skipped.append((run, "It runs once per item, and has."))
            elif run.predecessor is None:
                due = next_due(run, entry.entered_at, home.time_zone)
                run.due_at = due.at
                if due.skipped is not None:
                    skipped.append((run, due.skipped))
    return skipped


def must_fit(item: Item, stage: Stage, *, new_pipeline: bool = False) -> None:
    """Raise `Conflict` or `Invalid` where an item cannot enter that stage."""
    if item.deleted_at is not None:
        raise Conflict(f"{item.called.capitalize()} is in the recycle bin.")
    pipeline = stage.pipeline
    if pipeline.item_type is not item.type:
        raise Invalid(
            Problem("/stage_id", f"Stage {stage.id} «{stage.name}» is for {pipeline.item_type}s.")
        )
    elsewhere = item.pipeline_id not in {None, pipeline.id}
    if elsewhere and not new_pipeline:
        raise Invalid(
            Problem(
                "/stage_id",
                f"Stage {stage.id} «{stage.name}» belongs to pipeline {pipeline.id} "
                f"«{pipeline.name}»; {item.called} is in pipeline {item.pipeline_id}.",
            )
        )


async def _chain(session: AsyncSession, cause: Cause) -> tuple[int | None, int]:
    """Return root and depth of an entry with this cause; people begin a chain anew."""
    if cause.run is None:
        return None, 0
    parent = cause.run.stage_entry
    root_id, depth = parent.root_id or parent.id, parent.depth + 1
    opened = await session.scalar(
        select(func.count())
        .select_from(StageEntry)
        .where(
            StageEntry.root_id == root_id,
            StageEntry.entered_at > clock.now() - ENTRIES_COUNT_FOR,
        )
    )
    if depth > MOST_LINKS or (opened or 0) >= MOST_ENTRIES:
        raise LoopDetected(f"loop: {await _path_to(session, parent)}")
    return root_id, depth


async def _path_to(session: AsyncSession, entry: StageEntry) -> str:
    """Return the whole chain of causes that led to an entry, first to last, in words."""
    parent = select(RuleRun.stage_entry_id.label("entry_id"), RuleRun.id.label("run_id")).subquery()
    chain = (
        select(StageEntry.id, StageEntry.cause_run_id, StageEntry.depth)
        .where(StageEntry.id == entry.id)
        .cte("chain", recursive=True)
    )
    chain = chain.union_all(
        select(StageEntry.id, StageEntry.cause_run_id, StageEntry.depth)
        .join(parent, parent.c.entry_id == StageEntry.id)
        .join(chain, chain.c.cause_run_id == parent.c.run_id)
    )
    steps = await session.execute(
        select(Item.type, Item.id, Stage.name)
        .select_from(chain)
        .join(StageEntry, StageEntry.id == chain.c.id)
        .join(Item, Item.id == StageEntry.item_id)
        .join(Stage, Stage.id == StageEntry.stage_id)
        .order_by(chain.c.depth)
    )
    return " → ".join(f"{kind} {item_id} in «{stage}»" for kind, item_id, stage in steps)


def _line(entry: StageEntry, left: StageEntry | None, cause: Cause) -> HistoryEntry:
    name = entry.stage.name
    if left is None and cause.kind is not CauseKind.RESTORE:
        line = about_item(entry.item, HistoryKind.CREATED, f"Created in «{name}».")
    elif left is None:
        line = about_item(entry.item, HistoryKind.RESTORED, f"Restored to «{name}».")
    else:
        line = about_item(
            entry.item,
            HistoryKind.STAGE_CHANGED,
            f"Moved from «{left.stage.name}» to «{name}».",
        )
        line.field, line.old, line.new = "stage", left.stage.name, name
    if entry.automation is Automation.SKIP and cause.kind is not CauseKind.RESTORE:
        line.text += " Its rules were not run."
    sign(line, cause)
    return line


def sign(line: HistoryEntry, cause: Cause) -> None:
    """Say in a line of history who did it: a person, or a rule in one of its runs."""
    line.author_id = cause.user_id
    if cause.run is not None:
        line.rule_id = cause.run.rule_id
        line.run_id = cause.run.id


async def entries_of(session: AsyncSession, item_id: int) -> Sequence[StageEntry]:
    """Return all stays of an item, newest first, with their runs."""
    found = await session.scalars(
        select(StageEntry)
        .where(StageEntry.item_id == item_id)
        .order_by(StageEntry.id.desc())
        .options(*_WITH_RUNS)
    )
    return found.all()


async def present_entry(session: AsyncSession, item: Item) -> StageEntry:
    """Return the stay that an item outside the bin is in, without its runs."""
    found = await session.scalars(
        select(StageEntry).where(StageEntry.item_id == item.id, StageEntry.left_at.is_(None))
    )
    return found.one()


_TO_SHOW = (
    joinedload(StageEntry.item, innerjoin=True),
    joinedload(StageEntry.stage, innerjoin=True),
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
