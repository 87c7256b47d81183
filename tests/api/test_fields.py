"""What texts, conditions and timing can speak of, as the API tells it."""

from typing import Any

import httpx2
import pytest

from tests.fixtures.api import SmallCompany


async def fields(api: httpx2.AsyncClient, **asked: str) -> dict[str, Any]:
    page = (await api.get("/v1/fields", params={"limit": "200", **asked})).json()
    return {each["path"]: each for each in page["items"]}


async def test_every_field_is_told_with_its_kind_and_operators(api: httpx2.AsyncClient) -> None:
    told = await fields(api)

    assert told["deal.amount"] == {
        "path": "deal.amount",
        "title": "Amount",
        "kind": "money",
        "choices": [],
        "columns": [],
        "operators": [
            *("=", "!=", "<", "<=", ">", ">=", "between", "in", "not in"),
            *("empty", "not empty", "changed since entry"),
        ],
    }
    assert told["deal.products"]["columns"] == ["name", "price", "quantity", "total"]
    assert "lead.phone" not in told


async def test_custom_fields_are_among_them(api: httpx2.AsyncClient, company: SmallCompany) -> None:
    await company.custom("source_kind", "list", choices=["Fair", "Web"])

    told = await fields(api)

    assert told["deal.custom.source_kind"]["choices"] == ["Fair", "Web"]


@pytest.mark.parametrize("path", ["lead.phone", "item.is_repeat", "responsible.name"])
async def test_leads_have_fields_of_their_own(api: httpx2.AsyncClient, path: str) -> None:
    told = await fields(api, item_type="lead")

    assert path in told
    assert "deal.title" not in told
