"""What CRM activities mean for an item that waits for its client."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.clock import at
from models.crm_activity import (
    CrmActivityDirection,
    CrmActivityKind,
    CrmActivityStatus,
)
from models.crm_activity_edit import add_crm_activity
from models.database import Database
from models.rule_run import RunState
from models.stage_entry import StageEntry, load_entry
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, a_rule
from tests.fixtures.runner import Runner

NOW = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)
NOTED = CrmActivityStatus.COMPLETED
INCOMING = CrmActivityDirection.INCOMING
THREE_DAYS = {"until": {"amount": 3, "unit": "days"}}


@pytest.fixture
async def ada(database: Database) -> User:
    ada = User(name="Ada", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(ada)
    return ada


@pytest.fixture
async def waiting(database: Database, runner: Runner) -> StageEntry:
    """A deal that waits for its client, and then has a call planned by a rule."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "wait", params=THREE_DAYS)
        a_rule(session, stage, "schedule_call", params={"subject": "Call"}, position=1)
        _, entry = await a_deal(session, stage)
    await runner.do(entry.id, at=NOW)
    return entry


async def add(database: Database, by: User, entry: StageEntry, **said: Any) -> None:
    call = {"kind": CrmActivityKind.CALL, "subject": "Call", "item_id": entry.item_id}
    with at(NOW + A_MINUTE):
        async with database.transaction() as session:
            person = await session.get_one(User, by.id)
            await add_crm_activity(session, person, call | said)


async def the_wait(database: Database, entry: StageEntry) -> tuple[Any, Any]:
    """Return how the wait stands, and what ended it."""
    async with database.reading() as session:
        loaded = await load_entry(session, entry.id)
        assert loaded is not None
        return loaded.runs[0].state, (loaded.runs[0].result or {}).get("ended_by")


@pytest.mark.parametrize(
    ("said", "ended_by"),
    [
        ({}, "person"),
        ({"kind": CrmActivityKind.TO_DO}, "person"),
        ({"status": NOTED}, "person"),
        ({"status": NOTED, "direction": INCOMING}, "client"),
        ({"status": NOTED, "direction": INCOMING, "kind": CrmActivityKind.MEETING}, "client"),
        ({"direction": INCOMING}, "person"),
    ],
    ids=str,
)
async def test_a_person_who_plans_something_ends_the_wait_and_so_does_the_client(
    database: Database,
    ada: User,
    waiting: StageEntry,
    said: dict[str, Any],
    ended_by: str,
) -> None:
    await add(database, ada, waiting, **said)

    assert await the_wait(database, waiting) == (RunState.DONE, ended_by)


async def test_what_a_rule_plans_ends_no_wait(
    database: Database, runner: Runner, waiting: StageEntry
) -> None:
    run = await runner.do(waiting.id, at=NOW)

    assert run.outcome is not None
    assert run.outcome.startswith("Planned call")
    assert await the_wait(database, waiting) == (RunState.IN_PROGRESS, None)
