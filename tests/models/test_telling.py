"""What Temporal has still to be told: claimed, marked, put off, and told again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from models import clock
from models.crm_activity import CrmActivity, CrmActivityKind
from models.database import Database
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.item import Deal
from models.item_type import ItemType
from models.rule_run import DELIVER, Hold, RunState, finish_run, hold_run, run_now
from models.stage_entry import StageEntry, lock_entry
from models.telling import (
    LATE,
    LATE_DELIVERY,
    LEASE,
    LONGEST_PAUSE,
    Tell,
    bring_forward,
    claim,
    last_tell_error,
    mark_failed,
    mark_told,
    oldest_untold,
    still_leased,
    tell_again,
    tell_all_again,
    tell_overdue_again,
    tell_terminated_again,
    wanted_workflows,
)
from tests.factories import IN_AN_HOUR, all_of, entered, planned
from tests.fixtures.database import counted

AN_HOUR = timedelta(hours=1)
A_SECOND = timedelta(seconds=1)
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
LATER = {"timing": IN_AN_HOUR}
MINE, THEIRS = uuid4(), uuid4()


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still at noon."""
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)


async def changed(database: Database, entry: StageEntry) -> None:
    """Give the entry's workflow something new to learn."""
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        run_now(session, locked.runs[0])


async def claimed(database: Database, limit: int = 10) -> list[Tell]:
    async with database.transaction() as session:
        return await claim(session, StageEntry, MINE, limit=limit)


async def ids_claimed(database: Database, limit: int = 10) -> list[int]:
    return [tell.agenda.row_id for tell in await claimed(database, limit)]


async def marked(database: Database, told: dict[int, int], lease: UUID = MINE) -> set[int]:
    async with database.transaction() as session:
        return await mark_told(session, StageEntry, lease, told)


async def now_is(database: Database, entry: StageEntry) -> StageEntry:
    async with database.reading() as session:
        return await session.get_one(StageEntry, entry.id)


async def put(database: Database, entry: StageEntry, **columns: object) -> None:
    """Let these columns of an entry be so."""
    async with database.transaction() as session:
        await session.execute(update(StageEntry).where(StageEntry.id == entry.id).values(**columns))


async def test_what_is_claimed_says_all_that_temporal_needs(database: Database) -> None:
    entry = await entered(database, LATER | {"title": "Remind"})

    (tell,) = await claimed(database)

    async with database.reading() as session:
        home = await installation(session)
    assert tell.agenda == entry.agenda(home.database_id)
    assert [item.title for item in tell.agenda.items] == ["Remind"]
    assert tell.never_told
    assert (tell.item_type, tell.item_id) == (ItemType.DEAL, entry.item_id)
    assert (tell.stage_id, tell.summary) == (entry.stage_id, f"Deal {entry.item_id} in Sales › New")


async def test_what_is_told_already_is_not_claimed(database: Database) -> None:
    await entered(database, LATER, told=True)

    assert await claimed(database) == []


async def test_a_change_of_what_was_told_is_claimed_as_such(database: Database) -> None:
    entry = await entered(database, LATER, told=True)
    await changed(database, entry)

    (tell,) = await claimed(database)

    assert not tell.never_told
    assert tell.agenda.version == 2


async def test_new_entries_come_first(database: Database) -> None:
    known = await entered(database, LATER, told=True)
    await changed(database, known)
    new = await entered(database, LATER)

    first = await ids_claimed(database, limit=1)
    second = await ids_claimed(database, limit=1)

    assert (first, second) == ([new.id], [known.id])


async def test_of_new_entries_the_oldest_come_first(database: Database) -> None:
    older, _ = await entered(database, LATER), await entered(database, LATER)

    assert await ids_claimed(database, limit=1) == [older.id]


async def test_the_newest_does_not_wait_for_all_that_are_older(database: Database) -> None:
    ids = [(await entered(database, LATER)).id for _ in range(7)]

    first = await ids_claimed(database, limit=4)
    second = await ids_claimed(database, limit=4)

    assert first == [*ids[:2], *ids[5:]]
    assert second == ids[2:5]


async def test_nobody_else_claims_it_until_the_lease_ends(database: Database) -> None:
    entry = await entered(database, LATER)
    await claimed(database)

    with clock.at(NOON + LEASE - A_SECOND):
        before = await claimed(database)
    with clock.at(NOON + LEASE):
        after = await ids_claimed(database)

    assert (before, after) == ([], [entry.id])


async def test_two_who_claim_at_once_share_the_work(postgres_database_url: str) -> None:
    database = Database(postgres_database_url)
    first, second = await entered(database, LATER), await entered(database, LATER)

    async with database.transaction() as session:
        mine = await claim(session, StageEntry, MINE, limit=1)
        async with database.transaction() as other:
            theirs = await claim(other, StageEntry, THEIRS, limit=2)

    assert [tell.agenda.row_id for tell in mine] == [first.id]
    assert [tell.agenda.row_id for tell in theirs] == [second.id]
    await database.close()


async def test_marking_notes_the_version_and_ends_the_lease(database: Database) -> None:
    entry = await entered(database, LATER)
    await put(database, entry, tell_attempts=3, tell_error="UNAVAILABLE")
    await claimed(database)

    noted = await marked(database, {entry.id: 1})

    after = await now_is(database, entry)
    assert noted == {entry.id}
    assert (after.told_version, after.lease_token, after.tell_after) == (1, None, None)
    assert (after.tell_attempts, after.tell_error) == (0, None)
    assert await claimed(database) == []


async def test_what_changed_while_it_was_told_is_to_be_told_again(database: Database) -> None:
    entry = await entered(database, LATER)
    await claimed(database)
    await changed(database, entry)

    await marked(database, {entry.id: 1})

    (tell,) = await claimed(database)
    assert (tell.agenda.version, tell.never_told) == (2, False)


async def test_a_version_that_is_older_than_the_one_told_is_not_noted(database: Database) -> None:
    entry = await entered(database, LATER)
    await put(database, entry, agenda_version=7)
    await claimed(database)
    await put(database, entry, told_version=6)

    await marked(database, {entry.id: 5})

    assert (await now_is(database, entry)).told_version == 6


async def test_each_entry_is_marked_with_its_own_version(database: Database) -> None:
    one, two = await entered(database, LATER), await entered(database, LATER)
    await put(database, two, agenda_version=4)
    await claimed(database)

    noted = await marked(database, {one.id: 1, two.id: 4})

    assert noted == {one.id, two.id}
    assert (await now_is(database, one)).told_version == 1
    assert (await now_is(database, two)).told_version == 4


async def test_who_has_lost_the_lease_marks_nothing(database: Database) -> None:
    entry = await entered(database, LATER)
    await claimed(database)

    noted = await marked(database, {entry.id: 1}, lease=THEIRS)

    assert noted == set()
    assert (await now_is(database, entry)).told_version == 0
    async with database.reading() as session:
        assert await still_leased(session, StageEntry, MINE, {entry.id}) == {entry.id}
        assert await still_leased(session, StageEntry, THEIRS, {entry.id}) == set()
        assert await still_leased(session, StageEntry, MINE, set()) == set()


async def test_what_somebody_has_locked_is_marked_another_time(postgres_database_url: str) -> None:
    database = Database(postgres_database_url)
    locked, free = await entered(database, LATER), await entered(database, LATER)
    await claimed(database)

    async with database.transaction() as session:
        await lock_entry(session, locked.id)
        noted = await marked(database, {locked.id: 1, free.id: 1})

    assert noted == {free.id}
    await database.close()


async def failed(database: Database) -> None:
    """Claim all there is and fail to tell it."""
    async with database.transaction() as session:
        tells = await claim(session, StageEntry, MINE, limit=10)
        await mark_failed(session, MINE, dict.fromkeys(tells, "UNAVAILABLE: no route"))


@pytest.mark.parametrize(
    ("attempts", "pause"),
    [(0, A_SECOND), (1, 2 * A_SECOND), (4, 16 * A_SECOND), (9, LONGEST_PAUSE), (99, LONGEST_PAUSE)],
)
async def test_what_could_not_be_told_waits_longer_each_time_up_to_five_minutes(
    database: Database, attempts: int, pause: timedelta
) -> None:
    entry = await entered(database, LATER)
    await put(database, entry, tell_attempts=attempts)

    await failed(database)

    after = await now_is(database, entry)
    assert after.tell_after == NOON + pause
    assert (after.tell_attempts, after.lease_token) == (attempts + 1, None)
    assert timedelta(minutes=5) == LONGEST_PAUSE
    with clock.at(NOON + pause - A_SECOND / 2):
        assert await claimed(database) == []
    with clock.at(NOON + pause):
        assert await ids_claimed(database) == [entry.id]


async def test_the_reason_why_it_could_not_be_told_is_kept_until_it_was(
    database: Database,
) -> None:
    entry = await entered(database, LATER)
    await failed(database)
    async with database.reading() as session:
        before = await last_tell_error(session)

    with clock.at(NOON + AN_HOUR):
        await claimed(database)
        await marked(database, {entry.id: 1})

    async with database.reading() as session:
        after = await last_tell_error(session)
    assert (before, after) == ("UNAVAILABLE: no route", None)


async def test_who_has_lost_the_lease_puts_nothing_off(database: Database) -> None:
    entry = await entered(database, LATER)
    tells = await claimed(database)

    async with database.transaction() as session:
        await mark_failed(session, THEIRS, dict.fromkeys(tells, "UNAVAILABLE"))

    after = await now_is(database, entry)
    assert (after.tell_attempts, after.tell_error, after.lease_token) == (0, None, MINE)


async def test_when_temporal_answers_again_nothing_waits_for_the_end_of_its_pause(
    database: Database,
) -> None:
    entry = await entered(database, LATER)
    await put(database, entry, tell_attempts=9)
    await failed(database)

    async with database.transaction() as session:
        await bring_forward(session)

    assert await ids_claimed(database) == [entry.id]


async def test_bringing_forward_takes_no_lease_away(database: Database) -> None:
    await entered(database, LATER)
    await claimed(database)

    async with database.transaction() as session:
        await bring_forward(session)

    assert await claimed(database) == []


async def test_an_entry_whose_telling_is_forgotten_is_told_as_if_new(database: Database) -> None:
    entry, other = (
        await entered(database, LATER, told=True),
        await entered(database, LATER, told=True),
    )

    async with database.transaction() as session:
        await tell_again(session, StageEntry, {entry.id})
        await tell_again(session, StageEntry, set())

    (tell,) = await claimed(database)
    assert (tell.agenda.row_id, tell.never_told) == (entry.id, True)
    assert (await now_is(database, other)).told_version == 1


async def test_an_empty_temporal_is_told_of_every_entry_that_has_something_to_do(
    database: Database,
) -> None:
    waiting = await entered(database, LATER, told=True)
    await entered(database, told=True)
    done, held = (
        await entered(database, LATER, told=True),
        await entered(database, LATER, told=True),
    )
    async with database.transaction() as session:
        of_done = await lock_entry(session, done.id)
        of_held = await lock_entry(session, held.id)
        assert of_done is not None
        assert of_held is not None
        await finish_run(session, of_done.runs[0], RunState.DONE, "It is over.")
        hold_run(session, of_held.runs[0], Hold.RULE_OFF)
    await put(database, done, told_version=2)
    await put(database, held, told_version=2)

    async with database.transaction() as session:
        await tell_all_again(session)

    assert await ids_claimed(database) == [waiting.id]


async def overdue(database: Database, at: datetime) -> int:
    with clock.at(at):
        async with database.transaction() as session:
            return await tell_overdue_again(session)


async def test_what_is_more_than_a_minute_late_is_told_again(database: Database) -> None:
    entry = await entered(database, LATER, LATER, told=True)
    due = NOON + AN_HOUR

    before = await overdue(database, due + LATE)
    at_first = await claimed(database)
    after = await overdue(database, due + LATE + A_SECOND)

    assert (before, at_first) == (0, [])
    assert after == 2
    assert await ids_claimed(database) == [entry.id]


async def test_what_waits_for_the_rate_limit_of_deliveries_is_not_late_so_soon(
    database: Database,
) -> None:
    entry = await entered(database, LATER, told=True)
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        locked.runs[0].next_activity = DELIVER
    due = NOON + AN_HOUR

    before = await overdue(database, due + LATE_DELIVERY)
    after = await overdue(database, due + LATE_DELIVERY + A_SECOND)

    assert (before, after) == (0, 1)


async def test_what_is_held_is_not_late(database: Database) -> None:
    entry = await entered(database, LATER, told=True)
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        hold_run(session, locked.runs[0], Hold.PAUSED)

    assert await overdue(database, NOON + 2 * AN_HOUR) == 0


async def test_not_more_is_told_again_at_once_than_allowed_the_latest_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.telling.MOST_AT_ONCE", 1)
    await entered(database, LATER, told=True)
    latest = await entered(database, {}, told=True)

    count = await overdue(database, NOON + 2 * AN_HOUR)

    assert count == 2
    assert await ids_claimed(database) == [latest.id]


async def test_the_lag_is_counted_from_the_oldest_change_that_was_not_told(
    database: Database,
) -> None:
    async with database.reading() as session:
        nothing = await oldest_untold(session)
    entry = await entered(database, LATER, told=True)
    with clock.at(NOON + AN_HOUR):
        await changed(database, entry)
    with clock.at(NOON + 2 * AN_HOUR):
        await entered(database, LATER)

    async with database.reading() as session:
        oldest = await oldest_untold(session)

    assert nothing is None
    assert oldest == NOON + AN_HOUR


async def test_what_is_told_again_is_a_new_version_and_no_lag_since_its_last_change(
    database: Database,
) -> None:
    entry = await entered(database, LATER, told=True)
    late = NOON + 2 * AN_HOUR

    with clock.at(late):
        await overdue(database, late)

    async with database.reading() as session:
        again = await session.get_one(StageEntry, entry.id)
        oldest = await oldest_untold(session)
    assert (again.told_version, again.agenda_version) == (0, 2)
    assert oldest == late


# CRM activities: their reminders are told as the steps of stage entries are.


async def a_call(
    database: Database, *minutes_before: int, starts_at: datetime = NOON + AN_HOUR
) -> CrmActivity:
    """Plan a call with reminders for a new deal, whose entry Temporal knows already."""
    entry = await entered(database, told=True)
    async with database.transaction() as session:
        deal = await session.get_one(Deal, entry.item_id)
        return await planned(
            session, deal, starts_at, *minutes_before, kind=CrmActivityKind.CALL, subject="Jane Doe"
        )


async def calls_claimed(database: Database) -> list[Tell]:
    async with database.transaction() as session:
        return await claim(session, CrmActivity, MINE, limit=10)


async def told(database: Database, call: CrmActivity) -> None:
    """Let Temporal know all of a call, and nobody have it claimed."""
    async with database.transaction() as session:
        present = await session.get_one(CrmActivity, call.id)
        present.told_version = present.agenda_version
        present.tell_after = present.lease_token = None


async def test_what_is_claimed_of_a_call_names_it_and_its_item_but_nobody(
    database: Database,
) -> None:
    call = await a_call(database, 15)

    (tell,) = await calls_claimed(database)

    assert [item.title for item in tell.agenda.items] == ["Remind 15 minutes before"]
    assert tell.workflow_id == f"crm-activity-{call.id}"
    assert tell.summary == f"Call {call.id} of deal {call.item_id}"
    assert (tell.item_type, tell.item_id) == (ItemType.DEAL, call.item_id)
    assert (tell.pipeline_id, tell.stage_id) == (None, None)
    assert tell.begins


async def test_calls_and_entries_are_claimed_apart(database: Database) -> None:
    call = await a_call(database, 15)
    entry = await entered(database, LATER)

    assert await ids_claimed(database) == [entry.id]
    assert [tell.agenda.row_id for tell in await calls_claimed(database)] == [call.id]


async def test_a_call_without_reminders_begins_no_workflow(database: Database) -> None:
    call = await a_call(database)

    before = await calls_claimed(database)
    async with database.transaction() as session:
        (await session.get_one(CrmActivity, call.id)).told_version = 0
    (tell,) = await calls_claimed(database)

    assert before == []
    assert not tell.begins


async def test_more_calls_need_no_more_statements(database: Database) -> None:
    await a_call(database, 15, 0)
    with counted(database) as for_one:
        await calls_claimed(database)
    for _ in range(3):
        await a_call(database, 15, 0)

    with counted(database) as for_more:
        found = await calls_claimed(database)

    assert len(found) == 3
    assert len(for_more) == len(for_one)


async def test_marking_a_call_leaves_the_entry_of_the_same_number_alone(
    database: Database,
) -> None:
    call = await a_call(database, 15)
    entry = await entered(database, LATER)
    await calls_claimed(database)
    await claimed(database)
    version = call.agenda_version

    async with database.transaction() as session:
        noted = await mark_told(session, CrmActivity, MINE, {call.id: version})

    assert noted == {call.id}
    assert await calls_claimed(database) == []
    assert (await now_is(database, entry)).told_version == 0


async def test_a_call_that_could_not_be_told_waits_and_says_why(database: Database) -> None:
    await a_call(database, 15)
    tells = await calls_claimed(database)

    async with database.transaction() as session:
        await mark_failed(session, MINE, dict.fromkeys(tells, "UNAVAILABLE"))

    async with database.reading() as session:
        assert await last_tell_error(session) == "UNAVAILABLE"
    assert await calls_claimed(database) == []
    async with database.transaction() as session:
        await bring_forward(session)
    assert len(await calls_claimed(database)) == 1


async def test_an_empty_temporal_is_told_of_every_call_with_reminders_to_come(
    database: Database,
) -> None:
    waiting, silent = await a_call(database, 15), await a_call(database)
    await told(database, waiting)
    await told(database, silent)

    async with database.transaction() as session:
        await tell_all_again(session)

    assert [tell.agenda.row_id for tell in await calls_claimed(database)] == [waiting.id]


async def test_a_reminder_that_is_more_than_a_minute_late_is_told_again(
    database: Database,
) -> None:
    call = await a_call(database, 0)
    await told(database, call)
    due = NOON + AN_HOUR

    before = await overdue(database, due + LATE)
    after = await overdue(database, due + LATE + A_SECOND)

    (tell,) = await calls_claimed(database)
    assert (before, after) == (0, 1)
    assert tell.never_told
    assert tell.agenda.version == call.agenda_version + 1


async def test_the_workflows_that_should_run_are_those_of_all_that_has_something_to_do(
    database: Database,
) -> None:
    call, entry = await a_call(database, 15, 0), await entered(database, LATER, LATER)
    await a_call(database)

    async with database.reading() as session:
        wanted = await wanted_workflows(session)

    assert wanted == [f"deal-{entry.item_id}-entry-{entry.id}", f"crm-activity-{call.id}"]


async def test_the_lag_is_that_of_calls_too(database: Database) -> None:
    with clock.at(NOON - AN_HOUR):
        await a_call(database, 0)
    await entered(database, LATER)

    async with database.reading() as session:
        oldest = await oldest_untold(session)

    assert oldest == NOON - AN_HOUR


async def test_a_call_whose_workflow_was_terminated_is_told_anew_and_history_says_so(
    database: Database,
) -> None:
    call, done = await a_call(database, 0), await a_call(database)
    await told(database, call)

    async with database.transaction() as session:
        await tell_terminated_again(session, CrmActivity, [call.id, done.id])

    (tell,) = await calls_claimed(database)
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.CRM_ACTIVITY)
    assert (tell.agenda.row_id, tell.never_told) == (call.id, True)
    assert line.text == (
        f"Workflow crm-activity-{call.id} was terminated in Temporal and is started again."
    )
