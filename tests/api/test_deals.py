"""Deals over HTTP: made, found, changed with history, put into the bin."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from models.company import Company
from models.contact import Contact
from models.item_type import ItemType
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database


async def history(api: httpx2.AsyncClient, deal: Any, kind: str) -> list[tuple[Any, ...]]:
    answer = await api.get(f"/v1/items/{deal['id']}/history", params={"kind": kind})
    return [(line["field"], line["old"], line["new"]) for line in answer.json()["items"]]


async def test_a_deal_begins_in_the_first_stage_of_whoever_creates_it(
    company: SmallCompany, admin: User
) -> None:
    first, _ = await company.pipeline("New", "Won")

    deal = await company.deal()

    assert deal["stage_id"] == first
    assert (deal["responsible_id"], deal["creator_id"]) == (admin.id, admin.id)
    assert (deal["type"], deal["version"], deal["product_rows"]) == ("deal", 1, [])


async def test_a_deal_keeps_what_was_said_of_it(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    anna, ben, firm = Contact(first_name="Anna"), Contact(first_name="Ben"), Company(name="Firm")
    await company.add(anna, ben, firm)
    await company.custom("floors", "number")
    said = {
        "title": "Roof",
        "responsible_id": None,
        "contact_id": anna.id,
        "further_contact_ids": [ben.id],
        "company_id": firm.id,
        "amount": "1500.50",
        "currency": "PLN",
        "begin_date": "2027-01-01",
        "close_date": "2027-02-28",
        "source": "Fair",
        "comments": "Urgent",
        "custom": {"floors": 3},
        "product_rows": [
            {"name": "Tile", "price": "2.50", "quantity": "600.00", "product_id": None}
        ],
    }

    deal = await company.deal(**said)

    assert said.items() <= deal.items()
    assert (await api.get(f"/v1/deals/{deal['id']}")).json() == deal


async def test_a_deal_may_begin_in_a_pipeline_or_stage_of_choice(company: SmallCompany) -> None:
    await company.pipeline("New")
    first, second = await company.pipeline("Planned", "Built", name="Installation")

    by_stage = await company.deal(stage_id=second)
    by_pipeline = await company.deal(pipeline_id=by_stage["pipeline_id"])

    assert by_stage["stage_id"] == second
    assert by_pipeline["stage_id"] == first


@on_one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "   "),
        ("title", "x" * 201),
        ("title", None),
        ("amount", "0.001"),
        ("amount", "NaN"),
        ("amount", "1e30"),
        ("currency", "EURO"),
        ("currency", "XYZ"),
        ("close_date", "2027-02-30"),
        ("comments", "x" * 20_001),
        ("custom", {"no-name": 1}),
        ("custom", {"nested": {}}),
        ("custom", {f"x{n}": 1 for n in range(101)}),
        ("contact_id", 999),
        ("company_id", 999),
        ("further_contact_ids", [999]),
        ("responsible_id", 999),
        ("product_rows", [{"name": "Tile", "price": "-1"}]),
        ("product_rows", [{"name": "Tile", "price": "1", "quantity": "0"}]),
        ("surprise", 1),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    api: httpx2.AsyncClient, company: SmallCompany, field: str, value: object
) -> None:
    await company.pipeline("New")

    answer = await api.post("/v1/deals", json={"title": "Roof"} | {field: value})

    assert answer.status_code == 422
    assert {error["field"].split("/")[1] for error in answer.json()["errors"]} == {field}


async def test_a_deleted_client_cannot_be_linked(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    gone = Contact(first_name="Gus", deleted_at=datetime.now(UTC))
    await company.add(gone)

    answer = await api.post("/v1/deals", json={"title": "Roof", "contact_id": gone.id})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "/contact_id", "reason": f"There is no contact {gone.id}."}
    ]


async def test_a_deal_cannot_begin_in_a_stage_for_leads(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("Fresh", item_type=ItemType.LEAD)

    answer = await api.post("/v1/deals", json={"title": "Roof", "stage_id": stage})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/stage_id"


async def test_a_stage_of_another_pipeline_than_the_one_named_is_refused(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    await company.pipeline("Planned", name="Installation")
    deal = await company.deal()

    answer = await api.post(
        "/v1/deals",
        json={"title": "Roof", "stage_id": stage, "pipeline_id": deal["pipeline_id"] + 1},
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/stage_id"


async def test_a_change_is_kept_in_history(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    await company.pipeline("New")
    await company.custom("floors", "number")
    await company.custom("steep", "boolean")
    deal = await company.deal(amount="100", custom={"floors": 3, "steep": True})

    answer = await api.patch(
        f"/v1/deals/{deal['id']}",
        json={"amount": "250.50", "title": "Roof", "custom": {"floors": 4, "steep": None}},
    )

    changed = answer.json()
    assert (changed["amount"], changed["custom"]) == ("250.50", {"floors": 4})
    assert changed["version"] == 2
    assert sorted(await history(api, deal, "changed")) == [
        ("amount", "100.00", "250.50"),
        ("custom.floors", "3", "4"),
        ("custom.steep", "true", None),
    ]


async def test_what_does_not_change_leaves_no_trace(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    await company.custom("floors", "number")
    row = {"name": "Tile", "price": "2.50"}
    said = {"title": "Roof", "amount": "100", "custom": {"floors": 1}, "product_rows": [row]}
    deal = await company.deal(**said)

    answer = await api.patch(f"/v1/deals/{deal['id']}", json=said)

    assert answer.json() == deal
    assert await history(api, deal, "changed") == []


async def test_a_new_responsible_is_a_change_of_its_own_kind(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    bea = User(name="Bea")
    await company.add(bea)
    deal = await company.deal()

    answer = await api.patch(f"/v1/deals/{deal['id']}", json={"responsible_id": bea.id})

    assert answer.json()["responsible_id"] == bea.id
    assert await history(api, deal, "responsible changed") == [("responsible", "Ada Admin", "Bea")]


async def test_somebody_who_has_left_cannot_become_responsible(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    gus = User(name="Gus", active=False)
    await company.add(gus)
    deal = await company.deal()

    answer = await api.patch(f"/v1/deals/{deal['id']}", json={"responsible_id": gus.id})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/responsible_id"


async def test_products_and_further_contacts_count_as_changes(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    anna, ben = Contact(first_name="Anna"), Contact(first_name="Ben")
    await company.add(anna, ben)
    deal = await company.deal(product_rows=[{"name": "Tile", "price": "2.50"}])
    change = {
        "further_contact_ids": [ben.id, anna.id],
        "product_rows": [{"name": "Slate", "price": "4", "quantity": "10"}],
    }

    answer = await api.patch(f"/v1/deals/{deal['id']}", json=change)

    assert answer.json()["version"] == 2
    assert answer.json()["further_contact_ids"] == [anna.id, ben.id]
    assert await history(api, deal, "changed") == [
        ("product_rows", "1.00 × Tile at 2.50", "10.00 × Slate at 4.00")
    ]
    assert sorted(await history(api, deal, "linked")) == [
        ("further_contacts", None, str(anna.id)),
        ("further_contacts", None, str(ben.id)),
    ]
    assert (await api.get(f"/v1/deals/{deal['id']}")).json() == answer.json()


async def test_a_client_can_be_unlinked(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    await company.pipeline("New")
    anna = Contact(first_name="Anna")
    await company.add(anna)
    deal = await company.deal(contact_id=anna.id)

    answer = await api.patch(f"/v1/deals/{deal['id']}", json={"contact_id": None})

    assert answer.json()["contact_id"] is None
    assert await history(api, deal, "unlinked") == [("contact", str(anna.id), None)]


@pytest.mark.parametrize("field", ["stage_id", "pipeline_id", "title", "custom"])
async def test_stage_and_pipeline_are_changed_by_moving_only(
    company: SmallCompany, api: httpx2.AsyncClient, field: str
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await api.patch(f"/v1/deals/{deal['id']}", json={field: None})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"/{field}"


async def test_deals_are_found_by_what_they_are_tied_to(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    new, won = await company.pipeline("New", "Won")
    anna, firm = Contact(first_name="Anna"), Company(name="Firm")
    await company.add(anna, firm)
    mine = await company.deal(stage_id=won, contact_id=anna.id, company_id=firm.id)
    further = await company.deal(further_contact_ids=[anna.id], responsible_id=None)

    async def found(**where: int) -> list[int]:
        answer = await api.get("/v1/deals", params=where)
        return [deal["id"] for deal in answer.json()["items"]]

    assert await found() == [mine["id"], further["id"]]
    assert await found(stage_id=new) == [further["id"]]
    assert await found(pipeline_id=mine["pipeline_id"]) == [mine["id"], further["id"]]
    assert await found(responsible_id=mine["responsible_id"]) == [mine["id"]]
    assert await found(company_id=firm.id) == [mine["id"]]
    assert await found(contact_id=anna.id) == [mine["id"], further["id"]]
    assert await found(contact_id=anna.id, stage_id=won) == [mine["id"]]


async def test_a_deleted_deal_is_gone_and_its_rules_with_it(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    await company.rule(stage, timing={"kind": "after_delay", "amount": 1, "unit": "days"})
    deal = await company.deal()

    answer = await api.delete(f"/v1/deals/{deal['id']}")

    assert answer.status_code == 204
    gone = await api.get(f"/v1/deals/{deal['id']}")
    assert gone.status_code == 404
    assert gone.json()["detail"].endswith("It is in the recycle bin.")
    assert (await api.get("/v1/deals")).json()["items"] == []
    [run] = (await api.get(f"/v1/items/{deal['id']}/runs")).json()["items"]
    assert (run["state"], run["outcome"]) == ("dropped", "the item was deleted")


async def test_a_lead_is_no_deal(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    lead = await company.lead()

    answer = await api.get(f"/v1/deals/{lead['id']}")

    assert answer.status_code == 404
