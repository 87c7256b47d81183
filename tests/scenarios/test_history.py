"""History: a supervisor sees how often a manager broke the rules."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

AFTER_AN_HOUR = {"kind": "after_delay", "amount": 1, "unit": "hours"}


@pytest.fixture
async def managers(world: World) -> dict[str, Any]:
    """Two managers; who leaves a new deal alone for an hour is late, and history says so."""
    world.stages = await world.pipeline("Sales", "New", "Contacted")
    await world.rule(
        world.stages["New"],
        "add_history_entry",
        title="Nobody has called",
        params={"text": "{{ responsible.name }} has not called within an hour."},
        timing=AFTER_AN_HOUR,
    )
    return {
        name: await world.post("/v1/users", {"name": name, "role": "manager"})
        for name in ("Tom", "Uma")
    }


async def a_deal(world: World, responsible: Any) -> Any:
    return await world.post("/v1/deals", {"title": "Roof", "responsible_id": responsible["id"]})


async def test_a_supervisor_filters_the_entries_of_one_manager_and_gets_their_count(
    world: World, managers: dict[str, Any]
) -> None:
    tom, uma = managers["Tom"], managers["Uma"]
    late = [await a_deal(world, tom), await a_deal(world, tom)]
    in_time, other = await a_deal(world, tom), await a_deal(world, uma)
    handed_over = await a_deal(world, tom)
    await world.settle()
    await world.move(in_time["id"], world.stages["Contacted"])

    await world.advance(timedelta(hours=2))
    await world.patch(f"/v1/deals/{handed_over['id']}", {"responsible_id": uma["id"]})

    of_tom = f"kind=information&responsible_id={tom['id']}"
    found = (await world.get(f"/v1/history?{of_tom}"))["items"]
    assert {line["item_id"] for line in found} == {
        late[0]["id"],
        late[1]["id"],
        handed_over["id"],
    }
    assert {line["text"] for line in found} == {"Tom has not called within an hour."}
    assert {line["stage_id"] for line in found} == {world.stages["New"]}
    assert all(line["rule_id"] and line["run_id"] and not line["author_id"] for line in found)
    count = await world.get(f"/v1/history/counts?{of_tom}")
    assert count["items"] == [{"value": "information", "name": None, "count": 3}]
    everybody = await world.get("/v1/history/counts?kind=information&by=responsible")
    assert everybody["items"] == [
        {"value": str(tom["id"]), "name": "Tom", "count": 3},
        {"value": str(uma["id"]), "name": "Uma", "count": 1},
    ]
    by_rule = await world.get("/v1/history/counts?kind=information&by=rule")
    assert [(each["name"], each["count"]) for each in by_rule["items"]] == [
        ("Nobody has called", 4)
    ]
    assert {other["id"]} == {
        line["item_id"]
        for line in (await world.get(f"/v1/history?kind=information&responsible_id={uma['id']}"))[
            "items"
        ]
    }
