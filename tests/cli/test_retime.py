"""`cuebook retime`: what waits follows working hours, holidays and time zones."""

from datetime import UTC, datetime

import pytest

from models import clock
from models.database import Database
from models.installation import installation
from models.settings import variable
from tests.factories import a_deal, a_pipeline, a_rule
from tests.fixtures.commands import cuebook

WORKING = {"kind": "after_delay", "amount": 2, "unit": "hours", "working_hours": "company"}
MONDAY_NOON = datetime(2127, 3, 3, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def waiting(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Two deals wait for two working hours, from noon; then the company sleeps longer."""
    monkeypatch.setenv(variable("database_url"), database_url)
    monkeypatch.setattr(clock.clock, "source", lambda: MONDAY_NOON)
    async with database.transaction() as session:
        [stage] = a_pipeline(session, "New")
        a_rule(session, stage, title="Call [now]", timing=WORKING)
        await session.flush()
        deals = [(await a_deal(session, stage))[0], (await a_deal(session, stage))[0]]
    async with database.transaction() as session:
        (await installation(session)).working_hours = {"mon": [["13:00", "18:00"]]}
    return [deal.called for deal in deals]


async def test_it_says_what_is_due_at_another_time_and_then_that_nothing_is(
    waiting: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await cuebook("retime", "--dry")
    looked = capsys.readouterr().out
    await cuebook("retime")
    told = capsys.readouterr().out
    await cuebook("retime")
    again = capsys.readouterr().out

    lines = [f"{deal} «Call [now]»: 2127-03-03 14:00 → 15:00 UTC" for deal in waiting]
    assert looked.splitlines() == [
        *lines,
        "Runs would be due at another time: 2, of 2 items that wait.",
    ]
    assert told.splitlines() == [*lines, "Runs now due at another time: 2, of 2 items that wait."]
    assert again.splitlines() == ["Runs now due at another time: 0, of 2 items that wait."]
