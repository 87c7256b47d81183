"""Bookings: nobody and nothing twice at a time, the field of the item, what frees and restores."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.booking import Booked, Booking, BookingHold, find_booking
from models.booking_edit import book, cancel_booking, change_booking, rebook
from models.database import Database
from models.errors import Conflict, Invalid
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.free_time import Span
from models.history import HistoryEntry, HistoryKind
from models.item import Deal, lock_item
from models.item_type import ItemType
from models.notification import Notification
from models.pipeline import Stage, find_stage
from models.recycle_bin import delete_item, restore_item
from models.resource import Resource
from models.rule_run import RuleRun
from models.stage_entry import Cause
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, a_rule, all_of
from tests.fixtures.database import on_one_database, on_postgres, somebody_waits
from tests.fixtures.scene import until

MONDAY = datetime(2027, 3, 1, tzinfo=UTC)
"""The company's first working day in these tests, which begins at nine in UTC."""

NOON = Span(MONDAY + timedelta(hours=12), MONDAY + timedelta(hours=13))


WHEN = "1 March 2027, 12:00 to 13:00"


def at(hour: float, *, day: int = 0, hours: float = 1) -> Span:
    begins = MONDAY + timedelta(days=day, hours=hour)
    return Span(begins, begins + timedelta(hours=hours))


class Yard:
    """A deal with a booking field, a crane and a person, at the beginning of a working day."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.crane = Resource(name="Crane")
        self.van = Resource(name="Van")
        self.tom = User(name="Tom")
        self.ann = User(name="Ann", role=Role.ADMIN)
        self.stages: list[Stage] = []

    async def set_up(self) -> None:
        visit = FieldDefinition(
            item_type=ItemType.DEAL, name="visit", title="Visit", kind=FieldKind.BOOKING, choices=[]
        )
        async with self.database.transaction() as session:
            session.add_all([self.crane, self.van, self.tom, self.ann])
            await add_definition(session, visit)
            self.stages = a_pipeline(session, "New", "Won")

    async def deal(self, **rest: Any) -> Deal:
        async with self.database.transaction() as session:
            stage = await find_stage(session, self.stages[0].id)
            deal, _ = await a_deal(session, stage, **rest)
        return deal

    async def cause(self, session: AsyncSession) -> Cause:
        return Cause.person(await session.get_one(User, self.ann.id))

    async def book(
        self,
        deal: Deal,
        span: Span = NOON,
        resources: Sequence[Resource] | None = None,
        users: Sequence[User] = (),
    ) -> Booking:
        held = [self.crane] if resources is None else resources
        async with self.database.transaction() as session:
            item = await lock_item(session, deal.id)
            booking = Booking(
                item=item,
                field="visit",
                service="Survey",
                starts_at=span.starts_at,
                ends_at=span.ends_at,
                holds=[],
            )
            who = Booked(
                [await session.get_one(Resource, each.id) for each in held],
                [await session.get_one(User, each.id) for each in users],
            )
            await book(session, booking, who, await self.cause(session))
        return booking

    async def move(self, booking: Booking, **sent: Any) -> Booking:
        async with self.database.transaction() as session:
            found = await find_booking(session, booking.id, lock=True)
            ann = await session.get_one(User, self.ann.id)
            await change_booking(session, found, sent, ann)
        return found

    async def cancel(self, booking: Booking) -> None:
        async with self.database.transaction() as session:
            found = await find_booking(session, booking.id, lock=True)
            await cancel_booking(session, found, await self.cause(session))

    async def delete(self, deal: Deal) -> None:
        async with self.database.transaction() as session:
            item = await lock_item(session, deal.id)
            await delete_item(session, item, await self.cause(session))

    async def restore(self, deal: Deal) -> None:
        async with self.database.transaction() as session:
            item = await lock_item(session, deal.id)
            ann = await session.get_one(User, self.ann.id)
            await restore_item(session, item, Cause.restore(ann))

    async def rebook(self, source: Deal, copy: Deal) -> list[str]:
        async with self.database.transaction() as session:
            old = await lock_item(session, source.id)
            new = await lock_item(session, copy.id)
            new.creator = await session.get_one(User, self.ann.id)
            return await rebook(session, old, new, await self.cause(session))

    async def field(self, deal: Deal) -> object:
        (found,) = await all_of(self.database, Deal, Deal.id == deal.id)
        return found.custom.get("visit")

    async def told(self, deal: Deal) -> list[str]:
        lines = await all_of(
            self.database,
            HistoryEntry,
            HistoryEntry.item_id == deal.id,
            HistoryEntry.kind == HistoryKind.BOOKING,
        )
        return [line.text for line in lines]


@pytest.fixture
async def yard(database: Database) -> Yard:
    yard = Yard(database)
    await yard.set_up()
    return yard


@pytest.fixture(autouse=True)
def morning() -> Iterator[None]:
    """It is six in the morning."""
    with clock.at(MONDAY + timedelta(hours=6)):
        yield


async def test_a_clash_names_the_booking_that_is_in_the_way(yard: Yard) -> None:
    first, second = await yard.deal(), await yard.deal()
    booking = await yard.book(first)

    with pytest.raises(Conflict) as caught:
        await yard.book(second, at(12.5), [yard.van, yard.crane])

    assert caught.value.message == (
        f"Crane is booked already, 1 March 2027, 12:00 to 13:00: booking {booking.id} of deal "
        f"{first.id}."
    )
    assert len(await all_of(yard.database, Booking)) == 1


async def test_people_are_not_booked_twice_either(yard: Yard) -> None:
    first, second = await yard.deal(), await yard.deal()
    await yard.book(first, resources=[yard.van], users=[yard.tom])

    with pytest.raises(Conflict, match="Tom is booked already"):
        await yard.book(second, users=[yard.tom])


@pytest.mark.parametrize("hour", [11, 13])
async def test_one_booking_may_begin_when_another_ends(yard: Yard, hour: int) -> None:
    await yard.book(await yard.deal())

    await yard.book(await yard.deal(), at(hour))

    assert len(await all_of(yard.database, BookingHold, BookingHold.active.is_(True))) == 2


@on_one_database
@pytest.mark.parametrize(
    ("span", "reason"),
    [
        (at(12, hours=0), "It must end after it starts."),
        (at(12, hours=-1), "It must end after it starts."),
        (at(4), "This time is over already."),
        (at(12, hours=24 * 367), "It can last 366 days at most."),
    ],
)
async def test_times_that_cannot_be_are_refused(yard: Yard, span: Span, reason: str) -> None:
    deal = await yard.deal()

    with pytest.raises(Invalid) as caught:
        await yard.book(deal, span)

    assert [(each.field, each.reason) for each in caught.value.problems] == [("/ends_at", reason)]


async def test_whoever_is_booked_is_told_and_history_tells_it_too(yard: Yard) -> None:
    deal = await yard.deal()

    booking = await yard.book(deal, users=[yard.tom, yard.ann])

    assert await yard.told(deal) == [
        f"Booked Crane, Tom, Ann for «Survey»: 1 March 2027, 12:00 to 13:00 (booking {booking.id})."
    ]
    (note,) = await all_of(yard.database, Notification)
    assert (note.recipient_id, note.sender_id, note.item_id, note.text) == (
        yard.tom.id,
        yard.ann.id,
        deal.id,
        f"Booked Crane, Tom, Ann for «Survey»: {WHEN} (deal {deal.id} «Lathe»).",
    )


async def test_the_field_says_when_the_next_booking_starts(yard: Yard) -> None:
    deal = await yard.deal()

    later = await yard.book(deal, at(15))
    only_later = await yard.field(deal)
    sooner = await yard.book(deal, at(12))
    both = await yard.field(deal)
    await yard.cancel(sooner)
    cancelled = await yard.field(deal)
    await yard.cancel(later)

    assert [only_later, both, cancelled, await yard.field(deal)] == [
        "2027-03-01T15:00:00Z",
        "2027-03-01T12:00:00Z",
        "2027-03-01T15:00:00Z",
        None,
    ]


async def test_the_field_keeps_a_booking_that_is_over_until_another_is_made(yard: Yard) -> None:
    deal = await yard.deal()
    await yard.book(deal, at(9))
    later = await yard.book(deal, at(15))

    with clock.at(at(14).starts_at):
        await yard.cancel(later)
        over = await yard.field(deal)
        await yard.book(deal, at(16))

    assert [over, await yard.field(deal)] == ["2027-03-01T09:00:00Z", "2027-03-01T16:00:00Z"]


async def test_runs_around_the_field_follow_the_booking(yard: Yard) -> None:
    before = {
        "kind": "around_date",
        "field": "deal.custom.visit",
        "direction": "before",
        "amount": 2,
        "unit": "hours",
    }
    async with yard.database.transaction() as session:
        a_rule(session, await find_stage(session, yard.stages[0].id), timing=before)
    deal = await yard.deal()

    async def due() -> datetime | None:
        (run,) = await all_of(yard.database, RuleRun)
        return run.due_at

    unbooked = await due()
    booking = await yard.book(deal)
    booked = await due()
    await yard.move(booking, starts_at=at(15).starts_at)
    moved = await due()
    await yard.cancel(booking)

    assert [unbooked, booked, moved, await due()] == [None, at(10)[0], at(13)[0], None]


async def test_a_booking_that_moves_takes_as_long_as_before_and_frees_its_old_time(
    yard: Yard,
) -> None:
    deal = await yard.deal()
    booking = await yard.book(deal, at(12, hours=1.5))

    moved = await yard.move(booking, starts_at=at(13).starts_at)
    again = await yard.book(await yard.deal(), at(12))

    assert (moved.span, moved.version) == (at(13, hours=1.5), 2)
    assert again.span == at(12)
    assert (await yard.told(deal))[1] == (
        f"Moved Crane for «Survey»: 1 March 2027, 13:00 to 14:30 (booking {booking.id}). "
        "It was 1 March 2027, 12:00 to 13:30."
    )


async def test_who_is_booked_instead_is_held_and_who_was_is_free(yard: Yard) -> None:
    booking = await yard.book(await yard.deal(), users=[yard.tom])

    changed = await yard.move(booking, resource_ids=[yard.van.id], user_ids=[])
    other = await yard.book(await yard.deal(), users=[yard.tom])

    assert (changed.resource_ids, changed.user_ids) == ([yard.van.id], [])
    assert (other.resource_ids, other.user_ids) == ([yard.crane.id], [yard.tom.id])


async def test_a_move_into_another_booking_is_refused(yard: Yard) -> None:
    await yard.book(await yard.deal())
    booking = await yard.book(await yard.deal(), at(14))

    with pytest.raises(Conflict, match="Crane is booked already"):
        await yard.move(booking, starts_at=at(12.5).starts_at)


async def test_what_is_cancelled_or_over_stays_as_it_is(yard: Yard) -> None:
    cancelled = await yard.book(await yard.deal())
    over = await yard.book(await yard.deal(), at(14))
    await yard.cancel(cancelled)

    with clock.at(at(15).starts_at):
        with pytest.raises(Conflict, match=f"Booking {cancelled.id} is cancelled"):
            await yard.move(cancelled, service="Other")
        with pytest.raises(Conflict, match=f"Booking {over.id} is over"):
            await yard.cancel(over)


async def test_a_deleted_deal_blocks_nothing_and_books_again_when_it_is_restored(
    yard: Yard,
) -> None:
    deal, other = await yard.deal(), await yard.deal()
    booking = await yard.book(deal)

    await yard.delete(deal)
    meanwhile = await yard.book(other)
    await yard.cancel(meanwhile)
    await yard.restore(deal)

    with pytest.raises(Conflict, match=f"booking {booking.id} of deal {deal.id}"):
        await yard.book(other)
    freed, again = (await yard.told(deal))[1:]
    assert freed.endswith(f"Deal {deal.id} is deleted.")
    assert again.startswith("Booked Crane")


async def test_what_was_taken_meanwhile_is_cancelled_when_the_deal_is_restored(
    yard: Yard,
) -> None:
    deal, other = await yard.deal(), await yard.deal()
    booking = await yard.book(deal)

    await yard.delete(deal)
    meanwhile = await yard.book(other)
    await yard.restore(deal)

    (found,) = await all_of(yard.database, Booking, Booking.id == booking.id)
    assert found.cancelled_at is not None
    assert await yard.field(deal) is None
    assert (await yard.told(deal))[-1].endswith(
        f"(booking {booking.id}). Crane is booked already, 1 March 2027, 12:00 to 13:00: booking "
        f"{meanwhile.id} of deal {other.id}."
    )


async def test_a_copy_is_booked_in_the_next_free_slot_after_the_sources_own(yard: Yard) -> None:
    source, copy = await yard.deal(), await yard.deal()
    await yard.book(source, at(15))
    await yard.book(source, at(16, hours=1.5))
    with clock.at(at(15.5).starts_at):
        told = await yard.rebook(source, copy)

    (made,) = await all_of(yard.database, Booking, Booking.item_id == copy.id)
    assert made.span == at(9, day=1, hours=1.5)
    assert made.source_booking_id is not None
    assert await yard.field(copy) == "2027-03-02T09:00:00Z"
    assert told == [
        (
            "Booked Crane for «Survey»: 2 March 2027, 09:00 to 10:30, as Crane is booked "
            "1 March 2027, 16:00 to 17:30."
        ),
    ]


async def test_what_cannot_be_booked_for_a_copy_is_told(yard: Yard) -> None:
    source, copy = await yard.deal(), await yard.deal()
    booking = await yard.book(source, resources=[], users=[yard.tom])
    night = await yard.book(source, at(20, hours=12))
    async with yard.database.transaction() as session:
        (await session.get_one(User, yard.tom.id)).active = False

    told = await yard.rebook(source, copy)

    assert told == [
        (
            f"Booking {booking.id} (Tom: {WHEN}) was not made again. Tom does not work here any "
            "more."
        ),
        (
            f"Booking {night.id} (Crane: 1 March 2027, 20:00 to 2 March 2027, 08:00) was not made "
            "again. There is no free slot within 92 days after it."
        ),
    ]
    assert await all_of(yard.database, Booking, Booking.item_id == copy.id) == []


@on_postgres
async def test_the_database_has_the_last_word_and_the_clash_is_told_the_same(
    yard: Yard, database: Database
) -> None:
    """Whatever else writes bookings, and claims no names, cannot book anything twice."""
    first, second = await yard.deal(), await yard.deal()
    async with database.transaction() as session:
        rude = Booking(
            item=await lock_item(session, first.id),
            field="visit",
            service="Rude",
            starts_at=NOON.starts_at,
            ends_at=NOON.ends_at,
            holds=[],
        )
        crane = await session.get_one(Resource, yard.crane.id)
        rude.holds = [BookingHold(resource=crane, starts_at=NOON[0], ends_at=NOON[1])]
        session.add(rude)
        await session.flush()
        polite = asyncio.create_task(yard.book(second))
        await until(lambda: somebody_waits(database))

    with pytest.raises(Conflict) as caught:
        await polite

    assert caught.value.message == (
        f"Crane is booked already, 1 March 2027, 12:00 to 13:00: booking {rude.id} of deal "
        f"{first.id}."
    )
