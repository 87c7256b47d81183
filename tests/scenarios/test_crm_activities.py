"""CRM activities: a call that completes itself, a meeting in the calendar, reminders in time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import vobject

from tests.fixtures.world import World

BERLIN = {"name": "Tom", "time_zone": "Europe/Berlin"}


@pytest.fixture
async def sales(world: World) -> Any:
    """Stages from contract approval to the paid invoice, and a manager in Berlin."""
    world.stages = await world.pipeline("Sales", "New", "Contract approval", "Invoice paid")
    manager = await world.post("/v1/users", BERLIN)
    return {"manager": manager["id"]}


async def a_deal(world: World, sales: Any, **said: Any) -> Any:
    deal = {"title": "Roof", "responsible_id": sales["manager"]}
    return await world.post("/v1/deals", deal | said)


async def planned(world: World, deal: Any) -> list[Any]:
    return list((await world.get(f"/v1/crm-activities?item_id={deal['id']}"))["items"])


async def told(world: World, user_id: int) -> list[str]:
    page = await world.get(f"/v1/notifications?recipient_id={user_id}")
    return [notice["text"] for notice in page["items"]][::-1]


async def feed_of(world: World, user_id: int) -> list[Any]:
    """Return what somebody's calendar program reads behind their link."""
    token = (await world.post("/v1/tokens", {"name": "Calendar", "user_id": user_id}))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    made = await world.http.post("/v1/calendar-link", headers=headers)
    path = made.json()["feed_url"].removeprefix("http://crm.example")
    answer = await world.http.get(path, headers={"Authorization": ""})
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    return list(getattr(vobject.readOne(answer.text), "vevent_list", []))


async def test_a_call_planned_at_contract_approval_completes_itself_when_the_invoice_is_paid(
    world: World, sales: Any
) -> None:
    call = {"subject": "Ask {{ deal.title }} for the money", "complete_on_stage_change": True}
    await world.rule(world.stages["Contract approval"], "schedule_call", params=call)
    deal = await a_deal(world, sales)

    await world.move(deal["id"], world.stages["Contract approval"])
    [before] = await planned(world, deal)
    await world.move(deal["id"], world.stages["Invoice paid"])
    [after] = await planned(world, deal)

    assert (before["kind"], before["status"]) == ("call", "planned")
    assert (before["subject"], before["responsible_id"]) == (
        "Ask Roof for the money",
        sales["manager"],
    )
    # Noon in Berlin, today.
    assert before["starts_at"] == "2027-08-01T10:00:00Z"
    assert (after["status"], after["completion"]) == ("completed", "stage change")
    assert after["completed_by_id"] == world.admin.id


async def test_without_the_switch_the_call_stays_planned(world: World, sales: Any) -> None:
    await world.rule(world.stages["Contract approval"], "schedule_call", params={"subject": "Call"})
    deal = await a_deal(world, sales)

    await world.move(deal["id"], world.stages["Contract approval"])
    await world.move(deal["id"], world.stages["Invoice paid"])

    [call] = await planned(world, deal)
    assert (call["status"], call["completion"]) == ("planned", None)


async def test_a_meeting_at_the_address_of_the_client_stands_in_the_calendar(
    world: World, sales: Any
) -> None:
    works = await world.post("/v1/companies", {"name": "Works", "address": "Works Road 1, Berlin"})
    meeting = {
        "subject": "Look at the roof of {{ company.name }}",
        "place": "{{ company.address }}",
        "start": {"days": 1, "time": "14:30"},
    }
    await world.rule(world.stages["Contract approval"], "schedule_meeting", params=meeting)
    deal = await a_deal(world, sales, company_id=works["id"])

    await world.move(deal["id"], world.stages["Contract approval"])

    [entry] = await feed_of(world, sales["manager"])
    assert entry.summary.value == "Look at the roof of Works"
    assert entry.location.value == "Works Road 1, Berlin"
    assert entry.dtstart.value == datetime(2027, 8, 2, 12, 30, tzinfo=UTC)
    assert entry.dtstart.value.utcoffset() == timedelta(hours=2)
    assert entry.dtend.value - entry.dtstart.value == timedelta(hours=1)
    assert [alarm.trigger.value for alarm in entry.valarm_list] == [
        timedelta(minutes=-15),
        timedelta(0),
    ]
    assert entry.description.value.endswith(f"http://crm.example/v1/deals/{deal['id']}")


async def test_reminders_come_in_time_and_none_after_the_call_was_made(
    world: World, sales: Any
) -> None:
    call = {"subject": "Call", "start": {"days": 1, "time": "12:00"}, "reminders": [60, 15, 0]}
    await world.rule(world.stages["Contract approval"], "schedule_call", params=call)
    deal = await a_deal(world, sales)
    await world.move(deal["id"], world.stages["Contract approval"])
    [made] = await planned(world, deal)
    noon = datetime(2027, 8, 2, 10, 0, tzinfo=UTC)

    await world.advance(noon - timedelta(minutes=61))
    too_early = await told(world, sales["manager"])
    await world.advance(noon - timedelta(minutes=10))
    in_time = await told(world, sales["manager"])
    await world.post(f"/v1/crm-activities/{made['id']}/complete", {"result": "She pays"})
    await world.advance(noon + timedelta(hours=1))

    assert too_early == []
    assert len(in_time) == 2
    assert all("«Call»" in text for text in in_time)
    assert await told(world, sales["manager"]) == in_time


async def test_a_postponed_meeting_is_told_of_anew(world: World, sales: Any) -> None:
    deal = await a_deal(world, sales)
    new = {
        "kind": "meeting",
        "subject": "Meet",
        "item_id": deal["id"],
        "responsible_id": sales["manager"],
        "starts_at": "2027-08-02T10:00:00Z",
        "ends_at": "2027-08-02T11:00:00Z",
        "reminders": [15],
    }
    meeting = await world.post("/v1/crm-activities", new)
    await world.settle()
    later = {"starts_at": "2027-08-05T10:00:00Z"}

    postponed = await world.post(f"/v1/crm-activities/{meeting['id']}/postpone", later)
    await world.advance(datetime(2027, 8, 5, 9, 0, tzinfo=UTC))
    before = await told(world, sales["manager"])
    await world.advance(datetime(2027, 8, 5, 11, 0, tzinfo=UTC))
    [entry] = await feed_of(world, sales["manager"])

    assert postponed["ends_at"] == "2027-08-05T11:00:00Z"
    assert before == []
    assert len(await told(world, sales["manager"])) == 1
    assert entry.dtstart.value == datetime(2027, 8, 5, 10, 0, tzinfo=UTC)


async def test_whoever_is_planned_something_by_a_rule_is_told_at_once(
    world: World, sales: Any
) -> None:
    to_do = {"subject": "Send the papers", "start": {"days": 3, "time": "09:00"}}
    await world.rule(world.stages["Contract approval"], "plan_activity", params=to_do)
    deal = await a_deal(world, sales)

    await world.move(deal["id"], world.stages["Contract approval"])

    [text] = await told(world, sales["manager"])
    assert text.startswith("Planned for you: «Send the papers», Aug 4, 2027, 9:00")
    [entry] = await feed_of(world, sales["manager"])
    assert entry.summary.value == "Send the papers"
