"""Of all triggers the one that moves an item is the first that fits, as a plain model says too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.clock import now
from models.database import Database
from models.item_type import ItemType
from models.occasion import WebhookOccasion, occurred
from models.pipeline import Pipeline, Stage
from models.stage_entry import Cause, StageEntry
from models.trigger import Trigger, TriggerCheck, TriggerOutcome
from models.triggering import fire_triggers
from tests.factories import a_deal
from tests.fixtures.database import on_one_database

CONDITIONS: Mapping[TriggerOutcome, Any] = {
    TriggerOutcome.MOVED: {"field": "deal.title", "operator": "=", "value": "Lathe"},
    TriggerOutcome.NOT_MET: {"field": "deal.title", "operator": "empty"},
    TriggerOutcome.UNKNOWN: {"field": "deal.custom.gone", "operator": "not empty"},
}
"""By what comes of them for a deal called Lathe, if all else fits."""


@dataclass(frozen=True)
class Hung:
    """A trigger; `stage` is the place of its stage among those that were made."""

    stage: int
    position: int
    back: bool
    listens: bool
    conditions: TriggerOutcome | None
    enabled: bool = True
    deleted: bool = False


@dataclass(frozen=True)
class Company:
    """A pipeline whose stages have these positions, its triggers, and where the deal stands."""

    positions: Sequence[int]
    triggers: Sequence[Hung]
    present: int

    def rank(self, stage: int) -> tuple[int, int]:
        return self.positions[stage], stage

    def why_not(self, hung: Hung) -> TriggerOutcome | None:
        """Return why a trigger alone would not move the deal, None if it would."""
        if hung.stage == self.present:
            return TriggerOutcome.STANDS_THERE
        if self.rank(hung.stage) < self.rank(self.present) and not hung.back:
            return TriggerOutcome.WOULD_MOVE_BACK
        if not hung.listens:
            return TriggerOutcome.OTHER_SETTINGS
        return None if hung.conditions in {None, TriggerOutcome.MOVED} else hung.conditions

    def expected(self) -> tuple[int, list[tuple[int, TriggerOutcome]]]:
        """Return where the deal ends, and of each trigger as tried what is said of it."""
        tried = sorted(
            (self.rank(hung.stage), hung.position, place)
            for place, hung in enumerate(self.triggers)
            if hung.enabled and not hung.deleted
        )
        fitting = [key for key in tried if self.why_not(self.triggers[key[-1]]) is None]
        mover = min(fitting, default=None)
        said = [
            (
                key[-1],
                TriggerOutcome.ANOTHER_WAS_FIRST
                if mover is not None and key > mover
                else self.why_not(self.triggers[key[-1]]) or TriggerOutcome.MOVED,
            )
            for key in tried
        ]
        return self.present if mover is None else self.triggers[mover[-1]].stage, said


@st.composite
def companies(draw: st.DrawFn) -> Company:
    positions = draw(st.lists(st.integers(0, 4), min_size=1, max_size=5))
    stages = st.integers(0, len(positions) - 1)
    often = st.sampled_from([True, True, True, False])
    triggers = st.builds(
        Hung,
        stage=stages,
        position=st.integers(0, 2),
        back=st.booleans(),
        listens=often,
        conditions=st.sampled_from([None, *CONDITIONS]),
        enabled=often,
        deleted=often.map(lambda usual: not usual),
    )
    return Company(positions, draw(st.lists(triggers, max_size=6)), draw(stages))


async def came_of(
    session: AsyncSession, company: Company
) -> tuple[int, list[tuple[int, TriggerOutcome]], int]:
    """Let the deal be called for; return where it ends, the log in order, and its stays."""
    pipeline = Pipeline(name="Sales", item_type=ItemType.DEAL)
    stages = [Stage(name="…", position=each, pipeline=pipeline) for each in company.positions]
    session.add_all(stages)
    await session.flush()
    triggers = [
        Trigger(
            stage=stages[hung.stage],
            type="webhook",
            name="…",
            settings={"code": "paid" if hung.listens else "other"},
            conditions=None if hung.conditions is None else CONDITIONS[hung.conditions],
            allow_moving_back=hung.back,
            enabled=hung.enabled,
            position=hung.position,
        )
        for hung in company.triggers
    ]
    for trigger, hung in zip(triggers, company.triggers, strict=True):
        trigger.deleted_at = now() if hung.deleted else None
        session.add(trigger)
        await session.flush()  # One after another, as their ids decide too.
    deal, _ = await a_deal(session, stages[company.present])
    await session.flush()
    occasion = WebhookOccasion(
        trigger="webhook", item_ids=(deal.id,), cause=Cause.client(), text="Paid", code="paid"
    )
    occurred(session, occasion)
    await fire_triggers(session)
    checks = await session.scalars(
        select(TriggerCheck).where(TriggerCheck.item_id == deal.id).order_by(TriggerCheck.id)
    )
    places = {trigger.id: place for place, trigger in enumerate(triggers)}
    stays = await session.scalars(select(StageEntry.id).where(StageEntry.item_id == deal.id))
    return (
        [stage.id for stage in stages].index(deal.stage_id),
        [(places[check.trigger_id], check.outcome) for check in checks],
        len(stays.all()),
    )


@on_one_database
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(company=companies())
async def test_the_first_trigger_that_fits_moves_the_item_and_the_log_says_why_of_each(
    database: Database, company: Company
) -> None:
    async with AsyncSession(database.engine, expire_on_commit=False) as session:
        stands, said, stays = await came_of(session, company)

    assert (stands, said) == company.expected()
    assert stays == 1 + (stands != company.present)
