"""The runner: what is true of every action, once, in the one transaction of its run.

Lock, fence, conditions, texts, the action in a savepoint, outcome, the agenda as reply. Effect and
outcome commit together, so Temporal may offer a step as often as it likes.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.facts import facts_for_rule
from activities.registry import ActionContext, RuleAction, all_actions
from activities.results import as_kept
from activities.steps import Place, Steps
from models.agenda import Agenda, Fault, Step, Stop
from models.brake import held_by_brake
from models.conditions import CONDITIONS, Condition, Outcome
from models.errors import ActionFailed, CrmError, LoopDetected
from models.facts import Asked
from models.installation import Installation
from models.item import load_whole
from models.notification import Notification
from models.occasion import in_savepoint
from models.provenance import acting
from models.rule_run import (
    OPEN,
    RuleRun,
    RunState,
    begin_delivering,
    conclude,
    finish_run,
    record_fault,
    stay_open,
)
from models.stage_entry import StageEntry, lock_entry
from models.user import administrators

log = structlog.get_logger()


class StageEntryActivities(Steps):
    """Everything that `StageEntryWorkflow` may ask for, one Temporal activity per action."""

    def all(self) -> list[Callable[..., Awaitable[Agenda]]]:
        """Return the activities to register with a worker."""
        actions = [self._activity_of(action) for action in all_actions().values()]
        return [*actions, self.record_fault, self.stop_entry]

    def _activity_of(self, action: RuleAction[Any]) -> Callable[[Step], Awaitable[Agenda]]:
        @activity.defn(name=action.code)
        async def run_action(step: Step) -> Agenda:
            async def run(place: Place) -> None:
                await self._run(place, action)

            return await self.told_faults(self.at_its_time(step, run), step)

        return run_action

    @activity.defn(name="record_fault")
    async def record_fault(self, fault: Fault) -> Agenda:
        """Put a run that met a fault back on the agenda, or let it fail after a day of them."""

        async def put_back(place: Place) -> None:
            run = place.run
            if not record_fault(place.session, run):
                outcome = f"Gave up after {run.attempts + 1} tries in a day: {fault.error_type}."
                await finish_run(place.session, run, RunState.FAILED, outcome)

        return await self.told_faults(self.at_its_time(fault.step, put_back))

    @activity.defn(name="stop_entry")
    async def stop_entry(self, stop: Stop) -> Agenda:
        """Drop every open run of an entry whose workflow somebody cancelled."""

        async def drop_all(session: AsyncSession, home: Installation, entry: StageEntry) -> None:
            if home.database_id == stop.database_id:
                for run in reversed(entry.runs):  # From below, as when an item leaves.
                    if run.state in OPEN:
                        await finish_run(session, run, RunState.DROPPED, "cancelled in Temporal")

        return await self.told_faults(self.in_transaction(stop.entry_id, drop_all))

    async def _run(self, place: Place, action: RuleAction[Any]) -> None:
        session, home, entry, run = place
        if run.began_at is not None:
            await conclude(session, run, "The time is up.", ended_by="time")
            return
        if await self.must_rest(place):
            return
        conditions = _conditions(run)
        facts = await facts_for_rule(
            session,
            entry,
            home,
            Asked(f"{run.version.params} {run.version.conditions}", conditions),
            url=self.settings.url,
            runs=entry.runs[: entry.runs.index(run)],
        )
        if conditions is not None:
            verdict = facts.judge(conditions)
            run.comparisons = [each.model_dump(mode="json") for each in verdict.comparisons]
            if verdict.outcome is not Outcome.MET:
                await finish_run(session, run, RunState.SKIPPED, verdict.in_words())
                return
        most = self.settings.brake_deletions
        if action.warning and await held_by_brake(session, run, most):
            return
        context = ActionContext(
            session,
            run.item,
            run,
            home,
            facts.values,
            url=self.settings.url,
            mail_from=self.settings.mail_from,
        )
        entry_id = run.stage_entry_id
        try:
            with acting(run.id):
                async with in_savepoint(session):
                    sentence = await action.handler(_params(action, run), context)
        except (CrmError, IntegrityError) as error:
            await lock_entry(session, entry_id)  # The rollback has made it forget its rows.
            await self._fail(place, error, action, context)
        else:
            run.result = as_kept(action, context.result)
            if context.deliveries:
                await begin_delivering(session, run, context.deliveries, sentence)
            elif context.staying:
                stay_open(session, run, context.staying[-1].until, sentence)
            else:
                await finish_run(session, run, RunState.DONE, sentence)

    async def _fail(
        self,
        place: Place,
        error: CrmError | IntegrityError,
        action: RuleAction[Any],
        context: ActionContext,
    ) -> None:
        """Nothing half-done is kept; the run has failed with a reason people can read.

        What the action does otherwise is done now, and told with the reason.
        """
        session = place.session
        if isinstance(error, IntegrityError):
            log.error("An action ran into a constraint", run_id=place.run.id, exc_info=error)
        reason = error.reason if isinstance(error, CrmError) else _constraint(error)
        if action.otherwise is not None:
            await load_whole(session, place.run.item)
            with acting(place.run.id):
                reason = f"{reason} {await action.otherwise(context, reason)}"
        await finish_run(session, place.run, RunState.FAILED, reason)
        if isinstance(error, LoopDetected):
            session.add_all(
                Notification(
                    recipient_id=admin.id,
                    text=f"«{place.run.version.title}» was stopped. {reason}",
                    item_id=place.run.item_id,
                )
                for admin in await administrators(session)
            )


def _conditions(run: RuleRun) -> Condition | None:
    conditions = run.version.conditions
    return None if conditions is None else CONDITIONS.validate_python(conditions)


def _params(action: RuleAction[Any], run: RuleRun) -> Any:
    try:
        return action.params.model_validate(run.version.params)
    except ValidationError as error:
        raise ActionFailed(
            f"The rule's settings no longer fit «{action.title}»; save it again."
        ) from error


def _constraint(error: IntegrityError) -> str:
    first, *_ = str(error.orig).splitlines()
    return f"The database refused what it did: {first.rpartition('>: ')[2]}."
