"""Links and pictures of mails over HTTP: no token, no open redirect, nothing counted twice."""

import asyncio
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.app import put_to_work
from models.database import Database
from models.delivery import Delivery, DeliveryKind, Reaction
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.settings import Settings
from models.tracking import links_in, tracked
from tests.factories import a_deal, a_pipeline, all_of, rules_of

LINKS = ["https://shop.example/a?b=1&c=ä", "http://b.example/"]
HTML = (
    '<p><a href="https://shop.example/a?b=1&amp;c=ä">Shop</a> <a href="http://b.example/">B</a></p>'
)


class Mail:
    """A mail that a rule has sent, and what its reader may ask for."""

    def __init__(self, delivery: Delivery, html: str) -> None:
        self.delivery = delivery
        self.links = links_in(html)
        self.pixel = html.rpartition('src="')[2].partition('"')[0]


async def a_mail(database: Database, **said: Any) -> Mail:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Won")
        rules_of(session, stage, {})
        deal, entry = await a_deal(session, stage)
        delivery = Delivery(
            **{
                "kind": DeliveryKind.EMAIL,
                "run_id": entry.runs[0].id,
                "item": deal,
                "recipient": "ann@example.com",
                "subject": "Thanks",
                "content": {"links": LINKS},
                **said,
            }
        )
        session.add(delivery)
        await session.flush()
        key = (await installation(session)).signing_key
    html = tracked(HTML, LINKS, delivery.id, key=key, url="http://cuebook")
    return Mail(delivery, html)


@pytest.fixture
async def mail(database: Database) -> Mail:
    return await a_mail(database)


async def told(database: Database) -> int:
    lines = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.DELIVERY)
    return len(lines)


async def test_a_link_leads_on_and_is_noted(
    database: Database, stranger: httpx2.AsyncClient, mail: Mail
) -> None:
    answers = [await stranger.get(link) for link in mail.links]

    reactions = await all_of(database, Reaction)
    assert [answer.status_code for answer in answers] == [302, 302]
    assert [answer.headers["location"] for answer in answers] == [
        "https://shop.example/a?b=1&c=%C3%A4",
        "http://b.example/",
    ]
    assert answers[0].headers["cache-control"] == "no-store"
    assert answers[0].headers["referrer-policy"] == "no-referrer"
    assert [(each.kind, each.url) for each in reactions] == [("clicked", url) for url in LINKS]


async def test_the_picture_is_shown_and_never_kept_by_those_who_look(
    database: Database, stranger: httpx2.AsyncClient, mail: Mail
) -> None:
    answers = [await stranger.get(mail.pixel) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].headers["content-type"] == "image/gif"
    assert answers[0].headers["cache-control"] == "no-store"
    assert answers[0].content.startswith(b"GIF89a")
    assert len(await all_of(database, Reaction)) == 3
    assert await told(database) == 1


async def test_asking_what_is_there_counts_for_nothing(
    database: Database, stranger: httpx2.AsyncClient, mail: Mail
) -> None:
    link = await stranger.head(mail.links[0])
    pixel = await stranger.head(mail.pixel)

    assert (link.status_code, link.headers["location"]) == (302, LINKS[0].replace("ä", "%C3%A4"))
    assert (pixel.status_code, pixel.headers["content-type"]) == (200, "image/gif")
    assert await all_of(database, Reaction) == []


async def test_many_who_open_it_at_once_are_told_of_once(
    database: Database, stranger: httpx2.AsyncClient, mail: Mail
) -> None:
    opened = [stranger.get(mail.pixel) for _ in range(10)]
    clicked = [stranger.get(mail.links[0]) for _ in range(10)]

    answers = await asyncio.gather(*opened, *clicked)

    assert {answer.status_code for answer in answers} == {200, 302}
    assert await told(database) == 2
    assert len(await all_of(database, Reaction)) == 20


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/0/", "/1/"),
        ("/0/", "/00/"),
        ("/0/", "/-1/"),
        ("/0/", "/x/"),
        ("/0/", "/%31/"),
        ("/0/", "/0%00/"),
        ("/v1/t/", "/v1/t/0"),
        ("/v1/t/", "/v1/t/99999999999999999999999"),
        ("/0/", "/https:%2F%2Fevil.example/"),
        ("/0/", "/0/ä"),
    ],
)
async def test_a_link_that_we_have_not_signed_leads_nowhere(
    database: Database, stranger: httpx2.AsyncClient, mail: Mail, old: str, new: str
) -> None:
    answer = await stranger.get(mail.links[0].replace(old, new))

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "location" not in answer.headers
    assert await all_of(database, Reaction) == []


async def test_what_is_added_to_a_link_changes_nothing_of_where_it_leads(
    stranger: httpx2.AsyncClient, mail: Mail
) -> None:
    answer = await stranger.get(mail.links[1] + "?url=https://evil.example&next=//evil.example")

    assert answer.headers["location"] == "http://b.example/"


async def test_signatures_of_links_open_no_picture_and_of_one_mail_no_other(
    stranger: httpx2.AsyncClient, mail: Mail, database: Database
) -> None:
    other = await a_mail(database)
    signed = mail.links[0].rpartition("/")[2]
    of_picture = mail.pixel.rpartition("/")[2].removesuffix(".gif")

    answers = [
        await stranger.get(other.pixel.rpartition("/")[0] + f"/{of_picture}.gif"),
        await stranger.get(mail.pixel.rpartition("/")[0] + f"/{signed}.gif"),
        await stranger.get(other.links[0].rpartition("/")[0] + f"/{signed}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.parametrize(
    "said", [{"content": {}}, {"content": {"links": None}}, {"kind": DeliveryKind.MESSAGE}]
)
async def test_what_is_not_tracked_has_no_links(
    database: Database, stranger: httpx2.AsyncClient, said: dict[str, Any]
) -> None:
    mail = await a_mail(database, **said)

    answers = [await stranger.get(mail.links[0]), await stranger.get(mail.pixel)]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_link_that_the_mail_never_had_leads_nowhere(
    database: Database, stranger: httpx2.AsyncClient
) -> None:
    mail = await a_mail(database, content={"links": []})

    answers = [await stranger.get(mail.links[0]), await stranger.get(mail.pixel)]

    assert [answer.status_code for answer in answers] == [404, 200]


async def test_whoever_tries_links_is_stopped_and_who_has_one_may_ask_more_often(
    app: FastAPI, database: Database, stranger: httpx2.AsyncClient, mail: Mail
) -> None:
    few = Settings(rate_limit="3/minute", rate_limit_strangers="2/minute")
    put_to_work(app, database, few)

    tried = [await stranger.get(f"/v1/t/1/{number}/x") for number in range(3)]
    held = [await stranger.get(mail.links[0]) for _ in range(4)]

    assert [answer.status_code for answer in tried] == [404, 404, 429]
    assert [answer.status_code for answer in held] == [302, 302, 302, 429]


async def test_the_documentation_does_not_speak_of_them(stranger: httpx2.AsyncClient) -> None:
    document = (await stranger.get("/v1/openapi.json")).json()

    assert [path for path in document["paths"] if path.startswith("/v1/t/")] == []
