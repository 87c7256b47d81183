"""E-mail received: the client has written."""

from models.occasion import Occasion
from models.trigger_settings import NoSettings
from models.trigger_type import trigger_type


@trigger_type(title="E-mail received")
def email_received(settings: NoSettings, occasion: Occasion) -> str | None:  # noqa: ARG001
    """Move the item when a mail of its client comes in."""
    return None
