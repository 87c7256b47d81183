"""Whoever sends too much has to wait; others do not."""

from collections.abc import Callable, Iterator

import httpx2
import pytest
from fastapi import FastAPI

from api.limits import Limits
from models.settings import Settings
from models.user import Role, User
from tests.fixtures.api import SignIn, SmallCompany

Limiting = Callable[..., None]


@pytest.fixture
def limited(app: FastAPI) -> Iterator[Limiting]:
    """Let the app count requests, as these settings say, and forget what it has counted."""
    usual = app.state.limits

    def limit(**settings: str) -> None:
        off = {"rate_limit": "off", "rate_limit_strangers": "off"}
        app.state.limits = Limits(Settings(**(off | settings)))  # type: ignore[arg-type]

    yield limit
    app.state.limits = usual


async def test_a_user_may_send_so_many_requests_and_is_told_how_many_are_left(
    api: httpx2.AsyncClient, limited: Limiting
) -> None:
    limited(rate_limit="2/hour")

    first, second, third = [await api.get("/v1/deals") for _ in range(3)]

    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert first.headers["ratelimit-policy"] == '"users";q=2;w=3600'
    assert first.headers["ratelimit"].startswith('"users";r=1;t=')
    assert second.headers["ratelimit"].startswith('"users";r=0;t=')
    assert third.json()["type"] == "/problems/too-many-requests"
    assert 0 < int(third.headers["retry-after"]) <= 3600
    assert third.headers["ratelimit"].startswith('"users";r=0;t=')


async def test_one_user_takes_nothing_from_another(
    api: httpx2.AsyncClient, limited: Limiting, company: SmallCompany, sign_in: SignIn
) -> None:
    bob = User(name="Bob", role=Role.AGENT)
    await company.add(bob)
    other = await sign_in(bob)
    limited(rate_limit="1/hour")

    await api.get("/v1/deals")
    answers = [await api.get("/v1/deals"), await other.get("/v1/deals")]

    assert [answer.status_code for answer in answers] == [429, 200]


async def test_an_error_counts_and_tells_what_is_left(
    api: httpx2.AsyncClient, limited: Limiting
) -> None:
    limited(rate_limit="9/hour")

    answer = await api.get("/v1/deals/42")

    assert answer.status_code == 404
    assert answer.headers["ratelimit"].startswith('"users";r=8;t=')


async def test_who_sends_no_valid_token_is_stopped_sooner(
    api: httpx2.AsyncClient, stranger: httpx2.AsyncClient, limited: Limiting
) -> None:
    limited(rate_limit_strangers="2/hour")

    guesses = [{}, {"Authorization": "Bearer cue_guess"}, {"Authorization": "Bearer cue_other"}]
    answers = [await stranger.get("/v1/deals", headers=each) for each in guesses]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[1].headers["ratelimit-policy"] == '"strangers";q=2;w=3600'
    assert (await api.get("/v1/deals")).status_code == 200


async def test_health_is_always_told(stranger: httpx2.AsyncClient, limited: Limiting) -> None:
    limited(rate_limit_strangers="1/hour")

    answers = [await stranger.get("/health") for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("limit", ["", "lots", "0/minute", "5/fortnight", "-1/minute"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match="rate_limit"):
        Settings(rate_limit=limit)
