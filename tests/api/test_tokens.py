"""API tokens over HTTP: made, shown once, listed, revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from models.user import Role, User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

TOKENS = "/v1/tokens"
PAST = "2020-01-01T00:00:00Z"


@pytest.fixture
async def tom(company: SmallCompany) -> User:
    tom = User(name="Tom")
    await company.add(tom)
    return tom


async def made(client: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await client.post(TOKENS, json={"name": "Web shop"} | said))


async def listed(client: httpx2.AsyncClient, **params: Any) -> list[str]:
    """Return the names of the tokens that somebody sees."""
    page = SmallCompany.made(await client.get(TOKENS, params=params))
    return [token["name"] for token in page["items"]]


async def test_a_token_is_made_for_a_year_and_shown_once(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient, admin: User
) -> None:
    answer = await api.post(TOKENS, json={"name": "Web shop"})

    new = answer.json()
    token = new.pop("token")
    headers = {"Authorization": f"Bearer {token}"}
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert (await stranger.get("/v1/deals", headers=headers)).status_code == 200
    year = datetime.fromisoformat(new["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=364) < year <= timedelta(days=365)
    [*_, shown] = (await api.get(TOKENS)).json()["items"]
    assert shown == new
    assert new == {
        "id": new["id"],
        "name": "Web shop",
        "hint": token[-4:],
        "user_id": admin.id,
        "created_at": new["created_at"],
        "expires_at": new["expires_at"],
        "revoked_at": None,
    }


@pytest.mark.parametrize("until", ["2099-01-01T00:00:00Z", None])
async def test_a_token_lives_as_long_as_is_said(api: httpx2.AsyncClient, until: str | None) -> None:
    assert (await made(api, expires_at=until))["expires_at"] == until


async def test_a_revoked_token_opens_nothing(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    token = await made(api)
    headers = {"Authorization": f"Bearer {token['token']}"}

    first = await api.delete(f"{TOKENS}/{token['id']}")
    [*_, revoked] = (await api.get(TOKENS)).json()["items"]
    second = await api.delete(f"{TOKENS}/{token['id']}")
    [*_, still] = (await api.get(TOKENS)).json()["items"]

    assert [first.status_code, second.status_code] == [204, 204]
    assert revoked["revoked_at"] is not None
    assert still == revoked
    assert (await stranger.get("/v1/deals", headers=headers)).status_code == 401


async def test_everybody_makes_sees_and_revokes_their_own(sign_in: SignIn, tom: User) -> None:
    client = await sign_in(tom)

    token = await made(client)
    seen = await listed(client)
    revoked = await client.delete(f"{TOKENS}/{token['id']}")

    assert token["user_id"] == tom.id
    assert seen == ["tests", "Web shop"]
    assert revoked.status_code == 204


async def test_administrators_make_and_revoke_tokens_for_others(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient, tom: User
) -> None:
    token = await made(api, user_id=tom.id)
    headers = {"Authorization": f"Bearer {token['token']}"}

    before = await stranger.get(TOKENS, headers=headers)
    await api.delete(f"{TOKENS}/{token['id']}")
    after = await stranger.get(TOKENS, headers=headers)

    assert [each["user_id"] for each in before.json()["items"]] == [tom.id]
    assert after.status_code == 401


@pytest.mark.parametrize("role", [Role.AGENT, Role.MANAGER])
async def test_nobody_else_touches_tokens_of_others(
    company: SmallCompany, api: httpx2.AsyncClient, sign_in: SignIn, tom: User, role: Role
) -> None:
    other = User(name="Mia", role=role)
    await company.add(other)
    token = await made(api, user_id=tom.id)
    client = await sign_in(other)

    answers = [
        await client.post(TOKENS, json={"name": "Web shop", "user_id": tom.id}),
        await client.get(TOKENS, params={"user_id": tom.id}),
        await client.delete(f"{TOKENS}/{token['id']}"),
    ]

    you_are = {Role.AGENT: "you are an agent.", Role.MANAGER: "you are a manager."}[role]
    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [
        (403, f"Only administrators make tokens for others; {you_are}"),
        (403, f"Only administrators see the tokens of others; {you_are}"),
        (403, f"Token {token['id']} is not yours: ask an administrator to revoke it."),
    ]
    assert await listed(client) == ["tests"]


async def test_administrators_list_all_by_user_and_by_validity(
    company: SmallCompany, api: httpx2.AsyncClient, tom: User
) -> None:
    left = User(name="Gus")
    await company.add(left)
    await made(api, name="of Tom", user_id=tom.id)
    revoked = await made(api, name="lost", user_id=tom.id)
    await api.delete(f"{TOKENS}/{revoked['id']}")
    await made(api, name="of Gus", user_id=left.id, expires_at=None)
    await api.delete(f"/v1/users/{left.id}")

    assert await listed(api) == ["tests", "of Tom", "lost", "of Gus"]
    assert await listed(api, user_id=tom.id) == ["of Tom", "lost"]
    assert await listed(api, valid=True) == ["tests", "of Tom"]
    assert await listed(api, valid=False) == ["lost", "of Gus"]
    assert await listed(api, valid=True, user_id=tom.id) == ["of Tom"]


async def test_tokens_come_in_pages(api: httpx2.AsyncClient) -> None:
    await made(api)

    first = (await api.get(TOKENS, params={"limit": 1})).json()
    second = (await api.get(TOKENS, params={"limit": 1, "after": first["next"]})).json()

    names = [token["name"] for page in (first, second) for token in page["items"]]
    assert names == ["tests", "Web shop"]
    assert second["next"] is None


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": " "}, "/name"),
        ({"name": None}, "/name"),
        ({"expires_at": PAST}, "/expires_at"),
        ({"expires_at": "2030-01-01"}, "/expires_at"),
        ({"user_id": 4711}, "/user_id"),
        ({"token": "cue_mine"}, "/token"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    answer = await api.post(TOKENS, json={"name": "Web shop"} | sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_nothing_is_made_for_whoever_has_left(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    gone = User(name="Gus", active=False)
    await company.add(gone)

    answer = await api.post(TOKENS, json={"name": "Web shop", "user_id": gone.id})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/user_id"


async def test_a_token_that_is_not_there_is_said(api: httpx2.AsyncClient) -> None:
    answer = await api.delete(f"{TOKENS}/4711")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no token 4711."


async def test_a_token_is_not_shown_again_to_whoever_repeats_the_request(
    api: httpx2.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.post(TOKENS, json={"name": "Web shop"}, headers=headers)

    again = await api.post(TOKENS, json={"name": "Web shop"}, headers=headers)

    assert again.status_code == 409
    assert first.json()["token"] not in again.text
    assert await listed(api) == ["tests", "Web shop"]
