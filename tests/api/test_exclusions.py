"""The exceptions list over HTTP: values as machines compare them, and taking spam back."""

import asyncio

import httpx2
import pytest
from sqlalchemy import delete

from models.contact import Contact
from models.contact_point import email
from models.database import Database
from models.exclusion import Exclusion, ExclusionKind
from models.item import find_item
from models.recycle_bin import delete_client, delete_item
from models.stage_entry import Cause, lock_run
from models.user import Reach, User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

NO_VALUES = b"kind,comment\nphone,\n"


@pytest.mark.parametrize(
    ("kind", "said", "kept"),
    [
        ("phone", "030 / 123 456", "+4930123456"),
        ("email", "Spam@Firm.Example ", "spam@firm.example"),
        ("domain", "@Firm.Example", "firm.example"),
    ],
)
async def test_a_value_is_kept_as_it_is_compared(
    api: httpx2.AsyncClient, kind: str, said: str, kept: str
) -> None:
    answer = await api.post(
        "/v1/exclusions", json={"kind": kind, "value": said, "comment": "Robot"}
    )

    assert answer.status_code == 201
    assert (answer.json()["value"], answer.json()["comment"]) == (kept, "Robot")
    assert (await api.get("/v1/exclusions")).json()["items"] == [answer.json()]
    assert (await api.get(f"/v1/exclusions/{answer.json()['id']}")).json() == answer.json()


async def test_a_value_is_listed_once(api: httpx2.AsyncClient) -> None:
    await api.post("/v1/exclusions", json={"kind": "email", "value": "spam@firm.example"})

    answer = await api.post("/v1/exclusions", json={"kind": "email", "value": "SPAM@firm.example"})

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["field"] == "/value"


@pytest.mark.parametrize(
    ("kind", "value"), [("phone", "030 123456"), ("email", "spam@firm.example")]
)
async def test_agents_list_single_phones_and_addresses(
    database: Database, sign_in: SignIn, kind: str, value: str
) -> None:
    tom = await sign_in(await agent(database))

    answer = await tom.post("/v1/exclusions", json={"kind": kind, "value": value})

    assert answer.status_code == 201, answer.text


async def test_whole_domains_are_for_managers_and_agents_are_told_which_field_is_wrong(
    api: httpx2.AsyncClient, database: Database, sign_in: SignIn
) -> None:
    tom = await sign_in(await agent(database))

    answer = await tom.post("/v1/exclusions", json={"kind": "domain", "value": "firm.example"})

    assert answer.status_code == 403
    reason = (
        "Only managers and administrators put whole mail domains on the list; you are an agent."
    )
    assert answer.json()["errors"] == [{"field": "/kind", "reason": reason}]
    assert (await api.get("/v1/exclusions")).json()["items"] == []


async def agent(database: Database) -> User:
    tom = User(name="Tom", reach=Reach.OWN)
    async with database.transaction() as session:
        session.add(tom)
    return tom


@on_one_database
@pytest.mark.parametrize(
    ("kind", "value"),
    [("phone", "none"), ("email", "spam"), ("domain", "not a domain"), ("domain", "")],
)
async def test_what_is_no_address_is_refused(
    api: httpx2.AsyncClient, kind: str, value: str
) -> None:
    answer = await api.post("/v1/exclusions", json={"kind": kind, "value": value})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/value"


async def test_the_list_can_be_read_by_kind_commented_and_shortened(
    api: httpx2.AsyncClient,
) -> None:
    mail = (
        await api.post("/v1/exclusions", json={"kind": "email", "value": "a@firm.example"})
    ).json()
    await api.post("/v1/exclusions", json={"kind": "domain", "value": "firm.example"})
    path = f"/v1/exclusions/{mail['id']}"

    found = (await api.get("/v1/exclusions", params={"kind": "email"})).json()["items"]
    changed = await api.patch(path, json={"comment": "Sorry"})
    deleted = await api.delete(path)

    assert found == [mail]
    assert changed.json() == mail | {"comment": "Sorry", "version": 2}
    assert deleted.status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_undo_brings_back_item_client_and_list(
    company: SmallCompany, api: httpx2.AsyncClient, database: Database
) -> None:
    [stage] = await company.pipeline("Spam")
    await company.rule(stage)
    anna = Contact(first_name="Anna", contact_points=[email("anna@firm.example")])
    await company.add(anna)
    deal = await company.deal(contact_id=anna.id)
    [run] = (await api.get(f"/v1/items/{deal['id']}/runs")).json()["items"]
    async with database.transaction() as session:
        cause = Cause.rule(await lock_run(session, run["id"]))
        await delete_item(session, await find_item(session, deal["id"]), cause)
        delete_client(session, await session.get_one(Contact, anna.id), cause)
        listed = Exclusion(kind=ExclusionKind.EMAIL, value="anna@firm.example")
        listed.made_by_run_id = run["id"]
        session.add(listed)

    answer = await api.post("/v1/exclusions/undo", json={"run_id": run["id"]})

    assert answer.json()["deleted_at"] is None
    assert (await api.get(f"/v1/deals/{deal['id']}")).status_code == 200
    assert (await api.get(f"/v1/contacts/{anna.id}")).status_code == 200
    assert (await api.get("/v1/exclusions")).json()["items"] == []


async def test_a_run_that_excluded_nothing_cannot_be_undone(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/exclusions/undo", json={"run_id": 42})

    assert answer.status_code == 404
    assert answer.json()["errors"][0]["field"] == "/run_id"


async def put_on(api: httpx2.AsyncClient, kind: str, value: str) -> dict[str, object]:
    answer = await api.post("/v1/exclusions", json={"kind": kind, "value": value})
    assert answer.status_code == 201
    made: dict[str, object] = answer.json()
    return made


async def listed(api: httpx2.AsyncClient) -> list[str]:
    return [each["value"] for each in (await api.get("/v1/exclusions")).json()["items"]]


@pytest.mark.parametrize(
    ("kind", "said", "asked"),
    [
        ("phone", "030 1234567", {"phone": "+49 (0)30 123-4567"}),
        ("email", "Spam@firm.example", {"email": "spam@FIRM.example"}),
        ("domain", "@firm.example", {"email": "Anybody@Firm.example"}),
    ],
)
async def test_a_look_says_who_is_excluded_and_by_which_entry(
    api: httpx2.AsyncClient, kind: str, said: str, asked: dict[str, str]
) -> None:
    entry = await put_on(api, kind, said)

    found = SmallCompany.made(await api.get("/v1/exclusions/check", params=asked))

    [name] = asked
    assert found[name]["excluded"]
    assert found[name]["exclusion"] == entry


async def test_a_look_says_who_is_not(api: httpx2.AsyncClient) -> None:
    await put_on(api, "domain", "firm.example")

    asked = {"phone": "030 1234567", "email": "anna@mail.firm.example"}
    found = SmallCompany.made(await api.get("/v1/exclusions/check", params=asked))

    assert found == {
        "phone": {"value": "+49301234567", "excluded": False, "exclusion": None},
        "email": {"value": "anna@mail.firm.example", "excluded": False, "exclusion": None},
    }


@on_one_database
@pytest.mark.parametrize("asked", [{"phone": "none"}, {"email": "anna"}])
async def test_a_look_at_what_is_no_address_is_refused(
    api: httpx2.AsyncClient, asked: dict[str, str]
) -> None:
    answer = await api.get("/v1/exclusions/check", params=asked)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [f"/{each}" for each in asked]


async def test_a_value_is_taken_off_in_one_call_in_any_spelling(api: httpx2.AsyncClient) -> None:
    await put_on(api, "phone", "030 1234567")
    which = {"kind": "phone", "value": "0049 30 123 45 67"}

    gone = await api.delete("/v1/exclusions", params=which)
    again = await api.delete("/v1/exclusions", params=which)

    assert (gone.status_code, again.status_code) == (204, 404)
    assert again.json()["errors"][0]["field"] == "/value"
    assert await listed(api) == []


async def test_nothing_is_taken_off_without_saying_what(api: httpx2.AsyncClient) -> None:
    await put_on(api, "phone", "030 1234567")

    answer = await api.delete("/v1/exclusions")

    assert answer.status_code == 422
    assert await listed(api) == ["+49301234567"]


LIST = """kind;value;comment
phone;030 1234567;Robot
email;Anna@Firm.example;
;@prizes.example;"Raffles; all of them"
phone;call me;
;030/1234567;The same once more
""".encode("utf-8-sig")


async def sent(api: httpx2.AsyncClient, content: bytes, **rest: str) -> dict[str, object]:
    csv = {"Content-Type": "text/csv"}
    answer = await api.post("/v1/exclusions/import", content=content, headers=csv, params=rest)
    made: dict[str, object] = SmallCompany.made(answer)
    return made


UNREAD = [{"line": 5, "column": "value", "reason": "«call me» is not a phone number."}]


async def test_a_file_puts_on_the_list_what_can_be_read_and_tells_what_cannot(
    api: httpx2.AsyncClient, admin: User
) -> None:
    await put_on(api, "email", "anna@firm.example")

    came = await sent(api, LIST)

    assert came == {"dry": False, "added": 2, "present": 2, "unread": UNREAD, "ignored": []}
    rows = (await api.get("/v1/exclusions")).json()["items"]
    assert [(row["kind"], row["value"], row["comment"]) for row in rows] == [
        ("email", "anna@firm.example", None),
        ("domain", "prizes.example", "Raffles; all of them"),
        ("phone", "+49301234567", "Robot"),
    ]
    assert {row["creator_id"] for row in rows} == {admin.id}


async def test_a_file_that_is_sent_again_adds_nothing(api: httpx2.AsyncClient) -> None:
    await sent(api, LIST)
    before = (await api.get("/v1/exclusions")).json()

    again = await sent(api, LIST)

    assert (again["added"], again["present"]) == (0, 4)
    assert (await api.get("/v1/exclusions")).json() == before


async def test_a_dry_import_tells_what_would_come_of_it_and_changes_nothing(
    api: httpx2.AsyncClient,
) -> None:
    await put_on(api, "email", "anna@firm.example")

    came = await sent(api, LIST, dry="true")

    assert came == {"dry": True, "added": 2, "present": 2, "unread": UNREAD, "ignored": []}
    assert await listed(api) == ["anna@firm.example"]


async def test_the_list_as_csv_can_be_sent_back(
    api: httpx2.AsyncClient, database: Database
) -> None:
    await sent(api, LIST + b"email;-offers@spam.example;=1+1\nemail;'=x@spam.example;@all\n")
    before = (await api.get("/v1/exclusions")).json()["items"]
    sheet = await api.get("/v1/exclusions", headers={"Accept": "text/csv"})
    async with database.transaction() as session:
        await session.execute(delete(Exclusion))

    came = await sent(api, sheet.content)

    after = (await api.get("/v1/exclusions")).json()["items"]
    assert (came["added"], came["unread"]) == (5, [])
    assert "-offers@spam.example" in await listed(api)
    assert came["ignored"] == ["id", "creator_id", "made_by_run_id", "created_at", "version"]
    assert sorted(map(said_of, after)) == sorted(map(said_of, before))


def said_of(row: dict[str, object]) -> list[str]:
    return [str(row[name]) for name in ("kind", "value", "comment")]


async def test_a_long_list_is_imported_at_once(api: httpx2.AsyncClient) -> None:
    numbers = "".join(f"+4930{1_000_000 + each}\n" for each in range(1200))

    came = await sent(api, numbers.encode())

    assert (came["added"], came["present"], came["unread"]) == (1200, 0, [])


@on_one_database
@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (NO_VALUES, "text/csv", "the first line must name the columns"),
        (b"030 1", "text/csv; charset=utf-7", "the charset «utf-7» is none of"),
        (b"", "text/csv", "Send the file as the body: curl --data-binary @exceptions.csv"),
        (b"[]", "application/json", "Send the file itself as the body"),
    ],
)
async def test_what_is_no_list_is_refused_with_a_reason(
    api: httpx2.AsyncClient, content: bytes, kind: str, reason: str
) -> None:
    answer = await api.post(
        "/v1/exclusions/import", content=content, headers={"Content-Type": kind}
    )

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "/file"
    assert reason in error["reason"]


async def test_a_list_is_read_before_it_keeps_others_from_writing(
    api: httpx2.AsyncClient, database: Database
) -> None:
    async with database.transaction(), asyncio.timeout(20):
        unread = await api.post(
            "/v1/exclusions/import", content=NO_VALUES, headers={"Content-Type": "text/csv"}
        )

    assert unread.status_code == 422
    assert unread.json()["errors"][0]["field"] == "/file"


async def test_two_who_import_the_same_list_at_once_list_each_value_once(
    api: httpx2.AsyncClient,
) -> None:
    came = await asyncio.gather(*(sent(api, LIST) for _ in range(3)))

    assert sum(int(str(each["added"])) for each in came) == 3
    assert len(await listed(api)) == 3
