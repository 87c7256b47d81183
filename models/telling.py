"""What Temporal has still to be told: rows that wait are their own outbox, and this is its SQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, false, func, or_, select, true, union, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.sql.elements import SQLCoreOperations

from models import clock
from models.agenda import AnyAgenda, crm_activity_workflow_id, workflow_id
from models.crm_activity import CrmActivity
from models.history import HistoryKind, about_item
from models.installation import Installation
from models.item import Item
from models.item_type import ItemType
from models.pipeline import Stage
from models.reminders import Reminder
from models.rule_run import DELIVER, ON_THE_AGENDA, RuleRun
from models.stage_entry import StageEntry

LEASE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=5)
LATE = timedelta(minutes=1)
LATE_DELIVERY = timedelta(minutes=15)
"""Many due at once may have to wait long for their turn: they are not lost."""

MOST_AT_ONCE = 200

Kind = type[StageEntry] | type[CrmActivity]
"""What waits with the help of Temporal: each row of these tables has an agenda."""


class _Steps(NamedTuple):
    """The steps of one kind: whose they are, when due, which are open, what history calls them.

    Those that are `throttled` have a rate limit to wait for.
    """

    of: SQLCoreOperations[int]
    due_at: SQLCoreOperations[datetime | None]
    are_open: ColumnElement[bool]
    history: HistoryKind
    throttled: ColumnElement[bool] = false()


STEPS: Mapping[Kind, _Steps] = {
    StageEntry: _Steps(
        RuleRun.stage_entry_id,
        RuleRun.due_at,
        RuleRun.state.in_(ON_THE_AGENDA),
        HistoryKind.RULE_RUN,
        throttled=RuleRun.next_activity == DELIVER,
    ),
    CrmActivity: _Steps(
        Reminder.crm_activity_id,
        Reminder.due_at,
        Reminder.due_at.is_not(None),
        HistoryKind.CRM_ACTIVITY,
    ),
}
KINDS = tuple(STEPS)

_TO_TELL: Mapping[Kind, Sequence[ExecutableOption]] = {
    StageEntry: (
        joinedload(StageEntry.item, innerjoin=True).load_only(Item.type),
        joinedload(StageEntry.stage, innerjoin=True).joinedload(Stage.pipeline, innerjoin=True),
        selectinload(StageEntry.runs).joinedload(RuleRun.version, innerjoin=True),
    ),
    CrmActivity: (
        joinedload(CrmActivity.item, innerjoin=True).load_only(Item.type),
        selectinload(CrmActivity.reminders),
    ),
}


@dataclass(frozen=True, eq=False)
class Tell:
    """One row to tell of: its agenda now, and what names it in Temporal's UI."""

    kind: Kind
    agenda: AnyAgenda[Any]
    never_told: bool
    attempts: int
    workflow_id: str
    summary: str
    """Without names of people: "Deal 42 in Sales › Closed won", "Call 17 of deal 42"."""

    item_type: ItemType
    item_id: int
    pipeline_id: int | None = None
    stage_id: int | None = None

    @property
    def begins(self) -> bool:
        """Whether a workflow is to start: every entry has one, else only what has steps."""
        return self.never_told and (self.kind is StageEntry or bool(self.agenda.items))


async def claim(session: AsyncSession, kind: Kind, lease: UUID, *, limit: int) -> list[Tell]:
    """Take rows that Temporal must be told of, new ones first, and load their agendas.

    Half of them are the oldest, so that none waits for ever, and half the newest: who moves one
    deal after somebody else has moved a thousand does not wait for all of those to be told. Nobody
    else takes them until the lease ends. Versions and steps are of one snapshot or the steps are
    newer, which is safe.
    """
    now = clock.now()
    # Asked once: PostgreSQL may run a mere subquery for every row, and find others each time.
    oldest = _untold(kind, now, kind.id, limit - limit // 2).cte("oldest")
    newest = _untold(kind, now, kind.id.desc(), limit // 2).cte("newest")
    claimed = await session.scalars(
        update(kind)
        .where(kind.id.in_(union(select(oldest.c.id), select(newest.c.id))))
        .values(lease_token=lease, tell_after=now + LEASE)
        .returning(kind.id)
        .execution_options(synchronize_session=False)
    )
    ids = sorted(claimed)
    if not ids:
        return []
    wanted: Select[Any, UUID] = (
        select(kind, Installation.database_id)
        .join(Installation, true())
        .where(kind.id.in_(ids))
        .order_by(kind.id)
        .options(*_TO_TELL[kind])
        .execution_options(populate_existing=True)
    )
    found = await session.execute(wanted)
    return [_tell(row, database_id) for row, database_id in found]


def _untold(kind: Kind, now: datetime, order: SQLCoreOperations[int], limit: int) -> Select[int]:
    return (
        select(kind.id)
        .where(
            kind.told_version < kind.agenda_version,
            or_(kind.tell_after.is_(None), kind.tell_after <= now),
        )
        .order_by(kind.told_version != 0, order)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )


def _tell(row: StageEntry | CrmActivity, database_id: UUID) -> Tell:
    item = row.its_item if isinstance(row, CrmActivity) else row.item
    stage = row.stage if isinstance(row, StageEntry) else None
    return Tell(
        kind=type(row),
        agenda=row.agenda(database_id),
        never_told=row.told_version == 0,
        attempts=row.tell_attempts,
        workflow_id=row.workflow_id,
        summary=_summary(row),
        item_type=item.type,
        item_id=item.id,
        pipeline_id=None if stage is None else stage.pipeline_id,
        stage_id=None if stage is None else stage.id,
    )


def _summary(row: StageEntry | CrmActivity) -> str:
    if isinstance(row, CrmActivity):
        return f"{row.called.capitalize()} of {row.its_item.called}"
    return f"{row.item.called.capitalize()} in {row.stage.pipeline.name} › {row.stage.name}"


async def mark_told(
    session: AsyncSession, kind: Kind, lease: UUID, told: dict[int, int]
) -> set[int]:
    """Note the versions (by row id) that Temporal has now; return the ids that were noted.

    A row that somebody has locked at the moment is left out: try again.
    """
    mine = (
        select(kind.id)
        .where(kind.id.in_(told), kind.lease_token == lease)
        .order_by(kind.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    version = case(told, value=kind.id)
    noted = await session.scalars(
        update(kind)
        .where(kind.id.in_(mine))
        .values(
            told_version=case((kind.told_version < version, version), else_=kind.told_version),
            tell_after=None,
            tell_attempts=0,
            tell_error=None,
            lease_token=None,
        )
        .returning(kind.id)
        .execution_options(synchronize_session=False)
    )
    return set(noted)


async def still_leased(session: AsyncSession, kind: Kind, lease: UUID, ids: set[int]) -> set[int]:
    """Return which of these rows are still under the lease."""
    if not ids:
        return set()
    found = await session.scalars(
        select(kind.id).where(kind.id.in_(ids), kind.lease_token == lease)
    )
    return set(found)


async def mark_failed(session: AsyncSession, lease: UUID, failures: dict[Tell, str]) -> None:
    """Let rows that could not be told of wait, longer each time up to five minutes."""
    for tell, error in failures.items():
        pause = min(timedelta(seconds=2 ** min(tell.attempts, 9)), LONGEST_PAUSE)
        await session.execute(
            update(tell.kind)
            .where(tell.kind.id == tell.agenda.row_id, tell.kind.lease_token == lease)
            .values(
                tell_attempts=tell.attempts + 1,
                tell_after=clock.now() + pause,
                tell_error=error,
                lease_token=None,
            )
            .execution_options(synchronize_session=False)
        )


async def tell_again(session: AsyncSession, kind: Kind, ids: set[int]) -> None:
    """Forget what these rows' workflows were told, so that they are told the newest."""
    if not ids:
        return
    await _forget(session, kind, kind.id.in_(sorted(ids)))


async def tell_all_again(session: AsyncSession) -> None:
    """Temporal has forgotten everything: tell it of all that has something to do."""
    for kind, steps in STEPS.items():
        await _forget(session, kind, kind.id.in_(select(steps.of).where(steps.are_open)))


async def wanted_workflows(session: AsyncSession) -> list[str]:
    """Return the ids of the workflows that should be running: of all that has something to do."""
    entries = await session.execute(
        select(Item.type, Item.id, StageEntry.id)
        .join(StageEntry, StageEntry.item_id == Item.id)
        .where(StageEntry.id.in_(_steps_with_a_time(StageEntry)))
        .order_by(StageEntry.id)
    )
    crm_activities = await session.scalars(
        select(CrmActivity.id)
        .where(CrmActivity.id.in_(_steps_with_a_time(CrmActivity)))
        .order_by(CrmActivity.id)
    )
    return [
        *(workflow_id(*each) for each in entries),
        *(crm_activity_workflow_id(each) for each in crm_activities),
    ]


def _steps_with_a_time(kind: Kind) -> Select[int]:
    steps = STEPS[kind]
    return select(steps.of).where(steps.are_open, steps.due_at.is_not(None))


async def tell_overdue_again(session: AsyncSession) -> int:
    """Tell of steps that were due a minute ago, the latest first; return how many there are.

    A bounded number each time: where many wait for a free worker, telling again helps nobody.
    """
    count = 0
    for kind, steps in STEPS.items():
        very_late = steps.due_at < clock.now() - LATE_DELIVERY
        late = steps.are_open & (steps.due_at < clock.now() - LATE) & (~steps.throttled | very_late)
        overdue = await session.scalar(select(func.count()).where(late))
        if overdue:
            oldest = select(steps.of).where(late).order_by(steps.due_at).limit(MOST_AT_ONCE)
            # As a new version: a living workflow that has it wrong would not believe the old one.
            await _forget(session, kind, kind.id.in_(oldest), raised_by=1)
            count += overdue
    return count


async def tell_terminated_again(session: AsyncSession, kind: Kind, ids: Collection[int]) -> None:
    """Somebody terminated the workflows of these rows: start those again that have work left.

    Terminating runs no code of ours, so it stops nothing for good; the item's history says so.
    """
    steps = STEPS[kind]
    wanted: Select[Any] = (
        select(kind)
        .where(
            kind.id.in_(ids),
            kind.id.in_(select(steps.of).where(steps.are_open)),
            kind.told_version == kind.agenda_version,
        )
        .order_by(kind.id)
        .options(joinedload(kind.item, innerjoin=True))
        .with_for_update(of=kind)
    )
    for row in await session.scalars(wanted):
        row.told_version = 0
        text = f"Workflow {row.workflow_id} was terminated in Temporal and is started again."
        session.add(about_item(row.item, steps.history, text))


async def _forget(
    session: AsyncSession, kind: Kind, which: ColumnElement[bool], *, raised_by: int = 0
) -> None:
    locked = select(kind.id).where(which).order_by(kind.id).with_for_update()
    await session.execute(
        update(kind)
        .where(kind.id.in_(locked), kind.told_version > 0)
        .values(
            told_version=0,
            agenda_version=kind.agenda_version + raised_by,
            changed_at=clock.now(),  # Else the relay would seem to be behind since the last change.
        )
        .execution_options(synchronize_session=False)
    )


async def bring_forward(session: AsyncSession) -> None:
    """Temporal answers again: do not let anything wait for the end of its pause."""
    for kind in KINDS:
        await session.execute(
            update(kind)
            .where(
                kind.told_version < kind.agenda_version,
                kind.lease_token.is_(None),
                kind.tell_error.is_not(None),
            )
            .values(tell_after=None)
            .execution_options(synchronize_session=False)
        )


async def oldest_untold(session: AsyncSession) -> datetime | None:
    """Return when the agenda changed of which Temporal has waited longest to hear."""
    found = [
        await session.scalar(
            select(func.min(kind.changed_at)).where(kind.told_version < kind.agenda_version)
        )
        for kind in KINDS
    ]
    return min((moment for moment in found if moment is not None), default=None)


async def last_tell_error(session: AsyncSession) -> str | None:
    """Return why a row could not be told of, if one waits because of that."""
    for kind in KINDS:
        found: str | None = await session.scalar(
            select(kind.tell_error)
            .where(kind.told_version < kind.agenda_version, kind.tell_error.is_not(None))
            .order_by(kind.tell_attempts.desc())
            .limit(1)
        )
        if found is not None:
            return found
    return None
