"""Which trigger moves a deal: the earliest stage wins, and none moves back unless it may."""

from typing import Any

import pytest

from tests.fixtures.world import World

PREPARED = {
    "status": "completed",
    "filter": {"field": "task.title", "operator": "contains", "value": "invoice"},
}


@pytest.fixture
async def deal(world: World) -> Any:
    """A new deal of Tom's, in a pipeline each of whose stages has a rule that leaves its trace."""
    world.stages = await world.pipeline("Sales", "New", "Contract", "Send invoice", "Won")
    for name, stage_id in world.stages.items():
        await world.rule(stage_id, "add_history_entry", params={"text": f"Seen in {name}"})
    tom = await world.post("/v1/users", {"name": "Tom"})
    return await world.post("/v1/deals", {"title": "Roof", "responsible_id": tom["id"]})


async def trigger(world: World, stage: str, **said: Any) -> Any:
    """Hang a trigger on a stage; it waits for a completed task about an invoice."""
    usual = {"type": "task_status", "settings": PREPARED, "name": f"To {stage}"}
    return await world.post(f"/v1/stages/{world.stages[stage]}/triggers", usual | said)


async def complete(world: World, deal: Any) -> None:
    """Make a task for the deal, complete it, and let everything happen that is due."""
    task = {"title": "Prepare the invoice", "item_id": deal["id"]}
    task = await world.post("/v1/tasks", task)
    await world.patch(f"/v1/tasks/{task['id']}", {"status": "completed"})
    await world.settle()


async def log(world: World, deal: Any) -> list[tuple[str, str, str]]:
    """Return name, outcome and reason of each trigger that was considered, as tried."""
    page = await world.get(f"/v1/items/{deal['id']}/trigger-log")
    return [(line["trigger_name"], line["outcome"], line["reason"]) for line in page["items"][::-1]]


async def stands(world: World, deal: Any) -> str:
    stage_id = (await world.get(f"/v1/deals/{deal['id']}"))["stage_id"]
    return next(name for name, each in world.stages.items() if each == stage_id)


async def traces(world: World, deal: Any) -> list[str]:
    """Return what rules have noted, oldest first."""
    page = await world.get(f"/v1/items/{deal['id']}/history?kind=information")
    return [line["text"] for line in page["items"][::-1]]


async def test_where_two_triggers_fit_the_earlier_stage_wins_and_rules_of_others_never_run(
    world: World, deal: Any
) -> None:
    await world.settle()
    last = await trigger(world, "Won")
    first = await trigger(world, "Send invoice")

    await complete(world, deal)

    assert await stands(world, deal) == "Send invoice"
    assert await log(world, deal) == [
        ("To Send invoice", "moved", "Moved to «Send invoice»."),
        (
            "To Won",
            "another was first",
            f"Trigger {first['id']} «To Send invoice» has moved it.",
        ),
    ]
    assert await traces(world, deal) == ["Seen in New", "Seen in Send invoice"]
    assert last["id"] < first["id"]


async def test_a_trigger_that_would_move_back_does_not_unless_it_may(
    world: World, deal: Any
) -> None:
    back = await trigger(world, "Contract")
    await world.move(deal["id"], world.stages["Won"])

    await complete(world, deal)
    before = await stands(world, deal)
    await world.patch(f"/v1/triggers/{back['id']}", {"allow_moving_back": True})
    await complete(world, deal)

    assert [before, await stands(world, deal)] == ["Won", "Contract"]
    assert await log(world, deal) == [
        (
            "To Contract",
            "would move back",
            "«Contract» is before «Won», and it may not move back.",
        ),
        ("To Contract", "moved", "Moved to «Contract»."),
    ]
    assert await traces(world, deal) == ["Seen in Won", "Seen in Contract"]


async def test_the_log_says_why_each_trigger_did_not_move_the_item(world: World, deal: Any) -> None:
    large = {"field": "deal.amount", "operator": ">", "value": 1000}
    await trigger(world, "New", allow_moving_back=True)
    await trigger(world, "Contract", conditions=large)
    await trigger(world, "Send invoice", enabled=False)
    await trigger(world, "Won", settings={"status": "deferred"})

    await complete(world, deal)

    assert await stands(world, deal) == "New"
    assert await log(world, deal) == [
        ("To New", "stands there", "The item is in «New» already."),
        ("To Contract", "not met", "deal.amount is empty, needed > 1000"),
        ("To Won", "other settings", "The task is completed, not deferred."),
    ]
