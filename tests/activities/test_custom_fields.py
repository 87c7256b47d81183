"""Custom fields when a rule runs: read if it mentions any, and unknown once they are gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import delete, event

from models.database import Database
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.history import HistoryEntry, HistoryKind
from models.item_type import ItemType
from models.rule_run import RunState
from models.stage_entry import StageEntry
from tests.factories import a_deal, a_pipeline, all_of, rules_of
from tests.fixtures.runner import Runner

AT_LEAST_TWO = {"field": "deal.custom.floors", "operator": ">=", "value": 2}


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def entered(database: Database, *rules: dict[str, Any], floors: int) -> StageEntry:
    """Let a deal with so many floors, a custom field, enter a stage with these rules."""
    async with database.transaction() as session:
        await add_definition(session, a_definition())
        first, *_ = a_pipeline(session, "New", "Won")
        rules_of(session, first, *rules)
        await session.flush()
        _, entry = await a_deal(session, first, custom={"floors": floors})
    return entry


def a_definition() -> FieldDefinition:
    return FieldDefinition(
        item_type=ItemType.DEAL, name="floors", title="Floors", kind=FieldKind.NUMBER, choices=[]
    )


@pytest.mark.parametrize(("floors", "state"), [(1, RunState.SKIPPED), (2, RunState.DONE)])
async def test_a_rule_may_ask_for_a_custom_field(
    database: Database, runner: Runner, floors: int, state: RunState
) -> None:
    entry = await entered(database, {"conditions": AT_LEAST_TWO}, floors=floors)

    run = await runner.do(entry.id)

    assert run.state is state


async def test_a_rule_may_write_a_custom_field(database: Database, runner: Runner) -> None:
    text = "It has {{ item.custom.floors }} floors."
    entry = await entered(database, {"params": {"text": text}}, floors=3)

    await runner.do(entry.id)

    told = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.INFORMATION)
    assert [line.text for line in told] == ["It has 3 floors."]


async def test_a_condition_on_a_field_that_is_gone_is_unknown(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {}, {"conditions": AT_LEAST_TWO}, floors=3)
    async with database.transaction() as session:
        await session.execute(delete(FieldDefinition))

    await runner.do(entry.id)
    run = await runner.do(entry.id)

    assert run.state is RunState.SKIPPED
    assert run.outcome == "deal.custom.floors cannot be compared: there is no such field"


async def test_definitions_are_not_read_for_a_rule_that_mentions_none(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"params": {"text": "{{ deal.title }}"}}, floors=3)

    with statements(database) as sent:
        await runner.do(entry.id)

    assert sent
    assert [statement for statement in sent if "field_definitions" in statement] == []
