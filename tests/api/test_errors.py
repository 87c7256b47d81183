"""Whatever goes wrong is told as a problem after RFC 9457, with field and reason."""

import httpx2
import pytest
from fastapi import FastAPI

from api.dependencies import Session
from api.errors import STATUS
from models import errors
from models.errors import CrmError
from models.user import User
from tests.fixtures.api import SmallCompany


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
