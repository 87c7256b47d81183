"""Re-timing: runs that wait follow what they are timed by when that changes.

A date of their item is a new fact: it wins over a moment that somebody has postponed a run to. A
calendar (working hours, holidays, a time zone, who is responsible) moves only what nobody has
postponed by hand. What is due already stays due.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.calendars import Calendars, calendars_for, counts_on_people
from models.item import Item
from models.outbox import raise_agenda
from models.rule import RuleVersion
from models.rule_run import RuleRun, RunState, finish_run, next_due
from models.stage_entry import Cause, StageEntry, lock_entries
from models.timing import Hours
from models.user import User
from models.wait import follow_date, waiting_until

FOLLOWING = (RunState.WAITING, RunState.HELD)

RESPONSIBLE = "responsible_id"


class Retimed(NamedTuple):
    """A run that is due at another moment now, or at none: it was skipped, or waits for a date."""

    item: str
    title: str
    before: datetime
    after: datetime | None
    reason: str | None = None

    def in_words(self) -> str:
        """Return the run and its two times: `deal 42 «Call»: 2027-03-01 09:00 → 10:00 UTC`."""
        if self.after is None:
            now = f"skipped, {self.reason}" if self.reason else "waits for its date"
        else:
            same_day = self.after.date() == self.before.date()
            now = f"{self.after:%H:%M} UTC" if same_day else f"{self.after:%Y-%m-%d %H:%M} UTC"
        return f"{self.item} «{self.title}»: {self.before:%Y-%m-%d %H:%M} → {now}"


async def retime(session: AsyncSession, item: Item, names: Collection[str], cause: Cause) -> None:
    """Let runs of a locked item wait for what these fields say now, also runs that were kept.

    `names` are as the item calls them: `close_date`, `custom.renewal`, `responsible_id`.
    """
    paths = [f"{root}.{name}" for root in (item.type, "item") for name in names]
    concerned = [RuleVersion.timing["field"].as_string().in_(paths), waiting_until(paths)]
    if RESPONSIBLE in names:
        concerned.append(RuleVersion.timing["working_hours"].as_string() == Hours.RESPONSIBLE)
    waiting = (
        select(RuleRun.stage_entry_id)
        .join(RuleRun.version)
        .where(
            RuleRun.item_id == item.id,
            RuleRun.state.in_([*FOLLOWING, RunState.IN_PROGRESS]),
            or_(*concerned),
        )
    )
    entries = await lock_entries(session, [item], StageEntry.id.in_(waiting))
    runs = [run for entry in entries for run in entry.runs]
    calendars = await calendars_for(session, [item], [run.version for run in runs])
    for run in runs:
        if _waits(run) and run is not cause.acting:
            anchor = _anchor(run, paths)
            if anchor is not None:
                await _wait_anew(session, run, anchor, calendars, by=cause.user)
        follow_date(session, run, paths, calendars.home.time_zone)


def _anchor(run: RuleRun, paths: Collection[str]) -> datetime | None:
    """Return from when a run counts anew if one of these fields has changed; None if it does not.

    That is now for one around a date; for who is responsible, since when it has counted.
    """
    if run.around is not None and run.around.field in paths:
        return clock.now()
    handed_over = any(path.endswith(f".{RESPONSIBLE}") for path in paths)
    return run.anchor if handed_over and counts_on_people(run.version) and not run.by_hand else None


def _waits(run: RuleRun) -> bool:
    """Tell whether a run waits for its time, still to come, and not for the run above."""
    above = run.predecessor
    if run.state not in FOLLOWING or (above is not None and above.is_open):
        return False
    due = run.state is RunState.WAITING and run.due_at is not None and run.due_at <= clock.now()
    return run.began_at is None and not due


async def _wait_anew(
    session: AsyncSession,
    run: RuleRun,
    anchor: datetime,
    calendars: Calendars,
    *,
    by: User | None = None,
) -> None:
    """Let a locked run that waits be due as its rule says now; what is past by then is due now."""
    due = next_due(run, anchor, calendars)
    run.by_hand = False
    if due.skipped is not None:
        await finish_run(session, run, RunState.SKIPPED, due.skipped, by=by)
        return
    at = due.at and max(due.at, clock.now())
    if at != run.due_at:
        run.due_at = at
        raise_agenda(session, run.stage_entry)


async def start_anew(session: AsyncSession, run: RuleRun, *, by: User) -> None:
    """Let a locked run that has not begun be due as its rule, which is another one now, says."""
    run.by_hand = False
    above = run.predecessor
    if above is not None and above.is_open:
        run.due_at = None
    else:
        calendars = await calendars_for(session, [run.item], [run.version])
        await _wait_anew(session, run, run.anchor, calendars, by=by)
    raise_agenda(session, run.stage_entry)


async def retime_all(session: AsyncSession, item_ids: Sequence[int]) -> list[Retimed]:
    """Let whatever waits for these items be due as calendars and time zones are now.

    Return what has changed. Doing it again changes nothing.
    """
    items = await session.scalars(
        select(Item)
        .where(Item.id.in_(item_ids))
        .order_by(Item.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    open_here = select(RuleRun.stage_entry_id).where(
        RuleRun.item_id.in_(item_ids), RuleRun.state.in_(FOLLOWING)
    )
    entries = await lock_entries(session, items.all(), StageEntry.id.in_(open_here))
    runs = [run for entry in entries for run in entry.runs]
    versions = [run.version for run in runs]
    calendars = await calendars_for(session, [run.item for run in runs], versions)
    changed = []
    for run in runs:
        before = run.due_at
        if _waits(run) and not run.by_hand and before is not None and before > clock.now():
            await _wait_anew(session, run, run.anchor, calendars)
            if run.due_at != before or not run.is_open:
                after = run.due_at if run.is_open else None
                changed.append(
                    Retimed(run.item.called, run.version.title, before, after, run.outcome)
                )
    return changed
