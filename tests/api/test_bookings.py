"""Bookings over HTTP: made, moved, cancelled and found; of many at once exactly one wins."""

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest
from icalendar import Calendar

from models.api_token import make_token
from models.booking import BookingHold
from models.database import Database
from models.department import Department
from models.item_type import ItemType
from models.pipeline import find_stage
from models.settings import Settings
from models.user import User
from tests.factories import a_deal, all_of
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database
from tests.fixtures.world import served

BOOKINGS = "/v1/bookings"
AVAILABILITY = f"{BOOKINGS}/availability"

Body = dict[str, Any]


class Yard:
    """A company with a crane and Tom, and deals that can be booked for a visit."""

    def __init__(self, api: httpx2.AsyncClient, company: SmallCompany) -> None:
        self._api = api
        self._company = company
        self.tom = User(name="Tom", department=Department(name="Sales"))
        self.stage = 0
        self.crane = 0
        self.van = 0

    async def set_up(self) -> None:
        [self.stage] = await self._company.pipeline("New")
        await self._company.custom("visit", "booking")
        await self._company.add(self.tom)
        self.crane, self.van = [await self._resource(name) for name in ("Crane", "Van")]

    async def _resource(self, name: str) -> int:
        made = await self._api.post("/v1/resources", json={"name": name})
        number: int = self._company.made(made)["id"]
        return number

    def body(self, deal: Body, **said: Any) -> Body:
        """Return a booking of a Monday at noon for an hour."""
        return {
            "item_id": deal["id"],
            "field": "visit",
            "service": "Survey",
            "starts_at": "2099-08-03T12:00:00Z",
            "ends_at": "2099-08-03T13:00:00Z",
            "resource_ids": [self.crane],
        } | said

    async def booking(self, deal: Body, **said: Any) -> Any:
        answer = await self._api.post(BOOKINGS, json=self.body(deal, **said))
        return self._company.made(answer)

    async def field(self, deal: Body) -> Any:
        return (await self._api.get(f"/v1/deals/{deal['id']}")).json()["custom"].get("visit")


@pytest.fixture
async def yard(api: httpx2.AsyncClient, company: SmallCompany) -> Yard:
    yard = Yard(api, company)
    await yard.set_up()
    return yard


async def test_of_fifty_who_book_one_slot_at_once_exactly_one_wins(
    database: Database, yard: Yard, admin: User
) -> None:
    async with database.transaction() as session:
        stage = await find_stage(session, yard.stage)
        deals = [(await a_deal(session, stage))[0] for _ in range(50)]
        token = make_token(session, await session.get_one(User, admin.id), "fifty")
    free = Settings(rate_limit="off", rate_limit_strangers="off")
    bodies = [yard.body({"id": deal.id}, user_ids=[yard.tom.id]) for deal in deals]

    async with served(database, free, token) as http:
        answers = await asyncio.gather(
            *(http.post(BOOKINGS, json=body, timeout=60) for body in bodies)
        )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    [won] = [answer.json() for answer in answers if answer.status_code == 201]
    assert {answer.json()["detail"] for answer in answers if answer.status_code == 409} == {
        (
            f"Crane is booked already, 3 August 2099, 12:00 to 13:00: booking {won['id']} of deal "
            f"{won['item_id']}."
        )
    }
    assert len(await all_of(database, BookingHold)) == 2


async def test_a_booking_reads_as_made_and_its_item_says_when(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard, admin: User
) -> None:
    deal = await company.deal()

    made = await yard.booking(deal, user_ids=[yard.tom.id], resource_ids=[yard.crane, yard.crane])

    assert (await api.get(f"{BOOKINGS}/{made['id']}")).json() == made
    assert made == {
        "id": made["id"],
        "item_id": deal["id"],
        "field": "visit",
        "service": "Survey",
        "starts_at": "2099-08-03T12:00:00Z",
        "ends_at": "2099-08-03T13:00:00Z",
        "resource_ids": [yard.crane],
        "user_ids": [yard.tom.id],
        "cancelled_at": None,
        "source_booking_id": None,
        "creator_id": admin.id,
        "made_by_run_id": None,
        "created_at": made["created_at"],
        "version": 1,
    }
    assert await yard.field(deal) == "2099-08-03T12:00:00Z"


async def test_a_booking_is_moved_and_cancelled_and_its_field_follows(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard
) -> None:
    deal = await company.deal()
    made = await yard.booking(deal)
    path = f"{BOOKINGS}/{made['id']}"

    moved = await api.patch(path, json={"starts_at": "2099-08-04T09:00:00Z"})
    then = await yard.field(deal)
    cancelled = await api.delete(path)
    again = await api.delete(path)

    assert moved.json() == made | {
        "starts_at": "2099-08-04T09:00:00Z",
        "ends_at": "2099-08-04T10:00:00Z",
        "version": 2,
    }
    assert then == "2099-08-04T09:00:00Z"
    assert (cancelled.status_code, again.status_code) == (204, 409)
    assert (await api.get(path)).json()["cancelled_at"] is not None
    assert await yard.field(deal) is None


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field", "reason"),
    [
        ({"item_id": 4711}, "/item_id", "There is no item 4711."),
        ({"field": "visits"}, "/field", "visits is no booking field of deals; there is visit."),
        ({"resource_ids": [4711]}, "/resource_ids/0", "There is no resource 4711."),
        ({"user_ids": [4711]}, "/user_ids/0", "There is no user 4711."),
        ({"resource_ids": []}, "/resource_ids", "Name at least one resource or user to book."),
        ({"ends_at": "2099-08-03T12:00:00Z"}, "/ends_at", "It must end after it starts."),
        (
            {"starts_at": "2020-08-03T12:00:00Z", "ends_at": "2020-08-03T13:00:00Z"},
            "/ends_at",
            "This time is over already.",
        ),
    ],
)
async def test_a_booking_that_makes_no_sense_is_refused(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard, sent: Body, field: str, reason: str
) -> None:
    deal = await company.deal()

    answer = await api.post(BOOKINGS, json=yard.body(deal, **sent))

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "reason": reason}]


@pytest.mark.parametrize("start", ["9999-12-31T23:30:00Z", "9999-12-30T23:30:00Z"])
async def test_a_booking_is_not_moved_beyond_the_calendar(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard, start: str
) -> None:
    made = await yard.booking(await company.deal())

    answer = await api.patch(f"{BOOKINGS}/{made['id']}", json={"starts_at": start})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "/starts_at", "reason": "This moment is beyond the calendar."}
    ]


async def test_bookings_are_found_by_what_they_are_of_and_when(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard
) -> None:
    roof, shed = await company.deal(), await company.deal()
    noon = await yard.booking(roof, user_ids=[yard.tom.id])
    van = await yard.booking(shed, resource_ids=[yard.van], service="Delivery")
    late = await yard.booking(
        roof, starts_at="2099-08-05T09:00:00Z", ends_at="2099-08-06T09:00:00Z"
    )
    await api.delete(f"{BOOKINGS}/{van['id']}")

    async def found(**asked: Any) -> list[int]:
        answer = await api.get(BOOKINGS, params=asked)
        return [each["id"] for each in company.made(answer)["items"]]

    assert await found() == [noon["id"], van["id"], late["id"]]
    assert await found(item_id=roof["id"], sort="-starts_at") == [late["id"], noon["id"]]
    assert await found(resource_id=yard.van) == [van["id"]]
    assert await found(user_id=yard.tom.id) == [noon["id"]]
    assert await found(cancelled=False) == [noon["id"], late["id"]]
    assert await found(cancelled=True, q="deliv") == [van["id"]]
    assert await found(
        ends_from="2099-08-05T12:00:00Z", starts_to="2099-08-05T13:00:00Z", field="visit"
    ) == [late["id"]]


async def test_agents_see_and_move_what_is_of_them_or_of_items_within_their_reach(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard, sign_in: SignIn
) -> None:
    mine, other = await company.deal(responsible_id=yard.tom.id), await company.deal()
    of_mine = await yard.booking(mine)
    with_me = await yard.booking(other, resource_ids=[], user_ids=[yard.tom.id])
    far = await yard.booking(other, resource_ids=[yard.van])
    tom = await sign_in(yard.tom)

    listed = await tom.get(BOOKINGS)
    refused = [
        await tom.get(f"{BOOKINGS}/{far['id']}"),
        await tom.delete(f"{BOOKINGS}/{far['id']}"),
        await tom.post(BOOKINGS, json=yard.body(other, resource_ids=[yard.van])),
    ]
    cancelled = await tom.delete(f"{BOOKINGS}/{with_me['id']}")

    assert [each["id"] for each in listed.json()["items"]] == [of_mine["id"], with_me["id"]]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert cancelled.status_code == 204


async def test_free_slots_keep_to_the_hours_of_all_and_pass_by_what_is_booked(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard
) -> None:
    await api.patch("/v1/installation", json={"time_zone": "Europe/Berlin", "days_off": []})
    await api.patch(
        f"/v1/resources/{yard.crane}", json={"working_hours": {"mon": [["10:00", "15:00"]]}}
    )
    await api.patch(f"/v1/users/{yard.tom.id}", json={"absent_from": "2099-08-04T00:00:00Z"})
    await yard.booking(
        await company.deal(), starts_at="2099-08-03T09:15:00Z", ends_at="2099-08-03T10:30:00Z"
    )
    asked: Body = {
        "resource_ids": [yard.crane],
        "user_ids": [yard.tom.id],
        "from": "2099-08-01T00:00:00Z",
        "until": "2099-08-20T00:00:00Z",
    }

    hours = company.made(await api.get(AVAILABILITY, params=asked | {"minutes": 60}))
    too_long = company.made(await api.get(AVAILABILITY, params=asked | {"minutes": 240}))

    assert hours["complete"] is True
    assert [slot["starts_at"] for slot in hours["slots"]] == [
        "2099-08-03T08:00:00Z",
        "2099-08-03T10:30:00Z",
        "2099-08-03T11:30:00Z",
    ]
    assert too_long["slots"] == []


async def test_a_long_time_has_more_slots_than_one_answer(
    api: httpx2.AsyncClient, yard: Yard
) -> None:
    asked: Body = {
        "resource_ids": [yard.crane],
        "from": "2099-01-01T00:00:00Z",
        "until": "2100-01-01T00:00:00Z",
        "minutes": 15,
    }

    first = SmallCompany.made(await api.get(AVAILABILITY, params=asked))
    rest = SmallCompany.made(
        await api.get(AVAILABILITY, params=asked | {"from": first["slots"][-1]["ends_at"]})
    )

    assert (len(first["slots"]), first["complete"]) == (500, False)
    assert rest["slots"][0]["starts_at"] >= first["slots"][-1]["ends_at"]


@on_one_database
@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"resource_ids": []}, "/resource_ids"),
        ({"resource_ids": [4711]}, "/resource_ids/0"),
        ({"until": "2099-07-31T00:00:00Z"}, "/until"),
        ({"until": "2101-08-31T00:00:00Z"}, "/until"),
        ({"minutes": 0}, "/minutes"),
        ({"minutess": 60}, "/minutess"),
    ],
)
async def test_a_search_that_makes_no_sense_is_refused(
    api: httpx2.AsyncClient, yard: Yard, asked: Body, field: str
) -> None:
    usual: Body = {
        "resource_ids": [yard.crane],
        "from": "2099-08-01T00:00:00Z",
        "until": "2099-08-02T00:00:00Z",
    }

    answer = await api.get(AVAILABILITY, params=usual | asked)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("value", ["2099-08-03T12:00:00Z", None, 3])
async def test_a_booking_field_is_filled_by_bookings_alone(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard, value: object
) -> None:
    deal = await company.deal()
    await yard.booking(deal, starts_at="2099-08-03T11:00:00Z")
    path = f"/v1/deals/{deal['id']}"

    written = await api.patch(path, json={"custom": {"visit": value}})
    same = await api.patch(path, json={"custom": {"visit": "2099-08-03T11:00:00Z"}})

    assert written.status_code == 422
    assert written.json()["errors"] == [
        {
            "field": "/custom/visit",
            "reason": "«Visit» takes nothing by itself: it says when the next of its bookings "
            "starts.",
        }
    ]
    assert same.status_code == 200


async def test_items_are_found_by_when_they_are_booked(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard
) -> None:
    booked, _ = await company.deal(), await company.deal()
    await yard.booking(booked)

    answer = await api.get("/v1/deals", params={"custom[visit][from]": "2099-08-03T00:00:00Z"})

    assert [each["id"] for each in company.made(answer)["items"]] == [booked["id"]]


async def test_texts_and_conditions_read_a_booking_field_as_a_datetime(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard
) -> None:
    deal = await company.deal()
    await yard.booking(deal)
    path = f"/v1/items/{deal['id']}/preview"
    ahead = {
        "field": "deal.custom.visit",
        "operator": "more than ahead",
        "value": {"amount": 1, "unit": "days"},
    }

    text = await api.post(f"{path}/text", json={"text": "{{ deal.custom.visit | date }}"})
    met = await api.post(f"{path}/conditions", json={"conditions": ahead})

    assert "2099" in company.made(text)["text"]
    assert company.made(met)["outcome"] == "met"


async def test_rules_do_not_write_into_a_booking_field(api: httpx2.AsyncClient, yard: Yard) -> None:
    change = {"field": "deal.custom.visit", "value": {"amount": 1, "unit": "days"}}
    rule = {"title": "Book", "action": "edit_item", "params": {"changes": [change]}}

    answer = await api.post(f"/v1/stages/{yard.stage}/rules", json=rule)

    assert answer.json()["errors"] == [
        {"field": "/params/changes/0/field", "reason": "deal.custom.visit cannot be changed"}
    ]


async def test_leads_can_be_booked_too_and_what_they_have_booked_stays_theirs(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard
) -> None:
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    await company.custom("call", "booking", item_type="lead")
    lead = await company.lead()

    made = await yard.booking(lead, field="call")

    assert (await api.get(f"/v1/leads/{lead['id']}")).json()["custom"] == {
        "call": made["starts_at"]
    }


async def test_who_is_booked_finds_it_in_the_calendar_feed_until_it_is_cancelled(
    api: httpx2.AsyncClient, company: SmallCompany, yard: Yard, sign_in: SignIn
) -> None:
    deal = await company.deal()
    made = await yard.booking(deal, user_ids=[yard.tom.id])
    link = company.made(await (await sign_in(yard.tom)).post("/v1/calendar-link"))["feed_url"]

    booked = Calendar.from_ical((await api.get(link)).content)
    await api.delete(f"{BOOKINGS}/{made['id']}")
    cancelled = Calendar.from_ical((await api.get(link)).content)

    [entry] = booked.walk("VEVENT")
    assert (
        entry["SUMMARY"],
        entry.decoded("DTSTART").isoformat(),
        entry.decoded("DTEND").isoformat(),
    ) == (
        "Survey",
        "2099-08-03T12:00:00+00:00",
        "2099-08-03T13:00:00+00:00",
    )
    assert entry["DESCRIPTION"] == f"Crane, Tom\nhttp://cuebook/v1/deals/{deal['id']}"
    assert cancelled.walk("VEVENT") == []
