"""Items of every type: moving them, and what happened and will happen to them."""

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import AliasPath, Field

from activities.registry import destructive
from api.dependencies import CurrentUser, MatchIfSent, ReadSession, Session
from api.item_resource import AUTOMATION, ItemRead
from api.paging import PageQuery, Paging, page_of, sorted_by
from api.routing import resource
from api.runs import RunRead, SortedRuns
from api.schemas import Id, LongText, Page, Read, Whole, Write, YesOrNo
from api.triggers import TriggerCheckRead, TriggerLogFilter
from api.triggers import told as shown_checks
from models.access import reached
from models.history import HistoryKind, history_where
from models.item import Item, find_item, known_item, lock_item
from models.item_move import Asked, MoveOutcome, lock_to_move, move_item, move_items
from models.item_type import ItemType
from models.recycle_bin import restore_item
from models.rule_run import OPEN, RuleRun
from models.stage_entry import AGENDA, Automation, Cause, runs_where
from models.timeline import TimelineKind, timeline_of
from models.timeline import add_comment as comment_on
from models.trigger import checks_where
from models.viewing import keep_view
from models.wait import end_wait

router = resource("items", "/items")

MOST_MOVED = 1000


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
    from_client: YesOrNo = Field(
        default=False, description="Whether the client said so, which ends a wait."
    )


class CommentRead(Read):
    id: int
    item_id: int
    text: str
    author_id: int | None
    from_client: bool = Field(description="Whether the client said so.")
    created_at: datetime


class TimelineRead(Read):
    """What is planned stands where it starts, and so may be ahead.

    `run_id` is the rule run that it is or was made by, `trigger_id` the trigger that has moved the
    item.
    """

    kind: TimelineKind
    id: int
    at: datetime
    title: str | None
    text: str | None
    state: str | None
    author_id: int | None
    run_id: int | None
    trigger_id: int | None
    trigger_name: str | None = Field(description="What that trigger is called.")


HistoryKinds = Annotated[
    list[HistoryKind] | None, Query(description="Of these kinds; say it again for each.")
]


class HistoryRead(Read):
    """Without an author it was automation; the rule and its run say which, or the trigger.

    Pipeline, stage and responsible are those of the item at that time.
    """

    id: int
    created_at: datetime
    kind: HistoryKind
    text: str
    subject_type: str
    subject_id: int
    item_id: int | None
    item_type: ItemType | None
    author_id: int | None
    rule_id: int | None
    trigger_id: int | None
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


async def _to_change(session: Session, user: CurrentUser, item_id: Id) -> Item:
    return await reached(session, user, await find_item(session, item_id, lock=True))


async def _to_move(session: Session, user: CurrentUser, item_id: Id, match: MatchIfSent) -> Item:
    item = await lock_to_move(session, item_id, user)
    return item if match is None else match.of(item)


MovedItem = Annotated[Item, Depends(_to_move)]
PresentItem = Annotated[Item, Depends(_present)]
ItemToChange = Annotated[Item, Depends(_to_change)]
KnownItem = Annotated[Item, Depends(_known)]
"""Also one in the recycle bin."""

LockedItem = Annotated[Item, Depends(_locked)]
"""Also one in the recycle bin."""

NewestFirst = Annotated[PageQuery, sorted_by("id", usually="-id")]


@router.get("/{item_id}")
async def read_item(item: PresentItem) -> ItemRead:
    """Return an item of any type by its id.

    What all have in common; `/v1/leads/{lead_id}`, `/v1/deals/{deal_id}`, `/v1/quotes/{quote_id}`
    and `/v1/invoices/{invoice_id}` return all of one.
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
    session: ReadSession, item: KnownItem, paging: NewestFirst, kind: HistoryKinds = None
) -> Page[HistoryRead]:
    """Return everything that was ever noted of this item, newest first."""
    lines = history_where(item_id=item.id, kind=kind)
    return await page_of(session, lines, paging, HistoryRead)


@router.post("/{item_id}/view", name="mark_item_viewed")
async def view(session: Session, user: CurrentUser, item: PresentItem) -> HistoryRead:
    """Note in history that you look at this item, as a page for people does that shows it.

    Reading it over HTTP alone is not noted, being done by programs too. Once more within ten
    minutes is the same look: the answer is its line.
    """
    return HistoryRead.model_validate(await keep_view(session, item, user))


@router.get("/{item_id}/timeline")
async def list_timeline(
    session: ReadSession, item: KnownItem, paging: Paging
) -> Page[TimelineRead]:
    """Return comments, CRM activities, stage entries and what rules did, newest first.

    A stage entry says which trigger moved the item, if one did, and as whom.
    """
    rows, order = timeline_of(item.id)
    return await page_of(session, rows, paging, TimelineRead, order=order)


@router.get("/{item_id}/trigger-log")
async def list_trigger_log(
    session: ReadSession,
    item: KnownItem,
    where: Annotated[TriggerLogFilter, Query()],
    paging: NewestFirst,
) -> Page[TriggerCheckRead]:
    """Return each trigger that was considered for this item, newest first, and why it did or not.

    Lines with the same `occasion` belong together: what happened once, and the triggers that waited
    for it, in the order in which they were tried. Who stands in an earlier stage is tried first.
    """
    wanted = checks_where(item_id=item.id, **where.asked())
    return await page_of(
        session, wanted, paging, TriggerCheckRead, shown=partial(shown_checks, session)
    )


@router.post("/{item_id}/comments", status_code=status.HTTP_201_CREATED)
async def add_comment(
    session: Session, user: CurrentUser, item: ItemToChange, said: CommentWrite
) -> CommentRead:
    """Put a comment on the timeline.

    It is signed by whoever asks, and cannot be changed afterwards. What the client said
    (`from_client`) ends a wait, and the rule after that starts counting.
    """
    comment = await comment_on(session, item, user, said.text, from_client=said.from_client)
    return CommentRead.model_validate(comment)


@router.post("/{item_id}/end-wait", name="end_wait")
async def end_its_wait(session: Session, user: CurrentUser, item: ItemToChange) -> RunRead:
    """End the wait of an item before its time; the rule after it starts counting.

    Returns the run that waited. `/agenda` shows a wait as a run that is `in progress`.
    """
    return RunRead.model_validate(await end_wait(session, item, user))


@router.post("/{item_id}/restore", name="restore_item")
async def restore(session: Session, user: CurrentUser, item: LockedItem) -> ItemRead:
    """Bring an item back from the recycle bin into its stage; no rules run."""
    await restore_item(session, item, Cause.restore(user))
    return ItemRead.model_validate(item)
