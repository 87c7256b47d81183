"""The timeline of an item: comments, stages, what rules did; newest first."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, literal, null, select, union_all
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Record
from models.keyset import Order, Wanted
from models.pipeline import Stage
from models.provenance import MadeByRun
from models.rule import RuleVersion
from models.rule_run import RuleRun
from models.stage_entry import StageEntry


class TimelineKind(StrEnum):
    COMMENT = "comment"
    STAGE_ENTRY = "stage entry"
    RULE_RUN = "rule run"


class TimelineComment(Record, Base, kw_only=True):
    __tablename__ = "timeline_comments"
    __table_args__ = (Index(None, "item_id", "id"), Record.options)

    text: Mapped[str]
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), default=None)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)


def timeline_of(item_id: int) -> tuple[Wanted, Order]:
    """Return comments, stage entries and ended runs of an item, and their order, newest first.

    Rows have `kind`, `id`, `at`, `title` (of the stage or rule), `text`, `state` (of a run),
    `author_id` and `run_id` (which rule run it is or was made by).
    """
    comments = select(
        literal(TimelineKind.COMMENT.value).label("kind"),
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
    runs = (
        select(
            literal(TimelineKind.RULE_RUN.value),
            RuleRun.id,
            RuleRun.finished_at,
            RuleVersion.title,
            RuleRun.outcome,
            RuleRun.state,
            null(),
            RuleRun.id,
        )
        .join(RuleVersion, RuleVersion.id == RuleRun.version_id)
        .where(RuleRun.item_id == item_id, RuleRun.finished_at.is_not(None))
    )
    merged = union_all(comments, entries, runs).subquery()
    return select(merged), Order((merged.c.at, merged.c.kind, merged.c.id), descending=True)
