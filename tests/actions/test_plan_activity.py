"""Plan activity: a to-do, call or meeting for somebody, who is told of it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models.crm_activity import CrmActivity, CrmActivityKind
from models.database import Database
from models.item_type import ItemType
from models.notification import Notification
from models.rule_run import RunState
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

MORNING = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
NOON = datetime(2027, 8, 2, 12, 0, tzinfo=UTC)


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage that plans something with these params, besides a subject."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "plan_activity", params={"subject": "Write"} | params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def planned(database: Database) -> CrmActivity:
    reminders = (selectinload(CrmActivity.reminders),)
    (found,) = await all_of(database, CrmActivity, options=reminders)
    return found


async def test_a_to_do_is_planned_for_today_at_noon(database: Database, runner: Runner) -> None:
    tom = User(name="Tom")
    entry = await entered(database, {}, responsible=tom)

    run = await runner.do(entry.id, at=MORNING)

    to_do = await planned(database)
    assert (to_do.kind, to_do.subject) == (CrmActivityKind.TO_DO, "Write")
    assert (to_do.starts_at, to_do.ends_at) == (NOON, None)
    assert (to_do.responsible_id, to_do.minutes_before) == (tom.id, [15, 0])
    assert (to_do.complete_on_stage_change, to_do.important) == (False, False)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Planned to-do {to_do.id} «Write» for Tom: Aug 2, 2027, 12:00\u202fPM.",
    )


async def test_the_responsible_person_is_told_in_their_language_and_time(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom", locale="de_DE", time_zone="Europe/Berlin")
    params = {"subject": "Write to {{ deal.title }}", "start": {"time": "14:00"}}
    entry = await entered(database, params, responsible=tom)

    run = await runner.do(entry.id, at=MORNING)

    [notice] = await all_of(database, Notification)
    assert notice.text == "Für Sie geplant: «Write to Lathe», 02.08.2027, 14:00."
    assert (notice.recipient_id, notice.made_by_run_id) == (tom.id, run.id)
    assert notice.link == f"http://crm.example/v1/deals/{entry.item_id}"


async def test_where_nobody_is_responsible_nobody_is_told(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})

    await runner.do(entry.id)

    assert (await planned(database)).responsible_id is None
    assert await all_of(database, Notification) == []


@pytest.mark.parametrize(
    ("params", "length"),
    [
        ({"kind": "call"}, timedelta(hours=1)),
        ({"kind": "meeting"}, timedelta(hours=1)),
        ({"kind": "call", "duration": {"amount": 10, "unit": "minutes"}}, timedelta(minutes=10)),
        ({"kind": "to-do", "duration": {"amount": 2, "unit": "hours"}}, timedelta(hours=2)),
    ],
    ids=str,
)
async def test_a_call_or_meeting_takes_an_hour_unless_it_is_said_otherwise(
    database: Database, runner: Runner, params: dict[str, Any], length: timedelta
) -> None:
    entry = await entered(database, params)

    await runner.do(entry.id, at=MORNING)

    found = await planned(database)
    assert (found.kind, found.ends_at) == (params["kind"], NOON + length)


async def test_everything_is_as_chosen(database: Database, runner: Runner) -> None:
    eve = User(name="Eve")
    async with database.transaction() as session:
        session.add(eve)
    entry = await entered(
        database,
        {
            "kind": "meeting",
            "description": "{{ deal.title }}",
            "place": "Room 3",
            "start": {"days": 1, "time": "08:00"},
            "responsible": {"by": "user", "id": eve.id},
            "important": True,
            "reminders": [],
            "colour": "purple",
            "complete_on_stage_change": True,
        },
    )

    await runner.do(entry.id, at=MORNING)

    found = await planned(database)
    assert (found.description, found.place, found.colour) == ("Lathe", "Room 3", "purple")
    assert found.starts_at == datetime(2027, 8, 3, 8, 0, tzinfo=UTC)
    assert (found.responsible_id, found.minutes_before) == (eve.id, [])
    assert (found.important, found.complete_on_stage_change) == (True, True)


async def test_a_subject_of_empty_fields_only_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"subject": " {{ contact.name }} "})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "The title is empty, now that its fields are filled in.",
    )
    assert await all_of(database, CrmActivity) == []
    assert await all_of(database, Notification) == []


@pytest.mark.parametrize("item_type", list(ItemType))
async def test_a_rule_on_anything_may_have_it(database: Database, item_type: ItemType) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New", item_type=item_type)

    assert await refused(database, stage, "plan_activity", {"subject": "{{ item.tittle }}"}) == {
        "/params/subject": "line 1, column 4: unknown field item.tittle, did you mean item.title?"
    }


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/subject", "Field required"),
        (
            {"subject": "Write", "kind": "visit"},
            "/params/kind",
            "Input should be 'to-do', 'call' or 'meeting'",
        ),
        (
            {"subject": "Write", "duration": {"amount": -1, "unit": "hours"}},
            "/params/duration/amount",
            "Input should be greater than or equal to 0",
        ),
        (
            {"subject": "Write", "place": "{{ company.adress }}"},
            "/params/place",
            "line 1, column 4: unknown field company.adress, did you mean company.address?",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "plan_activity", params) == {field: reason}


async def test_what_would_end_beyond_the_calendar_is_not_planned(
    database: Database, runner: Runner
) -> None:
    params = {
        "start": {"date": {"field": "deal.close_date", "direction": "at"}},
        "duration": {"amount": 10, "unit": "years"},
    }
    entry = await entered(database, params, close_date=date(9998, 12, 31))

    run = await runner.do(entry.id, at=MORNING)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "It would end beyond the calendar, 10 years later.",
    )
    assert await all_of(database, CrmActivity) == []
