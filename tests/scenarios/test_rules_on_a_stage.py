"""Rules on a stage: tasks with the item's fields, conditions, order, people who step in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

AN_HOUR = {"kind": "after_delay", "amount": 1, "unit": "hours"}


@pytest.fixture
async def deal(world: World) -> Any:
    world.stages = await world.pipeline("Sales", "New", "Offer")
    tom = await world.post("/v1/users", {"name": "Tom"})
    deal = await world.post(
        "/v1/deals",
        {"title": "Roof", "responsible_id": tom["id"], "amount": "1200.00", "currency": "EUR"},
    )
    await world.settle()
    return deal


async def tasks(world: World, item_id: int) -> list[Any]:
    page = await world.get(f"/v1/tasks?item_id={item_id}")
    return sorted(page["items"], key=lambda task: int(task["id"]))


async def task_in_an_hour(world: World, title: str) -> Any:
    return await world.rule(
        world.stages["Offer"], "create_task", params={"title": title}, timing=AN_HOUR
    )


async def test_a_task_holds_the_deals_fields_and_its_deadline_is_right(
    world: World, deal: Any
) -> None:
    await world.rule(
        world.stages["Offer"],
        "create_task",
        params={
            "title": "Offer for {{ deal.title }}",
            "description": "{{ responsible.name }}: {{ deal.amount | money }}",
            "deadline": {"amount": 3, "unit": "days"},
        },
    )

    await world.move(deal["id"], world.stages["Offer"])

    (task,) = await tasks(world, deal["id"])
    assert task["title"] == "Offer for Roof"
    assert task["description"] == "Tom: €1,200.00"
    assert task["responsible_id"] == deal["responsible_id"]
    deadline = datetime.fromisoformat(task["deadline_at"])
    assert abs(deadline - world.now - timedelta(days=3)) < timedelta(seconds=30)


async def test_entering_again_makes_a_second_task(world: World, deal: Any) -> None:
    await world.rule(world.stages["Offer"], "create_task", params={"title": "Make an offer"})

    await world.move(deal["id"], world.stages["Offer"])
    await world.move(deal["id"], world.stages["New"])
    await world.move(deal["id"], world.stages["Offer"])

    assert len(await tasks(world, deal["id"])) == 2


async def test_once_per_item_it_makes_no_second_task_and_says_why(world: World, deal: Any) -> None:
    await world.rule(
        world.stages["Offer"], "create_task", params={"title": "Hello"}, once_per_item=True
    )

    await world.move(deal["id"], world.stages["Offer"])
    await world.move(deal["id"], world.stages["New"])
    await world.move(deal["id"], world.stages["Offer"])

    assert len(await tasks(world, deal["id"])) == 1
    *_, run = await world.runs(deal["id"])
    assert (run["state"], run["outcome"]) == ("skipped", "It runs once per item, and has.")


async def test_moving_to_the_same_stage_again_changes_nothing(world: World, deal: Any) -> None:
    await world.rule(world.stages["Offer"], "create_task", params={"title": "Make an offer"})
    await world.move(deal["id"], world.stages["Offer"])

    moved = await world.move(deal["id"], world.stages["Offer"])

    assert moved["changed"] is False
    assert len(await tasks(world, deal["id"])) == 1


async def test_a_rule_whose_condition_is_not_met_is_skipped_and_says_which_values_decided(
    world: World, deal: Any
) -> None:
    rich = {"all": [{"field": "deal.amount", "operator": ">", "value": 5000}]}
    await world.rule(
        world.stages["Offer"], "create_task", params={"title": "Champagne"}, conditions=rich
    )

    await world.move(deal["id"], world.stages["Offer"])

    (run,) = await world.runs(deal["id"])
    assert run["state"] == "skipped"
    assert "1200.00" in run["outcome"]
    assert "5000" in run["outcome"]
    assert run["comparisons"][0]["field"] == "deal.amount"
    assert await tasks(world, deal["id"]) == []


async def test_conditions_see_the_data_of_the_moment_they_run(world: World, deal: Any) -> None:
    rich = {"field": "deal.amount", "operator": ">", "value": 5000}
    await world.rule(
        world.stages["Offer"],
        "create_task",
        params={"title": "Champagne"},
        conditions=rich,
        timing=AN_HOUR,
    )
    await world.move(deal["id"], world.stages["Offer"])

    await world.patch(f"/v1/deals/{deal['id']}", {"amount": "9000.00"})
    await world.advance(timedelta(hours=2))

    assert [task["title"] for task in await tasks(world, deal["id"])] == ["Champagne"]


async def test_a_rule_that_fails_does_not_stop_the_others(world: World, deal: Any) -> None:
    await world.pipeline("Leads", "Incoming", item_type="lead")
    await world.rule(world.stages["Offer"], "create_repeat_lead")
    await world.rule(world.stages["Offer"], "create_task", params={"title": "Make an offer"})

    await world.move(deal["id"], world.stages["Offer"])

    failed, done = await world.runs(deal["id"])
    assert failed["state"] == "failed"
    assert failed["outcome"] == f"Deal {deal['id']} has no contact and no company."
    assert done["state"] == "done"
    assert len(await tasks(world, deal["id"])) == 1


async def test_a_failed_run_can_be_tried_again_once_the_reason_is_gone(
    world: World, deal: Any
) -> None:
    await world.pipeline("Leads", "Incoming", item_type="lead")
    await world.rule(world.stages["Offer"], "create_repeat_lead")
    await world.move(deal["id"], world.stages["Offer"])
    (run,) = await world.runs(deal["id"])
    anna = await world.post("/v1/contacts", {"first_name": "Anna"})
    await world.patch(f"/v1/deals/{deal['id']}", {"contact_id": anna["id"]})

    await world.post(f"/v1/runs/{run['id']}/retry")
    await world.settle()

    assert (await world.get(f"/v1/runs/{run['id']}"))["state"] == "done"
    assert len((await world.get("/v1/leads"))["items"]) == 1


async def test_after_the_previous_rule_the_next_starts_counting(world: World, deal: Any) -> None:
    await world.rule(
        world.stages["Offer"], "create_task", params={"title": "First"}, timing=AN_HOUR
    )
    await world.rule(
        world.stages["Offer"],
        "create_task",
        params={"title": "Second"},
        timing=AN_HOUR,
        after_previous=True,
    )
    await world.move(deal["id"], world.stages["Offer"])

    _, second = await world.runs(deal["id"])
    await world.advance(timedelta(minutes=90))
    after_first = [task["title"] for task in await tasks(world, deal["id"])]
    await world.advance(timedelta(minutes=60))

    assert second["due_at"] is None
    assert "create_task" in second["waits_for"]
    assert after_first == ["First"]
    assert [task["title"] for task in await tasks(world, deal["id"])] == ["First", "Second"]


async def test_a_person_can_run_a_rule_now_skip_it_or_postpone_it(world: World, deal: Any) -> None:
    await task_in_an_hour(world, "Now")
    await task_in_an_hour(world, "Never")
    await task_in_an_hour(world, "Later")
    await world.move(deal["id"], world.stages["Offer"])
    now, never, later = await world.runs(deal["id"])

    await world.post(f"/v1/runs/{now['id']}/run-now")
    await world.post(f"/v1/runs/{never['id']}/skip")
    until = (world.now + timedelta(days=2)).astimezone(UTC).isoformat()
    await world.post(f"/v1/runs/{later['id']}/postpone", {"until": until})
    await world.settle()
    at_once = [task["title"] for task in await tasks(world, deal["id"])]
    await world.advance(timedelta(days=3))

    assert at_once == ["Now"]
    assert [task["title"] for task in await tasks(world, deal["id"])] == ["Now", "Later"]


async def test_switching_a_rule_off_holds_its_runs_and_switching_it_on_lets_them_run_late(
    world: World, deal: Any
) -> None:
    rule = await world.rule(
        world.stages["Offer"], "create_task", params={"title": "Call"}, timing=AN_HOUR
    )
    await world.move(deal["id"], world.stages["Offer"])

    await world.patch(f"/v1/rules/{rule['id']}", {"enabled": False})
    await world.advance(timedelta(days=1))
    (held,) = await world.runs(deal["id"])
    none_yet = await tasks(world, deal["id"])
    await world.patch(f"/v1/rules/{rule['id']}", {"enabled": True})
    await world.settle()

    assert (held["state"], held["held_because"]) == ("held", "the rule is switched off")
    assert none_yet == []
    assert len(await tasks(world, deal["id"])) == 1


async def test_a_rule_with_waiting_runs_is_not_deleted_without_saying_what_becomes_of_them(
    world: World, deal: Any
) -> None:
    rule = await world.rule(
        world.stages["Offer"], "create_task", params={"title": "Call"}, timing=AN_HOUR
    )
    await world.move(deal["id"], world.stages["Offer"])

    seen = {"If-Match": f'"{rule["version"]}"'}
    refused = await world.http.delete(f"/v1/rules/{rule['id']}", headers=seen)
    await world.delete(f"/v1/rules/{rule['id']}?waiting=drop")
    await world.advance(timedelta(days=1))

    assert refused.status_code == 409
    assert "1 waiting run" in refused.json()["detail"]
    (run,) = await world.runs(deal["id"])
    assert (run["state"], run["outcome"]) == ("dropped", "the rule was deleted")
    assert await tasks(world, deal["id"]) == []


async def test_editing_a_rule_leaves_waiting_runs_as_they_are(world: World, deal: Any) -> None:
    rule = await world.rule(
        world.stages["Offer"], "create_task", params={"title": "Old"}, timing=AN_HOUR
    )
    await world.move(deal["id"], world.stages["Offer"])

    edited = await world.patch(f"/v1/rules/{rule['id']}", {"params": {"title": "New"}})
    await world.advance(timedelta(hours=2))

    assert edited["text_version"] == 2
    assert [task["title"] for task in await tasks(world, deal["id"])] == ["Old"]
