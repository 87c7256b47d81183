"""Wait: until its time, the client, a person or another wait ends it; the next rule is told."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from activities.registry import RulePlace
from activities.rule_check import check_rule
from models import clock
from models.database import Database
from models.errors import Conflict, InvalidRule
from models.installation import installation
from models.item import Deal, lock_item
from models.item_edit import edit_item, find_whole
from models.item_type import ItemType
from models.pipeline import find_stage
from models.rule_run import RuleRun, RunState, postpone, run_now, skip
from models.stage_entry import Cause, StageEntry, lock_run
from models.task_edit import add_task
from models.timeline import add_comment
from models.user import Role, User
from models.wait import WaitEnd, end_wait, end_waits, waits_of
from tests.factories import IN_AN_HOUR, a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

NOON = datetime(2027, 10, 30, 12, 0, tzinfo=UTC)
"""The day before clocks go back in Berlin."""

THREE_DAYS = {"until": {"amount": 3, "unit": "days"}}
NO_ANSWER = {"field": "wait.ended_by", "operator": "=", "value": "time"}


@pytest.fixture
async def ada(database: Database) -> User:
    ada = User(name="Ada", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(ada)
    return ada


async def waiting(
    database: Database, runner: Runner, params: dict[str, Any] | None = None, **deal: Any
) -> StageEntry:
    """Let a deal begin to wait at noon, and a rule say who ended it if nobody answers."""
    async with database.transaction() as session:
        (await installation(session)).time_zone = "Europe/Berlin"
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "wait", params=params or THREE_DAYS, title="Patience")
        a_rule(
            session,
            stage,
            params={"text": "Ended by {{ wait.ended_by }}."},
            conditions=NO_ANSWER,
            timing=IN_AN_HOUR,
            after_previous=True,
            position=1,
        )
        _, entry = await a_deal(session, stage, **deal)
    await runner.do(entry.id, at=NOON)
    return entry


async def runs_of(database: Database, entry: StageEntry) -> list[RuleRun]:
    return await all_of(database, RuleRun, RuleRun.stage_entry_id == entry.id)


async def test_it_lasts_so_many_days_of_the_calendar_and_is_in_progress_meanwhile(
    database: Database, runner: Runner
) -> None:
    entry = await waiting(database, runner, THREE_DAYS | {"comment": "About {{ deal.title }}"})

    run, then = await runs_of(database, entry)

    # 14:00 in Berlin on both days, though one night has an hour more.
    until = NOON + timedelta(days=3, hours=1)
    assert (run.state, run.began_at, run.due_at) == (RunState.IN_PROGRESS, NOON, until)
    assert run.outcome is not None
    assert run.outcome.startswith("Waiting for the client until Nov 2, 2027")
    assert run.outcome.endswith(". About Lathe")
    assert run.result == {"until": "2027-11-02T13:00:00Z"}
    assert (then.state, then.due_at) == (RunState.WAITING, None)


async def test_when_the_time_is_up_the_rule_after_it_counts_and_knows_why(
    database: Database, runner: Runner
) -> None:
    entry = await waiting(database, runner)
    over = NOON + timedelta(days=3, hours=1)

    run = await runner.do(entry.id, at=over)

    assert (run.state, run.outcome, run.finished_at) == (RunState.DONE, "The time is up.", over)
    assert run.result == {"until": "2027-11-02T13:00:00Z", "ended_by": "time"}
    _, then = await runs_of(database, entry)
    assert then.due_at == over + timedelta(hours=1)
    then = await runner.do(entry.id, at=over + timedelta(hours=1))
    assert then.state is RunState.DONE
    assert then.result == {"text": "Ended by time."}


async def test_what_the_client_does_ends_it_and_the_rule_after_it_knows(
    database: Database, runner: Runner
) -> None:
    entry = await waiting(database, runner)
    answered = NOON + timedelta(days=1)

    with clock.at(answered):
        async with database.transaction() as session:
            item = await lock_item(session, entry.item_id)
            await end_waits(session, item, WaitEnd.CLIENT)

    run, then = await runs_of(database, entry)
    assert (run.state, run.outcome, run.finished_at) == (
        RunState.DONE,
        "The client has been in touch.",
        answered,
    )
    assert then.due_at == answered + timedelta(hours=1)
    then = await runner.do(entry.id, at=then.due_at)
    assert (then.state, then.outcome) == (
        RunState.SKIPPED,
        "wait.ended_by is client, needed = time",
    )


async def test_what_the_client_is_noted_to_have_said_ends_it(
    database: Database, runner: Runner, ada: User
) -> None:
    entry = await waiting(database, runner)

    async with database.transaction() as session:
        item = await lock_item(session, entry.item_id)
        await add_comment(session, item, ada, "Our own thoughts", from_client=False)
        before = len(await waits_of(session, item))
        await add_comment(session, item, ada, "Yes!", from_client=True)
        after = len(await waits_of(session, item))

    assert (before, after) == (1, 0)
    run, _ = await runs_of(database, entry)
    assert run.result is not None
    assert run.result["ended_by"] == "client"


async def test_a_person_ends_it_once(database: Database, runner: Runner, ada: User) -> None:
    entry = await waiting(database, runner)

    async with database.transaction() as session:
        item = await lock_item(session, entry.item_id)
        ended = await end_wait(session, item, ada)
        with pytest.raises(Conflict, match=f"Deal {entry.item_id} waits for nothing."):
            await end_wait(session, item, ada)

    assert (ended.state, ended.outcome) == (RunState.DONE, "Ada goes on.")
    assert ended.result is not None
    assert ended.result["ended_by"] == "person"


async def test_a_person_who_makes_a_task_for_the_deal_ends_it(
    database: Database, runner: Runner, ada: User
) -> None:
    entry = await waiting(database, runner)

    async with database.transaction() as session:
        await add_task(session, ada, {"title": "Call", "item_id": entry.item_id})

    run, _ = await runs_of(database, entry)
    assert (run.state, run.outcome) == (RunState.DONE, "Ada goes on.")


async def test_what_rules_make_ends_it_not(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "wait", params=THREE_DAYS)
        a_rule(session, stage, "create_task", params={"title": "Call"}, position=1)
        a_rule(session, stage, "add_comment", params={"text": "Hello"}, position=2)
        _, entry = await a_deal(session, stage)
    await runner.do(entry.id)

    await runner.offer(await runner.step(entry.id, 1))
    await runner.offer(await runner.step(entry.id, 1))

    wait, *others = await runs_of(database, entry)
    assert wait.state is RunState.IN_PROGRESS
    assert [run.state for run in others] == [RunState.DONE, RunState.DONE]


async def test_another_wait_ends_it(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "wait", params=THREE_DAYS)
        a_rule(session, stage, "wait", params=THREE_DAYS, position=1)
        _, entry = await a_deal(session, stage)
    await runner.do(entry.id)

    await runner.offer(await runner.step(entry.id, 1))

    first, second = await runs_of(database, entry)
    assert (first.state, first.outcome) == (RunState.DONE, "Another wait has begun.")
    assert first.result is not None
    assert first.result["ended_by"] == "another wait"
    assert second.state is RunState.IN_PROGRESS


async def test_other_deals_go_on_waiting(database: Database, runner: Runner) -> None:
    entry, other = await waiting(database, runner), await waiting(database, runner)

    async with database.transaction() as session:
        await end_waits(session, await lock_item(session, entry.item_id), WaitEnd.CLIENT)

    still, _ = await runs_of(database, other)
    assert still.state is RunState.IN_PROGRESS


async def test_before_a_date_it_lasts_until_that_day_begins(
    database: Database, runner: Runner
) -> None:
    until = {"field": "deal.close_date", "direction": "before", "amount": 2, "unit": "days"}

    entry = await waiting(database, runner, {"until": until}, close_date=date(2027, 12, 24))

    run, _ = await runs_of(database, entry)
    assert run.due_at == datetime(2027, 12, 21, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("close_date", "due_at"),
    [
        (date(2028, 2, 1), datetime(2028, 1, 29, 23, 0, tzinfo=UTC)),
        (date(2027, 10, 31), NOON),
        (None, datetime(2027, 12, 21, 23, 0, tzinfo=UTC)),
    ],
)
async def test_it_follows_the_date_that_it_lasts_until(
    database: Database, runner: Runner, ada: User, close_date: date | None, due_at: datetime
) -> None:
    until = {"field": "deal.close_date", "direction": "before", "amount": 2, "unit": "days"}
    entry = await waiting(database, runner, {"until": until}, close_date=date(2027, 12, 24))

    with clock.at(NOON):
        async with database.transaction() as session:
            deal = await find_whole(session, entry.item_id, Deal, lock=True)
            await edit_item(session, deal, {"close_date": close_date}, Cause.person(ada))

    run, _ = await runs_of(database, entry)
    assert (run.state, run.due_at) == (RunState.IN_PROGRESS, due_at)


@on_one_database
@pytest.mark.parametrize(
    ("close_date", "reason"),
    [
        (None, "It cannot wait until 2 days before close_date: that is empty."),
        (date(2027, 11, 1), "It cannot wait until 2 days before close_date: that is past."),
    ],
)
async def test_without_a_date_to_come_there_is_no_wait_and_the_next_rule_goes_on(
    database: Database, runner: Runner, close_date: date | None, reason: str
) -> None:
    until = {"field": "deal.close_date", "direction": "before", "amount": 2, "unit": "days"}

    entry = await waiting(database, runner, {"until": until}, close_date=close_date)

    run, then = await runs_of(database, entry)
    assert (run.state, run.outcome, run.began_at) == (RunState.FAILED, reason, None)
    assert then.due_at == NOON + timedelta(hours=1)


async def test_there_is_no_wait_until_a_date_that_is_empty(
    database: Database, runner: Runner
) -> None:
    entry = await waiting(
        database, runner, {"until": {"field": "deal.close_date", "direction": "at"}}
    )

    run, _ = await runs_of(database, entry)
    assert run.outcome == "It cannot wait until close_date: that is empty."


async def test_it_can_be_postponed_and_says_so(database: Database, runner: Runner) -> None:
    entry = await waiting(database, runner)
    run, _ = await runs_of(database, entry)
    later = NOON + timedelta(days=30)

    with clock.at(NOON):
        async with database.transaction() as session:
            postpone(session, await lock_run(session, run.id), later)

    run, _ = await runs_of(database, entry)
    assert (run.state, run.due_at) == (RunState.IN_PROGRESS, later)
    assert run.outcome is not None
    assert run.outcome.endswith(" Now until 2027-11-29 12:00 UTC.")
    run = await runner.do(entry.id, at=later)
    assert run.state is RunState.DONE


async def test_run_now_lets_its_time_come(database: Database, runner: Runner) -> None:
    entry = await waiting(database, runner)
    run, _ = await runs_of(database, entry)
    async with database.transaction() as session:
        run_now(session, await lock_run(session, run.id))

    run = await runner.do(entry.id)

    assert run.result is not None
    assert (run.state, run.result["ended_by"]) == (RunState.DONE, "time")


async def test_whoever_skips_it_has_ended_it(database: Database, runner: Runner, ada: User) -> None:
    entry = await waiting(database, runner)
    run, _ = await runs_of(database, entry)

    async with database.transaction() as session:
        await skip(session, await lock_run(session, run.id), ada)

    run, then = await runs_of(database, entry)
    assert (run.state, run.outcome) == (RunState.SKIPPED, "Skipped by Ada.")
    assert run.result is not None
    assert run.result["ended_by"] == "person"
    assert then.due_at is not None


async def test_leads_wait_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, "wait", params=THREE_DAYS)
        _, entry = await a_lead(session, incoming)

    run = await runner.do(entry.id)

    assert run.state is RunState.IN_PROGRESS


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/until", "Field required"),
        (
            {"until": {"amount": 0, "unit": "days"}},
            "/params/until/amount",
            "There is nothing to wait for.",
        ),
        (
            {"until": {"field": "deal.closing", "direction": "at"}},
            "/params/until/field",
            "unknown field deal.closing, did you mean deal.close_date?",
        ),
    ],
)
async def test_a_wait_for_nothing_is_refused(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "wait", params) == {field: reason}


async def test_how_a_wait_may_end_is_known_to_the_conditions_below(database: Database) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "wait", params=THREE_DAYS)
    async with database.transaction() as session:
        place = RulePlace(session, await find_stage(session, stage.id), position=1)
        params = {"text": "{{ wait.until }}"}
        wrong = NO_ANSWER | {"value": "customer"}

        await check_rule(place, action="add_comment", params=params, conditions=NO_ANSWER)
        with pytest.raises(InvalidRule) as caught:
            await check_rule(place, action="add_comment", params=params, conditions=wrong)

    (problem,) = caught.value.problems
    assert problem.field == "/conditions/value"
    assert problem.reason.startswith("customer is no choice of wait.ended_by")
