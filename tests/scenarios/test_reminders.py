"""Reminders: whoever has planned something is told of it in time, and not when it is over."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.world import World

A_MINUTE = timedelta(minutes=1)
AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def call(world: World) -> Any:
    """A call of Tom's at eleven in UTC; he lives in Tokyo, and is reminded a quarter before."""
    await world.pipeline("Sales", "New")
    tom = await world.post("/v1/users", {"name": "Tom", "time_zone": "Asia/Tokyo", "locale": "de"})
    deal = await world.post("/v1/deals", {"title": "Roof"})
    planned = {
        "kind": "call",
        "subject": "Offer",
        "item_id": deal["id"],
        "responsible_id": tom["id"],
        "starts_at": (world.now + 2 * AN_HOUR).isoformat(),
        "reminders": [15],
    }
    call = await world.post("/v1/crm-activities", planned)
    await world.settle()
    return call | {"tom": tom["id"], "deal": deal["id"]}


async def told_to(world: World, user_id: int) -> list[str]:
    page = await world.get(f"/v1/notifications?recipient_id={user_id}")
    return [each["text"] for each in page["items"]]


async def test_the_responsible_is_reminded_before_the_start_on_their_own_clock(
    world: World, call: Any
) -> None:
    await world.advance(105 * A_MINUTE - A_MINUTE)
    before = await told_to(world, call["tom"])

    await world.advance(A_MINUTE)

    assert before == []
    assert await told_to(world, call["tom"]) == [
        f"In 15 Minuten, 20:00: Anruf «Offer» (deal {call['deal']})"
    ]


async def test_a_postponed_call_reminds_at_the_new_time_only(world: World, call: Any) -> None:
    later = {"starts_at": (world.now + 3 * AN_HOUR).isoformat()}
    await world.post(f"/v1/crm-activities/{call['id']}/postpone", later)

    await world.advance(2 * AN_HOUR)
    at_first = await told_to(world, call["tom"])
    await world.advance(AN_HOUR)

    assert at_first == []
    assert len(await told_to(world, call["tom"])) == 1


async def test_nobody_is_reminded_of_a_call_that_is_completed(world: World, call: Any) -> None:
    await world.post(f"/v1/crm-activities/{call['id']}/complete", {})

    await world.advance(3 * AN_HOUR)

    assert await told_to(world, call["tom"]) == []


async def test_nobody_is_reminded_of_what_is_in_the_recycle_bin_but_again_when_it_is_back(
    world: World, call: Any
) -> None:
    await world.delete(f"/v1/deals/{call['deal']}")
    await world.advance(AN_HOUR)
    await world.post(f"/v1/items/{call['deal']}/restore")

    await world.advance(AN_HOUR)

    assert len(await told_to(world, call["tom"])) == 1
