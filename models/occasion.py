"""Occasions: what happens to items that a trigger may wait for.

Whatever changes something says so by `occurred`; what comes of it is decided by `triggering`, after
the change, in the same transaction.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from models.item import Item
from models.savepoints import savepoint
from models.stage_entry import Cause


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """Something that happened to items; `trigger` is the code of the type that waits for it.

    `text` says it, without a full stop: "Task 7 «Prepare the invoice» is completed". `cause` is
    that of the change. Types whose settings ask for more have an occasion of their own.
    """

    trigger: str
    item_ids: tuple[int, ...]
    cause: Cause
    text: str


@dataclass(frozen=True, kw_only=True)
class TaskOccasion(Occasion):
    """A task got a status; `task` are its fields as `task_fields` names them.

    Days are those of the zone.
    """

    status: str
    task: Mapping[str, object]
    zone: str


@dataclass(frozen=True, kw_only=True)
class FieldsOccasion(Occasion):
    """Fields really changed; they are named as in history: `amount`, `custom.contract_no`."""

    fields: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class LinkOccasion(Occasion):
    """The client followed a link."""

    url: str


@dataclass(frozen=True, kw_only=True)
class CallOccasion(Occasion):
    """Somebody called, on a line of the company, if that is known.

    `region` is the country of numbers without a prefix.
    """

    line: str | None
    region: str


@dataclass(frozen=True, kw_only=True)
class MessageOccasion(Occasion):
    """A message came in through a channel."""

    channel: str | None


@dataclass(frozen=True, kw_only=True)
class FormOccasion(Occasion):
    """A web form was filled in."""

    form: str


@dataclass(frozen=True, kw_only=True)
class DocumentOccasion(Occasion):
    """A document was made, or opened by the client."""

    template_id: int


@dataclass(frozen=True, kw_only=True)
class CrmActivityOccasion(Occasion):
    """A CRM activity of a kind was completed."""

    kind: str


@dataclass(frozen=True, kw_only=True)
class WebhookOccasion(Occasion):
    """Another system called."""

    code: str


def occurred(session: AsyncSession, occasion: Occasion) -> None:
    """Let triggers consider an occasion, in the order of what happened, after the change."""
    waiting(session).append(occasion)


def fields_changed(
    session: AsyncSession, item: Item, fields: Mapping[str, str], cause: Cause
) -> None:
    """Let triggers know which fields of an item have really changed.

    They are named as in history, each with what people call it.
    """
    occurred(
        session,
        FieldsOccasion(
            trigger="field_changed",
            item_ids=(item.id,),
            cause=cause,
            text=f"{', '.join(fields.values())} of {item.called} changed",
            fields=frozenset(fields),
        ),
    )


@asynccontextmanager
async def in_savepoint(session: AsyncSession) -> AsyncIterator[None]:
    """Do something that is undone whole if it fails: then it has not occurred either."""
    so_far = len(waiting(session))
    try:
        async with savepoint(session):
            yield
    except BaseException:
        del waiting(session)[so_far:]
        raise


def waiting(session: AsyncSession) -> list[Occasion]:
    """Return what has happened in this transaction and no trigger has considered yet."""
    return cast("list[Occasion]", session.info.setdefault("occasions", []))
