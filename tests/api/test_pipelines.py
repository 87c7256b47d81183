"""Pipelines over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

PIPELINES = "/v1/pipelines"
SALES = {
    "name": "Sales",
    "item_type": "deal",
    "stages": [{"name": "New"}, {"name": "Won", "kind": "won"}],
}


async def pipeline(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(PIPELINES, json=SALES | said))


async def test_a_pipeline_comes_with_its_stages_in_order(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)

    assert (await api.get(f"{PIPELINES}/{sales['id']}")).json() == sales
    assert [sales["name"], sales["item_type"]] == ["Sales", "deal"]
    assert [
        (stage["name"], stage["kind"], stage["position"], stage["pipeline_id"])
        for stage in sales["stages"]
    ] == [("New", "open", 0, sales["id"]), ("Won", "won", 1, sales["id"])]


async def test_a_pipeline_may_begin_without_stages(api: httpx2.AsyncClient) -> None:
    made = await api.post(PIPELINES, json={"name": "Leads", "item_type": "lead"})

    assert made.status_code == 201
    assert made.json()["stages"] == []


async def test_pipelines_of_an_item_type_are_listed(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)
    await pipeline(api, item_type="lead")

    found = await api.get(PIPELINES, params={"item_type": "deal"})

    assert found.json() == {"items": [sales], "next": None}


async def test_a_pipeline_is_renamed(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)

    changed = await api.patch(f"{PIPELINES}/{sales['id']}", json={"name": "Selling"})

    assert changed.json() == sales | {"name": "Selling", "version": 2}


async def test_an_idle_pipeline_is_deleted_with_its_stages(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)

    deleted = await api.delete(f"{PIPELINES}/{sales['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{PIPELINES}/{sales['id']}")).status_code == 404
    assert (await api.get(f"/v1/stages/{sales['stages'][0]['id']}")).status_code == 404
    assert (await api.get(PIPELINES)).json()["items"] == []


async def test_a_pipeline_with_items_stays(api: httpx2.AsyncClient, company: SmallCompany) -> None:
    sales = await pipeline(api)
    await company.deal(pipeline_id=sales["id"])
    await company.deal(pipeline_id=sales["id"])

    deleted = await api.delete(f"{PIPELINES}/{sales['id']}")

    assert deleted.status_code == 409
    assert deleted.json()["detail"] == f"Pipeline {sales['id']} «Sales» is still used: 2 items."


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": ""}, "/name"),
        ({"item_type": "order"}, "/item_type"),
        ({"stages": [{"name": "New"}, {"name": "Won", "kind": "good"}]}, "/stages/1/kind"),
        ({"stages": [{"name": "New", "position": 3}]}, "/stages/0/position"),
        ({"stages": [{"name": "New"}] * 51}, "/stages"),
        ({"colour": "red"}, "/colour"),
    ],
    ids=lambda sent: str(sent)[:40],
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    answer = await api.post(PIPELINES, json=SALES | sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_item_type_of_a_pipeline_stays(api: httpx2.AsyncClient) -> None:
    sales = await pipeline(api)

    changed = await api.patch(f"{PIPELINES}/{sales['id']}", json={"item_type": "lead"})

    assert changed.status_code == 422
    assert changed.json()["errors"][0]["field"] == "/item_type"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_pipeline_that_is_not_there_is_said(api: httpx2.AsyncClient, method: str) -> None:
    answer = await api.request(method, f"{PIPELINES}/4711", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no pipeline 4711."
