"""Cancel the booking: all in the field that is not over; the rest stays."""

from datetime import UTC, datetime, timedelta

import pytest

from models import clock
from models.booking import Booked, Booking, BookingHold
from models.booking_edit import book
from models.database import Database
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.item import lock_item
from models.item_type import ItemType
from models.notification import Notification
from models.pipeline import Stage, find_stage
from models.rule_run import RunState
from models.stage_entry import Cause, StageEntry
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.runner import Runner

NOW = datetime(2027, 8, 2, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def stage(database: Database) -> Stage:
    """A stage that cancels what is booked in a field; deals have two such fields."""
    async with database.transaction() as session:
        for name in ("visit", "fitting"):
            field = FieldDefinition(
                item_type=ItemType.DEAL, name=name, title=name, kind=FieldKind.BOOKING, choices=[]
            )
            await add_definition(session, field)
        (stage,) = a_pipeline(session, "Lost")
        a_rule(session, stage, "cancel_booking", params={"field": "deal.custom.visit"})
    return stage


async def lost(database: Database, stage: Stage) -> StageEntry:
    async with database.transaction() as session:
        _, entry = await a_deal(session, await find_stage(session, stage.id))
    return entry


async def booked(
    database: Database, entry: StageEntry, tom: User, begins: datetime, field: str = "visit"
) -> Booking:
    """Book somebody for an hour, long before."""
    with clock.at(NOW - 9 * DAY):
        async with database.transaction() as session:
            booking = Booking(
                item=await lock_item(session, entry.item_id),
                field=field,
                service="Survey",
                starts_at=begins,
                ends_at=begins + timedelta(hours=1),
                holds=[],
            )
            who = Booked(users=[await session.merge(tom)])
            await book(session, booking, who, Cause.person(who.users[0]))
    return booking


async def test_all_in_the_field_that_is_not_over_is_cancelled_and_whoever_is_booked_is_told(
    database: Database, runner: Runner, stage: Stage
) -> None:
    entry, tom = await lost(database, stage), User(name="Tom")
    async with database.transaction() as session:
        session.add(tom)
    over = await booked(database, entry, tom, NOW - DAY)
    one = await booked(database, entry, tom, NOW + DAY)
    two = await booked(database, entry, tom, NOW + 2 * DAY)
    other = await booked(database, entry, tom, NOW + 3 * DAY, field="fitting")

    run = await runner.do(entry.id, at=NOW)

    assert (run.state, run.outcome, run.result) == (
        RunState.DONE,
        (
            "Cancelled Tom for «Survey»: 3 August 2027, 10:00 to 11:00; Tom for «Survey»: 4 August "
            "2027, 10:00 to 11:00."
        ),
        {"count": 2},
    )
    standing = await all_of(database, Booking, Booking.cancelled_at.is_(None))
    assert [each.id for each in standing] == [over.id, other.id]
    held = await all_of(database, BookingHold, BookingHold.active.is_(True))
    assert [each.booking_id for each in held] == [over.id, other.id]
    assert {one.id, two.id}.isdisjoint(each.id for each in standing)
    notes = await all_of(database, Notification)
    assert [note.text[:9] for note in notes] == ["Cancelled", "Cancelled"]


async def test_where_nothing_is_booked_it_says_so(
    database: Database, runner: Runner, stage: Stage
) -> None:
    entry = await lost(database, stage)

    run = await runner.do(entry.id, at=NOW)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        "Nothing was booked there for a time to come.",
    )


async def test_a_field_that_is_no_booking_is_refused(database: Database, stage: Stage) -> None:
    problems = await refused(database, stage, "cancel_booking", {"field": "deal.custom.visiit"})

    assert problems == {
        "/params/field": (
            "deal.custom.visiit is no booking field of deals, did you mean deal.custom.visit?"
        )
    }
