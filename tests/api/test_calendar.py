"""The calendar feed over HTTP: a secret link, and what it opens."""

from typing import Any

import httpx2
import pytest
import structlog
import vobject
from fastapi import FastAPI
from sqlalchemy import select

from api.app import put_to_work
from models.api_token import hash_of
from models.database import Database
from models.settings import Settings
from models.user import User
from tests.fixtures.api import SignIn, SmallCompany

LINK = "/v1/calendar-link"


@pytest.fixture
async def tom(company: SmallCompany) -> User:
    tom = User(name="Tom")
    await company.add(tom)
    return tom


async def a_link(client: httpx2.AsyncClient) -> str:
    """Make a link; return its path."""
    made = SmallCompany.made(await client.post(LINK))
    return str(made["feed_url"]).removeprefix("http://cuebook")


async def a_meeting(api: httpx2.AsyncClient, company: SmallCompany, **said: Any) -> Any:
    await company.pipeline("New")
    deal = await company.deal()
    meeting = {
        "kind": "meeting",
        "subject": "Meet",
        "item_id": deal["id"],
        "starts_at": "2099-08-03T10:00:00Z",
    }
    return company.made(await api.post("/v1/crm-activities", json=meeting | said))


def subjects(answer: httpx2.Response) -> list[str]:
    calendar = vobject.readOne(answer.text)
    return [entry.summary.value for entry in getattr(calendar, "vevent_list", [])]


async def test_the_link_opens_the_calendar_without_a_token(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient, company: SmallCompany
) -> None:
    meeting = await a_meeting(api, company)

    made = await api.post(LINK)
    url = made.json()["feed_url"]
    feed = await stranger.get(url)

    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert url.startswith("http://cuebook/v1/calendar/")
    assert url.endswith(".ics")
    assert feed.status_code == 200
    assert feed.headers["content-type"] == "text/calendar; charset=utf-8"
    assert feed.headers["cache-control"] == "private, no-cache"
    assert subjects(feed) == ["Meet"]
    assert f"http://cuebook/v1/crm-activities/{meeting['id']}" in feed.text


async def test_everybody_has_a_calendar_of_their_own(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, tom: User
) -> None:
    await a_meeting(api, company, responsible_id=tom.id)
    client = await sign_in(tom)

    mine, of_tom = await a_link(api), await a_link(client)

    assert subjects(await client.get(mine)) == []
    assert subjects(await api.get(of_tom)) == ["Meet"]


async def test_a_new_link_ends_the_one_before(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    first = await a_link(api)
    second = await a_link(api)

    answers = [await stranger.get(first), await stranger.get(second)]

    assert [answer.status_code for answer in answers] == [404, 200]


async def test_a_revoked_link_leads_nowhere(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    link = await a_link(api)

    revoked = [await api.delete(LINK), await api.delete(LINK)]
    answer = await stranger.get(link)

    assert [each.status_code for each in revoked] == [204, 204]
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "There is no such calendar."


async def test_whoever_no_longer_works_here_has_no_calendar(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient, sign_in: SignIn, tom: User
) -> None:
    link = await a_link(await sign_in(tom))

    await api.delete(f"/v1/users/{tom.id}")

    assert (await stranger.get(link)).status_code == 404


@pytest.mark.parametrize("key", ["x", "%00", "%FF", "None", "..%2F..", "x" * 5000, "cue_x"])
async def test_a_key_that_is_none_opens_nothing(stranger: httpx2.AsyncClient, key: str) -> None:
    answer = await stranger.get(f"/v1/calendar/{key}.ics")

    assert answer.status_code == 404


async def test_a_link_needs_a_token_to_be_made(stranger: httpx2.AsyncClient) -> None:
    answers = [await stranger.post(LINK), await stranger.delete(LINK)]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_the_key_is_kept_as_a_hash_and_the_person_does_not_change(
    api: httpx2.AsyncClient, database: Database, admin: User
) -> None:
    before = (await api.get(f"/v1/users/{admin.id}")).json()

    link = await a_link(api)

    key = link.removeprefix("/v1/calendar/").removesuffix(".ics")
    async with database.reading() as session:
        kept = await session.scalar(select(User.calendar_key_hash).where(User.id == admin.id))
    assert kept == hash_of(key)
    assert len(key) >= 43
    assert (await api.get(f"/v1/users/{admin.id}")).json() == before


async def test_a_link_is_not_shown_again_to_whoever_repeats_the_request(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.post(LINK, headers=headers)

    again = await api.post(LINK, headers=headers)

    assert again.status_code == 409
    assert (await stranger.get(first.json()["feed_url"])).status_code == 200


async def test_whoever_has_the_calendar_is_not_sent_it_again(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient, company: SmallCompany
) -> None:
    link = await a_link(api)
    read = await stranger.get(link)
    known = {"If-None-Match": read.headers["etag"]}

    same = await stranger.get(link, headers=known)
    await a_meeting(api, company)
    newer = await stranger.get(link, headers=known)

    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == read.headers["etag"]
    assert newer.status_code == 200
    assert newer.headers["etag"] != read.headers["etag"]


async def test_what_calendar_programs_add_to_the_address_does_no_harm(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    link = await a_link(api)

    assert (await stranger.get(f"{link}?nocache=17")).status_code == 200


async def test_no_log_line_holds_the_key(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient, admin: User
) -> None:
    link = await a_link(api)

    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        await stranger.get(link)
        await stranger.get("/v1/calendar/wrong-key.ics")

    assert [line["route"] for line in lines] == ["/v1/calendar/{key}.ics"] * 2
    assert lines[0]["user_id"] == admin.id
    key = link.removeprefix("/v1/calendar/")
    assert [line for line in lines if key in str(line) or "wrong-key" in str(line)] == []


async def test_who_tries_keys_is_stopped_after_a_while(
    app: FastAPI, database: Database, stranger: httpx2.AsyncClient
) -> None:
    put_to_work(app, database, Settings(rate_limit="off", rate_limit_strangers="2/minute"))

    answers = [await stranger.get(f"/v1/calendar/{key}.ics") for key in range(3)]

    assert [answer.status_code for answer in answers] == [404, 404, 429]
