"""The worker is killed at the one moment at which nobody can know whether a mail has arrived."""

import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.testing import WorkflowEnvironment

from tests.fixtures.mail import MailServer
from tests.fixtures.processes import Installation, installed, until

pytestmark = pytest.mark.timeout(120)


def sends_through(server: MailServer, installation: Installation) -> None:
    """Let an installation send its mail for real, to a server that takes it and says nothing."""
    installation.environment |= {
        "CUEBOOK_SMTP_URL": server.url,
        "CUEBOOK_MAIL_FROM": "crm@firm.example",
        "CUEBOOK_DELIVERY_SECONDS": "3",
    }
    server.answers.clear()


async def posted(http: httpx2.AsyncClient, path: str, body: object) -> Any:
    answer = await http.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def won(installation: Installation) -> int:
    """Win a deal whose stage thanks the client by mail; return the deal's id."""
    async with installation.api() as http:
        pipeline = await posted(http, "/v1/pipelines", {"name": "Test", "item_type": "deal"})
        new = await posted(http, "/v1/stages", {"pipeline_id": pipeline["id"], "name": "New"})
        done = await posted(http, "/v1/stages", {"pipeline_id": pipeline["id"], "name": "Won"})
        rule = {
            "title": "Thank",
            "action": "send_email",
            "params": {"subject": "Thank you", "text": "It was a pleasure."},
            "timing": {"kind": "at_once"},
        }
        await posted(http, f"/v1/stages/{done['id']}/rules", rule)
        client = {"first_name": "Clara", "emails": ["clara@client.example"]}
        contact = await posted(http, "/v1/contacts", client)
        deal = {"title": "Roof", "stage_id": new["id"], "contact_id": contact["id"]}
        item = await posted(http, "/v1/deals", deal)
        await posted(http, f"/v1/items/{item['id']}/move", {"stage_id": done["id"]})
        return int(item["id"])


async def the_one(installation: Installation, path: str) -> Any:
    async with installation.api() as http:
        [found] = (await http.get(path)).json()["items"]
    return found


async def becomes(installation: Installation, item: int, state: str) -> Any:
    """Wait until the run of an item is in that state, and return it."""

    async def it_is() -> Any:
        run = await the_one(installation, f"/v1/items/{item}/runs")
        return run if run["state"] == state else None

    return await until(it_is)


async def test_a_mail_that_was_taken_as_the_worker_was_killed_comes_once_more_with_the_same_id(
    sqlite_database_url: str, tmp_path: Path, mail_server: MailServer
) -> None:
    async with installed(tmp_path / "home", sqlite_database_url) as installation:
        sends_through(mail_server, installation)
        doomed = await installation.dev()
        item = await won(installation)
        await mail_server.has(1)
        await installation.end(doomed, signal.SIGKILL)
        mail_server.answers.set()

        await installation.dev()

        run = await becomes(installation, item, "done")
        delivery = await the_one(installation, f"/v1/deliveries?item_id={item}")
        [line] = await told(installation, item)
    first, second = mail_server.arrived
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert run["outcome"].endswith("Sent to clara@client.example.")
    assert (delivery["state"], delivery["tries"]) == ("sent", 2)
    assert delivery["uncertain_at"] is not None
    assert line.endswith("the worker that was sending it has died. It is sent again.")


async def test_a_mail_that_was_taken_as_the_worker_was_killed_is_held_until_somebody_settles_it(
    postgres_database_url: str,
    tmp_path: Path,
    temporal: WorkflowEnvironment,
    mail_server: MailServer,
) -> None:
    async with installed(tmp_path / "home", postgres_database_url) as apart:
        sends_through(mail_server, apart)
        apart.environment |= {
            "CUEBOOK_UNCERTAIN_EMAILS": "hold",
            "CUEBOOK_TEMPORAL_ADDRESS": temporal.client.service_client.config.target_host,
        }
        assert await (await apart.start("cli.py", "migrate", "--sample")).wait() == 0
        await apart.start("cli.py", "api")
        token = await apart.said("cli.py", "token", "--email", "ada@example.com")
        (apart.home / "admin-token").write_text(token)
        doomed = await apart.start("worker.py")
        await apart.worker_of(doomed)
        item = await won(apart)
        await mail_server.has(1)
        await apart.end(doomed, signal.SIGKILL)
        mail_server.answers.set()
        await apart.start("worker.py")

        held = await becomes(apart, item, "held")
        delivery = await the_one(apart, f"/v1/deliveries?item_id={item}&state=uncertain")
        sent_by_then = len(mail_server.arrived)
        async with apart.api() as http:
            await posted(http, f"/v1/deliveries/{delivery['id']}/settle", {"arrived": False})

        await becomes(apart, item, "done")
        assert held["waits_for"] == "somebody: nobody knows whether it has arrived"
        assert sent_by_then == 1
        first, second = mail_server.arrived
        assert first.message["Message-ID"] == second.message["Message-ID"]


async def told(installation: Installation, item: int) -> list[str]:
    async with installation.api() as http:
        lines = (await http.get(f"/v1/items/{item}/history")).json()["items"]
    return [line["text"] for line in lines if line["kind"] == "delivery"]
