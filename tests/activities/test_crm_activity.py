"""A reminder is given once, at its time, while what it is about is still planned for then."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError

from activities.crm_activity import ReminderActivities
from models import clock
from models.agenda import CrmActivityAgenda, ReminderFault, ReminderStep, StopReminders
from models.crm_activity import CrmActivity
from models.database import Database
from models.installation import installation
from models.item import Deal
from models.notification import Notification
from models.reminders import FAULT_PAUSES, lock_reminders, move_reminders
from models.settings import Automation, Settings
from models.user import User
from tests.factories import a_deal, a_pipeline, all_of, planned
from tests.fixtures.runner import called

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
AT_TWO = NOON + timedelta(hours=2)
QUARTER_TO_TWO = AT_TWO - timedelta(minutes=15)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still at noon, but for activities."""
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)


class Reminding:
    """A meeting at two, of which Ann is to be reminded fifteen minutes before and at the time."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.activities = ReminderActivities(database, settings).all()
        self.meeting_id = 0

    async def prepare(self) -> None:
        async with self.database.transaction() as session:
            stage, _ = a_pipeline(session, "New", "Won")
            deal, _ = await a_deal(session, stage)
            meeting = await planned(session, deal, AT_TWO, 15, 0, responsible=User(name="Ann"))
            meeting.told_version = meeting.agenda_version
        self.meeting_id = meeting.id

    async def change(self, change: Callable[[AsyncSession, CrmActivity], object]) -> None:
        async with self.database.transaction() as session:
            change(session, await self._locked(session))

    async def meeting(self) -> CrmActivity:
        async with self.database.transaction() as session:
            return await self._locked(session)

    async def agenda(self) -> CrmActivityAgenda:
        async with self.database.reading() as session:
            home = await installation(session)
        return (await self.meeting()).agenda(home.database_id)

    async def step(self) -> ReminderStep:
        """Return the next reminder as a workflow would see it now."""
        agenda = await self.agenda()
        return agenda.offer(agenda.items[0])

    async def offer(self, step: ReminderStep, at: datetime = QUARTER_TO_TWO) -> CrmActivityAgenda:
        return await self.call("remind", step, at)

    async def call(
        self, name: str, about: object, at: datetime = QUARTER_TO_TWO
    ) -> CrmActivityAgenda:
        reply: CrmActivityAgenda = await called(self.activities, name, about, at)
        return reply

    async def notifications(self) -> int:
        return len(await all_of(self.database, Notification))

    async def _locked(self, session: AsyncSession) -> CrmActivity:
        meeting = await lock_reminders(session, self.meeting_id)
        assert meeting is not None
        return meeting


@pytest.fixture
async def reminding(database: Database) -> Reminding:
    reminding = Reminding(database, Settings(public_url="http://crm.example"))
    await reminding.prepare()
    return reminding


async def test_it_is_given_and_the_reply_is_the_rest(reminding: Reminding) -> None:
    reply = await reminding.offer(await reminding.step())

    (told,) = await all_of(reminding.database, Notification)
    assert told.text.startswith("In 15 minutes, 2:00\u202fPM: Meeting «Offer»")
    assert [item.due_at for item in reply.items] == [AT_TWO]
    assert reply.totals == {"given": 1}


async def test_a_clock_that_is_a_little_slow_gives_it_once_all_the_same(
    reminding: Reminding,
) -> None:
    reply = await reminding.offer(
        await reminding.step(), at=QUARTER_TO_TWO - timedelta(milliseconds=5)
    )

    assert await reminding.notifications() == 1
    assert reply.totals == {"given": 1}


async def test_the_reply_tells_temporal_what_the_database_knows(reminding: Reminding) -> None:
    reply = await reminding.offer(await reminding.step())

    after = await reminding.meeting()
    assert after.told_version == after.agenda_version == reply.version


async def test_the_reply_tells_nothing_that_was_not_told_before(reminding: Reminding) -> None:
    step = await reminding.step()
    await reminding.change(lambda _, meeting: setattr(meeting, "told_version", 0))

    await reminding.offer(step)

    assert (await reminding.meeting()).told_version == 0


async def test_a_reminder_offered_twice_is_given_once(reminding: Reminding) -> None:
    step = await reminding.step()
    first = await reminding.offer(step)

    again = await reminding.offer(step)

    assert again == first
    assert await reminding.notifications() == 1


async def test_a_postponed_meeting_turns_the_old_time_away(reminding: Reminding) -> None:
    step = await reminding.step()

    def postpone(session: AsyncSession, meeting: CrmActivity) -> None:
        meeting.starts_at += timedelta(days=1)
        move_reminders(session, meeting)

    await reminding.change(postpone)

    reply = await reminding.offer(step)

    assert await reminding.notifications() == 0
    assert [item.due_at - timedelta(days=1) for item in reply.items] == [QUARTER_TO_TWO, AT_TWO]


async def test_a_reminder_of_what_is_completed_is_turned_away_and_never_offered_again(
    reminding: Reminding,
) -> None:
    step = await reminding.step()
    await reminding.change(lambda _, meeting: setattr(meeting, "completed_at", NOON))

    reply = await reminding.offer(step)

    assert await reminding.notifications() == 0
    assert reply.items == ()


async def test_a_reminder_of_a_deleted_item_is_turned_away_and_never_offered_again(
    reminding: Reminding,
) -> None:
    step = await reminding.step()
    async with reminding.database.transaction() as session:
        (deal,) = await session.scalars(select(Deal))
        deal.deleted_at = NOON

    reply = await reminding.offer(step)

    assert await reminding.notifications() == 0
    assert reply.items == ()


async def test_a_reminder_of_another_database_is_turned_away(reminding: Reminding) -> None:
    step = await reminding.step()

    reply = await reminding.offer(step.model_copy(update={"database_id": uuid4()}))

    assert reply == await reminding.agenda()
    assert await reminding.notifications() == 0


async def test_of_a_crm_activity_that_is_not_there_nothing_is_left(reminding: Reminding) -> None:
    step = await reminding.step()

    reply = await reminding.offer(step.model_copy(update={"crm_activity_id": 404}))

    assert (reply.items, reply.version, reply.database_id) == ((), 0, step.database_id)


async def test_a_pause_of_the_automation_does_not_hold_reminders(database: Database) -> None:
    paused = Reminding(database, Settings(automation=Automation.PAUSED))
    await paused.prepare()

    await paused.offer(await paused.step())

    assert await paused.notifications() == 1


async def test_after_a_fault_a_reminder_is_offered_again_later(reminding: Reminding) -> None:
    fault = ReminderFault(step=await reminding.step(), error_type="OSError")

    reply = await reminding.call("record_reminder_fault", fault)

    assert reply.items[0].due_at == QUARTER_TO_TWO + timedelta(minutes=1)
    after = await reminding.meeting()
    assert after.told_version == after.agenda_version


async def test_after_many_faults_a_reminder_is_given_up(reminding: Reminding) -> None:
    step = await reminding.step()

    def as_after_many(_: AsyncSession, meeting: CrmActivity) -> None:
        meeting.reminders[0].attempts = len(FAULT_PAUSES)

    await reminding.change(as_after_many)

    reply = await reminding.call(
        "record_reminder_fault", ReminderFault(step=step, error_type="OSError")
    )

    assert [item.due_at for item in reply.items] == [AT_TWO]
    assert reply.totals == {"not given": 1}


async def test_a_fault_told_late_changes_nothing(reminding: Reminding) -> None:
    step = await reminding.step()
    given = await reminding.offer(step)

    reply = await reminding.call(
        "record_reminder_fault", ReminderFault(step=step, error_type="OSError")
    )

    assert reply == given


async def test_cancelling_in_temporal_stops_the_reminders(reminding: Reminding) -> None:
    agenda = await reminding.agenda()

    reply = await reminding.call("stop_reminders", agenda.stop())

    assert reply.items == ()
    assert reply.totals == {"not given": 2}


async def test_cancelling_a_workflow_of_another_database_stops_nothing(
    reminding: Reminding,
) -> None:
    stop = StopReminders(database_id=uuid4(), crm_activity_id=reminding.meeting_id)

    reply = await reminding.call("stop_reminders", stop)

    assert len(reply.items) == 2


async def test_temporal_is_told_the_kind_of_a_fault_and_never_its_words(
    reminding: Reminding, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = await reminding.step()

    async def broken(*_: object) -> None:
        raise OSError("Jane Doe, jane@example.org")

    monkeypatch.setattr("models.reminders.installation", broken)

    with pytest.raises(ApplicationError) as failure:
        await reminding.offer(step)

    assert str(failure.value) == "OSError: OSError"
    assert failure.value.__cause__ is None
    assert await reminding.notifications() == 0
    assert len((await reminding.agenda()).items) == 2


async def test_an_undisturbed_reminder_leaves_the_relay_nothing_to_tell(
    reminding: Reminding,
) -> None:
    woken: list[bool] = []
    reminding.database.on_agenda_change(lambda: woken.append(True))

    await reminding.offer(await reminding.step())

    assert woken == []
