"""Items, lead or deal: moving them, and what happened and will happen to them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, status
from pydantic import AliasPath, BaseModel, Field, TypeAdapter

from api.dependencies import (
    CurrentUser,
    Paging,
    ReadSession,
    Session,
    cut,
    page_of,
    read_cursor,
)
from api.runs import RunRead
from api.schemas import (
    Currency,
    Custom,
    Id,
    Ids,
    LongText,
    Moment,
    Money,
    Name,
    Page,
    Read,
    ShortText,
    Write,
)
from models.history import HistoryKind, history_of
from models.item import Item, find_item, known_item, lock_item
from models.item_edit import move_item
from models.item_type import ItemType
from models.recycle_bin import restore_item
from models.rule_run import RuleRun
from models.stage_entry import Cause, agenda_of, runs_where
from models.timeline import TimelineComment, TimelineKey, TimelineKind, timeline_of

router = APIRouter(prefix="/items", tags=["items"])


class ItemRead(Read):
    """What leads and deals have in common."""

    id: int
    type: ItemType
    title: str
    version: int = Field(description="Counts changes.")
    pipeline_id: int
    stage_id: int
    responsible_id: int | None
    creator_id: int | None
    contact_id: int | None
    company_id: int | None
    amount: Decimal | None
    currency: str | None
    begin_date: date | None
    close_date: date | None
    source: str | None
    comments: str | None
    custom: dict[str, Any]
    source_item_id: int | None = Field(description="The item that it was made from.")
    made_by_run_id: int | None = Field(description="The rule run that made it.")
    created_at: datetime
    deleted_at: datetime | None


class ItemFields(Write):
    """What can be said of a lead or deal; a client must not be in the recycle bin."""

    responsible_id: Id | None = Field(
        default=None, description="Whoever creates the item, if left out."
    )
    contact_id: Id | None = None
    further_contact_ids: Ids = []
    company_id: Id | None = None
    amount: Money | None = None
    currency: Currency | None = None
    begin_date: date | None = None
    close_date: date | None = None
    source: ShortText | None = None
    comments: LongText | None = None
    custom: Custom = Field(default={}, description="Null removes a field; others stay.")


class Place(Write):
    """Where a new item begins: in the first stage of the pipeline, or of the first pipeline."""

    title: Name
    pipeline_id: Id | None = None
    stage_id: Id | None = None

    def fields(self) -> dict[str, Any]:
        """Return what is said of the item itself."""
        place = Place.model_fields.keys() - {"title"}
        return {name: value for name, value in self.changes().items() if name not in place}


class ItemFilter(BaseModel):
    """Which items to list; nothing means all."""

    pipeline_id: Id | None = None
    stage_id: Id | None = None
    responsible_id: Id | None = None
    contact_id: Id | None = Field(default=None, description="As primary or further contact.")
    company_id: Id | None = None


Filter = Annotated[ItemFilter, Query()]


class MoveWrite(Write):
    stage_id: Id


class MoveRead(Read):
    """`changed` is false where the item stood in that stage already."""

    item: ItemRead
    stage_entry_id: int = Field(validation_alias=AliasPath("entry", "id"))
    changed: bool


class CommentWrite(Write):
    text: Annotated[LongText, Field(min_length=1)]


class CommentRead(Read):
    id: int
    item_id: int
    text: str
    author_id: int | None
    created_at: datetime


class TimelineRead(Read):
    """`title` is that of the stage or rule, `run_id` the rule run that it is or was made by."""

    kind: TimelineKind
    id: int
    at: datetime
    title: str | None
    text: str | None
    state: str | None
    author_id: int | None
    run_id: int | None


class HistoryRead(Read):
    """Without an author it was automation; the rule and its run say which."""

    id: int
    created_at: datetime
    kind: HistoryKind
    text: str
    subject_type: str
    subject_id: int
    item_id: int | None
    author_id: int | None
    rule_id: int | None
    run_id: int | None
    pipeline_id: int | None
    stage_id: int | None
    responsible_id: int | None
    field: str | None
    old: str | None
    new: str | None


async def _present(session: Session, item_id: Id) -> Item:
    return await find_item(session, item_id)


async def _known(session: Session, item_id: Id) -> Item:
    return await known_item(session, item_id)


async def _locked(session: Session, item_id: Id) -> Item:
    return await lock_item(session, item_id)


PresentItem = Annotated[Item, Depends(_present)]
KnownItem = Annotated[Item, Depends(_known)]
"""Also one in the recycle bin."""

LockedItem = Annotated[Item, Depends(_locked)]
"""Also one in the recycle bin."""

KEY: TypeAdapter[tuple[datetime, str, int]] = TypeAdapter(tuple[Moment, TimelineKind, Id])


def _before(paging: Paging) -> TimelineKey | None:
    key = read_cursor(paging, KEY)
    return None if key is None else TimelineKey(*key)


Before = Annotated[TimelineKey | None, Depends(_before)]
"""Where the page of a timeline begins."""


@router.get("/{item_id}")
async def read_item(item: PresentItem) -> ItemRead:
    """Return a lead or deal by its id."""
    return ItemRead.model_validate(item)


@router.post("/{item_id}/move")
async def move(session: Session, user: CurrentUser, item_id: Id, to: MoveWrite) -> MoveRead:
    """Move an item to a stage of its pipeline: its rules start, those of the old stage end."""
    return MoveRead.model_validate(await move_item(session, item_id, to.stage_id, user))


@router.get("/{item_id}/agenda")
async def read_agenda(session: ReadSession, item: KnownItem) -> Page[RunRead]:
    """Return what is still to happen, the next first, also of stages that the item has left."""
    runs = await agenda_of(session, item.id)
    return Page(items=[RunRead.model_validate(run) for run in runs])


@router.get("/{item_id}/runs")
async def list_runs(session: ReadSession, item: KnownItem, paging: Paging) -> Page[RunRead]:
    """Return every run of a rule for this item, newest first, and why it did what it did."""
    runs = runs_where(RuleRun.item_id == item.id)
    return await page_of(session, runs, paging, RunRead, newest_first=True)


@router.get("/{item_id}/history")
async def list_history(
    session: ReadSession, item: KnownItem, paging: Paging, kind: HistoryKind | None = None
) -> Page[HistoryRead]:
    """Return everything that was ever noted of this item, newest first."""
    lines = history_of(item.id, kind)
    return await page_of(session, lines, paging, HistoryRead, newest_first=True)


@router.get("/{item_id}/timeline")
async def list_timeline(
    session: ReadSession, item: KnownItem, paging: Paging, before: Before
) -> Page[TimelineRead]:
    """Return comments, stage entries and what rules did, newest first."""
    rows = await timeline_of(session, item.id, before=before, limit=paging.limit + 1)
    keys = [(row.at.isoformat(), row.kind, row.id) for row in rows]
    return cut(rows, paging, TimelineRead, keys)


@router.post("/{item_id}/comments", status_code=status.HTTP_201_CREATED)
async def add_comment(
    session: Session, user: CurrentUser, item: PresentItem, said: CommentWrite
) -> CommentRead:
    """Put a comment on the timeline."""
    comment = TimelineComment(text=said.text, item_id=item.id, author_id=user.id)
    session.add(comment)
    await session.flush()
    return CommentRead.model_validate(comment)


@router.post("/{item_id}/restore")
async def restore(session: Session, user: CurrentUser, item: LockedItem) -> ItemRead:
    """Bring an item back from the recycle bin into its stage; no rules run."""
    await restore_item(session, item, Cause.restore(user))
    return ItemRead.model_validate(item)
