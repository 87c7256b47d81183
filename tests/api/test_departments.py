"""Departments over HTTP."""

from typing import Any

import httpx2
import pytest

from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

DEPARTMENTS = "/v1/departments"


async def department(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(DEPARTMENTS, json={"name": "Sales"} | said))


async def user(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post("/v1/users", json={"name": "Bob"} | said))


async def test_a_department_reads_as_created(api: httpx2.AsyncClient, admin: User) -> None:
    whole = await department(api, name="Everything")

    sales = await department(api, parent_id=whole["id"], head_id=admin.id)

    assert (await api.get(f"{DEPARTMENTS}/{sales['id']}")).json() == sales
    assert sales == {
        "id": sales["id"],
        "name": "Sales",
        "parent_id": whole["id"],
        "head_id": admin.id,
        "created_at": sales["created_at"],
        "version": 1,
    }


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient, admin: User) -> None:
    whole = await department(api, name="Everything")
    sales = await department(api, parent_id=whole["id"], head_id=admin.id)

    changed = await api.patch(
        f"{DEPARTMENTS}/{sales['id']}", json={"name": "Selling", "parent_id": None}
    )

    assert changed.json() == sales | {"name": "Selling", "parent_id": None, "version": 2}


async def test_departments_below_another_are_listed(api: httpx2.AsyncClient) -> None:
    whole = await department(api, name="Everything")
    sales = await department(api, parent_id=whole["id"])

    below = await api.get(DEPARTMENTS, params={"parent_id": whole["id"]})

    assert below.json() == {"items": [sales], "next": None}


async def test_a_department_cannot_stand_under_itself_however_far_below(
    api: httpx2.AsyncClient,
) -> None:
    whole = await department(api, name="Everything")
    middle = await department(api, name="Middle", parent_id=whole["id"])
    sales = await department(api, parent_id=middle["id"])

    below = await api.patch(f"{DEPARTMENTS}/{whole['id']}", json={"parent_id": sales["id"]})
    itself = await api.patch(f"{DEPARTMENTS}/{whole['id']}", json={"parent_id": whole["id"]})

    assert [below.status_code, itself.status_code] == [422, 422]
    assert below.json()["errors"] == [
        {
            "field": "/parent_id",
            "reason": "Everything cannot stand under Sales: that is a circle.",
        }
    ]


async def test_an_empty_department_is_deleted(api: httpx2.AsyncClient, admin: User) -> None:
    whole = await department(api, name="Everything")
    sales = await department(api, head_id=admin.id, parent_id=whole["id"])

    deleted = await api.delete(f"{DEPARTMENTS}/{sales['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{DEPARTMENTS}/{sales['id']}")).status_code == 404


async def test_a_department_with_people_stays_and_they_are_named(api: httpx2.AsyncClient) -> None:
    sales = await department(api)
    bob = await user(api, department_id=sales["id"])
    below = await department(api, name="Below", parent_id=sales["id"])

    deleted = await api.delete(f"{DEPARTMENTS}/{sales['id']}")

    assert deleted.status_code == 409
    assert deleted.json()["detail"] == (
        f"Department {sales['id']} «Sales» is not empty: "
        f"user {bob['id']}, department {below['id']}."
    )


async def test_whoever_has_left_cannot_become_head(api: httpx2.AsyncClient) -> None:
    gone = await user(api, active=False)

    answer = await api.post(DEPARTMENTS, json={"name": "Sales", "head_id": gone["id"]})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "/head_id", "reason": f"User {gone['id']} is not active any more."}
    ]


async def test_a_head_who_has_left_meanwhile_does_not_stand_in_the_way(
    api: httpx2.AsyncClient,
) -> None:
    bob = await user(api)
    sales = await department(api, head_id=bob["id"])
    await api.delete(f"/v1/users/{bob['id']}")

    changed = await api.patch(
        f"{DEPARTMENTS}/{sales['id']}", json={"name": "Selling", "head_id": bob["id"]}
    )

    assert changed.json() == sales | {"name": "Selling", "version": 2}


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": None}, "/name"),
        ({"parent_id": 4711}, "/parent_id"),
        ({"head_id": 4711}, "/head_id"),
        ({"head_id": "Bob"}, "/head_id"),
        ({"colour": "red"}, "/colour"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    answer = await api.post(DEPARTMENTS, json={"name": "Sales"} | sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_department_that_is_not_there_is_said(api: httpx2.AsyncClient, method: str) -> None:
    answer = await api.request(method, f"{DEPARTMENTS}/4711", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no department 4711."
