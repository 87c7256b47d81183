"""Whatever goes wrong is told as a problem after RFC 9457, with field and reason."""

import re

import httpx2
import pytest
from fastapi import FastAPI

from api.dependencies import Session
from api.errors import KINDS, STATUS, Kind, title_of
from models import errors
from models.errors import CrmError
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database


async def test_what_is_not_there_is_a_404_in_words(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals/42")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no deal 42.",
        "errors": [],
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_wrong_field_is_named_with_the_reason(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")

    answer = await api.post("/v1/deals", json={"title": "Roof", "amount": "-1"})

    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid"
    assert answer.json()["errors"] == [
        {"field": "/amount", "reason": "Input should be greater than or equal to 0"}
    ]


async def test_a_body_that_is_missing_is_asked_for(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await api.post(f"/v1/items/{deal['id']}/comments")

    needed = "This request needs a body: send JSON, {} at least."
    assert (answer.status_code, answer.json()["detail"]) == (422, needed)
    assert answer.json()["errors"] == [{"field": "", "reason": needed}]


async def test_what_was_sent_is_not_repeated(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/deals", json={"title": ["hush-hush"], "secret": "hush-hush"})

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["/title", "/secret"]
    assert "hush-hush" not in answer.text


async def test_a_place_deep_in_the_body_is_a_json_pointer(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")

    answer = await api.post(
        f"/v1/stages/{stage}/rules",
        json={
            "title": "Later",
            "action": "add_history_entry",
            "timing": {"kind": "after_delay", "amount": -1, "unit": "days"},
        },
    )

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["/timing/amount"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{title", "application/json"),
        (b'{"title": "Roof"}', "text/plain"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_a_body_that_is_not_json_is_a_400(
    api: httpx2.AsyncClient, body: bytes, content_type: str
) -> None:
    answer = await api.post("/v1/deals", content=body, headers={"content-type": content_type})

    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/bad-request"


async def test_a_text_that_no_database_can_store_is_refused(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")

    answer = await api.post("/v1/deals", json={"title": "Roof", "custom": {"x": "a\0b"}})

    assert answer.status_code == 422
    reason = "a text holds U+0000 or half a character, which cannot be stored"
    assert answer.json()["errors"] == [{"field": "/custom/x", "reason": reason}]


@on_one_database
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (rb'{"title": "\ud800"}', "/title"),
        (rb'{"title": "x", "tags": ["a", "b\u0000"]}', "/tags/1"),
        (rb'{"title": "x", "checklist": [{"text": "\u0000"}]}', "/checklist/0/text"),
        (rb'{"title": "x", "a/b~": {"c": "\u0000"}}', "/a~1b~0/c"),
        (rb'{"title": "x", "\ud800": 1}', ""),
        (rb'{"title": "x", "checklist": [{"\u0000": "\u0000"}]}', "/checklist/0"),
    ],
)
async def test_the_field_is_named_whose_text_cannot_be_stored(
    api: httpx2.AsyncClient, body: bytes, field: str
) -> None:
    json = {"content-type": "application/json"}

    answer = await api.post("/v1/tasks", content=body, headers=json)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@on_one_database
async def test_a_text_that_is_too_long_is_told_in_characters(api: httpx2.AsyncClient) -> None:
    made = await api.post("/v1/tasks", json={"title": "x" * 5000})
    empty = await api.post("/v1/tasks", json={"title": ""})

    assert made.json()["errors"] == [
        {"field": "/title", "reason": "String should have at most 1000 characters"}
    ]
    assert empty.json()["errors"] == [
        {"field": "/title", "reason": "String should have at least 1 character"}
    ]


@on_one_database
async def test_a_list_that_is_too_long_is_told_in_items(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/tasks", json={"title": "Call", "tags": ["x"] * 51})

    assert answer.json()["errors"] == [
        {"field": "/tags", "reason": "Input should have at most 50 items, not 51"}
    ]


A_MOMENT = "a moment like 2027-08-31T09:00:00Z or 2027-08-31T11:00:00+02:00"


@on_one_database
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("yesterday", f"write {A_MOMENT}"),
        ("1798700000", f"write {A_MOMENT}"),
        ("2027-08-31", f"this lacks its time zone: write {A_MOMENT}"),
        ("2027-08-31T09:00:00", f"this lacks its time zone: write {A_MOMENT}"),
    ],
)
async def test_how_a_moment_is_written_is_told_as_it_is_taken(
    api: httpx2.AsyncClient, sent: str, reason: str
) -> None:
    answer = await api.get("/v1/history", params={"created_from": sent})

    assert answer.json()["errors"] == [{"field": "/created_from", "reason": reason}]


@on_one_database
@pytest.mark.parametrize("moment", re.findall(r"\d\S+", A_MOMENT))
async def test_a_moment_is_taken_as_it_is_told(api: httpx2.AsyncClient, moment: str) -> None:
    answer = await api.get("/v1/history", params={"created_from": moment})

    assert answer.status_code == 200


@on_one_database
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            b'{"title": ' * 50_000 + b"1" + b"}" * 50_000,
            "The body is nested too deep: at most 100 levels are taken.",
        ),
        (b'{"title": "\xff"}', "The body is not text in UTF-8."),
        (b'{"title": }', "The body is not JSON: Expecting value at character 10."),
    ],
)
async def test_why_a_body_cannot_be_read_is_told(
    api: httpx2.AsyncClient, body: bytes, detail: str
) -> None:
    answer = await api.post("/v1/deals", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


@pytest.mark.parametrize("path", ["/v1/deals/0", "/v1/deals/x", f"/v1/deals/{2**63}"])
async def test_an_id_that_can_be_none_is_a_422(api: httpx2.AsyncClient, path: str) -> None:
    answer = await api.get(path)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/deal_id"


async def test_a_path_or_method_that_is_not_there_is_a_problem_too(
    api: httpx2.AsyncClient,
) -> None:
    nowhere = await api.get("/v1/nowhere")
    never = await api.put("/v1/deals")

    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "/problems/not-found")
    assert (never.status_code, never.json()["type"]) == (405, "/problems/method-not-allowed")
    assert never.headers["allow"]


async def test_fields_that_no_encoding_can_write_are_refused(api: httpx2.AsyncClient) -> None:
    json = {"content-type": "application/json"}

    value = await api.post("/v1/deals", content=rb'{"title": "\ud800"}', headers=json)
    name = await api.post("/v1/deals", content=rb'{"title": "x", "\ud800": 1}', headers=json)

    assert (value.status_code, name.status_code) == (422, 422)


async def test_of_very_many_wrong_fields_the_first_are_told(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/deals", json={f"x{n}": 1 for n in range(1000)})

    assert len(answer.json()["errors"]) == 50


async def test_a_constraint_that_only_a_fault_of_ours_can_break_is_a_500(
    app: FastAPI, stranger: httpx2.AsyncClient
) -> None:
    @app.post("/nameless")
    async def nameless(session: Session) -> None:
        session.add(User(name=None))  # type: ignore[arg-type]

    answer = await stranger.post("/nameless")

    assert answer.status_code == 500


async def test_a_fault_is_a_500_that_tells_nothing(
    app: FastAPI, stranger: httpx2.AsyncClient
) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the password is 12345")

    answer = await stranger.get("/broken")

    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal-server-error"
    assert "12345" not in answer.text


def test_every_kind_of_fact_has_its_status() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, CrmError)
    }

    assert set(STATUS) == kinds - {CrmError}


async def test_an_unknown_field_is_told_with_the_nearest_known(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/deals", json={"title": "Roof", "contact_idd": 1, "zzz": 1})

    assert [each["reason"] for each in answer.json()["errors"]] == [
        "unknown field contact_idd, did you mean contact_id?",
        "unknown field zzz",
    ]


async def test_an_unknown_field_deep_inside_has_a_nearest_too(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    rows = [{"name": "Tile", "price": "1", "quantitty": "2"}]
    rule = {
        "title": "Later",
        "action": "add_history_entry",
        "timing": {"kind": "after_delay", "amount": 1, "unit": "days", "unitt": "days"},
    }

    deal = await api.post("/v1/deals", json={"title": "Roof", "product_rows": rows})
    saved = await api.post(f"/v1/stages/{stage}/rules", json=rule)

    assert deal.json()["errors"] == [
        {
            "field": "/product_rows/0/quantitty",
            "reason": "unknown field quantitty, did you mean quantity?",
        }
    ]
    assert saved.json()["errors"] == [
        {"field": "/timing/unitt", "reason": "unknown field unitt, did you mean unit?"}
    ]


@pytest.mark.parametrize(
    ("path", "body", "field", "nearest"),
    [
        ("/v1/users", {"name": "Bob", "role": "amdin"}, "/role", "admin"),
        ("/v1/pipelines", {"name": "Sales", "item_type": "dael"}, "/item_type", "deal"),
        (
            "/v1/pipelines",
            {"name": "Sales", "item_type": "deal", "stages": [{"name": "Won", "kind": "wonn"}]},
            "/stages/0/kind",
            "won",
        ),
        ("/v1/exclusions", {"kind": "emial", "value": "a@b.example"}, "/kind", "email"),
        ("/v1/tasks", {"title": "Call", "status": "in_progress"}, "/status", "in progress"),
    ],
)
async def test_an_unknown_value_is_told_with_the_nearest_right_one(
    api: httpx2.AsyncClient, path: str, body: dict[str, object], field: str, nearest: str
) -> None:
    answer = await api.post(path, json=body)

    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert error["reason"].endswith(f", did you mean {nearest}?")


@pytest.mark.parametrize(
    ("said", "field", "nearest"),
    [
        ({"action": "create_tsak"}, "/action", "create_task"),
        (
            {"timing": {"kind": "after_delay", "amount": 1, "unit": "day"}},
            "/timing/unit",
            "days",
        ),
        ({"timing": {"kind": "at_onse"}}, "/timing/kind", "at_once"),
        ({"params": {"txt": "Seen", "text": "Seen"}}, "/params/txt", "text"),
    ],
)
async def test_what_a_rule_probably_means_is_told(
    api: httpx2.AsyncClient,
    company: SmallCompany,
    said: dict[str, object],
    field: str,
    nearest: str,
) -> None:
    [stage] = await company.pipeline("New")
    rule = {"title": "Note", "action": "add_history_entry", "params": {"text": "Seen"}}

    answer = await api.post(f"/v1/stages/{stage}/rules", json=rule | said)

    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert f"did you mean {nearest}?" in error["reason"]


async def test_an_unknown_value_of_a_filter_is_told_with_the_nearest(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.get("/v1/runs", params={"state": "waitng"})

    [error] = answer.json()["errors"]
    assert error["field"] == "/state"
    assert error["reason"].endswith(", did you mean waiting?")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/deal/42", "/v1/deals/{deal_id}"),
        ("/v1/itmes/7/move", "/v1/items/{item_id}/move"),
        ("/deals", "/v1/deals"),
    ],
)
async def test_a_path_that_is_none_is_told_with_the_nearest(
    stranger: httpx2.AsyncClient, path: str, meant: str
) -> None:
    answer = await stranger.get(path)

    assert answer.status_code == 404
    assert answer.json()["detail"] == f"There is no such path, did you mean {meant}?"


async def test_what_is_not_there_by_its_id_keeps_its_own_words(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/rules/42")

    assert answer.json()["detail"] == "There is no rule 42."


async def test_a_wrong_method_is_told_all_that_the_path_has(api: httpx2.AsyncClient) -> None:
    many = await api.put("/v1/deals")
    one = await api.post("/v1/deals/1")

    assert (many.status_code, many.headers["allow"]) == (405, "GET, POST")
    assert (one.status_code, one.headers["allow"]) == (405, "DELETE, GET, PATCH")


async def test_a_very_long_name_is_not_repeated_whole(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/deals", json={"title": "Roof", "x" * 10_000: 1})

    assert len(answer.text) < 1000


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
async def test_the_type_of_a_problem_leads_to_what_it_means(
    stranger: httpx2.AsyncClient, kind: Kind
) -> None:
    answer = await stranger.get(kind.type)

    assert answer.status_code == 200
    assert (answer.json()["type"], answer.json()["status"]) == (kind.type, kind.status)
    assert len(answer.json()["meaning"]) > 40


async def test_a_type_of_problem_that_is_none_is_a_404(stranger: httpx2.AsyncClient) -> None:
    answer = await stranger.get("/problems/not-fuond")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "Unknown type of problem not-fuond, did you mean not-found?"


def test_every_kind_of_fact_is_explained() -> None:
    assert {title_of(kind): status for kind, status in STATUS.items()}.items() <= {
        kind.title: kind.status for kind in KINDS.values()
    }.items()
