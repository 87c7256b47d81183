"""The one clock: wall time, or the moment that an activity or a test says it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_said: ContextVar[datetime | None] = ContextVar("said", default=None)


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Where time comes from when nobody says otherwise; tests put their own source here."""

    def __init__(self) -> None:
        self.source: Callable[[], datetime] = wall_clock


clock = Clock()


def now() -> datetime:
    """Return the present moment, aware UTC: what `at` says within its block, else the clock."""
    return _said.get() or clock.source()


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Let it be this moment within the block, for this task only."""
    token = _said.set(moment)
    try:
        yield
    finally:
        _said.reset(token)
