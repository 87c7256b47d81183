"""Schedule a call: to the client of the item, in the calendar of whoever is to make it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models.company import Company
from models.contact import Contact
from models.contact_point import phone
from models.crm_activity import (
    CrmActivity,
    CrmActivityDirection,
    CrmActivityKind,
    CrmActivityStatus,
)
from models.database import Database
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.item_type import ItemType
from models.notification import Notification
from models.rule_run import RunState
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

MORNING = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage that schedules a call with these params, besides a subject."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Contract")
        a_rule(session, stage, "schedule_call", params={"subject": "Call"} | params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def the_call(database: Database) -> CrmActivity:
    reminders = (selectinload(CrmActivity.reminders),)
    (call,) = await all_of(database, CrmActivity, options=reminders)
    return call


async def in_zone(database: Database, zone: str) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = zone


def reached_at(*numbers: str) -> Any:
    return [phone(number, region="DE") for number in numbers]


async def test_the_call_is_tied_to_the_item_and_to_the_run_that_made_it(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom")
    entry = await entered(database, {}, responsible=tom)

    run = await runner.do(entry.id, at=MORNING)

    call = await the_call(database)
    assert (call.item_id, call.made_by_run_id) == (entry.item_id, run.id)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Planned call {call.id} «Call» for Tom: Aug 2, 2027, 12:00\u202fPM.",
    )
    assert run.result == {
        "id": call.id,
        "subject": "Call",
        "responsible": "Tom",
        "starts_at": "2027-08-02T12:00:00Z",
        "url": f"http://crm.example/v1/crm-activities/{call.id}",
    }


async def test_what_is_not_said_has_its_default(database: Database, runner: Runner) -> None:
    tom = User(name="Tom")
    entry = await entered(database, {}, responsible=tom)

    await runner.do(entry.id, at=MORNING)

    call = await the_call(database)
    assert (call.kind, call.direction) == (CrmActivityKind.CALL, CrmActivityDirection.OUTGOING)
    assert (call.status, call.completion) == (CrmActivityStatus.PLANNED, None)
    assert call.responsible_id == tom.id
    assert (call.creator_id, call.description, call.place, call.colour) == (None, None, None, None)
    assert call.starts_at == datetime(2027, 8, 2, 12, 0, tzinfo=UTC)
    assert call.ends_at == datetime(2027, 8, 2, 13, 0, tzinfo=UTC)
    assert call.minutes_before == [15, 0]
    assert (call.important, call.complete_on_stage_change) == (False, False)


async def test_everything_is_as_chosen(database: Database, runner: Runner) -> None:
    eve = User(name="Eve")
    async with database.transaction() as session:
        session.add(eve)
    entry = await entered(
        database,
        {
            "subject": "Ask {{ contact.name }}",
            "description": "About {{ deal.title }}",
            "start": {"days": 2, "time": "09:30"},
            "duration": {"amount": 20, "unit": "minutes"},
            "responsible": {"by": "user", "id": eve.id},
            "important": True,
            "reminders": [60],
            "colour": "teal",
            "complete_on_stage_change": True,
        },
        contact=Contact(first_name="Anna", contact_points=[]),
    )

    await runner.do(entry.id, at=MORNING)

    call = await the_call(database)
    assert (call.subject, call.description) == ("Ask Anna", "About Lathe")
    assert call.starts_at == datetime(2027, 8, 4, 9, 30, tzinfo=UTC)
    assert call.ends_at == datetime(2027, 8, 4, 9, 50, tzinfo=UTC)
    assert call.responsible_id == eve.id
    assert [each.due_at for each in call.reminders] == [datetime(2027, 8, 4, 8, 30, tzinfo=UTC)]
    assert (call.important, call.colour, call.complete_on_stage_change) == (True, "teal", True)


async def test_the_call_is_to_the_contact_before_the_company(
    database: Database, runner: Runner
) -> None:
    anna = Contact(first_name="Anna", contact_points=reached_at("030 111111", "030 222222"))
    works = Company(name="Works", contact_points=reached_at("030 333333"))
    entry = await entered(database, {}, contact=anna, company=works)

    await runner.do(entry.id)

    call = await the_call(database)
    assert (call.contact_id, call.company_id, call.phone) == (anna.id, works.id, "030 111111")


async def test_a_contact_without_a_phone_is_called_at_the_company(
    database: Database, runner: Runner
) -> None:
    anna = Contact(first_name="Anna", contact_points=[])
    works = Company(name="Works", contact_points=reached_at("030 333333"))
    entry = await entered(database, {}, contact=anna, company=works)

    await runner.do(entry.id)

    assert (await the_call(database)).phone == "030 333333"


async def test_a_lead_that_is_no_client_yet_is_called_at_its_own_phone(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, "schedule_call", params={"subject": "Call {{ lead.name }}"})
        _, entry = await a_lead(
            session, incoming, first_name="Ida", contact_points=reached_at("0171 5550100")
        )

    await runner.do(entry.id)

    call = await the_call(database)
    assert (call.subject, call.phone, call.contact_id) == ("Call Ida", "0171 5550100", None)


async def test_a_client_in_the_recycle_bin_is_not_called(
    database: Database, runner: Runner
) -> None:
    gone = Contact(first_name="Anna", contact_points=reached_at("030 111111"), deleted_at=MORNING)
    entry = await entered(database, {}, contact=gone)

    await runner.do(entry.id)

    call = await the_call(database)
    assert (call.contact_id, call.phone) == (None, None)


async def test_an_item_that_nobody_is_responsible_for_gets_its_call_all_the_same(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})

    run = await runner.do(entry.id, at=MORNING)

    call = await the_call(database)
    assert call.responsible_id is None
    assert run.outcome == f"Planned call {call.id} «Call»: Aug 2, 2027, 12:00\u202fPM."


async def test_clocks_are_read_and_days_begin_where_the_responsible_person_is(
    database: Database, runner: Runner
) -> None:
    await in_zone(database, "Europe/Berlin")
    tom = User(name="Tom", time_zone="Asia/Tokyo")
    entry = await entered(database, {"start": {"days": 1, "time": "08:00"}}, responsible=tom)

    await runner.do(entry.id, at=datetime(2027, 8, 2, 16, 0, tzinfo=UTC))

    # It was Tuesday 01:00 in Tokyo; the day after is Wednesday, whose 08:00 is Tuesday in UTC.
    assert (await the_call(database)).starts_at == datetime(2027, 8, 3, 23, 0, tzinfo=UTC)


async def test_a_clock_time_that_the_day_does_not_have_moves_on_by_the_gap(
    database: Database, runner: Runner
) -> None:
    await in_zone(database, "Europe/Berlin")
    entry = await entered(database, {"start": {"days": 1, "time": "02:30"}})

    await runner.do(entry.id, at=datetime(2027, 3, 27, 9, 0, tzinfo=UTC))

    # 03:30 of summer time.
    assert (await the_call(database)).starts_at == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)


async def test_today_at_noon_stays_when_noon_is_past_and_nobody_is_reminded(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})

    await runner.do(entry.id, at=MORNING + timedelta(hours=8))

    call = await the_call(database)
    assert call.starts_at == datetime(2027, 8, 2, 12, 0, tzinfo=UTC)
    assert [each.due_at for each in call.reminders] == [None, None]


@pytest.mark.parametrize(
    ("start", "starts_at"),
    [
        (
            {"date": {"field": "deal.close_date", "direction": "at"}},
            datetime(2027, 9, 30, 10, 0, tzinfo=UTC),
        ),
        (
            {
                "date": {
                    "field": "deal.close_date",
                    "direction": "before",
                    "amount": 1,
                    "unit": "weeks",
                },
                "time": "08:15",
            },
            datetime(2027, 9, 23, 6, 15, tzinfo=UTC),
        ),
        (
            {"date": {"field": "deal.custom.handover", "direction": "at"}},
            datetime(2027, 10, 1, 13, 45, tzinfo=UTC),
        ),
        (
            {"date": {"field": "deal.custom.handover", "direction": "after", "amount": 1}},
            datetime(2027, 10, 2, 13, 45, tzinfo=UTC),
        ),
        (
            {
                "date": {"field": "deal.custom.handover", "direction": "at"},
                "time": "09:00",
            },
            datetime(2027, 10, 1, 7, 0, tzinfo=UTC),
        ),
    ],
    ids=["day", "week before", "moment", "day after moment", "moment at another time"],
)
async def test_a_start_may_follow_a_date_of_the_item(
    database: Database, runner: Runner, start: dict[str, Any], starts_at: datetime
) -> None:
    await in_zone(database, "Europe/Berlin")
    entry = await entered(
        database,
        {"start": start},
        close_date=datetime(2027, 9, 30, tzinfo=UTC).date(),
        custom={"handover": "2027-10-01T13:45:00Z"},
    )

    await runner.do(entry.id, at=MORNING)

    assert (await the_call(database)).starts_at == starts_at


async def test_an_empty_date_fails_with_that_reason(database: Database, runner: Runner) -> None:
    start = {"date": {"field": "deal.close_date", "direction": "at"}}
    entry = await entered(database, {"start": start})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Deal {entry.item_id} has no close date, from which the start is counted.",
    )
    assert await all_of(database, CrmActivity) == []


async def test_history_tells_what_was_planned_by_which_rule(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})

    run = await runner.do(entry.id, at=MORNING)

    call = await the_call(database)
    [line] = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.CRM_ACTIVITY)
    assert line.text == f"Planned call {call.id} «Call» for 2 August 2027, 12:00."
    assert (line.subject_type, line.subject_id) == ("crm activity", call.id)
    assert (line.item_id, line.run_id, line.author_id) == (entry.item_id, run.id, None)


async def test_nobody_is_notified_but_by_reminders(database: Database, runner: Runner) -> None:
    entry = await entered(database, {}, responsible=User(name="Tom"))

    await runner.do(entry.id)

    assert await all_of(database, Notification) == []


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/subject", "Field required"),
        ({"subject": ""}, "/params/subject", "String should have at least 1 character"),
        (
            {"subject": "Call {{ contact.fone }}"},
            "/params/subject",
            "line 1, column 9: unknown field contact.fone, did you mean contact.phone?",
        ),
        (
            {"subject": "Call", "start": {"days": -1}},
            "/params/start/days",
            "Input should be greater than or equal to 0",
        ),
        (
            {"subject": "Call", "start": {"time": "24:00"}},
            "/params/start/time",
            "String should match pattern '^([01]\\d|2[0-3]):[0-5]\\d$'",
        ),
        (
            {
                "subject": "Call",
                "start": {"days": 1, "date": {"field": "deal.close_date", "direction": "at"}},
            },
            "/params/start",
            "around a date of the item there are no days from today",
        ),
        (
            {
                "subject": "Call",
                "start": {"date": {"field": "deal.close_day", "direction": "at"}},
            },
            "/params/start/date/field",
            "unknown field deal.close_day, did you mean deal.close_date?",
        ),
        (
            {"subject": "Call", "reminders": [-5]},
            "/params/reminders/0",
            "Input should be greater than or equal to 0",
        ),
        (
            {"subject": "Call", "colour": "gray"},
            "/params/colour",
            (
                "Input should be 'red', 'orange', 'gold', 'green', 'teal', 'blue', 'purple' or "
                "'grey', did you mean grey?"
            ),
        ),
        (
            {"subject": "Call", "responsible": {"by": "user", "id": 42}},
            "/params/responsible/id",
            "There is no user 42.",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "schedule_call", params) == {field: reason}
