"""Previews over HTTP: what a text or conditions would come to for an item as it stands."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from models.base import Base
from models.database import Database
from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.history import HistoryEntry
from models.item_type import ItemType
from models.rule_run import RuleRun, RunState
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

AMOUNT = {"field": "deal.amount", "operator": ">", "value": 1000}


async def written(api: httpx2.AsyncClient, item: Any, text: str, **said: Any) -> httpx2.Response:
    return await api.post(f"/v1/items/{item['id']}/preview/text", json={"text": text} | said)


async def judged(
    api: httpx2.AsyncClient, item: Any, conditions: Any, **said: Any
) -> httpx2.Response:
    body = {"conditions": conditions} | said
    return await api.post(f"/v1/items/{item['id']}/preview/conditions", json=body)


async def count(database: Database, what: type[Base]) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(what)) or 0


@pytest.fixture
async def deal(company: SmallCompany) -> Any:
    await company.pipeline("New")
    return await company.deal(amount="1234.50", close_date="2026-08-31")


async def test_a_text_is_shown_with_the_fields_of_the_item(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    answer = await written(api, deal, "{{ deal.title }}: {{ item.url }}")

    assert answer.status_code == 200
    assert answer.json() == {"text": f"Roof: http://cuebook/v1/deals/{deal['id']}"}


async def test_a_text_is_shown_for_a_lead_too(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("Fresh", item_type=ItemType.LEAD)
    lead = await company.lead(first_name="Anna", phones=["+48 601 100 200"])

    answer = await written(api, lead, "{{ lead.first_name }} {{ lead.phone }}")

    assert answer.json() == {"text": "Anna +48 601 100 200"}


async def test_a_text_reads_as_its_reader_writes(
    company: SmallCompany, api: httpx2.AsyncClient, deal: Any
) -> None:
    reader = User(name="Hans", locale="de_DE", time_zone="Asia/Tokyo")
    await company.add(reader)
    text = "{{ deal.amount | money }}, {{ '2026-08-31T22:00:00Z' | date }}"

    plain = await written(api, deal, text)
    for_hans = await written(api, deal, text, reader_id=reader.id)
    elsewhere = await written(api, deal, text, reader_id=reader.id, locale="en-US", zone="UTC")

    assert plain.json() == {"text": "€1,234.50, Aug 31, 2026"}
    assert for_hans.json() == {"text": "1.234,50\N{NO-BREAK SPACE}€, 01.09.2026"}
    assert elsewhere.json() == plain.json()


async def test_all_problems_of_a_text_are_told_with_their_place(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    answer = await written(api, deal, "{{ deal.titel }}\n{{ deal.amount | mony }}")

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "/text",
            "reason": "line 1, column 4: unknown field deal.titel, did you mean deal.title?",
        },
        {"field": "/text", "reason": "line 2, column 18: unknown filter mony, did you mean money?"},
    ]


@on_one_database
@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"text": "{{ deal.title | money }}"}, "/text"),
        ({"text": "{{ deal.title"}, "/text"),
        ({"text": "x" * 20_001}, "/text"),
        ({"text": "x", "reader_id": 99}, "/reader_id"),
        ({"text": "x", "locale": "xx"}, "/locale"),
        ({"text": "x", "zone": "Mars/Olympus"}, "/zone"),
        ({"text": "x", "stage_entry_id": 99}, "/stage_entry_id"),
        ({"text": "x", "colour": "red"}, "/colour"),
        ({}, "/text"),
    ],
)
async def test_what_cannot_be_shown_is_refused_with_its_place(
    api: httpx2.AsyncClient, deal: Any, said: dict[str, Any], field: str
) -> None:
    answer = await api.post(f"/v1/items/{deal['id']}/preview/text", json=said)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_conditions_are_judged_and_say_what_was_compared_with_what(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    answer = await judged(api, deal, {"all": [AMOUNT, AMOUNT | {"operator": "≤"}]})

    assert answer.status_code == 200
    assert answer.json()["outcome"] == "not met"
    assert answer.json()["in_words"] == "deal.amount is 1234.50, needed <= 1000"
    assert [each["outcome"] for each in answer.json()["comparisons"]] == ["met", "not met"]


async def test_conditions_can_speak_of_other_fields_and_of_what_has_changed(
    company: SmallCompany, api: httpx2.AsyncClient, deal: Any
) -> None:
    await company.add(
        FieldDefinition(item_type=ItemType.DEAL, name="limit", title="Limit", kind=FieldKind.MONEY)
    )
    await api.patch(
        f"/v1/deals/{deal['id']}", json={"custom": {"limit": "1000.00"}}, headers={"If-Match": "*"}
    )
    over = {"field": "deal.amount", "operator": ">", "value": {"field": "deal.custom.limit"}}
    changed = {"field": "deal.custom.limit", "operator": "changed since entry"}

    answer = await judged(api, deal, {"all": [over, changed]})

    assert answer.json()["outcome"] == "met"
    assert answer.json()["comparisons"][0]["expected"] == {
        "field": "deal.custom.limit",
        "value": "1000.00",
    }


async def test_a_change_before_the_present_stay_counts_for_the_stay_it_was_made_in(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    _, won = await company.pipeline("New", "Won")
    deal = await company.deal()
    headers = {"If-Match": "*"}
    await api.patch(f"/v1/deals/{deal['id']}", json={"source": "fair"}, headers=headers)
    moved = await company.move(deal["id"], won)
    changed = {"field": "deal.source", "operator": "changed since entry"}

    now = await judged(api, deal, changed)
    then = await judged(api, deal, changed, stage_entry_id=moved["stage_entry_id"] - 1)

    assert now.json()["outcome"] == "not met"
    assert then.json()["outcome"] == "met"


async def test_all_problems_of_conditions_are_told_with_their_place(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    unknown = {"field": "deal.amonut", "operator": "empty"}
    answer = await judged(api, deal, {"any": [unknown, AMOUNT | {"value": "much"}]})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "/conditions/any/0/field",
            "reason": "unknown field deal.amonut, did you mean deal.amount?",
        },
        {"field": "/conditions/any/1/value", "reason": "much is no number"},
    ]


@on_one_database
@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"some": []}, "/conditions"),
        (AMOUNT | {"operator": "=="}, "/conditions/operator"),
        (AMOUNT | {"value": {"field": 5}}, "/conditions/value/field"),
        (AMOUNT | {"operator": "in", "value": [{"amount": 1}]}, "/conditions/value/0/amount"),
    ],
)
async def test_what_is_no_condition_is_refused(
    api: httpx2.AsyncClient, deal: Any, conditions: Any, field: str
) -> None:
    answer = await judged(api, deal, conditions)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(field.removesuffix("/amount"))


async def test_results_are_those_of_the_rules_that_have_run(
    company: SmallCompany, api: httpx2.AsyncClient, database: Database
) -> None:
    [new] = await company.pipeline("New")
    await company.rule(new, action="create_task", params={"title": "Call"})
    deal = await company.deal()
    text = "[{{ results.create_task.title }}]"

    before = await written(api, deal, text)
    async with database.transaction() as session:
        run = (await session.scalars(select(RuleRun))).one()
        run.state, run.result = RunState.DONE, {"id": 7, "title": "Call"}
    after = await written(api, deal, text)
    met = await judged(api, deal, {"field": "results.create_task.id", "operator": "=", "value": 7})

    assert (before.json(), after.json()) == ({"text": "[]"}, {"text": "[Call]"})
    assert met.json()["outcome"] == "met"


async def test_an_entry_of_another_item_is_none_of_this_one(
    company: SmallCompany, api: httpx2.AsyncClient, deal: Any
) -> None:
    [entry] = (await api.get(f"/v1/items/{(await company.deal())['id']}/timeline")).json()["items"]

    answer = await judged(api, deal, AMOUNT, stage_entry_id=entry["id"])

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["reason"] == (
        f"Deal {deal['id']} has no stage entry {entry['id']}."
    )


async def test_an_item_in_the_recycle_bin_has_no_preview(
    api: httpx2.AsyncClient, deal: Any
) -> None:
    await api.delete(f"/v1/deals/{deal['id']}", headers={"If-Match": "*"})

    answer = await written(api, deal, "x")

    assert answer.status_code == 404


async def test_a_preview_changes_nothing(
    api: httpx2.AsyncClient, database: Database, deal: Any
) -> None:
    before = await count(database, HistoryEntry)

    await written(api, deal, "{{ deal.title }}")
    await judged(api, deal, AMOUNT)

    assert await count(database, HistoryEntry) == before
    assert (await api.get(f"/v1/deals/{deal['id']}")).json() == deal


async def test_a_rule_may_name_only_what_rules_above_it_leave(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [new] = await company.pipeline("New")
    rule = {
        "title": "Tell",
        "action": "add_history_entry",
        "params": {"text": "{{ results.create_task.id }}"},
    }

    alone = await api.post(f"/v1/stages/{new}/rules", json=rule)
    await company.rule(new, action="create_task", params={"title": "Call"}, position=5)
    above = await api.post(f"/v1/stages/{new}/rules", json=rule | {"position": 4})
    below = await api.post(f"/v1/stages/{new}/rules", json=rule)
    up = await api.patch(
        f"/v1/rules/{below.json()['id']}",
        json={"position": 1, "params": rule["params"]},
        headers={"If-Match": "*"},
    )

    assert [each.status_code for each in (alone, above, below, up)] == [422, 422, 201, 422]
    assert alone.json()["errors"][0]["reason"].endswith(
        "no rule above this one uses the action create_task"
    )


async def test_the_catalogue_of_actions_says_what_they_leave(api: httpx2.AsyncClient) -> None:
    actions = {each["code"]: each for each in (await api.get("/v1/actions")).json()["items"]}

    left = {"name": "id", "title": "ID", "kind": "number", "short": None}
    assert left in actions["create_task"]["results"]


async def test_a_run_shows_what_it_has_left(
    company: SmallCompany, api: httpx2.AsyncClient, database: Database
) -> None:
    [new] = await company.pipeline("New")
    await company.rule(new)
    await company.deal()
    async with database.transaction() as session:
        run = (await session.scalars(select(RuleRun))).one()
        run.state, run.result = RunState.DONE, {"text": "Seen"}

    answer = await api.get(f"/v1/runs/{run.id}")

    assert answer.json()["result"] == {"text": "Seen"}
