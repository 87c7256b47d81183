"""A request that only lost a race runs again; one that cannot be kept in memory is refused."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from sqlalchemy.exc import DBAPIError

from api.dependencies import Session
from api.retries import LONGEST_BODY, Retries
from models.exclusion import Exclusion, ExclusionKind


class LostRace(Exception):
    sqlstate = "40P01"


class OtherError(Exception):
    sqlstate = "22003"


def losing(app: FastAPI, *errors: Exception) -> list[Any]:
    """Add an endpoint that loses one race after the other; return what bodies it has seen."""
    seen: list[Any] = []
    left = list(errors)

    @app.post("/race")
    async def race(session: Session, body: dict[str, int]) -> int:
        session.add(Exclusion(kind=ExclusionKind.DOMAIN, value=f"spam{len(seen)}.example"))
        await session.flush()
        seen.append(body)
        if left:
            raise DBAPIError("UPDATE", {}, left.pop())
        return len(seen)

    return seen


async def test_a_lost_race_is_run_again_with_the_same_body(
    app: FastAPI, api: httpx2.AsyncClient
) -> None:
    seen = losing(app, LostRace(), LostRace())

    answer = await api.post("/race", json={"a": 1})

    assert (answer.status_code, answer.json()) == (200, 3)
    assert seen == [{"a": 1}] * 3
    listed = (await api.get("/v1/exclusions")).json()["items"]
    assert [exclusion["value"] for exclusion in listed] == ["spam2.example"]


async def test_after_three_lost_races_the_client_may_try_again(
    app: FastAPI, api: httpx2.AsyncClient
) -> None:
    seen = losing(app, LostRace(), LostRace(), LostRace())

    answer = await api.post("/race", json={})

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/service-unavailable"
    assert answer.headers["retry-after"] == "1"
    assert len(seen) == 3


async def test_another_error_of_the_database_is_not_run_again(
    app: FastAPI, stranger: httpx2.AsyncClient
) -> None:
    seen = losing(app, OtherError())

    answer = await stranger.post("/race", json={})

    assert answer.status_code == 500
    assert len(seen) == 1


async def test_too_long_a_body_is_refused(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/deals", content=b"x" * (LONGEST_BODY + 1))

    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/request-entity-too-large"


async def test_a_client_that_hangs_up_while_it_sends_is_let_go(app: FastAPI) -> None:
    messages = [
        {"type": "http.request", "body": b'{"title"', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await Retries(app)({"type": "http", "method": "POST", "path": "/v1/deals"}, receive, send)

    assert sent == []


@pytest.mark.parametrize("path", ["/v1/inbound/emails", "/v1/document-templates"])
@pytest.mark.parametrize(
    "headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}], ids=["nobody", "wrong"]
)
async def test_nothing_is_read_of_a_file_of_somebody_without_a_token(
    stranger: httpx2.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    read: list[bytes] = []
    about = {"name": "Offer", "item_type": "deal"}

    answer = await stranger.post(path, params=about, content=pieces(read), headers=headers)

    assert (answer.status_code, read) == (401, [])


async def test_of_other_bodies_no_more_is_read_than_is_taken(
    stranger: httpx2.AsyncClient,
) -> None:
    read: list[bytes] = []

    answer = await stranger.patch("/v1/document-templates/1", content=pieces(read))

    assert answer.status_code == 413
    assert len(b"".join(read)) <= LONGEST_BODY + len(read[0])


async def test_a_file_is_there_again_after_a_lost_race(
    app: FastAPI, api: httpx2.AsyncClient
) -> None:
    left = [LostRace(), LostRace()]

    @app.post("/v1/document-templates/race")
    async def race(request: Request) -> int:
        body = await request.body()
        if left:
            raise DBAPIError("UPDATE", {}, left.pop())
        return len(body)

    answer = await api.post("/v1/document-templates/race", content=b"x" * (2 * LONGEST_BODY))

    assert (answer.status_code, answer.json()) == (200, 2 * LONGEST_BODY)


async def test_a_client_that_hangs_up_while_it_sends_a_file_is_let_go(app: FastAPI) -> None:
    sent: list[Any] = []

    @app.post("/v1/document-templates/gone")
    async def gone(request: Request) -> int:
        return len(await request.body())

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    path = "/v1/document-templates/gone"
    headers: list[Any] = []
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await app(scope | {"query_string": b""}, receive, send)

    assert sent == []


async def pieces(read: list[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body of 24 MiB, and remember those that were asked for."""
    for piece in [b"x" * 2**20] * 24:
        read.append(piece)
        yield piece
