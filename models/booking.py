"""Bookings: resources and people who are taken for an item, each by one booking at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    and_,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from models import clock
from models.access import MANAGING, reached_row, within_reach
from models.base import Base, Record, Versioned, containing, having, in_order
from models.errors import NotFound
from models.free_time import Span
from models.item import Item, find_item
from models.provenance import MadeByRun
from models.resource import Resource
from models.user import User


class Booking(Record, Versioned, Base, kw_only=True):
    """`field` is the custom field of the item that says when its next booking starts.

    One that is not cancelled holds what it has booked, unless its item is in the recycle bin.
    `source_booking` is the one that it was re-made from for a copy of its item; `revised_at` is
    when it last read otherwise. Only `booking_edit` assigns times, holds and `cancelled_at`.
    """

    __tablename__ = "bookings"
    __table_args__ = (
        Index(None, "item_id", "field", "starts_at"),
        Index(None, "starts_at", "id"),
        Index(None, "made_by_run_id"),
        Index(None, "source_booking_id"),
        Record.options,
    )

    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item] = relationship(lazy="raise")
    field: Mapped[str]
    service: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    creator_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    creator: Mapped[User | None] = relationship(default=None, lazy="raise")
    source_booking_id: Mapped[int | None] = mapped_column(ForeignKey("bookings.id"), init=False)
    source_booking: Mapped["Booking | None"] = relationship(
        default=None, lazy="raise", remote_side="Booking.id"
    )
    holds: Mapped[list["BookingHold"]] = relationship(
        default_factory=list,
        lazy="raise",
        cascade="all, delete-orphan",
        order_by="BookingHold.id",
        back_populates="booking",
    )
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    revised_at: Mapped[datetime] = mapped_column(init=False, insert_default=clock.now)

    @property
    def span(self) -> Span:
        return Span(self.starts_at, self.ends_at)

    @property
    def resource_ids(self) -> list[int]:
        return in_order(hold.resource_id for hold in self.holds)

    @property
    def user_ids(self) -> list[int]:
        return in_order(hold.user_id for hold in self.holds)

    @property
    def booked(self) -> "Booked":
        """Who and what it has booked; all of it must be loaded."""
        return Booked(
            [hold.resource for hold in self.holds if hold.resource is not None],
            [hold.user for hold in self.holds if hold.user is not None],
        )


def _once_at_a_time(column: str) -> ExcludeConstraint:
    """Return what lets PostgreSQL refuse two active holds that overlap; touching ones do not."""
    return ExcludeConstraint(
        (literal_column(f"int8range({column}, {column}, '[]')"), "&&"),
        (literal_column("tstzrange(starts_at, ends_at)"), "&&"),
        where=literal_column(f"active AND {column} IS NOT NULL"),
        name=f"ex_booking_holds_{column}",
    ).ddl_if(dialect="postgresql")


class BookingHold(Record, Base, kw_only=True):
    """One resource or one user whom a booking holds, from when until when.

    Where it is `active`, no other active hold of the same may overlap it.
    """

    __tablename__ = "booking_holds"
    __table_args__ = (
        Index(None, "booking_id"),
        Index(None, "resource_id", "ends_at"),
        Index(None, "user_id", "ends_at"),
        _once_at_a_time("resource_id"),
        _once_at_a_time("user_id"),
        Record.options,
    )

    booking_id: Mapped[int] = mapped_column(ForeignKey(Booking.id), init=False)
    booking: Mapped[Booking] = relationship(lazy="raise", init=False, back_populates="holds")
    resource_id: Mapped[int | None] = mapped_column(ForeignKey(Resource.id), init=False)
    resource: Mapped[Resource | None] = relationship(default=None, lazy="raise")
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    user: Mapped[User | None] = relationship(default=None, lazy="raise")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    active: Mapped[bool] = mapped_column(default=True)


@dataclass(frozen=True)
class Booked:
    """What is booked together, and who."""

    resources: Sequence[Resource] = ()
    users: Sequence[User] = ()

    @property
    def resource_ids(self) -> list[int]:
        return in_order(each.id for each in self.resources)

    @property
    def user_ids(self) -> list[int]:
        return in_order(each.id for each in self.users)

    @property
    def in_words(self) -> str:
        return ", ".join(
            [*(each.name for each in self.resources), *(each.name for each in self.users)]
        )

    @property
    def claims(self) -> list[str]:
        """The names under which each is booked by one transaction at a time."""
        resources = [f"booking of resource {each}" for each in self.resource_ids]
        return resources + [f"booking of user {each}" for each in self.user_ids]

    @property
    def held(self) -> ColumnElement[bool]:
        """The condition that a hold is active and holds any of them."""
        theirs = or_(
            BookingHold.resource_id.in_(self.resource_ids), BookingHold.user_id.in_(self.user_ids)
        )
        return and_(BookingHold.active, theirs)


NOBODY = Booked()


def overlapping(span: Span) -> ColumnElement[bool]:
    """Return the condition that a hold and a span have some time in common."""
    return and_(BookingHold.starts_at < span.ends_at, BookingHold.ends_at > span.starts_at)


WITH_HOLDS = (
    selectinload(Booking.holds).options(
        joinedload(BookingHold.resource), joinedload(BookingHold.user)
    ),
)


def bookings_there(*conditions: ColumnElement[bool]) -> Select[Booking]:
    """Return the bookings of items outside the recycle bin, with all that they hold."""
    return (
        select(Booking)
        .where(Booking.item.has(Item.deleted_at.is_(None)), *conditions)
        .options(*WITH_HOLDS)
    )


def still_to_come() -> ColumnElement[bool]:
    """Return the condition that a booking is neither cancelled nor over."""
    return and_(Booking.cancelled_at.is_(None), Booking.ends_at > clock.now())


def bookings_within_reach(user: User) -> ColumnElement[bool]:
    """Return the condition that a booking is of somebody, by them, or of an item they reach.

    Managers and administrators see and change all.
    """
    if user.role in MANAGING:
        return true()
    return or_(
        Booking.creator_id == user.id,
        Booking.holds.any(BookingHold.user_id == user.id),
        Booking.item.has(within_reach(user)),
    )


def bookings_where(
    by: User,
    *,
    resource_id: int | None = None,
    user_id: int | None = None,
    cancelled: bool | None = None,
    q: str | None = None,
    **values: object,
) -> Select[Booking]:
    """Return those within somebody's reach that have these values, None meaning any.

    `q` is looked for in services.
    """
    wanted = having(bookings_there(bookings_within_reach(by)), **values)
    wanted = wanted.where(*containing(Booking.service, q))
    for column, held in ((BookingHold.resource_id, resource_id), (BookingHold.user_id, user_id)):
        if held is not None:
            wanted = wanted.where(Booking.holds.any(column == held))
    if cancelled is None:
        return wanted
    return wanted.where(Booking.cancelled_at.is_not(None) == cancelled)


async def find_booking(session: AsyncSession, booking_id: int, *, lock: bool = False) -> Booking:
    """Return a booking with its item and all that it holds, or raise `NotFound`.

    To lock it is to lock its item first: so does whoever moves the item.
    """
    item_id = await session.scalar(select(Booking.item_id).where(Booking.id == booking_id))
    item = None if item_id is None else await find_item(session, item_id, lock=lock)
    wanted = bookings_there(Booking.id == booking_id)
    if lock:
        wanted = wanted.with_for_update(key_share=True, of=Booking)
    found = await session.scalar(wanted.execution_options(populate_existing=lock))
    if found is None or item is None:
        raise NotFound(f"There is no booking {booking_id}.")
    set_committed_value(found, "item", item)
    return found


async def reached_booking(session: AsyncSession, user: User, booking: Booking) -> Booking:
    """Return a booking that is within somebody's reach, or raise `NotAllowed`."""
    within = bookings_within_reach(user)
    return await reached_row(session, user, booking, within, f"booking {booking.id}")


async def lock_bookings_of(
    session: AsyncSession, item: Item, *conditions: ColumnElement[bool]
) -> Sequence[Booking]:
    """Return the bookings of a locked item that are still to come, locked, the next first.

    Also of an item in the recycle bin.
    """
    found = await session.scalars(
        select(Booking)
        .where(Booking.item_id == item.id, still_to_come(), *conditions)
        .options(*WITH_HOLDS)
        .order_by(Booking.starts_at, Booking.id)
        .with_for_update(key_share=True, of=Booking)
        .execution_options(populate_existing=True)
    )
    bookings = found.all()
    for booking in bookings:
        set_committed_value(booking, "item", item)
    return bookings


async def busy_spans(session: AsyncSession, booked: Booked, within: Span) -> list[Span]:
    """Return when any of them is booked within a span, in order."""
    found = await session.execute(
        select(BookingHold.starts_at, BookingHold.ends_at)
        .where(booked.held, overlapping(within))
        .order_by(BookingHold.starts_at, BookingHold.id)
    )
    return [Span(*row) for row in found]


async def uses_to_come(session: AsyncSession, resource: Resource) -> list[str]:
    """Return the bookings still to come that hold a resource, the next first, in words."""
    found = await session.scalars(
        select(BookingHold.booking_id)
        .where(
            BookingHold.resource_id == resource.id,
            BookingHold.active,
            BookingHold.ends_at > clock.now(),
        )
        .order_by(BookingHold.starts_at, BookingHold.id)
    )
    return [f"booking {each}" for each in found]
