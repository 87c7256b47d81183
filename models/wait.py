"""Waits: an item that waits for its client, until a time or until somebody gets in touch.

A wait is a run of the action `wait` that stays open; there is at most one of an item.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.errors import Conflict
from models.item import Item
from models.item_date import ItemDate, When
from models.rule import RuleVersion
from models.rule_run import OPEN, RuleRun, conclude, own_field, stay_open_until
from models.stage_entry import StageEntry, lock_entries
from models.user import User

ACTION = "wait"

UNTIL: TypeAdapter[When] = TypeAdapter(When)


class WaitEnd(StrEnum):
    """What ends a wait: `wait.ended_by` of the rules below."""

    TIME = "time"
    CLIENT = "client"
    PERSON = "person"
    ANOTHER_WAIT = "another wait"


async def waits_of(session: AsyncSession, item: Item) -> Sequence[RuleRun]:
    """Return the waits of a locked item that have begun and not ended, locked too."""
    here = select(RuleRun.stage_entry_id).join(RuleRun.version).where(_waiting(item))
    entries = await lock_entries(session, [item], StageEntry.id.in_(here))
    return [run for entry in entries for run in entry.runs if _is_wait(run)]


async def end_waits(
    session: AsyncSession, item: Item, by_what: WaitEnd, *, user: User | None = None
) -> Sequence[RuleRun]:
    """End the waits of a locked item and return them; the rules after them start counting.

    Call it where a client gets in touch, and where a person (`user`) ends the wait or goes on by
    planning something; what rules plan ends no wait.
    """
    ended = await waits_of(session, item)
    for run in ended:
        await conclude(session, run, _in_words(by_what, user), by=user, ended_by=by_what)
    return ended


async def end_wait(session: AsyncSession, item: Item, user: User) -> RuleRun:
    """Let a person end the wait of a locked item; raises `Conflict` where there is none."""
    for run in await end_waits(session, item, WaitEnd.PERSON, user=user):
        return run
    raise Conflict(f"{item.called.capitalize()} waits for nothing.")


def waiting_until(paths: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a run is a wait until one of these fields says."""
    field = RuleVersion.params["until"]["field"].as_string()
    return and_(RuleRun.began_at.is_not(None), RuleVersion.action == ACTION, field.in_(paths))


def follow_date(session: AsyncSession, run: RuleRun, paths: Collection[str], zone: str) -> None:
    """Let a run, if it is a wait until one of these fields says, last until what it says now.

    Where that has become empty, it lasts as long as before.
    """
    date = UNTIL.validate_python(run.version.params["until"]) if _is_wait(run) else None
    if isinstance(date, ItemDate) and date.field in paths:
        until = date.moment(own_field(run.item, date.name), zone)
        if until is not None:
            stay_open_until(session, run, until)


def _waiting(item: Item) -> ColumnElement[bool]:
    return (
        (RuleRun.item_id == item.id)
        & RuleRun.state.in_(OPEN)
        & RuleRun.began_at.is_not(None)
        & (RuleVersion.action == ACTION)
    )


def _is_wait(run: RuleRun) -> bool:
    return run.is_open and run.began_at is not None and run.version.action == ACTION


def _in_words(by_what: WaitEnd, user: User | None) -> str:
    match by_what:
        case WaitEnd.CLIENT:
            return "The client has been in touch."
        case WaitEnd.ANOTHER_WAIT:
            return "Another wait has begun."
        case WaitEnd.TIME:
            return "The time is up."
        case WaitEnd.PERSON:
            return "Somebody goes on." if user is None else f"{user.name} goes on."
