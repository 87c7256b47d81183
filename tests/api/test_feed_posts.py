"""The feed over HTTP: who is told, who may read, who says something to it."""

from typing import Any

import httpx2
import pytest

from models.database import Database
from models.department import Department
from models.notification import Notification
from models.user import User
from tests.factories import all_of
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

FEED = "/v1/feed-posts"


@pytest.fixture
async def people(company: SmallCompany) -> dict[str, User]:
    """Tom and Eve of *Sales*, Otto elsewhere, and Gil, who has left."""
    sales = Department(name="Sales")
    several = [
        User(name="Tom", department=sales),
        User(name="Eve", department=sales),
        User(name="Otto"),
        User(name="Gil", department=sales, active=False),
    ]
    await company.add(*several)
    return {user.name: user for user in several}


async def post(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(FEED, json={"text": "Look"} | said))


async def read(api: httpx2.AsyncClient, **where: Any) -> list[str]:
    page = SmallCompany.made(await api.get(FEED, params=where))
    return [each["text"] for each in page["items"]]


async def told(api: httpx2.AsyncClient) -> list[Any]:
    page = SmallCompany.made(await api.get("/v1/notifications"))
    return list(page["items"])


async def test_a_post_reads_as_it_was_written(
    api: httpx2.AsyncClient, company: SmallCompany, people: dict[str, User], admin: User
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    tom, eve, otto = people["Tom"], people["Eve"], people["Otto"]

    made = await post(
        api,
        title="Friday",
        item_id=deal["id"],
        recipient_ids=[otto.id],
        department_ids=[tom.department_id],
    )

    assert made == {
        "id": made["id"],
        "title": "Friday",
        "text": "Look",
        "author_id": admin.id,
        "item_id": deal["id"],
        "to_all": False,
        "recipient_ids": [tom.id, eve.id, otto.id],
        "made_by_run_id": None,
        "created_at": made["created_at"],
        "version": 1,
    }
    assert (await api.get(f"{FEED}/{made['id']}")).json() == made


async def test_who_is_told_gets_a_notification_that_leads_there(
    api: httpx2.AsyncClient, sign_in: SignIn, people: dict[str, User], admin: User
) -> None:
    made = await post(api, text="x" * 300, recipient_ids=[people["Tom"].id, admin.id])

    (notice,) = await told(await sign_in(people["Tom"]))

    assert (notice["sender_id"], notice["text"]) == (admin.id, "x" * 199 + "…")
    assert notice["link"] == f"http://cuebook{FEED}/{made['id']}"
    assert await told(api) == []


async def test_you_read_what_you_wrote_and_were_told_newest_first(
    api: httpx2.AsyncClient, sign_in: SignIn, people: dict[str, User]
) -> None:
    tom, eve = await sign_in(people["Tom"]), await sign_in(people["Eve"])
    await post(api, text="for Tom", recipient_ids=[people["Tom"].id])
    await post(api, text="for all", to_all=True)
    await post(tom, text="by Tom", recipient_ids=[people["Otto"].id])

    assert await read(tom) == ["by Tom", "for all", "for Tom"]
    assert await read(eve) == ["for all"]


async def test_administrators_read_all(
    api: httpx2.AsyncClient, sign_in: SignIn, people: dict[str, User]
) -> None:
    tom = await sign_in(people["Tom"])
    made = await post(tom, text="by Tom", recipient_ids=[people["Otto"].id])

    assert await read(api) == ["by Tom"]
    assert (await api.get(f"{FEED}/{made['id']}")).status_code == 200


async def test_what_is_for_all_is_for_newcomers_too(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn
) -> None:
    await post(api, text="for all", to_all=True)
    new = User(name="New")
    await company.add(new)

    assert await read(await sign_in(new)) == ["for all"]


async def test_posts_are_found_by_author_item_and_words(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, people: dict[str, User]
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    tom = await sign_in(people["Tom"])
    await post(api, text="of the deal", title="Crane", item_id=deal["id"], to_all=True)
    await post(tom, text="by Tom", to_all=True)

    assert await read(api, author_id=people["Tom"].id) == ["by Tom"]
    assert await read(api, item_id=deal["id"]) == ["of the deal"]
    assert await read(api, q="cRANE") == ["of the deal"]
    assert await read(api, q="TOM") == ["by Tom"]


async def test_a_post_for_others_is_not_read(
    api: httpx2.AsyncClient, sign_in: SignIn, people: dict[str, User]
) -> None:
    made = await post(api, recipient_ids=[people["Tom"].id])
    eve = await sign_in(people["Eve"])

    answers = [
        await eve.get(f"{FEED}/{made['id']}"),
        await eve.get(f"{FEED}/{made['id']}/comments"),
        await eve.post(f"{FEED}/{made['id']}/comments", json={"text": "Hm"}),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert answers[0].json()["detail"] == f"Feed post {made['id']} is for others."


async def test_only_the_author_and_administrators_delete_a_post(
    api: httpx2.AsyncClient, sign_in: SignIn, people: dict[str, User]
) -> None:
    tom, eve = await sign_in(people["Tom"]), await sign_in(people["Eve"])
    first, second = await post(tom, to_all=True), await post(tom, to_all=True)

    refused = await eve.delete(f"{FEED}/{first['id']}")
    by_author = await tom.delete(f"{FEED}/{first['id']}")
    by_admin = await api.delete(f"{FEED}/{second['id']}")

    statuses = [refused.status_code, by_author.status_code, by_admin.status_code]
    assert statuses == [403, 204, 204]
    assert await read(eve) == []
    gone = await eve.get(f"{FEED}/{first['id']}")
    assert (gone.status_code, gone.json()["detail"]) == (
        404,
        f"There is no feed post {first['id']}.",
    )


async def test_comments_are_told_to_the_author_and_to_who_spoke_before(
    api: httpx2.AsyncClient, sign_in: SignIn, people: dict[str, User], admin: User
) -> None:
    tom, eve = await sign_in(people["Tom"]), await sign_in(people["Eve"])
    made = await post(api, title="Friday", to_all=True)
    path = f"{FEED}/{made['id']}/comments"

    first = SmallCompany.made(await tom.post(path, json={"text": "I come."}))
    await eve.post(path, json={"text": "So do I."})

    assert [each["text"] for each in await told(api)] == ["So do I.", "I come."]
    assert [each["text"] for each in await told(tom)] == ["So do I.", "Friday"]
    assert [each["text"] for each in await told(eve)] == ["Friday"]
    page = SmallCompany.made(await eve.get(path))
    assert page["items"][0] == first
    assert [each["text"] for each in page["items"]] == ["I come.", "So do I."]
    assert first == {
        "id": first["id"],
        "feed_post_id": made["id"],
        "text": "I come.",
        "author_id": people["Tom"].id,
        "created_at": first["created_at"],
    }


async def test_a_post_of_an_item_out_of_reach_is_refused(
    company: SmallCompany, sign_in: SignIn, people: dict[str, User]
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    tom = await sign_in(people["Tom"])

    answer = await tom.post(FEED, json={"text": "Look", "item_id": deal["id"], "to_all": True})

    assert answer.status_code == 403


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "/recipient_ids"),
        ({"recipient_ids": [4711]}, "/recipient_ids/0"),
        ({"department_ids": [4711]}, "/department_ids/0"),
        ({"item_id": 4711, "to_all": True}, "/item_id"),
        ({"text": "", "to_all": True}, "/text"),
        ({"title": " ", "to_all": True}, "/title"),
        ({"author_id": 1, "to_all": True}, "/author_id"),
    ],
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    answer = await api.post(FEED, json={"text": "Look"} | sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_nobody_is_told_who_has_left(
    api: httpx2.AsyncClient, people: dict[str, User], database: Database
) -> None:
    await post(api, to_all=True)

    notices = await all_of(database, Notification)

    assert people["Gil"].id not in {notice.recipient_id for notice in notices}
    assert len(notices) == 3
