"""Health tells what is not well, in words, to anybody who asks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from sqlalchemy import update

from api.app import create_app
from models.database import Database
from models.installation import WorkerHeartbeat
from models.settings import Settings
from models.stage_entry import StageEntry
from tests.fixtures.api import SmallCompany


def heartbeat(ago: timedelta = timedelta(0), **said: object) -> WorkerHeartbeat:
    return WorkerHeartbeat(worker="one", beat_at=datetime.now(UTC) - ago, **said)  # type: ignore[arg-type]


async def test_all_is_well_while_a_worker_beats(
    stranger: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.add(heartbeat(relay_lag=0.5))

    answer = await stranger.get("/health")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["workers"][0]["relay_lag"] == 0.5


async def test_without_a_worker_the_api_still_works(
    stranger: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.add(heartbeat(ago=timedelta(seconds=61)))

    answer = await stranger.get("/v1/health")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "problems": ["No worker has been heard of for 60 seconds: rules do not run."],
        "workers": [],
    }


async def test_what_workers_suffer_from_is_told(
    stranger: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.add(heartbeat(temporal_error="connection refused", overdue=3))

    answer = await stranger.get("/health")

    assert answer.json()["status"] == "degraded"
    assert answer.json()["problems"] == [
        "Worker one cannot reach Temporal: connection refused",
        "Runs and reminders that are more than a minute late: 3.",
    ]


async def test_an_entry_that_temporal_would_not_hear_of_is_told(
    stranger: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    await company.pipeline("New")
    await company.deal()
    await company.add(heartbeat())
    async with database.transaction() as session:
        await session.execute(update(StageEntry).values(tell_error="UNAVAILABLE"))

    answer = await stranger.get("/health")

    assert answer.json()["problems"] == [
        "Temporal could not be told of what is to be done: UNAVAILABLE"
    ]


async def test_a_database_that_does_not_answer_is_a_503(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'cuebook.db'}")
    transport = httpx2.ASGITransport(create_app(database, Settings()))

    async with httpx2.AsyncClient(transport=transport, base_url="http://cuebook") as client:
        answer = await client.get("/health")

    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    await database.close()
