"""Re-timing: runs that wait around a date of their item follow it when it changes."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.installation import installation
from models.item import Item
from models.rule import RuleVersion
from models.rule_run import RuleRun, RunState, finish_run, next_due, raise_agenda
from models.stage_entry import Cause, StageEntry, lock_entries

FOLLOWING = (RunState.WAITING, RunState.HELD)


async def retime(session: AsyncSession, item: Item, names: Collection[str], cause: Cause) -> None:
    """Let runs of a locked item wait for what these fields say now, also runs that were kept.

    `names` are as the item calls them: `close_date`, `custom.renewal`. A date is a new fact: it
    wins over a moment that somebody has postponed a run to. What is due already stays due.
    """
    paths = [f"{root}.{name}" for root in (item.type, "item") for name in names]
    waiting = (
        select(RuleRun.stage_entry_id)
        .join(RuleRun.version)
        .where(
            RuleRun.item_id == item.id,
            RuleRun.state.in_(FOLLOWING),
            RuleVersion.timing["field"].as_string().in_(paths),
        )
    )
    for entry in await lock_entries(session, [item], StageEntry.id.in_(waiting)):
        for run in entry.runs:
            if _follows(run, paths) and run is not cause.run:
                await _wait_anew(session, run, cause)


def _follows(run: RuleRun, paths: Collection[str]) -> bool:
    """Tell whether a run waits for one of these fields, and for its time still to come."""
    above = run.predecessor
    if run.state not in FOLLOWING or (above is not None and above.is_open):
        return False
    if run.state is RunState.WAITING and run.due_at is not None and run.due_at <= clock.now():
        return False
    around = run.around
    return around is not None and around.field in paths


async def _wait_anew(session: AsyncSession, run: RuleRun, cause: Cause) -> None:
    home = await installation(session)
    due = next_due(run, clock.now(), home.time_zone)
    if due.skipped is not None:
        await finish_run(session, run, RunState.SKIPPED, due.skipped, by=cause.user)
    elif due.at != run.due_at:
        run.due_at = due.at
        raise_agenda(session, run.stage_entry)
