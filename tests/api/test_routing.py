"""A POST that is repeated under its key is done once, and answered as the first time."""

import asyncio
from typing import Any, ClassVar

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from api.dependencies import Session
from api.routing import KEY_HEADER, REPLAYED, resource
from api.schemas import Read, Version
from models import clock
from models.database import Database
from models.exclusion import Exclusion, ExclusionKind
from models.kept_answer import KEPT_FOR, forget_answers
from models.user import Role, User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

ONE = {KEY_HEADER: "one"}


async def deals(api: httpx2.AsyncClient) -> int:
    return len((await api.get("/v1/deals")).json()["items"])


async def test_the_same_request_is_done_once_and_answered_again(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")

    first = await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)
    await api.patch(f"/v1/deals/{first.json()['id']}", json={"title": "Attic"})
    again = await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert (again.headers[REPLAYED], first.headers.get(REPLAYED)) == ("true", None)
    assert await deals(api) == 1


async def test_of_two_at_once_one_is_done_and_both_are_told(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")

    answers = await asyncio.gather(
        *(api.post("/v1/deals", json={"title": "Roof"}, headers=ONE) for _ in range(4))
    )

    assert {answer.text for answer in answers} == {answers[0].text}
    assert sorted(answer.headers.get(REPLAYED, "") for answer in answers) == ["", *["true"] * 3]
    assert await deals(api) == 1


async def test_what_was_done_while_its_answer_was_lost_is_told_again(
    app: FastAPI, api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    lost = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(deaf(app)), base_url="http://cuebook", headers=api.headers
    )

    with pytest.raises(ConnectionError):
        await lost.post("/v1/deals", json={"title": "Roof"}, headers=ONE)
    again = await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)

    assert (again.status_code, again.headers[REPLAYED]) == (201, "true")
    assert await deals(api) == 1
    await lost.aclose()


def deaf(app: FastAPI) -> Any:
    """Return the app behind a line that breaks before the answer."""

    async def behind(scope: Any, receive: Any, _send: Any) -> None:
        async def send(_message: Any) -> None:
            raise ConnectionError

        await app(scope, receive, send)

    return behind


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/deals", {"title": "Attic"}), ("/v1/leads", {"title": "Roof"}), ("/v1/deals?", {})],
)
async def test_a_key_is_for_one_request_only(
    api: httpx2.AsyncClient, company: SmallCompany, path: str, body: dict[str, str]
) -> None:
    await company.pipeline("New")
    await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)

    answer = await api.post(path, json=body, headers=ONE)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [f"/{KEY_HEADER}"]


@on_one_database
@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
async def test_a_key_that_can_be_none_is_refused(api: httpx2.AsyncClient, key: str) -> None:
    answer = await api.post("/v1/deals", json={"title": "Roof"}, headers={KEY_HEADER: key})

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [f"/{KEY_HEADER}"]


async def test_everybody_has_keys_of_their_own(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn
) -> None:
    await company.pipeline("New")
    bob = User(name="Bob", role=Role.MANAGER)
    await company.add(bob)
    other = await sign_in(bob)

    answers = [
        await client.post("/v1/deals", json={"title": "Roof"}, headers=ONE)
        for client in (api, other)
    ]

    assert [answer.headers.get(REPLAYED) for answer in answers] == [None, None]
    assert await deals(api) == 2


async def test_a_refusal_is_not_kept(api: httpx2.AsyncClient, company: SmallCompany) -> None:
    refused = await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)
    await company.pipeline("New")

    again = await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)

    assert (refused.status_code, again.status_code) == (409, 201)
    assert REPLAYED not in again.headers


async def test_a_secret_is_neither_kept_nor_told_again(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    first = await api.post("/v1/tokens", json={"name": "Web shop"}, headers=ONE)
    again = await api.post("/v1/tokens", json={"name": "Web shop"}, headers=ONE)

    assert (first.status_code, again.status_code) == (201, 409)
    assert first.json()["token"] not in again.text
    assert "only once" in again.json()["detail"]
    named = [token["name"] for token in (await api.get("/v1/tokens")).json()["items"]]
    assert named.count("Web shop") == 1


async def test_after_a_week_a_key_is_new(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    await company.pipeline("New")
    await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)

    with clock.at(clock.now() + KEPT_FOR):
        async with database.transaction() as session:
            await forget_answers(session)
    again = await api.post("/v1/deals", json={"title": "Roof"}, headers=ONE)

    assert REPLAYED not in again.headers
    assert await deals(api) == 2


class LostRace(Exception):
    sqlstate = "40P01"


class NoteRead(Read):
    shown_once: ClassVar[bool] = False

    version: Version


async def test_a_request_that_lost_a_race_runs_again_under_its_key(
    app: FastAPI, api: httpx2.AsyncClient
) -> None:
    router = resource("tests", "/race")
    left = [LostRace()]

    @router.post("")
    async def race(session: Session) -> NoteRead:
        """Lose one race."""
        session.add(Exclusion(kind=ExclusionKind.DOMAIN, value="spam.example"))
        await session.flush()
        if left:
            raise DBAPIError("UPDATE", {}, left.pop())
        return NoteRead(version=7)

    app.include_router(router)

    first = await api.post("/race", headers=ONE)
    again = await api.post("/race", headers=ONE)

    assert (first.status_code, first.headers["etag"], left) == (200, '"7"', [])
    assert (again.headers[REPLAYED], again.headers["etag"]) == ("true", '"7"')
    assert len((await api.get("/v1/exclusions")).json()["items"]) == 1


async def test_the_same_body_written_otherwise_is_the_same_request(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    key = {KEY_HEADER: "once", "Content-Type": "application/json"}

    first = await api.post("/v1/deals", content='{"title":"Roof","source":"Fair"}', headers=key)
    again = await api.post(
        "/v1/deals", content='{ "source": "Fair", "title": "Roof" }', headers=key
    )

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()


async def test_a_version_is_known_also_without_its_quotes(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    deal = (await api.post("/v1/deals", json={"title": "Roof"})).json()
    seen = {"If-Match": str(deal["version"])}

    changed = await api.patch(f"/v1/deals/{deal['id']}", json={"title": "Barn"}, headers=seen)

    assert changed.status_code == 200
