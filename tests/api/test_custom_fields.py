"""Values of custom fields over HTTP: filled in, refused, told in history, and found again."""

from typing import Any

import httpx2
import pytest

from models.database import Database
from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.item import Item
from models.item_type import ItemType
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

SIZES = ["Small", "Medium", "Large"]

KINDS = {
    "note": "text",
    "floors": "number",
    "deposit": "money",
    "due": "date",
    "visited": "datetime",
    "steep": "boolean",
    "size": "list",
    "sides": "multi",
    "manager": "user",
}


@pytest.fixture
async def bea(company: SmallCompany) -> User:
    bea = User(name="Bea", email="bea@crm.example")
    await company.add(bea)
    return bea


@pytest.fixture(autouse=True)
async def fields(company: SmallCompany) -> None:
    """A field of each kind for deals, and one for leads."""
    await company.pipeline("New")
    await company.pipeline("Incoming", item_type=ItemType.LEAD)
    choices = {"size": SIZES, "sides": ["North", "South", "West"]}
    await company.add(
        *(
            FieldDefinition(
                item_type=ItemType.DEAL,
                name=name,
                title=name.capitalize(),
                kind=FieldKind(kind),
                choices=choices.get(name, []),
            )
            for name, kind in KINDS.items()
        ),
        FieldDefinition(
            item_type=ItemType.LEAD,
            name="campaign",
            title="Campaign",
            kind=FieldKind.TEXT,
            choices=[],
        ),
    )


def problems(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {each["field"]: each["reason"] for each in answer.json()["errors"]}


async def history(api: httpx2.AsyncClient, item: Any) -> list[tuple[Any, ...]]:
    answer = await api.get(f"/v1/items/{item['id']}/history", params={"kind": "changed"})
    return sorted((line["field"], line["old"], line["new"]) for line in answer.json()["items"])


async def found(api: httpx2.AsyncClient, query: str, items: str = "deals") -> list[int]:
    answer = await api.get(f"/v1/{items}?{query}")
    assert answer.is_success, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_values_of_every_kind_are_kept_and_come_out_as_they_went_in(
    api: httpx2.AsyncClient, company: SmallCompany, bea: User
) -> None:
    values = {
        "note": "A-1 «ß» \\ \" '",
        "floors": 0.1,
        "deposit": "12.50",
        "due": "2027-12-31",
        "visited": "2027-12-31T08:00:00Z",
        "steep": False,
        "size": "Large",
        "sides": ["South", "North"],
        "manager": bea.id,
    }

    deal = await company.deal(custom=values)

    assert deal["custom"] == values
    read = await api.get(f"/v1/deals/{deal['id']}")
    assert read.json()["custom"] == values
    again = await api.patch(f"/v1/deals/{deal['id']}", json={"custom": values})
    assert again.json()["version"] == deal["version"]


async def test_values_are_kept_in_one_form(company: SmallCompany) -> None:
    deal = await company.deal(
        custom={
            "floors": "3.0",
            "deposit": 12.5,
            "due": "20271231",
            "visited": "2027-12-31T09:00+01:00",
        }
    )

    assert deal["custom"] == {
        "floors": 3,
        "deposit": "12.50",
        "due": "2027-12-31",
        "visited": "2027-12-31T08:00:00Z",
    }


async def test_leads_have_custom_fields_of_their_own(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    lead = await company.lead(custom={"campaign": "Fair"})

    answer = await api.patch(f"/v1/leads/{lead['id']}", json={"custom": {"floors": 1}})

    assert lead["custom"] == {"campaign": "Fair"}
    assert list(problems(answer)) == ["/custom/floors"]


WRONG = {
    "note": 7,
    "floors": "three",
    "deposit": "1.234",
    "due": "soon",
    "visited": "2027-12-31T09:00",
    "steep": "yes",
    "size": "Larg",
    "sides": ["North", "Sout", "North"],
    "manager": 999,
    "flors": 3,
    "a/b": 1,
}

REASONS = {
    "/custom/note": "«Note» takes a text of at most 20000 characters.",
    "/custom/floors": "«Floors» takes a number of at most 15 digits such as 3 or 0.1.",
    "/custom/deposit": "«Deposit» takes an amount with at most two decimals such as 12.50.",
    "/custom/due": "«Due» takes a date such as 2027-12-31.",
    "/custom/visited": "«Visited» takes a time with its zone such as 2027-12-31T09:00+01:00.",
    "/custom/steep": "«Steep» takes true or false.",
    "/custom/size": "«Size» has no choice Larg, did you mean Large?",
    "/custom/sides/1": "«Sides» has no choice Sout, did you mean South?",
    "/custom/sides/2": "«Sides» takes each choice once; North is there twice.",
    "/custom/manager": "There is no user 999.",
    "/custom/flors": "unknown custom field flors, did you mean floors?",
    "/custom/a~1b": "unknown custom field a/b",
}


async def test_all_that_is_wrong_is_told_at_once_on_creation(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/deals", json={"title": "Roof", "custom": WRONG})

    assert problems(answer) == REASONS
    assert (await api.get("/v1/deals")).json()["items"] == []


async def test_all_that_is_wrong_is_told_at_once_on_change(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    deal = await company.deal(custom={"floors": 3})

    answer = await api.patch(f"/v1/deals/{deal['id']}", json={"custom": WRONG})

    assert problems(answer) == REASONS
    assert (await api.get(f"/v1/deals/{deal['id']}")).json() == deal


async def test_null_removes_a_value_and_what_is_left_out_stays(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    deal = await company.deal(custom={"floors": 3, "note": "x", "size": None})

    answer = await api.patch(f"/v1/deals/{deal['id']}", json={"custom": {"floors": None}})

    assert deal["custom"] == {"floors": 3, "note": "x"}
    assert answer.json()["custom"] == {"note": "x"}


async def test_history_tells_changes_in_words(
    api: httpx2.AsyncClient, company: SmallCompany, bea: User, admin: User
) -> None:
    deal = await company.deal(
        custom={"manager": admin.id, "steep": True, "sides": ["North"], "note": "same"}
    )

    await api.patch(
        f"/v1/deals/{deal['id']}",
        json={
            "custom": {
                "manager": bea.id,
                "steep": None,
                "sides": ["North", "West"],
                "note": "same",
                "deposit": 5,
            }
        },
    )

    assert await history(api, deal) == [
        ("custom.deposit", None, "5.00"),
        ("custom.manager", "Ada Admin", "Bea"),
        ("custom.sides", "North", "North, West"),
        ("custom.steep", "true", None),
    ]
    lines = await api.get(f"/v1/items/{deal['id']}/history", params={"kind": "changed"})
    assert "Manager: Ada Admin → Bea" in {line["text"] for line in lines.json()["items"]}


async def test_somebody_who_has_left_cannot_be_chosen_but_may_stay(
    api: httpx2.AsyncClient, company: SmallCompany, bea: User
) -> None:
    gus = User(name="Gus", active=False)
    await company.add(gus)
    deal = await company.deal(custom={"manager": bea.id})
    await api.patch(f"/v1/users/{bea.id}", json={"active": False})

    stays = await api.patch(
        f"/v1/deals/{deal['id']}", json={"custom": {"manager": bea.id, "floors": 1}}
    )
    chosen = await api.patch(f"/v1/deals/{deal['id']}", json={"custom": {"manager": gus.id}})

    assert stays.json()["custom"] == {"manager": bea.id, "floors": 1}
    assert problems(chosen) == {"/custom/manager": f"User {gus.id} is not active any more."}


async def definition_id(api: httpx2.AsyncClient, name: str) -> int:
    listed = (await api.get("/v1/field-definitions", params={"item_type": "deal"})).json()["items"]
    return next(int(each["id"]) for each in listed if each["name"] == name)


@pytest.mark.parametrize("choice", ["North", "Nowhere"])
async def test_of_very_many_wrong_choices_the_first_are_told(
    api: httpx2.AsyncClient, choice: str
) -> None:
    sent = {"title": "Roof", "custom": {"sides": [choice] * 50_000}}

    told = problems(await api.post("/v1/deals", json=sent))

    assert len(told) == 10


async def test_an_unknown_name_of_any_length_is_told_shortened(api: httpx2.AsyncClient) -> None:
    told = problems(await api.post("/v1/deals", json={"title": "Roof", "custom": {"x" * 5000: 1}}))

    assert list(told) == [f"/custom/{'x' * 100}…"]


async def test_items_keep_a_choice_that_is_no_longer_one(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    deal = await company.deal(custom={"size": "Small", "sides": ["North"]})
    for name in ("size", "sides"):
        path = f"/v1/field-definitions/{await definition_id(api, name)}"
        await api.patch(path, json={"choices": ["South", "Huge"]})
    path = f"/v1/deals/{deal['id']}"

    kept = await api.patch(path, json={"custom": {"size": "Small", "sides": ["North", "South"]}})
    left = await api.patch(path, json={"custom": {"size": "Huge"}})
    back = await api.patch(path, json={"custom": {"size": "Small"}})

    assert kept.json()["custom"] == {"size": "Small", "sides": ["North", "South"]}
    assert left.json()["custom"]["size"] == "Huge"
    assert list(problems(back)) == ["/custom/size"]
    assert await found(api, "custom[sides]=North") == [deal["id"]]


async def test_values_outlive_their_definition_and_can_only_be_removed(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    deal = await company.deal(custom={"floors": 3, "note": "x"})
    await api.delete(f"/v1/field-definitions/{await definition_id(api, 'floors')}")
    path = f"/v1/deals/{deal['id']}"

    same = await api.patch(path, json={"custom": {"floors": 3, "note": "y"}})
    other = await api.patch(path, json={"custom": {"floors": 4}})
    removed = await api.patch(path, json={"custom": {"floors": None}})
    again = await api.patch(path, json={"custom": {"floors": None}})

    assert same.json()["custom"] == {"floors": 3, "note": "y"}
    assert problems(other) == {"/custom/floors": "unknown custom field floors"}
    assert removed.json()["custom"] == {"note": "y"}
    assert list(problems(again)) == ["/custom/floors"]
    assert await history(api, deal) == [("custom.floors", "3", None), ("custom.note", "x", "y")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("custom[note]=A-1", "a"),
        ("custom[note]=a-1", ""),
        ("custom[note]=A-", ""),
        ("custom[note]=", "b"),
        ("custom[floors]=0.1", "a"),
        ("custom[floors]=0.10", "a"),
        ("custom[floors]=10", "b"),
        ("custom[floors][from]=0.1", "ab"),
        ("custom[floors][from]=0.10000001", "b"),
        ("custom[floors][to]=0.1", "ac"),
        ("custom[floors][to]=0.09", "c"),
        ("custom[floors][from]=-2&custom[floors][to]=9", "ac"),
        ("custom[deposit]=9.5", "a"),
        ("custom[deposit][from]=9.51", "b"),
        ("custom[deposit][from]=9.50", "ab"),
        ("custom[deposit][to]=100.00", "abc"),
        ("custom[deposit][to]=99.99", "ac"),
        ("custom[deposit][to]=-0.01", "c"),
        ("custom[due]=2027-02-28", "a"),
        ("custom[due][from]=2027-02-28", "ab"),
        ("custom[due][from]=2027-03-01", "b"),
        ("custom[due][to]=2027-02-28", "ac"),
        ("custom[due][from]=2027-01-01&custom[due][to]=2027-12-30", "a"),
        ("custom[visited]=2027-02-28T10:00:00%2B01:00", "a"),
        ("custom[visited][from]=2027-02-28T09:00:00Z", "ab"),
        ("custom[visited][from]=2027-02-28T09:00:00.1Z", "b"),
        ("custom[visited][to]=2027-02-28T09:00:00.499999Z", "ac"),
        ("custom[visited][to]=2027-02-28T09:00:00.5Z", "abc"),
        ("custom[steep]=true", "a"),
        ("custom[steep]=false", "b"),
        ("custom[size]=Large", "a"),
        ("custom[size]=Gone", ""),
        ("custom[sides]=North", "ab"),
        ("custom[sides]=North&custom[sides]=South", "a"),
        ("custom[sides]=Nor", ""),
        ("custom[note]=A-1&custom[steep]=true&custom[floors][from]=0", "a"),
        ("custom[note]=A-1&custom[steep]=false", ""),
        ("custom%5Bnote%5D=A-1", "a"),
    ],
)
async def test_deals_are_found_by_their_custom_fields(
    api: httpx2.AsyncClient, company: SmallCompany, query: str, expected: str
) -> None:
    values = {
        "a": {
            "note": "A-1",
            "floors": 0.1,
            "deposit": "9.50",
            "due": "2027-02-28",
            "visited": "2027-02-28T09:00:00Z",
            "steep": True,
            "size": "Large",
            "sides": ["South", "North"],
        },
        "b": {
            "note": "",
            "floors": 10,
            "deposit": "100",
            "due": "2027-12-31",
            "visited": "2027-02-28T09:00:00.5Z",
            "steep": False,
            "sides": ["North"],
        },
        "c": {
            "floors": -2,
            "deposit": "-0.01",
            "due": "0999-12-31",
            "visited": "2026-12-31T23:00-05:00",
        },
        "d": {},
    }
    names = {(await company.deal(custom=each))["id"]: name for name, each in values.items()}

    ids = await found(api, query)

    assert "".join(names[each] for each in ids) == expected


async def test_deals_are_found_by_a_user(
    api: httpx2.AsyncClient, company: SmallCompany, bea: User, admin: User
) -> None:
    deal = await company.deal(custom={"manager": bea.id})
    await company.deal(custom={"manager": admin.id})

    assert await found(api, f"custom[manager]={bea.id}") == [deal["id"]]
    assert await found(api, "custom[manager]=999") == []


async def test_cents_of_large_amounts_count(api: httpx2.AsyncClient, company: SmallCompany) -> None:
    less = await company.deal(custom={"deposit": "9999999999999999.98"})
    more = await company.deal(custom={"deposit": "9999999999999999.99"})

    assert await found(api, "custom[deposit]=9999999999999999.98") == [less["id"]]
    assert await found(api, "custom[deposit][from]=9999999999999999.99") == [more["id"]]


async def test_the_last_digits_of_numbers_count(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    less = await company.deal(custom={"floors": "99999999999.9998"})
    more = await company.deal(custom={"floors": "99999999999.9999"})

    assert await found(api, "custom[floors][to]=99999999999.9998") == [less["id"]]
    assert await found(api, "custom[floors][from]=99999999999.9999") == [more["id"]]


async def test_leads_are_found_too_and_page_by_page(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    first = await company.lead(custom={"campaign": "Fair"})
    await company.lead(custom={"campaign": "Web"})
    second = await company.lead(custom={"campaign": "Fair"})

    page = (await api.get("/v1/leads?custom[campaign]=Fair&limit=1")).json()

    assert [lead["id"] for lead in page["items"]] == [first["id"]]
    after = f"custom[campaign]=Fair&limit=1&after={page['next']}"
    assert await found(api, after, "leads") == [second["id"]]


INJECTED = "x') OR true --"


@on_one_database
@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("custom[nite]=1", "/custom/nite", "unknown custom field nite, did you mean note?"),
        ("custom[campaign]=x", "/custom/campaign", "unknown custom field campaign"),
        (f"custom[{INJECTED}]=1", f"/custom/{INJECTED}", f"unknown custom field {INJECTED}"),
        ("custom[$.note]=1", "/custom/$.note", "unknown custom field $.note, did you mean note?"),
        ('custom[note"]=1', '/custom/note"', 'unknown custom field note", did you mean note?'),
        (
            "custom[floors]=three",
            "/custom/floors",
            "«Floors» takes a number of at most 15 digits such as 3 or 0.1.",
        ),
        (
            "custom[due][to]=",
            "/custom/due",
            "«Due» takes a date such as 2027-12-31.",
        ),
        (
            "custom[visited][from]=now",
            "/custom/visited",
            "«Visited» takes a time with its zone such as 2027-12-31T09:00+01:00.",
        ),
        ("custom[steep]=yes", "/custom/steep", "«Steep» takes true or false."),
        ("custom[manager]=Bea", "/custom/manager", "«Manager» takes the id of a user."),
        ("custom[note][from]=A", "/custom/note", "«Note» is a text, which has no from."),
        ("custom[sides][to]=A", "/custom/sides", "«Sides» is a multi, which has no to."),
        (
            "custom[note]=a%00b",
            "/custom/note",
            "a text holds U+0000 or half a character, which nothing holds",
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_the_same_words(
    api: httpx2.AsyncClient, query: str, field: str, reason: str
) -> None:
    answer = await api.get(f"/v1/deals?{query}")

    assert problems(answer) == {field: reason}


@on_one_database
@pytest.mark.parametrize(
    "query",
    ["custom=x", "custom[]=x", "custom[note=x", "custom[due][above]=x", "custom[a][b][c]=x"],
)
async def test_what_is_not_asked_as_it_must_be_is_refused(
    api: httpx2.AsyncClient, query: str
) -> None:
    assert list(problems(await api.get(f"/v1/deals?{query}"))) == ["/custom"]


async def test_everything_wrong_in_a_question_is_told_at_once(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals?custom[nope]=1&custom[steep]=1&custom[due][from]=1")

    assert list(problems(answer)) == ["/custom/nope", "/custom/steep", "/custom/due"]


async def test_a_question_has_a_limit(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/deals?" + "&".join(["custom[note]=x"] * 51))

    assert problems(answer) == {"/custom": "At most 50 conditions can be sent at once."}


MISFITS: list[Any] = [
    "text",
    "",
    "12.5",
    "2027-13-45",
    "2027-13-45T99:99:99Z",
    7,
    7.25,
    -1,
    10**30,
    1e22,
    True,
    False,
    ["North"],
    ["North", 1],
    [],
    {"North": 1},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("custom[note]=7", []),
        ("custom[note]=text", ["text"]),
        ("custom[note]=true", []),
        ("custom[floors]=7", [7]),
        ("custom[floors][from]=-1", [7, 7.25, -1, 10**30, 1e22]),
        ("custom[floors][to]=7.25", [7, 7.25, -1]),
        ("custom[deposit][from]=0", []),
        ("custom[deposit][to]=100", []),
        ("custom[due][from]=2027-01-01", ["2027-13-45"]),
        ("custom[due][to]=9999-12-31", ["2027-13-45"]),
        ("custom[visited][from]=2027-01-01T00:00Z", ["2027-13-45T99:99:99Z"]),
        ("custom[steep]=true", [True]),
        ("custom[steep]=false", [False]),
        ("custom[manager]=7", [7]),
        ("custom[size]=text", ["text"]),
        ("custom[sides]=North", [["North"], ["North", 1]]),
        ("custom[sides]=text", []),
    ],
)
async def test_values_of_another_kind_are_not_found_and_disturb_nobody(
    api: httpx2.AsyncClient, database: Database, company: SmallCompany, query: str, expected: Any
) -> None:
    deals = [await company.deal() for _ in MISFITS]
    async with database.transaction() as session:
        for deal, misfit in zip(deals, MISFITS, strict=True):
            item = await session.get_one(Item, deal["id"])
            item.custom = dict.fromkeys(KINDS, misfit)

    answer = await api.get(f"/v1/deals?{query}&limit=200")

    assert [deal["custom"]["note"] for deal in answer.json()["items"]] == expected


async def test_the_document_tells_how_to_ask(api: httpx2.AsyncClient) -> None:
    document = (await api.get("/v1/openapi.json")).json()

    for path in ("/v1/deals", "/v1/leads"):
        parameters = {each["name"]: each for each in document["paths"][path]["get"]["parameters"]}
        assert parameters["custom"]["style"] == "deepObject"
        assert parameters.keys() > {"custom", "stage_id", "limit", "after"}
