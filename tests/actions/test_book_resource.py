"""Book a resource: at a time or in the next free slot, and never what is taken."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models import clock
from models.booking import Booked, Booking, BookingHold
from models.booking_edit import book
from models.database import Database
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.item import Deal, lock_item
from models.item_type import ItemType
from models.notification import Notification
from models.resource import Resource
from models.rule_run import RunState
from models.stage_entry import Cause, StageEntry
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.runner import Runner

MORNING = datetime(2027, 8, 2, 10, 2, tzinfo=UTC)
"""A Monday, within the working hours of a company in UTC."""

TOMORROW = {"days": 1, "time": "14:00"}


@pytest.fixture
async def crane(database: Database) -> Resource:
    """A crane, and a field of deals in which it can be booked."""
    crane = Resource(name="Crane")
    visit = FieldDefinition(
        item_type=ItemType.DEAL, name="visit", title="Visit", kind=FieldKind.BOOKING, choices=[]
    )
    async with database.transaction() as session:
        session.add(crane)
        await add_definition(session, visit)
    return crane


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage that books with these params, besides field and service."""
    said = {"field": "deal.custom.visit", "service": "Survey of {{ deal.title }}"} | params
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "book_resource", params=said)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def taken(database: Database, crane: Resource, begins: datetime, hours: float) -> Booking:
    """Let the crane be booked for another deal."""
    with clock.at(MORNING):
        async with database.transaction() as session:
            (stage,) = a_pipeline(session, "Other")
            deal, _ = await a_deal(session, stage)
            person = User(name="Ann")
            session.add(person)
            booking = Booking(
                item=await lock_item(session, deal.id),
                field="visit",
                service="Lift",
                starts_at=begins,
                ends_at=begins + timedelta(hours=hours),
                holds=[],
            )
            who = Booked([await session.get_one(Resource, crane.id)])
            await book(session, booking, who, Cause.person(person))
    return booking


async def test_it_is_booked_at_the_time_chosen_for_an_hour(
    database: Database, runner: Runner, crane: Resource
) -> None:
    tom = User(name="Tom")
    params = {"start": TOMORROW, "resources": [crane.id], "users": [{"by": "responsible"}]}
    entry = await entered(database, params, responsible=tom)

    run = await runner.do(entry.id, at=MORNING)

    (booking,) = await all_of(database, Booking)
    assert (booking.field, booking.service, booking.made_by_run_id, booking.creator_id) == (
        "visit",
        "Survey of Lathe",
        run.id,
        None,
    )
    assert booking.starts_at == datetime(2027, 8, 3, 14, tzinfo=UTC)
    assert booking.ends_at == datetime(2027, 8, 3, 15, tzinfo=UTC)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        "Booked Crane, Tom for «Survey of Lathe»: 3 August 2027, 14:00 to 15:00.",
    )
    assert run.result == {
        "id": booking.id,
        "booked": "Crane, Tom",
        "starts_at": "2027-08-03T14:00:00Z",
        "ends_at": "2027-08-03T15:00:00Z",
        "url": f"http://crm.example/v1/bookings/{booking.id}",
    }
    (deal,) = await all_of(database, Deal)
    assert deal.custom == {"visit": "2027-08-03T14:00:00Z"}
    (note,) = await all_of(database, Notification)
    assert note.recipient_id == tom.id
    assert len(await all_of(database, BookingHold, BookingHold.active.is_(True))) == 2


async def test_it_is_booked_without_whoever_has_left(
    database: Database, runner: Runner, crane: Resource
) -> None:
    gil = User(name="Gil", active=False)
    params = {"start": TOMORROW, "resources": [crane.id], "users": [{"by": "creator"}]}
    entry = await entered(database, params, creator=gil)

    run = await runner.do(entry.id, at=MORNING)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        "Booked Crane for «Survey of Lathe»: 3 August 2027, 14:00 to 15:00.",
    )


async def test_nothing_is_booked_for_nobody_but_whoever_has_left(
    database: Database, runner: Runner, crane: Resource
) -> None:
    gil = User(name="Gil", active=False)
    params = {"start": TOMORROW, "users": [{"by": "creator"}]}
    entry = await entered(database, params, creator=gil)

    run = await runner.do(entry.id, at=MORNING)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"User {gil.id} does not work here any more.",
    )


async def test_a_clash_fails_the_run_and_names_the_booking(
    database: Database, runner: Runner, crane: Resource
) -> None:
    other = await taken(database, crane, datetime(2027, 8, 3, 13, tzinfo=UTC), 2)
    entry = await entered(database, {"start": TOMORROW, "resources": [crane.id]})

    run = await runner.do(entry.id, at=MORNING)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        (
            "Crane is booked already, 3 August 2027, 13:00 to 15:00: "
            f"booking {other.id} of deal {other.item_id}."
        ),
    )
    assert len(await all_of(database, Booking)) == 1


@pytest.mark.parametrize(
    ("params", "begins"),
    [
        ({}, datetime(2027, 8, 2, 13, 10, tzinfo=UTC)),
        ({"start": TOMORROW}, datetime(2027, 8, 3, 14, tzinfo=UTC)),
        ({"start": {"days": 0, "time": "09:00"}}, datetime(2027, 8, 2, 13, 10, tzinfo=UTC)),
        (
            {"duration": {"amount": 6, "unit": "hours"}},
            datetime(2027, 8, 3, 9, 0, tzinfo=UTC),
        ),
    ],
)
async def test_the_next_free_slot_is_taken(
    database: Database,
    runner: Runner,
    crane: Resource,
    params: dict[str, Any],
    begins: datetime,
) -> None:
    await taken(database, crane, MORNING, 3.1)
    wanted = {"resources": [crane.id], "next_free_slot": True}
    entry = await entered(database, wanted | params)

    run = await runner.do(entry.id, at=MORNING)

    assert run.state is RunState.DONE
    (booking,) = await all_of(database, Booking, Booking.made_by_run_id == run.id)
    assert booking.starts_at == begins


async def test_where_no_slot_is_free_in_time_the_run_fails(
    database: Database, runner: Runner, crane: Resource
) -> None:
    await taken(database, crane, MORNING, 48)
    params = {"resources": [crane.id], "next_free_slot": True, "within_days": 2}
    entry = await entered(database, params)

    run = await runner.do(entry.id, at=MORNING)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "Crane: no free slot of 1 hour within the next 2 days.",
    )


async def test_it_starts_around_a_date_of_the_deal(
    database: Database, runner: Runner, crane: Resource
) -> None:
    date = {"field": "deal.close_date", "direction": "before", "amount": 2, "unit": "days"}
    params = {"resources": [crane.id], "start": {"date": date, "time": "09:30"}}
    entry = await entered(database, params, close_date=datetime(2027, 8, 20, tzinfo=UTC).date())

    await runner.do(entry.id, at=MORNING)

    (booking,) = await all_of(database, Booking)
    assert booking.starts_at == datetime(2027, 8, 18, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ({"days": 0, "time": "08:00"}, "This time is over already."),
        (
            {"date": {"field": "deal.close_date", "direction": "at"}},
            "Deal 1 has no close date, from which the start is counted.",
        ),
    ],
)
async def test_a_start_that_is_past_or_unknown_fails_the_run(
    database: Database, runner: Runner, crane: Resource, start: dict[str, Any], reason: str
) -> None:
    entry = await entered(database, {"resources": [crane.id], "start": start})

    run = await runner.do(entry.id, at=MORNING)

    assert run.state is RunState.FAILED
    assert run.outcome == reason.replace("Deal 1", f"Deal {entry.item_id}")


async def test_a_resource_that_is_gone_by_then_fails_the_run(
    database: Database, runner: Runner, crane: Resource
) -> None:
    entry = await entered(database, {"start": TOMORROW, "resources": [crane.id]})
    async with database.transaction() as session:
        (await session.get_one(Resource, crane.id)).deleted_at = MORNING

    run = await runner.do(entry.id, at=MORNING)

    assert (run.state, run.outcome) == (RunState.FAILED, f"There is no resource {crane.id}.")


async def test_what_could_never_be_booked_is_refused_when_the_rule_is_saved(
    database: Database, crane: Resource
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
    bare = {"service": "Survey", "start": TOMORROW, "field": "deal.custom.visit"}
    there = bare | {"resources": [crane.id]}

    nobody = await refused(database, stage, "book_resource", bare)
    never = await refused(database, stage, "book_resource", there | {"start": None})
    wrong = await refused(
        database,
        stage,
        "book_resource",
        there
        | {
            "field": "deal.custom.visits",
            "resources": [crane.id, 4711],
            "start": {"date": {"field": "deal.title", "direction": "at"}},
        },
    )

    assert nobody == {"/params": "there must be at least one resource or person to book"}
    assert never == {"/params": "there must be a start, or the next free slot is taken"}
    assert wrong == {
        "/params/field": (
            "deal.custom.visits is no booking field of deals, did you mean deal.custom.visit?"
        ),
        "/params/resources/1": "There is no resource 4711.",
        "/params/start/date/field": "deal.title is no date of the item, as deal.begin_date is",
    }


async def test_a_field_that_is_gone_by_then_fails_the_run(
    database: Database, runner: Runner, crane: Resource
) -> None:
    entry = await entered(
        database, {"start": TOMORROW, "resources": [crane.id], "field": "deal.custom.gone"}
    )

    run = await runner.do(entry.id, at=MORNING)

    assert run.state is RunState.FAILED
    assert str(run.outcome).startswith("deal.custom.gone is no booking field of deals")
