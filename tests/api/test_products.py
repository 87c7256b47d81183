"""Products over HTTP, and deals that sell them."""

from typing import Any

import httpx2
import pytest

from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

PRODUCTS = "/v1/products"


async def product(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(PRODUCTS, json={"name": "Roof"} | said))


async def test_a_product_reads_as_created(api: httpx2.AsyncClient) -> None:
    roof = await product(api, series="Solar", price="550.5", currency="PLN")

    assert (await api.get(f"{PRODUCTS}/{roof['id']}")).json() == roof
    assert roof == {
        "id": roof["id"],
        "name": "Roof",
        "series": "Solar",
        "price": "550.50",
        "currency": "PLN",
        "external_id": None,
        "created_at": roof["created_at"],
        "version": 1,
    }


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient) -> None:
    roof = await product(api, price="550")

    changed = await api.patch(f"{PRODUCTS}/{roof['id']}", json={"series": "Solar"})

    assert changed.json() == roof | {"series": "Solar", "version": 2}


async def test_products_are_found_by_name_and_series_and_sorted_by_price(
    api: httpx2.AsyncClient,
) -> None:
    await product(api, name="Roof Pro", series="Roof", price="900")
    await product(api, name="Roof One", series="Roof", price="500")
    await product(api, name="Battery")

    roofs = await api.get(PRODUCTS, params={"q": "roof", "sort": "price", "limit": 1})
    rest = await api.get(
        PRODUCTS, params={"q": "roof", "sort": "price", "after": roofs.json()["next"]}
    )
    other = await api.get(PRODUCTS, params={"series": "Solar"})

    assert [each["name"] for each in roofs.json()["items"]] == ["Roof One"]
    assert [each["name"] for each in rest.json()["items"]] == ["Roof Pro"]
    assert other.json()["items"] == []


async def test_a_deal_takes_name_and_price_of_the_product_it_sells(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    roof = await product(api, price="550")
    rows = [
        {"product_id": roof["id"], "quantity": "2"},
        {"product_id": roof["id"], "name": "Old roof", "price": "10"},
        {"name": "Hours", "price": "80"},
    ]

    deal = await company.deal(product_rows=rows)

    assert deal["product_rows"] == [
        {"name": "Roof", "price": "550.00", "quantity": "2.00", "product_id": roof["id"]},
        {"name": "Old roof", "price": "10.00", "quantity": "1.00", "product_id": roof["id"]},
        {"name": "Hours", "price": "80.00", "quantity": "1.00", "product_id": None},
    ]


async def test_what_was_sold_stays_when_the_product_changes_or_goes(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    roof = await product(api, price="550")
    deal = await company.deal(product_rows=[{"product_id": roof["id"]}])
    await api.patch(f"{PRODUCTS}/{roof['id']}", json={"price": "600"})

    deleted = await api.delete(f"{PRODUCTS}/{roof['id']}")
    kept = [deal["product_rows"][0] | {"quantity": "3.00"}]
    changed = await api.patch(f"/v1/deals/{deal['id']}", json={"product_rows": kept})

    assert deleted.status_code == 204
    assert (await api.get(PRODUCTS)).json()["items"] == []
    assert (await api.get(f"{PRODUCTS}/{roof['id']}")).status_code == 404
    assert changed.json()["product_rows"] == kept


@on_one_database
@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"product_id": 4711}, "product_id", "There is no product 4711."),
        ({"price": "1"}, "name", "Say what is sold, or a product_id."),
        ({"name": "Hours"}, "price", "Say the price."),
    ],
    ids=["unknown", "nameless", "priceless"],
)
async def test_a_row_that_sells_nothing_is_refused_by_field(
    api: httpx2.AsyncClient, company: SmallCompany, row: dict[str, Any], field: str, reason: str
) -> None:
    await company.pipeline("New")
    good = {"name": "Hours", "price": "80"}

    refused = await api.post("/v1/deals", json={"title": "Roof", "product_rows": [good, row]})

    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert (error["field"], error["reason"]) == (f"/product_rows/1/{field}", reason)


async def test_a_product_without_price_needs_one_in_the_deal(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    roof = await product(api)

    refused = await api.post(
        "/v1/deals", json={"title": "Roof", "product_rows": [{"product_id": roof["id"]}]}
    )

    assert [each["reason"] for each in refused.json()["errors"]] == [
        "Say the price; the product has none."
    ]


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [({"name": ""}, "/name"), ({"price": "-1"}, "/price"), ({"currency": "XXQ"}, "/currency")],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    roof = await product(api)

    created = await api.post(PRODUCTS, json={"name": "Roof"} | sent)
    changed = await api.patch(f"{PRODUCTS}/{roof['id']}", json=sent)

    assert [each["field"] for each in created.json()["errors"]] == [field]
    assert [each["field"] for each in changed.json()["errors"]] == [field]
