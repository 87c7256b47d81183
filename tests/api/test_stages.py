"""Stages over HTTP."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

STAGES = "/v1/stages"
LATER = {"kind": "after_delay", "amount": 1, "unit": "days"}


async def pipeline(api: httpx2.AsyncClient) -> int:
    answer = await api.post("/v1/pipelines", json={"name": "Sales", "item_type": "deal"})
    return int(SmallCompany.made(answer)["id"])


async def stage(api: httpx2.AsyncClient, pipeline_id: int, name: str, **said: Any) -> Any:
    body = {"pipeline_id": pipeline_id, "name": name} | said
    return SmallCompany.made(await api.post(STAGES, json=body))


async def order(api: httpx2.AsyncClient, pipeline_id: int) -> list[tuple[str, int]]:
    found = (await api.get(STAGES, params={"pipeline_id": pipeline_id})).json()["items"]
    return [(each["name"], each["position"]) for each in found]


async def test_a_stage_reads_as_created(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)

    won = await stage(api, sales, "Won", kind="won")

    assert (await api.get(f"{STAGES}/{won['id']}")).json() == won
    assert won == {
        "id": won["id"],
        "pipeline_id": sales,
        "name": "Won",
        "kind": "won",
        "position": 0,
        "created_at": won["created_at"],
        "version": 1,
    }


async def test_a_new_stage_is_the_last_or_where_it_is_wanted(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)

    await stage(api, sales, "New")
    await stage(api, sales, "Won")
    await stage(api, sales, "Talks", position=1)
    await stage(api, sales, "Lost", position=99)

    assert await order(api, sales) == [("New", 0), ("Talks", 1), ("Won", 2), ("Lost", 3)]


@pytest.mark.parametrize(
    ("position", "expected"),
    [(0, ["Won", "New", "Talks"]), (1, ["New", "Won", "Talks"]), (9, ["New", "Talks", "Won"])],
)
async def test_a_stage_is_moved_and_the_others_make_room(
    api: httpx2.AsyncClient, position: int, expected: list[str]
) -> None:
    sales = await pipeline(api)
    await stage(api, sales, "New")
    await stage(api, sales, "Talks")
    won = await stage(api, sales, "Won")

    changed = await api.patch(f"{STAGES}/{won['id']}", json={"position": position})

    assert changed.json()["position"] == expected.index("Won")
    assert await order(api, sales) == [(name, place) for place, name in enumerate(expected)]


async def test_a_stage_gets_another_name_and_kind_in_its_place(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)
    await stage(api, sales, "New")
    talks = await stage(api, sales, "Talks")

    changed = await api.patch(f"{STAGES}/{talks['id']}", json={"name": "Lost", "kind": "lost"})

    assert changed.json() == talks | {"name": "Lost", "kind": "lost", "version": 2}


async def test_pages_follow_the_order_of_stages(api: httpx2.AsyncClient) -> None:
    sales, other = await pipeline(api), await pipeline(api)
    elsewhere = await stage(api, other, "Elsewhere")
    second = await stage(api, sales, "Second")
    first = await stage(api, sales, "First", position=0)
    second |= {"position": 1, "version": 2}

    one = (await api.get(STAGES, params={"limit": 2})).json()
    two = (await api.get(STAGES, params={"limit": 2, "after": one["next"]})).json()

    assert one["items"] == [first, second]
    assert two == {"items": [elsewhere], "next": None}


async def test_an_idle_stage_is_deleted_with_its_rules(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    sales = await pipeline(api)
    new, won = await stage(api, sales, "New"), await stage(api, sales, "Won")
    rule = await company.rule(new["id"])

    deleted = await api.delete(f"{STAGES}/{new['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{STAGES}/{new['id']}")).status_code == 404
    assert (await api.get(f"/v1/rules/{rule['id']}")).status_code == 404
    assert (await company.deal())["stage_id"] == won["id"]


async def test_a_stage_with_items_and_waiting_runs_stays(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    sales = await pipeline(api)
    new = await stage(api, sales, "New")
    await company.rule(new["id"], timing=LATER)
    await company.deal()

    deleted = await api.delete(f"{STAGES}/{new['id']}")

    assert deleted.status_code == 409
    assert deleted.json()["detail"] == (
        f"Stage {new['id']} «New» is still used: 1 item, 1 waiting rule run."
    )


async def test_a_stage_whose_rules_still_wait_for_items_that_have_left_stays(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    sales = await pipeline(api)
    new, won = await stage(api, sales, "New"), await stage(api, sales, "Won")
    await company.rule(new["id"], timing=LATER, keep_when_item_leaves=True)
    one, two = await company.deal(), await company.deal()
    await company.move(one["id"], won["id"])
    await company.move(two["id"], won["id"])

    deleted = await api.delete(f"{STAGES}/{new['id']}")

    assert deleted.status_code == 409
    assert deleted.json()["detail"] == (
        f"Stage {new['id']} «New» is still used: 2 waiting rule runs."
    )


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": ""}, "/name"),
        ({"kind": "good"}, "/kind"),
        ({"position": -1}, "/position"),
        ({"position": None, "colour": "red"}, "/colour"),
        ({"pipeline_id": 4711}, "/pipeline_id"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    sales = await pipeline(api)

    answer = await api.post(STAGES, json={"pipeline_id": sales, "name": "New"} | sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_stage_stays_in_its_pipeline(api: httpx2.AsyncClient) -> None:
    sales, other = await pipeline(api), await pipeline(api)
    new = await stage(api, sales, "New")

    changed = await api.patch(f"{STAGES}/{new['id']}", json={"pipeline_id": other})

    assert changed.status_code == 422
    assert changed.json()["errors"][0]["field"] == "/pipeline_id"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_stage_that_is_not_there_is_said(api: httpx2.AsyncClient, method: str) -> None:
    answer = await api.request(method, f"{STAGES}/4711", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no stage 4711."


async def test_no_item_enters_a_stage_that_is_being_deleted(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    sales = await pipeline(api)
    await stage(api, sales, "New")
    won = await stage(api, sales, "Won")
    deal = await company.deal()
    to_won = {"stage_id": won["id"]}

    moved, deleted = await asyncio.gather(
        api.post(f"/v1/items/{deal['id']}/move", json=to_won), api.delete(f"{STAGES}/{won['id']}")
    )

    assert (moved.status_code, deleted.status_code) in {(200, 409), (422, 204)}
