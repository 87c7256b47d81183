"""Change pipeline: the deal goes on in another one, told in one line."""

from typing import Any

import pytest

from activities.registry import RulePlace
from activities.rule_check import check_rule
from models.database import Database
from models.entering import enter_stage
from models.errors import InvalidRule
from models.history import HistoryEntry, HistoryKind
from models.item import Item, lock_item
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage, StageKind, find_stage
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, StageEntry
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_pipeline, a_rule, all_of, rules_of
from tests.fixtures.runner import Runner


@pytest.fixture
async def won(database: Database) -> Stage:
    """The last stage of *Sales*."""
    async with database.transaction() as session:
        _, won = a_pipeline(session, "New", "Won")
    return won


@pytest.fixture
async def mounting(database: Database) -> list[Stage]:
    """The stages of *Installation*, of which the first is not open."""
    async with database.transaction() as session:
        stages = a_pipeline(session, "Refused", "Planning", "Running")
        stages[0].kind = StageKind.LOST
        stages[0].pipeline.name = "Installation"
    return stages


async def entered(database: Database, won: Stage, params: dict[str, Any]) -> StageEntry:
    """Let a deal enter a stage where a rule changes its pipeline, and another one waits."""
    rule = {"action": "change_pipeline", "params": params}
    async with database.transaction() as session:
        here = await find_stage(session, won.id)
        rules_of(session, here, rule, {"timing": IN_AN_HOUR})
        _, entry = await a_deal(session, here, responsible=User(name="Tom"))
    return entry


async def saving(database: Database, stage: Stage, params: dict[str, Any]) -> dict[str, str]:
    """Check such a rule as if it ran at once and always; return what is wrong, by field."""
    async with database.transaction() as session:
        place = RulePlace(session, await find_stage(session, stage.id), unhindered=True)
        try:
            await check_rule(place, action="change_pipeline", params=params, conditions=None)
        except InvalidRule as error:
            return {problem.field: problem.reason for problem in error.problems}
    return {}


async def test_the_deal_enters_the_first_open_stage_and_leaves_its_agenda_behind(
    database: Database, runner: Runner, won: Stage, mounting: list[Stage]
) -> None:
    pipeline_id = mounting[0].pipeline_id
    entry = await entered(database, won, {"pipeline": pipeline_id})

    run = await runner.do(entry.id)

    (deal,) = await all_of(database, Item)
    assert (deal.pipeline_id, deal.stage_id) == (pipeline_id, mounting[1].id)
    assert (run.state, run.outcome) == (RunState.DONE, "Moved to «Installation › Planning».")
    assert [each.state for each in await all_of(database, RuleRun)] == [
        RunState.DONE,
        RunState.DROPPED,
    ]


async def test_it_enters_the_stage_that_is_chosen(
    database: Database, runner: Runner, won: Stage, mounting: list[Stage]
) -> None:
    params = {"pipeline": mounting[0].pipeline_id, "stage": mounting[2].id}
    entry = await entered(database, won, params)

    await runner.do(entry.id)

    (deal,) = await all_of(database, Item)
    assert deal.stage_id == mounting[2].id


async def test_one_line_of_history_has_both_pipelines_and_who_is_named(
    database: Database, runner: Runner, won: Stage, mounting: list[Stage]
) -> None:
    params = {"pipeline": mounting[0].pipeline_id, "changed_by": {"by": "responsible"}}
    entry = await entered(database, won, params)

    run = await runner.do(entry.id)

    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.STAGE_CHANGED)
    (tom,) = await all_of(database, User, User.name == "Tom")
    assert line.text == "Moved from «Sales › Won» to «Installation › Planning»."
    assert (line.field, line.old, line.new) == (
        "stage",
        "Sales › Won",
        "Installation › Planning",
    )
    assert (line.author_id, line.run_id) == (tom.id, run.id)


async def test_a_deal_that_is_there_already_fails_with_that_reason(
    database: Database, runner: Runner, won: Stage, mounting: list[Stage]
) -> None:
    params = {"pipeline": mounting[0].pipeline_id}
    async with database.transaction() as session:
        here = await find_stage(session, won.id)
        a_rule(session, here, "change_pipeline", params=params, keep_when_item_leaves=True)
        _, entry = await a_deal(session, here)
    async with database.transaction() as session:
        deal = await lock_item(session, entry.item_id)
        ann = User(name="Ann")
        session.add(ann)
        running = await find_stage(session, mounting[2].id)
        await enter_stage(session, deal, running, Cause.person(ann), new_pipeline=True)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Deal {entry.item_id} is in «Installation» already.",
    )


async def test_its_own_pipeline_is_refused(database: Database, won: Stage) -> None:
    assert await saving(database, won, {"pipeline": won.pipeline_id}) == {
        "/params/pipeline": "The rule stands in «Sales» itself; choose another pipeline."
    }


async def test_a_pipeline_that_is_not_there_is_refused(database: Database, won: Stage) -> None:
    assert await saving(database, won, {"pipeline": 4711}) == {
        "/params/pipeline": "There is no pipeline 4711."
    }


async def test_a_pipeline_for_leads_is_refused(database: Database, won: Stage) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)

    assert await saving(database, won, {"pipeline": incoming.pipeline_id}) == {
        "/params/pipeline": "«Sales» is not for deals."
    }


async def test_a_pipeline_without_an_open_stage_is_refused_if_no_stage_is_chosen(
    database: Database, won: Stage
) -> None:
    pipeline = Pipeline(name="Empty", item_type=ItemType.DEAL)
    async with database.transaction() as session:
        session.add(pipeline)

    assert await saving(database, won, {"pipeline": pipeline.id}) == {
        "/params/pipeline": f"There is no open stage for deals in pipeline {pipeline.id}."
    }


async def test_a_stage_that_is_not_of_the_pipeline_is_refused(
    database: Database, won: Stage, mounting: list[Stage]
) -> None:
    params = {"pipeline": mounting[0].pipeline_id, "stage": won.id}

    assert await saving(database, won, params) == {
        "/params/stage": "«Won» is not a stage of «Installation»."
    }


async def test_two_pipelines_that_would_pass_deals_to_and_fro_at_once_are_refused(
    database: Database, won: Stage, mounting: list[Stage]
) -> None:
    back = {"pipeline": won.pipeline_id, "stage": won.id}
    async with database.transaction() as session:
        planning = await find_stage(session, mounting[1].id)
        a_rule(session, planning, "change_pipeline", params=back)

    assert await saving(database, won, {"pipeline": mounting[0].pipeline_id}) == {
        "/params/stage": "Rules would move items in a circle at once: «Won» → «Planning» → «Won»."
    }


async def test_it_is_for_deals_only(database: Database, mounting: list[Stage]) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)

    assert await saving(database, incoming, {"pipeline": mounting[0].pipeline_id}) == {
        "/action": "«Change pipeline» is not for leads, whose stage this is."
    }
