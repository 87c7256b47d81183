"""Outgoing call: somebody has called the client."""

from models.occasion import CallOccasion
from models.trigger_settings import OnLine
from models.trigger_type import trigger_type


@trigger_type(title="Outgoing call")
def outgoing_call(settings: OnLine, occasion: CallOccasion) -> str | None:
    """Move the item when somebody has called its client by the telephone system."""
    return settings.other_line(occasion)
