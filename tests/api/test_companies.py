"""Companies over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.fixtures.api import SmallCompany

COMPANIES = "/v1/companies"


async def firm(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(COMPANIES, json={"name": "Roofs & Co"} | said))


async def test_a_company_reads_as_created(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api, comments="Since 1990", phones=["030 1234567"], emails=["a@roofs.de"])

    assert (await api.get(f"{COMPANIES}/{roofs['id']}")).json() == roofs
    assert roofs == {
        "id": roofs["id"],
        "name": "Roofs & Co",
        "comments": "Since 1990",
        "phones": ["030 1234567"],
        "emails": ["a@roofs.de"],
        "made_by_run_id": None,
        "created_at": roofs["created_at"],
    }


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api, comments="Since 1990", phones=["030 1234567"], emails=["a@roofs.de"])
    changes = {"name": "Roofs", "emails": ["b@roofs.de", "a@roofs.de"]}

    changed = await api.patch(f"{COMPANIES}/{roofs['id']}", json=changes)

    assert changed.json() == roofs | changes
    assert (await api.get(COMPANIES)).json()["items"] == [roofs | changes]


async def test_a_company_that_nothing_uses_is_gone_when_deleted(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api)

    deleted = await api.delete(f"{COMPANIES}/{roofs['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{COMPANIES}/{roofs['id']}")).status_code == 404
    assert (await api.get(COMPANIES)).json()["items"] == []


async def test_a_company_in_use_stays_and_its_uses_are_named(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    roofs = await firm(api)
    deal = await company.deal(company_id=roofs["id"])
    anna = company.made(await api.post("/v1/contacts", json={"company_id": roofs["id"]}))

    deleted = await api.delete(f"{COMPANIES}/{roofs['id']}")

    assert deleted.status_code == 409
    assert deleted.json()["detail"] == (
        f"Company {roofs['id']} is still used: deal {deal['id']}, contact {anna['id']}."
    )


async def test_of_many_uses_the_first_are_named(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    roofs = await firm(api)
    [await api.post("/v1/contacts", json={"company_id": roofs["id"]}) for _ in range(7)]

    deleted = await api.delete(f"{COMPANIES}/{roofs['id']}")

    assert deleted.json()["detail"].endswith(" and 2 more.")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"phones": ["call me"]}, "/phones/0"),
        ({"emails": ["a@roofs.de", "a@"]}, "/emails/1"),
        ({"owner": "Anna"}, "/owner"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    roofs = await firm(api)

    created = await api.post(COMPANIES, json={"name": "Roofs"} | sent)
    changed = await api.patch(f"{COMPANIES}/{roofs['id']}", json=sent)

    assert [created.status_code, changed.status_code] == [422, 422]
    assert [error["field"] for error in created.json()["errors"]] == [field]
    assert [error["field"] for error in changed.json()["errors"]] == [field]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_company_that_is_not_there_is_said(api: httpx2.AsyncClient, method: str) -> None:
    answer = await api.request(method, f"{COMPANIES}/4711", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no company 4711."
