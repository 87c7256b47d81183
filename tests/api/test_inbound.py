"""Incoming contacts over HTTP: what is handed in, what is answered, and who sees it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from models.settings import Settings
from models.user import Role, User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

MAIL = b"From: Anna Berg <anna@berg.example>\r\nSubject: Roof\r\nMessage-ID: <1@b>\r\n\r\nHello\r\n"
CALL = {"id": "815", "phone": "030 1234567", "started_at": "2021-08-04T09:00:00Z", "seconds": 90}
MESSAGE = {"id": "42", "channel": "SMS", "phone": "030 1234567", "text": "Call me back"}
FORM = {"key": "f3b1", "form": "contact", "name": "Anna Berg", "emails": ["anna@berg.example"]}


@pytest.fixture
async def api(api: httpx2.AsyncClient, company: SmallCompany) -> httpx2.AsyncClient:
    """The API of a company with a pipeline for leads."""
    pipeline = {"name": "Leads", "item_type": "lead", "stages": [{"name": "New"}]}
    company.made(await api.post("/v1/pipelines", json=pipeline))
    return api


async def hand_in(api: httpx2.AsyncClient, kind: str, body: bytes | dict[str, Any]) -> Any:
    sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    return await api.post(f"/v1/inbound/{kind}", **sent)


each_kind = pytest.mark.parametrize(
    ("kind", "body"),
    [("emails", MAIL), ("calls", CALL), ("messages", MESSAGE), ("forms", FORM)],
    ids=["email", "call", "message", "form"],
)


@each_kind
async def test_what_comes_in_is_stored_once_and_answered_alike(
    api: httpx2.AsyncClient, kind: str, body: bytes | dict[str, Any]
) -> None:
    first = await hand_in(api, kind, body)
    again = await hand_in(api, kind, body)

    [lead] = (await api.get("/v1/leads")).json()["items"]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["outcome"] == "lead"
    assert first.json()["sentence"] == f"Made lead {lead['id']} of somebody who was unknown."
    assert first.json()["lead_id"] == lead["id"]
    assert again.json() == first.json() | {"repeated": True}


@each_kind
async def test_what_came_in_can_be_read(
    api: httpx2.AsyncClient, admin: User, kind: str, body: bytes | dict[str, Any]
) -> None:
    answer = (await hand_in(api, kind, body)).json()

    [listed] = (await api.get("/v1/inbound", params={"outcome": "lead"})).json()["items"]
    read = (await api.get(f"/v1/inbound/{answer['inbound_id']}")).json()
    noted = (await api.get(f"/v1/crm-activities?inbound_id={answer['inbound_id']}")).json()
    assert listed == read
    assert read["kind"] == kind.removesuffix("s")
    assert (read["lead_id"], read["item_id"]) == (answer["lead_id"], answer["lead_id"])
    assert (read["creator_id"], read["reason"]) == (admin.id, answer["sentence"])
    assert [each["id"] for each in noted["items"]] == answer["crm_activity_ids"]


async def test_a_mail_is_kept_as_it_arrived(api: httpx2.AsyncClient) -> None:
    inbound_id = (await hand_in(api, "emails", MAIL)).json()["inbound_id"]

    raw = await api.get(f"/v1/inbound/{inbound_id}/raw")

    assert raw.content == MAIL
    assert raw.headers["content-type"] == "message/rfc822"
    assert raw.headers["content-disposition"] == 'attachment; filename="Roof.eml"'
    assert raw.headers["x-content-type-options"] == "nosniff"


async def test_of_a_call_there_is_no_message_to_show(api: httpx2.AsyncClient) -> None:
    inbound_id = (await hand_in(api, "calls", CALL)).json()["inbound_id"]

    raw = await api.get(f"/v1/inbound/{inbound_id}/raw")

    assert raw.status_code == 404
    assert raw.json()["detail"] == (
        f"Inbound call {inbound_id} was no mail: there is no message to show."
    )


async def test_of_an_excluded_sender_nothing_is_kept_and_the_answer_says_so(
    api: httpx2.AsyncClient,
) -> None:
    await api.post("/v1/exclusions", json={"kind": "domain", "value": "berg.example"})

    answer = await hand_in(api, "emails", MAIL)

    assert answer.status_code == 200
    assert answer.json() == {
        "outcome": "excluded",
        "sentence": "The sender is on the exceptions list: nothing of it was kept.",
        "repeated": False,
        "inbound_id": None,
        "lead_id": None,
        "item_ids": [],
        "crm_activity_ids": [],
        "contact_id": None,
        "company_id": None,
    }
    assert (await api.get("/v1/inbound")).json()["items"] == []


async def test_a_clients_mail_without_anything_open_stands_on_the_contact(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    contact = company.made(
        await api.post("/v1/contacts", json={"first_name": "Anna", "emails": ["Anna@Berg.example"]})
    )

    answer = (await hand_in(api, "emails", MAIL)).json()

    [noted] = (await api.get(f"/v1/crm-activities?contact_id={contact['id']}")).json()["items"]
    assert (answer["outcome"], answer["contact_id"]) == ("noted", contact["id"])
    assert (answer["item_ids"], answer["crm_activity_ids"]) == ([], [noted["id"]])
    assert noted["item_id"] is None
    changed = await api.patch(f"/v1/crm-activities/{noted['id']}", json={"important": True})
    assert changed.json()["important"] is True
    reopened = await api.post(f"/v1/crm-activities/{noted['id']}/reopen")
    assert reopened.status_code == 409
    assert (await api.delete(f"/v1/crm-activities/{noted['id']}")).status_code == 204


async def test_a_call_that_is_of_no_item_is_never_planned(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    company.made(await api.post("/v1/contacts", json={"phones": ["030 1234567"]}))
    [noted_id] = (await hand_in(api, "calls", CALL)).json()["crm_activity_ids"]

    reopened = await api.post(f"/v1/crm-activities/{noted_id}/reopen")
    reminded = await api.patch(f"/v1/crm-activities/{noted_id}", json={"reminders": [5]})

    assert reopened.json()["detail"] == (
        f"Call {noted_id} is of no item, and nothing is planned without one."
    )
    assert reminded.json()["reminders"] == [5]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"contact_id": None}, "/contact_id"),
        ({"contact_id": None, "company_id": None}, "/contact_id"),
        ({"contact_id": None, "starts_at": "2021-08-02T08:00:00Z"}, "/contact_id"),
    ],
    ids=str,
)
async def test_what_is_of_no_item_keeps_a_client(
    api: httpx2.AsyncClient, company: SmallCompany, sent: dict[str, Any], field: str
) -> None:
    company.made(await api.post("/v1/contacts", json={"phones": ["030 1234567"]}))
    [noted_id] = (await hand_in(api, "calls", CALL)).json()["crm_activity_ids"]
    firm = company.made(await api.post("/v1/companies", json={"name": "Roofs"}))
    path = f"/v1/crm-activities/{noted_id}"

    refused = await api.patch(path, json=sent)
    given = await api.patch(path, json=sent | {"company_id": firm["id"]})
    refused_again = await api.patch(path, json={"company_id": None})

    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {
            "field": field,
            "reason": f"Call {noted_id} is of no item: without this client it would be nobody's.",
        }
    ]
    assert (given.json()["contact_id"], given.json()["company_id"]) == (None, firm["id"])
    assert refused_again.json()["errors"][0]["field"] == "/company_id"
    assert (await api.get(path)).json()["company_id"] == firm["id"]


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        ("emails", MAIL.replace(b"anna@berg.example", b"Ann.Berg@Firm.com"), "ANN.BERG@firm.com "),
        ("forms", FORM | {"emails": ["Ann.Berg@firm.com"]}, "ann.berg@firm.com"),
        ("calls", CALL, "+49 (30) 123 45 67"),
        ("messages", MESSAGE, "0049301234567"),
        ("messages", MESSAGE | {"phone": None, "handle": "@Anna"}, "SMS:@Anna"),
    ],
    ids=str,
)
async def test_what_came_in_is_found_by_its_sender_however_they_are_written(
    api: httpx2.AsyncClient, kind: str, body: bytes | dict[str, Any], wanted: str
) -> None:
    answer = (await hand_in(api, kind, body)).json()

    found = (await api.get("/v1/inbound", params={"address": wanted})).json()["items"]
    others = (await api.get("/v1/inbound", params={"address": "030 7654321"})).json()["items"]

    assert [each["id"] for each in found] == [answer["inbound_id"]]
    assert others == []
    listed = (await api.get("/v1/inbound", params={"address": found[0]["address"]})).json()
    assert listed["items"] == found


@on_one_database
@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("emails", b"", "/mail"),
        ("calls", {"id": ""}, "/id"),
        ("calls", {"id": "  "}, "/id"),
        ("calls", {"id": "1", "seconds": -1}, "/seconds"),
        ("calls", {"id": "1", "started_at": "1979-12-31T23:59:59Z"}, "/started_at"),
        ("calls", {"id": "1", "started_at": "9999-12-31T00:00:00Z"}, "/started_at"),
        ("messages", MESSAGE | {"text": " \n\t "}, "/text"),
        ("messages", MESSAGE | {"id": " "}, "/id"),
        ("messages", MESSAGE | {"phone": None, "handle": " "}, "/handle"),
        ("messages", MESSAGE | {"phone": " "}, ""),
        ("messages", MESSAGE | {"sent_at": "9999-12-31T00:00:00Z"}, "/sent_at"),
        ("forms", FORM | {"key": "\t"}, "/key"),
        ("forms", FORM | {"filled_in_at": "0001-01-01T00:00:00Z"}, "/filled_in_at"),
        ("calls", {"id": "1", "user_id": 4711}, "/user_id"),
        ("messages", {"id": "1", "channel": "SMS", "text": "Hi"}, ""),
        ("forms", {"key": "1", "form": "contact", "custom": {"roof": "flat"}}, "/custom/roof"),
        ("forms", {"key": "1", "form": "contact", "responsible_id": 4711}, "/responsible_id"),
    ],
    ids=str,
)
async def test_what_cannot_be_taken_is_refused_by_its_field(
    api: httpx2.AsyncClient, kind: str, body: bytes | dict[str, Any], field: str
) -> None:
    answer = await hand_in(api, kind, body)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert (await api.get("/v1/inbound")).json()["items"] == []


@on_one_database
@pytest.mark.parametrize(
    ("kind", "body", "other", "said"),
    [
        ("calls", CALL, {"phone": "030 7654321"}, "/id Call 815 ... from 030 1234567: call an id"),
        ("calls", CALL, {"seconds": 91}, "/id Call 815 ... from 030 1234567: call an id"),
        (
            "calls",
            CALL | {"direction": "outgoing"},
            {"direction": "incoming"},
            "/id Call 815 ... to 030 1234567: call an id",
        ),
        (
            "calls",
            CALL | {"phone": None},
            {"phone": "030 1234567"},
            "/id Call 815 ... from somebody unknown: call an id",
        ),
        ("messages", MESSAGE, {"text": "No"}, "/id Message 42 ... from 030 1234567: message an id"),
        (
            "forms",
            FORM,
            {"name": "Bo Berg"},
            "/key Form f3b1 ... from anna@berg.example: form a key",
        ),
    ],
    ids=str,
)
async def test_the_id_of_another_is_refused(
    api: httpx2.AsyncClient, kind: str, body: dict[str, Any], other: dict[str, Any], said: str
) -> None:
    await hand_in(api, kind, body)
    field, _, reason = said.partition(" ")
    reason = reason.replace("...", "was handed in before,").replace(": ", ": give each ")

    answer = await hand_in(api, kind, body | other)

    assert answer.status_code == 409
    assert answer.json()["errors"] == [{"field": field, "reason": f"{reason} of its own."}]
    assert len((await api.get("/v1/inbound")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("kind", "body", "again"),
    [
        ("calls", CALL, {"id": " 815 ", "phone": "+49 30 1234567"}),
        ("calls", CALL, {"started_at": "2021-08-04T09:00:01Z"}),
        ("messages", MESSAGE, {"channel": " sms", "phone": "0049301234567"}),
        ("messages", MESSAGE | {"phone": None, "handle": "@Anna"}, {"handle": "@anna "}),
        ("forms", FORM, {"key": "f3b1\t", "form": "Contact"}),
    ],
    ids=str,
)
async def test_a_repetition_is_known_however_it_is_written(
    api: httpx2.AsyncClient, kind: str, body: dict[str, Any], again: dict[str, Any]
) -> None:
    first = await hand_in(api, kind, body)

    answer = await hand_in(api, kind, body | again)

    assert answer.json() == first.json() | {"repeated": True}


async def test_a_call_is_the_same_when_its_recording_is_told_later(
    api: httpx2.AsyncClient,
) -> None:
    recording = "https://pbx.example/recordings/815"
    first = await hand_in(api, "calls", CALL)

    again = await hand_in(api, "calls", CALL | {"recording_url": recording})

    assert (again.status_code, again.json()) == (200, first.json() | {"repeated": True})
    [kept] = (await api.get("/v1/inbound")).json()["items"]
    [noted_id] = first.json()["crm_activity_ids"]
    noted = (await api.get(f"/v1/crm-activities/{noted_id}")).json()
    assert kept["content"]["recording_url"] == recording
    assert noted["description"] == f"Recording: {recording}"


async def test_a_mail_within_json_is_refused(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/inbound/emails", json={"mail": "From: anna"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["reason"] == (
        "Send the file itself as the body, not within application/json."
    )


@pytest.fixture
def small(app: FastAPI) -> Iterator[int]:
    """How large a mail may be, which is less than usual."""
    usual = app.state.settings
    app.state.settings = Settings(**(dict(usual) | {"largest_mail": 2000}))
    yield 2000
    app.state.settings = usual


async def test_a_mail_is_as_large_as_the_settings_allow(
    api: httpx2.AsyncClient, small: int
) -> None:
    fits = await hand_in(api, "emails", MAIL.ljust(small))
    larger = await hand_in(api, "emails", MAIL.ljust(small + 1))

    assert (fits.status_code, larger.status_code) == (201, 413)
    assert larger.json()["detail"] == "A body has at most 2000 bytes."


async def test_a_mail_may_be_larger_than_other_requests(api: httpx2.AsyncClient) -> None:
    answer = await hand_in(api, "emails", MAIL.ljust(3 * 2**20))

    assert answer.status_code == 201


async def test_a_mail_is_handed_in_by_who_has_a_token_only(stranger: httpx2.AsyncClient) -> None:
    answer = await hand_in(stranger, "emails", MAIL)

    assert answer.status_code == 401


@each_kind
async def test_an_agent_hands_nothing_in_and_so_in_nobody_elses_name(
    api: httpx2.AsyncClient,
    company: SmallCompany,
    sign_in: SignIn,
    kind: str,
    body: bytes | dict[str, Any],
) -> None:
    sam = User(name="Sam", role=Role.AGENT)
    await company.add(sam)

    answer = await hand_in(await sign_in(sam), kind, body)

    assert answer.status_code == 403
    assert answer.json()["detail"] == (
        "Only managers and administrators hand in what came in; you are an agent."
    )
    assert (await api.get("/v1/inbound")).json()["items"] == []


async def test_an_agent_sees_what_came_in_for_their_items_and_what_they_handed_in(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn
) -> None:
    sam, tom = User(name="Sam", role=Role.AGENT), User(name="Tom", role=Role.MANAGER)
    await company.add(sam, tom)
    as_sam, as_tom = await sign_in(sam), await sign_in(tom)
    of_sam = await hand_in(api, "forms", FORM | {"responsible_id": sam.id})
    by_tom = await hand_in(as_tom, "calls", CALL)
    of_nobody = await hand_in(api, "messages", MESSAGE | {"phone": "030 7654321"})
    await api.patch(f"/v1/users/{tom.id}", json={"role": "agent"})

    seen = {
        name: [each["id"] for each in (await client.get("/v1/inbound")).json()["items"]]
        for name, client in (("admin", api), ("sam", as_sam), ("tom", as_tom))
    }

    ids = [each.json()["inbound_id"] for each in (of_nobody, by_tom, of_sam)]
    assert seen == {"admin": ids, "sam": [ids[2]], "tom": [ids[1]]}
    refused = await as_sam.get(f"/v1/inbound/{ids[1]}")
    assert refused.status_code == 403


async def deal_of_each(company: SmallCompany, *people: User, **fields: Any) -> None:
    """Make a deal with these fields for each of these people, in order."""
    for responsible in people:
        await company.deal(responsible_id=responsible.id, **fields)


async def test_an_agent_reaches_what_stands_on_the_contact_of_an_item_of_theirs(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn
) -> None:
    sam, tom = User(name="Sam", role=Role.AGENT), User(name="Tom", role=Role.AGENT)
    await company.add(sam, tom)
    [_, won] = await company.pipeline("New", "Won")
    await api.patch(f"/v1/stages/{won}", json={"kind": "won"})
    contact = company.made(await api.post("/v1/contacts", json={"phones": ["030 1234567"]}))
    await deal_of_each(company, sam, tom, contact_id=contact["id"], stage_id=won)
    [noted_id] = (await hand_in(api, "calls", CALL)).json()["crm_activity_ids"]

    noted = await (await sign_in(sam)).get(f"/v1/crm-activities/{noted_id}")

    assert noted.status_code == 200
    assert (noted.json()["item_id"], noted.json()["responsible_id"]) == (None, tom.id)
