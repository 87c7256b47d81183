"""Cancel the booking: what was taken for the item is free again."""

from activities.bookings import InBookingField
from activities.registry import ActionContext, ActionGroup, Result, rule_action
from models.booking import Booking, lock_bookings_of
from models.booking_edit import cancel_booking as cancel
from models.booking_edit import in_words
from models.fields import FieldKind
from models.item_type import ItemType


class CancelBooking(InBookingField):
    """In which field of the item the booking stands."""


@rule_action(
    title="Cancel the booking",
    group=ActionGroup.MANAGE_ITEMS,
    items=ItemType,
    results=[Result("count", "How many were cancelled", FieldKind.NUMBER)],
)
async def cancel_booking(params: CancelBooking, context: ActionContext) -> str:
    """Cancel all in a field of the item that is not over; whoever is booked is notified."""
    field = await params.name(context)
    bookings = await lock_bookings_of(context.session, context.item, Booking.field == field)
    for booking in bookings:
        await cancel(context.session, booking, context.cause)
    context.leave(count=len(bookings))
    if not bookings:
        return "Nothing was booked there for a time to come."
    zone = context.home.time_zone
    return f"Cancelled {'; '.join(in_words(booking, zone) for booking in bookings)}."
