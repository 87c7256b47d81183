"""Companies over HTTP."""

from typing import Any

import httpx2
import pytest

from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

COMPANIES = "/v1/companies"


async def firm(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(COMPANIES, json={"name": "Roofs & Co"} | said))


async def test_a_company_reads_as_created(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api, comments="Since 1990", phones=["030 1234567"], emails=["a@roofs.de"])

    assert (await api.get(f"{COMPANIES}/{roofs['id']}")).json() == roofs
    assert roofs == {
        "id": roofs["id"],
        "name": "Roofs & Co",
        "industry": None,
        "address": None,
        "founded_year": None,
        "employees": None,
        "annual_revenue": None,
        "parent_id": None,
        "comments": "Since 1990",
        "phones": ["030 1234567"],
        "emails": ["a@roofs.de"],
        "external_id": None,
        "made_by_run_id": None,
        "created_at": roofs["created_at"],
        "version": 1,
    }


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient) -> None:
    roofs = await firm(api, comments="Since 1990", phones=["030 1234567"], emails=["a@roofs.de"])
    changes = {"name": "Roofs", "emails": ["b@roofs.de", "a@roofs.de"]}

    changed = await api.patch(f"{COMPANIES}/{roofs['id']}", json=changes)

    assert changed.json() == roofs | changes | {"version": 2}
    assert (await api.get(COMPANIES)).json()["items"] == [roofs | changes | {"version": 2}]


async def test_a_company_says_what_it_is_and_whose_subsidiary(api: httpx2.AsyncClient) -> None:
    holding = await firm(api, name="Holding")
    said = {
        "industry": "roofing",
        "address": "Berlin",
        "founded_year": 1990,
        "employees": 12,
        "annual_revenue": "1250000.00",
        "parent_id": holding["id"],
    }

    roofs = await firm(api, **said)
    changed = await api.patch(f"{COMPANIES}/{roofs['id']}", json={"parent_id": None})
    found = await api.get(COMPANIES, params={"industry": "roofing"})

    assert {name: roofs[name] for name in said} == said
    assert changed.json()["parent_id"] is None
    assert [each["id"] for each in found.json()["items"]] == [roofs["id"]]


async def test_no_company_is_over_itself(api: httpx2.AsyncClient) -> None:
    top = await firm(api, name="Top")
    middle = await firm(api, name="Middle", parent_id=top["id"])
    bottom = await firm(api, name="Bottom", parent_id=middle["id"])

    refused = await api.patch(f"{COMPANIES}/{top['id']}", json={"parent_id": bottom["id"]})
    itself = await api.patch(f"{COMPANIES}/{top['id']}", json={"parent_id": top["id"]})

    assert refused.json()["errors"] == [
        {
            "field": "/parent_id",
            "reason": "Top cannot be a subsidiary of Bottom: that is a circle.",
        }
    ]
    assert itself.status_code == 422


async def test_a_company_with_a_subsidiary_stays(api: httpx2.AsyncClient) -> None:
    top = await firm(api)
    below = await firm(api, name="Below", parent_id=top["id"])

    deleted = await api.delete(f"{COMPANIES}/{top['id']}")

    assert deleted.status_code == 409
    assert deleted.json()["detail"].endswith(f"is still used: company {below['id']}.")


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


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"phones": ["call me"]}, "/phones/0"),
        ({"emails": ["a@roofs.de", "a@"]}, "/emails/1"),
        ({"owner": "Anna"}, "/owner"),
        ({"founded_year": 99999}, "/founded_year"),
        ({"parent_id": 4711}, "/parent_id"),
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


async def test_a_change_is_told_in_history_with_what_was_there_and_who_did_it(
    api: httpx2.AsyncClient, admin: User
) -> None:
    made = SmallCompany.made(await api.post("/v1/companies", json={"name": "Mills"}))

    await api.patch(f"/v1/companies/{made['id']}", json={"name": "Mills", "industry": "Grain"})

    (line,) = (await api.get("/v1/history?kind=changed")).json()["items"]
    assert (line["text"], line["author_id"]) == ("Industry: (empty) → Grain", admin.id)
    assert (line["subject_type"], line["subject_id"]) == ("company", made["id"])
