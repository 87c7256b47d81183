"""Rule runs: the ways in which one changes and ends, and who is told of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.database import Database
from models.entering import enter_stage
from models.errors import Conflict, Invalid
from models.history import HistoryEntry, HistoryKind
from models.pipeline import find_stage
from models.rule_run import (
    FAULT_PAUSES,
    Hold,
    RuleRun,
    RunState,
    conclude,
    count_waiting,
    count_waiting_in,
    count_waiting_of,
    finish_run,
    hold_all,
    hold_run,
    postpone,
    record_fault,
    release_all,
    retry,
    run_now,
    skip,
    stay_open,
)
from models.stage_entry import Cause, StageEntry, lock_entry, lock_run
from models.user import User
from tests.factories import IN_AN_HOUR, all_of, entered
from tests.fixtures.database import on_one_database

AN_HOUR = timedelta(hours=1)
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
LATER = {"timing": IN_AN_HOUR}
AFTER = LATER | {"after_previous": True}
STOPPED = AFTER | {"stop_on_failure": True}


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still at noon."""
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)


@asynccontextmanager
async def changing(
    database: Database, entry: StageEntry
) -> AsyncIterator[tuple[AsyncSession, list[RuleRun]]]:
    """Hold the runs of an entry, top-down, in a transaction of their own."""
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        yield session, locked.runs


async def runs_of(database: Database, entry: StageEntry) -> list[RuleRun]:
    return await all_of(database, RuleRun, RuleRun.stage_entry_id == entry.id)


async def versions(database: Database, entry: StageEntry) -> tuple[int, int]:
    """Return the agenda's version and the one that was told."""
    async with database.reading() as session:
        after = await session.get_one(StageEntry, entry.id)
    return after.agenda_version, after.told_version


async def failed(database: Database) -> StageEntry:
    """Let the only run of an entry have failed after faults."""
    entry = await entered(database, LATER)
    async with changing(database, entry) as (session, [run]):
        record_fault(session, run)
        run.fault = "OSError"
        run.comparisons = []
        await finish_run(session, run, RunState.FAILED, "No ladder.")
    return entry


async def test_a_run_ends_with_state_sentence_time_and_a_line_of_history(
    database: Database,
) -> None:
    entry = await entered(database, LATER | {"title": "Call"})

    async with changing(database, entry) as (session, [run]):
        await finish_run(session, run, RunState.DONE, "Nobody answered.")

    (ended,) = await runs_of(database, entry)
    assert (ended.state, ended.outcome, ended.finished_at) == (
        RunState.DONE,
        "Nobody answered.",
        NOON,
    )
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.RULE_RUN)
    assert line.text == "«Call» done: Nobody answered."
    assert (line.item_id, line.rule_id, line.run_id, line.author_id) == (
        entry.item_id,
        ended.rule_id,
        ended.id,
        None,
    )
    assert await versions(database, entry) == (2, 0)


@pytest.mark.parametrize(
    "state", [RunState.DONE, RunState.SKIPPED, RunState.DROPPED, RunState.FAILED]
)
async def test_the_rule_after_it_starts_counting_whatever_the_outcome(
    database: Database, state: RunState
) -> None:
    entry = await entered(database, LATER, AFTER, AFTER)

    async with changing(database, entry) as (session, [run, *_]):
        await finish_run(session, run, state, "It is over.")

    _, second, third = await runs_of(database, entry)
    assert second.due_at == NOON + AN_HOUR
    assert third.due_at is None


async def test_a_rule_that_stops_on_failure_is_skipped_and_so_is_what_stops_below_it(
    database: Database,
) -> None:
    entry = await entered(database, LATER | {"title": "Call"}, STOPPED, STOPPED, AFTER)

    async with changing(database, entry) as (session, [run, *_]):
        await finish_run(session, run, RunState.FAILED, "No phone.")

    _, second, third, fourth = await runs_of(database, entry)
    assert [(each.state, each.outcome) for each in (second, third)] == [
        (RunState.SKIPPED, "«Call» above it failed.")
    ] * 2
    assert (fourth.state, fourth.due_at) == (RunState.WAITING, NOON + AN_HOUR)


@pytest.mark.parametrize("state", [RunState.DONE, RunState.SKIPPED, RunState.DROPPED])
async def test_a_rule_that_stops_on_failure_goes_on_after_any_other_end(
    database: Database, state: RunState
) -> None:
    entry = await entered(database, LATER, STOPPED)

    async with changing(database, entry) as (session, [run, _]):
        await finish_run(session, run, state, "It is over.")

    _, second = await runs_of(database, entry)
    assert (second.state, second.due_at) == (RunState.WAITING, NOON + AN_HOUR)


async def test_what_a_failure_has_stopped_waits_again_when_that_is_tried_again(
    database: Database,
) -> None:
    entry = await entered(database, LATER, STOPPED, STOPPED)
    async with changing(database, entry) as (session, [run, *_]):
        await finish_run(session, run, RunState.FAILED, "No phone.")

    async with changing(database, entry) as (session, [run, *_]):
        retry(session, run)
        await finish_run(session, run, RunState.DONE, "Called.")

    _, second, third = await runs_of(database, entry)
    assert (second.state, second.outcome, second.due_at) == (
        RunState.WAITING,
        None,
        NOON + AN_HOUR,
    )
    assert (third.state, third.due_at) == (RunState.WAITING, None)


async def test_a_rule_that_does_not_wait_for_the_previous_keeps_its_time(
    database: Database,
) -> None:
    entry = await entered(database, LATER, LATER)

    with clock.at(NOON + AN_HOUR):
        async with changing(database, entry) as (session, [run, _]):
            await finish_run(session, run, RunState.DONE, "It is over.")

    _, second = await runs_of(database, entry)
    assert second.due_at == NOON + AN_HOUR


async def test_a_successor_that_was_given_a_time_by_hand_keeps_it(database: Database) -> None:
    entry = await entered(database, LATER, AFTER)
    async with changing(database, entry) as (session, [_, second]):
        postpone(session, second, NOON + 5 * AN_HOUR)

    async with changing(database, entry) as (session, [first, _]):
        await finish_run(session, first, RunState.DONE, "It is over.")

    _, second = await runs_of(database, entry)
    assert second.due_at == NOON + 5 * AN_HOUR


async def test_a_held_successor_starts_counting_too_and_stays_held(database: Database) -> None:
    entry = await entered(database, LATER, AFTER)
    async with changing(database, entry) as (session, [_, second]):
        hold_run(session, second, Hold.RULE_OFF)

    async with changing(database, entry) as (session, [first, _]):
        await finish_run(session, first, RunState.DONE, "It is over.")

    _, second = await runs_of(database, entry)
    assert (second.state, second.due_at) == (RunState.HELD, NOON + AN_HOUR)


async def test_the_successor_of_a_held_run_stays_waiting_and_says_so(database: Database) -> None:
    entry = await entered(database, LATER | {"title": "Call"}, AFTER | {"title": "Write"}, AFTER)

    async with changing(database, entry) as (session, [first, second, third]):
        hold_run(session, first, Hold.RULE_OFF)
        told = [run.waits_for for run in (first, second, third)]

    held = f"run {first.id} is held: the rule is switched off"
    assert told == [
        "somebody: the rule is switched off",
        f"the end of «Call» (run {first.id}); {held}",
        f"the end of «Write» (run {second.id}); {held}",
    ]
    assert second.held_up_by is third.held_up_by is first


async def test_a_run_that_has_ended_waits_for_nothing(database: Database) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        before = run.waits_for
        await finish_run(session, run, RunState.DONE, "It is over.")

        assert (before, run.waits_for) == ("its time", None)


async def test_faults_put_a_run_back_with_growing_pauses_for_about_a_day(
    database: Database,
) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        tries = [(record_fault(session, run), run.due_at) for _ in FAULT_PAUSES]
        last = record_fault(session, run)

    assert tries == [(True, NOON + pause) for pause in FAULT_PAUSES]
    assert sorted(FAULT_PAUSES) == FAULT_PAUSES
    assert timedelta(hours=20) < sum(FAULT_PAUSES, timedelta()) < timedelta(hours=28)
    assert not last
    (waiting,) = await runs_of(database, entry)
    assert (waiting.state, waiting.attempts) == (RunState.RETRYING, len(FAULT_PAUSES))


async def test_run_now_makes_it_due_at_this_moment(database: Database) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        run_now(session, run)

    (run,) = await runs_of(database, entry)
    assert (run.state, run.due_at) == (RunState.WAITING, NOON)
    assert await versions(database, entry) == (2, 0)


async def test_run_now_does_not_wait_for_the_previous_either(database: Database) -> None:
    entry = await entered(database, LATER, AFTER)

    async with changing(database, entry) as (session, [_, second]):
        run_now(session, second)

    _, second = await runs_of(database, entry)
    assert second.due_at == NOON


async def test_postponing_moves_its_time(database: Database) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        postpone(session, run, NOON + 30 * AN_HOUR)

    (run,) = await runs_of(database, entry)
    assert run.due_at == NOON + 30 * AN_HOUR
    assert await versions(database, entry) == (2, 0)


@on_one_database
@pytest.mark.parametrize("until", [NOON, NOON - AN_HOUR])
async def test_postponing_to_what_is_past_is_refused(database: Database, until: datetime) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        with pytest.raises(Invalid) as caught:
            postpone(session, run, until)

    assert caught.value.problems[0].field == "/until"
    assert caught.value.problems[0].reason == "This moment is past already."
    assert await versions(database, entry) == (1, 0)


async def test_what_is_held_can_be_neither_run_nor_postponed(database: Database) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        hold_run(session, run, Hold.PAUSED)
        with pytest.raises(Conflict) as running:
            run_now(session, run)
        with pytest.raises(Conflict) as postponing:
            postpone(session, run, NOON + AN_HOUR)

    held = "it is held, automation is paused."
    assert running.value.message == f"Run {run.id} cannot run now: {held}"
    assert postponing.value.message == f"Run {run.id} cannot be postponed: {held}"


@pytest.mark.parametrize(
    "state", [RunState.DONE, RunState.SKIPPED, RunState.DROPPED, RunState.FAILED]
)
async def test_what_has_ended_can_be_neither_run_postponed_nor_skipped(
    database: Database, state: RunState
) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        await finish_run(session, run, state, "It is over.")
        with pytest.raises(Conflict) as running:
            run_now(session, run)
        with pytest.raises(Conflict) as postponing:
            postpone(session, run, NOON + AN_HOUR)
        with pytest.raises(Conflict) as skipping:
            await skip(session, run, User(name="Ann"))

    assert running.value.message == f"Run {run.id} is {state} and cannot run now."
    assert postponing.value.message == f"Run {run.id} is {state} and cannot be postponed."
    assert skipping.value.message == f"Run {run.id} is {state} and can no longer be skipped."


async def test_what_is_being_delivered_can_no_longer_be_skipped(database: Database) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        run.state = RunState.DELIVERING
        with pytest.raises(Conflict, match="is delivering and can no longer be skipped"):
            await skip(session, run, User(name="Ann"))


async def test_skipping_ends_it_in_the_name_of_who_did_so(database: Database) -> None:
    entry = await entered(database, LATER, AFTER)

    async with changing(database, entry) as (session, [run, _]):
        person = User(name="Eve")
        session.add(person)
        await session.flush()
        await skip(session, run, person)

    run, after = await runs_of(database, entry)
    assert (run.state, run.outcome) == (RunState.SKIPPED, "Skipped by Eve.")
    assert after.due_at == NOON + AN_HOUR
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.RULE_RUN)
    assert line.author_id == person.id


async def test_what_is_held_can_be_skipped(database: Database) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        hold_run(session, run, Hold.PAUSED)
        await skip(session, run, User(name="Eve"))

    (run,) = await runs_of(database, entry)
    assert (run.state, run.held_because) == (RunState.SKIPPED, None)


async def test_a_failed_run_is_tried_again_as_if_it_were_new(database: Database) -> None:
    entry = await failed(database)

    with clock.at(NOON + AN_HOUR):
        async with changing(database, entry) as (session, [run]):
            retry(session, run)

    (run,) = await runs_of(database, entry)
    assert (run.state, run.due_at, run.attempts) == (RunState.WAITING, NOON + AN_HOUR, 0)
    assert (run.outcome, run.fault, run.comparisons, run.finished_at) == (None, None, None, None)
    assert await versions(database, entry) == (4, 0)


async def test_only_what_has_failed_is_tried_again(database: Database) -> None:
    entry = await entered(database, LATER)

    async with changing(database, entry) as (session, [run]):
        with pytest.raises(Conflict) as caught:
            retry(session, run)

    assert caught.value.message == f"Run {run.id} is waiting; only a failed run can be tried again."


async def test_nothing_is_tried_again_for_an_item_in_the_recycle_bin(database: Database) -> None:
    entry = await failed(database)

    async with changing(database, entry) as (session, [run]):
        run.item.deleted_at = NOON
        with pytest.raises(Conflict, match=f"^Deal {entry.item_id} is in the recycle bin.$"):
            retry(session, run)


async def leave(session: AsyncSession, run: RuleRun) -> None:
    """Let the item of a locked run leave its stage."""
    person = User(name="Ann")
    session.add(person)
    won = await find_stage(session, run.stage_entry.stage_id + 1)
    await enter_stage(session, run.item, won, Cause.person(person))


async def test_nothing_is_tried_again_for_a_stage_that_the_item_has_left(
    database: Database,
) -> None:
    entry = await failed(database)

    async with changing(database, entry) as (session, [run]):
        await leave(session, run)
        with pytest.raises(Conflict) as caught:
            retry(session, run)

    assert caught.value.message == f"The item has left the stage where run {run.id} belongs."


async def test_a_rule_that_is_kept_is_tried_again_also_then(database: Database) -> None:
    entry = await entered(database, LATER | {"keep_when_item_leaves": True})
    async with changing(database, entry) as (session, [run]):
        await finish_run(session, run, RunState.FAILED, "No ladder.")
        await leave(session, run)

        retry(session, run)

    (run,) = await runs_of(database, entry)
    assert run.state is RunState.WAITING


async def in_progress(
    database: Database, *others: dict[str, Any], until: datetime | None = NOON + AN_HOUR
) -> StageEntry:
    """Let the first run of an entry have begun at noon, to wait for something."""
    entry = await entered(database, LATER | {"title": "Call"}, *others)
    async with changing(database, entry) as (session, [run, *_]):
        run.result = {"id": 7}
        run.comparisons = []
        stay_open(session, run, until, "Waiting for the postman.")
    return entry


async def test_a_run_that_stays_open_says_since_when_and_for_what(database: Database) -> None:
    entry = await in_progress(database)

    async with changing(database, entry) as (_, [run]):
        assert (run.state, run.began_at, run.due_at) == (
            RunState.IN_PROGRESS,
            NOON,
            NOON + AN_HOUR,
        )
        assert (run.is_open, run.waits_for, run.finished_at) == (
            True,
            "Waiting for the postman.",
            None,
        )
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.RULE_RUN)
    assert line.text == "«Call» in progress: Waiting for the postman."
    assert await versions(database, entry) == (2, 0)


async def test_what_it_waited_for_concludes_it_and_is_added_to_its_results(
    database: Database,
) -> None:
    entry = await in_progress(database, AFTER, until=None)

    with clock.at(NOON + AN_HOUR):
        async with changing(database, entry) as (session, [run, _]):
            await conclude(session, run, "He rang twice.", rang_at=NOON)

    run, below = await runs_of(database, entry)
    assert (run.state, run.outcome, run.finished_at) == (
        RunState.DONE,
        "He rang twice.",
        NOON + AN_HOUR,
    )
    assert run.result == {"id": 7, "rang_at": "2027-03-01T12:00:00Z"}
    assert below.due_at == NOON + 2 * AN_HOUR


async def test_what_has_not_begun_or_has_ended_is_not_concluded(database: Database) -> None:
    entry = await in_progress(database, LATER)

    async with changing(database, entry) as (session, [run, waiting]):
        await finish_run(session, run, RunState.DROPPED, "left the stage")
        await conclude(session, run, "He rang twice.")
        await conclude(session, waiting, "He rang twice.")

    runs = await runs_of(database, entry)
    assert [run.state for run in runs] == [RunState.DROPPED, RunState.WAITING]


async def test_a_successor_in_progress_is_not_timed_anew_when_the_run_above_ends(
    database: Database,
) -> None:
    entry = await entered(database, LATER, AFTER)
    async with changing(database, entry) as (session, [_, second]):
        stay_open(session, second, None, "Waiting for the postman.")

    async with changing(database, entry) as (session, [first, _]):
        await finish_run(session, first, RunState.DONE, "It is over.")

    _, second = await runs_of(database, entry)
    assert (second.state, second.due_at) == (RunState.IN_PROGRESS, None)


async def test_what_is_in_progress_with_a_time_can_be_run_now_and_postponed(
    database: Database,
) -> None:
    entry = await in_progress(database)

    async with changing(database, entry) as (session, [run]):
        postpone(session, run, NOON + 30 * AN_HOUR)
        postponed = (run.state, run.due_at, run.waits_for)
        run_now(session, run)

    assert postponed == (
        RunState.IN_PROGRESS,
        NOON + 30 * AN_HOUR,
        "Waiting for the postman. Now until 2027-03-02 18:00 UTC.",
    )
    (run,) = await runs_of(database, entry)
    assert (run.state, run.due_at, run.began_at) == (RunState.IN_PROGRESS, NOON, NOON)


async def test_what_is_in_progress_without_a_time_can_only_be_skipped(database: Database) -> None:
    entry = await in_progress(database, until=None)

    async with changing(database, entry) as (session, [run]):
        with pytest.raises(Conflict) as running:
            run_now(session, run)
        with pytest.raises(Conflict) as postponing:
            postpone(session, run, NOON + AN_HOUR)
        await skip(session, run, User(name="Eve"))

    assert running.value.message == f"Run {run.id} is in progress and cannot run now."
    assert postponing.value.message == f"Run {run.id} is in progress and cannot be postponed."
    (run,) = await runs_of(database, entry)
    assert (run.state, run.outcome) == (RunState.SKIPPED, "Skipped by Eve.")
    assert run.result == {"id": 7, "ended_by": "person"}


async def test_a_fault_and_another_try_keep_in_mind_that_it_has_begun(database: Database) -> None:
    entry = await in_progress(database)

    async with changing(database, entry) as (session, [run]):
        record_fault(session, run)
        put_back = (run.state, run.began_at)
        await finish_run(session, run, RunState.FAILED, "Gave up.")
        retry(session, run)

    assert put_back == (RunState.RETRYING, NOON)
    (run,) = await runs_of(database, entry)
    assert (run.state, run.began_at, run.result) == (RunState.WAITING, NOON, {"id": 7})
    assert (run.comparisons, run.outcome, run.finished_at) == ([], None, None)


async def test_switching_a_rule_off_does_not_hold_what_has_begun(database: Database) -> None:
    entry, other = await in_progress(database), await in_progress(database)
    async with changing(database, other) as (session, [faulty]):
        record_fault(session, faulty)
    (run,) = await runs_of(database, entry)

    async with database.transaction() as session:
        await hold_all(session, run.rule_id)
        await hold_all(session, faulty.rule_id)

    [run], [faulty] = await runs_of(database, entry), await runs_of(database, other)
    assert (run.state, faulty.state) == (RunState.IN_PROGRESS, RunState.RETRYING)


async def test_leaving_the_stage_drops_what_is_in_progress(database: Database) -> None:
    entry = await in_progress(database)

    async with changing(database, entry) as (session, [run]):
        await leave(session, run)

    (run,) = await runs_of(database, entry)
    assert (run.state, run.outcome) == (RunState.DROPPED, "left the stage")


async def test_what_is_in_progress_counts_as_waiting_for_the_rule(database: Database) -> None:
    entry = await in_progress(database)
    (run,) = await runs_of(database, entry)

    async with database.reading() as session:
        assert await count_waiting(session, run.rule_id) == 1


async def test_switching_a_rule_off_holds_what_waits_and_nothing_else(database: Database) -> None:
    entry = await entered(database, LATER, AFTER, LATER)
    first, second, _ = await runs_of(database, entry)

    async with database.transaction() as session:
        await hold_all(session, first.rule_id)
        await hold_all(session, second.rule_id)

    runs = await runs_of(database, entry)
    assert [(run.state, run.held_because) for run in runs] == [
        (RunState.HELD, Hold.RULE_OFF),
        (RunState.HELD, Hold.RULE_OFF),
        (RunState.WAITING, None),
    ]
    assert [run.due_at for run in runs] == [NOON + AN_HOUR, None, NOON + AN_HOUR]


async def test_runs_that_wait_after_a_fault_are_held_and_ended_ones_stay_ended(
    database: Database,
) -> None:
    entry = await entered(database, LATER, LATER)
    async with changing(database, entry) as (session, [first, second]):
        record_fault(session, first)
        await finish_run(session, second, RunState.DONE, "It is over.")

    async with database.transaction() as session:
        await hold_all(session, first.rule_id)
        await hold_all(session, second.rule_id)

    runs = await runs_of(database, entry)
    assert [run.state for run in runs] == [RunState.HELD, RunState.DONE]


async def test_temporal_is_not_told_of_what_is_held(database: Database) -> None:
    entry = await entered(database, LATER, told=True)
    (run,) = await runs_of(database, entry)

    async with database.transaction() as session:
        await hold_all(session, run.rule_id)

    assert await versions(database, entry) == (2, 2)


async def test_what_temporal_was_not_told_before_is_still_to_be_told(database: Database) -> None:
    entry = await entered(database, LATER)
    (run,) = await runs_of(database, entry)

    async with database.transaction() as session:
        await hold_all(session, run.rule_id)

    assert await versions(database, entry) == (2, 0)


async def test_temporal_is_told_of_what_is_released(database: Database) -> None:
    entry = await entered(database, LATER, told=True)
    (run,) = await runs_of(database, entry)
    async with database.transaction() as session:
        await hold_all(session, run.rule_id)

    async with database.transaction() as session:
        await release_all(session, Hold.RULE_OFF, run.rule_id)

    assert await versions(database, entry) == (3, 2)
    (run,) = await runs_of(database, entry)
    assert (run.state, run.held_because, run.due_at) == (
        RunState.WAITING,
        None,
        NOON + AN_HOUR,
    )


async def test_only_what_was_held_for_that_reason_is_released(database: Database) -> None:
    entry = await entered(database, LATER, LATER, told=True)
    async with changing(database, entry) as (session, [first, second]):
        hold_run(session, first, Hold.PAUSED)
        hold_run(session, second, Hold.RULE_OFF)

    async with database.transaction() as session:
        await release_all(session, Hold.PAUSED)

    runs = await runs_of(database, entry)
    assert [run.state for run in runs] == [RunState.WAITING, RunState.HELD]


async def test_of_one_rule_only_its_own_runs_are_released(database: Database) -> None:
    entry = await entered(database, LATER, LATER)
    first, second = await runs_of(database, entry)
    async with database.transaction() as session:
        await hold_all(session, first.rule_id)
        await hold_all(session, second.rule_id)

    async with database.transaction() as session:
        await release_all(session, Hold.RULE_OFF, second.rule_id)

    runs = await runs_of(database, entry)
    assert [run.state for run in runs] == [RunState.HELD, RunState.WAITING]


async def test_entries_without_runs_of_the_rule_keep_their_version(database: Database) -> None:
    entry = await entered(database, LATER, told=True)
    other = await entered(database, LATER, told=True)
    (run,) = await runs_of(database, other)

    async with database.transaction() as session:
        await hold_all(session, run.rule_id)

    assert await versions(database, entry) == (1, 1)


async def test_what_waits_is_counted_by_rule_and_by_stage(database: Database) -> None:
    entry = await entered(database, LATER, AFTER, LATER)
    async with changing(database, entry) as (session, [first, second, third]):
        hold_run(session, first, Hold.PAUSED)
        await finish_run(session, third, RunState.DONE, "It is over.")

    async with database.reading() as session:
        each = [await count_waiting(session, run.rule_id) for run in (first, second, third)]
        of_all = await count_waiting_of(session, [first.rule_id, second.rule_id, third.rule_id])
        there = await count_waiting_in(session, [entry.stage_id])

    assert each == [1, 1, 0]
    assert of_all == {first.rule_id: 1, second.rule_id: 1}
    assert there == 2


async def test_a_run_is_locked_with_all_that_belongs_to_it(database: Database) -> None:
    entry = await entered(database, LATER, LATER)
    _, second = await runs_of(database, entry)

    async with database.transaction() as session:
        run = await lock_run(session, second.id)

        assert run.stage_entry.id == entry.id
        assert run.item.id == entry.item_id
        assert [each.id for each in run.stage_entry.runs] == [second.id - 1, second.id]


async def test_a_run_that_is_held_while_others_are_released_is_not_released_without_a_word(
    postgres_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_database_url)
    early, late = await entered(database, LATER, told=True), await entered(database, LATER)
    async with changing(database, early) as (session, [run]):
        hold_run(session, run, Hold.PAUSED)

    async with database.transaction() as session:
        count_up = session.scalars

        async def held_meanwhile(*arguments: Any, **named: Any) -> Any:
            counted = await count_up(*arguments, **named)
            async with changing(database, late) as (another, [run]):
                hold_run(another, run, Hold.PAUSED)
            return counted

        monkeypatch.setattr(session, "scalars", held_meanwhile)
        await release_all(session, Hold.PAUSED)

    [released], [still_held] = await runs_of(database, early), await runs_of(database, late)
    assert released.state is RunState.WAITING
    assert still_held.state is RunState.HELD
    await database.close()
