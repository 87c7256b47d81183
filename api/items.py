"""Items, lead or deal: moving them, and what happened and will happen to them."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, Query, Request, status
from pydantic import AliasPath, Field

from activities.registry import destructive
from api.dependencies import CurrentUser, MatchIfSent, ReadSession, Session
from api.paging import PageQuery, Paging, page_of, sorted_by
from api.routing import resource
from api.runs import RunRead, SortedRuns
from api.schemas import (
    Currency,
    Custom,
    Day,
    Filter,
    Id,
    Ids,
    LongText,
    Moment,
    Money,
    Name,
    Page,
    Read,
    SearchText,
    ShortText,
    Version,
    Whole,
    Write,
    YesOrNo,
)
from models.access import reached
from models.custom_filter import Bound, CustomAsked
from models.custom_values import pointer_of
from models.errors import Invalid, Problem
from models.fields import UNSTORABLE
from models.history import HistoryKind, history_where
from models.item import Item, find_item, known_item, lock_item
from models.item_edit import Beginning
from models.item_move import Asked, MoveOutcome, lock_to_move, move_item, move_items
from models.item_type import ItemType
from models.recycle_bin import restore_item
from models.rule_run import OPEN, RuleRun
from models.stage_entry import AGENDA, Automation, Cause, runs_where
from models.timeline import TimelineComment, TimelineKind, timeline_of

router = resource("items", "/items")

MOST_MOVED = 1000

PLACE = {"pipeline_id", "stage_id", "automation"}

AUTOMATION = Field(
    default=Automation.RUN,
    description="`skip` lets it enter without its rules running, for managers only.",
)


class ItemRead(Read):
    """What leads and deals have in common."""

    id: int
    type: ItemType
    title: str
    version: Version
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
    begin_date: Day | None = None
    close_date: Day | None = None
    source: ShortText | None = None
    comments: LongText | None = None
    custom: Custom = Field(
        default={},
        description="Values by name, of the kinds that `/v1/field-definitions` tell; null removes "
        "one, others stay.",
    )


class Place(Write):
    """Where a new item begins: in the first stage of the pipeline, or of the first pipeline."""

    title: Name
    pipeline_id: Id | None = None
    stage_id: Id | None = None
    automation: Automation = AUTOMATION

    def fields(self) -> dict[str, Any]:
        """Return what is said of the item itself."""
        return {name: each for name, each in self.changes().items() if name not in PLACE}

    def beginning(self) -> Beginning:
        """Return what is said of where it begins."""
        return Beginning(**self.model_dump(include=PLACE))


class ItemFilter(Filter):
    """Which leads or deals to list."""

    pipeline_id: Id | None = None
    stage_id: Id | None = None
    responsible_id: Id | None = None
    creator_id: Id | None = None
    contact_id: Id | None = Field(default=None, description="As primary or further contact.")
    company_id: Id | None = None
    source: ShortText | None = None
    source_item_id: Id | None = Field(default=None, description="Made from this item.")
    made_by_run_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the title.")
    created_from: Moment | None = None
    created_to: Moment | None = None
    amount_min: Money | None = None
    amount_max: Money | None = None
    begin_date_from: Day | None = None
    begin_date_to: Day | None = None
    close_date_from: Day | None = None
    close_date_to: Day | None = None


WantedItems = Annotated[ItemFilter, Query()]

SortedItems = Annotated[
    PageQuery, sorted_by("id", "created_at", "title", "amount", "close_date", "begin_date")
]

CUSTOM_KEY = re.compile(r"custom\[([^\[\]]+)\](?:\[(from|to)\])?")

CUSTOM_QUERY: dict[str, Any] = {
    "parameters": [
        {
            "name": "custom",
            "in": "query",
            "required": False,
            "style": "deepObject",
            "explode": True,
            "description": "What custom fields hold, all of it: `custom[contract_no]=A-1`. Of a "
            "`multi`, one that is chosen. For number, money, date and datetime there are ranges, "
            "ends included: `custom[due][from]=2027-01-01&custom[due][to]=2027-01-31`.",
            "schema": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        {"type": "string"},
                        {
                            "type": "object",
                            "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
                            "additionalProperties": False,
                        },
                    ]
                },
            },
            "examples": {
                "equal": {"value": {"contract_no": "A-1"}},
                "range": {"value": {"due": {"from": "2027-01-01", "to": "2027-01-31"}}},
            },
        }
    ]
}
"""How the document of a list tells of `CustomFilter`."""


def _asked(request: Request) -> list[CustomAsked]:
    """Return what is asked of custom fields, or raise `Invalid`."""
    asked = []
    for key, value in request.query_params.multi_items():
        if not key.startswith("custom"):
            continue
        match = CUSTOM_KEY.fullmatch(key)
        if match is None:
            reason = "Ask for custom[name]=value, custom[name][from]=value, custom[name][to]=value."
            raise Invalid(Problem("/custom", reason))
        name, bound = match.groups()
        if UNSTORABLE.search(value):
            reason = "a text holds U+0000 or half a character, which nothing holds"
            raise Invalid(Problem(pointer_of(name), reason))
        asked.append(CustomAsked(name, value, Bound(bound) if bound else None))
    return asked


CustomFilter = Annotated[list[CustomAsked], Depends(_asked)]


class MoveWrite(Write):
    stage_id: Id
    automation: Automation = AUTOMATION


class BulkMoveWrite(MoveWrite):
    """Up to 1,000 items. Where rules of the stage delete items, their number must be confirmed."""

    item_ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_MOVED)]
    dry: YesOrNo = Field(default=False, description="Only tell what would come of it.")
    confirm: Whole | None = Field(
        default=None, ge=0, description="The `destroys` of a dry move, if that is not 0."
    )


class VerdictRead(Read):
    """`reason` says why an item was refused, and `stage_entry_id` where a moved one stands now."""

    item_id: int
    outcome: MoveOutcome
    reason: str | None
    stage_entry_id: int | None


class StartedRead(Read):
    """A rule of the stage, which starts for each item that is moved."""

    rule_id: int
    title: str
    action: str
    destroys: bool = Field(description="Whether it deletes items.")


class BulkMoveRead(Read):
    """One verdict per item, in the order sent; those that are refused stay where they are."""

    dry: bool = Field(description="Whether nothing was moved, and this is what would be.")
    counts: dict[MoveOutcome, int]
    verdicts: list[VerdictRead]
    rules: list[StartedRead]
    destroys: int = Field(description="How many items those rules may delete; send as `confirm`.")


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


async def _present(session: Session, user: CurrentUser, item_id: Id) -> Item:
    return await reached(session, user, await find_item(session, item_id))


async def _known(session: Session, user: CurrentUser, item_id: Id) -> Item:
    return await reached(session, user, await known_item(session, item_id))


async def _locked(session: Session, user: CurrentUser, item_id: Id) -> Item:
    return await reached(session, user, await lock_item(session, item_id))


async def _to_move(session: Session, user: CurrentUser, item_id: Id, match: MatchIfSent) -> Item:
    item = await lock_to_move(session, item_id, user)
    return item if match is None else match.of(item)


MovedItem = Annotated[Item, Depends(_to_move)]
PresentItem = Annotated[Item, Depends(_present)]
KnownItem = Annotated[Item, Depends(_known)]
"""Also one in the recycle bin."""

LockedItem = Annotated[Item, Depends(_locked)]
"""Also one in the recycle bin."""

NewestFirst = Annotated[PageQuery, sorted_by("id", usually="-id")]


@router.get("/{item_id}")
async def read_item(item: PresentItem) -> ItemRead:
    """Return a lead or deal by its id.

    What both have; `/v1/leads/{lead_id}` and `/v1/deals/{deal_id}` return all of it.
    """
    return ItemRead.model_validate(item)


@router.post("/move", name="move_items")
async def move_many(session: Session, user: CurrentUser, sent: BulkMoveWrite) -> BulkMoveRead:
    """Move many items to a stage, each as if alone; the answer has a verdict for each."""
    moved = await move_items(session, Asked(**sent.model_dump()), user, destructive())
    return BulkMoveRead.model_validate(moved)


@router.post("/{item_id}/move", name="move_item")
async def move(session: Session, user: CurrentUser, item: MovedItem, to: MoveWrite) -> MoveRead:
    """Move an item to a stage of its pipeline: its rules start, those of the old stage end.

    What still waited in the old stage is dropped, but for rules that keep on when the item leaves.
    An item that stands there already stays as it is, and `changed` is false. See `/agenda` for what
    will happen now.
    """
    moved = await move_item(session, item, to.stage_id, user, to.automation)
    return MoveRead.model_validate(moved)


@router.get("/{item_id}/agenda")
async def read_agenda(session: ReadSession, item: KnownItem, paging: Paging) -> Page[RunRead]:
    """Return what is still to happen, the next first, also of stages that the item has left.

    Each run says when it is due or what it waits for, and under which `workflow_id` Temporal has
    it.
    """
    runs = runs_where(RuleRun.item_id == item.id, RuleRun.state.in_(OPEN))
    return await page_of(session, runs, paging, RunRead, order=AGENDA)


@router.get("/{item_id}/runs")
async def list_runs(session: ReadSession, item: KnownItem, paging: SortedRuns) -> Page[RunRead]:
    """Return every run of a rule for this item, newest first, and why it did what it did.

    `outcome` is a sentence for people; `comparisons` are what its conditions compared, with the
    values of that moment.
    """
    runs = runs_where(RuleRun.item_id == item.id)
    return await page_of(session, runs, paging, RunRead)


@router.get("/{item_id}/history")
async def list_history(
    session: ReadSession, item: KnownItem, paging: NewestFirst, kind: HistoryKind | None = None
) -> Page[HistoryRead]:
    """Return everything that was ever noted of this item, newest first."""
    lines = history_where(item_id=item.id, kind=kind)
    return await page_of(session, lines, paging, HistoryRead)


@router.get("/{item_id}/timeline")
async def list_timeline(
    session: ReadSession, item: KnownItem, paging: Paging
) -> Page[TimelineRead]:
    """Return comments, stage entries and what rules did, newest first."""
    rows, order = timeline_of(item.id)
    return await page_of(session, rows, paging, TimelineRead, order=order)


@router.post("/{item_id}/comments", status_code=status.HTTP_201_CREATED)
async def add_comment(
    session: Session, user: CurrentUser, item: PresentItem, said: CommentWrite
) -> CommentRead:
    """Put a comment on the timeline.

    It is signed by whoever asks, and cannot be changed afterwards.
    """
    comment = TimelineComment(text=said.text, item_id=item.id, author_id=user.id)
    session.add(comment)
    await session.flush()
    return CommentRead.model_validate(comment)


@router.post("/{item_id}/restore", name="restore_item")
async def restore(session: Session, user: CurrentUser, item: LockedItem) -> ItemRead:
    """Bring an item back from the recycle bin into its stage; no rules run."""
    await restore_item(session, item, Cause.restore(user))
    return ItemRead.model_validate(item)
