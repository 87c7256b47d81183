"""E-mail sent: the client was written to."""

from models.occasion import Occasion
from models.trigger_settings import NoSettings
from models.trigger_type import trigger_type


@trigger_type(title="E-mail sent")
def email_sent(settings: NoSettings, occasion: Occasion) -> str | None:  # noqa: ARG001
    """Move the item when a mail to its client has been sent.

    Mails to people who work here do not count.
    """
    return None
