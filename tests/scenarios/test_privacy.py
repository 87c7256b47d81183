"""Privacy: nothing personal leaves the database for Temporal."""

import re
from base64 import b64decode

from google.protobuf.json_format import MessageToJson

from tests.fixtures.world import World

PERSONAL = re.compile(r"Anna|Keller|Roof|\+49|0151|Tom", re.IGNORECASE)


def readable(history: str) -> str:
    """Return a history with the contents of its payloads, which it holds in base64."""
    payloads = re.findall(r'"data": "([^"]+)"', history)
    return "\n".join([history, *(b64decode(each).decode() for each in payloads)])


async def test_histories_hold_ids_times_and_rule_titles_only(world: World) -> None:
    stages = await world.pipeline("Sales", "New", "Won")
    text = {"text": "{{ contact.name }} of {{ deal.title }}: {{ contact.phone }}"}
    await world.rule(stages["Won"], "add_history_entry", params=text, title="Write it down")
    await world.rule(stages["Won"], "create_repeat_lead", title="Fails: there are no leads")
    await world.rule(
        stages["Won"],
        "create_task",
        params={"title": "Call {{ contact.name }}"},
        conditions={"field": "contact.name", "operator": "=", "value": "Tom"},
    )
    anna = await world.post(
        "/v1/contacts",
        {"first_name": "Anna", "last_name": "Keller", "phones": ["+49 151 23456789"]},
    )
    deal = await world.post("/v1/deals", {"title": "Roof", "contact_id": anna["id"]})
    moved = await world.move(deal["id"], stages["Won"])

    handle = await world.scene.handle(moved["stage_entry_id"])
    history = readable((await handle.fetch_history()).to_json())
    described = readable(MessageToJson((await handle.describe()).raw_description))

    assert [run["state"] for run in await world.runs(deal["id"])] == ["done", "failed", "skipped"]
    assert "Write it down" in history
    assert PERSONAL.findall(history) == []
    assert f"Deal {deal['id']} in Sales" in described
    assert PERSONAL.findall(described) == []
