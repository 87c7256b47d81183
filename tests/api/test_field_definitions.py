"""Definitions of custom fields over HTTP: made, changed within limits, kept for rules."""

from typing import Any

import httpx2
import pytest

from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.item_type import ItemType
from models.user import User
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

PATH = "/v1/field-definitions"
ONE_MORE = {"item_type": "deal", "name": "more", "title": "More", "kind": "text"}
SIZES = ["Small", "Medium", "Large"]


def problems(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {each["field"]: each["reason"] for each in answer.json()["errors"]}


async def test_a_definition_is_made_listed_read_and_changed(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    made = await company.custom("size", "list", choices=SIZES, title="Size of the roof")
    await company.custom("source", "text", item_type="lead")

    changed = await api.patch(
        f"{PATH}/{made['id']}",
        json={"title": "Roof", "choices": ["Large", "Huge"], "position": 7},
    )

    assert (made["name"], made["kind"], made["choices"]) == ("size", "list", SIZES)
    assert made["title"] == "Size of the roof"
    now = made | {"title": "Roof", "choices": ["Large", "Huge"], "position": 7, "version": 2}
    assert changed.json() == now
    assert (await api.get(f"{PATH}/{made['id']}")).json() == now
    listed = (await api.get(PATH, params={"item_type": "deal"})).json()
    assert listed == {"items": [now], "next": None}
    assert len((await api.get(PATH)).json()["items"]) == 2


async def test_definitions_are_listed_in_pages(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    first, second = await company.custom("one", "text"), await company.custom("two", "text")

    page = (await api.get(PATH, params={"limit": 1})).json()
    rest = (await api.get(PATH, params={"limit": 1, "after": page["next"]})).json()

    assert page["items"] == [first]
    assert rest == {"items": [second], "next": None}


async def test_definitions_can_be_listed_as_people_see_them(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    last, first = [
        await company.custom(name, "text", position=place) for name, place in (("a", 2), ("b", 1))
    ]

    listed = (await api.get(PATH, params={"sort": "position"})).json()["items"]

    assert listed == [first, last]


async def test_definitions_can_be_taken_as_a_sheet(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.custom("size", "list", choices=SIZES)

    sheet = await api.get(PATH, headers={"Accept": "text/csv"})

    heading, row = sheet.text.splitlines()
    assert heading.startswith("id,item_type,name,title,kind,choices,position")
    assert "deal,size,Size,list," in row
    assert all(size in row for size in SIZES)


async def test_a_new_field_stands_below_the_others_of_its_type(company: SmallCompany) -> None:
    await company.custom("one", "text", position=5)

    below, elsewhere = (
        await company.custom("two", "text"),
        await company.custom("two", "text", item_type="lead"),
    )

    assert (below["position"], elsewhere["position"]) == (6, 0)


@on_one_database
@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": "1st"}, "/name"),
        ({"name": "contract no"}, "/name"),
        ({"name": "größe"}, "/name"),
        ({"name": 'x"]'}, "/name"),
        ({"name": "x\n"}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"title": ""}, "/title"),
        ({"kind": "rows"}, "/kind"),
        ({"kind": "picture"}, "/kind"),
        ({"item_type": "boat"}, "/item_type"),
        ({"choices": ["A"]}, "/choices"),
        ({"kind": "list"}, "/choices"),
        ({"kind": "multi", "choices": []}, "/choices"),
        ({"kind": "list", "choices": ["A", "B", "A"]}, "/choices/2"),
        ({"kind": "list", "choices": ["A", " "]}, "/choices/1"),
        ({"kind": "list", "choices": ["x" * 201]}, "/choices/0"),
        ({"kind": "list", "choices": [str(n) for n in range(201)]}, "/choices"),
        ({"position": -1}, "/position"),
    ],
)
async def test_a_definition_that_cannot_be_is_refused_with_its_field(
    api: httpx2.AsyncClient, said: dict[str, Any], field: str
) -> None:
    answer = await api.post(PATH, json=ONE_MORE | said)

    assert list(problems(answer)) == [field]


async def test_a_name_is_there_once_for_each_type_of_item(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    made = await company.custom("size", "text")
    await company.custom("size", "number", item_type="lead")

    again = await api.post(PATH, json=ONE_MORE | {"name": "size"})

    assert again.status_code == 409
    assert again.json()["errors"] == [
        {
            "field": "/name",
            "reason": f"There is a custom field size of deals already: {made['id']}.",
        }
    ]


async def test_a_type_of_item_has_at_most_a_hundred_custom_fields(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    await company.add(
        *(
            FieldDefinition(
                item_type=ItemType.DEAL, name=f"f{n}", title="F", kind=FieldKind.TEXT, choices=[]
            )
            for n in range(100)
        )
    )

    answer = await api.post(PATH, json=ONE_MORE)

    assert answer.status_code == 409
    assert answer.json()["detail"] == "There are 100 custom fields of deals, no more can be."
    assert (await api.post(PATH, json=ONE_MORE | {"item_type": "lead"})).status_code == 201


@pytest.mark.parametrize("field", ["name", "kind", "item_type"])
async def test_name_kind_and_type_are_for_ever(
    api: httpx2.AsyncClient, company: SmallCompany, field: str
) -> None:
    made = await company.custom("size", "text")

    answer = await api.patch(f"{PATH}/{made['id']}", json={field: made[field]})

    assert list(problems(answer)) == [f"/{field}"]


@pytest.mark.parametrize(
    ("made_as", "choices"),
    [({"kind": "text"}, ["A"]), ({"kind": "list", "choices": ["A"]}, [])],
)
async def test_choices_still_suit_the_kind_when_they_change(
    api: httpx2.AsyncClient, company: SmallCompany, made_as: dict[str, Any], choices: list[str]
) -> None:
    made = await company.custom("size", **made_as)

    answer = await api.patch(f"{PATH}/{made['id']}", json={"choices": choices})

    assert list(problems(answer)) == ["/choices"]


async def test_who_has_not_seen_a_definition_cannot_change_it(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    made = await company.custom("size", "text")
    path = f"{PATH}/{made['id']}"

    stale = await api.patch(path, json={"title": "X"}, headers={"If-Match": '"9"'})

    assert stale.status_code == 412
    assert (await api.get(path)).headers["ETag"] == '"1"'


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_definition_that_is_not_there_is_not_found(
    api: httpx2.AsyncClient, method: str
) -> None:
    answer = await api.request(method, f"{PATH}/7", json={})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no custom field 7."


async def test_an_agent_sees_custom_fields_and_changes_none(
    company: SmallCompany, sign_in: SignIn
) -> None:
    made = await company.custom("size", "text")
    tom = User(name="Tom")
    await company.add(tom)
    agent = await sign_in(tom)

    seen = await agent.get(PATH)
    refused = [
        await agent.post(PATH, json=ONE_MORE),
        await agent.patch(f"{PATH}/{made['id']}", json={"title": "X"}),
        await agent.delete(f"{PATH}/{made['id']}"),
    ]

    assert seen.json()["items"] == [made]
    assert [answer.status_code for answer in refused] == [403, 403, 403]


@pytest.mark.parametrize(
    "said",
    [
        {"params": {"text": "Contract {{ deal.custom.contract_no }}"}},
        {"params": {"text": "Contract {{ item.custom['contract_no'] | upcase }}"}},
        {"params": {"text": "Contract {{ deal['custom'].contract_no }}"}},
        {"conditions": {"all": [{"field": "deal.custom.contract_no", "operator": "not empty"}]}},
    ],
)
async def test_a_field_stays_while_a_rule_speaks_of_it(
    api: httpx2.AsyncClient, company: SmallCompany, said: dict[str, Any]
) -> None:
    [stage] = await company.pipeline("New")
    made = await company.custom("contract_no", "text")
    rule = await company.rule(stage, **said)
    path = f"{PATH}/{made['id']}"

    refused = await api.delete(path)
    await api.delete(f"/v1/rules/{rule['id']}")
    deleted = await api.delete(path)

    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        f"Custom field contract_no of deals is still used: rule {rule['id']} «Note»."
    )
    assert deleted.status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_a_date_that_a_rule_waits_around_stays(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    made = await company.custom("renewal", "date")
    timing = {"kind": "around_date", "field": "deal.custom.renewal", "direction": "at"}
    await company.rule(stage, timing=timing)

    assert (await api.delete(f"{PATH}/{made['id']}")).status_code == 409


async def test_of_many_rules_some_are_named_and_the_rest_counted(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    made = await company.custom("size", "text")
    rules = [await company.rule(stage, params={"text": "{{ deal.custom.size }}"}) for _ in range(7)]

    refused = await api.delete(f"{PATH}/{made['id']}")

    named = ", ".join(f"rule {rule['id']} «Note»" for rule in rules[:5])
    assert refused.json()["detail"].endswith(f"{named} and 2 more.")


async def test_rules_that_speak_of_something_alike_keep_no_field(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    [incoming] = await company.pipeline("Incoming", item_type=ItemType.LEAD)
    made = await company.custom("size", "text")
    await company.custom("size_2", "text")
    await company.custom("size", "text", item_type="lead")
    await company.rule(stage, params={"text": "{{ deal.custom.size_2 }} of custom size"})
    await company.rule(incoming, params={"text": "{{ lead.custom.size }}"})
    edited = await company.rule(stage, params={"text": "{{ deal.custom.size }}"})
    await api.patch(f"/v1/rules/{edited['id']}", json={"params": {"text": "No more"}})

    assert (await api.delete(f"{PATH}/{made['id']}")).status_code == 204


async def test_a_rule_on_a_field_that_nobody_defined_is_refused_with_the_nearest(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    [stage] = await company.pipeline("New")
    await company.custom("contract_no", "text")
    rule = {
        "title": "Note",
        "action": "add_history_entry",
        "params": {"text": "{{ deal.custom.contact_no }}"},
        "conditions": {"field": "deal.custom.contrct_no", "operator": "=", "value": "A-1"},
    }

    refused = await api.post(f"/v1/stages/{stage}/rules", json=rule)

    assert problems(refused) == {
        "/params/text": "line 1, column 4: unknown field deal.custom.contact_no, "
        "did you mean deal.custom.contract_no?",
        "/conditions/field": "unknown field deal.custom.contrct_no, "
        "did you mean deal.custom.contract_no?",
    }
