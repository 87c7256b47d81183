"""What the runner knows of an item when a rule is due, and what it asks the database for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.database import Database
from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.item import Item
from models.item_edit import edit_item, find_whole
from models.item_type import ItemType
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, StageEntry
from models.user import User
from tests.factories import all_of, entered
from tests.fixtures.database import counted
from tests.fixtures.runner import Runner

TITLE = {"field": "deal.title", "operator": "=", "value": "Lathe"}
CHANGED = {"field": "deal.source", "operator": "changed since entry"}


async def edit(database: Database, entry: StageEntry, **sent: Any) -> None:
    async with database.transaction() as session:
        deal = await find_whole(session, entry.item_id, Item, lock=True)
        person = User(name="Bea")
        session.add(person)
        await session.flush()
        await edit_item(session, deal, sent, Cause.person(person))


async def judged(database: Database, runner: Runner, conditions: Any, **sent: Any) -> RuleRun:
    """Let a rule with these conditions come due after the deal was edited."""
    entry = await entered(database, {"conditions": conditions})
    await edit(database, entry, **sent)
    return await runner.do(entry.id)


async def test_a_rule_may_run_only_if_a_field_has_changed(
    database: Database, runner: Runner
) -> None:
    run = await judged(database, runner, CHANGED, source="fair")

    assert run.state is RunState.DONE


async def test_a_rule_is_skipped_where_its_field_has_not_changed(
    database: Database, runner: Runner
) -> None:
    run = await judged(database, runner, CHANGED, comments="Soon")

    assert run.state is RunState.SKIPPED
    assert run.outcome == "deal.source is empty, needed changed since entry"


async def test_another_responsible_is_a_change_too(database: Database, runner: Runner) -> None:
    boss = User(name="Boss")
    async with database.transaction() as session:
        session.add(boss)
    changed = {"field": "responsible.id", "operator": "changed since entry"}

    run = await judged(database, runner, changed, responsible_id=boss.id)

    assert run.state is RunState.DONE


async def test_fields_are_compared_with_each_other_as_they_stand_then(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        session.add(
            FieldDefinition(
                item_type=ItemType.DEAL, name="limit", title="Limit", kind=FieldKind.MONEY
            )
        )
    over = {"field": "deal.amount", "operator": ">", "value": {"field": "deal.custom.limit"}}

    run = await judged(database, runner, over, custom={"limit": "12.50"})

    assert run.state is RunState.SKIPPED
    assert run.outcome == "deal.amount is empty, needed > deal.custom.limit (12.50)"
    assert run.comparisons is not None
    assert run.comparisons[0]["expected"] == {"field": "deal.custom.limit", "value": "12.50"}


@pytest.mark.parametrize(
    ("later", "state"),
    [
        (timedelta(hours=1), RunState.SKIPPED),
        (timedelta(days=3, hours=1), RunState.DONE),
    ],
)
async def test_now_is_when_the_run_is_due(
    database: Database, runner: Runner, later: timedelta, state: RunState
) -> None:
    old = {
        "field": "deal.created_at",
        "operator": "more than ago",
        "value": {"amount": 3, "unit": "days"},
    }
    entry = await entered(database, {"conditions": old})

    run = await runner.do(entry.id, datetime.now(UTC) + later)

    assert run.state is state


async def test_rules_that_ask_for_nothing_special_ask_the_database_for_nothing_more(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        {"params": {"text": "{{ deal.title }}"}, "conditions": TITLE},
        {"params": {"text": "{{ results.create_task.id }}"}, "conditions": TITLE},
        {"params": {"text": "{{ deal.title }}"}, "conditions": {"any": [TITLE, CHANGED]}},
    )

    with counted(database) as plain:
        await runner.do(entry.id)
    with counted(database) as of_results:
        await runner.do(entry.id)
    with counted(database) as of_changes:
        await runner.do(entry.id)

    assert {run.state for run in await all_of(database, RuleRun)} == {RunState.DONE}
    assert not [each for each in plain if "FROM history_entries" in each]
    assert len(of_results) == len(plain)
    assert len(of_changes) == len(plain) + 1
