"""Answers that show an item: they show it where triggers have left it."""

from typing import Any

import httpx2
import pytest

from models.contact import Contact
from models.item_type import ItemType
from tests.fixtures.api import SmallCompany

PRODUCT = {"name": "Tile", "price": "1.00", "quantity": "2.00", "product_id": None}


async def hang(api: httpx2.AsyncClient, stage_id: int, code: str, **settings: Any) -> None:
    sent = {"type": code, "settings": settings}
    answer = await api.post(f"/v1/stages/{stage_id}/triggers", json=sent)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("item_type", ItemType)
async def test_a_change_that_a_trigger_waits_for_answers_with_the_new_stage(
    company: SmallCompany, api: httpx2.AsyncClient, item_type: ItemType
) -> None:
    anna = Contact(first_name="Anna")
    await company.add(anna)
    _, second = await company.pipeline("New", "Later", item_type=item_type)
    await hang(api, second, "field_changed", fields=["item.amount"])
    known = {"title": "Roof", "further_contact_ids": [anna.id], "product_rows": [PRODUCT]}
    item = company.made(await api.post(f"/v1/{item_type}s", json=known))
    path = f"/v1/{item_type}s/{item['id']}"

    answer = await api.patch(path, json={"amount": "7.00"})

    shown = answer.json()
    assert answer.status_code == 200, answer.text
    assert shown["stage_id"] == second
    assert (shown["further_contact_ids"], shown["product_rows"]) == ([anna.id], [PRODUCT])
    read = await api.get(path)
    assert read.json() == shown
    assert read.headers["ETag"] == answer.headers["ETag"]


async def test_a_change_that_no_trigger_means_answers_with_the_whole_item(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    first, second = await company.pipeline("New", "Later")
    await hang(api, second, "field_changed", fields=["deal.source"])
    deal = await company.deal()

    answer = await api.patch(f"/v1/deals/{deal['id']}", json={"amount": "7.00"})

    assert answer.json()["stage_id"] == first
    assert answer.json()["product_rows"] == []


async def test_a_move_that_a_trigger_goes_on_with_answers_with_the_last_stay(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    _, second, third = await company.pipeline("New", "Offer", "Won")
    deal = await company.deal()
    call = {
        "item_id": deal["id"],
        "kind": "call",
        "subject": "Offer",
        "complete_on_stage_change": True,
    }
    company.made(await api.post("/v1/crm-activities", json=call))
    await hang(api, third, "activity_completed")

    moved = await company.move(deal["id"], second)

    assert (moved["changed"], moved["item"]["stage_id"]) == (True, third)
    entries = (await api.get("/v1/stage-entries", params={"item_id": deal["id"]})).json()["items"]
    assert moved["stage_entry_id"] == max(each["id"] for each in entries)
    read = (await api.get(f"/v1/deals/{deal['id']}")).json()
    assert moved["item"]["version"] == read["version"]


async def test_a_payment_that_a_trigger_waits_for_answers_with_the_new_stage(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    first, second = await company.pipeline("New", "Later", item_type=ItemType.INVOICE)
    await hang(api, second, "field_changed", fields=["invoice.paid_at"])
    invoice = await company.invoice()

    paid = await api.post(f"/v1/invoices/{invoice['id']}/pay", json={})

    assert invoice["stage_id"] == first
    assert paid.json()["stage_id"] == second
    assert paid.json()["paid_at"] is not None


async def deals_with_a_call(company: SmallCompany, api: httpx2.AsyncClient) -> list[int]:
    """Add two deals, each with a call that completes itself when its deal leaves the stage."""
    deals = [(await company.deal())["id"] for _ in range(2)]
    for deal in deals:
        call = {"item_id": deal, "kind": "call", "subject": "Offer"}
        company.made(
            await api.post("/v1/crm-activities", json=call | {"complete_on_stage_change": True})
        )
    return deals


async def test_what_rules_may_delete_counts_where_triggers_leave_what_is_moved(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    first, second, third = await company.pipeline("New", "Offer", "Spam")
    deals = await deals_with_a_call(company, api)
    await hang(api, third, "activity_completed")
    rule = await company.rule(third, title="Away", action="delete_item", params={})
    asked = {"item_ids": deals, "stage_id": second}

    dry = company.made(await api.post("/v1/items/move", json=asked | {"dry": True}))
    stand = [(await api.get(f"/v1/deals/{deal}")).json()["stage_id"] for deal in deals]
    log = (await api.get(f"/v1/items/{deals[0]}/trigger-log")).json()["items"]
    refused = await api.post("/v1/items/move", json=asked)
    moved = company.made(await api.post("/v1/items/move", json=asked | {"confirm": 2}))

    assert (dry["destroys"], [each["rule_id"] for each in dry["rules"]]) == (2, [rule["id"]])
    assert [each["stage_entry_id"] for each in dry["verdicts"]] == [None, None]
    assert (stand, log) == ([first, first], [])
    assert refused.status_code == 409
    assert "«Away» may delete 2 of these items" in refused.json()["detail"]
    assert moved["counts"]["moved"] == 2
    assert (await api.get(f"/v1/deals/{deals[0]}")).json()["stage_id"] == third


async def test_who_moves_without_rules_gets_none_where_triggers_go_on(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    _, second, third = await company.pipeline("New", "Offer", "Won")
    deal, _ = await deals_with_a_call(company, api)
    await hang(api, third, "activity_completed")
    await company.rule(third)

    sent = {"stage_id": second, "automation": "skip"}
    moved = company.made(await api.post(f"/v1/items/{deal}/move", json=sent))

    assert moved["item"]["stage_id"] == third
    assert (await api.get(f"/v1/items/{deal}/runs")).json()["items"] == []
    [last, *_] = (await api.get(f"/v1/items/{deal}/history?kind=stage changed")).json()["items"]
    assert last["text"].startswith("Moved from «Offer» to «Won». Its rules were not run.")
