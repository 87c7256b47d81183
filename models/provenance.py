"""Provenance: whatever is created while a rule run acts remembers that run by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated

from sqlalchemy import ForeignKey
from sqlalchemy.orm import mapped_column

_acting: ContextVar[int | None] = ContextVar("acting", default=None)


@contextmanager
def acting(run_id: int) -> Iterator[None]:
    """Let everything that is inserted within the block be made by this run."""
    token = _acting.set(run_id)
    try:
        yield
    finally:
        _acting.reset(token)


def acting_run() -> int | None:
    return _acting.get()


MadeByRun = Annotated[
    int | None,
    mapped_column(ForeignKey("rule_runs.id", use_alter=True), insert_default=acting_run),
]
"""The column: the id of the rule run that made the row, None for people's work."""

DeletedByRun = Annotated[int | None, mapped_column(ForeignKey("rule_runs.id", use_alter=True))]
"""The column: the id of the rule run that put the row into the recycle bin."""
