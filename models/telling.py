"""What Temporal has still to be told: stage entries are their own outbox, and this is its SQL."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from models import clock
from models.agenda import Agenda
from models.history import HistoryKind, about_item
from models.installation import Installation
from models.item import Item
from models.item_type import ItemType
from models.pipeline import Stage
from models.rule_run import ON_THE_AGENDA, RuleRun
from models.stage_entry import StageEntry

LEASE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=5)
LATE = timedelta(minutes=1)
MOST_AT_ONCE = 200


@dataclass(frozen=True, eq=False)
class Tell:
    """One entry to tell of: its agenda now, and what names it in Temporal's UI."""

    agenda: Agenda
    never_told: bool
    attempts: int
    item_type: ItemType
    item_id: int
    pipeline_id: int
    stage_id: int
    place: str
    """Pipeline and stage by name: "Sales › Closed won"."""


async def claim(session: AsyncSession, lease: UUID, *, limit: int) -> list[Tell]:
    """Take entries that Temporal must be told of, new ones first, and load their agendas.

    Nobody else takes them until the lease ends. Versions and runs are of one snapshot or the
    runs are newer, which is safe.
    """
    now = clock.now()
    waiting = (
        select(StageEntry.id)
        .where(
            StageEntry.told_version < StageEntry.agenda_version,
            or_(StageEntry.tell_after.is_(None), StageEntry.tell_after <= now),
        )
        .order_by(StageEntry.told_version != 0, StageEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
        # Asked once: PostgreSQL may run a mere subquery for every row, and find others each time.
        .cte("waiting")
    )
    claimed = await session.scalars(
        update(StageEntry)
        .where(StageEntry.id.in_(select(waiting.c.id)))
        .values(lease_token=lease, tell_after=now + LEASE)
        .returning(StageEntry.id)
        .execution_options(synchronize_session=False)
    )
    ids = sorted(claimed)
    if not ids:
        return []
    found = await session.execute(
        select(StageEntry, Installation.database_id)
        .join(Installation, true())
        .where(StageEntry.id.in_(ids))
        .order_by(StageEntry.id)
        .options(
            joinedload(StageEntry.item, innerjoin=True).load_only(Item.type),
            joinedload(StageEntry.stage, innerjoin=True).joinedload(Stage.pipeline, innerjoin=True),
            selectinload(StageEntry.runs).joinedload(RuleRun.version, innerjoin=True),
        )
        .execution_options(populate_existing=True)
    )
    return [_tell(entry, database_id) for entry, database_id in found]


def _tell(entry: StageEntry, database_id: UUID) -> Tell:
    pipeline = entry.stage.pipeline
    return Tell(
        agenda=entry.agenda(database_id),
        never_told=entry.told_version == 0,
        attempts=entry.tell_attempts,
        item_type=entry.item.type,
        item_id=entry.item_id,
        pipeline_id=pipeline.id,
        stage_id=entry.stage_id,
        place=f"{pipeline.name} › {entry.stage.name}",
    )


async def mark_told(session: AsyncSession, lease: UUID, told: dict[int, int]) -> set[int]:
    """Note the versions (by entry id) that Temporal has now; return the ids that were noted.

    An entry that somebody has locked at the moment is left out: try again.
    """
    mine = (
        select(StageEntry.id)
        .where(StageEntry.id.in_(told), StageEntry.lease_token == lease)
        .order_by(StageEntry.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    version = case(told, value=StageEntry.id)
    noted = await session.scalars(
        update(StageEntry)
        .where(StageEntry.id.in_(mine))
        .values(
            told_version=case(
                (StageEntry.told_version < version, version), else_=StageEntry.told_version
            ),
            tell_after=None,
            tell_attempts=0,
            tell_error=None,
            lease_token=None,
        )
        .returning(StageEntry.id)
        .execution_options(synchronize_session=False)
    )
    return set(noted)


async def still_leased(session: AsyncSession, lease: UUID, ids: set[int]) -> set[int]:
    """Return which of these entries are still under the lease."""
    if not ids:
        return set()
    found = await session.scalars(
        select(StageEntry.id).where(StageEntry.id.in_(ids), StageEntry.lease_token == lease)
    )
    return set(found)


async def mark_failed(session: AsyncSession, lease: UUID, failures: dict[Tell, str]) -> None:
    """Let entries that could not be told wait, longer each time up to five minutes."""
    for tell, error in failures.items():
        pause = min(timedelta(seconds=2 ** min(tell.attempts, 9)), LONGEST_PAUSE)
        await session.execute(
            update(StageEntry)
            .where(StageEntry.id == tell.agenda.entry_id, StageEntry.lease_token == lease)
            .values(
                tell_attempts=tell.attempts + 1,
                tell_after=clock.now() + pause,
                tell_error=error,
                lease_token=None,
            )
            .execution_options(synchronize_session=False)
        )


async def tell_again(session: AsyncSession, entry_ids: set[int]) -> None:
    """Forget what these entries' workflows were told, so that they are told the newest."""
    if not entry_ids:
        return
    await _forget(session, StageEntry.id.in_(sorted(entry_ids)))


async def tell_all_again(session: AsyncSession) -> None:
    """Temporal has forgotten everything: tell it of every entry that has something to do."""
    on_the_agenda = select(RuleRun.stage_entry_id).where(RuleRun.state.in_(ON_THE_AGENDA))
    await _forget(session, StageEntry.id.in_(on_the_agenda))


async def tell_overdue_again(session: AsyncSession) -> int:
    """Tell of runs that should have run a minute ago, the latest first; return how many there are.

    A bounded number each time: where many wait for a free worker, telling again helps nobody.
    """
    late = RuleRun.state.in_(ON_THE_AGENDA) & (RuleRun.due_at < clock.now() - LATE)
    count = await session.scalar(select(func.count()).select_from(RuleRun).where(late))
    if count:
        oldest = (
            select(RuleRun.stage_entry_id).where(late).order_by(RuleRun.due_at).limit(MOST_AT_ONCE)
        )
        # As a new version: a living workflow that has it wrong would not believe the same again.
        await _forget(session, StageEntry.id.in_(oldest), raised_by=1)
    return count or 0


async def tell_terminated_again(session: AsyncSession, entry_ids: Collection[int]) -> None:
    """Somebody terminated the workflows of these entries: start those again that have work left.

    Terminating runs no code of ours, so it stops nothing for good; the item's history says so.
    """
    on_the_agenda = select(RuleRun.stage_entry_id).where(RuleRun.state.in_(ON_THE_AGENDA))
    entries = await session.scalars(
        select(StageEntry)
        .where(
            StageEntry.id.in_(entry_ids),
            StageEntry.id.in_(on_the_agenda),
            StageEntry.told_version == StageEntry.agenda_version,
        )
        .order_by(StageEntry.id)
        .options(joinedload(StageEntry.item, innerjoin=True))
        .with_for_update(of=StageEntry)
    )
    for entry in entries:
        entry.told_version = 0
        text = f"Workflow {entry.workflow_id} was terminated in Temporal and is started again."
        session.add(about_item(entry.item, HistoryKind.RULE_RUN, text))


async def _forget(session: AsyncSession, which: ColumnElement[bool], *, raised_by: int = 0) -> None:
    locked = select(StageEntry.id).where(which).order_by(StageEntry.id).with_for_update()
    await session.execute(
        update(StageEntry)
        .where(StageEntry.id.in_(locked), StageEntry.told_version > 0)
        .values(
            told_version=0,
            agenda_version=StageEntry.agenda_version + raised_by,
            changed_at=clock.now(),  # Else the relay would seem to be behind since the last change.
        )
        .execution_options(synchronize_session=False)
    )


async def bring_forward(session: AsyncSession) -> None:
    """Temporal answers again: do not let anything wait for the end of its pause."""
    await session.execute(
        update(StageEntry)
        .where(
            StageEntry.told_version < StageEntry.agenda_version,
            StageEntry.lease_token.is_(None),
            StageEntry.tell_error.is_not(None),
        )
        .values(tell_after=None)
        .execution_options(synchronize_session=False)
    )


async def oldest_untold(session: AsyncSession) -> datetime | None:
    """Return when the agenda changed of which Temporal has waited longest to hear."""
    found: datetime | None = await session.scalar(
        select(func.min(StageEntry.changed_at)).where(
            StageEntry.told_version < StageEntry.agenda_version
        )
    )
    return found


async def last_tell_error(session: AsyncSession) -> str | None:
    """Return why an entry could not be told, if one waits because of that."""
    found: str | None = await session.scalar(
        select(StageEntry.tell_error)
        .where(
            StageEntry.told_version < StageEntry.agenda_version,
            StageEntry.tell_error.is_not(None),
        )
        .order_by(StageEntry.tell_attempts.desc())
        .limit(1)
    )
    return found
