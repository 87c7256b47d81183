"""One request is one transaction, of somebody with a valid token; lists come in pages."""

from datetime import UTC, datetime

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import event, select

from api.dependencies import Session
from api.paging import PageQuery
from models.api_token import ApiToken, make_token, revoke_token
from models.database import Database
from models.exclusion import Exclusion, ExclusionKind
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database


def spam() -> Exclusion:
    return Exclusion(kind=ExclusionKind.DOMAIN, value="spam.example")


async def test_a_commit_that_fails_is_told(
    app: FastAPI, stranger: httpx2.AsyncClient, database: Database
) -> None:
    @app.post("/twice")
    async def twice(session: Session) -> str:
        session.add_all([spam(), spam()])
        return "done"

    answer = await stranger.post("/twice")

    assert answer.status_code == 409
    async with database.reading() as session:
        assert await session.scalar(select(Exclusion)) is None


async def test_an_error_undoes_everything_of_its_request(
    app: FastAPI, stranger: httpx2.AsyncClient, database: Database
) -> None:
    @app.post("/half")
    async def half(session: Session) -> None:
        session.add(spam())
        await session.flush()
        raise RuntimeError

    answer = await stranger.post("/half")

    assert answer.status_code == 500
    async with database.reading() as session:
        assert await session.scalar(select(Exclusion)) is None


async def test_a_request_opens_one_transaction_only(
    api: httpx2.AsyncClient, database: Database, company: SmallCompany
) -> None:
    await company.pipeline("New")
    begun: list[object] = []
    event.listen(database.engine.sync_engine, "begin", begun.append)

    await company.deal()

    assert len(begun) == 1


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer"])
async def test_without_a_token_nothing_is_told(stranger: httpx2.AsyncClient, header: str) -> None:
    answer = await stranger.get("/v1/deals", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "/problems/unauthorized"
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("token", ["cue_wrong", "ä"])
async def test_a_token_that_is_none_opens_nothing(stranger: httpx2.AsyncClient, token: str) -> None:
    answer = await stranger.get("/v1/deals", headers={b"Authorization": f"Bearer {token}".encode()})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["detail"] == "There is no such token."


async def test_a_token_that_was_valid_once_says_why_it_is_not(
    stranger: httpx2.AsyncClient, database: Database
) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    async with database.transaction() as session:
        expired = make_token(session, User(name="Eve"), "old", expires_at=past)
        left = make_token(session, User(name="Gus", active=False), "his")
        revoked = make_token(session, User(name="Ida"), "lost")
        revoke_token((await session.scalars(select(ApiToken).where(ApiToken.name == "lost"))).one())

    answers = [
        await stranger.get("/v1/deals", headers={"Authorization": f"Bearer {token}"})
        for token in (expired, left, revoked)
    ]

    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [
        (401, "This token expired on 2020-01-01."),
        (401, "The user of this token no longer works here."),
        (401, f"This token was revoked on {datetime.now(UTC):%Y-%m-%d}."),
    ]
    assert {answer.headers["www-authenticate"] for answer in answers} == {
        'Bearer error="invalid_token"'
    }


async def test_a_list_comes_in_pages(api: httpx2.AsyncClient, company: SmallCompany) -> None:
    await company.pipeline("New")
    ids = [(await company.deal())["id"] for _ in range(5)]

    first = (await api.get("/v1/deals", params={"limit": 2})).json()
    second = (await api.get("/v1/deals", params={"limit": 2, "after": first["next"]})).json()
    third = (await api.get("/v1/deals", params={"limit": 2, "after": second["next"]})).json()

    pages = [first, second, third]
    assert [deal["id"] for page in pages for deal in page["items"]] == ids
    assert third["next"] is None


async def test_a_full_last_page_has_no_next(api: httpx2.AsyncClient, company: SmallCompany) -> None:
    await company.pipeline("New")
    await company.deal()
    await company.deal()

    page = (await api.get("/v1/deals", params={"limit": 2})).json()

    assert len(page["items"]) == 2
    assert page["next"] is None


@on_one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("after", "nonsense"),
        ("after", "ä"),
        ("after", "WzFd"),
        ("after", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"),
    ],
)
async def test_a_page_that_is_none_is_refused(
    api: httpx2.AsyncClient, field: str, value: str
) -> None:
    answer = await api.get("/v1/deals", params={field: value})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"/{field}"


@on_one_database
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/items/{}/timeline", ["2027-01-01T00:00:00", "comment", 1]),
        ("/v1/items/{}/timeline", [None, "comment", 1]),
        ("/v1/items/{}/agenda", [None, None, 1]),
        ("/v1/items/{}/timeline", ["0001-01-01T00:00:00+14:00", "comment", 1]),
        ("/v1/items/{}/timeline", ["2027-01-01T00:00:00Z", "\0", 1]),
        ("/v1/items/{}/timeline", ["2027-01-01T00:00:00Z", "comment", 10**30]),
        ("/v1/stages", [10**30, 0, 1]),
        ("/v1/stages", [1, 10**30, 1]),
    ],
)
async def test_a_forged_end_of_a_page_is_refused(
    company: SmallCompany, api: httpx2.AsyncClient, path: str, key: list[object]
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    after = PageQuery().cursor(tuple(key))
    answer = await api.get(path.format(deal["id"]), params={"after": after})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/after"
