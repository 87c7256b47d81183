"""The worker is killed at the one moment at which nobody can know whether a mail has arrived."""

import signal
from typing import Any

import httpx2
import pytest
from temporalio.testing import WorkflowEnvironment

from models.api_token import make_token
from models.database import Database
from models.user import User
from tests.fixtures.database import on_one_database, on_postgres
from tests.fixtures.mail import MailServer
from tests.fixtures.processes import Installation, until

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


@on_one_database
async def test_a_mail_that_was_taken_as_the_worker_was_killed_comes_once_more_with_the_same_id(
    mail_server: MailServer, installation: Installation
) -> None:
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


@on_postgres
async def test_a_mail_that_was_taken_as_the_worker_was_killed_is_held_until_somebody_settles_it(
    mail_server: MailServer,
    installation: Installation,
    database: Database,
    admin: User,
    temporal: WorkflowEnvironment,
) -> None:
    sends_through(mail_server, installation)
    installation.environment |= {
        "CUEBOOK_UNCERTAIN_EMAILS": "hold",
        "CUEBOOK_TEMPORAL_ADDRESS": temporal.client.service_client.config.target_host,
    }
    async with database.transaction() as session:
        token = make_token(session, admin, "tests")
    (installation.home / "admin-token").write_text(token)
    await installation.start("cli.py", "api")
    doomed = await installation.start("worker.py")
    await installation.worker_of(doomed)
    item = await won(installation)
    await mail_server.has(1)
    await installation.end(doomed, signal.SIGKILL)
    mail_server.answers.set()
    await installation.start("worker.py")

    held = await becomes(installation, item, "held")
    delivery = await the_one(installation, f"/v1/deliveries?item_id={item}&state=uncertain")
    sent_by_then = len(mail_server.arrived)
    async with installation.api() as http:
        await posted(http, f"/v1/deliveries/{delivery['id']}/settle", {"arrived": False})

    await becomes(installation, item, "done")
    assert held["waits_for"] == "somebody: nobody knows whether it has arrived"
    assert sent_by_then == 1
    first, second = mail_server.arrived
    assert first.message["Message-ID"] == second.message["Message-ID"]


async def told(installation: Installation, item: int) -> list[str]:
    async with installation.api() as http:
        lines = (await http.get(f"/v1/items/{item}/history")).json()["items"]
    return [line["text"] for line in lines if line["kind"] == "delivery"]
