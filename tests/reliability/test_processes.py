"""Real processes, killed and cut off as they are in life."""

import os
import signal
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiosmtplib import SMTP
from sqlalchemy import select
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from models.database import Database
from models.settings import variable
from models.task import Task
from tests.fixtures.commands import cuebook
from tests.fixtures.database import on_one_database
from tests.fixtures.processes import ROOT, Installation, installed, until
from worker import NotOnSqlite

pytestmark = pytest.mark.timeout(120)

AT_ONCE = {"kind": "at_once"}
NOTE = {"title": "Note", "action": "add_history_entry", "params": {"text": "Nobody has called."}}


async def posted(http: httpx2.AsyncClient, path: str, body: object) -> Any:
    answer = await http.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def stage_with_rule(http: httpx2.AsyncClient, timing: object) -> tuple[int, int]:
    """Hang a task rule on the second stage of a new pipeline; return both stages."""
    pipeline = await posted(http, "/v1/pipelines", {"name": "Test", "item_type": "deal"})
    first = await posted(http, "/v1/stages", {"pipeline_id": pipeline["id"], "name": "One"})
    second = await posted(http, "/v1/stages", {"pipeline_id": pipeline["id"], "name": "Two"})
    await posted(
        http,
        f"/v1/stages/{second['id']}/rules",
        {
            "title": "Call",
            "action": "create_task",
            "params": {"title": "Call {{ deal.title }}"},
            "timing": timing,
        },
    )
    return first["id"], second["id"]


async def moved(http: httpx2.AsyncClient, timing: object = AT_ONCE) -> int:
    """Move a new deal to a stage with a task rule; return the deal's id."""
    first, second = await stage_with_rule(http, timing)
    deal = await posted(http, "/v1/deals", {"title": "Roof", "stage_id": first})
    answer = await http.post(f"/v1/items/{deal['id']}/move", json={"stage_id": second})
    assert answer.status_code == 200
    return int(deal["id"])


async def mail_sent(installation: Installation) -> str:
    """Send a mail to the installation; return its answer."""
    mail = b"From: ann@client.com\r\nSubject: Roof\r\n\r\nHello\r\n"
    port = installation.mail_port
    async with SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
        _, answer = await client.sendmail("ann@client.com", ["crm@firm.com"], mail)
    return answer


async def tasks(installation: Installation, item_id: int) -> list[Any]:
    async with installation.api() as http:
        return list((await http.get(f"/v1/tasks?item_id={item_id}")).json()["items"])


async def the_run(installation: Installation, item_id: int) -> Any:
    async with installation.api() as http:
        return (await http.get(f"/v1/items/{item_id}/runs")).json()["items"][0]


async def has_task(installation: Installation, item_id: int) -> None:
    async def it_has() -> bool:
        return bool(await tasks(installation, item_id))

    await until(it_has)


async def notifications(installation: Installation, about: str) -> list[Any]:
    async with installation.api() as http:
        every = (await http.get("/v1/notifications")).json()["items"]
    return [each for each in every if about in each["text"]]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation that runs, on a database of its own; each test leaves it so."""
    folder = tmp_path_factory.mktemp("running")
    async with installed(folder / "home", f"sqlite+aiosqlite:///{folder / 'cuebook.db'}") as made:
        await made.dev()
        yield made


@on_one_database
async def test_stopping_and_starting_again_goes_on_where_it_was_with_rules_and_reminders(
    installation: Installation,
) -> None:
    first = await installation.dev()
    async with installation.api() as http:
        item = await moved(http, {"kind": "after_delay", "amount": 4, "unit": "seconds"})
        soon = datetime.now(UTC) + timedelta(seconds=4)
        call = {"kind": "call", "subject": "Offer", "item_id": item, "reminders": [0]}
        await posted(http, "/v1/crm-activities", call | {"starts_at": soon.isoformat()})
    status = await installation.end(first)

    await installation.dev()

    await has_task(installation, item)
    reminders = await until(lambda: notifications(installation, "«Offer»"))
    assert status == 0
    token = installation.home / "admin-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(await tasks(installation, item)) == 1
    assert len(reminders) == 1


async def test_a_mail_makes_a_lead_whose_workflow_waits_in_temporal(running: Installation) -> None:
    async with running.api() as http:
        [pipeline] = (await http.get("/v1/pipelines?item_type=lead")).json()["items"]
        stage_id = pipeline["stages"][0]["id"]
        in_an_hour = {"kind": "after_delay", "amount": 1, "unit": "hours"}
        await posted(http, f"/v1/stages/{stage_id}/rules", NOTE | {"timing": in_an_hour})

    answer = await mail_sent(running)

    lead_id = int(answer.removeprefix("2.0.0 Made lead ").split()[0])
    run = await the_run(running, lead_id)
    temporal = await Client.connect(f"127.0.0.1:{running.temporal_port}")
    waiting = await until(temporal.get_workflow_handle(run["workflow_id"]).describe)
    assert run["workflow_id"] == f"lead-{lead_id}-entry-{run['stage_entry_id']}"
    assert waiting.status is WorkflowExecutionStatus.RUNNING


async def test_moves_are_answered_while_temporal_is_down_and_their_rules_run_when_it_is_back(
    running: Installation,
) -> None:
    os.kill(running.temporal_pid, signal.SIGSTOP)
    try:
        async with running.api() as http:
            item = await moved(http)
        meanwhile = await tasks(running, item)
    finally:
        os.kill(running.temporal_pid, signal.SIGCONT)

    await has_task(running, item)

    assert meanwhile == []


async def test_temporal_killed_is_started_again_and_nothing_is_lost(running: Installation) -> None:
    os.kill(running.temporal_pid, signal.SIGKILL)

    async with running.api() as http:
        item = await moved(http)

    await has_task(running, item)


async def test_a_port_in_use_is_said_with_the_settings_name(running: Installation) -> None:
    second = await running.start("cli.py", "dev")

    assert await second.wait() == 1
    assert f"Port {running.api_port} is in use" in running.output()
    assert "CUEBOOK_API_PORT" in running.output()


@on_one_database
async def test_what_waits_fires_though_temporals_database_was_deleted(
    installation: Installation,
) -> None:
    first = await installation.dev()
    async with installation.api() as http:
        item = await moved(http, {"kind": "after_delay", "amount": 8, "unit": "seconds"})

        async def told() -> bool:
            run = await the_run(installation, item)
            entry = await http.get(f"/v1/stage-entries/{run['stage_entry_id']}")
            return bool(entry.json()["told_version"])

        await until(told)
    await installation.end(first)
    (installation.home / "temporal.db").unlink()
    (installation.home / "temporal.db-wal").unlink(missing_ok=True)
    (installation.home / "temporal.db-shm").unlink(missing_ok=True)

    await installation.dev()

    await has_task(installation, item)


async def test_a_worker_killed_between_commit_and_answer_leaves_the_effect_exactly_once(
    installation: Installation,
) -> None:
    marker = installation.home / "committed"
    doomed = await installation.start(
        str(ROOT / "tests/reliability/paused_dev.py"), "dev", str(marker)
    )
    await installation.worker_of(doomed)
    async with installation.api() as http:
        item = await moved(http)

        async def committed() -> bool:
            return marker.exists()

        await until(committed)
    await installation.end(doomed, signal.SIGKILL)
    await installation.dev()

    workflow = (await the_run(installation, item))["workflow_id"]
    temporal = await Client.connect(f"127.0.0.1:{installation.temporal_port}")

    async def workflow_has_ended() -> bool:
        found = await temporal.get_workflow_handle(workflow).describe()
        return found.status is WorkflowExecutionStatus.COMPLETED

    await until(workflow_has_ended)

    assert len(await tasks(installation, item)) == 1


async def test_api_and_worker_run_apart_and_another_worker_takes_over_from_a_killed_one(
    postgres_database_url: str, tmp_path: Path, temporal: WorkflowEnvironment
) -> None:
    address = temporal.client.service_client.config.target_host
    async with installed(tmp_path / "home", postgres_database_url) as apart:
        apart.environment["CUEBOOK_TEMPORAL_ADDRESS"] = address
        assert await (await apart.start("cli.py", "migrate", "--sample")).wait() == 0
        token = await apart.said("cli.py", "token", "--email", "ada@example.com")
        (apart.home / "admin-token").write_text(token)
        api = await apart.start("cli.py", "api")
        intake = await apart.start("cli.py", "inbound-mail")
        first = await apart.start("worker.py")
        await apart.worker_of(first)
        async with apart.api() as http:
            before = await moved(http)
            await has_task(apart, before)
            await apart.end(first, signal.SIGKILL)
            between = await moved(http)
            second = await apart.start("cli.py", "worker")

            await has_task(apart, between)

        answer = await until(lambda: mail_sent(apart))
        assert answer.startswith("2.0.0 Made lead")
        assert await apart.end(intake, signal.SIGTERM) == 0
        assert await apart.end(second, signal.SIGTERM) == 0
        assert await apart.end(api, signal.SIGTERM) == 0
        assert len(await apart_tasks(postgres_database_url)) == 2


async def apart_tasks(url: str) -> list[Task]:
    database = Database(url)
    async with database.reading() as session:
        found = list(await session.scalars(select(Task).where(Task.title == "Call Roof")))
    await database.close()
    return found


@pytest.mark.parametrize("service", ["api", "worker", "inbound-mail"])
async def test_sqlite_is_refused_where_api_and_worker_would_be_apart(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'cuebook.db'}"
    monkeypatch.setenv(variable("database_url"), url)

    with pytest.raises(NotOnSqlite, match="must share one process"):
        await cuebook(service)


async def test_who_is_refused_says_so_in_a_line_and_ends(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'cuebook.db'}"
    async with installed(tmp_path / "home", url) as installation:
        worker = await installation.start("cli.py", "worker")
        alone = await installation.start("worker.py")

        assert [await each.wait() for each in (worker, alone)] == [1, 1]
        assert installation.output().count("must share one process") == 2
