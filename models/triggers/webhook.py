"""Webhook: another system says that it is time."""

from typing import Annotated

from pydantic import Field, StringConstraints

from models.occasion import WebhookOccasion
from models.trigger_type import TriggerSettings, trigger_type

CODE = r"^[A-Za-z0-9_-]+$"
LONGEST_CODE = 64


class Webhook(TriggerSettings):
    """Under which code it is called."""

    code: Annotated[str, StringConstraints(max_length=LONGEST_CODE, pattern=CODE)] = Field(
        title="Code",
        description="Letters, digits, _ and -; several triggers may have the same.",
        examples=["paid-in-shop"],
    )

    def in_words(self) -> str | None:
        return self.code


@trigger_type(title="Webhook")
def webhook(settings: Webhook, occasion: WebhookOccasion) -> str | None:
    """Move the item when another system calls `POST /v1/triggers/{code}` and names it."""
    if settings.code == occasion.code:
        return None
    return f"The code was {occasion.code}, not {settings.code}."
