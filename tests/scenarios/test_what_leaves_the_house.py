"""What leaves the house: thanks with the contract attached, and the news for another program.

The mail server may be down, and may refuse.
"""

import hmac
from base64 import b64decode
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from models.settings import Settings
from tests.fixtures.docx import docx_of
from tests.fixtures.hooks import HERE, Receiver, said
from tests.fixtures.mail import Mail, MailServer
from tests.fixtures.world import World

CLARA = "clara@client.example"
SECRET = "just between the two of us"
THANKS = {"subject": "Thank you", "text": "Dear {{ contact.first_name }}, it was a pleasure."}


@pytest.fixture
def settings(mail_server: MailServer) -> Settings:
    """Mail leaves, through the server of the test, and webhooks may reach this computer."""
    return Settings(
        public_url="http://crm.example", webhooks_may_reach=HERE, **mail_server.settings
    )


@pytest.fixture
async def firm(world: World) -> World:
    """A firm with a pipeline whose last stage is won."""
    world.stages = await world.pipeline("Sales", "New", "Won")
    return world


async def deal_of_clara(firm: World, **more: Any) -> Any:
    client = {"first_name": "Clara", "last_name": "Vogt", "emails": [CLARA]}
    contact = await firm.post("/v1/contacts", client)
    deal = {"title": "Roof", "stage_id": firm.stages["New"], "contact_id": contact["id"]}
    return await firm.post("/v1/deals", deal | more)


async def only(firm: World, path: str) -> Any:
    [row] = (await firm.get(path))["items"]
    return row


async def outcomes(firm: World, item_id: int) -> dict[str, tuple[str, str]]:
    """Return state and outcome of each run of an item, by the title of its rule."""
    return {run["title"]: (run["state"], run["outcome"]) for run in await firm.runs(item_id)}


async def test_a_won_deal_thanks_its_client_with_the_contract_attached(
    firm: World, mail_server: MailServer
) -> None:
    template = await uploaded(
        firm, "Contract {{ document.number }}: {{ deal.title }} for {{ contact.name }}"
    )
    won = firm.stages["Won"]
    document = {"template": template["id"], "title": "Contract"}
    await firm.rule(won, "create_document", params=document, title="Contract")
    mail = THANKS | {"attachments": [template["id"]]}
    await firm.rule(won, "send_email", params=mail, title="Thank")
    deal = await deal_of_clara(firm)

    await firm.move(deal["id"], won)

    [arrived] = mail_server.arrived
    sent = await only(firm, f"/v1/deliveries?item_id={deal['id']}&kind=email")
    noted = await only(firm, f"/v1/crm-activities?item_id={deal['id']}")
    assert arrived.recipients == [CLARA]
    assert arrived.message["Subject"] == "Thank you"
    assert "Dear Clara, it was a pleasure." in arrived.text
    assert text_of_pdf(arrived) == "Contract C-0001: Roof for Clara Vogt"
    assert (sent["state"], sent["crm_activity_id"]) == ("sent", noted["id"])
    assert (noted["kind"], noted["completed_at"] is not None) == ("email", True)
    assert (await outcomes(firm, deal["id"]))["Thank"] == (
        "done",
        f"E-mail «Thank you» to {CLARA}. Sent to {CLARA}.",
    )


async def uploaded(firm: World, text: str) -> Any:
    answer = await firm.http.post(
        "/v1/document-templates",
        params={"name": "Contract", "item_type": "deal", "number_format": "C-{number:04}"},
        content=docx_of(text),
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def text_of_pdf(mail: Mail) -> str:
    [attachment] = mail.message.iter_attachments()
    assert attachment.get_content_type() == "application/pdf"
    [page] = PdfReader(BytesIO(attachment.get_content())).pages
    return " ".join(page.extract_text().split())


async def test_the_mail_server_is_down_for_an_hour(firm: World, mail_server: MailServer) -> None:
    won = firm.stages["Won"]
    soon = {"kind": "after_delay", "amount": 10, "unit": "minutes"}
    await firm.rule(won, "send_email", params=THANKS, title="Thank")
    await firm.rule(won, "create_task", params={"title": "Call"}, title="Now")
    await firm.rule(won, "create_task", params={"title": "Call"}, title="Soon", timing=soon)
    deal = await deal_of_clara(firm)
    await mail_server.stop()

    await firm.move(deal["id"], won)
    at_once = {run["title"]: run["state"] for run in await firm.runs(deal["id"])}
    await firm.advance(timedelta(hours=1))
    after_an_hour = {run["title"]: run["state"] for run in await firm.runs(deal["id"])}
    waiting = await only(firm, f"/v1/deliveries?item_id={deal['id']}")
    await mail_server.start()
    await firm.advance(timedelta(hours=1))

    assert at_once == {"Thank": "retrying", "Now": "done", "Soon": "waiting"}
    assert after_an_hour == {"Thank": "retrying", "Now": "done", "Soon": "done"}
    assert (waiting["state"], waiting["tries"]) == ("waiting", 6)
    assert waiting["error"].startswith("The mail server cannot be reached")
    assert [mail.recipients for mail in mail_server.arrived] == [[CLARA]]
    assert (await outcomes(firm, deal["id"]))["Thank"][0] == "done"


async def test_the_address_is_refused_until_somebody_mends_it(
    firm: World, mail_server: MailServer
) -> None:
    won = firm.stages["Won"]
    await firm.rule(won, "send_email", params=THANKS)
    deal = await deal_of_clara(firm)
    mail_server.refused[CLARA] = "550 5.1.1 No such user here"

    await firm.move(deal["id"], won)
    [failed] = await firm.runs(deal["id"])
    right = {"emails": ["vogt@client.example"]}
    await firm.patch(f"/v1/contacts/{deal['contact_id']}", right)
    await firm.post(f"/v1/runs/{failed['id']}/retry")
    await firm.settle()

    [done] = await firm.runs(deal["id"])
    assert failed["state"] == "failed"
    assert failed["outcome"] == (
        f"E-mail «Thank you» to {CLARA}. {CLARA} refused it: 550 5.1.1 No such user here"
    )
    assert done["state"] == "done"
    assert [mail.recipients for mail in mail_server.arrived] == [["vogt@client.example"]]


async def test_a_program_is_told_once_of_each_deal_and_knows_that_it_was_us(
    firm: World, receiver: Receiver
) -> None:
    won = firm.stages["Won"]
    hook = {"url": receiver.url("/deals/{{ deal.id }}"), "secret": SECRET}
    await firm.rule(won, "call_webhook", params=hook)
    roof, mill = await deal_of_clara(firm), await deal_of_clara(firm, title="Mill")

    await firm.move(roof["id"], won)
    await firm.move(mill["id"], won)

    first, second = receiver.asked
    assert [each.json["data"]["item"]["title"] for each in receiver.asked] == ["Roof", "Mill"]
    assert first.line == f"POST /deals/{roof['id']} HTTP/1.1"
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert [is_ours(each.headers, each.body) for each in receiver.asked] == [True, True]
    assert not is_ours(first.headers, second.body)


async def test_a_program_that_is_busy_is_told_again_under_the_same_id(
    firm: World, receiver: Receiver
) -> None:
    won = firm.stages["Won"]
    await firm.rule(won, "call_webhook", params={"url": receiver.url(), "secret": SECRET})
    receiver.answers.append(said("503 Service Unavailable"))
    deal = await deal_of_clara(firm)

    await firm.move(deal["id"], won)
    await firm.advance(timedelta(minutes=1))

    first, second = receiver.asked
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert is_ours(second.headers, second.body)
    [run] = await firm.runs(deal["id"])
    assert run["state"] == "done"


def is_ours(headers: dict[str, str], body: bytes) -> bool:
    """Verify a signature as the receivers of Standard Webhooks do."""
    said_by_them = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    version, _, signature = headers["webhook-signature"].partition(",")
    right = hmac.new(SECRET.encode(), said_by_them, sha256).digest()
    return version == "v1" and hmac.compare_digest(b64decode(signature), right)
