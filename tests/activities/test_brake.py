"""The brake: what deletes too much in an hour is held until somebody lets it go on."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from models.clock import now
from models.database import Database
from models.item import Deal
from models.notification import Notification
from models.pipeline import Stage, find_stage
from models.rule import Rule
from models.rule_run import Hold, RuleRun, RunState
from models.settings import Settings
from models.stage_entry import StageEntry
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, a_rule, all_of
from tests.fixtures.api import SignIn
from tests.fixtures.runner import Runner

DELETE: dict[str, Any] = {"action": "delete_item", "title": "Away with it", "params": {}}
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def runner(database: Database) -> Runner:
    """A runner that brakes after two deletions."""
    return Runner(database, Settings(brake_deletions=2))


@pytest.fixture
async def stage(database: Database) -> Stage:
    """A stage whose only rule deletes, in a company with an administrator."""
    async with database.transaction() as session:
        session.add(User(name="Ada", role=Role.ADMIN))
        (stage,) = a_pipeline(session, "Spam")
        a_rule(session, stage, **DELETE)
    return stage


async def entering(database: Database, stage: Stage) -> StageEntry:
    async with database.transaction() as session:
        _, entry = await a_deal(session, await find_stage(session, stage.id))
    return entry


async def runs_of(
    runner: Runner, stage: Stage, count: int, at: datetime | None = None
) -> list[RunState]:
    """Let so many deals enter, one after another; return what became of the rule for each."""
    entries = [await entering(runner.database, stage) for _ in range(count)]
    return [(await runner.do(entry.id, at)).state for entry in entries]


async def notices(database: Database) -> list[Notification]:
    return await all_of(database, Notification)


async def test_a_rule_that_has_deleted_so_many_in_an_hour_is_held(
    runner: Runner, database: Database, stage: Stage
) -> None:
    states = await runs_of(runner, stage, 4)

    assert states == [RunState.DONE, RunState.DONE, RunState.HELD, RunState.HELD]
    deals = await all_of(database, Deal)
    assert [deal.deleted_at is None for deal in deals] == [False, False, True, True]
    *_, run = await all_of(database, RuleRun)
    assert run.held_because is Hold.BRAKE
    assert str(run.held_because) == "the rule has deleted too much in an hour"


async def test_administrators_are_told_once_in_an_hour_and_rule(
    runner: Runner, database: Database, stage: Stage
) -> None:
    begun = now()
    await runs_of(runner, stage, 4, at=begun)

    (notice,) = await notices(database)
    (rule,) = await all_of(database, Rule)
    (ada,) = await all_of(database, User, User.name == "Ada")
    assert notice.recipient_id == ada.id
    assert notice.text == (
        f"Rule {rule.id} «Away with it» has deleted 2 items in an hour. What it has still to do is "
        f"held until somebody lets it go on: POST /v1/rules/{rule.id}/release."
    )


async def test_they_are_told_again_if_it_is_still_held_an_hour_later(
    runner: Runner, database: Database, stage: Stage
) -> None:
    begun = now()
    await runs_of(runner, stage, 3, at=begun)
    await runs_of(runner, stage, 1, at=begun + AN_HOUR - timedelta(seconds=1))
    within = len(await notices(database))

    states = await runs_of(runner, stage, 2, at=begun + AN_HOUR)

    assert within == 1
    assert states == [RunState.HELD, RunState.HELD]
    assert len(await notices(database)) == 2


async def test_what_was_deleted_over_an_hour_ago_does_not_count(
    runner: Runner, database: Database, stage: Stage
) -> None:
    begun = now()
    await runs_of(runner, stage, 2, at=begun - AN_HOUR)

    states = await runs_of(runner, stage, 2, at=begun)

    assert states == [RunState.DONE, RunState.DONE]
    assert await notices(database) == []


async def test_each_rule_has_a_brake_of_its_own(
    runner: Runner, database: Database, stage: Stage
) -> None:
    async with database.transaction() as session:
        (other,) = a_pipeline(session, "Junk")
        a_rule(session, other, **DELETE)
    await runs_of(runner, stage, 3)

    states = await runs_of(runner, other, 2)

    assert states == [RunState.DONE, RunState.DONE]


async def test_what_an_action_does_that_deletes_nothing_does_not_count(
    runner: Runner, database: Database, stage: Stage
) -> None:
    async with database.transaction() as session:
        (quiet,) = a_pipeline(session, "New")
        a_rule(session, quiet, "add_history_entry")

    states = await runs_of(runner, quiet, 5)

    assert set(states) == {RunState.DONE}


async def test_what_a_rule_did_before_it_came_to_delete_does_not_count(
    runner: Runner, database: Database, stage: Stage
) -> None:
    async with database.transaction() as session:
        (quiet,) = a_pipeline(session, "New")
        rule = a_rule(session, quiet, "add_history_entry")
    await runs_of(runner, quiet, 3)
    async with database.transaction() as session:
        again = await session.get_one(Rule, rule.id)
        version = a_rule(session, await find_stage(session, quiet.id), **DELETE, enabled=False)
        again.version = version.version
        await session.flush()

    states = await runs_of(runner, quiet, 1)

    assert states == [RunState.DONE]


async def test_a_run_whose_condition_is_not_met_is_skipped_and_not_held(
    runner: Runner, database: Database, stage: Stage
) -> None:
    await runs_of(runner, stage, 3)
    rich: dict[str, Any] = {"field": "deal.amount", "operator": ">", "value": 1}
    async with database.transaction() as session:
        (rule,) = await all_of(database, Rule)
        here = await find_stage(session, stage.id)
        other = a_rule(session, here, **DELETE, conditions=rich, enabled=False)
        (await session.get_one(Rule, rule.id)).version = other.version

    states = await runs_of(runner, stage, 1)

    assert states == [RunState.SKIPPED]


async def test_released_it_goes_on_and_counts_anew(
    runner: Runner, database: Database, stage: Stage, api: httpx2.AsyncClient
) -> None:
    await runs_of(runner, stage, 5)
    (rule,) = await all_of(database, Rule)
    held = (await api.get(f"/v1/rules/{rule.id}")).json()

    released = (await api.post(f"/v1/rules/{rule.id}/release")).json()

    entries = await all_of(database, StageEntry)
    states = [(await runner.do(entry.id)).state for entry in entries[2:]]
    assert held["braked_at"] is not None
    assert (released["braked_at"], released["waiting"]) == (None, 3)
    assert states == [RunState.DONE, RunState.DONE, RunState.HELD]
    assert len(await notices(database)) == 4  # Two administrators, twice.


async def test_what_waits_for_its_time_still_does_when_the_rule_is_released(
    runner: Runner, database: Database, stage: Stage, api: httpx2.AsyncClient
) -> None:
    await runs_of(runner, stage, 3)
    waiting = await entering(database, stage)
    (rule,) = await all_of(database, Rule)

    await api.post(f"/v1/rules/{rule.id}/release")

    assert (await runner.do(waiting.id)).state is RunState.DONE


async def test_a_rule_that_is_not_held_stays_as_it_is(
    runner: Runner, database: Database, stage: Stage, api: httpx2.AsyncClient
) -> None:
    await runs_of(runner, stage, 2)
    (rule,) = await all_of(database, Rule)
    before = (await api.get(f"/v1/rules/{rule.id}")).json()

    after = (await api.post(f"/v1/rules/{rule.id}/release")).json()

    assert after == before
    assert await runs_of(runner, stage, 1) == [RunState.HELD]


async def test_switching_the_rule_off_and_on_does_not_release_it(
    runner: Runner, database: Database, stage: Stage, api: httpx2.AsyncClient
) -> None:
    await runs_of(runner, stage, 3)
    (rule,) = await all_of(database, Rule)

    await api.patch(f"/v1/rules/{rule.id}", json={"enabled": False})
    await api.patch(f"/v1/rules/{rule.id}", json={"enabled": True})

    *_, run = await all_of(database, RuleRun)
    assert (run.state, run.held_because) == (RunState.HELD, Hold.BRAKE)


async def test_only_managers_release(
    runner: Runner, database: Database, stage: Stage, sign_in: SignIn
) -> None:
    tom = User(name="Tom", role=Role.AGENT)
    async with database.transaction() as session:
        session.add(tom)
    (rule,) = await all_of(database, Rule)

    answer = await (await sign_in(tom)).post(f"/v1/rules/{rule.id}/release")

    assert answer.status_code == 403
