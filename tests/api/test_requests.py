"""Each request has an id; one line of the log tells how it was answered, and nothing of it."""

import httpx2
import pytest
import structlog
from fastapi import FastAPI
from structlog.typing import EventDict

from api.requests import REQUEST_ID
from models.user import User
from tests.fixtures.api import SmallCompany


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[EventDict]:
    """The lines that requests write, with what is bound to the request."""
    written: list[EventDict] = []

    class Log:
        def info(self, event: str, **said: object) -> None:
            written.append({"event": event} | structlog.contextvars.get_contextvars() | said)

    monkeypatch.setattr("api.requests.log", Log())
    return written


async def test_every_answer_has_an_id_of_its_own(api: httpx2.AsyncClient) -> None:
    answers = [
        await api.get("/v1/deals"),
        await api.get("/v1/deals/42"),
        await api.get("/v1/nowhere"),
        await api.post("/v1/deals", content=b"x" * 2**21),
        await api.get("/health"),
    ]

    ids = {answer.headers[REQUEST_ID] for answer in answers}
    assert len(ids) == 5
    assert answers[1].json()["request_id"] in ids
    assert answers[3].json()["request_id"] in ids


async def test_a_client_may_bring_an_id(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals/42", headers={REQUEST_ID: "shop-7"})

    assert answer.headers[REQUEST_ID] == answer.json()["request_id"] == "shop-7"


@pytest.mark.parametrize("sent", ["", "two words", "x" * 101, "ä", "a\tb"])
async def test_an_id_that_would_not_look_well_in_a_log_is_replaced(
    api: httpx2.AsyncClient, sent: str
) -> None:
    answer = await api.get("/v1/deals", headers={REQUEST_ID.encode(): sent.encode()})

    assert len(answer.headers[REQUEST_ID]) == 32


async def test_a_fault_says_where_in_the_log_to_look(
    app: FastAPI, stranger: httpx2.AsyncClient
) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    answer = await stranger.get("/broken", headers={REQUEST_ID: "shop-7"})

    assert answer.status_code == 500
    assert answer.headers[REQUEST_ID] == answer.json()["request_id"] == "shop-7"
    assert "shop-7" in answer.json()["detail"]


async def test_one_line_tells_of_a_request_and_holds_nothing_that_was_sent(
    api: httpx2.AsyncClient, admin: User, company: SmallCompany, lines: list[EventDict]
) -> None:
    await api.get("/v1/deals/42?secret=hush-hush", headers={REQUEST_ID: "shop-7"})

    [line] = lines
    assert line.pop("ms") >= 0
    assert line == {
        "event": "Answered",
        "request_id": "shop-7",
        "user_id": admin.id,
        "method": "GET",
        "route": "/v1/deals/{deal_id}",
        "status": 422,
    }


async def test_a_path_that_is_none_is_not_logged(
    stranger: httpx2.AsyncClient, lines: list[EventDict]
) -> None:
    await stranger.get("/hush-hush")

    [line] = lines
    assert (line["route"], line["status"]) == (None, 404)
    assert "hush-hush" not in str(line)
