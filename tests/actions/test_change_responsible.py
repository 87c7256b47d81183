"""Change the responsible person: at random, the first who is there, or in turn."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from models.clock import now
from models.database import Database
from models.department import Department
from models.history import HistoryEntry, HistoryKind
from models.item import Deal
from models.item_type import ItemType
from models.pipeline import Stage, find_stage
from models.rule import Rule, find_rule, present
from models.rule_run import RuleRun, RunState
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


@pytest.fixture
async def team(database: Database) -> list[User]:
    """Ann, Ben and Cem."""
    team = [User(name=name) for name in ("Ann", "Ben", "Cem")]
    async with database.transaction() as session:
        session.add_all(team)
    return team


@pytest.fixture
async def stage(database: Database) -> Stage:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
    return stage


def named(users: Iterable[User]) -> list[dict[str, Any]]:
    return [{"by": "user", "id": user.id} for user in users]


async def a_rule_on(
    database: Database, stage: Stage, candidates: list[dict[str, Any]], pick: str, **params: Any
) -> Rule:
    said = {"candidates": candidates, "pick": pick} | params
    async with database.transaction() as session:
        here = await find_stage(session, stage.id)
        return a_rule(session, here, "change_responsible", params=said)


async def entering(database: Database, stage: Stage, responsible: User | None = None) -> StageEntry:
    async with database.transaction() as session:
        there = responsible and await session.get_one(User, responsible.id)
        _, entry = await a_deal(session, await find_stage(session, stage.id), responsible=there)
    return entry


async def done(runner: Runner, stage: Stage, responsible: User | None = None) -> RuleRun:
    """Let a deal enter, and the rule run."""
    return await runner.do((await entering(runner.database, stage, responsible)).id)


async def done_for(
    count: int, runner: Runner, stage: Stage, responsible: User | None = None
) -> list[RuleRun]:
    """Let so many deals enter, one after another, and the rule run for each."""
    return [await done(runner, stage, responsible) for _ in range(count)]


async def leave(database: Database, user: User, **changes: Any) -> None:
    async with database.transaction() as session:
        person = await session.get_one(User, user.id)
        for name, value in changes.items():
            setattr(person, name, value)


async def in_charge(database: Database) -> list[int | None]:
    """Return who is responsible for each deal, in order."""
    return [deal.responsible_id for deal in await all_of(database, Deal)]


async def test_history_and_results_tell_who_it_is_now(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, _ = team
    await a_rule_on(
        database, stage, named([ben]), "first available", changed_by={"by": "responsible"}
    )

    run = await done(runner, stage, ann)

    assert await in_charge(database) == [ben.id]
    assert (run.state, run.outcome) == (RunState.DONE, "Ben is responsible now.")
    assert run.result == {"id": ben.id, "responsible": "Ben"}
    (line,) = await all_of(
        database, HistoryEntry, HistoryEntry.kind == HistoryKind.RESPONSIBLE_CHANGED
    )
    assert (line.text, line.author_id) == ("Responsible: Ann → Ben", ann.id)
    assert (line.rule_id, line.run_id) == (run.rule_id, run.id)


async def test_the_first_who_is_there_is_picked(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, cem = team
    await leave(database, ann, absent_from=now() - timedelta(days=1))
    await leave(database, ben, active=False)
    await a_rule_on(database, stage, named(team), "first available")

    await done(runner, stage)

    assert await in_charge(database) == [cem.id]


async def test_the_absent_count_as_well_if_they_are_not_to_be_skipped_but_not_who_has_left(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, _ = team
    await leave(database, ann, active=False)
    await leave(database, ben, absent_from=now() - timedelta(days=1))
    await a_rule_on(database, stage, named(team), "first available", skip_absent=False)

    await done(runner, stage)

    assert await in_charge(database) == [ben.id]


async def test_of_a_department_the_head_comes_first(
    database: Database, runner: Runner, stage: Stage
) -> None:
    sales = Department(name="Sales")
    async with database.transaction() as session:
        session.add(User(name="Dan", department=sales))
        await session.flush()
        eve = User(name="Eve", department=sales)
        session.add(eve)
    async with database.transaction() as session:
        (await session.get_one(Department, sales.id)).head = await session.get_one(User, eve.id)
    department = {"by": "department", "id": sales.id}
    await a_rule_on(database, stage, [department], "first available")

    await done(runner, stage)

    assert await in_charge(database) == [eve.id]


async def test_whoever_is_responsible_already_stays_and_nothing_is_written(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    await a_rule_on(database, stage, named(team), "first available")

    run = await done(runner, stage, team[0])

    assert (run.state, run.outcome) == (RunState.DONE, "Ann is responsible already.")
    told = HistoryEntry.kind == HistoryKind.RESPONSIBLE_CHANGED
    assert await all_of(database, HistoryEntry, told) == []


@pytest.mark.parametrize("pick", ["random", "first available", "in turn"])
async def test_where_nobody_is_available_nothing_changes_and_the_outcome_says_so(
    database: Database, runner: Runner, team: list[User], stage: Stage, pick: str
) -> None:
    ann, ben, _ = team
    await leave(database, ben, absent_from=now() - timedelta(days=1))
    await a_rule_on(database, stage, [*named([ben]), {"by": "creator"}], pick)

    run = await done(runner, stage, ann)

    assert await in_charge(database) == [ann.id]
    assert (run.state, run.outcome) == (
        RunState.DONE,
        "Nobody is available; the responsible person stays.",
    )
    assert run.result is None


@on_one_database
async def test_at_random_it_is_never_the_absent_nor_the_present_one_and_others_all_have_a_chance(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, cem = team
    dan, eve = User(name="Dan"), User(name="Eve", absent_from=now() - timedelta(days=1))
    async with database.transaction() as session:
        session.add_all([dan, eve])
    await a_rule_on(database, stage, named([*team, dan, eve]), "random")

    runs = await done_for(40, runner, stage, ann)

    picked = Counter(await in_charge(database))
    assert {run.state for run in runs} == {RunState.DONE}
    # One of three misses forty times once in ten million.
    assert picked.keys() == {ben.id, cem.id, dan.id}


async def test_at_random_the_present_one_stays_if_there_is_nobody_else(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, *_ = team
    await a_rule_on(database, stage, named([ann]), "random")

    run = await done(runner, stage, ann)

    assert run.outcome == "Ann is responsible already."


async def test_in_turn_everybody_has_theirs_and_then_it_begins_again(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, cem = team
    await a_rule_on(database, stage, named(team), "in turn")

    await done_for(5, runner, stage)

    assert await in_charge(database) == [each.id for each in (ann, ben, cem, ann, ben)]


async def test_each_rule_has_a_turn_of_its_own(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    async with database.transaction() as session:
        (other,) = a_pipeline(session, "Other")
    await a_rule_on(database, stage, named(team), "in turn")
    await a_rule_on(database, other, named(team), "in turn")

    await done(runner, stage)
    await done(runner, other)

    assert await in_charge(database) == [team[0].id, team[0].id]


async def test_who_is_away_is_passed_over_and_comes_again_in_their_place(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, cem = team
    await a_rule_on(database, stage, named(team), "in turn")
    await done(runner, stage)
    await leave(database, ben, absent_from=now() - timedelta(days=1))
    await done(runner, stage)
    await leave(database, ben, absent_from=None)
    await done(runner, stage)

    await done(runner, stage)

    assert await in_charge(database) == [each.id for each in (ann, cem, ann, ben)]


async def test_after_somebody_who_has_left_the_company_comes_the_next(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, cem = team
    await a_rule_on(database, stage, named(team), "in turn")
    await done(runner, stage)
    await done(runner, stage)
    await leave(database, ben, active=False)

    await done(runner, stage)
    await done(runner, stage)

    assert await in_charge(database) == [each.id for each in (ann, ben, cem, ann)]


async def test_after_somebody_who_is_no_candidate_any_more_comes_who_has_moved_up(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, cem = team
    rule = await a_rule_on(database, stage, named(team), "in turn")
    await done(runner, stage)
    await done(runner, stage)
    await say_anew(database, rule, [ann, cem])

    await done(runner, stage)
    await done(runner, stage)

    assert await in_charge(database) == [each.id for each in (ann, ben, cem, ann)]


async def test_new_candidates_have_their_turn_too(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    ann, ben, cem = team
    rule = await a_rule_on(database, stage, named([ann, ben]), "in turn")
    await done(runner, stage)
    await done(runner, stage)
    await say_anew(database, rule, [ann, ben, cem])

    await done(runner, stage)

    assert await in_charge(database) == [each.id for each in (ann, ben, cem)]


async def say_anew(database: Database, rule: Rule, candidates: Iterable[User]) -> None:
    """Let the present version of a rule name other candidates."""
    async with database.transaction() as session:
        version = present(await find_rule(session, rule.id))
        version.params = {"candidates": named(candidates), "pick": "in turn"}


async def test_five_deals_at_once_get_five_people(
    database: Database, runner: Runner, team: list[User], stage: Stage
) -> None:
    more = [User(name="Dan"), User(name="Eve")]
    async with database.transaction() as session:
        session.add_all(more)
    await a_rule_on(database, stage, named([*team, *more]), "in turn")
    entries = [await entering(database, stage) for _ in range(5)]

    runs = await asyncio.gather(*(runner.do(entry.id) for entry in entries))

    assert {run.state for run in runs} == {RunState.DONE}
    assert set(await in_charge(database)) == {user.id for user in [*team, *more]}


async def test_it_is_for_leads_too(database: Database, runner: Runner, team: list[User]) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, "change_responsible", params={"candidates": named(team[:1])})
        _, entry = await a_lead(session, incoming)

    run = await runner.do(entry.id)

    assert run.outcome == "Ann is responsible now."


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/candidates", "Field required"),
        (
            {"candidates": []},
            "/params/candidates",
            "Input should have at least 1 item, not 0",
        ),
        (
            {"candidates": [{"by": "department", "id": 42}]},
            "/params/candidates/0/id",
            "There is no department 42.",
        ),
        (
            {"candidates": [{"by": "creator"}], "pick": "inturn"},
            "/params/pick",
            "Input should be 'random', 'first available' or 'in turn', did you mean in turn?",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, stage: Stage, params: dict[str, Any], field: str, reason: str
) -> None:
    assert await refused(database, stage, "change_responsible", params) == {field: reason}
