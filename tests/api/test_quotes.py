"""Quotes over HTTP: what is offered, for how much, until when."""

import httpx2
import pytest

from models.contact import Contact
from models.item_type import ItemType
from models.user import User
from tests.fixtures.api import SmallCompany


@pytest.fixture(autouse=True)
async def pipeline(company: SmallCompany) -> list[int]:
    return await company.pipeline("Draft", "Sent", name="Quotes", item_type=ItemType.QUOTE)


async def test_a_quote_begins_in_the_first_stage_of_the_quotes(
    company: SmallCompany, pipeline: list[int], admin: User
) -> None:
    await company.pipeline("New")

    quote = await company.quote()

    assert (quote["type"], quote["stage_id"], quote["version"]) == ("quote", pipeline[0], 1)
    assert (quote["responsible_id"], quote["creator_id"]) == (admin.id, admin.id)


async def test_a_quote_keeps_what_was_said_of_it(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    anna, ben = Contact(first_name="Anna"), Contact(first_name="Ben")
    await company.add(anna, ben)
    await company.custom("discount", "number", item_type="quote")
    said = {
        "title": "Roof",
        "contact_id": anna.id,
        "further_contact_ids": [ben.id],
        "amount": "1500.50",
        "currency": "PLN",
        "close_date": "2027-02-28",
        "custom": {"discount": 3},
        "product_rows": [
            {"name": "Tile", "price": "2.50", "quantity": "600.00", "product_id": None}
        ],
    }

    quote = await company.quote(**said)

    assert said.items() <= quote.items()
    assert (await api.get(f"/v1/quotes/{quote['id']}")).json() == quote
    assert (await api.get("/v1/quotes")).json()["items"] == [quote]


async def test_quotes_are_found_by_their_custom_fields_and_by_what_they_were_made_from(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.custom("discount", "number", item_type="quote")
    wanted, _ = await company.quote(custom={"discount": 3}), await company.quote()

    by_field = await api.get("/v1/quotes", params={"custom[discount]": "3"})
    by_source = await api.get("/v1/quotes", params={"source_item_id": wanted["id"]})

    assert [each["id"] for each in by_field.json()["items"]] == [wanted["id"]]
    assert by_source.json()["items"] == []


async def test_history_calls_the_last_day_valid_until(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    quote = await company.quote()

    changed = await api.patch(f"/v1/quotes/{quote['id']}", json={"close_date": "2027-03-31"})

    lines = (await api.get(f"/v1/items/{quote['id']}/history?kind=changed")).json()["items"]
    assert changed.json()["close_date"] == "2027-03-31"
    assert [line["text"] for line in lines] == ["Valid until: (empty) → 2027-03-31"]


async def test_a_quote_goes_into_the_recycle_bin_and_comes_back(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    quote = await company.quote()

    deleted = await api.delete(f"/v1/quotes/{quote['id']}")
    gone = await api.get(f"/v1/quotes/{quote['id']}")
    restored = await api.post(f"/v1/items/{quote['id']}/restore")

    assert (deleted.status_code, gone.status_code) == (204, 404)
    assert gone.json()["detail"] == f"There is no quote {quote['id']}. It is in the recycle bin."
    assert restored.json()["type"] == "quote"


async def test_a_deal_is_no_quote(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await api.get(f"/v1/quotes/{deal['id']}")

    assert answer.status_code == 404


async def test_rules_of_a_stage_of_quotes_speak_of_the_quote(
    company: SmallCompany, api: httpx2.AsyncClient, pipeline: list[int]
) -> None:
    rule = {"title": "Note", "action": "add_history_entry"}
    path = f"/v1/stages/{pipeline[0]}/rules"

    made = await api.post(path, json=rule | {"params": {"text": "{{ quote.title }}"}})
    refused = await api.post(path, json=rule | {"params": {"text": "{{ deal.title }}"}})

    assert made.status_code == 201
    assert refused.status_code == 422
    assert "unknown field deal.title" in refused.json()["detail"]


async def test_the_workflow_of_a_quote_is_called_after_it(
    company: SmallCompany, api: httpx2.AsyncClient, pipeline: list[int]
) -> None:
    await company.rule(pipeline[0])

    quote = await company.quote()

    [run] = (await api.get(f"/v1/items/{quote['id']}/agenda")).json()["items"]
    assert run["workflow_id"] == f"quote-{quote['id']}-entry-{run['stage_entry_id']}"


async def test_a_lead_sells_products_too(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    tile = {"name": "Tile", "price": "2.50", "quantity": "600.00", "product_id": None}
    ridge = {"name": "Ridge", "price": "9.00", "quantity": "1.00", "product_id": None}
    lead = await company.lead(product_rows=[tile])

    changed = await api.patch(f"/v1/leads/{lead['id']}", json={"product_rows": [tile, ridge]})

    assert lead["product_rows"] == [tile]
    assert changed.json()["product_rows"] == [tile, ridge]
    assert (await api.get(f"/v1/leads/{lead['id']}")).json() == changed.json()


async def test_texts_speak_of_the_products_of_a_lead(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    lead = await company.lead(product_rows=[{"name": "Tile", "price": "2.50", "quantity": "600"}])

    answer = await api.post(
        f"/v1/items/{lead['id']}/preview/text",
        json={
            "text": "{% for each in lead.products %}{{ each.name }}: {{ each.total }}{% endfor %}"
        },
    )

    assert answer.json()["text"] == "Tile: 1500.0000"
