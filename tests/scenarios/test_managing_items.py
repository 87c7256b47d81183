"""Managing items: rules that write fields, share the work, move deals on and throw them away."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from models.entering import MOST_LINKS, MOST_TOLD
from models.stage_entry import StageEntry
from tests.fixtures.database import on_one_database
from tests.fixtures.world import World

TWO_HOURS = {"kind": "after_delay", "amount": 2, "unit": "hours"}
LEFT = 2 * MOST_TOLD + 4
"""Links that a long chain still has, and that are more than are told."""


@pytest.fixture
async def stages(world: World) -> dict[str, int]:
    """The stages of a pipeline for deals."""
    return await world.pipeline("Sales", "New", "Offer", "Contract")


async def deal(world: World, **said: Any) -> Any:
    made = await world.post("/v1/deals", {"title": "Roof"} | said)
    await world.settle()
    return made


async def now(world: World, made: Any) -> Any:
    return await world.get(f"/v1/deals/{made['id']}")


async def several(world: World, count: int, to: int) -> list[Any]:
    """Let so many deals enter a stage, one after another; return them as they are then."""
    made = [await deal(world) for _ in range(count)]
    [await world.move(each["id"], to) for each in made]
    return [await now(world, each) for each in made]


async def told(world: World, made: Any, kind: str) -> list[str]:
    page = await world.get(f"/v1/items/{made['id']}/history?kind={kind}")
    return [line["text"] for line in page["items"]]


async def test_five_deals_are_shared_out_in_turn_and_who_is_away_is_passed_over(
    world: World, stages: dict[str, int]
) -> None:
    names = ("Ann", "Ben", "Cem")
    team = {name: (await world.post("/v1/users", {"name": name}))["id"] for name in names}
    await world.rule(
        stages["Offer"],
        "change_responsible",
        params={
            "candidates": [{"by": "user", "id": each} for each in team.values()],
            "pick": "in turn",
        },
    )

    first = await several(world, 5, stages["Offer"])
    away = (world.now + timedelta(days=7)).isoformat()
    await world.patch(f"/v1/users/{team['Cem']}", {"absent_until": away})
    second = await several(world, 2, stages["Offer"])

    in_turn = [team[name] for name in ("Ann", "Ben", "Cem", "Ann", "Ben")]
    assert [each["responsible_id"] for each in first] == in_turn
    assert [each["responsible_id"] for each in second] == [team["Ann"], team["Ben"]]
    (run,) = await world.runs(first[0]["id"])
    assert run["outcome"] == "Ann is responsible now."


async def test_a_rule_writes_fields_and_what_waits_for_a_date_of_them_follows(
    world: World, stages: dict[str, int]
) -> None:
    await world.post(
        "/v1/field-definitions",
        {"item_type": "deal", "name": "contract_no", "title": "Contract", "kind": "text"},
    )
    await world.rule(stages["Contract"], "generate_code", params={"length": 6})
    await world.rule(
        stages["Contract"],
        "edit_item",
        params={
            "changes": [
                {"field": "deal.custom.contract_no", "value": "K-{{ code }}"},
                {"field": "deal.amount", "value": "{{ deal.amount | times: 2 }}"},
                {"field": "deal.close_date", "value": {"amount": 2, "unit": "weeks"}},
                {"field": "deal.source"},
            ]
        },
    )
    await world.rule(
        stages["Contract"],
        "create_task",
        params={"title": "Sign {{ deal.custom.contract_no }}"},
        timing={"kind": "around_date", "field": "deal.close_date", "direction": "at"},
    )
    made = await deal(world, amount="1200.00", source="Fair", close_date="2029-01-01")

    await world.move(made["id"], stages["Contract"])
    await world.advance(timedelta(days=15))

    generated, edited, task = await world.runs(made["id"])
    code = generated["result"]["code"]
    after = await now(world, made)
    assert after["custom"] == {"contract_no": f"K-{code}"}
    assert (after["amount"], after["source"]) == ("2400.00", None)
    assert after["close_date"] == "2027-08-15"
    assert edited["outcome"] == "Changed Amount, Close date, Source, Contract."
    assert task["state"] == "done"
    (made_task,) = (await world.get(f"/v1/tasks?item_id={made['id']}"))["items"]
    assert made_task["title"] == f"Sign K-{code}"
    assert "Amount: 1200.00 → 2400.00" in await told(world, made, "changed")


async def test_a_rule_never_writes_what_the_api_would_refuse(
    world: World, stages: dict[str, int]
) -> None:
    wrong = {"changes": [{"field": "deal.amount", "value": "{{ deal.title }}"}]}
    await world.rule(stages["Contract"], "edit_item", params=wrong)
    made = await deal(world, amount="1200.00")

    await world.move(made["id"], stages["Contract"])

    (run,) = await world.runs(made["id"])
    assert (run["state"], run["outcome"]) == (
        "failed",
        "deal.amount: Input should be a valid decimal",
    )
    assert (await now(world, made))["amount"] == "1200.00"


async def test_a_deleted_deal_can_be_restored_and_says_which_rule_had_deleted_it(
    world: World, stages: dict[str, int]
) -> None:
    anna = await world.post("/v1/contacts", {"first_name": "Anna"})
    await world.rule(stages["Contract"], "delete_item", title="Tidy up")
    await world.rule(stages["Contract"], "create_task", params={"title": "x"}, timing=TWO_HOURS)
    made = await deal(world, contact_id=anna["id"])

    await world.move(made["id"], stages["Contract"])
    (binned,) = (await world.get("/v1/recycle-bin"))["items"]
    deleting, dropped = await world.runs(made["id"])
    restored = await world.post(f"/v1/items/{made['id']}/restore")
    await world.advance(timedelta(days=1))

    assert (binned["id"], binned["deleted_by_run_id"]) == (made["id"], deleting["id"])
    assert (dropped["state"], dropped["outcome"]) == ("dropped", "the item was deleted")
    assert (restored["deleted_at"], restored["contact_id"]) == (None, anna["id"])
    assert await told(world, made, "restored") == [
        "Restored to «Contract». The rule «Tidy up» had deleted it."
    ]
    assert (await now(world, made))["deleted_at"] is None
    assert len(await world.runs(made["id"])) == 2


async def test_a_deal_changes_its_pipeline_and_the_rules_there_begin(
    world: World, stages: dict[str, int]
) -> None:
    mounting = await world.pipeline("Installation", "Planning", "Running")
    pipeline = (await world.get(f"/v1/stages/{mounting['Planning']}"))["pipeline_id"]
    await world.rule(stages["Contract"], "change_pipeline", params={"pipeline": pipeline})
    await world.rule(mounting["Planning"], "create_task", params={"title": "Plan the visit"})
    made = await deal(world)

    await world.move(made["id"], stages["Contract"])

    after = await now(world, made)
    assert (after["pipeline_id"], after["stage_id"]) == (pipeline, mounting["Planning"])
    assert "Moved from «Sales › Contract» to «Installation › Planning»." in await told(
        world, made, "stage changed"
    )
    (task,) = (await world.get(f"/v1/tasks?item_id={made['id']}"))["items"]
    assert task["title"] == "Plan the visit"


async def test_rules_that_feed_themselves_at_once_are_refused_when_the_second_is_saved(
    world: World, stages: dict[str, int]
) -> None:
    await world.rule(stages["Offer"], "change_stage", params={"stage": stages["New"]})
    rule = {"title": "Back", "action": "change_stage", "params": {"stage": stages["Offer"]}}

    refused = await world.http.post(f"/v1/stages/{stages['New']}/rules", json=rule)

    assert refused.status_code == 422
    (problem,) = refused.json()["errors"]
    assert problem["field"] == "/params/stage"
    assert "«New» → «Offer» → «New»" in problem["reason"]


@on_one_database
async def test_a_chain_that_feeds_itself_through_two_hours_stops_after_its_last_link_and_tells(
    world: World, stages: dict[str, int]
) -> None:
    to_offer, to_new = {"stage": stages["Offer"]}, {"stage": stages["New"]}
    await world.rule(stages["New"], "change_stage", params=to_offer, timing=TWO_HOURS, title="On")
    await world.rule(stages["Offer"], "change_stage", params=to_new, timing=TWO_HOURS, title="Back")
    made = await deal(world)
    async with world.database.transaction() as session:
        entered = StageEntry.item_id == made["id"]
        await session.execute(update(StageEntry).where(entered).values(depth=MOST_LINKS - LEFT))

    await world.advance(timedelta(hours=2 * LEFT + 10))

    *before, last = (await world.get(f"/v1/items/{made['id']}/runs?limit=200&sort=id"))["items"]
    assert len(before) == LEFT
    assert {run["state"] for run in before} == {"done"}
    assert last["state"] == "failed"
    step = f"deal {made['id']} in «New» → deal {made['id']} in «Offer»"
    assert last["outcome"].startswith(f"loop: {step} → ")
    assert f" → … {LEFT + 1 - 2 * MOST_TOLD} more … → " in last["outcome"]
    assert (await now(world, made))["stage_id"] == stages["New"]
    (notice,) = (await world.get("/v1/notifications"))["items"]
    assert notice["text"] == f"«On» was stopped. {last['outcome']}"
    assert notice["item_id"] == made["id"]
