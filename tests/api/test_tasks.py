"""Tasks over HTTP."""

import asyncio
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from models.database import Database
from models.item import Item, lock_item
from models.task import Task
from models.task_fields import TaskStatus
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database, on_postgres, somebody_waits
from tests.fixtures.scene import until

TASKS = "/v1/tasks"

ILLEGAL = {
    ("awaiting control", "deferred"),
    ("completed", "awaiting control"),
    ("completed", "deferred"),
    ("deferred", "awaiting control"),
}
"""Which status no task gets from which."""


async def task(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post(TASKS, json={"title": "Call"} | said))


async def user(api: httpx2.AsyncClient, **said: Any) -> Any:
    return SmallCompany.made(await api.post("/v1/users", json={"name": "Bob"} | said))


async def test_a_task_reads_as_created(
    api: httpx2.AsyncClient, company: SmallCompany, admin: User
) -> None:
    await company.pipeline("New")
    deal, bob = await company.deal(), await user(api)
    said = {
        "title": "Call Anna",
        "description": "About the roof",
        "status": "in progress",
        "item_id": deal["id"],
        "further_item_ids": [],
        "responsible_id": bob["id"],
        "participant_ids": [bob["id"]],
        "observer_ids": [admin.id, bob["id"]],
        "starts_at": "2026-01-01T08:00:00Z",
        "ends_at": "2026-01-01T09:00:00Z",
        "deadline_at": "2026-01-02T00:00:00Z",
        "priority": "high",
        "tags": ["roof"],
        "checklist": [{"text": "Price", "done": True}, {"text": "Date"}],
        "time_tracking": True,
        "estimated_minutes": 90,
        "result_required": True,
        "result": "She buys",
    }

    made = await task(api, **said)

    assert (await api.get(f"{TASKS}/{made['id']}")).json() == made
    assert made == said | {
        "id": made["id"],
        "checklist": [{"text": "Price", "done": True}, {"text": "Date", "done": False}],
        "creator_id": admin.id,
        "completed_at": None,
        "spent_minutes": 0,
        "made_by_run_id": None,
        "created_at": made["created_at"],
        "version": 1,
    }


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient, admin: User) -> None:
    bob = await user(api)
    call = await task(
        api,
        responsible_id=admin.id,
        participant_ids=[admin.id, bob["id"]],
        observer_ids=[bob["id"]],
        tags=["roof"],
    )
    changes = {"responsible_id": None, "participant_ids": [bob["id"]], "priority": "low"}

    changed = await api.patch(f"{TASKS}/{call['id']}", json=changes)

    assert changed.json() == call | changes | {"version": 2}
    assert (await api.get(f"{TASKS}/{call['id']}")).json() == changed.json()


async def test_tasks_are_listed_by_item_person_and_status(
    api: httpx2.AsyncClient, company: SmallCompany, admin: User
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    of_deal = await task(api, item_id=deal["id"])
    of_admin = await task(api, responsible_id=admin.id, status="deferred")

    by_item = await api.get(TASKS, params={"item_id": deal["id"]})
    by_person = await api.get(TASKS, params={"responsible_id": admin.id})
    by_status = await api.get(TASKS, params={"status": "deferred"})

    assert by_item.json()["items"] == [of_deal]
    assert by_person.json()["items"] == [of_admin]
    assert by_status.json()["items"] == [of_admin]


async def test_a_task_is_tied_to_several_items_each_once(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    roof, cellar, attic = [(await company.deal())["id"] for _ in range(3)]

    made = await task(api, item_id=cellar, further_item_ids=[attic, roof, cellar, roof])
    path = f"{TASKS}/{made['id']}"
    same = SmallCompany.made(await api.patch(path, json={"further_item_ids": [roof, attic]}))
    other = SmallCompany.made(await api.patch(path, json={"item_id": roof}))
    fewer = SmallCompany.made(await api.patch(path, json={"further_item_ids": []}))

    assert [(each["item_id"], each["further_item_ids"]) for each in (made, same, other, fewer)] == [
        (cellar, [roof, attic]),
        (cellar, [roof, attic]),
        (roof, [attic]),
        (roof, []),
    ]
    assert [each["version"] for each in (made, same, other, fewer)] == [1, 1, 2, 3]
    assert (await api.get(path)).json() == fewer


async def test_tasks_are_found_by_each_item_that_they_are_tied_to(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    roof, cellar, attic = [(await company.deal())["id"] for _ in range(3)]
    both = await task(api, item_id=cellar, further_item_ids=[roof])
    one = await task(api, item_id=roof)

    found = [
        (await api.get(TASKS, params={"item_id": item_id})).json()["items"]
        for item_id in (roof, cellar, attic)
    ]

    assert found == [[both, one], [both], []]


async def test_further_items_need_a_first_one(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    roof, cellar = [(await company.deal())["id"] for _ in range(2)]
    both = await task(api, item_id=roof, further_item_ids=[cellar])
    path = f"{TASKS}/{both['id']}"

    created = await api.post(TASKS, json={"title": "Call", "further_item_ids": [roof]})
    untied = await api.patch(path, json={"item_id": None})
    neither = await api.patch(path, json={"item_id": None, "further_item_ids": []})

    reason = "Further items need a first one: send item_id, or no further_item_ids."
    assert [created.status_code, untied.status_code, neither.status_code] == [422, 422, 200]
    assert created.json()["errors"] == [{"field": "/item_id", "reason": reason}]
    assert untied.json()["errors"] == [{"field": "/item_id", "reason": reason}]


async def test_completing_a_task_is_remembered_until_it_is_taken_up_again(
    api: httpx2.AsyncClient,
) -> None:
    call = await task(api)

    completed = await api.patch(f"{TASKS}/{call['id']}", json={"status": "completed"})
    resumed = await api.patch(f"{TASKS}/{call['id']}", json={"status": "in progress"})

    assert completed.json()["completed_at"] is not None
    assert resumed.json() == call | {"status": "in progress", "version": 3}


@pytest.mark.parametrize("status", TaskStatus)
async def test_a_new_task_may_begin_in_any_status(
    api: httpx2.AsyncClient, status: TaskStatus
) -> None:
    made = await task(api, status=status)

    assert (made["status"], made["version"]) == (status, 1)
    assert (made["completed_at"] is not None) is (status is TaskStatus.COMPLETED)


@on_one_database
@pytest.mark.parametrize(
    ("present", "wanted", "possible"),
    [
        ("awaiting control", "deferred", "pending, in progress or completed"),
        ("completed", "awaiting control", "pending or in progress"),
        ("completed", "deferred", "pending or in progress"),
        ("deferred", "awaiting control", "pending, in progress or completed"),
    ],
)
async def test_a_status_that_does_not_follow_is_refused_with_those_that_do(
    api: httpx2.AsyncClient, present: str, wanted: str, possible: str
) -> None:
    call = await task(api, status=present)
    path = f"{TASKS}/{call['id']}"

    refused = await api.patch(path, json={"title": "Other", "status": wanted})

    reason = f"Task {call['id']} is {present}: it can become {possible}, not {wanted}."
    assert refused.status_code == 409
    assert refused.json()["errors"] == [{"field": "/status", "reason": reason}]
    assert (await api.get(path)).json() == call


def as_it_should_go(first: str, wanted: list[str]) -> list[tuple[int, str]]:
    """Return how requests for these statuses, one after another, are answered, and what is then."""
    came, present = [], first
    for each in wanted:
        refused = (present, each) in ILLEGAL
        present = present if refused else each
        came.append((409 if refused else 200, present))
    return came


async def asked(api: httpx2.AsyncClient, path: str, status: str) -> tuple[int, str]:
    answer = await api.patch(path, json={"status": status})
    return answer.status_code, (await api.get(path)).json()["status"]


@on_one_database
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.sampled_from([*map(str, TaskStatus)]),
    wanted=st.lists(st.sampled_from([*map(str, TaskStatus)]), min_size=1, max_size=8),
)
async def test_no_requests_in_any_order_give_a_task_a_status_that_does_not_follow(
    api: httpx2.AsyncClient, first: str, wanted: list[str]
) -> None:
    path = f"{TASKS}/{(await task(api, status=first))['id']}"

    came = [await asked(api, path, status) for status in wanted]

    assert came == as_it_should_go(first, wanted)


async def test_a_task_that_requires_a_result_is_not_noted_as_completed_without(
    api: httpx2.AsyncClient,
) -> None:
    said = {"title": "Call", "status": "completed", "result_required": True}

    without = await api.post(TASKS, json=said)
    having = await api.post(TASKS, json=said | {"result": "She buys"})

    assert [without.status_code, having.status_code] == [409, 201]
    assert without.json()["errors"][0]["field"] == "/result"


async def test_a_task_that_requires_a_result_is_not_completed_without(
    api: httpx2.AsyncClient,
) -> None:
    call = await task(api, result_required=True)

    without = await api.patch(f"{TASKS}/{call['id']}", json={"status": "completed"})
    having = await api.patch(
        f"{TASKS}/{call['id']}", json={"status": "completed", "result": "She buys"}
    )

    assert without.status_code == 409
    assert without.json()["errors"][0]["field"] == "/result"
    assert [having.status_code, having.json()["status"]] == [200, "completed"]


async def test_time_spent_is_added_up_and_can_be_taken_back(api: httpx2.AsyncClient) -> None:
    call = await task(api, time_tracking=True)
    path = f"{TASKS}/{call['id']}/time"

    spent = [
        SmallCompany.made(await api.post(path, json={"minutes": minutes}))["spent_minutes"]
        for minutes in (45, 30, -15)
    ]

    assert spent == [45, 75, 60]
    assert (await api.get(f"{TASKS}/{call['id']}")).json()["version"] == 4


async def test_no_more_time_is_taken_back_than_was_spent(api: httpx2.AsyncClient) -> None:
    call = await task(api, time_tracking=True)
    path = f"{TASKS}/{call['id']}/time"
    await api.post(path, json={"minutes": 10})

    answer = await api.post(path, json={"minutes": -11})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "/minutes", "reason": "10 minutes are noted; it would be -1."}
    ]


async def test_a_task_without_time_tracking_takes_no_time(api: httpx2.AsyncClient) -> None:
    call = await task(api)

    answer = await api.post(f"{TASKS}/{call['id']}/time", json={"minutes": 45})

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"Task {call['id']} has no time tracking."


async def test_lines_of_the_checklist_are_ticked_off(api: httpx2.AsyncClient) -> None:
    call = await task(api, checklist=[{"text": "Price"}, {"text": "Date"}])
    ticked = [{"text": "Price", "done": True}, {"text": "Date", "done": False}]

    changed = await api.patch(f"{TASKS}/{call['id']}", json={"checklist": ticked})

    assert changed.json()["checklist"] == ticked


async def test_a_deleted_task_is_gone(api: httpx2.AsyncClient) -> None:
    call = await task(api)

    deleted = await api.delete(f"{TASKS}/{call['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{TASKS}/{call['id']}")).status_code == 404
    assert (await api.get(TASKS)).json()["items"] == []


async def test_tasks_are_not_given_to_whoever_has_left(api: httpx2.AsyncClient) -> None:
    gone = await user(api, active=False)

    answer = await api.post(TASKS, json={"title": "Call", "responsible_id": gone["id"]})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "/responsible_id", "reason": f"User {gone['id']} is not active any more."}
    ]


async def test_tasks_are_not_tied_to_what_is_in_the_recycle_bin(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.pipeline("New")
    deal, there = await company.deal(), await company.deal()
    await api.delete(f"/v1/deals/{deal['id']}")

    answer = await api.post(TASKS, json={"title": "Call", "item_id": deal["id"]})
    further = {"title": "Call", "item_id": there["id"], "further_item_ids": [deal["id"]]}
    answer_of_further = await api.post(TASKS, json=further)

    assert [answer.status_code, answer_of_further.status_code] == [422, 422]
    assert answer.json()["errors"][0]["field"] == "/item_id"
    assert answer_of_further.json()["errors"][0]["field"] == "/further_item_ids/0"


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"title": ""}, "/title"),
        ({"title": "x" * 1001}, "/title"),
        ({"status": "done"}, "/status"),
        ({"item_id": 4711}, "/item_id"),
        ({"further_item_ids": [4711]}, "/further_item_ids/0"),
        ({"further_item_ids": 4711}, "/further_item_ids"),
        ({"responsible_id": 4711}, "/responsible_id"),
        ({"participant_ids": [4711]}, "/participant_ids/0"),
        ({"observer_ids": [4711]}, "/observer_ids/0"),
        ({"starts_at": "tomorrow"}, "/starts_at"),
        ({"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, "/ends_at"),
        ({"checklist": [{"text": "Price", "checked": True}]}, "/checklist/0/checked"),
        ({"estimated_minutes": 30}, "/estimated_minutes"),
        ({"estimated_minutes": -1, "time_tracking": True}, "/estimated_minutes"),
        ({"spent_minutes": 30}, "/spent_minutes"),
        ({"tags": ["x" * 201]}, "/tags/0"),
        ({"creator_id": 1}, "/creator_id"),
    ],
    ids=lambda sent: str(sent)[:40],
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, sent: dict[str, Any], field: str
) -> None:
    call = await task(api)

    created = await api.post(TASKS, json={"title": "Call"} | sent)
    changed = await api.patch(f"{TASKS}/{call['id']}", json=sent)

    assert [created.status_code, changed.status_code] == [422, 422]
    assert [error["field"] for error in created.json()["errors"]] == [field]
    assert [error["field"] for error in changed.json()["errors"]] == [field]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_task_that_is_not_there_is_said(api: httpx2.AsyncClient, method: str) -> None:
    answer = await api.request(method, f"{TASKS}/4711", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no task 4711."


@on_postgres
async def test_who_ties_a_task_to_further_items_waits_for_them_before_it_locks_any_later_one(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    _, won = await company.pipeline("New", "Won")
    watch = {"type": "task_status", "settings": {"status": "completed"}}
    company.made(await api.post(f"/v1/stages/{won}/triggers", json=watch))
    roof, cellar = await company.deal(), await company.deal()
    made = await task(api, item_id=cellar["id"])
    changes = {"further_item_ids": [roof["id"]], "status": "completed"}

    async with database.transaction() as session:
        await lock_item(session, roof["id"])
        tying = asyncio.create_task(api.patch(f"{TASKS}/{made['id']}", json=changes))
        await until(lambda: somebody_waits(database))
        # If it had locked the other item or the task first, the two would wait for each other.
        item = select(Item).where(Item.id == cellar["id"])
        await session.execute(item.with_for_update(nowait=True))
        await session.execute(select(Task).with_for_update(nowait=True))
    answer = await tying

    assert company.made(answer)["further_item_ids"] == [roof["id"]]
    assert company.made(await api.get(f"/v1/deals/{roof['id']}"))["stage_id"] == won
    assert company.made(await api.get(f"/v1/deals/{cellar['id']}"))["stage_id"] == won
