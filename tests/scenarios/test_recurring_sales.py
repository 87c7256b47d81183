"""Recurring sales: what was won goes on in another pipeline, and is offered again later."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

SIX_MONTHS = {"kind": "after_delay", "amount": 6, "unit": "months"}
END_OF_AUGUST = datetime(2027, 8, 31, 9, 0, tzinfo=UTC)
END_OF_FEBRUARY = datetime(2028, 2, 29, 9, 0, tzinfo=UTC)


@pytest.fixture
async def deal(world: World) -> Any:
    """A deal of Anna's in *Contract*, with products, in a company with both pipelines."""
    sales = await world.pipeline("Sales", "Contract", "Closed won", "Archive")
    installation = await world.pipeline("Installation", "Planning", "Running")
    leads = await world.pipeline("Leads", "Incoming", item_type="lead")
    world.stages = sales | installation | leads
    await world.post(
        "/v1/field-definitions",
        {"item_type": "deal", "name": "contract_no", "title": "Contract", "kind": "text"},
    )
    anna = await world.post("/v1/contacts", {"first_name": "Anna", "last_name": "Keller"})
    return await world.post(
        "/v1/deals",
        {
            "title": "Solar roof",
            "stage_id": sales["Contract"],
            "contact_id": anna["id"],
            "responsible_id": world.admin.id,
            "amount": "18500.00",
            "currency": "EUR",
            "comments": "Facing south.",
            "custom": {"contract_no": "K-17"},
            "product_rows": [{"name": "Panel", "price": "250.00", "quantity": "40"}],
        },
    )


async def repeat_lead(world: World, **rest: Any) -> Any:
    params = {"title": "Batteries for {{ contact.name }}"}
    return await world.rule(
        world.stages["Closed won"],
        "create_repeat_lead",
        params=params,
        timing=SIX_MONTHS,
        **rest,
    )


async def leads(world: World) -> list[Any]:
    page = await world.get("/v1/leads")
    return list(page["items"])


async def test_a_won_deal_is_copied_at_once_and_the_rules_of_that_stage_run_for_the_copy(
    world: World, deal: Any
) -> None:
    pipeline = (await world.get(f"/v1/stages/{world.stages['Planning']}"))["pipeline_id"]
    await world.rule(world.stages["Closed won"], "copy_deal", params={"pipeline": pipeline})
    await world.rule(
        world.stages["Planning"], "create_task", params={"title": "Plan {{ deal.title }}"}
    )

    await world.move(deal["id"], world.stages["Closed won"])

    deals = (await world.get(f"/v1/deals?stage_id={world.stages['Planning']}"))["items"]
    assert [each["title"] for each in deals] == ["Solar roof (Copy)"]
    copy = await world.get(f"/v1/deals/{deals[0]['id']}")
    for field in ("contact_id", "amount", "currency", "comments", "custom", "product_rows"):
        assert copy[field] == deal[field], field
    assert copy["source_item_id"] == deal["id"]
    tasks = (await world.get(f"/v1/tasks?item_id={copy['id']}"))["items"]
    assert [task["title"] for task in tasks] == ["Plan Solar roof (Copy)"]
    source = await world.get(f"/v1/deals/{deal['id']}")
    assert source["stage_id"] == world.stages["Closed won"]


async def test_six_calendar_months_later_there_is_a_repeat_lead_with_the_clients_name(
    world: World, deal: Any
) -> None:
    await repeat_lead(world)
    await world.advance(END_OF_AUGUST)
    await world.move(deal["id"], world.stages["Closed won"])
    (run,) = await world.runs(deal["id"])
    due = datetime.fromisoformat(run["due_at"])
    assert due - END_OF_FEBRUARY < timedelta(minutes=1)

    await world.advance(END_OF_FEBRUARY - timedelta(minutes=1))
    before = await leads(world)
    await world.advance(END_OF_FEBRUARY + timedelta(minutes=1))

    assert before == []
    (lead,) = await leads(world)
    assert lead["title"] == "Batteries for Anna Keller"
    assert lead["contact_id"] == deal["contact_id"]
    assert lead["source_item_id"] == deal["id"]
    assert lead["is_repeat"] is True
    assert lead["stage_id"] == world.stages["Incoming"]


async def test_in_a_year_without_a_29th_it_is_the_28th_of_february(world: World, deal: Any) -> None:
    await repeat_lead(world)
    await world.advance(datetime(2028, 8, 31, 9, 0, tzinfo=UTC))

    await world.move(deal["id"], world.stages["Closed won"])

    (run,) = await world.runs(deal["id"])
    assert run["due_at"].startswith("2029-02-28T09:00")


async def test_no_lead_comes_if_the_deal_leaves_closed_won_in_month_three(
    world: World, deal: Any
) -> None:
    await repeat_lead(world)
    await world.move(deal["id"], world.stages["Closed won"])
    await world.advance(timedelta(days=90))

    await world.move(deal["id"], world.stages["Archive"])
    await world.advance(timedelta(days=365))

    assert await leads(world) == []
    (run,) = await world.runs(deal["id"])
    assert (run["state"], run["outcome"]) == ("dropped", "left the stage")


async def test_it_comes_nevertheless_if_the_rule_is_kept_when_the_item_leaves(
    world: World, deal: Any
) -> None:
    await repeat_lead(world, keep_when_item_leaves=True)
    await world.move(deal["id"], world.stages["Closed won"])
    await world.advance(timedelta(days=90))

    await world.move(deal["id"], world.stages["Archive"])
    await world.advance(timedelta(days=365))

    assert len(await leads(world)) == 1


async def test_a_copy_that_would_be_copied_at_once_for_ever_is_refused_when_saving(
    world: World, deal: Any
) -> None:
    planning = world.stages["Planning"]
    rule = {"title": "Again", "action": "copy_deal", "params": {}}

    refused = await world.http.post(f"/v1/stages/{planning}/rules", json=rule)
    conditions = {"field": "deal.amount", "operator": ">", "value": 1}
    allowed = await world.http.post(
        f"/v1/stages/{planning}/rules", json=rule | {"conditions": conditions}
    )

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "/params/stage"
    assert allowed.status_code == 201
