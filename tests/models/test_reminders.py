"""Reminders follow the CRM activity that they are of, and are given once, to whom it concerns."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.crm_activity import CrmActivity, CrmActivityKind
from models.database import Database
from models.installation import installation
from models.item import Deal
from models.notification import Notification
from models.outbox import untold
from models.reminders import (
    FAULT_PAUSES,
    TOLERANCE,
    is_to_come,
    lock_reminders,
    move_reminders,
    put_back,
    remind,
    set_reminders,
    stop_reminders,
    stop_reminders_of,
)
from models.timing import BEGINNING
from models.user import User
from tests.factories import a_deal, a_pipeline, all_of, planned
from tests.fixtures.database import counted

A_MINUTE = timedelta(minutes=1)
A_SECOND = timedelta(seconds=1)
AN_HOUR = timedelta(hours=1)
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
AT_TWO = NOON + 2 * AN_HOUR
NEVER = None


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still at noon."""
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)


async def a_meeting(
    database: Database,
    *minutes_before: int,
    starts_at: datetime = AT_TWO,
    responsible: User | None = None,
    told: bool = False,
    **rest: object,
) -> CrmActivity:
    """Plan a meeting for a new deal; Temporal may know of it already."""
    async with database.transaction() as session:
        stage, _ = a_pipeline(session, "New", "Won")
        deal, _ = await a_deal(session, stage)
        people = {} if responsible is None else {"responsible": responsible}
        meeting = await planned(session, deal, starts_at, *minutes_before, **people, **rest)  # type: ignore[arg-type]
        if told:
            meeting.told_version = meeting.agenda_version
    return meeting


async def changed(
    database: Database, meeting: CrmActivity, change: Callable[[AsyncSession, CrmActivity], object]
) -> bool:
    """Change a locked meeting; return whether the relay has something to tell because of it."""
    async with database.transaction() as session:
        locked = await lock_reminders(session, meeting.id)
        assert locked is not None
        change(session, locked)
        return bool(untold(session))


async def now_is(database: Database, meeting: CrmActivity) -> CrmActivity:
    async with database.transaction() as session:
        found = await lock_reminders(session, meeting.id)
    assert found is not None
    return found


def times(meeting: CrmActivity) -> list[datetime | None]:
    return [each.due_at for each in meeting.reminders]


async def reminded(database: Database, meeting: CrmActivity, at: datetime) -> Sequence[str]:
    """Give what is due at a moment; return the texts of all notifications there are then."""
    with clock.at(at):
        async with database.transaction() as session:
            locked = await lock_reminders(session, meeting.id)
            assert locked is not None
            reminder = next(each for each in locked.reminders if each.due_at)
            await remind(session, locked, reminder, url="http://crm.example")
    return [each.text for each in await all_of(database, Notification)]


async def test_reminders_are_due_so_long_before_the_start_the_earliest_first(
    database: Database,
) -> None:
    meeting = await a_meeting(database, 0, 15, 60)

    after = await now_is(database, meeting)

    assert times(after) == [AT_TWO - AN_HOUR, AT_TWO - 15 * A_MINUTE, AT_TWO]


async def test_the_agenda_of_a_meeting_names_nobody(database: Database) -> None:
    meeting = await a_meeting(database, 0, 15, 60, 120 * 24, subject="Offer for Jane Doe")

    async with database.reading() as session:
        home = await installation(session)
    agenda = (await now_is(database, meeting)).agenda(home.database_id)

    assert [item.title for item in agenda.items] == [
        "Remind 1 hour before",
        "Remind 15 minutes before",
        "Remind at the time",
    ]
    assert agenda.totals == {"not given": 1}
    assert "Jane" not in agenda.model_dump_json()


async def test_a_meeting_without_reminders_leaves_nothing_to_tell(database: Database) -> None:
    meeting = await a_meeting(database)

    after = await now_is(database, meeting)

    assert after.told_version == after.agenda_version


async def test_a_meeting_with_reminders_has_to_be_told(database: Database) -> None:
    meeting = await a_meeting(database, 15)

    after = await now_is(database, meeting)

    assert after.told_version < after.agenda_version


@pytest.mark.parametrize(
    ("late", "due_at"),
    [(TOLERANCE - A_SECOND, NOON - TOLERANCE + A_SECOND), (TOLERANCE, NEVER), (AN_HOUR, NEVER)],
)
async def test_a_reminder_whose_time_is_past_is_given_only_if_that_was_just_now(
    database: Database, late: timedelta, due_at: datetime | None
) -> None:
    meeting = await a_meeting(database, 15, starts_at=NOON + 15 * A_MINUTE - late)

    assert times(await now_is(database, meeting)) == [due_at]


async def test_of_what_began_when_time_did_nobody_is_reminded(database: Database) -> None:
    meeting = await a_meeting(database, 366 * 24 * 60, starts_at=BEGINNING)

    assert times(await now_is(database, meeting)) == [NEVER]


def with_reminders(minutes: list[int]) -> Callable[[AsyncSession, CrmActivity], None]:
    def give(session: AsyncSession, meeting: CrmActivity) -> None:
        set_reminders(session, meeting, minutes)

    return give


async def test_other_reminders_replace_those_there_were_and_what_stays_is_left_alone(
    database: Database,
) -> None:
    meeting = await a_meeting(database, 60, 15, told=True)
    before = {each.minutes_before: each.id for each in meeting.reminders}

    told = await changed(database, meeting, with_reminders([15, 5, 5]))

    after = await now_is(database, meeting)
    assert told
    assert [each.minutes_before for each in after.reminders] == [15, 5]
    assert after.reminders[0].id == before[15]


async def test_the_same_reminders_again_change_nothing(database: Database) -> None:
    meeting = await a_meeting(database, 60, 15, told=True)

    told = await changed(database, meeting, with_reminders([15, 60]))

    assert not told
    assert (await now_is(database, meeting)).agenda_version == meeting.agenda_version


async def test_a_meeting_that_had_no_reminders_can_get_some(database: Database) -> None:
    meeting = await a_meeting(database)

    told = await changed(database, meeting, with_reminders([15]))

    after = await now_is(database, meeting)
    assert told
    assert 0 < after.told_version < after.agenda_version


def at(starts_at: datetime) -> Callable[[AsyncSession, CrmActivity], None]:
    def move(session: AsyncSession, meeting: CrmActivity) -> None:
        meeting.starts_at = starts_at
        move_reminders(session, meeting)

    return move


async def test_reminders_move_with_the_start(database: Database) -> None:
    meeting = await a_meeting(database, 60, 15, told=True)

    told = await changed(database, meeting, at(AT_TWO + AN_HOUR))

    assert told
    assert times(await now_is(database, meeting)) == [AT_TWO, AT_TWO + 45 * A_MINUTE]


async def test_a_meeting_brought_forward_leaves_out_what_would_be_too_late(
    database: Database,
) -> None:
    meeting = await a_meeting(database, 60, 15, told=True)

    await changed(database, meeting, at(NOON + 30 * A_MINUTE))

    assert times(await now_is(database, meeting)) == [NEVER, NOON + 15 * A_MINUTE]


async def test_who_was_reminded_is_reminded_again_of_a_postponed_meeting(
    database: Database, ann: User
) -> None:
    meeting = await a_meeting(database, 15, responsible=ann)
    await reminded(database, meeting, AT_TWO - 15 * A_MINUTE)

    await changed(database, meeting, at(AT_TWO + AN_HOUR))

    after = await now_is(database, meeting)
    assert times(after) == [AT_TWO + 45 * A_MINUTE]
    assert after.reminders[0].reminded_at is None


async def test_nobody_is_reminded_any_more_of_what_is_completed(database: Database) -> None:
    meeting = await a_meeting(database, 60, 15, told=True)

    told = await changed(database, meeting, stop_reminders)

    assert told
    assert times(await now_is(database, meeting)) == [NEVER, NEVER]


async def test_completing_what_has_no_reminders_left_tells_nothing(database: Database) -> None:
    meeting = await a_meeting(database)

    assert not await changed(database, meeting, stop_reminders)


async def test_what_is_completed_or_deleted_gets_no_new_reminders(database: Database) -> None:
    meeting = await a_meeting(database, 60, told=True)

    def complete_and_move(session: AsyncSession, locked: CrmActivity) -> None:
        locked.completed_at = clock.now()
        move_reminders(session, locked)
        set_reminders(session, locked, [60, 5])

    await changed(database, meeting, complete_and_move)

    after = await now_is(database, meeting)
    assert times(after) == [NEVER, NEVER]
    assert not is_to_come(after)


async def test_many_are_stopped_in_few_statements_and_only_those_with_reminders_are_told(
    database: Database,
) -> None:
    several = [await a_meeting(database, 60, 15, told=True) for _ in range(4)]
    silent = await a_meeting(database)

    with counted(database) as statements:
        async with database.transaction() as session:
            loaded = await session.get_one(CrmActivity, several[0].id)
            await stop_reminders_of(session, [each.id for each in [*several, silent]])
            tells = bool(untold(session))

    assert tells
    assert len([each for each in statements if not each.startswith("BEGIN")]) <= 6
    assert loaded.agenda_version == several[0].agenda_version + 1
    after = [await now_is(database, each) for each in [*several, silent]]
    assert [times(each) for each in after] == [[NEVER, NEVER]] * 4 + [[]]
    assert [each.told_version < each.agenda_version for each in after] == [True] * 4 + [False]


async def test_stopping_many_that_have_none_tells_nothing(database: Database) -> None:
    silent = await a_meeting(database)

    async with database.transaction() as session:
        await stop_reminders_of(session, [silent.id])

        assert not untold(session)


@pytest.fixture
async def ann(database: Database) -> User:
    return await a_person(database)


async def a_person(database: Database, **rest: object) -> User:
    person = User(name="Ann", **rest)  # type: ignore[arg-type]
    async with database.transaction() as session:
        session.add(person)
    return person


async def test_whoever_is_responsible_is_notified_with_a_link_to_the_item(
    database: Database, ann: User
) -> None:
    meeting = await a_meeting(database, 15, responsible=ann)

    await reminded(database, meeting, AT_TWO - 15 * A_MINUTE)

    (told,) = await all_of(database, Notification)
    assert (told.recipient_id, told.item_id) == (ann.id, meeting.item_id)
    assert told.link == f"http://crm.example/v1/deals/{meeting.item_id}"
    after = await now_is(database, meeting)
    assert (after.reminders[0].due_at, after.reminders[0].reminded_at) == (
        None,
        AT_TWO - 15 * A_MINUTE,
    )


async def test_whoever_has_become_responsible_since_is_the_one_to_be_notified(
    database: Database, ann: User
) -> None:
    meeting = await a_meeting(database, 15, responsible=ann)
    other = await a_person(database)

    async with database.transaction() as session:
        (await session.get_one(CrmActivity, meeting.id)).responsible_id = other.id
    await reminded(database, meeting, AT_TWO - 15 * A_MINUTE)

    (told,) = await all_of(database, Notification)
    assert told.recipient_id == other.id


async def test_where_nobody_is_responsible_nobody_is_notified(database: Database) -> None:
    meeting = await a_meeting(database, 15)

    texts = await reminded(database, meeting, AT_TWO - 15 * A_MINUTE)

    after = await now_is(database, meeting)
    assert texts == []
    assert (after.reminders[0].due_at, after.reminders[0].reminded_at) == (None, None)


async def test_who_works_here_no_more_is_not_notified(database: Database) -> None:
    meeting = await a_meeting(database, 15, responsible=await a_person(database, active=False))

    texts = await reminded(database, meeting, AT_TWO - 15 * A_MINUTE)

    assert texts == []
    assert times(await now_is(database, meeting)) == [NEVER]


async def test_what_is_due_together_is_told_as_one_and_the_rest_still_to_come(
    database: Database, ann: User
) -> None:
    meeting = await a_meeting(database, 60, 15, 0, responsible=ann)

    texts = await reminded(database, meeting, AT_TWO - 10 * A_MINUTE)

    assert len(texts) == 1
    assert times(await now_is(database, meeting)) == [NEVER, NEVER, AT_TWO]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT_TWO - 15 * A_MINUTE + 20 * A_SECOND, "In 15 minutes, 2:00\u202fPM"),
        (AT_TWO - 90 * A_MINUTE, "In 90 minutes, 2:00\u202fPM"),
        (AT_TWO + 20 * A_SECOND, "Now, 2:00\u202fPM"),
        (AT_TWO + 10 * A_MINUTE, "10 minutes ago, 2:00\u202fPM"),
        (AT_TWO - timedelta(days=1), "In 24 hours, Mon, Mar 1, 2:00\u202fPM"),
        (AT_TWO - timedelta(days=3), "In 3 days, Mon, Mar 1, 2:00\u202fPM"),
    ],
)
async def test_a_reminder_says_how_long_it_is_until_the_start(
    database: Database, ann: User, at: datetime, text: str
) -> None:
    meeting = await a_meeting(database, 0, responsible=ann)

    texts = await reminded(database, meeting, at)

    assert texts == [f"{text}: Meeting «Offer» (deal {meeting.item_id})"]


@pytest.mark.parametrize(
    ("kind", "locale", "zone", "text"),
    [
        (CrmActivityKind.CALL, "de", "Europe/Berlin", "In 15 Minuten, 15:00: Anruf «Offer»"),
        (CrmActivityKind.MEETING, "es", "Europe/Berlin", "Dentro de 15 minutos, 15:00: Reunión"),
        (CrmActivityKind.TO_DO, "fr_FR", "Europe/Lisbon", "Dans 15 minutes, 14:00: À faire"),
        (
            CrmActivityKind.CALL,
            "pl_PL",
            "Europe/Warsaw",
            "Za 15 minut, 15:00: Rozmowa",
        ),
        (CrmActivityKind.TO_DO, "en_GB", "Asia/Tokyo", "In 15 minutes, 23:00: To-do «Offer»"),
    ],
)
async def test_a_reminder_speaks_the_language_and_has_the_clock_of_its_reader(
    database: Database, kind: CrmActivityKind, locale: str, zone: str, text: str
) -> None:
    reader = await a_person(database, locale=locale, time_zone=zone)
    meeting = await a_meeting(database, 15, responsible=reader, kind=kind)

    (said,) = await reminded(database, meeting, AT_TWO - 15 * A_MINUTE)

    assert said.startswith(text)


async def test_without_a_clock_of_their_own_people_have_that_of_the_company(
    database: Database, ann: User
) -> None:
    meeting = await a_meeting(database, 15, responsible=ann)
    async with database.transaction() as session:
        home = await installation(session)
        home.locale, home.time_zone = "de_DE", "Asia/Tokyo"

    (said,) = await reminded(database, meeting, AT_TWO - 15 * A_MINUTE)

    assert said.startswith("In 15 Minuten, 23:00: Besprechung «Offer»")


@pytest.mark.parametrize(("attempts", "pause"), [(0, 1), (3, 8), (6, 64)])
async def test_after_a_fault_a_reminder_is_tried_again_with_growing_pauses(
    database: Database, attempts: int, pause: int
) -> None:
    meeting = await a_meeting(database, 15, told=True)

    def fail(session: AsyncSession, locked: CrmActivity) -> None:
        locked.reminders[0].attempts = attempts
        assert put_back(session, locked, locked.reminders[0])

    told = await changed(database, meeting, fail)

    after = await now_is(database, meeting)
    assert told
    assert times(after) == [NOON + pause * A_MINUTE]
    assert after.reminders[0].attempts == attempts + 1


async def test_a_reminder_is_given_up_in_the_end(database: Database) -> None:
    meeting = await a_meeting(database, 15, told=True)

    def fail(session: AsyncSession, locked: CrmActivity) -> None:
        locked.reminders[0].attempts = len(FAULT_PAUSES)
        assert not put_back(session, locked, locked.reminders[0])

    await changed(database, meeting, fail)

    assert times(await now_is(database, meeting)) == [NEVER]


async def test_what_belongs_to_a_deleted_item_is_not_to_come(database: Database) -> None:
    meeting = await a_meeting(database, 15)

    async with database.transaction() as session:
        deal = await session.scalar(select(Deal).where(Deal.id == meeting.item_id))
        assert deal is not None
        deal.deleted_at = NOON

    assert not is_to_come(await now_is(database, meeting))


async def test_nothing_is_locked_of_a_crm_activity_that_is_not_there(database: Database) -> None:
    async with database.transaction() as session:
        assert await lock_reminders(session, 404) is None
