"""Triggers: what somebody or something has done moves deals on by itself."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

OF_INVOICES = {"field": "task.title", "operator": "contains", "value": "invoice"}
AN_HOUR = {"kind": "after_delay", "amount": 1, "unit": "hours"}


@pytest.fixture
async def stages(world: World) -> dict[str, int]:
    """The stages of a pipeline for deals; its second makes the task, its last has a rule."""
    names = ("New", "Prepare invoice", "Check", "Send invoice to client")
    world.stages = await world.pipeline("Sales", *names)
    await world.rule(
        world.stages["Prepare invoice"], "create_task", params={"title": "Prepare the invoice"}
    )
    await world.rule(
        world.stages["Send invoice to client"],
        "create_task",
        params={"title": "Send it to the client"},
    )
    return world.stages


async def trigger(world: World, stage: str, **said: Any) -> Any:
    """Hang a trigger on a stage that waits for a task to get a status."""
    settings = {"status": "completed", "filter": OF_INVOICES}
    body = {"type": "task_status", "settings": settings} | said
    return await world.post(f"/v1/stages/{world.stages[stage]}/triggers", body)


async def deal_in(world: World, stage: str, **said: Any) -> Any:
    body = {"title": "Roof", "stage_id": world.stages[stage]} | said
    deal = await world.post("/v1/deals", body)
    await world.settle()
    return deal


async def where(world: World, deal: Any) -> str:
    """Return the name of the stage that a deal stands in."""
    stage_id = (await world.get(f"/v1/deals/{deal['id']}"))["stage_id"]
    return next(name for name, each in world.stages.items() if each == stage_id)


async def tasks(world: World, deal: Any) -> dict[str, str]:
    """Return the status of each task of a deal, by title."""
    page = await world.get(f"/v1/tasks?item_id={deal['id']}")
    return {task["title"]: task["status"] for task in page["items"]}


async def set_status(world: World, task_id: int, status: str) -> None:
    await world.patch(f"/v1/tasks/{task_id}", {"status": status})
    await world.settle()


async def the_task(world: World, deal: Any) -> int:
    (task,) = (await world.get(f"/v1/tasks?item_id={deal['id']}"))["items"]
    task_id: int = task["id"]
    return task_id


async def followed(world: World, deal: Any, task: Any, status: str) -> str:
    """Give a task a status and return the stage in which its deal stands then."""
    await set_status(world, task["id"], status)
    return await where(world, deal)


async def log_of(world: World, deal: Any) -> list[Any]:
    """Return what triggers have considered for a deal, oldest first."""
    page = await world.get(f"/v1/items/{deal['id']}/trigger-log?sort=id")
    lines: list[Any] = page["items"]
    return lines


async def test_the_task_of_preparing_the_invoice_is_completed_and_the_deal_goes_to_send_it(
    world: World, stages: dict[str, int]
) -> None:
    rita = await world.post("/v1/users", {"name": "Rita"})
    made = await trigger(world, "Send invoice to client", name="Invoice is ready")
    deal = await deal_in(world, "Prepare invoice", responsible_id=rita["id"])
    task_id = await the_task(world, deal)

    await set_status(world, task_id, "in progress")
    meanwhile = await where(world, deal)
    await set_status(world, task_id, "completed")

    assert meanwhile == "Prepare invoice"
    assert await where(world, deal) == "Send invoice to client"
    assert await tasks(world, deal) == {
        "Prepare the invoice": "completed",
        "Send it to the client": "pending",
    }
    page = await world.get(f"/v1/items/{deal['id']}/history?kind=stage%20changed")
    (moved,) = page["items"]
    assert (moved["author_id"], moved["trigger_id"]) == (rita["id"], made["id"])
    assert moved["text"] == (
        "Moved from «Prepare invoice» to «Send invoice to client». "
        f"By trigger {made['id']} «Invoice is ready», as Rita."
    )
    begun, completed = await log_of(world, deal)
    assert begun["outcome"] == "other settings"
    assert completed["what_happened"] == f"Task {task_id} «Prepare the invoice» is completed"
    assert (completed["outcome"], completed["cause_user_id"]) == ("moved", world.admin.id)


async def test_a_task_whose_title_lacks_the_word_moves_nothing(
    world: World, stages: dict[str, int]
) -> None:
    await trigger(world, "Send invoice to client")
    deal = await deal_in(world, "New")
    call = await world.post("/v1/tasks", {"title": "Call Anna", "item_id": deal["id"]})

    await set_status(world, call["id"], "completed")

    assert await where(world, deal) == "New"
    (line,) = await log_of(world, deal)
    assert line["outcome"] == "other settings"
    assert "task.title is Call Anna, needed contains invoice" in line["reason"]


async def test_a_rule_that_completes_tasks_so_moves_its_own_deal(
    world: World, stages: dict[str, int]
) -> None:
    await trigger(world, "Send invoice to client")
    check = stages["Check"]
    await world.rule(check, "complete_tasks", params={"stages": [stages["Prepare invoice"]]})
    await world.rule(check, "create_task", params={"title": "Too late"}, timing=AN_HOUR)
    deal = await deal_in(world, "Prepare invoice")

    await world.move(deal["id"], check)
    await world.advance(timedelta(hours=2))

    assert await where(world, deal) == "Send invoice to client"
    assert await tasks(world, deal) == {
        "Prepare the invoice": "completed",
        "Send it to the client": "pending",
    }
    _, completing, late, _ = runs = await world.runs(deal["id"])
    assert [run["state"] for run in runs] == ["done", "done", "dropped", "done"]
    task_id = completing["result"]["titles"].split()[0]
    assert completing["outcome"] == f"Completed task {task_id} «Prepare the invoice»."
    assert late["outcome"] == "left the stage"
    (line,) = await log_of(world, deal)
    assert (line["outcome"], line["cause_run_id"]) == ("moved", completing["id"])


async def test_a_rule_that_waits_for_the_task_is_done_before_the_deal_leaves(
    world: World, stages: dict[str, int]
) -> None:
    await trigger(world, "Send invoice to client")
    invoice = {"title": "Write the invoice", "wait_until_completed": True}
    await world.rule(stages["Check"], "create_task", params=invoice)
    await world.rule(
        stages["Check"], "create_task", params={"title": "After it"}, after_previous=True
    )
    deal = await deal_in(world, "Check")

    await set_status(world, await the_task(world, deal), "completed")

    runs = await world.runs(deal["id"])
    assert [run["state"] for run in runs] == ["done", "dropped", "done"]
    assert await tasks(world, deal) == {
        "Write the invoice": "completed",
        "Send it to the client": "pending",
    }


async def test_a_task_that_is_tied_to_two_deals_moves_both(
    world: World, stages: dict[str, int]
) -> None:
    await trigger(world, "Send invoice to client")
    roof, cellar = await deal_in(world, "New"), await deal_in(world, "Check")
    both = {"item_id": cellar["id"], "further_item_ids": [roof["id"]]}
    task = await world.post("/v1/tasks", {"title": "One invoice for all"} | both)

    await set_status(world, task["id"], "completed")

    assert [await where(world, deal) for deal in (roof, cellar)] == ["Send invoice to client"] * 2
    (of_roof,), (of_cellar,) = [await log_of(world, deal) for deal in (roof, cellar)]
    assert [of_roof["outcome"], of_cellar["outcome"]] == ["moved", "moved"]
    assert of_roof["occasion"] == of_cellar["occasion"]


async def test_a_deal_follows_its_task_through_every_status(world: World) -> None:
    statuses = ("in progress", "deferred", "pending", "awaiting control", "completed")
    world.stages = await world.pipeline("Tasks", "New", *statuses)
    [
        await trigger(world, status, settings={"status": status}, allow_moving_back=True)
        for status in statuses
    ]
    deal = await deal_in(world, "New")
    task = await world.post("/v1/tasks", {"title": "Call", "item_id": deal["id"]})
    begun = await where(world, deal)

    way = [await followed(world, deal, task, status) for status in statuses]

    assert begun == "New"
    assert way == [*statuses]
