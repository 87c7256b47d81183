"""Spam: the deal goes with its sender, and neither comes again, unless somebody undoes it."""

from typing import Any

import pytest

from tests.fixtures.world import World


@pytest.fixture
async def spam(world: World) -> Any:
    """A deal of Sam's, in a pipeline with a *Spam* stage that excepts and deletes."""
    world.stages = await world.pipeline("Sales", "New", "Spam")
    await world.rule(world.stages["Spam"], "add_to_exclusions")
    await world.rule(world.stages["New"], "create_task", params={"title": "Call back"})
    sam = await world.post(
        "/v1/contacts",
        {
            "first_name": "Sam",
            "phones": ["+44 20 7946 0958", "020 7946 0959"],
            "emails": ["Sam@Prizes.Example"],
        },
    )
    deal = await world.post("/v1/deals", {"title": "You have won!", "contact_id": sam["id"]})
    await world.settle()
    return deal


async def listed(world: World) -> set[str]:
    return {each["value"] for each in (await world.get("/v1/exclusions"))["items"]}


async def deletions(world: World, item_id: int) -> set[str]:
    history = await world.get(f"/v1/items/{item_id}/history?kind=deleted")
    return {f"{line['subject_type']} {line['subject_id']}" for line in history["items"]}


async def test_deal_and_contact_are_gone_and_the_contacts_addresses_are_excepted(
    world: World, spam: Any
) -> None:
    await world.move(spam["id"], world.stages["Spam"])

    assert {"+442079460958", "sam@prizes.example"} < await listed(world)
    assert (await world.http.get(f"/v1/deals/{spam['id']}")).status_code == 404
    assert (await world.http.get(f"/v1/contacts/{spam['contact_id']}")).status_code == 404
    bin_ = await world.get("/v1/recycle-bin")
    assert [item["id"] for item in bin_["items"]] == [spam["id"]]


async def test_the_history_tells_both_deletions(world: World, spam: Any) -> None:
    await world.move(spam["id"], world.stages["Spam"])

    told = await deletions(world, spam["id"])

    assert told == {f"deal {spam['id']}", f"contact {spam['contact_id']}"}


async def test_a_contact_who_has_another_deal_stays_listed_and_the_outcome_says_so(
    world: World, spam: Any
) -> None:
    other = await world.post("/v1/deals", {"title": "A real one", "contact_id": spam["contact_id"]})

    await world.move(spam["id"], world.stages["Spam"])

    assert (await world.http.get(f"/v1/contacts/{spam['contact_id']}")).status_code == 200
    assert "sam@prizes.example" in await listed(world)
    *_, run = await world.runs(spam["id"])
    assert f"Sam stays: deal {other['id']}; their addresses are excepted" in run["outcome"]


async def test_undo_brings_all_back_and_nothing_fires(world: World, spam: Any) -> None:
    await world.move(spam["id"], world.stages["Spam"])
    *_, run = await world.runs(spam["id"])

    restored = await world.post("/v1/exclusions/undo", {"run_id": run["id"]})
    await world.settle()

    assert restored["id"] == spam["id"]
    assert (await world.get(f"/v1/deals/{spam['id']}"))["stage_id"] == world.stages["Spam"]
    assert (await world.get(f"/v1/contacts/{spam['contact_id']}"))["emails"] == [
        "Sam@Prizes.Example"
    ]
    assert await listed(world) == set()
    assert [each["id"] for each in await world.runs(spam["id"])][-1] == run["id"]


async def test_restoring_the_deal_alone_does_not_delete_it_again(world: World, spam: Any) -> None:
    await world.move(spam["id"], world.stages["Spam"])

    await world.post(f"/v1/items/{spam['id']}/restore")
    await world.settle()

    deal = await world.get(f"/v1/deals/{spam['id']}")
    assert (deal["stage_id"], deal["deleted_at"]) == (world.stages["Spam"], None)


async def test_a_lead_without_a_client_is_excepted_by_its_own_addresses(world: World) -> None:
    stages = await world.pipeline("Leads", "Incoming", "Junk", item_type="lead")
    await world.rule(stages["Junk"], "add_to_exclusions")
    lead = await world.post(
        "/v1/leads", {"title": "Buy now", "phones": ["+49 171 5550199"], "emails": []}
    )

    await world.move(lead["id"], stages["Junk"])

    assert await listed(world) == {"+491715550199"}
    assert (await world.http.get(f"/v1/leads/{lead['id']}")).status_code == 404
