"""Incoming call: the client has called, and somebody has answered."""

from models.occasion import CallOccasion
from models.trigger_settings import OnLine
from models.trigger_type import trigger_type


@trigger_type(title="Incoming call")
def incoming_call(settings: OnLine, occasion: CallOccasion) -> str | None:
    """Move the item when its client has called, and somebody has answered."""
    return settings.other_line(occasion)
