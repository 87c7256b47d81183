"""Resources over HTTP: what can be booked beside people."""

from typing import Any

import httpx2
import pytest

from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

RESOURCES = "/v1/resources"

HOURS = {"mon": [["10:00", "16:00"]], "sat": [["10:00", "14:00"]]}


async def resource(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(RESOURCES, json={"name": "Crane"} | said))


async def test_a_resource_reads_as_created(api: httpx2.AsyncClient) -> None:
    crane = await resource(api, description="Lifts 3 t", working_hours=HOURS)

    assert (await api.get(f"{RESOURCES}/{crane['id']}")).json() == crane
    empty: dict[str, list[Any]] = {each: [] for each in ("tue", "wed", "thu", "fri", "sun")}
    assert crane == {
        "id": crane["id"],
        "name": "Crane",
        "description": "Lifts 3 t",
        "working_hours": HOURS | empty,
        "created_at": crane["created_at"],
        "version": 1,
    }


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient) -> None:
    crane = await resource(api, working_hours=HOURS)

    changed = await api.patch(f"{RESOURCES}/{crane['id']}", json={"working_hours": None})

    assert changed.json() == crane | {"working_hours": None, "version": 2}


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field", "reason"),
    [
        ({"name": " "}, "/name", "String should have at least 1 character"),
        ({"working_hours": {}}, "/working_hours", "at least one day of the week"),
        ({"working_hours": {"mon": [["9", "18:00"]]}}, "/working_hours/mon/0/0", "pattern"),
    ],
)
async def test_a_resource_that_makes_no_sense_is_refused(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str, reason: str
) -> None:
    answer = await api.post(RESOURCES, json={"name": "Crane"} | sent)

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]


async def test_resources_are_found_by_name(api: httpx2.AsyncClient) -> None:
    crane, _ = await resource(api), await resource(api, name="Van")

    found = await api.get(RESOURCES, params={"q": "cra", "sort": "name"})

    assert [each["id"] for each in found.json()["items"]] == [crane["id"]]


async def test_a_resource_that_is_booked_is_deleted_only_when_it_is_free(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    await company.custom("visit", "booking")
    crane, deal = await resource(api), await company.deal()
    booking = company.made(
        await api.post(
            "/v1/bookings",
            json={
                "item_id": deal["id"],
                "field": "visit",
                "service": "Survey",
                "starts_at": "2099-08-03T09:00:00Z",
                "ends_at": "2099-08-03T10:00:00Z",
                "resource_ids": [crane["id"]],
            },
        )
    )
    path = f"{RESOURCES}/{crane['id']}"

    refused = await api.delete(path)
    await api.delete(f"/v1/bookings/{booking['id']}")
    deleted = await api.delete(path)

    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        f"Resource {crane['id']} «Crane» is still booked: booking {booking['id']}."
    )
    assert deleted.status_code == 204
    assert (await api.get(path)).status_code == 404
    kept = await api.get(f"/v1/bookings/{booking['id']}")
    assert kept.json()["resource_ids"] == [crane["id"]]
