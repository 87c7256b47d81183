"""Link in an e-mail followed: the client wants to know more of what they were sent."""

from pydantic import Field

from models.inputs import Name
from models.occasion import LinkOccasion
from models.trigger_type import TriggerSettings, trigger_type


class LinkClicked(TriggerSettings):
    """Which links count."""

    prefix: Name | None = Field(
        default=None,
        title="The link begins with",
        description="Such as https://shop.example/offers; any link counts, if empty.",
    )

    def in_words(self) -> str | None:
        return self.prefix


@trigger_type(title="Link in an e-mail followed")
def link_clicked(settings: LinkClicked, occasion: LinkOccasion) -> str | None:
    """Move the item when its client follows a link in a mail that is tracked.

    Each link of a mail counts once.
    """
    if settings.prefix is None or occasion.url.casefold().startswith(settings.prefix.casefold()):
        return None
    return f"The link {occasion.url} does not begin with {settings.prefix}."
