"""Messages: what the delivery of one keeps, and what a gateway is sent of it."""

import re
from typing import Annotated

from pydantic import BaseModel, Field

from models.delivery import Delivery

LONGEST_SUBJECT = 80
"""Characters of a message that stand for it in lists."""

MessageService = Annotated[
    str, Field(pattern=re.compile(r"^[a-z][a-z0-9_.-]{0,49}$"), examples=["sms", "whatsapp"])
]
"""By what a message goes, as the gateway calls it."""


class MessageContent(BaseModel):
    channel: str
    text: str
    sender_id: int | None = None


def as_posted(delivery: Delivery) -> dict[str, str]:
    """Return what a gateway is sent, the same each time: it knows a repetition by the id."""
    content = MessageContent.model_validate(delivery.content)
    return {
        "id": str(delivery.key),
        "channel": content.channel,
        "to": delivery.recipient,
        "text": content.text,
    }


def subject_of(text: str) -> str:
    """Return the beginning of a message in one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…"
