"""Bookings: resources and people who are taken for an item, each by one booking at a time."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    Filter,
    Id,
    Moment,
    Page,
    Read,
    SearchText,
    ShortText,
    StoredText,
    Version,
    Write,
)
from models import clock
from models.availability import MOST_HELD, named, slots_asked
from models.booking import Booking, bookings_where, find_booking, reached_booking
from models.booking_edit import LONGEST, add_booking, cancel_booking, change_booking
from models.field_definition import LONGEST_NAME
from models.stage_entry import Cause

router = resource("bookings", "/bookings")

Held = Annotated[list[Id], Field(max_length=MOST_HELD)]
FieldName = Annotated[StoredText, Field(max_length=LONGEST_NAME)]
Length = Annotated[int, Field(ge=1, le=LONGEST // timedelta(minutes=1))]


class BookingRead(Read):
    """Without a creator a rule made it; `made_by_run_id` says in which run."""

    id: int
    item_id: int
    field: str = Field(description="The booking field of the item that it fills.")
    service: str
    starts_at: datetime
    ends_at: datetime
    resource_ids: list[int]
    user_ids: list[int]
    cancelled_at: datetime | None
    source_booking_id: int | None
    creator_id: int | None
    made_by_run_id: int | None
    created_at: datetime
    version: Version


class BookingCreate(Write):
    """At least one resource or user is booked."""

    item_id: Id
    field: FieldName = Field(
        description="The name of a custom field of the kind `booking`.", examples=["visit"]
    )
    service: ShortText = Field(min_length=1)
    starts_at: Moment
    ends_at: Moment
    resource_ids: Held = []
    user_ids: Held = []


class BookingUpdate(Write):
    """What is left out stays as it is; who and what is sent replaces all that was booked."""

    service: ShortText = Field(default="", min_length=1)
    starts_at: Moment = Field(
        default_factory=clock.now,
        description="From when; it takes as long as before, if no end is sent.",
    )
    ends_at: Moment = Field(default_factory=clock.now)
    resource_ids: Held = []
    user_ids: Held = []


class BookingFilter(Filter):
    """Which bookings to list.

    Those that touch a time: `starts_to` is its end, `ends_from` its beginning.
    """

    item_id: Id | None = None
    field: FieldName | None = Field(default=None, description="Only of this field.")
    resource_id: Id | None = None
    user_id: Id | None = Field(default=None, description="Only where this user is booked.")
    creator_id: Id | None = None
    made_by_run_id: Id | None = None
    cancelled: bool | None = Field(
        default=None, description="Only those that are cancelled, or only the others."
    )
    q: SearchText | None = Field(default=None, description="Somewhere in the service.")
    starts_from: Moment | None = None
    starts_to: Moment | None = None
    ends_from: Moment | None = None
    ends_to: Moment | None = None


class SlotsAsked(Filter):
    """Of whom free slots are wanted, and when."""

    resource_ids: Held = Field(default=[], description="The resources that must be free.")
    user_ids: Held = Field(default=[], description="The users who must be free.")
    since: Moment = Field(alias="from", description="From when.")
    until: Moment = Field(description="Until when, at most 366 days later.")
    minutes: Length = Field(default=60, description="How long each slot is.")


class SlotRead(Read):
    starts_at: datetime
    ends_at: datetime


class AvailabilityRead(Read):
    slots: list[SlotRead] = Field(description="In order; none overlaps another.")
    complete: bool = Field(
        description="False where there are more: ask again from the end of the last."
    )


Sorted = Annotated[
    PageQuery, sorted_by("starts_at", "id", "ends_at", "created_at", usually="starts_at")
]


async def _present(session: Session, user: CurrentUser, booking_id: Id) -> Booking:
    return await reached_booking(session, user, await find_booking(session, booking_id))


async def _locked(session: Session, user: CurrentUser, booking_id: Id, match: IfMatch) -> Booking:
    found = await find_booking(session, booking_id, lock=True)
    return match.of(await reached_booking(session, user, found))


PresentBooking = Annotated[Booking, Depends(_present)]
LockedBooking = Annotated[Booking, Depends(_locked)]


@router.get("")
async def list_bookings(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[BookingFilter, Query()],
    paging: Sorted,
) -> Page[BookingRead]:
    """Return the bookings that are of you or by you, or whose item is within your reach.

    In the order in which they start, if not told another. Those of items in the recycle bin are
    left out.
    """
    return await page_of(session, bookings_where(user, **where.asked()), paging, BookingRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_booking(session: Session, user: CurrentUser, new: BookingCreate) -> BookingRead:
    """Book resources and people for an item; 409 names the booking that is in the way.

    Nobody and nothing is booked twice at a time; one may begin when another ends. It may lie
    outside working hours. Whoever is booked is notified and finds it in their calendar feed. It
    ends a wait of the item.
    """
    return BookingRead.model_validate(await add_booking(session, user, new.changes()))


@router.get("/availability")
async def read_availability(
    session: ReadSession, asked: Annotated[SlotsAsked, Query()]
) -> AvailabilityRead:
    """Return the slots in which all of these resources and people work and are free.

    Resources keep the company's hours, or their own; people theirs, with the holidays of where
    they live and without the time that they are away. Slots begin at a whole five minutes.
    """
    booked = await named(session, asked.resource_ids, asked.user_ids, lock=False)
    slots, complete = await slots_asked(session, booked, asked.since, asked.until, asked.minutes)
    return AvailabilityRead(
        slots=[SlotRead.model_validate(slot) for slot in slots], complete=complete
    )


@router.get("/{booking_id}")
async def read_booking(booking: PresentBooking) -> BookingRead:
    """Return a booking, also one that is cancelled.

    `source_booking_id` names the one that it was made again from, for a copy of the item.
    """
    return BookingRead.model_validate(booking)


@router.patch("/{booking_id}")
async def update_booking(
    session: Session, user: CurrentUser, booking: LockedBooking, sent: BookingUpdate
) -> BookingRead:
    """Move a booking, or change what it is for and who and what is booked.

    409 names the booking that is in the way. Rules that are timed around the field follow.
    """
    await change_booking(session, booking, sent.changes(), user)
    return BookingRead.model_validate(booking)


@router.delete("/{booking_id}", name="cancel_booking", status_code=status.HTTP_204_NO_CONTENT)
async def delete_booking(session: Session, user: CurrentUser, booking: LockedBooking) -> None:
    """Cancel a booking that is not over; what it held is free.

    It can still be read.
    """
    await cancel_booking(session, booking, Cause.person(user))
