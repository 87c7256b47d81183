"""E-mail opened: the client has seen what they were sent."""

from models.occasion import Occasion
from models.trigger_settings import NoSettings
from models.trigger_type import trigger_type


@trigger_type(title="E-mail opened")
def email_opened(settings: NoSettings, occasion: Occasion) -> str | None:  # noqa: ARG001
    """Move the item when its client opens a mail that is tracked, for the first time.

    Programs that load pictures by themselves count as well.
    """
    return None
