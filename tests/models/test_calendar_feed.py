"""Calendar feeds, as a parser reads them that did not write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import vobject

from models.calendar_feed import feed_of
from models.clock import at
from models.crm_activity import CrmActivity, CrmActivityKind
from models.crm_activity_end import as_completed
from models.database import Database
from models.installation import installation
from models.item import Item
from models.reminders import set_reminders
from models.task import Task
from models.task_fields import TaskStatus
from models.user import User
from models.vtimezone import vtimezone
from tests.factories import a_deal, a_pipeline

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
SOON = NOW + timedelta(days=1)
AN_HOUR = timedelta(hours=1)


class Desk:
    """Somebody with a deal; what they have to do is put into the database directly."""

    def __init__(self, database: Database, user: User, item: Item) -> None:
        self._database = database
        self.user = user
        self.item = item

    async def meeting(self, starts_at: datetime = SOON, **said: Any) -> CrmActivity:
        reminders = said.pop("reminders", ())
        deleted_at = said.pop("deleted_at", None)
        async with self._database.transaction() as session:
            meeting = CrmActivity(
                kind=said.pop("kind", CrmActivityKind.MEETING),
                subject=said.pop("subject", "Meet"),
                item=await session.get_one(Item, self.item.id),
                responsible=await session.get_one(User, said.pop("of", self.user).id),
                starts_at=starts_at,
                ends_at=said.pop("ends_at", starts_at + AN_HOUR),
                reminders=[],
                **said,
            )
            meeting.deleted_at = deleted_at
            set_reminders(session, meeting, reminders)
            session.add(meeting)
        return meeting

    async def met(self, meeting: CrmActivity) -> None:
        async with self._database.transaction() as session:
            as_completed(await session.get_one(CrmActivity, meeting.id), self.user, NOW)

    async def task(self, deadline_at: datetime | None, **said: Any) -> Task:
        status = said.pop("status", TaskStatus.PENDING)
        async with self._database.transaction() as session:
            task = Task(
                title=said.pop("title", "Write"),
                responsible=await session.get_one(User, self.user.id),
                deadline_at=deadline_at,
                people=[],
                tags=[],
                checklist=[],
                **said,
            )
            task.status = status
            session.add(task)
        return task

    async def text(self) -> str:
        async with self._database.reading() as session:
            user = await session.get_one(User, self.user.id)
            return (await feed_of(session, user, url="http://crm.example")).written().decode()

    async def entries(self) -> list[Any]:
        """Return what a calendar program reads."""
        return list(getattr(vobject.readOne(await self.text()), "vevent_list", []))


@pytest.fixture
async def desk(database: Database) -> Any:
    tom = User(name="Tom", time_zone="Europe/Berlin")
    async with database.transaction() as session:
        session.add(tom)
        (stage,) = a_pipeline(session, "New")
        deal, _ = await a_deal(session, stage)
    with at(NOW):
        yield Desk(database, tom, deal)


async def test_a_meeting_stands_in_the_calendar_with_all_that_matters(desk: Desk) -> None:
    meeting = await desk.meeting(
        subject="Measure the roof",
        description="Bring the ladder",
        place="Works Road 1, Berlin",
        phone="030 111111",
        important=True,
        colour="green",
        reminders=[15, 0],
    )

    [entry] = await desk.entries()

    assert entry.summary.value == "Measure the roof"
    assert entry.location.value == "Works Road 1, Berlin"
    assert entry.description.value == (
        f"Bring the ladder\n\n030 111111\nhttp://crm.example/v1/deals/{desk.item.id}"
    )
    assert entry.url.value == f"http://crm.example/v1/crm-activities/{meeting.id}"
    assert (entry.dtstart.value, entry.dtend.value) == (SOON, SOON + AN_HOUR)
    assert (entry.status.value, entry.transp.value) == ("CONFIRMED", "OPAQUE")
    assert (entry.priority.value, entry.color.value) == ("1", "green")
    assert [alarm.trigger.value for alarm in entry.valarm_list] == [
        timedelta(minutes=-15),
        timedelta(0),
    ]
    assert [alarm.action.value for alarm in entry.valarm_list] == ["DISPLAY", "DISPLAY"]


async def test_times_are_told_on_the_clock_of_the_person(desk: Desk) -> None:
    await desk.meeting(datetime(2027, 3, 2, 9, 0, tzinfo=UTC))

    text = await desk.text()

    assert "DTSTART;TZID=Europe/Berlin:20270302T100000\r\n" in text
    assert "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n" in text


async def test_whoever_has_no_zone_has_that_of_the_company(desk: Desk, database: Database) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = "Asia/Kathmandu"
        (await session.get_one(User, desk.user.id)).time_zone = None
    await desk.meeting()

    assert "DTSTART;TZID=Asia/Kathmandu:20270302T144500" in await desk.text()


async def test_in_utc_there_is_no_zone_to_tell_of(desk: Desk, database: Database) -> None:
    async with database.transaction() as session:
        (await session.get_one(User, desk.user.id)).time_zone = "UTC"
    await desk.meeting()

    text = await desk.text()

    assert "DTSTART:20270302T090000Z" in text
    assert "VTIMEZONE" not in text


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2027, 3, 28, 0, 30, tzinfo=UTC),
        datetime(2027, 3, 28, 1, 0, tzinfo=UTC),
        datetime(2027, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2027, 3, 28, 2, 30, tzinfo=UTC),
        datetime(2027, 10, 30, 23, 30, tzinfo=UTC),
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
        datetime(2027, 10, 31, 1, 30, tzinfo=UTC),
        datetime(2027, 10, 31, 2, 30, tzinfo=UTC),
        datetime(2036, 7, 1, 12, 0, tzinfo=UTC),
        datetime(2040, 7, 1, 12, 0, tzinfo=UTC),
        datetime(9990, 7, 1, 12, 0, tzinfo=UTC),
    ],
    ids=lambda moment: f"{moment:%Y-%m-%d %H:%M}",
)
async def test_a_moment_is_read_as_it_was_meant_on_both_sides_of_a_clock_change(
    desk: Desk, moment: datetime
) -> None:
    await desk.meeting(moment)

    [entry] = await desk.entries()

    assert entry.dtstart.value.astimezone(UTC) == moment
    assert entry.dtend.value.astimezone(UTC) == moment + AN_HOUR


@pytest.mark.parametrize(
    "subject",
    [
        'Roof; the north, the south \\ both: "all"',
        "One\nTwo\r\nThree\rFour",
        "End\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Other",
        "Sun ☀️ for 👩‍👩‍👧‍👦 und Zoë",
        "Tab\tand \x00\x07\x1b bells \x85 next   line",
        "☀" * 10_000,
        "x" * 10_240,
        "ATTACH:file:///etc/passwd",
    ],
    ids=["special", "lines", "injection", "emoji", "controls", "long emoji", "10 kB", "property"],
)
async def test_no_text_breaks_the_calendar_or_adds_to_it(desk: Desk, subject: str) -> None:
    storable = subject.replace("\x00", "")
    said: dict[str, Any] = {
        "subject": storable,
        "description": storable,
        "place": storable,
        "phone": storable,
    }
    await desk.meeting(**said, reminders=[5])

    text = await desk.text()
    [entry] = desk_entries(text)

    plain = " ".join(re.sub(r"[\x00-\x1f\x85\u2028\u2029]", " ", storable).split())
    read = entry.summary.value
    assert read == plain or (len(read) == 250 and read[:-1] == plain[:249] and read[-1] == "…")
    assert entry.location.value == read
    assert set(entry.contents) == {
        "categories",
        "created",
        "description",
        "dtend",
        "dtstamp",
        "dtstart",
        "last-modified",
        "location",
        "sequence",
        "status",
        "summary",
        "transp",
        "uid",
        "url",
        "valarm",
    }
    lines = text.encode().split(b"\r\n")
    assert max(len(line) for line in lines) <= 75
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x85\u2028\u2029]", text)


def desk_entries(text: str) -> list[Any]:
    return list(vobject.readOne(text).vevent_list)


async def test_a_description_keeps_its_lines(desk: Desk) -> None:
    await desk.meeting(description="One\r\nTwo\x0bThree")

    [entry] = await desk.entries()

    assert entry.description.value.startswith("One\nTwo\nThree\n\nhttp://")


async def test_what_is_completed_says_so_and_reminds_nobody(desk: Desk) -> None:
    await desk.met(await desk.meeting(NOW - AN_HOUR, subject="Met", reminders=[15]))

    [entry] = await desk.entries()

    assert entry.summary.value == "✓ Met"
    assert entry.transp.value == "TRANSPARENT"
    assert "valarm" not in entry.contents


async def test_mails_that_were_sent_are_no_appointments(desk: Desk) -> None:
    mail = await desk.meeting(kind=CrmActivityKind.EMAIL)
    await desk.met(mail)

    assert await desk.entries() == []


async def test_a_to_do_takes_no_time(desk: Desk) -> None:
    await desk.meeting(kind=CrmActivityKind.TO_DO, ends_at=None)

    [entry] = await desk.entries()

    assert entry.transp.value == "TRANSPARENT"
    assert "dtend" not in entry.contents


async def test_whoever_reads_again_knows_what_is_the_same_and_what_is_newer(
    desk: Desk, database: Database
) -> None:
    meeting = await desk.meeting()
    before, again = await desk.text(), await desk.text()
    [old] = desk_entries(before)

    async with database.transaction() as session:
        row = await session.get_one(CrmActivity, meeting.id)
        row.subject, row.revised_at = "Other", NOW + AN_HOUR
    [new] = await desk.entries()

    assert again == before
    assert new.uid.value == old.uid.value
    assert int(new.sequence.value) == int(old.sequence.value) + 1
    assert (old.dtstamp.value, new.dtstamp.value) == (
        meeting.revised_at.replace(microsecond=0),
        NOW + AN_HOUR,
    )
    assert getattr(new, "last-modified").value == NOW + AN_HOUR


async def test_others_deleted_and_long_past_ones_are_left_out(
    desk: Desk, database: Database
) -> None:
    eve = User(name="Eve")
    async with database.transaction() as session:
        session.add(eve)
    await desk.meeting(of=eve)
    await desk.meeting(deleted_at=NOW)
    await desk.meeting(NOW - timedelta(days=91))
    there = await desk.meeting(NOW - timedelta(days=89), subject="There")

    [entry] = await desk.entries()

    assert entry.summary.value == "There"
    assert entry.uid.value.startswith(f"crm-activity-{there.id}@")


async def test_those_of_an_item_in_the_recycle_bin_are_left_out(
    desk: Desk, database: Database
) -> None:
    await desk.meeting()
    async with database.transaction() as session:
        (await session.get_one(Item, desk.item.id)).deleted_at = NOW

    assert await desk.entries() == []


async def test_deadlines_of_tasks_that_are_still_to_be_done_stand_there_too(desk: Desk) -> None:
    task = await desk.task(SOON, title="Write the offer", description="With two batteries")
    await desk.task(SOON, status=TaskStatus.COMPLETED)
    await desk.task(None)

    [entry] = await desk.entries()

    assert entry.summary.value == "Write the offer"
    assert entry.dtstart.value == SOON
    assert entry.transp.value == "TRANSPARENT"
    assert entry.description.value == (
        f"With two batteries\n\nhttp://crm.example/v1/tasks/{task.id}"
    )


async def test_a_deadline_at_the_end_of_time_stands_there_in_utc(desk: Desk) -> None:
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    await desk.task(never)

    [entry] = await desk.entries()

    assert entry.dtstart.value == never


async def test_nothing_to_do_is_a_calendar_too(desk: Desk) -> None:
    calendar = vobject.readOne(await desk.text())

    assert (calendar.version.value, calendar.name) == ("2.0", "VCALENDAR")
    assert "vevent" not in calendar.contents


async def test_there_is_an_end_to_what_is_told_the_next_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.calendar_feed.MOST", 2)
    days = [timedelta(days=3), timedelta(days=1), timedelta(days=2)]
    _ = [await desk.meeting(NOW + each) for each in days]

    starts = [entry.dtstart.value for entry in await desk.entries()]

    assert starts == [NOW + timedelta(days=1), NOW + timedelta(days=2)]


def test_a_zone_tells_every_change_in_the_time_shown_before_it() -> None:
    year = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))

    text = vtimezone("America/New_York", *year).to_ical().decode()

    assert "BEGIN:DAYLIGHT\r\nDTSTART:20270314T020000\r\n" in text
    assert "BEGIN:STANDARD\r\nDTSTART:20271107T020000\r\n" in text
    assert text.count("BEGIN:") == 4


def test_a_zone_that_changes_by_half_an_hour_tells_so() -> None:
    year = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))

    text = vtimezone("Australia/Lord_Howe", *year).to_ical().decode()

    assert "TZOFFSETFROM:+1100\r\nTZOFFSETTO:+1030" in text
