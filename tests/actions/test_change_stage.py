"""Change stage: the item moves on, its agenda here ends, and rules do not move it in circles."""

from typing import Any

import pytest

from activities.registry import RulePlace
from activities.rule_check import check_rule
from models.clock import now
from models.database import Database
from models.entering import enter_stage
from models.errors import InvalidRule
from models.history import HistoryEntry, HistoryKind
from models.item import Item, lock_item
from models.item_type import ItemType
from models.pipeline import Stage, find_stage
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, CauseKind, StageEntry
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_lead, a_pipeline, a_rule, all_of, rules_of
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


@pytest.fixture
async def stages(database: Database) -> list[Stage]:
    async with database.transaction() as session:
        return a_pipeline(session, "New", "Offer", "Won")


async def entered(
    database: Database, stages: list[Stage], *others: dict[str, Any], **params: Any
) -> StageEntry:
    """Let a deal enter the first stage, whose first rule moves it to the second."""
    move = {"action": "change_stage", "params": {"stage": stages[1].id} | params}
    async with database.transaction() as session:
        rules_of(session, await find_stage(session, stages[0].id), move, *others)
        _, entry = await a_deal(
            session, await find_stage(session, stages[0].id), responsible=User(name="Tom")
        )
    return entry


async def saving(
    database: Database, stage: Stage, params: dict[str, Any], *, unhindered: bool = True
) -> dict[str, str]:
    """Check such a rule as if it ran at once and always; return what is wrong, by field."""
    async with database.transaction() as session:
        place = RulePlace(session, await find_stage(session, stage.id), unhindered=unhindered)
        try:
            await check_rule(place, action="change_stage", params=params, conditions=None)
        except InvalidRule as error:
            return {problem.field: problem.reason for problem in error.problems}
    return {}


async def test_the_item_enters_the_stage_and_its_rules_begin(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    async with database.transaction() as session:
        a_rule(session, await find_stage(session, stages[1].id))
    entry = await entered(database, stages)

    run = await runner.do(entry.id)

    (deal,) = await all_of(database, Item)
    assert deal.stage_id == stages[1].id
    assert (run.state, run.outcome) == (RunState.DONE, "Moved to «Offer».")
    _, after = await all_of(database, StageEntry)
    assert (after.cause, after.cause_run_id, after.cause_user_id) == (CauseKind.RULE, run.id, None)
    assert (after.root_id, after.depth) == (entry.id, 1)
    assert len((await runner.agenda(after.id)).items) == 1


async def test_the_rest_of_the_agenda_is_dropped_but_not_what_is_kept(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    later = {"timing": IN_AN_HOUR}
    entry = await entered(database, stages, later, later | {"keep_when_item_leaves": True})

    await runner.do(entry.id)

    assert [run.state for run in await all_of(database, RuleRun)] == [
        RunState.DONE,
        RunState.DROPPED,
        RunState.WAITING,
    ]


async def test_it_is_told_as_a_move_by_the_rule_and_whoever_it_names(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    entry = await entered(database, stages, changed_by={"by": "responsible"})

    run = await runner.do(entry.id)

    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.STAGE_CHANGED)
    (tom,) = await all_of(database, User, User.name == "Tom")
    assert line.text == "Moved from «New» to «Offer»."
    assert (line.author_id, line.rule_id, line.run_id) == (tom.id, run.rule_id, run.id)
    _, after = await all_of(database, StageEntry)
    assert (after.cause_user_id, after.cause_run_id) == (tom.id, run.id)


async def test_an_item_that_stands_there_already_stays_and_the_outcome_says_so(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    entry = await kept_and_moved(database, stages, to=stages[1])

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Deal {entry.item_id} stands in «Offer» already.",
    )
    assert len(await all_of(database, StageEntry)) == 2


async def test_an_item_that_is_in_another_pipeline_by_now_stays_there(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    async with database.transaction() as session:
        (elsewhere,) = a_pipeline(session, "Planning")
    entry = await kept_and_moved(database, stages, to=elsewhere)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"«Offer» is a stage of «Sales»; deal {entry.item_id} is in «Sales» now.",
    )


async def kept_and_moved(database: Database, stages: list[Stage], to: Stage) -> StageEntry:
    """Let a deal enter the first stage, whose rule is kept, and somebody move it elsewhere."""
    params = {"stage": stages[1].id}
    async with database.transaction() as session:
        first = await find_stage(session, stages[0].id)
        a_rule(session, first, "change_stage", params=params, keep_when_item_leaves=True)
        deal, entry = await a_deal(session, first)
    async with database.transaction() as session:
        (person, *_) = await all_of(database, User)
        there = await session.get_one(User, person.id)
        item, target = await lock_item(session, deal.id), await find_stage(session, to.id)
        await enter_stage(session, item, target, Cause.person(there), new_pipeline=True)
    return entry


async def test_a_stage_that_is_gone_fails_with_that_reason(
    database: Database, runner: Runner, stages: list[Stage]
) -> None:
    entry = await entered(database, stages)
    async with database.transaction() as session:
        (await session.get_one(Stage, stages[1].id)).deleted_at = now()

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, f"There is no stage {stages[1].id}.")


async def test_it_is_for_leads_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        new, junk = a_pipeline(session, "New", "Junk", item_type=ItemType.LEAD)
        await session.flush()
        a_rule(session, new, "change_stage", params={"stage": junk.id})
        _, entry = await a_lead(session, new)

    run = await runner.do(entry.id)

    assert run.outcome == "Moved to «Junk»."


async def test_a_stage_that_is_not_there_is_refused(
    database: Database, stages: list[Stage]
) -> None:
    assert await saving(database, stages[0], {"stage": 4711}) == {
        "/params/stage": "There is no stage 4711."
    }


@on_one_database
@pytest.mark.parametrize("unhindered", [True, False])
async def test_its_own_stage_is_refused(
    database: Database, stages: list[Stage], *, unhindered: bool
) -> None:
    params = {"stage": stages[0].id}

    assert await saving(database, stages[0], params, unhindered=unhindered) == {
        "/params/stage": "The rule stands on «New» itself; choose another stage."
    }


async def test_a_stage_of_another_pipeline_is_refused(
    database: Database, stages: list[Stage]
) -> None:
    async with database.transaction() as session:
        (elsewhere,) = a_pipeline(session, "Planning")

    assert await saving(database, stages[0], {"stage": elsewhere.id}) == {
        "/params/stage": "«Planning» is a stage of «Sales», another pipeline."
    }


async def rule_to(database: Database, stage: Stage, target: Stage, **rest: Any) -> None:
    async with database.transaction() as session:
        here = await find_stage(session, stage.id)
        a_rule(session, here, "change_stage", params={"stage": target.id}, **rest)


async def test_a_circle_of_rules_that_run_at_once_is_refused_with_its_stages(
    database: Database, stages: list[Stage]
) -> None:
    new, offer, won = stages
    await rule_to(database, offer, won)
    await rule_to(database, won, new)

    assert await saving(database, new, {"stage": offer.id}) == {
        "/params/stage": "Rules would move items in a circle at once: "
        "«New» → «Offer» → «Won» → «New»."
    }


async def test_a_circle_elsewhere_is_not_the_fault_of_this_rule(
    database: Database, stages: list[Stage]
) -> None:
    new, offer, won = stages
    await rule_to(database, offer, won)
    await rule_to(database, won, offer)

    assert await saving(database, new, {"stage": offer.id}) == {}


@pytest.mark.parametrize(
    "hindrance",
    [
        {"timing": IN_AN_HOUR},
        {"conditions": {"field": "deal.amount", "operator": "empty"}},
        {"once_per_item": True},
        {"enabled": False},
    ],
)
async def test_a_circle_in_which_something_may_stop_is_allowed(
    database: Database, stages: list[Stage], hindrance: dict[str, Any]
) -> None:
    new, offer, _ = stages
    await rule_to(database, offer, new, **hindrance)

    assert await saving(database, new, {"stage": offer.id}) == {}


async def test_a_rule_of_the_circle_that_may_stop_itself_is_allowed(
    database: Database, stages: list[Stage]
) -> None:
    new, offer, _ = stages
    await rule_to(database, offer, new)

    assert await saving(database, new, {"stage": offer.id}, unhindered=False) == {}
