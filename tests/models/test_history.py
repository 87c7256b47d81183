"""History: whatever is asked of it often is found by an index, however long it has become."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select, func, text
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import Database
from models.history import HistoryEntry, HistoryKind, history_for
from models.user import Role, User

BOSS = User(name="Boss", role=Role.MANAGER)

LATE = {"kind": [HistoryKind.INFORMATION], "responsible_id": 7}
AUGUST = {
    "created_from": datetime(2027, 8, 1, tzinfo=UTC),
    "created_to": datetime(2027, 8, 31, tzinfo=UTC),
}

USUAL: dict[str, dict[str, Any]] = {
    "of one kind and manager in a month": LATE | AUGUST,
    "of one kind and manager": LATE,
    "of one kind": {"kind": [HistoryKind.EXPORTED]},
    "of several kinds in a month": {"kind": [HistoryKind.CALL, HistoryKind.EMAIL]} | AUGUST,
    "of a manager": {"responsible_id": 7},
    "by an author in a month": {"author_id": 7} | AUGUST,
    "by a rule in a month": {"rule_id": 7} | AUGUST,
    "by a run": {"run_id": 7},
    "by a trigger": {"trigger_id": 7},
    "of an item": {"item_id": 7},
    "of a client": {"subject_type": "contact", "subject_id": 7},
    "in a stage": {"stage_id": 7},
    "in a month": AUGUST,
}

WHOLE = {"postgresql": "Seq Scan on history_entries", "sqlite": "SCAN history_entries"}
"""How databases call it when they read all there is."""


async def way_to(session: AsyncSession, wanted: Select[*tuple[Any, ...]]) -> str:
    """Return how the database finds what is wanted, if it has enough rows for that to matter."""
    dialect = session.get_bind().dialect
    said = str(wanted.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = {"postgresql": "EXPLAIN", "sqlite": "EXPLAIN QUERY PLAN"}[dialect.name]
    await session.execute(text(RELUCTANT[dialect.name]))
    plan = await session.execute(text(f"{explain} {said}".replace(":", "\\:")))
    return "\n".join(str(row) for row in plan)


RELUCTANT = {"postgresql": "SET LOCAL enable_seqscan = off", "sqlite": "SELECT 1"}
"""PostgreSQL would rather read a short table as a whole."""


@pytest.mark.parametrize("name", USUAL)
async def test_lines_are_counted_by_an_index(database: Database, name: str) -> None:
    lines = history_for(BOSS, **USUAL[name])

    async with database.reading() as session:
        counted = lines.with_only_columns(HistoryEntry.kind, func.count())
        way = await way_to(session, counted.group_by(HistoryEntry.kind))

    assert WHOLE["sqlite"] not in way
    assert WHOLE["postgresql"] not in way


@pytest.mark.parametrize("name", USUAL)
async def test_the_latest_lines_are_found_by_an_index(database: Database, name: str) -> None:
    lines = history_for(BOSS, **USUAL[name])

    async with database.reading() as session:
        way = await way_to(session, lines.order_by(HistoryEntry.id.desc()).limit(50))

    assert WHOLE["sqlite"] not in way
    assert WHOLE["postgresql"] not in way
