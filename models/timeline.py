"""The timeline of an item: comments, CRM activities, stages, what rules did; newest first."""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    and_,
    case,
    func,
    insert,
    inspect,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Record
from models.crm_activity import CrmActivity, CrmActivityStatus
from models.delivery import Delivery, Reaction
from models.document import Document
from models.history import HistoryEntry
from models.item import Item
from models.keyset import Order, Wanted
from models.payment import PAID_AT
from models.pipeline import Stage
from models.provenance import MadeByRun, acting_run
from models.rule import RuleVersion
from models.rule_run import RuleRun
from models.stage_entry import StageEntry
from models.trigger import Trigger
from models.user import User
from models.wait import WaitEnd, end_waits


class TimelineKind(StrEnum):
    COMMENT = "comment"
    CLIENT_COMMENT = "client comment"
    STAGE_ENTRY = "stage entry"
    RULE_RUN = "rule run"
    CRM_ACTIVITY = "crm activity"
    PAYMENT = "payment"
    DOCUMENT = "document"
    DOCUMENT_VIEW = "document view"
    REACTION = "reaction"


class TimelineComment(Record, Base, kw_only=True):
    """`from_client`: it says what the client said, whoever has written it down."""

    __tablename__ = "timeline_comments"
    __table_args__ = (Index(None, "item_id", "id"), Record.options)

    text: Mapped[str]
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), default=None)
    from_client: Mapped[bool] = mapped_column(default=False)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)


async def add_comment(
    session: AsyncSession, item: Item, author: User, text: str, *, from_client: bool
) -> TimelineComment:
    """Let somebody comment on a locked item; what the client said ends a wait."""
    comment = TimelineComment(
        text=text, item_id=item.id, author_id=author.id, from_client=from_client
    )
    session.add(comment)
    await session.flush()
    if from_client:
        await end_waits(session, item, WaitEnd.CLIENT, user=author)
    return comment


async def copy_timeline(session: AsyncSession, source: Item, target: Item) -> int:
    """Copy what was said and done for an item to a new one; return how many entries that were.

    Comments and completed CRM activities, with their authors and times. What is still planned is
    to be done once, for the source.
    """
    new = {"item_id": target.id, "made_by_run_id": acting_run()}
    comments = await _copy(session, TimelineComment, TimelineComment.item_id == source.id, new)
    done = (
        (CrmActivity.item_id == source.id)
        & (CrmActivity.status == CrmActivityStatus.COMPLETED)
        & CrmActivity.deleted_at.is_(None)
    )
    new = new | TOLD | {"version": 1, "inbound_id": None}  # What came in came for the source.
    return comments + await _copy(session, CrmActivity, done, new)


async def _copy(
    session: AsyncSession,
    kind: type[Base],
    which: ColumnElement[bool],
    new: Mapping[str, object],
) -> int:
    """Copy rows in one statement, giving these columns new values; return how many they were."""
    columns = {column.key: column for column in inspect(kind).local_table.c}
    kept = [column for name, column in columns.items() if name != "id" and name not in new]
    given = [literal(value, columns[name].type) for name, value in new.items()]
    names = [*(column.name for column in kept), *new]
    rows = select(*kept, *given).where(which).order_by(columns["id"])
    copied = await session.execute(insert(kind).from_select(names, rows).returning(columns["id"]))
    return len(copied.all())


TOLD = {
    "agenda_version": 1,
    "told_version": 1,
    "tell_after": None,
    "tell_attempts": 0,
    "tell_error": None,
    "lease_token": None,
}
"""Columns of an outbox that has nothing to tell."""


def timeline_of(item_id: int) -> tuple[Wanted, Order]:
    """Return all that happened to an item and is to happen, newest first.

    Comments, stage entries, runs, CRM activities, payments, documents, and reactions to mails.

    Of the runs, those that have ended, and those in progress by what they wait for. Of the
    documents, those attached to it, and when any was first opened through its link. Of the
    reactions, when each mail was first opened and each link in it first followed.

    Rows have `kind`, `id`, `at`, `title` (of the stage, rule, CRM activity, document or mail),
    `text`, `state` (of a run, CRM activity or reaction), `author_id` and `run_id` (which rule run
    it is or was made by), and of a stage entry `trigger_id` and `trigger_name`. What is planned
    stands where it starts, what is completed where it was.
    """
    comments = select(
        case(
            (TimelineComment.from_client, TimelineKind.CLIENT_COMMENT.value),
            else_=TimelineKind.COMMENT.value,
        ).label("kind"),
        TimelineComment.id.label("id"),
        TimelineComment.created_at.label("at"),
        null().label("title"),
        TimelineComment.text.label("text"),
        null().label("state"),
        TimelineComment.author_id.label("author_id"),
        TimelineComment.made_by_run_id.label("run_id"),
    ).where(TimelineComment.item_id == item_id)
    entries = (
        select(
            literal(TimelineKind.STAGE_ENTRY.value),
            StageEntry.id,
            StageEntry.entered_at,
            Stage.name,
            null(),
            null(),
            StageEntry.cause_user_id,
            StageEntry.cause_run_id,
        )
        .join(Stage, Stage.id == StageEntry.stage_id)
        .where(StageEntry.item_id == item_id)
    )
    happened = func.coalesce(RuleRun.finished_at, RuleRun.began_at)
    runs = (
        select(
            literal(TimelineKind.RULE_RUN.value),
            RuleRun.id,
            happened,
            RuleVersion.title,
            RuleRun.outcome,
            RuleRun.state,
            null(),
            RuleRun.id,
        )
        .join(RuleVersion, RuleVersion.id == RuleRun.version_id)
        .where(RuleRun.item_id == item_id, happened.is_not(None))
    )
    crm_activities = select(
        literal(TimelineKind.CRM_ACTIVITY.value),
        CrmActivity.id,
        func.coalesce(CrmActivity.completed_at, CrmActivity.starts_at),
        CrmActivity.subject,
        func.coalesce(CrmActivity.result, CrmActivity.description),
        CrmActivity.status,
        func.coalesce(CrmActivity.completed_by_id, CrmActivity.creator_id),
        CrmActivity.made_by_run_id,
    ).where(CrmActivity.item_id == item_id, CrmActivity.deleted_at.is_(None))
    payments = select(
        literal(TimelineKind.PAYMENT.value),
        HistoryEntry.id,
        HistoryEntry.created_at,
        null(),
        HistoryEntry.text,
        null(),
        HistoryEntry.author_id,
        HistoryEntry.run_id,
    ).where(HistoryEntry.item_id == item_id, HistoryEntry.field == PAID_AT)
    documents, views = (
        select(
            literal(kind.value),
            Document.id,
            happened,
            Document.title,
            Document.number_text,
            null(),
            null(),
            run_id,
        ).where(Document.item_id == item_id, happened.is_not(None), Document.deleted_at.is_(None))
        for kind, happened, run_id in (
            (TimelineKind.DOCUMENT, Document.made_at, Document.made_by_run_id),
            (TimelineKind.DOCUMENT_VIEW, Document.viewed_at, null()),
        )
    )
    reactions = (
        select(
            literal(TimelineKind.REACTION.value),
            func.min(Reaction.id),
            func.min(Reaction.created_at),
            Delivery.subject,
            Reaction.url,
            Reaction.kind,
            null(),
            Delivery.run_id,
        )
        .join(Delivery, Delivery.id == Reaction.delivery_id)
        .where(Delivery.item_id == item_id)
        .group_by(Delivery.id, Delivery.subject, Delivery.run_id, Reaction.kind, Reaction.url)
    )
    merged = union_all(
        comments,
        entries,
        runs,
        crm_activities,
        payments,
        documents.where(Document.on_timeline),
        views,
        reactions,
    ).subquery()
    is_entry = merged.c.kind == TimelineKind.STAGE_ENTRY.value
    whole = (
        select(merged, Trigger.id.label("trigger_id"), Trigger.name.label("trigger_name"))
        .outerjoin(StageEntry, and_(is_entry, StageEntry.id == merged.c.id))
        .outerjoin(Trigger, Trigger.id == StageEntry.cause_trigger_id)
    )
    return whole, Order((merged.c.at, merged.c.kind, merged.c.id), descending=True)
