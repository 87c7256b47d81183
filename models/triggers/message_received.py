"""Message received: the client has written in a messenger, or by SMS."""

from pydantic import Field

from models.inputs import Name
from models.occasion import MessageOccasion
from models.trigger_settings import same_name
from models.trigger_type import TriggerSettings, trigger_type


class MessageReceived(TriggerSettings):
    """Through which channel."""

    channel: Name | None = Field(
        default=None,
        title="Channel",
        description="Such as SMS, as whoever hands the message on calls it; any, if empty.",
    )

    def in_words(self) -> str | None:
        return self.channel


@trigger_type(title="Message received")
def message_received(settings: MessageReceived, occasion: MessageOccasion) -> str | None:
    """Move the item when a message of its client comes in."""
    if settings.channel is None:
        return None
    if occasion.channel is None:
        return "Nobody knows through which channel the message came."
    if same_name(settings.channel, occasion.channel):
        return None
    return f"The message came through {occasion.channel}, not {settings.channel}."
