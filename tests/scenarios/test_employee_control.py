"""Employee control: what is not done in time, the supervisor hears of, and it is written down."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

A_DAY = {"kind": "after_delay", "amount": 1, "unit": "days"}


@pytest.fixture
async def deal(world: World) -> Any:
    """A new deal of Tom's; the head of his department is away, the one above is Marta."""
    world.stages = await world.pipeline("Sales", "New", "Engaging")
    text = {"text": "{{ deal.title }} waits for {{ responsible.name }}."}
    await world.rule(world.stages["New"], "notify_supervisor", params=text, timing=A_DAY)
    await world.rule(world.stages["New"], "add_history_entry", params=text, timing=A_DAY)
    sales = await world.post("/v1/departments", {"name": "Sales"})
    north = await world.post("/v1/departments", {"name": "North", "parent_id": sales["id"]})
    marta = await world.post("/v1/users", {"name": "Marta", "department_id": sales["id"]})
    noor = await world.post(
        "/v1/users",
        {
            "name": "Noor",
            "department_id": north["id"],
            "absent_from": "2027-01-01T00:00:00Z",
            "absent_until": "2028-01-01T00:00:00Z",
        },
    )
    tom = await world.post("/v1/users", {"name": "Tom", "department_id": north["id"]})
    await world.patch(f"/v1/departments/{sales['id']}", {"head_id": marta["id"]})
    await world.patch(f"/v1/departments/{north['id']}", {"head_id": noor["id"]})
    deal = await world.post("/v1/deals", {"title": "Roof", "responsible_id": tom["id"]})
    await world.settle()
    return deal | {"marta": marta["id"], "noor": noor["id"], "tom": tom["id"]}


async def told_to(world: World, user_id: int) -> list[Any]:
    page = await world.get(f"/v1/notifications?recipient_id={user_id}")
    return list(page["items"])


async def informed(world: World, item_id: int) -> list[str]:
    page = await world.get(f"/v1/items/{item_id}/history?kind=information")
    return [line["text"] for line in page["items"]]


async def test_after_a_day_the_supervisor_above_the_absent_head_is_notified(
    world: World, deal: Any
) -> None:
    await world.advance(timedelta(days=1))

    (notice,) = await told_to(world, deal["marta"])
    assert notice["text"] == "Roof waits for Tom."
    assert notice["sender_id"] == deal["tom"]
    assert notice["link"].endswith(f"/deals/{deal['id']}")
    assert await told_to(world, deal["noor"]) == []


async def test_after_a_day_an_entry_of_kind_information_is_written(world: World, deal: Any) -> None:
    await world.advance(timedelta(days=1))

    assert await informed(world, deal["id"]) == ["Roof waits for Tom."]


async def test_nothing_happens_before_the_day_is_over(world: World, deal: Any) -> None:
    await world.advance(timedelta(hours=23))

    assert await told_to(world, deal["marta"]) == []
    assert await informed(world, deal["id"]) == []


async def test_moved_on_in_time_neither_happens_and_the_runs_say_why(
    world: World, deal: Any
) -> None:
    await world.advance(timedelta(hours=23))
    await world.move(deal["id"], world.stages["Engaging"])

    await world.advance(timedelta(days=30))

    assert await told_to(world, deal["marta"]) == []
    assert await informed(world, deal["id"]) == []
    runs = await world.runs(deal["id"])
    assert [(run["state"], run["outcome"]) for run in runs] == [("dropped", "left the stage")] * 2
