"""Changing rules for which many runs wait: they are looked for all at once."""

from datetime import UTC, datetime, timedelta

import pytest

from models import clock
from models.database import Database
from models.rule_edit import Waiting, delete_rule, lock_to_rewrite, rewrite, said
from models.rule_run import RuleRun, RunState
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_pipeline, all_of, rules_of
from tests.fixtures.database import counted

FEW, MANY = 2, 20
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
IN_THREE_HOURS = IN_AN_HOUR | {"amount": 3}


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still."""
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)


async def waited_for(database: Database, how_many: int) -> int:
    """Let so many runs wait for a rule, each with one that waits for it; return its id."""
    async with database.transaction() as session:
        [stage] = a_pipeline(session, "New")
        rule, _ = rules_of(session, stage, {"timing": IN_AN_HOUR}, {"after_previous": True})
        await session.flush()
        for _ in range(how_many):
            await a_deal(session, stage)
        return rule.id


async def looked_to_delete(database: Database, rule_id: int) -> int:
    """Delete a rule and drop what waits; return how often rows were looked for."""
    with counted(database) as statements:
        async with database.transaction() as session:
            await delete_rule(session, rule_id, User(name="Ann"), drop_waiting=True)
    return sum(each.startswith("SELECT") for each in statements)


async def looked_to_rewrite(database: Database, rule_id: int) -> int:
    """Let a rule wait for three hours, and its runs too; return how often rows were looked for."""
    ann = User(name="Ann")
    async with database.transaction() as session:
        session.add(ann)
    with counted(database) as statements:
        async with database.transaction() as session:
            rule = await lock_to_rewrite(session, rule_id, Waiting.RETIME)
            text = said(rule) | {"timing": IN_THREE_HOURS}
            await rewrite(session, rule, text, ann, Waiting.RETIME)
    return sum(each.startswith("SELECT") for each in statements)


async def test_deleting_a_rule_drops_what_waits_and_looks_no_oftener_where_that_is_much(
    database: Database,
) -> None:
    few, many = await waited_for(database, FEW), await waited_for(database, MANY)

    looked_for_few = await looked_to_delete(database, few)
    looked_for_many = await looked_to_delete(database, many)

    dropped = await all_of(database, RuleRun, RuleRun.state == RunState.DROPPED)
    assert len(dropped) == FEW + MANY
    assert looked_for_many == looked_for_few


async def test_what_waits_follows_an_edit_and_is_looked_for_no_oftener_where_it_is_much(
    database: Database,
) -> None:
    few, many = await waited_for(database, FEW), await waited_for(database, MANY)

    looked_for_few = await looked_to_rewrite(database, few)
    looked_for_many = await looked_to_rewrite(database, many)

    moved = await all_of(database, RuleRun, RuleRun.rule_id == many)
    assert [run.due_at for run in moved] == [NOON + timedelta(hours=3)] * MANY
    assert looked_for_many == looked_for_few
