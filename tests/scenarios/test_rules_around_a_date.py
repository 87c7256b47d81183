"""Rules around a date of the item: they wait for it, and go where it goes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from tests.fixtures.world import World

THREE_DAYS_BEFORE = {"kind": "around_date", "direction": "before", "amount": 3, "unit": "days"}

EVE_OF_17_MARCH = datetime(2028, 3, 16, 23, 0, tzinfo=UTC)
EVE_OF_17_MAY = datetime(2028, 5, 16, 22, 0, tzinfo=UTC)
"""00:00 of that day in Madrid, where summer begins at the end of March."""

A_MINUTE = timedelta(minutes=1)


@pytest.fixture
async def stage(world: World) -> int:
    """The stage *Contract* of a company in Madrid, with one before and one after it."""
    await world.patch("/v1/installation", {"time_zone": "Europe/Madrid"})
    world.stages = await world.pipeline("Sales", "New", "Contract", "Won")
    return world.stages["Contract"]


async def ask(world: World, stage: int, field: str = "deal.close_date", **rest: Any) -> Any:
    """Hang a rule on the stage that asks the client three days before the date."""
    timing = THREE_DAYS_BEFORE | {"field": field} | rest.pop("timing", {})
    params = {"title": "Ask about {{ deal.title }}"}
    return await world.rule(stage, "create_task", params=params, timing=timing, **rest)


async def in_contract(world: World, **fields: Any) -> Any:
    """Make a deal with these fields and move it to *Contract*."""
    deal = await world.post("/v1/deals", {"title": "Roof"} | fields)
    await world.move(deal["id"], world.stages["Contract"])
    return deal


async def change(world: World, deal: Any, **fields: Any) -> None:
    await world.patch(f"/v1/deals/{deal['id']}", fields)
    await world.settle()


async def tasks(world: World, deal: Any) -> list[str]:
    page = await world.get(f"/v1/tasks?item_id={deal['id']}")
    return [task["title"] for task in page["items"]]


async def run_of(world: World, deal: Any) -> Any:
    (run,) = await world.runs(deal["id"])
    return run


def moment(said: str) -> datetime:
    return datetime.fromisoformat(said)


async def test_a_reminder_three_days_before_the_close_date_moves_with_the_date(
    world: World, stage: int
) -> None:
    await ask(world, stage)
    deal = await in_contract(world, close_date="2028-03-20")
    before = await run_of(world, deal)

    await change(world, deal, close_date="2028-05-20")
    await world.advance(EVE_OF_17_MAY - A_MINUTE)
    waiting, made_by_then = await run_of(world, deal), await tasks(world, deal)
    await world.advance(EVE_OF_17_MAY)

    assert (moment(before["due_at"]), before["waits_for"]) == (EVE_OF_17_MARCH, "its time")
    assert (moment(waiting["due_at"]), waiting["state"]) == (EVE_OF_17_MAY, "waiting")
    assert made_by_then == []
    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_a_date_that_comes_nearer_brings_the_reminder_forward(
    world: World, stage: int
) -> None:
    await ask(world, stage)
    deal = await in_contract(world, close_date="2028-05-20")

    await change(world, deal, close_date="2028-03-20")
    await world.advance(EVE_OF_17_MARCH)

    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_a_date_that_is_emptied_is_waited_for_and_one_that_is_past_runs_at_once(
    world: World, stage: int
) -> None:
    await ask(world, stage)
    deal = await in_contract(world, close_date="2028-03-20")

    await change(world, deal, close_date=None)
    await world.advance(EVE_OF_17_MAY)
    emptied, made_by_then = await run_of(world, deal), await tasks(world, deal)
    await world.scene.ends(emptied["stage_entry_id"], WorkflowExecutionStatus.COMPLETED)
    await change(world, deal, close_date="2028-01-31")

    assert (emptied["due_at"], emptied["state"]) == (None, "waiting")
    assert emptied["waits_for"] == "close_date to be filled in"
    assert made_by_then == []
    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_a_date_that_is_filled_in_late_is_waited_for_from_then_on(
    world: World, stage: int
) -> None:
    await ask(world, stage)
    deal = await in_contract(world)
    await world.advance(timedelta(days=30))

    await change(world, deal, close_date="2028-03-20")
    await world.advance(EVE_OF_17_MARCH - A_MINUTE)
    made_by_then = await tasks(world, deal)
    await world.advance(EVE_OF_17_MARCH)

    assert made_by_then == []
    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_a_custom_date_is_followed_in_the_same_way(world: World, stage: int) -> None:
    await world.post(
        "/v1/field-definitions",
        {"item_type": "deal", "name": "renewal", "title": "Renewal", "kind": "date"},
    )
    await ask(world, stage, "deal.custom.renewal")
    deal = await in_contract(world)
    empty = await run_of(world, deal)

    await change(world, deal, custom={"renewal": "2028-03-20"})
    await change(world, deal, custom={"renewal": "2028-05-20"})
    await world.advance(EVE_OF_17_MAY - A_MINUTE)
    made_by_then = await tasks(world, deal)
    await world.advance(EVE_OF_17_MAY)

    assert empty["waits_for"] == "custom.renewal to be filled in"
    assert made_by_then == []
    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_a_renewal_reminder_follows_the_date_after_the_deal_has_left(
    world: World, stage: int
) -> None:
    await ask(world, stage, keep_when_item_leaves=True)
    deal = await in_contract(world, close_date="2028-03-20")
    await world.move(deal["id"], world.stages["Won"])

    await change(world, deal, close_date="2028-05-20")
    await world.advance(EVE_OF_17_MAY - A_MINUTE)
    made_by_then = await tasks(world, deal)
    await world.advance(EVE_OF_17_MAY)

    assert made_by_then == []
    assert await tasks(world, deal) == ["Ask about Roof"]


async def test_a_rule_that_does_not_run_late_is_skipped_and_says_why(
    world: World, stage: int
) -> None:
    await ask(world, stage, timing={"when_past": "skip"})
    deal = await in_contract(world, close_date="2028-03-20")

    await change(world, deal, close_date="2027-08-02")

    run = await run_of(world, deal)
    assert (run["state"], run["outcome"]) == (
        "skipped",
        "close date 2 August 2027 − 3 days was past",
    )
    assert await tasks(world, deal) == []


@pytest.mark.parametrize(
    ("said", "field", "reason"),
    [
        (
            {"field": "deal.close_dat"},
            "/timing/field",
            "unknown field deal.close_dat, did you mean deal.close_date?",
        ),
        (
            {"field": "deal.title"},
            "/timing/field",
            "deal.title is no date of the item, as deal.begin_date is",
        ),
        ({"direction": "near"}, "/timing/direction", "'before', 'at' or 'after'"),
        ({"amount": 0}, "/timing", "before the date needs an amount of at least 1, or say at"),
    ],
)
async def test_a_rule_around_what_is_no_date_is_refused(
    world: World, stage: int, said: dict[str, Any], field: str, reason: str
) -> None:
    timing = THREE_DAYS_BEFORE | {"field": "deal.close_date"} | said
    rule = {"title": "Ask", "action": "create_task", "params": {"title": "Ask"}, "timing": timing}

    answer = await world.http.post(f"/v1/stages/{stage}/rules", json=rule)

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]


async def test_a_rule_may_be_changed_to_follow_a_date(world: World, stage: int) -> None:
    rule = await world.rule(stage, "create_task", params={"title": "Ask"})
    timing = {"kind": "around_date", "field": "item.begin_date", "direction": "at"}

    changed = await world.patch(f"/v1/rules/{rule['id']}", {"timing": timing})

    rest = {"amount": 0, "unit": "days", "when_past": "run", "when_empty": "wait"}
    assert changed["timing"] == timing | rest


async def test_the_api_describes_it_with_examples(world: World) -> None:
    document = await world.get("/v1/openapi.json")

    [first, *_] = document["components"]["schemas"]["AroundDate"]["examples"]
    assert first == THREE_DAYS_BEFORE | {"field": "deal.close_date"}
