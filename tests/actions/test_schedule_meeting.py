"""Schedule a meeting: with its place, in the calendar of whoever is to hold it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from models.company import Company
from models.contact import Contact
from models.crm_activity import CrmActivity, CrmActivityKind
from models.database import Database
from models.rule_run import RunState
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

MORNING = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage that schedules a meeting with these params, besides a subject."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "schedule_meeting", params={"subject": "Meet"} | params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def the_meeting(database: Database) -> CrmActivity:
    (meeting,) = await all_of(database, CrmActivity)
    return meeting


async def test_a_meeting_is_planned_for_an_hour_from_noon(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom")
    entry = await entered(database, {}, responsible=tom)

    run = await runner.do(entry.id, at=MORNING)

    meeting = await the_meeting(database)
    assert (meeting.kind, meeting.place) == (CrmActivityKind.MEETING, None)
    assert meeting.starts_at == datetime(2027, 8, 2, 12, 0, tzinfo=UTC)
    assert meeting.ends_at == datetime(2027, 8, 2, 13, 0, tzinfo=UTC)
    assert (meeting.responsible_id, meeting.made_by_run_id) == (tom.id, run.id)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Planned meeting {meeting.id} «Meet» for Tom: Aug 2, 2027, 12:00\u202fPM.",
    )


@pytest.mark.parametrize(
    ("place", "read"),
    [
        ("Room 3", "Room 3"),
        ("{{ company.address }}", "Works Road 1, Berlin"),
        ("{{ deal.custom.site }}, {{ company.name }}", "Field 7, Works"),
        ("{{ contact.position }}", None),
    ],
    ids=["fixed", "address of the company", "custom field", "empty"],
)
async def test_the_place_may_hold_fields_such_as_an_address(
    database: Database, runner: Runner, place: str, read: str | None
) -> None:
    entry = await entered(
        database,
        {"place": place},
        contact=Contact(first_name="Anna", contact_points=[]),
        company=Company(name="Works", address="Works Road 1, Berlin", contact_points=[]),
        custom={"site": "Field 7"},
    )

    await runner.do(entry.id)

    assert (await the_meeting(database)).place == read


async def test_an_hour_on_the_clock_may_end_at_another_hour_of_the_day(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom", time_zone="Europe/Berlin")
    entry = await entered(
        database,
        {
            "start": {"days": 1, "time": "01:30"},
            "duration": {"amount": 2, "unit": "hours"},
        },
        responsible=tom,
    )

    await runner.do(entry.id, at=datetime(2027, 3, 27, 9, 0, tzinfo=UTC))

    # From 01:30 to 04:30, as the hour from 02:00 is left out that night.
    meeting = await the_meeting(database)
    assert meeting.starts_at == datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
    assert meeting.ends_at == datetime(2027, 3, 28, 2, 30, tzinfo=UTC)


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/subject", "Field required"),
        (
            {"subject": "Meet", "place": "{{ company.adres }}"},
            "/params/place",
            "line 1, column 4: unknown field company.adres, did you mean company.address?",
        ),
        (
            {"subject": "Meet", "duration": None},
            "/params/duration",
            "Input should be a valid dictionary or instance of Delay",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "schedule_meeting", params) == {field: reason}
