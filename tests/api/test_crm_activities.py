"""CRM activities over HTTP: planned, noted, completed, postponed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from models.clock import clock
from models.crm_activity import CrmActivity
from models.database import Database
from models.department import Department
from models.reminders import Reminder
from models.user import Reach, User
from tests.factories import all_of
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

PATH = "/v1/crm-activities"
NOW = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
TOMORROW = "2027-08-03T10:00:00Z"
LATER = "2027-08-03T11:00:00Z"


@pytest.fixture(autouse=True)
def _it_is_monday_morning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "source", lambda: NOW)


@pytest.fixture
async def deal(company: SmallCompany, api: httpx2.AsyncClient) -> Any:
    """A deal with a contact and a company, in the first of two stages."""
    new, won = await company.pipeline("New", "Won")
    anna = company.made(
        await api.post("/v1/contacts", json={"first_name": "Anna", "phones": ["030 111111"]})
    )
    works = company.made(await api.post("/v1/companies", json={"name": "Works"}))
    deal = await company.deal(contact_id=anna["id"], company_id=works["id"])
    return deal | {"new": new, "won": won}


async def a_call(api: httpx2.AsyncClient, deal: Any, **said: Any) -> Any:
    call = {"kind": "call", "subject": "Call", "item_id": deal["id"], "starts_at": TOMORROW}
    return SmallCompany.made(await api.post(PATH, json=call | said))


async def due(database: Database) -> list[datetime | None]:
    reminders = await all_of(database, Reminder)
    return [each.due_at for each in reminders]


async def told(api: httpx2.AsyncClient, deal: Any) -> list[str]:
    """Return what history tells of CRM activities, oldest first."""
    path = f"/v1/items/{deal['id']}/history?kind=crm activity&kind=call&kind=e-mail"
    return [line["text"] for line in (await api.get(path)).json()["items"]][::-1]


async def test_a_crm_activity_reads_as_created(
    api: httpx2.AsyncClient, deal: Any, admin: User
) -> None:
    bob = SmallCompany.made(await api.post("/v1/users", json={"name": "Bob"}))
    ida = SmallCompany.made(await api.post("/v1/contacts", json={"first_name": "Ida"}))
    said = {
        "kind": "meeting",
        "subject": "Measure the roof",
        "description": "Bring the ladder",
        "status": "planned",
        "direction": "outgoing",
        "item_id": deal["id"],
        "responsible_id": bob["id"],
        "contact_id": ida["id"],
        "company_id": None,
        "phone": "030 222222",
        "place": "Works Road 1",
        "starts_at": TOMORROW,
        "ends_at": LATER,
        "important": True,
        "colour": "green",
        "complete_on_stage_change": True,
        "reminders": [60, 5],
        "result": None,
    }

    made = SmallCompany.made(await api.post(PATH, json=said))

    assert (await api.get(f"{PATH}/{made['id']}")).json() == made
    assert made == said | {
        "id": made["id"],
        "creator_id": admin.id,
        "completed_at": None,
        "completed_by_id": None,
        "completion": None,
        "made_by_run_id": None,
        "inbound_id": None,
        "created_at": made["created_at"],
        "version": 1,
    }


async def test_what_is_left_out_is_mine_with_the_client_of_the_item(
    api: httpx2.AsyncClient, database: Database, deal: Any, admin: User
) -> None:
    call = await a_call(api, deal)

    assert (call["responsible_id"], call["creator_id"]) == (admin.id, admin.id)
    assert (call["contact_id"], call["company_id"]) == (deal["contact_id"], deal["company_id"])
    assert (call["phone"], call["direction"]) == ("030 111111", "outgoing")
    assert call["reminders"] == [15, 0]
    assert await due(database) == [
        datetime(2027, 8, 3, 9, 45, tzinfo=UTC),
        datetime(2027, 8, 3, 10, 0, tzinfo=UTC),
    ]
    assert await told(api, deal) == [f"Planned call {call['id']} «Call» for 3 August 2027, 10:00."]


async def test_an_incoming_call_that_has_happened_is_noted_as_completed(
    api: httpx2.AsyncClient, database: Database, deal: Any, admin: User
) -> None:
    call = await a_call(
        api,
        deal,
        status="completed",
        direction="incoming",
        starts_at="2027-08-02T08:00:00Z",
        ends_at="2027-08-02T08:10:00Z",
        result="Wants two batteries",
    )

    assert (call["status"], call["completion"]) == ("completed", "person")
    assert (call["completed_by_id"], call["completed_at"]) == (admin.id, "2027-08-02T08:10:00Z")
    assert (call["reminders"], await due(database)) == ([], [])
    assert await told(api, deal) == [
        f"Noted incoming call {call['id']} «Call»: Wants two batteries"
    ]


async def test_what_is_noted_without_a_time_has_happened_just_now(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    said = {"kind": "call", "subject": "Call", "item_id": deal["id"], "status": "completed"}

    call = SmallCompany.made(await api.post(PATH, json=said))

    assert call["starts_at"] == call["completed_at"] == "2027-08-02T09:00:00Z"


@pytest.mark.parametrize("kind", ["email", "message"])
async def test_mails_and_messages_are_noted_and_never_planned(
    api: httpx2.AsyncClient, deal: Any, kind: str
) -> None:
    said = {"kind": kind, "subject": "Offer", "item_id": deal["id"]}

    planned = await api.post(PATH, json=said)
    noted = await a_call(api, deal, kind=kind, status="completed", starts_at=None)
    again = await api.post(f"{PATH}/{noted['id']}/reopen")

    assert planned.status_code == 422
    assert planned.json()["errors"] == [
        {
            "field": "/kind",
            "reason": "Mails and messages are noted, not planned: send status completed.",
        }
    ]
    assert (noted["kind"], noted["status"]) == (kind, "completed")
    assert again.status_code == 409
    assert "tells of what was written, and cannot be planned again" in again.text


async def test_completing_says_who_when_how_and_what_came_of_it(
    api: httpx2.AsyncClient, database: Database, deal: Any, admin: User
) -> None:
    call = await a_call(api, deal)

    done = await api.post(f"{PATH}/{call['id']}/complete", json={"result": "She buys"})

    assert done.json() == call | {
        "status": "completed",
        "completion": "person",
        "completed_at": "2027-08-02T09:00:00Z",
        "completed_by_id": admin.id,
        "result": "She buys",
        "version": done.json()["version"],
    }
    assert (await api.get(f"{PATH}/{call['id']}")).json() == done.json()
    assert await due(database) == [None, None]
    assert (await told(api, deal))[1:] == [f"Completed call {call['id']} «Call»: She buys"]


async def test_what_is_completed_is_not_completed_nor_postponed_again(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    call = await a_call(api, deal)
    await api.post(f"{PATH}/{call['id']}/complete", json={})

    again = [
        await api.post(f"{PATH}/{call['id']}/complete", json={}),
        await api.post(f"{PATH}/{call['id']}/postpone", json={"starts_at": LATER}),
    ]

    reason = f"Call {call['id']} is completed already."
    assert [(each.status_code, each.json()["detail"]) for each in again] == [(409, reason)] * 2


async def test_a_completed_crm_activity_can_be_taken_up_again(
    api: httpx2.AsyncClient, database: Database, deal: Any
) -> None:
    call = await a_call(api, deal)
    await api.post(f"{PATH}/{call['id']}/complete", json={"result": "Nobody there"})

    reopened = await api.post(f"{PATH}/{call['id']}/reopen")
    twice = await api.post(f"{PATH}/{call['id']}/reopen")

    changed = {"result": "Nobody there", "version": reopened.json()["version"]}
    assert reopened.json() == call | changed
    assert twice.status_code == 409
    assert await due(database) == [
        datetime(2027, 8, 3, 9, 45, tzinfo=UTC),
        datetime(2027, 8, 3, 10, 0, tzinfo=UTC),
    ]
    assert (await told(api, deal))[2:] == [f"Took up call {call['id']} «Call» again."]


async def test_postponed_it_takes_as_long_and_its_reminders_follow(
    api: httpx2.AsyncClient, database: Database, deal: Any
) -> None:
    call = await a_call(api, deal, ends_at=LATER)

    postponed = await api.post(
        f"{PATH}/{call['id']}/postpone", json={"starts_at": "2027-08-05T08:00:00+02:00"}
    )

    assert postponed.json()["starts_at"] == "2027-08-05T06:00:00Z"
    assert postponed.json()["ends_at"] == "2027-08-05T07:00:00Z"
    assert await due(database) == [
        datetime(2027, 8, 5, 5, 45, tzinfo=UTC),
        datetime(2027, 8, 5, 6, 0, tzinfo=UTC),
    ]
    assert (await told(api, deal))[1:] == [
        f"Moved call {call['id']} «Call» from 3 August 2027, 10:00 to 5 August 2027, 06:00."
    ]


async def test_only_what_is_sent_changes(api: httpx2.AsyncClient, deal: Any) -> None:
    call = await a_call(api, deal, place="Works Road 1", colour="red")
    changes = {"subject": "Ring", "responsible_id": None, "colour": None, "reminders": [30]}

    changed = await api.patch(f"{PATH}/{call['id']}", json=changes)

    assert changed.json() == call | changes | {"version": changed.json()["version"]}
    assert changed.json()["version"] > call["version"]
    assert (await api.get(f"{PATH}/{call['id']}")).json() == changed.json()


async def test_another_start_moves_the_reminders_and_history_tells(
    api: httpx2.AsyncClient, database: Database, deal: Any
) -> None:
    call = await a_call(api, deal)

    await api.patch(f"{PATH}/{call['id']}", json={"starts_at": LATER, "reminders": [60]})

    assert await due(database) == [datetime(2027, 8, 3, 10, 0, tzinfo=UTC)]
    path = f"/v1/items/{deal['id']}/history?kind=crm activity"
    line = (await api.get(path)).json()["items"][0]
    assert (line["field"], line["old"], line["new"]) == (
        "starts_at",
        "2027-08-03T10:00:00+00:00",
        "2027-08-03T11:00:00+00:00",
    )


async def test_a_deleted_crm_activity_is_gone_and_nobody_is_reminded(
    api: httpx2.AsyncClient, database: Database, deal: Any
) -> None:
    call = await a_call(api, deal)

    deleted = await api.delete(f"{PATH}/{call['id']}")

    assert deleted.status_code == 204
    assert (await api.get(f"{PATH}/{call['id']}")).status_code == 404
    assert (await api.get(PATH)).json()["items"] == []
    assert await due(database) == [None, None]
    assert (await told(api, deal))[1:] == [f"Deleted call {call['id']} «Call»."]


async def test_a_crm_activity_of_an_item_in_the_recycle_bin_is_not_there_until_restored(
    api: httpx2.AsyncClient, database: Database, deal: Any
) -> None:
    call = await a_call(api, deal)

    await api.delete(f"/v1/deals/{deal['id']}")
    gone = await api.get(f"{PATH}/{call['id']}")
    left_out = (await api.get(PATH)).json()["items"]
    rested = await due(database)
    await api.post(f"/v1/items/{deal['id']}/restore")
    back = await api.get(f"{PATH}/{call['id']}")

    assert gone.status_code == 404
    assert "recycle bin" in gone.json()["detail"]
    assert left_out == []
    assert rested == [None, None]
    assert back.json()["status"] == "planned"
    assert await due(database) == [
        datetime(2027, 8, 3, 9, 45, tzinfo=UTC),
        datetime(2027, 8, 3, 10, 0, tzinfo=UTC),
    ]


async def test_they_are_listed_as_they_start_and_narrowed(
    api: httpx2.AsyncClient, company: SmallCompany, deal: Any, admin: User
) -> None:
    other = await company.deal()
    later = await a_call(api, deal, subject="Roof", starts_at=LATER)
    first = await a_call(api, other, kind="to-do", responsible_id=None, important=True)
    noted = await a_call(api, deal, status="completed", starts_at="2027-08-01T10:00:00Z")

    async def listed(**params: Any) -> list[int]:
        page = SmallCompany.made(await api.get(PATH, params=params))
        return [each["id"] for each in page["items"]]

    assert await listed() == [noted["id"], first["id"], later["id"]]
    assert await listed(sort="-starts_at") == [later["id"], first["id"], noted["id"]]
    assert await listed(item_id=deal["id"]) == [noted["id"], later["id"]]
    assert await listed(responsible_id=admin.id) == [noted["id"], later["id"]]
    assert await listed(kind="to-do") == [first["id"]]
    assert await listed(status="completed") == [noted["id"]]
    assert await listed(important=True) == [first["id"]]
    assert await listed(q="ROO") == [later["id"]]
    assert await listed(contact_id=deal["contact_id"]) == [noted["id"], later["id"]]
    assert await listed(company_id=deal["company_id"]) == [noted["id"], later["id"]]
    assert await listed(starts_from=TOMORROW, starts_to=TOMORROW) == [first["id"]]
    assert await listed(completed_from="2027-08-01T00:00:00Z") == [noted["id"]]
    assert await listed(made_by_run_id=4711) == []


async def test_agents_list_what_is_theirs_or_of_items_within_their_reach(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, deal: Any
) -> None:
    tom = User(name="Tom", reach=Reach.OWN, department=Department(name="Sales"))
    await company.add(tom)
    own = await company.deal(responsible_id=tom.id)
    of_own = await a_call(api, own)
    given = await a_call(api, deal, responsible_id=tom.id)
    await a_call(api, deal)
    client = await sign_in(tom)

    page = SmallCompany.made(await client.get(PATH))

    assert [each["id"] for each in page["items"]] == [of_own["id"], given["id"]]


async def test_one_is_made_only_for_an_item_within_reach(
    company: SmallCompany, sign_in: SignIn, deal: Any
) -> None:
    tom = User(name="Tom", reach=Reach.OWN)
    await company.add(tom)

    answer = await (await sign_in(tom)).post(
        PATH, json={"kind": "call", "subject": "Call", "item_id": deal["id"]}
    )

    assert answer.status_code == 403
    assert answer.json()["detail"].startswith(f"Deal {deal['id']} is not yours")


async def test_the_timeline_shows_them_where_they_start_or_were(
    api: httpx2.AsyncClient, deal: Any, admin: User
) -> None:
    ahead = await a_call(api, deal, subject="Ahead", description="Ask for the plan")
    noted = await a_call(
        api,
        deal,
        subject="Noted",
        status="completed",
        starts_at="2027-08-01T10:00:00Z",
        result="Fine",
    )

    page = SmallCompany.made(await api.get(f"/v1/items/{deal['id']}/timeline"))

    first, entered, last = page["items"]
    assert first == {
        "kind": "crm activity",
        "id": ahead["id"],
        "at": TOMORROW,
        "title": "Ahead",
        "text": "Ask for the plan",
        "state": "planned",
        "author_id": admin.id,
        "run_id": None,
        "trigger_id": None,
        "trigger_name": None,
    }
    assert entered["kind"] == "stage entry"
    assert (last["id"], last["text"], last["state"]) == (noted["id"], "Fine", "completed")


async def test_a_post_heeds_a_version_that_is_sent(api: httpx2.AsyncClient, deal: Any) -> None:
    call = await a_call(api, deal)
    await api.patch(f"{PATH}/{call['id']}", json={"subject": "Ring"})
    path = f"{PATH}/{call['id']}/complete"
    del api.headers["If-Match"]

    late = await api.post(path, json={}, headers={"If-Match": '"1"'})
    anyhow = await api.post(path, json={})

    assert [late.status_code, anyhow.status_code] == [412, 200]


async def test_history_has_one_row_for_each_thing_that_was_done(
    api: httpx2.AsyncClient, database: Database, deal: Any, admin: User
) -> None:
    call = await a_call(api, deal)
    await api.post(f"{PATH}/{call['id']}/complete", json={})

    path = f"/v1/history?kind=crm activity&kind=call&author_id={admin.id}"
    done, planned = (await api.get(path)).json()["items"]

    assert (done["kind"], planned["kind"]) == ("call", "crm activity")
    assert (planned["subject_type"], planned["subject_id"]) == ("crm activity", call["id"])
    assert (done["field"], done["old"], done["new"]) == ("status", "planned", "completed")
    async with database.reading() as session:
        [kept] = await session.scalars(select(CrmActivity))
    assert kept.revised_at == NOW


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"subject": ""}, "/subject"),
        ({"subject": "x" * 1001}, "/subject"),
        ({"starts_at": "tomorrow"}, "/starts_at"),
        ({"starts_at": LATER, "ends_at": TOMORROW}, "/ends_at"),
        ({"responsible_id": 4711}, "/responsible_id"),
        ({"contact_id": 4711}, "/contact_id"),
        ({"company_id": 4711}, "/company_id"),
        ({"direction": "up"}, "/direction"),
        ({"colour": "#ff0000"}, "/colour"),
        ({"reminders": [-1]}, "/reminders/0"),
        ({"reminders": [600_000]}, "/reminders/0"),
        ({"reminders": [True]}, "/reminders/0"),
        ({"creator_id": 1}, "/creator_id"),
    ],
    ids=lambda sent: str(sent)[:40],
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx2.AsyncClient, deal: Any, sent: dict[str, Any], field: str
) -> None:
    call = await a_call(api, deal)
    new = {"kind": "call", "subject": "Call", "item_id": deal["id"]}

    created = await api.post(PATH, json=new | sent)
    changed = await api.patch(f"{PATH}/{call['id']}", json=sent)

    assert [created.status_code, changed.status_code] == [422, 422]
    assert [error["field"] for error in created.json()["errors"]] == [field]
    assert [error["field"] for error in changed.json()["errors"]] == [field]


@on_one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"item_id": 4711}, "/item_id"),
        ({"kind": "visit"}, "/kind"),
        ({"status": "done"}, "/status"),
    ],
    ids=str,
)
async def test_what_cannot_begin_is_refused_by_field(
    api: httpx2.AsyncClient, deal: Any, sent: dict[str, Any], field: str
) -> None:
    new = {"kind": "call", "subject": "Call", "item_id": deal["id"]}

    answer = await api.post(PATH, json=new | sent)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_kind_and_item_stay_what_they_are(api: httpx2.AsyncClient, deal: Any) -> None:
    call = await a_call(api, deal)

    answer = await api.patch(f"{PATH}/{call['id']}", json={"kind": "meeting", "item_id": 1})

    assert [error["field"] for error in answer.json()["errors"]] == ["/kind", "/item_id"]


async def test_none_is_tied_to_what_is_in_the_recycle_bin(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    await api.delete(f"/v1/deals/{deal['id']}")

    answer = await api.post(PATH, json={"kind": "call", "subject": "x", "item_id": deal["id"]})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/item_id"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/complete"),
        ("POST", "/reopen"),
    ],
)
async def test_a_crm_activity_that_is_not_there_is_said(
    api: httpx2.AsyncClient, method: str, path: str
) -> None:
    answer = await api.request(method, f"{PATH}/4711{path}", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no CRM activity 4711."


async def test_a_thousand_minutes_more_change_no_other_reminder(
    api: httpx2.AsyncClient, database: Database, deal: Any
) -> None:
    far = (NOW + timedelta(days=30)).isoformat()
    call = await a_call(api, deal, starts_at=far)

    await api.patch(f"{PATH}/{call['id']}", json={"reminders": [15, 0, 1440]})

    start = NOW + timedelta(days=30)
    assert sorted(filter(None, await due(database))) == [
        start - timedelta(days=1),
        start - timedelta(minutes=15),
        start,
    ]


@on_one_database
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_moment_that_is_no_day_everywhere_is_refused(
    api: httpx2.AsyncClient, deal: Any, moment: str
) -> None:
    call = await a_call(api, deal)
    path, then = f"{PATH}/{call['id']}", {"starts_at": moment}

    answers = [
        await api.post(
            PATH, json={"kind": "call", "subject": "Call", "item_id": deal["id"]} | then
        ),
        await api.patch(path, json=then),
        await api.post(f"{path}/postpone", json=then),
    ]

    beyond = {"field": "/starts_at", "reason": "This moment is beyond the calendar."}
    assert [each.status_code for each in answers] == [422] * 3
    assert [each.json()["errors"] for each in answers] == [[beyond]] * 3


@pytest.mark.parametrize("moment", ["0001-01-02T00:00:00Z", "9999-12-30T00:00:00Z"])
async def test_the_first_and_the_last_moment_are_told_in_every_zone(
    api: httpx2.AsyncClient, deal: Any, moment: str
) -> None:
    await api.patch("/v1/installation", json={"time_zone": "Pacific/Kiritimati"})
    call = await a_call(api, deal, starts_at=moment, reminders=[527_040])
    await api.patch("/v1/installation", json={"time_zone": "Etc/GMT+12"})

    answer = await api.post(f"{PATH}/{call['id']}/postpone", json={"starts_at": TOMORROW})

    assert answer.json()["starts_at"] == TOMORROW


async def test_what_would_end_beyond_the_calendar_is_not_postponed(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    call = await a_call(api, deal, ends_at="9998-12-31T00:00:00Z")

    answer = await api.post(
        f"{PATH}/{call['id']}/postpone", json={"starts_at": "9998-12-30T00:00:00Z"}
    )

    beyond = {"field": "/starts_at", "reason": "This moment is beyond the calendar."}
    assert (answer.status_code, answer.json()["errors"]) == (422, [beyond])
