"""Booking made: somebody or something is booked for the item."""

from models.occasion import Occasion
from models.trigger_settings import NoSettings
from models.trigger_type import trigger_type


@trigger_type(title="Booking made")
def booking_made(settings: NoSettings, occasion: Occasion) -> str | None:  # noqa: ARG001
    """Move the item when somebody or something is booked for it.

    Moving a booking does not count, nor do bookings that a copy of an item begins with.
    """
    return None
