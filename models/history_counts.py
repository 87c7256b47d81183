"""Counts of history: how often something happened, by kind, by person, by rule, by day."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from models.history import HistoryEntry
from models.installation import installation
from models.pipeline import Pipeline, Stage
from models.rule import Rule, RuleVersion
from models.trigger import Trigger
from models.user import User

NONE = "none"
"""Stands for the value of lines that have none."""

QUARTER = 15 * 60
"""Seconds. In every zone of our time a day begins with a quarter of an hour."""


class CountedBy(StrEnum):
    """What lines are told apart by; days and months are those of the company's time zone."""

    KIND = "kind"
    ITEM_TYPE = "item_type"
    SUBJECT_TYPE = "subject_type"
    AUTHOR = "author"
    RESPONSIBLE = "responsible"
    RULE = "rule"
    TRIGGER = "trigger"
    PIPELINE = "pipeline"
    STAGE = "stage"
    FIELD = "field"
    DAY = "day"
    MONTH = "month"


FORMATS = {CountedBy.DAY: "%Y-%m-%d", CountedBy.MONTH: "%Y-%m"}

COLUMNS: Mapping[CountedBy, InstrumentedAttribute[Any]] = {
    CountedBy.KIND: HistoryEntry.kind,
    CountedBy.ITEM_TYPE: HistoryEntry.item_type,
    CountedBy.SUBJECT_TYPE: HistoryEntry.subject_type,
    CountedBy.AUTHOR: HistoryEntry.author_id,
    CountedBy.RESPONSIBLE: HistoryEntry.responsible_id,
    CountedBy.RULE: HistoryEntry.rule_id,
    CountedBy.TRIGGER: HistoryEntry.trigger_id,
    CountedBy.PIPELINE: HistoryEntry.pipeline_id,
    CountedBy.STAGE: HistoryEntry.stage_id,
    CountedBy.FIELD: HistoryEntry.field,
}

NAMES: Mapping[CountedBy, Select[int, str]] = {
    CountedBy.AUTHOR: select(User.id, User.name),
    CountedBy.RESPONSIBLE: select(User.id, User.name),
    CountedBy.RULE: select(Rule.id, RuleVersion.title).join(Rule.version),
    CountedBy.TRIGGER: select(Trigger.id, Trigger.name),
    CountedBy.PIPELINE: select(Pipeline.id, Pipeline.name),
    CountedBy.STAGE: select(Stage.id, Stage.name),
}
"""What people call that which only its id stands for; also what was deleted."""


@dataclass(frozen=True)
class HistoryCount:
    """So many lines have this value."""

    value: str
    name: str | None
    count: int


async def count_history(
    session: AsyncSession, wanted: Select[HistoryEntry], by: CountedBy
) -> Sequence[HistoryCount]:
    """Return how many of these lines there are of each kind, person…: the most first.

    Days and months are in their order, and those without a line left out.
    """
    if by in FORMATS:
        counts = await _by_time(session, wanted, FORMATS[by])
        return [HistoryCount(value, None, counts[value]) for value in sorted(counts)]
    column = COLUMNS[by]
    found = await session.execute(
        wanted.with_only_columns(column, func.count()).group_by(column).order_by(None)
    )
    rows = sorted(found.all(), key=lambda row: (-row[1], row[0] is None, row[0]))
    names: dict[Any, str] = {}
    if by in NAMES:
        ids = [value for value, _ in rows if value is not None]
        kind = NAMES[by].selected_columns[0]
        named = await session.execute(NAMES[by].where(kind.in_(ids)))
        names = {row_id: name for row_id, name in named}  # noqa: C416 - rows are no tuples
    return [
        HistoryCount(NONE if value is None else str(value), names.get(value), count)
        for value, count in rows
    ]


async def _by_time(
    session: AsyncSession, wanted: Select[HistoryEntry], form: str
) -> Mapping[str, int]:
    """Return how many lines each day or month has.

    The database, which may know no zones, counts those of each quarter of an hour.
    """
    if session.get_bind().dialect.name == "sqlite":
        seconds: ColumnElement[Any] = cast(func.strftime("%s", HistoryEntry.created_at), Integer)
    else:
        seconds = cast(func.floor(func.extract("epoch", HistoryEntry.created_at)), BigInteger)
    quarter = seconds // QUARTER
    found = await session.execute(wanted.with_only_columns(quarter, func.count()).group_by(quarter))
    zone = ZoneInfo((await installation(session)).time_zone)
    counts: Counter[str] = Counter()
    for place, count in found:
        local = datetime.fromtimestamp(place * QUARTER, UTC).astimezone(zone)
        counts[local.strftime(form)] += count
    return counts
