"""Channel: one way in which deliveries leave, and what may come of it.

A channel is asked three times: to *prepare* in the transaction that notes that it is sending, to
*send* in none, and to *settle* in the one that notes that it was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from activities.steps import Place
from models.delivery import Delivery
from models.errors import CrmError


class Refused(CrmError):
    """The other side will never take it; the message has its words."""


class TryLater(Exception):
    """The other side does not take it now: it is down, busy, or asks to wait so long at least."""

    def __init__(self, message: str, wait: timedelta = timedelta()) -> None:
        super().__init__(message)
        self.wait = wait


class Unclear(TryLater):
    """Nobody knows whether the other side has taken it: the answer did not come."""


class NotYet(Exception):
    """Something of ours has to come first, such as a document that is being made."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


@dataclass(frozen=True)
class Sent:
    """`outcome` is the sentence that history tells, `answer` what the server said.

    `result` is what it leaves for the rules below, `made` what `settle` is to keep. `caught`: it
    was kept here instead of leaving the house.
    """

    outcome: str
    answer: str | None = None
    result: Mapping[str, object] = field(default_factory=dict)
    made: Any = None
    caught: bool = False


class Channel(Protocol):
    """How deliveries of one kind leave. One of each serves a worker; `close` ends it."""

    async def prepare(self, place: Place, delivery: Delivery) -> Any:
        """Return all that sending needs; raises `Refused`, or `NotYet`."""
        ...

    async def send(self, prepared: Any) -> Sent:
        """Send it, in no transaction; raises `Refused`, `TryLater` or `Unclear`."""
        ...

    async def settle(self, place: Place, delivery: Delivery, sent: Sent) -> Sent:
        """Write what follows from its being sent, and return the same, or more of it.

        Raises `NotYet` where what was made fits no more and has to be made anew.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
