"""Stage entries: one stay of an item in a stage, why it began, and the rules it started."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AliasPath, Field

from api.dependencies import CurrentUser, ReadSession, Session
from api.paging import PageQuery, Paging, page_of, sorted_by
from api.routing import resource
from api.runs import RunRead
from api.schemas import Filter, Id, Moment, Page, Read
from models.access import reached
from models.item_type import ItemType
from models.stage_entry import (
    CHAIN,
    Automation,
    CauseKind,
    StageEntry,
    causes_for,
    entries_for,
    find_entry,
)

router = resource("runs", "/stage-entries")


class StageEntryRead(Read):
    """`root_id` is the entry that began the chain of causes leading here, `depth` links ago.

    `parent_id` is the link before; see `/causes` for the whole chain.
    """

    id: int
    item_id: int
    item_type: ItemType = Field(validation_alias=AliasPath("item", "type"))
    stage_id: int
    entered_at: datetime
    left_at: datetime | None
    cause: CauseKind
    automation: Automation = Field(description="Whether the rules of the stage run for it.")
    cause_user_id: int | None
    cause_run_id: int | None
    cause_trigger_id: int | None = Field(description="The trigger that moved it.")
    cause_trigger_name: str | None = Field(
        default=None,
        validation_alias=AliasPath("cause_trigger", "name"),
        description="What that trigger is called.",
    )
    root_id: int | None
    parent_id: int | None = Field(description="The stage entry from which this came.")
    depth: int
    agenda_version: int = Field(description="Counts changes of what is still to happen.")
    told_version: int = Field(description="The newest version that Temporal is known to have.")
    workflow_id: str = Field(description="Where to find it in Temporal.")
    runs: list[RunRead]


async def _present(session: Session, user: CurrentUser, entry_id: Id) -> StageEntry:
    entry = await find_entry(session, entry_id)
    await reached(session, user, entry.item)
    return entry


PresentEntry = Annotated[StageEntry, Depends(_present)]


class EntryFilter(Filter):
    """Which stays to list; in a stage, those that are `present` are where items stand now."""

    item_id: Id | None = None
    stage_id: Id | None = None
    present: bool | None = Field(default=None, description="Whether the item is still there.")
    cause: CauseKind | None = None
    cause_run_id: Id | None = None
    cause_trigger_id: Id | None = None
    entered_from: Moment | None = None
    entered_to: Moment | None = None


NewestFirst = Annotated[PageQuery, sorted_by("id", usually="-id")]


@router.get("")
async def list_stage_entries(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[EntryFilter, Query()],
    paging: NewestFirst,
) -> Page[StageEntryRead]:
    """Return the stays of items within your reach with the runs of their rules, newest first."""
    return await page_of(session, entries_for(user, **where.asked()), paging, StageEntryRead)


@router.get("/{entry_id}")
async def read_stage_entry(entry: PresentEntry) -> StageEntryRead:
    """Return a stay of an item in a stage with the runs of its rules, top-down."""
    return StageEntryRead.model_validate(entry)


@router.get("/{entry_id}/causes")
async def list_causes(
    session: ReadSession, user: CurrentUser, entry: PresentEntry, paging: Paging
) -> Page[StageEntryRead]:
    """Return the whole chain of causes that led to a stay, first to last, itself included.

    People and clients begin a chain; rules and triggers add a link to it, each saying which it was.
    Stays of items that are out of your reach are left out.
    """
    wanted = causes_for(user, entry.id)
    return await page_of(session, wanted, paging, StageEntryRead, order=CHAIN)
