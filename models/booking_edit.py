"""What people and rules do with bookings; whoever is booked is told, and history tells it all."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.access import reached
from models.availability import named, next_free_slot
from models.base import count_change, find_named
from models.booking import (
    Booked,
    Booking,
    BookingHold,
    lock_bookings_of,
    overlapping,
)
from models.custom_values import as_json
from models.errors import Conflict, Invalid, Problem
from models.field_definition import booking_fields_of, custom_fields_of
from models.fields import FieldKind
from models.free_time import Span
from models.history import HistoryKind, about_item
from models.installation import installation
from models.item import Item
from models.locking import one_at_a_time
from models.notification import Notification
from models.occasion import Occasion, fields_changed, in_savepoint, occurred
from models.retiming import retime
from models.stage_entry import Cause, CauseKind, sign
from models.user import User
from models.wait import WaitEnd, end_waits
from models.working_time import EARLIEST, LATEST

LONGEST = timedelta(days=366)

REMADE_WITHIN = timedelta(days=92)
"""So long after a booking a free slot is looked for, for the copy of its item."""

BEYOND = "This moment is beyond the calendar."

OVERLAP = "23P01"
"""How PostgreSQL calls what an exclusion constraint refuses."""


async def add_booking(session: AsyncSession, by: User, sent: Mapping[str, Any]) -> Booking:
    """Let a person book resources and people for an item within their reach.

    It ends the item's waits: somebody goes on with it.
    """
    item = await find_named(session, Item, sent["item_id"], "/item_id", lock={"key_share": True})
    await reached(session, by, item)
    await must_be_bookable(session, item, sent["field"])
    who = await named(session, sent.get("resource_ids", []), sent.get("user_ids", []))
    booking = Booking(
        item=item,
        field=sent["field"],
        service=sent["service"],
        starts_at=sent["starts_at"],
        ends_at=sent["ends_at"],
        creator=by,
        holds=[],
    )
    await book(session, booking, who, Cause.person(by))
    await end_waits(session, item, WaitEnd.PERSON, user=by)
    return booking


async def must_be_bookable(session: AsyncSession, item: Item, field: str) -> None:
    """Raise `Invalid` where an item has no booking field of that name."""
    known = await booking_fields_of(session, item.type)
    if field not in known:
        there = f"there is {', '.join(known)}." if known else "there is none."
        reason = f"{field} is no booking field of {item.type}s; {there}"
        raise Invalid(Problem("/field", reason))


async def book(session: AsyncSession, booking: Booking, who: Booked, cause: Cause) -> None:
    """Store a new booking of a locked item, the one way to make any.

    Raises `Invalid` for times that cannot be, `Conflict` where somebody or something is booked
    already, naming the first booking that is in the way.
    """
    _check(booking.span)
    await one_at_a_time(session, *who.claims)
    await _must_be_free(session, who, booking.span)
    session.add(booking)
    await session.flush()
    await _hold(session, booking, who)
    await _tell(session, booking, "Booked", cause)
    if _is_news(booking):
        home = await installation(session)
        occasion = Occasion(
            trigger="booking_made",
            item_ids=(booking.item.id,),
            cause=cause,
            text=f"Booked {in_words(booking, home.time_zone)}",
        )
        occurred(session, occasion)


def _is_news(booking: Booking) -> bool:
    """Tell whether triggers hear of a booking: not of those that a copy of an item begins with."""
    return booking.source_booking_id is None


async def change_booking(
    session: AsyncSession, booking: Booking, sent: Mapping[str, Any], by: User
) -> None:
    """Let a person change a locked booking that is still to come, or under way.

    It takes as long as before, if only its start is sent.
    """
    _must_be_to_come(booking)
    fields = dict(sent)
    before, old = booking.span, booking.booked
    who = await named(
        session,
        fields.pop("resource_ids", old.resource_ids),
        fields.pop("user_ids", old.user_ids),
        old,
    )
    start = fields.pop("starts_at", before.starts_at)
    end = fields.pop("ends_at", None) or _as_long(before, start)
    span = Span(start, end)
    moved = span != before or who.claims != old.claims
    if moved:
        _check(span)
        await one_at_a_time(session, *who.claims)
        await _must_be_free(session, who, span, but=booking)
        count_change(booking, "service")
    booking.service = fields.get("service", booking.service)
    booking.starts_at, booking.ends_at = span
    if not session.is_modified(booking):
        return
    booking.revised_at = clock.now()
    await session.flush()
    if not moved:
        return
    await _hold(session, booking, who)
    home = await installation(session)
    was = "" if span == before else f" It was {span_in_words(before, home.time_zone)}."
    await _tell(session, booking, "Moved" if was else "Changed", Cause.person(by), was)


async def cancel_booking(session: AsyncSession, booking: Booking, cause: Cause) -> None:
    """Cancel a locked booking that is still to come, or under way; what it held is free."""
    _must_be_to_come(booking)
    booking.cancelled_at = booking.revised_at = clock.now()
    _free(booking)
    await session.flush()
    await _tell(session, booking, "Cancelled", cause)


async def let_bookings_rest(session: AsyncSession, item: Item, cause: Cause) -> None:
    """Free what is booked for a locked item that goes into the recycle bin."""
    for booking in await lock_bookings_of(session, item):
        _free(booking)
        await _tell(session, booking, "Freed", cause, f" {item.called.capitalize()} is deleted.")


async def wake_bookings(session: AsyncSession, item: Item, cause: Cause) -> None:
    """Book again what is still to come for a locked item that was restored, where it is free.

    What is not is cancelled, and history says why.
    """
    bookings = await lock_bookings_of(session, item)
    await one_at_a_time(session, *(claim for each in bookings for claim in each.booked.claims))
    for booking in bookings:
        who = booking.booked
        why = _gone(who) or await _clash(session, who, booking.span)
        if why is None:
            await _hold(session, booking, who)
            await _tell(session, booking, "Booked", cause, " It is restored.")
        else:
            booking.cancelled_at = booking.revised_at = clock.now()
            await session.flush()
            await _tell(session, booking, "Cancelled", cause, f" {why}")


async def rebook(session: AsyncSession, source: Item, copy: Item, cause: Cause) -> list[str]:
    """Book for a copy what is still to come for its locked source; return what there is to tell.

    At the same time where all of it is free, else at the next free slot after the source's own.
    """
    theirs = [each for each in await lock_bookings_of(session, source) if _begins_later(each)]
    await one_at_a_time(session, *(claim for each in theirs for claim in each.booked.claims))
    home = await installation(session)
    told = []
    for each in theirs:
        who = each.booked
        span = None if _gone(who) else await _slot_like(session, who, each.span)
        when = span_in_words(each.span, home.time_zone)
        if span is None:
            why = _gone(who) or f"There is no free slot within {REMADE_WITHIN.days} days after it."
            told.append(f"Booking {each.id} ({who.in_words}: {when}) was not made again. {why}")
            continue
        again = Booking(
            item=copy,
            field=each.field,
            service=each.service,
            starts_at=span.starts_at,
            ends_at=span.ends_at,
            creator=copy.creator,
            source_booking=each,
            holds=[],
        )
        await book(session, again, who, cause)
        instead = "" if span == each.span else f", as {who.in_words} is booked {when}"
        told.append(f"Booked {in_words(again, home.time_zone)}{instead}.")
    return told


def in_words(booking: Booking, zone: str) -> str:
    """Return who and what is booked, what for and when: `Crane for «Survey»: 3 August 2027, …`."""
    when = span_in_words(booking.span, zone)
    return f"{booking.booked.in_words} for «{booking.service}»: {when}"


def span_in_words(span: Span, zone: str) -> str:
    """Return a span on the clock of a zone: `3 August 2027, 12:00 to 13:30`."""
    begin, end = [each.astimezone(ZoneInfo(zone)) for each in span]
    until = f"{end:%H:%M}" if begin.date() == end.date() else _moment(end)
    return f"{_moment(begin)} to {until}"


def _moment(local: datetime) -> str:
    return f"{local.day} {local:%B} {local.year}, {local:%H:%M}"


def _as_long(before: Span, start: datetime) -> datetime:
    """Return when what begins then ends, if it takes as long as before."""
    try:
        return start + (before.ends_at - before.starts_at)
    except OverflowError as error:
        raise Invalid(Problem("/starts_at", BEYOND)) from error


def _check(span: Span) -> None:
    for name, moment in zip(("starts_at", "ends_at"), span, strict=True):
        if not EARLIEST <= moment <= LATEST:
            raise Invalid(Problem(f"/{name}", BEYOND))
    if span.ends_at <= span.starts_at:
        raise Invalid(Problem("/ends_at", "It must end after it starts."))
    if span.ends_at - span.starts_at > LONGEST:
        raise Invalid(Problem("/ends_at", f"It can last {LONGEST.days} days at most."))
    if span.ends_at <= clock.now():
        raise Invalid(Problem("/ends_at", "This time is over already."))


def _must_be_to_come(booking: Booking) -> None:
    if booking.cancelled_at is not None:
        raise Conflict(f"Booking {booking.id} is cancelled.")
    if booking.ends_at <= clock.now():
        raise Conflict(f"Booking {booking.id} is over.")


def _begins_later(booking: Booking) -> bool:
    return booking.starts_at > clock.now()


def _gone(who: Booked) -> str | None:
    """Say what cannot be booked any more, if anything."""
    resources = [each.name for each in who.resources if each.deleted_at is not None]
    people = [each.name for each in who.users if not each.active]
    if resources:
        return f"{resources[0]} is not there any more."
    return f"{people[0]} does not work here any more." if people else None


async def _slot_like(session: AsyncSession, who: Booked, span: Span) -> Span | None:
    """Return a span if all are free then, else the next slot of that length after it."""
    if await _clash(session, who, span) is None:
        return span
    within = Span(span.ends_at, span.ends_at + REMADE_WITHIN)
    return await next_free_slot(session, who, within, span.ends_at - span.starts_at)


async def _must_be_free(
    session: AsyncSession, who: Booked, span: Span, *, but: Booking | None = None
) -> None:
    if clash := await _clash(session, who, span, but=but):
        raise Conflict(clash, field="/starts_at")


async def _clash(
    session: AsyncSession, who: Booked, span: Span, *, but: Booking | None = None
) -> str | None:
    """Say who or what of them is booked in a span, by which booking and when; the first counts."""
    clashing = (
        select(BookingHold, Item.id, Item.type)
        .join(Booking, Booking.id == BookingHold.booking_id)
        .join(Item, Item.id == Booking.item_id)
        .where(who.held, overlapping(span))
        .order_by(BookingHold.starts_at, BookingHold.id)
        .limit(1)
    )
    if but is not None:
        clashing = clashing.where(Booking.id != but.id)
    found = (await session.execute(clashing)).one_or_none()
    if found is None:
        return None
    hold, item_id, item_type = found
    [name] = [
        each.name
        for several, held in ((who.resources, hold.resource_id), (who.users, hold.user_id))
        for each in several
        if each.id == held
    ]
    home = await installation(session)
    when = span_in_words(Span(hold.starts_at, hold.ends_at), home.time_zone)
    booking = f"booking {hold.booking_id} of {item_type} {item_id}"
    return f"{name} is booked already, {when}: {booking}."


async def _hold(session: AsyncSession, booking: Booking, who: Booked) -> None:
    """Let a booking hold just these, at its time.

    The database has the last word: what it refuses is told as any other clash.
    """
    span = booking.span
    resources = {hold.resource_id: hold for hold in booking.holds if hold.resource_id is not None}
    users = {hold.user_id: hold for hold in booking.holds if hold.user_id is not None}
    begin, end = span
    try:
        async with in_savepoint(session):
            booking.holds = [
                *(
                    resources.get(each.id)
                    or BookingHold(resource=each, user=None, starts_at=begin, ends_at=end)
                    for each in who.resources
                ),
                *(
                    users.get(each.id)
                    or BookingHold(resource=None, user=each, starts_at=begin, ends_at=end)
                    for each in who.users
                ),
            ]
            for hold in booking.holds:
                hold.starts_at, hold.ends_at, hold.active = begin, end, True
            await session.flush()
    except IntegrityError as error:
        await _refused(session, error, who, span)


async def _refused(
    session: AsyncSession, error: IntegrityError, who: Booked, span: Span
) -> NoReturn:
    if getattr(error.orig, "sqlstate", None) != OVERLAP:
        raise error
    await _must_be_free(session, who, span)
    raise Conflict("Somebody else was a moment faster; look again.", field="/starts_at") from error


def _free(booking: Booking) -> None:
    for hold in booking.holds:
        hold.active = False


async def _tell(
    session: AsyncSession, booking: Booking, what: str, cause: Cause, more: str = ""
) -> None:
    """Let everything and everybody know what has become of a booking.

    The field of its item follows, with the runs that are timed by it; history and whoever is
    booked are told.
    """
    item = booking.item
    home = await installation(session)
    text = f"{what} {in_words(booking, home.time_zone)} (booking {booking.id}).{more}"
    line = about_item(item, HistoryKind.BOOKING, text)
    line.old, line.new = await _follow(session, booking, cause)
    if line.old != line.new:
        line.field = f"custom.{booking.field}"
    sign(line, cause)
    session.add(line)
    for user in booking.booked.users:
        if user.id != cause.user_id:
            said = in_words(booking, user.time_zone or home.time_zone)
            session.add(
                Notification(
                    recipient_id=user.id,
                    text=f"{what} {said} ({item.called} «{item.title}»).{more}",
                    sender_id=cause.user_id,
                    item_id=item.id,
                )
            )
    await session.flush()


async def _follow(
    session: AsyncSession, booking: Booking, cause: Cause
) -> tuple[str | None, str | None]:
    """Let the field of a locked item say when its next booking starts; return old and new.

    When that is over, it stays until another is made. Runs around the field follow it.
    """
    item, field = booking.item, booking.field
    rows = await session.execute(
        select(Booking.starts_at, Booking.ends_at)
        .where(
            Booking.item_id == item.id,
            Booking.field == field,
            Booking.cancelled_at.is_(None),
        )
        .order_by(Booking.starts_at, Booking.id)
    )
    spans = [Span(*row) for row in rows]
    said = {each: str(as_json(FieldKind.BOOKING, each.starts_at)) for each in spans}
    old = item.custom.get(field)
    ahead = [said[each] for each in spans if each.ends_at > clock.now()]
    new = ahead[0] if ahead else (old if old in said.values() else None)
    if new != old:
        others = {name: value for name, value in item.custom.items() if name != field}
        item.custom = others if new is None else {**others, field: new}
        await session.flush()
        await retime(session, item, [f"custom.{field}"], cause)
        if _is_news(booking) and cause.kind is not CauseKind.RESTORE:
            titles = await custom_fields_of(session, item.type)
            fields_changed(session, item, {f"custom.{field}": titles[field].title}, cause)
    return old, new
