"""Tasks that rules make and complete, rules that wait for them, and waits for the client."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

A_DAY = timedelta(days=1)
AN_HOUR = {"kind": "after_delay", "amount": 1, "unit": "hours"}
THREE_DAYS = {"until": {"amount": 3, "unit": "days"}}
NO_ANSWER = {"field": "wait.ended_by", "operator": "=", "value": "time"}


@pytest.fixture
async def stages(world: World) -> dict[str, int]:
    world.stages = await world.pipeline("Sales", "New", "Survey", "Closed won")
    return world.stages


async def deal_in(world: World, stage: str) -> Any:
    deal = await world.post("/v1/deals", {"title": "Roof", "stage_id": world.stages[stage]})
    await world.settle()
    return deal


async def tasks(world: World, deal: Any) -> dict[str, str]:
    """Return the status of each task of a deal, by title."""
    page = await world.get(f"/v1/tasks?item_id={deal['id']}")
    return {task["title"]: task["status"] for task in page["items"]}


async def states(world: World, deal: Any) -> list[str]:
    return [run["state"] for run in await world.runs(deal["id"])]


async def test_a_task_made_in_one_stage_is_completed_in_another_and_those_made_by_hand_are_not(
    world: World, stages: dict[str, int]
) -> None:
    await world.rule(stages["Survey"], "create_task", params={"title": "Measure"})
    done = {"stages": [stages["Survey"]]}
    await world.rule(stages["Closed won"], "complete_tasks", params=done)
    deal = await deal_in(world, "Survey")
    await world.post("/v1/tasks", {"title": "By hand", "item_id": deal["id"]})
    before = await tasks(world, deal)

    await world.move(deal["id"], stages["Closed won"])

    assert before == {"Measure": "pending", "By hand": "pending"}
    assert await tasks(world, deal) == {"Measure": "completed", "By hand": "pending"}


async def test_a_rule_waits_until_its_task_is_completed_and_the_rule_after_it_counts_from_then(
    world: World, stages: dict[str, int]
) -> None:
    survey = {"title": "Measure", "wait_until_completed": True}
    await world.rule(stages["Survey"], "create_task", params=survey)
    await world.rule(
        stages["Survey"],
        "add_history_entry",
        params={"text": "{{ results.create_task.completed_by }} has measured."},
        timing=AN_HOUR,
        after_previous=True,
    )
    deal = await deal_in(world, "Survey")
    await world.advance(2 * A_DAY)
    waiting = await states(world, deal)
    (task,) = (await world.get(f"/v1/tasks?item_id={deal['id']}"))["items"]

    await world.patch(f"/v1/tasks/{task['id']}", {"status": "completed"})
    completed_at = world.now
    await world.advance(timedelta(minutes=59))
    soon = await states(world, deal)
    await world.advance(timedelta(minutes=2))

    assert waiting == ["in progress", "waiting"]
    assert soon == ["done", "waiting"]
    measured, noted = await world.runs(deal["id"])
    assert measured["outcome"] == f"Task {task['id']} «Measure» was completed by Ada Admin."
    assert (noted["state"], noted["result"]["text"]) == ("done", "Ada Admin has measured.")
    due = datetime.fromisoformat(noted["due_at"])
    assert abs(due - completed_at - timedelta(hours=1)) < timedelta(seconds=30)


@pytest.fixture
async def waiting(world: World, stages: dict[str, int]) -> Any:
    """A deal that waits three days for its client; then one rule tells, one reminds."""
    survey = stages["Survey"]
    await world.rule(survey, "wait", params=THREE_DAYS)
    told = {"text": "Ended by {{ wait.ended_by }}."}
    await world.rule(survey, "add_history_entry", params=told, after_previous=True)
    reminder = {"title": "Remind them"}
    await world.rule(
        survey, "create_task", params=reminder, conditions=NO_ANSWER, after_previous=True
    )
    return await deal_in(world, "Survey")


async def test_a_note_of_what_the_client_said_ends_the_wait_on_day_two(
    world: World, waiting: Any
) -> None:
    await world.advance(2 * A_DAY)
    path = f"/v1/items/{waiting['id']}"
    before = await states(world, waiting)

    await world.post(f"{path}/comments", {"text": "He will come.", "from_client": True})
    await world.settle()

    assert before == ["in progress", "waiting", "waiting"]
    wait, told, reminder = await world.runs(waiting["id"])
    assert (wait["state"], wait["outcome"]) == ("done", "The client has been in touch.")
    assert told["result"] == {"text": "Ended by client."}
    assert (reminder["state"], reminder["outcome"]) == (
        "skipped",
        "wait.ended_by is client, needed = time",
    )
    assert await tasks(world, waiting) == {}


async def test_without_an_answer_the_wait_ends_by_its_time_and_somebody_reminds_them(
    world: World, waiting: Any
) -> None:
    await world.advance(2 * A_DAY)
    before = await states(world, waiting)

    await world.advance(A_DAY + timedelta(minutes=1))

    assert before == ["in progress", "waiting", "waiting"]
    wait, told, _ = await world.runs(waiting["id"])
    assert (wait["state"], wait["outcome"]) == ("done", "The time is up.")
    assert told["result"] == {"text": "Ended by time."}
    assert await tasks(world, waiting) == {"Remind them": "pending"}


async def test_a_person_who_ends_the_wait_lets_the_rules_after_it_go_on(
    world: World, waiting: Any
) -> None:
    await world.advance(A_DAY)

    await world.post(f"/v1/items/{waiting['id']}/end-wait")
    await world.settle()

    _, told, reminder = await world.runs(waiting["id"])
    assert told["result"] == {"text": "Ended by person."}
    assert reminder["state"] == "skipped"


async def test_leaving_the_stage_ends_the_wait_and_what_would_have_come_after_it(
    world: World, waiting: Any
) -> None:
    await world.move(waiting["id"], world.stages["Closed won"])

    await world.advance(30 * A_DAY)

    assert await states(world, waiting) == ["dropped", "dropped", "dropped"]
    assert await tasks(world, waiting) == {}


async def test_a_wait_until_a_date_lasts_until_that_day_begins(
    world: World, stages: dict[str, int]
) -> None:
    until = {"field": "deal.close_date", "direction": "before", "amount": 2, "unit": "days"}
    await world.rule(stages["Survey"], "wait", params={"until": until})
    deal = {"title": "Roof", "stage_id": stages["Survey"], "close_date": "2027-08-09"}

    made = await world.post("/v1/deals", deal)
    await world.settle()

    (run,) = await world.runs(made["id"])
    assert run["state"] == "in progress"
    assert datetime.fromisoformat(run["due_at"]) == datetime(2027, 8, 7, tzinfo=UTC)
