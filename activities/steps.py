"""Steps: what is true of every step of a stage entry, whoever is offered it.

One transaction at the time that Temporal says: lock, fence, change, the agenda as reply. What a
step meets that is a fault of ours is told by its kind only; its words stay with the run.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import structlog
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from activities.transaction import Pause, in_transaction, no_pause, told_by_kind
from models.agenda import Agenda, Step
from models.database import Database
from models.installation import Installation, installation
from models.outbox import told_by_reply
from models.rule import is_enabled
from models.rule_run import ON_THE_AGENDA, OPEN, Hold, RuleRun, RunState, finish_run, hold_run
from models.settings import Automation, Settings
from models.stage_entry import StageEntry, lock_entry
from models.triggering import fire_triggers

log = structlog.get_logger()

Answer = TypeVar("Answer")


class Place(NamedTuple):
    """A step that passed the fence: its item, entry and run are locked."""

    session: AsyncSession
    home: Installation
    entry: StageEntry
    run: RuleRun


Change = Callable[[Place], Awaitable[None]]


class Steps:
    """Takes steps as workflows offer them, and replies with agendas; `pause` is for tests."""

    def __init__(self, database: Database, settings: Settings, pause: Pause = no_pause) -> None:
        self.database = database
        self.settings = settings
        self.pause = pause

    async def at_its_time(self, step: Step, change: Change) -> Agenda:
        """Do a whole step in one transaction, if it still stands as the workflow saw it."""
        agenda = await self.fenced(step, change)
        await self.pause("commit/reply")
        return agenda

    async def fenced(self, step: Step, change: Change) -> Agenda:
        """Change the step's run if the step still stands as the workflow saw it."""

        async def if_it_stands(
            session: AsyncSession, home: Installation, entry: StageEntry
        ) -> None:
            run = _still_stands(step, home, entry)
            if run is not None:
                await change(Place(session, home, entry, run))

        return await self.in_transaction(step.entry_id, if_it_stands)

    async def in_transaction(
        self,
        entry_id: int,
        change: Callable[[AsyncSession, Installation, StageEntry], Awaitable[None]],
    ) -> Agenda:
        """Lock an entry, change it at the time that Temporal says, reply with its agenda.

        The reply is a tell: an entry that was fully told is so again.
        """

        async def work(session: AsyncSession) -> Agenda:
            entry = await lock_entry(session, entry_id)
            home = await installation(session)
            if entry is None:
                return Agenda(database_id=home.database_id, entry_id=entry_id, version=0)
            with told_by_reply(session, entry):
                await change(session, home, entry)
                if await fire_triggers(session):
                    await lock_entry(session, entry_id)  # They may have moved the item.
            return entry.agenda(home.database_id)

        return await in_transaction(self.database, work)

    async def must_rest(self, place: Place) -> bool:
        """Hold or drop a run whose time has come while nothing is to be done; tell whether."""
        session, run = place.session, place.run
        if self.settings.automation is Automation.PAUSED:
            hold_run(session, run, Hold.PAUSED)
        elif run.rule.deleted_at is not None:
            await finish_run(session, run, RunState.DROPPED, "the rule was deleted")
        elif not run.rule.enabled and not await is_enabled(session, run.rule_id):
            hold_run(session, run, Hold.RULE_OFF)
        else:
            return False
        return True

    async def told_faults(self, work: Awaitable[Answer], step: Step | None = None) -> Answer:
        """Keep the words of a fault with the run; without a step they are not those of a rule."""
        if step is None:
            return await told_by_kind(work)

        async def keep(fault: str) -> None:
            await self._remember(step, fault)

        return await told_by_kind(work, keep, run_id=step.item.run_id)

    async def _remember(self, step: Step, fault: str) -> None:
        try:
            async with self.database.transaction() as session:
                await session.execute(
                    update(RuleRun)
                    .where(
                        RuleRun.id == step.item.run_id,
                        RuleRun.stage_entry_id == step.entry_id,
                        RuleRun.state.in_(OPEN),
                    )
                    .values(fault=fault[:1000])
                )
        except (DBAPIError, OSError):
            log.warning("The fault could not be kept in the database", run_id=step.item.run_id)


def _still_stands(step: Step, home: Installation, entry: StageEntry) -> RuleRun | None:
    """Return the run if everything is as the workflow saw it when it offered the step.

    What is on its way stands also after the item has left the stage, or was deleted.
    """
    if home.database_id != step.database_id:
        return None
    for run in entry.runs:
        if run.id == step.item.run_id:
            unchanged = (
                run.state in ON_THE_AGENDA
                and run.due_at == step.item.due_at
                and run.next_activity == step.item.activity
            )
            there = entry.item.deleted_at is None and (entry.left_at is None or run.keep)
            return run if unchanged and (there or run.is_delivering) else None
    return None
