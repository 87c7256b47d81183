"""Users over HTTP."""

import asyncio
from typing import Any

import httpx2
import pytest

from models.user import Role, User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

USERS = "/v1/users"

NEVER: dict[str, Any] = {day: [] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


async def user(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(USERS, json={"name": "Bob"} | said))


async def department(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post("/v1/departments", json={"name": "Sales"} | said))


async def test_a_user_reads_as_created(api: httpx2.AsyncClient) -> None:
    sales = await department(api)

    made = await user(
        api,
        name="  Bob Builder ",
        email="Bob@EXAMPLE.com",
        role="manager",
        reach="own",
        department_id=sales["id"],
        locale="pl-PL",
        time_zone="Europe/Warsaw",
        absent_from="2026-12-24T00:00:00+01:00",
        working_hours={"mon": [["08:00", "12:00"], ["13:00", "24:00"]]},
        holiday_country="DE-BY",
    )

    assert (await api.get(f"{USERS}/{made['id']}")).json() == made
    assert made == {
        "id": made["id"],
        "name": "Bob Builder",
        "email": "Bob@example.com",
        "role": "manager",
        "reach": "own",
        "department_id": sales["id"],
        "locale": "pl_PL",
        "time_zone": "Europe/Warsaw",
        "active": True,
        "absent_from": "2026-12-23T23:00:00Z",
        "absent_until": None,
        "working_hours": NEVER | {"mon": [["08:00", "12:00"], ["13:00", "24:00"]]},
        "holiday_country": "DE-BY",
        "created_at": made["created_at"],
        "version": 1,
    }


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"working_hours": NEVER}, "/working_hours"),
        ({"working_hours": {"mon": [["18:00", "09:00"]]}}, "/working_hours/mon"),
        (
            {"working_hours": {"mon": [["09:00", "13:00"], ["12:00", "18:00"]]}},
            "/working_hours/mon",
        ),
        ({"working_hours": {"mon": [["9", "18"]]}}, "/working_hours/mon/0/0"),
        ({"working_hours": {"monday": []}}, "/working_hours/monday"),
        ({"holiday_country": "XX"}, "/holiday_country"),
        ({"holiday_country": "DE-XX"}, "/holiday_country"),
        ({"holiday_country": "de"}, "/holiday_country"),
    ],
    ids=str,
)
async def test_working_time_that_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    bob = await user(api)

    answer = await api.patch(f"{USERS}/{bob['id']}", json=sent)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient) -> None:
    sales = await department(api)
    bob = await user(api, role="manager", department_id=sales["id"], locale="de")

    changes = {"department_id": None, "name": "Rob", "reach": "own"}

    changed = await api.patch(f"{USERS}/{bob['id']}", json=changes)

    assert changed.json() == bob | changes | {"version": 2}


async def test_users_are_listed_by_department_and_by_whether_they_work_here(
    api: httpx2.AsyncClient,
) -> None:
    sales = await department(api)
    bob = await user(api, department_id=sales["id"])
    gone = await user(api, name="Gone", department_id=sales["id"], active=False)
    await user(api, name="Elsewhere")

    members = await api.get(USERS, params={"department_id": sales["id"]})
    working = await api.get(USERS, params={"department_id": sales["id"], "active": True})

    assert members.json()["items"] == [bob, gone]
    assert working.json()["items"] == [bob]


async def test_a_user_who_is_deleted_stays_known_but_works_here_no_more(
    api: httpx2.AsyncClient,
) -> None:
    bob = await user(api)

    deleted = await api.delete(f"{USERS}/{bob['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{USERS}/{bob['id']}")).json() == bob | {
        "active": False,
        "version": 2,
    }


async def test_the_last_administrator_stays(api: httpx2.AsyncClient, admin: User) -> None:
    deleted = await api.delete(f"{USERS}/{admin.id}")
    demoted = await api.patch(f"{USERS}/{admin.id}", json={"role": "agent"})

    assert [deleted.status_code, demoted.status_code] == [409, 409]
    assert deleted.json()["detail"] == "Ada Admin is the last active administrator."
    assert (await api.get(f"{USERS}/{admin.id}")).json()["role"] == "admin"


async def test_an_administrator_may_go_while_another_stays(
    api: httpx2.AsyncClient, admin: User
) -> None:
    await user(api, role="admin")

    deleted = await api.delete(f"{USERS}/{admin.id}")

    assert deleted.status_code == 204
    assert (await api.get(USERS)).status_code == 401


async def test_the_supervisor_is_the_head_above(api: httpx2.AsyncClient, admin: User) -> None:
    whole = await department(api, name="Everything", head_id=admin.id)
    sales = await department(api, parent_id=whole["id"])
    bob = await user(api, department_id=sales["id"])
    await api.patch(f"/v1/departments/{sales['id']}", json={"head_id": bob["id"]})

    above = await api.get(f"{USERS}/{bob['id']}/supervisor")

    assert above.json()["id"] == admin.id


async def test_nobody_above_is_said(api: httpx2.AsyncClient, admin: User) -> None:
    above = await api.get(f"{USERS}/{admin.id}/supervisor")

    assert above.status_code == 404
    assert above.json()["detail"] == "Nobody is above Ada Admin, or they are all away."


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": " "}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "Nul \0"}, "/name"),
        ({"name": "\u202b\t\u202c"}, "/name"),
        ({"email": "nobody"}, "/email"),
        ({"email": "x" * 320 + "@example.com"}, "/email"),
        ({"role": "king"}, "/role"),
        ({"department_id": 4711}, "/department_id"),
        ({"department_id": 0}, "/department_id"),
        ({"locale": "tlh_XX"}, "/locale"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"absent_from": "2026-01-01T00:00:00"}, "/absent_from"),
        (
            {"absent_from": "2026-01-02T00:00:00Z", "absent_until": "2026-01-01T00:00:00Z"},
            "/absent_until",
        ),
        ({"password": "secret"}, "/password"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    answer = await api.post(USERS, json={"name": "Bob"} | sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_an_absence_must_also_fit_what_is_there(api: httpx2.AsyncClient) -> None:
    bob = await user(api, absent_until="2026-01-01T00:00:00Z")

    answer = await api.patch(f"{USERS}/{bob['id']}", json={"absent_from": "2026-06-01T00:00:00Z"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/absent_until"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_user_who_is_not_there_is_said(api: httpx2.AsyncClient, method: str) -> None:
    answer = await api.request(method, f"{USERS}/4711", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no user 4711."


async def test_two_administrators_cannot_dismiss_each_other(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, admin: User
) -> None:
    eve = User(name="Eve", role=Role.ADMIN)
    await company.add(eve)
    api_of_eve = await sign_in(eve)

    answers = await asyncio.gather(
        api.patch(f"{USERS}/{eve.id}", json={"role": "agent"}),
        api_of_eve.patch(f"{USERS}/{admin.id}", json={"role": "agent"}),
    )

    assert sorted(answer.is_success for answer in answers) == [False, True]
    left = await api.get(USERS, params={"role": "admin"})
    assert len(left.json()["items"]) == 1
