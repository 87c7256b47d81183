"""History over HTTP: what its lines say, which are wanted, and how many there are."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from models.contact import Contact
from models.database import Database
from models.department import Department
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.user import User
from tests.factories import all_of
from tests.fixtures.api import SignIn, SmallCompany

PATH = "/v1/history"


async def lines(api: httpx2.AsyncClient, **wanted: Any) -> list[Any]:
    """Return the lines that are wanted, the oldest first."""
    items: list[Any] = SmallCompany.made(await api.get(PATH, params=wanted))["items"]
    return items[::-1]


async def counts(api: httpx2.AsyncClient, **wanted: Any) -> list[tuple[str, str | None, int]]:
    page = SmallCompany.made(await api.get(f"{PATH}/counts", params=wanted))
    return [(each["value"], each["name"], each["count"]) for each in page["items"]]


@pytest.fixture
async def people(company: SmallCompany) -> list[Contact]:
    people = [Contact(first_name=name) for name in ("Anna", "Ben", "Cleo")]
    await company.add(*people)
    return people


@pytest.fixture
async def deal(company: SmallCompany) -> Any:
    await company.pipeline("New", "Won")
    return await company.deal()


async def test_history_tells_of_clients_that_are_tied_to_an_item_and_taken_from_it(
    api: httpx2.AsyncClient, deal: Any, people: list[Contact]
) -> None:
    anna, ben, cleo = (each.id for each in people)
    path = f"/v1/deals/{deal['id']}"

    await api.patch(path, json={"contact_id": anna, "further_contact_ids": [ben]})
    await api.patch(path, json={"contact_id": cleo, "further_contact_ids": [ben, anna]})
    await api.patch(path, json={"contact_id": None})

    told = [
        (line["kind"], line["subject_id"], line["field"], line["old"], line["new"])
        for line in await lines(api, item_id=deal["id"], subject_type="contact")
    ]
    assert told == [
        ("linked", anna, "contact", None, str(anna)),
        ("linked", ben, "further_contacts", None, str(ben)),
        ("unlinked", anna, "contact", str(anna), None),
        ("linked", cleo, "contact", None, str(cleo)),
        ("linked", anna, "further_contacts", None, str(anna)),
        ("unlinked", cleo, "contact", str(cleo), None),
    ]


async def test_what_happened_to_a_client_names_the_items_it_was_tied_to(
    api: httpx2.AsyncClient, deal: Any, people: list[Contact], admin: User
) -> None:
    anna = people[0].id
    await api.patch(f"/v1/deals/{deal['id']}", json={"further_contact_ids": [anna]})

    [line] = await lines(api, subject_type="contact", subject_id=anna)

    assert line["text"] == f"Linked contact {anna} as a further one."
    assert (line["item_id"], line["item_type"]) == (deal["id"], "deal")
    assert (line["stage_id"], line["author_id"]) == (deal["stage_id"], admin.id)


async def test_lines_of_several_kinds_can_be_wanted(
    api: httpx2.AsyncClient, company: SmallCompany, deal: Any, people: list[Contact]
) -> None:
    await api.patch(f"/v1/deals/{deal['id']}", json={"title": "Mill", "contact_id": people[0].id})

    both = await lines(api, kind=["created", "linked"])
    item = f"/v1/items/{deal['id']}/history"
    of_item = SmallCompany.made(await api.get(item, params={"kind": ["linked", "changed"]}))

    assert [line["kind"] for line in both] == ["created", "linked"]
    assert {line["kind"] for line in of_item["items"]} == {"linked", "changed"}


@pytest.mark.parametrize("status", ["planned", "completed"])
async def test_a_call_is_one_only_when_it_has_happened(
    api: httpx2.AsyncClient, deal: Any, status: str
) -> None:
    call = {"kind": "call", "subject": "Offer", "item_id": deal["id"], "status": status}
    await api.post("/v1/crm-activities", json=call)

    [line] = await lines(api, subject_type="crm activity")

    assert line["kind"] == {"planned": "crm activity", "completed": "call"}[status]


async def test_a_person_who_looks_at_an_item_is_noted_once_a_while(
    api: httpx2.AsyncClient, deal: Any, admin: User, sign_in: SignIn, company: SmallCompany
) -> None:
    path = f"/v1/items/{deal['id']}/view"
    tom = User(name="Tom")
    await company.add(tom)
    await api.patch(f"/v1/deals/{deal['id']}", json={"responsible_id": tom.id})

    first = SmallCompany.made(await api.post(path))
    again = SmallCompany.made(await api.post(path))
    other = SmallCompany.made(await (await sign_in(tom)).post(path))

    assert first == again
    told = await lines(api, kind="viewed")
    assert told == [first, other]
    assert [line["author_id"] for line in told] == [admin.id, tom.id]
    assert (first["text"], first["item_id"]) == (f"Viewed deal {deal['id']}.", deal["id"])


async def test_reading_an_item_over_http_alone_is_not_noted(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    await api.get(f"/v1/items/{deal['id']}")

    assert await lines(api, kind="viewed") == []


async def test_a_list_that_is_taken_as_csv_is_noted_with_its_filter(
    api: httpx2.AsyncClient, company: SmallCompany, deal: Any, admin: User
) -> None:
    await company.deal(source="fair")

    await api.get("/v1/deals?source=fair", headers={"Accept": "text/csv"})

    [line] = await lines(api, kind="exported")
    assert line["text"] == "Exported 1 row of /v1/deals?source=fair as CSV."
    assert (line["author_id"], line["subject_type"], line["subject_id"]) == (admin.id, "deals", 0)
    assert line["item_id"] is None


async def test_what_is_no_list_of_rows_is_not_noted_as_exported(api: httpx2.AsyncClient) -> None:
    csv = {"Accept": "text/csv"}

    actions = await api.get("/v1/actions", headers=csv)
    none = await api.get(f"{PATH}/counts", headers=csv)

    assert actions.status_code == 200
    assert none.text == "value,name,count\r\n"
    assert await lines(api, kind="exported") == []


async def test_who_took_which_list_is_not_for_agents(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn
) -> None:
    tom = User(name="Tom")
    await company.add(tom)
    await api.get("/v1/deals", headers={"Accept": "text/csv"})

    client = await sign_in(tom)

    assert await lines(client, kind="exported") == []
    assert await counts(client, kind="exported") == []
    assert await counts(api, kind="exported") == [("exported", None, 1)]


class Past:
    """Lines of a while ago: Tom was late three times, Uma once; all in the company's history."""

    tom: User
    uma: User


def late(responsible: User, at: str, **rest: Any) -> HistoryEntry:
    line = HistoryEntry(
        kind=HistoryKind.INFORMATION,
        text=f"{responsible.name} is late.",
        subject_type="deal",
        subject_id=1,
        responsible_id=responsible.id,
        **rest,
    )
    line.created_at = datetime.fromisoformat(at).astimezone(UTC)
    return line


@pytest.fixture
async def past(company: SmallCompany, database: Database) -> Past:
    past = Past()
    past.tom, past.uma = User(name="Tom"), User(name="Uma")
    await company.add(past.tom, past.uma)
    await company.add(
        late(past.tom, "2027-08-01T09:00:00Z"),
        late(past.tom, "2027-08-01T21:59:59Z"),
        late(past.tom, "2027-08-01T22:00:00Z"),
        late(past.uma, "2027-09-30T22:30:00Z"),
    )
    async with database.transaction() as session:
        (await installation(session, lock=True)).time_zone = "Europe/Berlin"
    return past


async def test_how_often_each_was_late_is_counted_with_names_the_most_first(
    api: httpx2.AsyncClient, past: Past
) -> None:
    found = await counts(api, kind="information", by="responsible")

    assert found == [(str(past.tom.id), "Tom", 3), (str(past.uma.id), "Uma", 1)]


async def test_counts_are_of_what_the_filters_leave(api: httpx2.AsyncClient, past: Past) -> None:
    found = await counts(
        api,
        responsible_id=past.tom.id,
        created_from="2027-08-01T21:00:00Z",
        created_to="2027-08-31T00:00:00Z",
    )

    assert found == [("information", None, 2)]


async def test_days_are_those_of_the_companys_zone(api: httpx2.AsyncClient, past: Past) -> None:
    assert await counts(api, by="day") == [
        ("2027-08-01", None, 2),
        ("2027-08-02", None, 1),
        ("2027-10-01", None, 1),
    ]
    assert await counts(api, by="month") == [("2027-08", None, 3), ("2027-10", None, 1)]


async def test_lines_without_a_value_are_counted_as_none(
    api: httpx2.AsyncClient, past: Past
) -> None:
    assert await counts(api, by="author") == [("none", None, 4)]


@pytest.mark.parametrize(
    "by",
    ["kind", "item_type", "subject_type", "author", "responsible", "rule", "pipeline", "stage"],
)
async def test_every_count_adds_up(
    api: httpx2.AsyncClient, company: SmallCompany, deal: Any, by: str
) -> None:
    await company.rule(deal["stage_id"])
    await company.move((await company.deal())["id"], deal["stage_id"] + 1)

    found = await counts(api, by=by)

    assert sum(count for _, _, count in found) == len(await lines(api))


async def test_counts_come_in_pages_and_as_csv(api: httpx2.AsyncClient, past: Past) -> None:
    path = f"{PATH}/counts?by=responsible"

    first = SmallCompany.made(await api.get(f"{path}&limit=1"))
    second = SmallCompany.made(await api.get(f"{path}&limit=1&after={first['next']}"))
    sheet = await api.get(path, headers={"Accept": "text/csv"})

    assert [each["name"] for each in first["items"] + second["items"]] == ["Tom", "Uma"]
    assert second["next"] is None
    tom, uma = past.tom.id, past.uma.id
    assert sheet.text == f"value,name,count\r\n{tom},Tom,3\r\n{uma},Uma,1\r\n"


async def test_agents_count_what_they_reach(
    company: SmallCompany, sign_in: SignIn, deal: Any
) -> None:
    tom = User(name="Tom", department=Department(name="Sales"))
    await company.add(tom)
    mine = await company.deal(responsible_id=tom.id)
    client = await sign_in(tom)

    assert await counts(client, by="responsible") == [(str(tom.id), "Tom", 1)]
    assert [line["item_id"] for line in await lines(client)] == [mine["id"]]


async def test_what_was_said_with_a_client_is_for_who_reaches_an_item_of_theirs(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, people: list[Contact]
) -> None:
    anna, (sam, tom) = people[0], (User(name="Sam"), User(name="Tom"))
    await company.add(sam, tom)
    [_, won] = await company.pipeline("New", "Won")
    await api.patch(f"/v1/stages/{won}", json={"kind": "won"})
    await api.patch(f"/v1/contacts/{anna.id}", json={"phones": ["030 1234567"]})
    await company.deal(stage_id=won, contact_id=anna.id, responsible_id=sam.id)
    call = {"id": "1", "phone": "030 1234567"}
    company.made(await api.post("/v1/inbound/calls", json=call))
    wanted = {"subject_type": "contact", "subject_id": anna.id, "kind": ["call", "crm activity"]}

    seen = {
        name: (
            [line["kind"] for line in await lines(client, **wanted)],
            await counts(client, **wanted),
        )
        for name, client in (("sam", await sign_in(sam)), ("tom", await sign_in(tom)))
    }

    assert seen == {"sam": (["call"], [("call", None, 1)]), "tom": ([], [])}


async def test_who_called_a_client_reads_of_it_whoever_s_the_client_is(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, people: list[Contact]
) -> None:
    tom = User(name="Tom")
    await company.add(tom)
    await api.patch(f"/v1/contacts/{people[0].id}", json={"phones": ["030 1234567"]})
    call = {"id": "1", "phone": "030 1234567", "direction": "outgoing", "user_id": tom.id}
    company.made(await api.post("/v1/inbound/calls", json=call))

    [line] = await lines(await sign_in(tom), kind="call")

    assert (line["author_id"], line["subject_id"]) == (tom.id, people[0].id)


async def test_of_a_client_itself_everybody_reads(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, people: list[Contact]
) -> None:
    tom = User(name="Tom")
    await company.add(tom)
    await api.patch(f"/v1/contacts/{people[0].id}", json={"first_name": "Anne"})

    [line] = await lines(await sign_in(tom), kind="changed")

    assert (line["subject_type"], line["subject_id"]) == ("contact", people[0].id)


async def test_managers_read_of_items_that_are_there_no_more(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, database: Database
) -> None:
    tom = User(name="Tom")
    await company.add(tom)
    await company.add(late(tom, "2027-08-01T09:00:00Z", item_id=4711))

    assert [line["item_id"] for line in await lines(api)] == [4711]
    assert await lines(await sign_in(tom)) == []
    assert len(await all_of(database, HistoryEntry)) == 1
