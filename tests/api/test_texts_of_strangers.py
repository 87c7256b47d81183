"""Texts of strangers over HTTP: what nobody can see is left out; names of ours never have any."""

from typing import Any

import httpx2
import pytest

from tests.fixtures.api import SmallCompany

HIDDEN = "\u202e\u0007\x1b\u2066\x85"


@pytest.fixture
async def api(api: httpx2.AsyncClient, company: SmallCompany) -> httpx2.AsyncClient:
    """The API of a company with a pipeline for leads."""
    pipeline = {"name": "Leads", "item_type": "lead", "stages": [{"name": "New"}]}
    company.made(await api.post("/v1/pipelines", json=pipeline))
    return api


@pytest.mark.parametrize(
    ("kind", "written", "seen"),
    [
        (
            "calls",
            {
                "id": "8\n15",
                "phone": "030\t1234567",
                "line": "Ber\u202elin\n",
                "recording_url": "x\x07",
            },
            {"direction": "incoming", "line": "Berlin", "recording_url": "x"},
        ),
        (
            "messages",
            {
                "id": "42\u202e",
                "channel": "S\x07MS",
                "handle": "@an\x1bna",
                "name": "An\nna",
                "text": "\x07One\r\ntwo\rthree\tfour\u202e",
            },
            {"channel": "SMS", "handle": "@anna", "text": "One\ntwo\nthree\tfour"},
        ),
        (
            "forms",
            {
                "key": "\x07f3",
                "form": "con\ntact",
                "name": "\u202eevil\u0007 \x1b[31m",
                "phones": ["030\n1234567"],
                "emails": ["an\u2066na@berg.example"],
                "company": "Berg\nGmbH",
                "comments": "One\u202e\r\ntwo",
                "source": "\x07Web",
                "utm": {"sou\nrce": "news\x07"},
                "pages": ["/\u202ea"],
                "custom": {"contract_no": "A\x071"},
            },
            {
                "form": "con tact",
                "name": "evil [31m",
                "phones": ["030 1234567"],
                "emails": ["anna@berg.example"],
                "company": "Berg GmbH",
                "comments": "One\ntwo",
                "utm": {"sou rce": "news"},
                "pages": ["/a"],
                "custom": {"contract_no": "A1"},
            },
        ),
    ],
    ids=["call", "message", "form"],
)
async def test_what_nobody_can_see_is_not_kept(
    api: httpx2.AsyncClient, kind: str, written: dict[str, Any], seen: dict[str, Any]
) -> None:
    field = {"item_type": "lead", "name": "contract_no", "title": "Contract", "kind": "text"}
    await api.post("/v1/field-definitions", json=field)

    answer = await api.post(f"/v1/inbound/{kind}", json=written)

    assert answer.status_code == 201, answer.text
    read = (await api.get(f"/v1/inbound/{answer.json()['inbound_id']}")).json()
    lead = (await api.get(f"/v1/leads/{answer.json()['lead_id']}")).json()
    told = [read["key"], read["sender"], read["subject"], lead["title"], lead["source"]]
    assert {name: read["content"][name] for name in seen} == seen
    assert not [each for each in told if any(hidden in each for hidden in f"{HIDDEN}\n")]


@pytest.mark.parametrize(
    ("kind", "sent", "field"),
    [
        ("calls", {"id": "\u202e\x07"}, "/id"),
        ("messages", {"id": "1", "channel": "SMS", "phone": "\x07", "text": "Hello"}, ""),
        ("messages", {"id": "1", "channel": "SMS", "phone": "1", "text": "\x07\u202e"}, "/text"),
        ("forms", {"key": "1", "form": "\x1b"}, "/form"),
    ],
)
async def test_where_nothing_can_be_seen_nothing_was_sent(
    api: httpx2.AsyncClient, kind: str, sent: dict[str, Any], field: str
) -> None:
    answer = await api.post(f"/v1/inbound/{kind}", json=sent)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("path", "sent", "field"),
    [
        ("/v1/stages/{stage}/triggers", {"type": "booking_made", "name": "A\x1bb"}, "/name"),
        ("/v1/stages/{stage}/rules", {"title": "A\x80b", "action": "wait"}, "/title"),
        ("/v1/deals", {"title": "A\x07b"}, "/title"),
    ],
    ids=["trigger", "rule", "deal"],
)
async def test_a_name_is_one_line_of_what_can_be_seen(
    api: httpx2.AsyncClient, path: str, sent: dict[str, Any], field: str
) -> None:
    stage = (await api.get("/v1/stages")).json()["items"][0]["id"]

    answer = await api.post(path.format(stage=stage), json=sent)

    assert answer.status_code == 422
    [error] = [each for each in answer.json()["errors"] if each["field"] == field]
    assert error["reason"].endswith(" in it: a name is one line of what can be seen")


async def test_a_name_copied_from_elsewhere_is_kept_in_one_line(api: httpx2.AsyncClient) -> None:
    answer = await api.post(
        "/v1/contacts", json={"first_name": "\u202bאנה\u202c", "last_name": "Berg\n\tRoof"}
    )

    assert answer.status_code == 201
    assert (answer.json()["first_name"], answer.json()["last_name"]) == ("אנה", "Berg Roof")


async def test_spaces_around_a_name_and_letters_of_every_script_are_no_matter(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.post("/v1/contacts", json={"first_name": "\n אנה\u200f 👩\u200d🔧 \t"})

    assert answer.status_code == 201
    assert answer.json()["first_name"] == "אנה\u200f 👩\u200d🔧"


@pytest.mark.parametrize(
    ("key", "kind"),
    [("k1", "call"), ("SMS:k1", "message"), ("Contact : k1", "form"), ("k" * 500, "call")],
)
async def test_what_came_in_is_found_by_its_id(
    api: httpx2.AsyncClient, key: str, kind: str
) -> None:
    call, phone = key.rpartition(":")[2].strip(), "030 1234567"
    await api.post("/v1/inbound/calls", json={"id": call, "phone": phone})
    text = {"id": "k1", "channel": "sms", "phone": phone, "text": "Hello"}
    await api.post("/v1/inbound/messages", json=text)
    await api.post("/v1/inbound/forms", json={"key": "k1", "form": "contact"})

    found = (await api.get("/v1/inbound", params={"key": key})).json()["items"]

    assert [each["kind"] for each in found] == [kind]


@pytest.mark.parametrize(
    "address",
    ["030 1234567", "tel:+49-30-1234567", "sip:+49301234567@pbx.example", "TELEGRAM:@Otto"],
)
async def test_a_message_is_found_by_the_phone_and_by_the_handle_of_who_wrote_it(
    api: httpx2.AsyncClient, address: str
) -> None:
    sent = {"id": "1", "channel": "Telegram", "phone": "+49 30 1234567", "text": "Hello"}
    first = await api.post("/v1/inbound/messages", json=sent | {"handle": "@otto"})
    await api.post("/v1/inbound/messages", json=sent | {"id": "2", "phone": "030 7654321"})

    found = (await api.get("/v1/inbound", params={"address": address})).json()["items"]

    assert [each["id"] for each in found] == [first.json()["inbound_id"]]
