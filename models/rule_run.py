"""Rule runs: one execution of one rule for one stage entry, and the only ways it changes.

Whoever changes a run holds the lock of its item and of its stage entry, and has the entry's runs
loaded (`stage_entry.load_entry`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    case,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models import clock
from models.base import Base, EnumText, Record, in_order
from models.calendars import Calendars, calendars_for, counts_on_people
from models.delivery import Delivery, DeliveryState, deliveries_of, next_of, withdraw
from models.errors import Conflict, Invalid, Problem
from models.history import HistoryKind, about_item
from models.item import Item
from models.outbox import raise_agenda, untold
from models.rule import Rule, RuleVersion
from models.timing import AroundDate, Due, Timing
from models.user import User

if TYPE_CHECKING:
    from models.stage_entry import StageEntry

TIMING: TypeAdapter[Timing] = TypeAdapter(Timing)

DELIVER = "deliver"
"""The activity, beside the loop, of runs whose action has something sent."""

FAULT_PAUSES = [timedelta(minutes=min(2**n, 120)) for n in range(18)]
"""After a fault the run waits 1 min, 2 min … 2 h, about a day in all; then it has failed."""

MOST_AT_ONCE = 10_000
"""Entries named in one statement; both databases take no more than 32,766 values."""


class RunState(StrEnum):
    WAITING = "waiting"
    DELIVERING = "delivering"
    RETRYING = "retrying"
    IN_PROGRESS = "in progress"
    HELD = "held"
    DONE = "done"
    SKIPPED = "skipped"
    DROPPED = "dropped"
    FAILED = "failed"


OPEN = (
    RunState.WAITING,
    RunState.DELIVERING,
    RunState.RETRYING,
    RunState.IN_PROGRESS,
    RunState.HELD,
)
ON_THE_AGENDA = (
    RunState.WAITING,
    RunState.DELIVERING,
    RunState.RETRYING,
    RunState.IN_PROGRESS,
)
ENDED = (RunState.DONE, RunState.SKIPPED, RunState.DROPPED, RunState.FAILED)


_IS_OPEN = "state IN ('waiting', 'delivering', 'retrying', 'in progress', 'held')"
_ON_THE_AGENDA = "state IN ('waiting', 'delivering', 'retrying', 'in progress')"


class Hold(StrEnum):
    """Why a run is held, hence what lets it go on."""

    RULE_OFF = "the rule is switched off"
    PAUSED = "automation is paused"
    BRAKE = "the rule has deleted too much in an hour"
    UNCERTAIN = "nobody knows whether it has arrived"


WAITS_FOR = {
    RunState.DELIVERING: "the delivery",
    RunState.RETRYING: "another try after a fault",
}


class RuleRun(Record, Base, kw_only=True):
    """`due_at` is None while it waits for the run above it, or for its date to be filled in.

    A run whose action stays open has `began_at`: it ends by what it waits for (a task that is
    completed, a client who answers) or at the latest when it is due. So has one whose deliveries
    are on their way: `next_activity` is `DELIVER` then. `by_hand`: somebody has said when it is
    due, which no new date or calendar changes.

    `result` is what the action leaves for the texts of rules below it (`results.create_task.id`).
    `outcome` is the sentence people read, `comparisons` what its conditions compared with what,
    `attempts` and `fault` tell of errors of ours. `keep`: it survives leaving the stage.
    """

    __tablename__ = "rule_runs"
    __table_args__ = (
        UniqueConstraint("stage_entry_id", "rule_id"),
        Index(None, "item_id", "rule_id"),
        Index(None, "rule_id", "id"),
        Index(None, "state", "id"),
        Index(None, "due_at", "id"),
        Index(
            "ix_rule_runs_open_of_rule",
            "rule_id",
            postgresql_where=text(_IS_OPEN),
            sqlite_where=text(_IS_OPEN),
        ),
        Index(
            "ix_rule_runs_due",
            "due_at",
            postgresql_where=text(_ON_THE_AGENDA),
            sqlite_where=text(_ON_THE_AGENDA),
        ),
        Index(
            "ix_rule_runs_done_of_rule",
            "rule_id",
            "finished_at",
            postgresql_where=text("state = 'done'"),
            sqlite_where=text("state = 'done'"),
        ),
        Record.options,
    )

    stage_entry_id: Mapped[int] = mapped_column(ForeignKey("stage_entries.id"), init=False)
    stage_entry: Mapped["StageEntry"] = relationship(
        lazy="raise_on_sql", foreign_keys=stage_entry_id, back_populates="runs"
    )
    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item] = relationship(lazy="raise_on_sql", foreign_keys=item_id)
    rule_id: Mapped[int] = mapped_column(ForeignKey(Rule.id), init=False)
    rule: Mapped[Rule] = relationship(lazy="raise_on_sql", foreign_keys=rule_id)
    version_id: Mapped[int] = mapped_column(ForeignKey(RuleVersion.id), init=False)
    version: Mapped[RuleVersion] = relationship(lazy="raise_on_sql", foreign_keys=version_id)
    position: Mapped[int]
    keep: Mapped[bool] = mapped_column(default=False)
    state: Mapped[RunState] = mapped_column(
        EnumText(RunState), default=RunState.WAITING, init=False
    )
    due_at: Mapped[datetime | None] = mapped_column(default=None)
    by_hand: Mapped[bool] = mapped_column(default=False, init=False)
    began_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    next_activity: Mapped[str]
    held_because: Mapped[Hold | None] = mapped_column(EnumText(Hold), default=None, init=False)
    attempts: Mapped[int] = mapped_column(default=0, init=False)
    fault: Mapped[str | None] = mapped_column(default=None, init=False)
    outcome: Mapped[str | None] = mapped_column(default=None, init=False)
    comparisons: Mapped[list[Any] | None] = mapped_column(default=None, init=False)
    result: Mapped[dict[str, Any] | None] = mapped_column(default=None, init=False)
    finished_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def is_delivering(self) -> bool:
        """Whether its action has been done and what that sends is on its way.

        Nothing takes that back but a person: not leaving the stage, nor deleting the item.
        """
        return self.is_open and self.next_activity == DELIVER

    @property
    def predecessor(self) -> "RuleRun | None":
        """The run above, if this one starts counting when that has ended."""
        return self._neighbour(-1) if self.version.after_previous else None

    @property
    def successor(self) -> "RuleRun | None":
        """The run below, if it starts counting when this one has ended."""
        below = self._neighbour(+1)
        return below if below is not None and below.version.after_previous else None

    @property
    def anchor(self) -> datetime:
        """When its rule started counting: entering the stage, or the end of the run above it."""
        above = self.predecessor
        return (above and above.finished_at) or self.stage_entry.entered_at

    @property
    def around(self) -> AroundDate | None:
        """The timing of its rule, if that is around a date of the item."""
        timing = TIMING.validate_python(self.version.timing)
        return timing if isinstance(timing, AroundDate) else None

    @property
    def waits_for(self) -> str | None:
        """What an open run waits for, in words; None once it has ended."""
        above = self.predecessor
        match self.state:
            case RunState.HELD:
                return f"somebody: {self.held_because}"
            case RunState.IN_PROGRESS:
                return self.outcome
            case RunState.WAITING if self.due_at is None and above is not None and above.is_open:
                held_up = above.held_up_by
                because = f"; run {held_up.id} is held: {held_up.held_because}" if held_up else ""
                return f"the end of «{above.version.title}» (run {above.id}){because}"
            case RunState.WAITING:
                empty = self.around if self.due_at is None else None
                return f"{empty.name} to be filled in" if empty else "its time"
        return WAITS_FOR.get(self.state)

    @property
    def waits_for_another(self) -> bool:
        """Whether it has neither begun nor ended, nor is it known when it is due."""
        return self.is_open and self.began_at is None and self.due_at is None

    @property
    def held_up_by(self) -> "RuleRun | None":
        """The run, or one further up, that is held, so that nothing below it can begin."""
        run: RuleRun | None = self
        while run is not None and run.state is RunState.WAITING and run.due_at is None:
            run = run.predecessor
        return run if run is not None and run.state is RunState.HELD else None

    def _neighbour(self, step: int) -> "RuleRun | None":
        runs = self.stage_entry.runs
        place = runs.index(self) + step
        return runs[place] if 0 <= place < len(runs) else None


def next_due(run: RuleRun, anchor: datetime, calendars: Calendars) -> Due:
    """Return when the run is due if its rule starts counting at the anchor."""
    timing = TIMING.validate_python(run.version.timing)
    value = own_field(run.item, timing.name) if isinstance(timing, AroundDate) else None
    return timing.due(value, anchor, calendars.clocks(run.item), run.id)


def needs_rows(version: RuleVersion) -> bool:
    """Tell whether a rule can be timed only for runs and items that are in the database."""
    return bool(version.timing.get("spread_minutes")) or counts_on_people(version)


def own_field(item: Item, name: str) -> object:
    """Return what stands in a field of the item itself: `close_date`, `custom.renewal`."""
    custom = name.removeprefix("custom.")
    return getattr(item, name, None) if custom == name else item.custom.get(custom)


async def finish_run(
    session: AsyncSession,
    run: RuleRun,
    state: RunState,
    outcome: str,
    *,
    by: User | None = None,
) -> None:
    """End a run: state and sentence, a line of history, and the time of the run after it.

    Runs below it end too as long as their timing says that they are to be skipped, or as they are
    to stop where the one above has failed, or was stopped so itself.
    """
    now = clock.now()
    if run.is_delivering and state is not RunState.DONE:
        await withdraw(session, run.id, outcome)
    _end(session, run, state, outcome, by)
    failed = run if state is RunState.FAILED else None
    while (below := run.successor) is not None and below.waits_for_another:
        if failed is not None and below.version.stop_on_failure:
            _end(session, below, RunState.SKIPPED, _stopped_by(failed), None)
        else:
            failed = None
            calendars = await calendars_for(session, [below.item], [below.version])
            due = next_due(below, now, calendars)
            below.due_at = due.at
            if due.skipped is None:
                break
            _end(session, below, RunState.SKIPPED, due.skipped, None)
        run = below
    raise_agenda(session, run.stage_entry)


def _stopped_by(failed: RuleRun) -> str:
    return f"«{failed.version.title}» above it failed."


def _end(
    session: AsyncSession, run: RuleRun, state: RunState, outcome: str, by: User | None
) -> None:
    run.state = state
    run.outcome = outcome
    run.finished_at = clock.now()
    run.held_because = None
    _tell_outcome(session, run, by)


def _tell_outcome(session: AsyncSession, run: RuleRun, by: User | None = None) -> None:
    said = f"«{run.version.title}» {run.state}: {run.outcome}"
    tell_of_run(session, run, HistoryKind.RULE_RUN, said, by)


def tell_of_run(
    session: AsyncSession, run: RuleRun, kind: HistoryKind, text: str, by: User | None = None
) -> None:
    """Write a line about a run into the history of its item."""
    line = about_item(run.item, kind, text)
    line.rule_id = run.rule_id
    line.run_id = run.id
    line.author_id = None if by is None else by.id
    session.add(line)


def stay_open(session: AsyncSession, run: RuleRun, until: datetime | None, outcome: str) -> None:
    """Keep a run open whose action has been done but waits for something, at most until then."""
    run.state = RunState.IN_PROGRESS
    run.began_at = clock.now()
    run.due_at = until
    run.by_hand = False
    run.outcome = outcome
    _tell_outcome(session, run)
    raise_agenda(session, run.stage_entry)


async def begin_delivering(
    session: AsyncSession, run: RuleRun, deliveries: Sequence[Delivery], outcome: str
) -> None:
    """Let a run go on with the deliveries that its action has written, beside the loop."""
    run.began_at = clock.now()
    run.by_hand = False
    run.attempts = 0
    run.fault = None
    run.outcome = outcome
    run.next_activity = DELIVER
    await session.flush()
    await go_on_delivering(session, run, deliveries)


async def go_on_delivering(
    session: AsyncSession, run: RuleRun, deliveries: Sequence[Delivery]
) -> None:
    """Let a locked run that delivers be due with what it sends next, or end with the last.

    `deliveries` are all that its action wrote when it was done last. It has failed if one of them
    has; the sentence tells both what arrived and what did not.
    """
    following = next_of(deliveries)
    rests = run.state is RunState.HELD and run.held_because is not Hold.UNCERTAIN
    if following is not None and rests:
        return
    if following is not None:
        run.state = RunState.RETRYING if following.failures else RunState.DELIVERING
        run.held_because = None
        run.due_at = _after(run.due_at, following.due_at)
        run.attempts = following.failures
        run.fault = following.error
        raise_agenda(session, run.stage_entry)
        return
    states = {each.state for each in deliveries}
    if DeliveryState.SENDING in states:
        return
    if DeliveryState.UNCERTAIN in states:
        hold_run(session, run, Hold.UNCERTAIN)
        return
    failed = DeliveryState.FAILED in states
    state = RunState.FAILED if failed else RunState.DONE
    told = [run.outcome or "", *(each.outcome or "" for each in deliveries)]
    await finish_run(session, run, state, " ".join(filter(None, told)))


def _after(last: datetime | None, due_at: datetime | None) -> datetime:
    """Return when a delivery is due, never at the moment when the last was.

    A step that comes back with its old time would seem not to have been done.
    """
    due = max(due_at or clock.now(), clock.now())
    return due + timedelta.resolution if due == last else due


async def its_deliveries(session: AsyncSession, run: RuleRun) -> Sequence[Delivery]:
    """Return the deliveries that the action of a locked run wrote when it was done last."""
    return await deliveries_of(session, run.id, run.began_at)


def stay_open_until(session: AsyncSession, run: RuleRun, until: datetime) -> None:
    """Let a run that stays open end at another moment, at the earliest now."""
    if until != run.due_at:
        _be_due(session, run, max(until, clock.now()))


def _be_due(session: AsyncSession, run: RuleRun, at: datetime) -> None:
    run.due_at = at
    if run.state is RunState.IN_PROGRESS:
        run.outcome = f"{run.outcome} Now until {at:%Y-%m-%d %H:%M} UTC."
    raise_agenda(session, run.stage_entry)


async def conclude(
    session: AsyncSession,
    run: RuleRun,
    outcome: str,
    *,
    by: User | None = None,
    **result: object,
) -> None:
    """End a locked run that stayed open: what it waited for has come. Others stay as they are.

    `result` is added to what its action has left for the rules below.
    """
    if run.is_open and run.began_at is not None and not run.is_delivering:
        run.result = (run.result or {}) | to_jsonable_python(result)
        await finish_run(session, run, RunState.DONE, outcome, by=by)


def record_fault(session: AsyncSession, run: RuleRun) -> bool:
    """Put a run back on the agenda after a fault; False if its day is over and it must fail."""
    if run.attempts >= len(FAULT_PAUSES):
        return False
    run.due_at = clock.now() + FAULT_PAUSES[run.attempts]
    run.attempts += 1
    run.state = RunState.RETRYING
    raise_agenda(session, run.stage_entry)
    return True


def hold_run(session: AsyncSession, run: RuleRun, because: Hold) -> None:
    """Take a run off the agenda until its reason is gone."""
    run.state = RunState.HELD
    run.held_because = because
    raise_agenda(session, run.stage_entry)


def run_now(session: AsyncSession, run: RuleRun) -> None:
    """Make a waiting run due at this moment, whatever it waited for."""
    _must_wait(run, "run now")
    run.due_at = clock.now()
    run.by_hand = True
    raise_agenda(session, run.stage_entry)


def postpone(session: AsyncSession, run: RuleRun, until: datetime) -> None:
    """Let a waiting run wait until another moment, which must be still to come."""
    _must_wait(run, "be postponed")
    if until <= clock.now():
        raise Invalid(Problem("/until", "This moment is past already."))
    _be_due(session, run, until)
    run.by_hand = True


async def skip(session: AsyncSession, run: RuleRun, by: User) -> None:
    """End an open run without doing anything."""
    if not run.is_open or run.state is RunState.DELIVERING:
        raise Conflict(f"Run {run.id} is {run.state} and can no longer be skipped.")
    if run.began_at is not None and not run.is_delivering:
        run.result = (run.result or {}) | {"ended_by": "person"}
    await finish_run(session, run, RunState.SKIPPED, f"Skipped by {by.name}.", by=by)


def retry(session: AsyncSession, run: RuleRun) -> None:
    """Let a failed run try again at once; those below that it has stopped wait for it again."""
    if run.state is not RunState.FAILED:
        raise Conflict(f"Run {run.id} is {run.state}; only a failed run can be tried again.")
    if run.item.deleted_at is not None:
        raise Conflict(f"{run.item.called} is in the recycle bin.".capitalize())
    if run.stage_entry.left_at is not None and not run.keep:
        raise Conflict(f"The item has left the stage where run {run.id} belongs.")
    run.state = RunState.WAITING
    run.due_at = clock.now()
    run.attempts = 0
    run.fault = run.outcome = run.finished_at = None
    if run.next_activity == DELIVER:  # It is done anew, as what it sends may be mended by now.
        run.next_activity = run.version.action
        run.began_at = None
    if run.began_at is None:
        run.comparisons = run.result = None
    below = run.successor
    while below is not None and below.outcome == _stopped_by(run):
        below.state = RunState.WAITING
        below.outcome = below.finished_at = None
        below = below.successor
    raise_agenda(session, run.stage_entry)


def _must_wait(run: RuleRun, what: str) -> None:
    if run.state is RunState.HELD:
        raise Conflict(f"Run {run.id} cannot {what}: it is held, {run.held_because}.")
    timed = run.state is RunState.IN_PROGRESS and run.due_at is not None
    if run.state not in {RunState.WAITING, RunState.RETRYING} and not timed:
        raise Conflict(f"Run {run.id} is {run.state} and cannot {what}.")


async def count_waiting(session: AsyncSession, rule_id: int) -> int:
    """Return how many runs of a rule are still open."""
    found = await session.scalar(
        select(func.count())
        .select_from(RuleRun)
        .where(RuleRun.rule_id == rule_id, RuleRun.state.in_(OPEN))
    )
    return found or 0


async def count_waiting_of(session: AsyncSession, rule_ids: Sequence[int]) -> dict[int, int]:
    """Return how many runs of each rule are still open; rules without any are left out."""
    found = await session.execute(
        select(RuleRun.rule_id, func.count())
        .where(RuleRun.rule_id.in_(rule_ids), RuleRun.state.in_(OPEN))
        .group_by(RuleRun.rule_id)
    )
    return dict(found.all())


async def count_waiting_in(session: AsyncSession, stage_ids: Sequence[int]) -> int:
    """Return how many runs of all rules of these stages are still open."""
    found = await session.scalar(
        select(func.count())
        .select_from(RuleRun)
        .join(Rule, RuleRun.rule_id == Rule.id)
        .where(Rule.stage_id.in_(stage_ids), RuleRun.state.in_(OPEN))
    )
    return found or 0


async def ran_before(
    session: AsyncSession, item_ids: Sequence[int | None], rule_ids: Sequence[int]
) -> set[tuple[int, int]]:
    """Return which items (first) one of these rules (second) has run for, or is waiting to."""
    known = in_order(item_ids)
    if not rule_ids or not known:
        return set()
    found = await session.execute(
        select(RuleRun.item_id, RuleRun.rule_id).where(
            RuleRun.item_id.in_(known),
            RuleRun.rule_id.in_(rule_ids),
            RuleRun.state.in_([RunState.DONE, *OPEN]),
        )
    )
    return {(item_id, rule_id) for item_id, rule_id in found}


async def hold_all(session: AsyncSession, rule_id: int) -> None:
    """Hold every waiting run of a rule that was switched off.

    Temporal is not told: when the old time comes, the fence turns the run away.
    """
    await _change_in_bulk(
        session,
        (RuleRun.rule_id == rule_id)
        & RuleRun.state.in_([RunState.WAITING, RunState.RETRYING, RunState.DELIVERING])
        & (RuleRun.began_at.is_(None) | (RuleRun.next_activity == DELIVER)),
        {"state": RunState.HELD, "held_because": Hold.RULE_OFF},
        tell=False,
    )


async def release_all(session: AsyncSession, because: Hold, rule_id: int | None = None) -> None:
    """Let runs that were held for this reason wait again; overdue ones run late, at once."""
    held = (RuleRun.state == RunState.HELD) & (RuleRun.held_because == because)
    delivers, kind = RuleRun.next_activity == DELIVER, RuleRun.state.type
    goes_on = case(
        (delivers & (RuleRun.attempts > 0), literal(RunState.RETRYING, kind)),
        (delivers, literal(RunState.DELIVERING, kind)),
        else_=literal(RunState.WAITING, kind),
    )
    await _change_in_bulk(
        session,
        held if rule_id is None else held & (RuleRun.rule_id == rule_id),
        {"state": goes_on, "held_because": None},
        tell=True,
    )


async def _change_in_bulk(
    session: AsyncSession, which: ColumnElement[bool], values: dict[str, Any], *, tell: bool
) -> None:
    """Change many runs in few statements: their entries (locked in order) first, then the runs."""
    entry = RuleRun.stage_entry.property.mapper.class_
    touched = select(RuleRun.stage_entry_id).where(which)
    locked = select(entry.id).where(entry.id.in_(touched)).order_by(entry.id).with_for_update()
    was_told = entry.told_version == entry.agenda_version
    known = entry.agenda_version + 1
    changes: dict[str, Any] = {"agenda_version": known, "changed_at": clock.now()}
    if not tell:
        changes["told_version"] = case((was_told, known), else_=entry.told_version)
    await session.flush()
    counted = await session.scalars(
        update(entry)
        .where(entry.id.in_(locked))
        .values(changes)
        .returning(entry.id)
        .execution_options(synchronize_session=False)
    )
    entry_ids = sorted(counted)
    for start in range(0, len(entry_ids), MOST_AT_ONCE):
        # A run that has come to be one of them since belongs to an entry that was not counted up.
        these = RuleRun.stage_entry_id.in_(entry_ids[start : start + MOST_AT_ONCE])
        await session.execute(
            update(RuleRun)
            .where(which, these)
            .values(values)
            .execution_options(synchronize_session=False)
        )
    if tell:
        untold(session).add(None)
