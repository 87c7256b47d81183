"""Rule runs over HTTP: run now, later, again or not at all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from models.database import Database
from models.rule_run import RunState, finish_run, record_fault
from models.stage_entry import lock_run
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

IN_A_DAY = {"kind": "after_delay", "amount": 1, "unit": "days"}


@pytest.fixture
async def run(company: SmallCompany, api: httpx2.AsyncClient) -> Any:
    """A run that waits for a day."""
    [stage] = await company.pipeline("New")
    await company.rule(stage, title="Call", timing=IN_A_DAY)
    deal = await company.deal()
    [run] = (await api.get(f"/v1/items/{deal['id']}/agenda")).json()["items"]
    return run


def seconds_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


async def versions(api: httpx2.AsyncClient, run: Any) -> tuple[int, int]:
    entry = (await api.get(f"/v1/stage-entries/{run['stage_entry_id']}")).json()
    return entry["agenda_version"], entry["told_version"]


async def test_a_run_tells_everything_about_itself(run: Any, api: httpx2.AsyncClient) -> None:
    answer = await api.get(f"/v1/runs/{run['id']}")

    assert answer.json() == run
    assert run | {"title": "Call", "action": "add_history_entry", "state": "waiting"} == run
    assert run | {"waits_for": "its time", "attempts": 0, "rule_version": 1} == run
    assert 86_300 < seconds_until(run["due_at"]) <= 86_400


async def test_run_now_makes_it_due_at_once_and_temporal_is_to_be_told(
    run: Any, api: httpx2.AsyncClient
) -> None:
    answer = await api.post(f"/v1/runs/{run['id']}/run-now")

    assert answer.status_code == 200
    assert answer.json()["state"] == "waiting"
    assert seconds_until(answer.json()["due_at"]) <= 0
    assert await versions(api, run) == (2, 0)


async def test_postpone_lets_it_wait_longer(run: Any, api: httpx2.AsyncClient) -> None:
    until = (datetime.now(UTC) + timedelta(days=30)).isoformat()

    answer = await api.post(f"/v1/runs/{run['id']}/postpone", json={"until": until})

    assert datetime.fromisoformat(answer.json()["due_at"]) == datetime.fromisoformat(until)
    assert await versions(api, run) == (2, 0)


@on_one_database
@pytest.mark.parametrize(
    "until", ["2020-01-01T00:00Z", "2999-01-01T00:00", "soon", None, "9999-12-31T23:59-12:00"]
)
async def test_a_moment_that_is_past_or_unclear_is_refused(
    run: Any, api: httpx2.AsyncClient, until: str | None
) -> None:
    answer = await api.post(f"/v1/runs/{run['id']}/postpone", json={"until": until})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/until"


async def test_skip_ends_it_and_says_by_whom(run: Any, api: httpx2.AsyncClient) -> None:
    answer = await api.post(f"/v1/runs/{run['id']}/skip")

    assert answer.json()["state"] == "skipped"
    assert answer.json()["outcome"] == "Skipped by Ada Admin."
    assert answer.json()["waits_for"] is None
    assert answer.json()["finished_at"] is not None


@pytest.mark.parametrize("verb", ["run-now", "skip"])
async def test_what_has_ended_can_neither_be_run_nor_skipped(
    run: Any, api: httpx2.AsyncClient, verb: str
) -> None:
    await api.post(f"/v1/runs/{run['id']}/skip")

    answer = await api.post(f"/v1/runs/{run['id']}/{verb}")

    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/conflict"


async def test_what_has_failed_can_be_tried_again(
    run: Any, api: httpx2.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        failing = await lock_run(session, run["id"])
        await finish_run(session, failing, RunState.FAILED, "There is nobody to notify.")

    failed = await api.get(f"/v1/runs/{run['id']}")
    retried = await api.post(f"/v1/runs/{run['id']}/retry")

    assert (failed.json()["state"], failed.json()["outcome"]) == (
        "failed",
        "There is nobody to notify.",
    )
    assert (retried.json()["state"], retried.json()["outcome"]) == ("waiting", None)
    assert seconds_until(retried.json()["due_at"]) <= 0


async def test_what_waits_cannot_be_retried(run: Any, api: httpx2.AsyncClient) -> None:
    answer = await api.post(f"/v1/runs/{run['id']}/retry")

    assert answer.status_code == 409


async def test_of_a_fault_only_the_kind_is_told(
    run: Any, api: httpx2.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        broken = await lock_run(session, run["id"])
        broken.fault = "ConnectionRefusedError: anna@firm.example could not be reached"
        record_fault(session, broken)

    answer = await api.get(f"/v1/runs/{run['id']}")

    assert (answer.json()["fault"], answer.json()["attempts"]) == ("ConnectionRefusedError", 1)
    assert (answer.json()["state"], answer.json()["waits_for"]) == (
        "retrying",
        "another try after a fault",
    )


@pytest.mark.parametrize("verb", ["run-now", "skip", "retry"])
async def test_a_run_that_is_not_there_is_a_404(api: httpx2.AsyncClient, verb: str) -> None:
    read = await api.get("/v1/runs/42")
    changed = await api.post(f"/v1/runs/42/{verb}")

    assert (read.status_code, changed.status_code) == (404, 404)
    assert read.json()["detail"] == changed.json()["detail"] == "There is no run 42."
