"""Facts that stand in the way of what somebody asked for; repeating the request cannot help.

Anything else that is raised is a fault: the API answers 500, Temporal tries again.
"""

from dataclasses import dataclass


class CrmError(Exception):
    """A fact told to the person who asked; the message is theirs to read.

    `field` is a JSON pointer into what they sent (`/params/title`), or empty.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    @property
    def reason(self) -> str:
        """The message without the fields it speaks of."""
        return self.message


class NotFound(CrmError):
    """What the request names is not there (or is in the recycle bin)."""


class Conflict(CrmError):
    """What is asked contradicts the present state."""


class NotAllowed(CrmError):
    """Who asks may not do this, or is unknown."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what was sent: where (JSON pointer) and why."""

    field: str
    reason: str


class Invalid(CrmError):
    """What was sent cannot be accepted; says every field that is wrong, and why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(
            "; ".join(f"{problem.field}: {problem.reason}" for problem in problems),
            field=problems[0].field,
        )
        self.problems = problems

    @property
    def reason(self) -> str:
        return "; ".join(problem.reason for problem in self.problems)


class InvalidRule(Invalid):
    """A rule that could never run as written is refused when it is saved."""


class InvalidTrigger(Invalid):
    """A trigger that could never move an item as written is refused when it is saved."""


class LoopDetected(CrmError):
    """Rules and triggers move items in a circle; the message holds the path, shortened."""


class ActionFailed(CrmError):
    """An action met a fact that it cannot get around: nobody to notify, no client."""
