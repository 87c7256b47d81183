"""The recycle bin over HTTP."""

import httpx2

from models.item_type import ItemType
from tests.fixtures.api import SmallCompany


async def test_the_bin_shows_deleted_leads_and_deals(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    deal, lead, kept = await company.deal(), await company.lead(), await company.deal()
    await api.delete(f"/v1/deals/{deal['id']}")
    await api.delete(f"/v1/leads/{lead['id']}")

    deleted = (await api.get("/v1/recycle-bin")).json()["items"]

    assert [(item["type"], item["id"]) for item in deleted] == [
        ("deal", deal["id"]),
        ("lead", lead["id"]),
    ]
    assert deleted[0]["deleted_at"] is not None
    assert kept["id"] not in {item["id"] for item in deleted}


async def test_a_restored_item_is_no_longer_in_the_bin(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    await api.delete(f"/v1/deals/{deal['id']}")

    await api.post(f"/v1/items/{deal['id']}/restore")

    assert (await api.get("/v1/recycle-bin")).json() == {"items": [], "next": None}
