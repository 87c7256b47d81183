"""What is true of the action of CONTRIBUTING once its file is there: see test_worked_example."""

from typing import Any

import httpx2

from tests.fixtures.api import SmallCompany
from tests.fixtures.runner import Runner


async def test_the_catalogue_lists_it(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/actions", params={"limit": 200})

    listed = {each["code"]: each for each in answer.json()["items"]}
    assert listed["set_task_priority"]["title"] == "Set task priority"
    assert listed["set_task_priority"]["params"]["properties"]["priority"]["default"] == "high"


async def test_a_rule_with_it_runs(
    api: httpx2.AsyncClient, company: SmallCompany, runner: Runner
) -> None:
    new, complaint = await company.pipeline("New", "Complaint")
    await company.rule(complaint, action="set_task_priority", params={})
    deal = await company.deal(stage_id=new)
    task: Any = company.made(
        await api.post("/v1/tasks", json={"title": "Call back", "item_id": deal["id"]})
    )
    moved = await company.move(deal["id"], complaint)

    await runner.do(moved["stage_entry_id"])

    [run] = (await api.get(f"/v1/items/{deal['id']}/runs")).json()["items"]
    assert (run["action"], run["state"]) == ("set_task_priority", "done")
    assert (await api.get(f"/v1/tasks/{task['id']}")).json()["priority"] == "high"
