"""Who gets in touch: clients, people whom nobody knows yet, and those whom nobody wants to hear."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiosmtplib
import pytest

from inbound_mail import Listener, taking_mail
from models.settings import Settings
from tests.fixtures.mail import MailServer
from tests.fixtures.world import World

PARTNER = "pat@partner.example"
A_DAY = timedelta(days=1)
THREE_DAYS = {"until": {"amount": 3, "unit": "days"}}
NO_ANSWER = {"field": "wait.ended_by", "operator": "=", "value": "time"}


@pytest.fixture
def settings(mail_server: MailServer) -> Settings:
    """Mail leaves, through the server of the test, and comes in at a port of its own."""
    return Settings(public_url="http://crm.example", inbound_mail_port=0, **mail_server.settings)


@pytest.fixture
async def firm(world: World) -> World:
    """A firm with pipelines for leads and for deals."""
    world.stages = await world.pipeline("Leads", "Incoming", "Junk", item_type="lead")
    world.stages |= await world.pipeline("Sales", "New", "Offer sent")
    return world


@pytest.fixture
async def listener(world: World, settings: Settings) -> AsyncIterator[Listener]:
    """Where the mail server of the firm passes on what arrives."""
    async with taking_mail(world.database, settings) as made:
        yield made


def a_mail(sender: str, message_id: str, headers: dict[str, str]) -> bytes:
    head = {"From": sender, "Subject": "The roof", "Message-ID": message_id} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"{lines}\r\nHello\r\n".encode()


async def mail(firm: World, sender: str, message_id: str, **headers: str) -> Any:
    """Hand in a mail of somebody over HTTP; return what came of it."""
    content = a_mail(sender, message_id, headers)
    answer = await firm.http.post("/v1/inbound/emails", content=content)
    assert answer.is_success, answer.text
    await firm.settle()
    return answer.json()


async def mail_by_smtp(firm: World, listener: Listener, sender: str, message_id: str) -> str:
    """Pass on a mail of somebody as mail servers do; return what they are answered."""
    server = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=listener.port, use_tls=False, start_tls=False
    )
    async with server:
        content = a_mail(sender, message_id, {})
        _, answer = await server.sendmail(sender, ["crm@firm.example"], content)
    await firm.settle()
    return answer


async def rows(firm: World, path: str) -> list[Any]:
    found: list[Any] = (await firm.get(path))["items"]
    return found


async def test_spam_does_not_come_again_until_its_sender_is_taken_off_the_list(
    firm: World,
) -> None:
    await firm.rule(firm.stages["Junk"], "add_to_exclusions")
    form = {"form": "contact", "emails": ["Sam@Prizes.example"], "phones": ["020 7946-0958"]}
    spam = await firm.post("/v1/inbound/forms", form | {"key": "1"})

    await firm.move(spam["lead_id"], firm.stages["Junk"])
    mailed = await mail(firm, "Sam <sam@prizes.EXAMPLE>", "<1@prizes.example>")
    called = await firm.post("/v1/inbound/calls", {"id": "1", "phone": "0049 (20) 79460958"})
    filled_in = await firm.post("/v1/inbound/forms", form | {"key": "2"})

    assert [mailed["outcome"], called["outcome"]] == ["excluded", "excluded"]
    assert filled_in["outcome"] == "lead"
    assert len(await rows(firm, "/v1/inbound")) == 2
    assert [lead["id"] for lead in await rows(firm, "/v1/leads")] == [filled_in["lead_id"]]

    [listed] = await rows(firm, "/v1/exclusions?kind=email")
    await firm.delete(f"/v1/exclusions/{listed['id']}")
    next_mail = await mail(firm, "sam@prizes.example", "<2@prizes.example>")

    assert (next_mail["outcome"], next_mail["item_ids"]) == ("noted", filled_in["item_ids"])


async def deal_of_pat(firm: World) -> Any:
    contact = await firm.post("/v1/contacts", {"first_name": "Pat", "emails": [PARTNER]})
    return await firm.post(
        "/v1/deals",
        {"title": "Roof", "contact_id": contact["id"], "stage_id": firm.stages["New"]},
    )


async def write_to_pat(firm: World, mail_server: MailServer) -> tuple[Any, str]:
    """Let a rule write to a partner; return the deal, and the Message-ID that has arrived."""
    offer = {"subject": "Our offer", "text": "Dear {{ contact.first_name }}, here it is."}
    await firm.rule(firm.stages["Offer sent"], "send_email", params=offer)
    deal = await deal_of_pat(firm)
    await firm.move(deal["id"], firm.stages["Offer sent"])
    [arrived] = mail_server.arrived
    return deal, arrived.message["Message-ID"]


async def test_a_partner_on_the_list_is_not_recorded_but_still_written_to(
    firm: World, mail_server: MailServer, listener: Listener
) -> None:
    await firm.post(
        "/v1/exclusions", {"kind": "email", "value": PARTNER.upper(), "comment": "Writes a lot"}
    )

    deal, _ = await write_to_pat(firm, mail_server)
    answer = await mail_by_smtp(firm, listener, PARTNER, "<1@partner.example>")

    assert [arrived.recipients for arrived in mail_server.arrived] == [[PARTNER]]
    assert answer == "2.0.0 The sender is on the exceptions list: nothing of it was kept."
    assert await rows(firm, "/v1/inbound") == []
    [noted] = await rows(firm, f"/v1/crm-activities?item_id={deal['id']}")
    assert noted["direction"] == "outgoing"


async def test_a_reply_is_recorded_with_its_deal_even_from_the_list(
    firm: World, mail_server: MailServer
) -> None:
    await firm.post("/v1/exclusions", {"kind": "email", "value": PARTNER})
    deal, message_id = await write_to_pat(firm, mail_server)
    await deal_of_pat(firm)

    received = await mail(firm, PARTNER, "<1@partner.example>", **{"In-Reply-To": message_id})

    assert (received["outcome"], received["item_ids"]) == ("noted", [deal["id"]])
    timeline = await rows(firm, f"/v1/items/{deal['id']}/timeline")
    noted = {each["title"] for each in timeline if each["kind"] == "crm activity"}
    assert noted == {"Our offer", "The roof"}


async def test_somebody_new_becomes_a_lead_and_the_rules_of_its_stage_run(
    firm: World, listener: Listener
) -> None:
    await firm.rule(
        firm.stages["Incoming"],
        "create_task",
        params={
            "title": "Answer {{ lead.first_name }}",
            "responsible": {"by": "user", "id": firm.admin.id},
        },
    )

    answer = await mail_by_smtp(firm, listener, "Ida Hill <ida@hill.example>", "<1@hill.example>")

    [lead] = await rows(firm, "/v1/leads")
    assert answer == f"2.0.0 Made lead {lead['id']} of somebody who was unknown."
    assert (lead["title"], lead["first_name"], lead["emails"]) == (
        "The roof",
        "Ida",
        ["ida@hill.example"],
    )
    assert lead["stage_id"] == firm.stages["Incoming"]
    [task] = await rows(firm, f"/v1/tasks?item_id={lead['id']}")
    assert task["title"] == "Answer Ida"
    [entry] = await rows(firm, f"/v1/stage-entries?item_id={lead['id']}")
    assert entry["cause"] == "client"


async def test_a_reply_ends_the_wait_and_nobody_is_reminded(firm: World) -> None:
    new = firm.stages["New"]
    await firm.rule(new, "wait", params=THREE_DAYS)
    reminder = {"title": "Ask again"}
    await firm.rule(new, "create_task", params=reminder, conditions=NO_ANSWER, after_previous=True)
    deal = await deal_of_pat(firm)
    await firm.advance(A_DAY)
    before = [run["state"] for run in await firm.runs(deal["id"])]

    await mail(firm, PARTNER, "<0@partner.example>", **{"Auto-Submitted": "auto-replied"})
    away = [run["state"] for run in await firm.runs(deal["id"])]
    await mail(firm, PARTNER, "<1@partner.example>")

    assert before == away == ["in progress", "waiting"]
    wait, reminded = await firm.runs(deal["id"])
    assert (wait["state"], wait["outcome"]) == ("done", "The client has been in touch.")
    assert (reminded["state"], reminded["outcome"]) == (
        "skipped",
        "wait.ended_by is client, needed = time",
    )


async def test_a_call_moves_the_deal_of_the_caller(firm: World) -> None:
    await firm.post(
        f"/v1/stages/{firm.stages['Offer sent']}/triggers",
        {"type": "incoming_call", "settings": {}},
    )
    contact = await firm.post("/v1/contacts", {"phones": ["030 1234567"]})
    deal = await firm.post(
        "/v1/deals",
        {"title": "Roof", "contact_id": contact["id"], "stage_id": firm.stages["New"]},
    )

    await firm.post("/v1/inbound/calls", {"id": "1", "phone": "+49 30 123 45 67"})

    moved = await firm.get(f"/v1/deals/{deal['id']}")
    assert moved["stage_id"] == firm.stages["Offer sent"]


async def test_a_lead_of_a_form_begins_where_a_trigger_waits_for_that_form(firm: World) -> None:
    waits = {"type": "form_submitted", "settings": {"form": "prize draw"}}
    await firm.post(f"/v1/stages/{firm.stages['Junk']}/triggers", waits)
    await firm.rule(firm.stages["Incoming"], "create_task", params={"title": "Call back"})

    drawn, asked = [
        await firm.post("/v1/inbound/forms", {"form": form, "key": form, "name": "Ann"})
        for form in ("prize draw", "contact")
    ]
    await firm.settle()

    leads = {lead["id"]: lead["stage_id"] for lead in await rows(firm, "/v1/leads")}
    assert leads[drawn["lead_id"]] == firm.stages["Junk"]
    assert leads[asked["lead_id"]] == firm.stages["Incoming"]
    tasks = await rows(firm, "/v1/tasks")
    assert [task["item_id"] for task in tasks] == [asked["lead_id"]]
