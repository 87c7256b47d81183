"""Rules in working time: they wait for the office to open, wherever and whosever it is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

TWO_HOURS = {"kind": "after_delay", "amount": 2, "unit": "hours"}

FRIDAY_EVENING = datetime(2027, 8, 6, 15, 0, tzinfo=UTC)
MONDAY_MORNING = datetime(2027, 8, 9, 8, 0, tzinfo=UTC)
"""17:00 in Madrid, and 10:00."""

ELEVEN_IN_TOKYO = datetime(2027, 8, 9, 2, 0, tzinfo=UTC)

A_MINUTE = timedelta(minutes=1)


@pytest.fixture
async def stage(world: World) -> int:
    """The stage *Contract* of a company in Madrid that works from nine to six, on a Friday."""
    await world.patch("/v1/installation", {"time_zone": "Europe/Madrid", "holiday_country": "ES"})
    world.stages = await world.pipeline("Sales", "New", "Contract", "Won")
    await world.advance(FRIDAY_EVENING)
    return world.stages["Contract"]


async def in_contract(world: World, **fields: Any) -> Any:
    """Make a deal with these fields and move it to *Contract*."""
    deal = await world.post("/v1/deals", {"title": "Roof"} | fields)
    await world.move(deal["id"], world.stages["Contract"])
    return deal


async def ask(world: World, stage: int, **timing: Any) -> Any:
    params = {"title": "Ask about {{ deal.title }}"}
    return await world.rule(stage, "create_task", params=params, timing=TWO_HOURS | timing)


async def tasks(world: World, deal: Any) -> list[str]:
    page = await world.get(f"/v1/tasks?item_id={deal['id']}")
    return [task["title"] for task in page["items"]]


async def due(world: World, deal: Any) -> datetime:
    [run] = await world.runs(deal["id"])
    return datetime.fromisoformat(run["due_at"])


async def in_tokyo(world: World) -> Any:
    """Make a colleague who works in Tokyo."""
    return await world.post("/v1/users", {"name": "Yuki", "time_zone": "Asia/Tokyo"})


async def test_two_working_hours_after_friday_evening_is_monday_morning(
    world: World, stage: int
) -> None:
    await ask(world, stage, working_hours="company")
    deal = await in_contract(world)

    waits_until = await due(world, deal)
    await world.advance(MONDAY_MORNING - A_MINUTE)
    made_by_then = await tasks(world, deal)
    await world.advance(MONDAY_MORNING)

    assert waits_until == MONDAY_MORNING
    assert made_by_then == []
    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_whoever_takes_over_in_another_zone_has_their_own_hours(
    world: World, stage: int
) -> None:
    yuki = await in_tokyo(world)
    await ask(world, stage, working_hours="responsible")
    deal = await in_contract(world)
    before = await due(world, deal)

    await world.patch(f"/v1/deals/{deal['id']}", {"responsible_id": yuki["id"]})
    after = await due(world, deal)
    await world.advance(ELEVEN_IN_TOKYO - A_MINUTE)
    made_by_then = await tasks(world, deal)
    await world.advance(ELEVEN_IN_TOKYO)

    assert (before, after) == (MONDAY_MORNING, ELEVEN_IN_TOKYO)
    assert made_by_then == []
    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_what_somebody_has_postponed_does_not_follow_who_takes_over(
    world: World, stage: int
) -> None:
    yuki = await in_tokyo(world)
    await ask(world, stage, working_hours="responsible")
    deal = await in_contract(world)
    [run] = await world.runs(deal["id"])
    await world.post(f"/v1/runs/{run['id']}/postpone", {"until": "2027-08-20T10:00:00Z"})

    await world.patch(f"/v1/deals/{deal['id']}", {"responsible_id": yuki["id"]})

    assert await due(world, deal) == datetime(2027, 8, 20, 10, 0, tzinfo=UTC)


async def test_the_reminder_comes_at_nine_on_the_working_day_before(
    world: World, stage: int
) -> None:
    await world.patch("/v1/installation", {"days_off": ["2028-03-17"]})
    timing = {
        "kind": "around_date",
        "field": "deal.close_date",
        "direction": "before",
        "amount": 1,
        "unit": "days",
        "clock_time": "09:30",
        "working_hours": "company",
    }
    params = {"title": "Ask about {{ deal.title }}"}
    await world.rule(stage, "create_task", params=params, timing=timing)
    deal = await in_contract(world, close_date="2028-03-20")
    before = await due(world, deal)

    await world.patch(f"/v1/deals/{deal['id']}", {"close_date": "2028-05-22"})

    assert before == datetime(2028, 3, 16, 8, 30, tzinfo=UTC)
    assert await due(world, deal) == datetime(2028, 5, 19, 7, 30, tzinfo=UTC)


async def test_after_a_failure_what_hangs_on_it_is_skipped_and_the_rest_goes_on(
    world: World, stage: int
) -> None:
    chained = {"after_previous": True, "stop_on_failure": True}
    note = {"params": {"text": "Seen"}}
    await world.rule(stage, "create_repeat_lead", title="Repeat")
    await world.rule(stage, "add_history_entry", title="Tell", **note, **chained)
    await world.rule(stage, "add_history_entry", title="Tell again", **note, **chained)
    await world.rule(stage, "add_history_entry", title="Note", after_previous=True, **note)

    deal = await in_contract(world)

    stopped = "«Repeat» above it failed."
    assert [(run["state"], run["outcome"]) for run in await world.runs(deal["id"])][1:] == [
        ("skipped", stopped),
        ("skipped", stopped),
        ("done", "Wrote a history entry."),
    ]
