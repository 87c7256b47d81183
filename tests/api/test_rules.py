"""Rules over HTTP: checked when saved, versioned when edited, held when switched off."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from models.item_type import ItemType
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_one_database

IN_A_DAY = {"kind": "after_delay", "amount": 1, "unit": "days"}

WHOLE = {
    "title": "Call back",
    "action": "create_task",
    "params": {"title": "Call about {{ deal.title }}", "deadline": {"amount": 2, "unit": "days"}},
    "timing": {"kind": "after_delay", "amount": 6, "unit": "months"},
    "conditions": {
        "all": [
            {"field": "deal.amount", "operator": ">", "value": 1000},
            {"not": {"field": "contact.name", "operator": "empty", "value": None}},
        ]
    },
    "after_previous": True,
    "keep_when_item_leaves": True,
    "once_per_item": True,
    "stop_on_failure": True,
    "position": 7,
    "enabled": False,
}


async def runs_of(api: httpx2.AsyncClient, item: Any) -> list[Any]:
    found: list[Any] = (await api.get(f"/v1/items/{item['id']}/runs")).json()["items"]
    return found


async def test_a_rule_is_kept_as_it_was_said(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")

    rule = await company.rule(stage, **WHOLE)

    assert {name: rule[name] for name in WHOLE if name != "params"} == {
        name: value for name, value in WHOLE.items() if name != "params"
    }
    assert rule["params"]["deadline"] == {"amount": 2, "unit": "days"}
    assert rule["params"]["priority"] == "normal"
    assert (rule["stage_id"], rule["text_version"], rule["waiting"]) == (stage, 1, 0)
    assert (await api.get(f"/v1/rules/{rule['id']}")).json() == rule


async def test_the_least_that_can_be_said_runs_at_once_below_the_others(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    await company.rule(stage, title="First")

    second = await company.rule(stage, title="Second")

    assert second["timing"] == {"kind": "at_once"}
    assert second["enabled"] is True
    listed = (await api.get(f"/v1/stages/{stage}/rules")).json()["items"]
    assert [(rule["title"], rule["position"]) for rule in listed] == [("First", 0), ("Second", 1)]


@on_one_database
@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"action": "make_coffee"}, "/action"),
        ({"params": {}}, "/params/text"),
        ({"params": {"text": "x", "colour": "red"}}, "/params/colour"),
        ({"params": {"text": "{{ deal.titel }}"}}, "/params/text"),
        ({"params": {"text": "{{ deal.title"}}, "/params/text"),
        (
            {"params": {"text": "x", "created_by": {"by": "user", "id": 99}}},
            "/params/created_by/id",
        ),
        ({"conditions": {"field": "deal.amonut", "operator": "empty"}}, "/conditions/field"),
        (
            {"conditions": {"all": [{"field": "deal.amount", "operator": "contains", "value": 1}]}},
            "/conditions/all/0/operator",
        ),
        ({"conditions": {"some": []}}, "/conditions"),
        ({"timing": {"kind": "after_delay", "amount": 1, "unit": "moons"}}, "/timing/unit"),
        ({"timing": {"kind": "after_delay", "amount": 10**9, "unit": "years"}}, "/timing"),
        ({"timing": {"kind": "someday"}}, "/timing/kind"),
        ({"title": " "}, "/title"),
        ({"position": -1}, "/position"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_rule_that_could_never_run_is_refused(
    company: SmallCompany, api: httpx2.AsyncClient, said: dict[str, Any], field: str
) -> None:
    [stage] = await company.pipeline("New")
    rule = {"title": "Note", "action": "add_history_entry", "params": {"text": "Seen"}}

    answer = await api.post(f"/v1/stages/{stage}/rules", json=rule | said)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await api.get(f"/v1/stages/{stage}/rules")).json()["items"] == []


async def test_a_copy_into_a_stage_of_another_pipeline_is_refused(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    [planned] = await company.pipeline("Planned", name="Installation")

    answer = await api.post(
        f"/v1/stages/{stage}/rules",
        json={"title": "Copy", "action": "copy_deal", "params": {"stage": planned}},
    )

    assert answer.json()["type"] == "/problems/invalid-rule"
    assert [error["field"] for error in answer.json()["errors"]] == ["/params/stage"]


async def test_only_a_rule_after_the_previous_one_can_be_stopped_by_its_failure(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, after_previous=True, stop_on_failure=True)

    answer = await api.patch(f"/v1/rules/{rule['id']}", json={"after_previous": False})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "/stop_on_failure",
            "reason": "Only a rule after the previous one can be stopped by its failure.",
        }
    ]


async def test_an_action_for_deals_is_refused_on_a_stage_for_leads(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("Fresh", item_type=ItemType.LEAD)

    answer = await api.post(
        f"/v1/stages/{stage}/rules", json={"title": "Copy", "action": "copy_deal"}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "/action"


async def test_conditions_nested_too_deep_are_refused(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    conditions = '{"not": ' * 600 + "{}" + "}" * 600
    body = f'{{"title": "x", "action": "add_history_entry", "conditions": {conditions}}}'

    answer = await api.post(
        f"/v1/stages/{stage}/rules", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422


async def test_an_edit_makes_a_version_and_waiting_runs_keep_theirs(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    new, won = await company.pipeline("New", "Won")
    rule = await company.rule(new, title="Old words", timing=IN_A_DAY)
    deal = await company.deal()

    answer = await api.patch(f"/v1/rules/{rule['id']}", json={"title": "New words"})
    await company.move(deal["id"], won)
    await company.move(deal["id"], new)

    assert answer.json() == rule | {
        "title": "New words",
        "version": rule["version"] + 1,
        "text_version": 2,
        "waiting": 1,
    }
    newer, older = await runs_of(api, deal)
    assert (older["title"], older["rule_version"]) == ("Old words", 1)
    assert (newer["title"], newer["rule_version"]) == ("New words", 2)


IN_TWO_DAYS = IN_A_DAY | {"amount": 2}


async def test_what_waits_can_follow_an_edit(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, timing=IN_A_DAY)
    below = await company.rule(stage, title="Then", after_previous=True)
    deal = await company.deal()
    [_, before] = await runs_of(api, deal)
    text = {"action": "add_comment", "params": {"text": "Hello"}, "timing": IN_TWO_DAYS}

    await api.patch(f"/v1/rules/{below['id']}?waiting=retime", json={"title": "After that"})
    answer = await api.patch(f"/v1/rules/{rule['id']}?waiting=retime", json=text)

    assert answer.json()["waiting"] == 1
    [then, after] = await runs_of(api, deal)
    assert (after["action"], after["state"]) == ("add_comment", "waiting")
    assert datetime.fromisoformat(after["due_at"]) - datetime.fromisoformat(
        before["due_at"]
    ) == timedelta(days=1)
    assert (then["title"], then["due_at"]) == ("After that", None)


async def test_what_waits_can_end_with_an_edit(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, timing=IN_A_DAY)
    deal = await company.deal()

    await api.patch(f"/v1/rules/{rule['id']}?waiting=cancel", json={"title": "Another"})

    [run] = await runs_of(api, deal)
    assert (run["state"], run["outcome"]) == ("dropped", "the rule was changed")


async def test_an_edit_of_place_or_switch_alone_concerns_nothing_that_waits(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, timing=IN_A_DAY)
    deal = await company.deal()
    before = await runs_of(api, deal)

    await api.patch(f"/v1/rules/{rule['id']}?waiting=cancel", json={"position": 5})

    assert await runs_of(api, deal) == before


async def test_an_edit_is_checked_as_a_whole(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage)

    answer = await api.patch(f"/v1/rules/{rule['id']}", json={"action": "create_task"})

    assert answer.status_code == 422
    assert "/params/title" in [error["field"] for error in answer.json()["errors"]]
    assert (await api.get(f"/v1/rules/{rule['id']}")).json() == rule


async def test_an_edit_that_changes_nothing_makes_no_version(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, **WHOLE)

    answer = await api.patch(f"/v1/rules/{rule['id']}", json=WHOLE)

    assert answer.json() == rule


async def test_moving_a_rule_up_is_no_edit(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, position=5)

    answer = await api.patch(f"/v1/rules/{rule['id']}", json={"position": 1})

    assert answer.json() == rule | {"position": 1, "version": rule["version"] + 1}


async def test_a_rule_switched_off_holds_what_waits_and_on_again_lets_it_go_on(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, timing=IN_A_DAY)
    deal = await company.deal()

    off = await api.patch(f"/v1/rules/{rule['id']}", json={"enabled": False})
    [held] = await runs_of(api, deal)
    on = await api.patch(f"/v1/rules/{rule['id']}", json={"enabled": True})
    [waiting] = await runs_of(api, deal)

    seen = rule["version"]
    assert off.json() == rule | {"enabled": False, "waiting": 1, "version": seen + 1}
    assert (held["state"], held["held_because"]) == ("held", "the rule is switched off")
    assert on.json() == rule | {"waiting": 1, "version": seen + 2}
    assert (waiting["state"], waiting["due_at"]) == ("waiting", held["due_at"])


async def test_a_rule_that_is_off_does_not_start(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    await company.rule(stage, enabled=False)

    deal = await company.deal()

    assert await runs_of(api, deal) == []


async def test_a_rule_that_has_become_wrong_can_still_be_switched_off(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    sales = await company.pipeline("New")
    [planned] = await company.pipeline("Planned", name="Installation")
    rule = await company.rule(
        sales[0], action="copy_deal", params={"pipeline": await pipeline_of(api, planned)}
    )
    await api.delete(f"/v1/stages/{planned}")

    edited = await api.patch(f"/v1/rules/{rule['id']}", json={"title": "Other"})
    off = await api.patch(f"/v1/rules/{rule['id']}", json={"enabled": False})

    assert edited.status_code == 422
    assert off.json()["enabled"] is False


async def pipeline_of(api: httpx2.AsyncClient, stage_id: int) -> int:
    found: int = (await api.get(f"/v1/stages/{stage_id}")).json()["pipeline_id"]
    return found


async def test_a_rule_without_waiting_runs_can_be_deleted(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage)

    answer = await api.delete(f"/v1/rules/{rule['id']}")

    assert answer.status_code == 204
    assert (await api.get(f"/v1/rules/{rule['id']}")).status_code == 404
    assert (await api.delete(f"/v1/rules/{rule['id']}")).status_code == 404
    assert (await api.get(f"/v1/stages/{stage}/rules")).json()["items"] == []


async def test_deleting_a_rule_that_runs_wait_for_says_how_many(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, timing=IN_A_DAY)
    await company.deal()
    await company.deal()

    answer = await api.delete(f"/v1/rules/{rule['id']}")

    assert answer.status_code == 409
    assert "2 waiting runs" in answer.json()["detail"]
    assert (await api.get(f"/v1/rules/{rule['id']}")).json()["waiting"] == 2


async def test_deleting_a_rule_can_drop_what_waits(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [stage] = await company.pipeline("New")
    rule = await company.rule(stage, timing=IN_A_DAY)
    await company.rule(stage, title="Next", after_previous=True)
    first, second = await company.deal(), await company.deal()

    answer = await api.delete(f"/v1/rules/{rule['id']}", params={"waiting": "drop"})

    assert answer.status_code == 204
    following, dropped = await runs_of(api, first)
    assert (dropped["state"], dropped["outcome"]) == ("dropped", "the rule was deleted")
    assert following["due_at"] is not None
    assert (await runs_of(api, second))[1]["state"] == "dropped"


async def test_rules_of_a_stage_that_is_not_there_are_a_404(api: httpx2.AsyncClient) -> None:
    listed = await api.get("/v1/stages/42/rules")
    added = await api.post(
        "/v1/stages/42/rules", json={"title": "x", "action": "add_history_entry"}
    )

    assert (listed.status_code, added.status_code) == (404, 404)


@pytest.mark.parametrize(
    ("action", "params", "field"),
    [
        ("copy_deal", {"pipeline": 10**30}, "/params/pipeline"),
        ("copy_deal", {"stage": 10**30}, "/params/stage"),
        (
            "create_task",
            {"title": "x", "responsible": {"by": "user", "id": 10**30}},
            "/params/responsible/id",
        ),
    ],
)
async def test_an_id_that_no_table_could_hold_is_refused(
    company: SmallCompany,
    api: httpx2.AsyncClient,
    action: str,
    params: dict[str, Any],
    field: str,
) -> None:
    [stage] = await company.pipeline("New")

    answer = await api.post(
        f"/v1/stages/{stage}/rules", json={"title": "x", "action": action, "params": params}
    )

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("sent", ['{"tags": ["\\ud800"]}', f'{{"tags": {"[" * 300}{"]" * 300}}}'])
async def test_params_that_cannot_be_kept_are_refused(
    company: SmallCompany, api: httpx2.AsyncClient, sent: str
) -> None:
    [stage] = await company.pipeline("New")

    answer = await api.post(
        f"/v1/stages/{stage}/rules",
        content=f'{{"title": "x", "action": "create_task", "params": {sent}}}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 422


@pytest.mark.parametrize("amount", ["1e400", "NaN"])
async def test_a_number_beyond_all_numbers_is_refused_and_does_not_empty_the_field(
    company: SmallCompany, api: httpx2.AsyncClient, amount: str
) -> None:
    [stage] = await company.pipeline("New")
    change = f'{{"field": "deal.amount", "value": {amount}}}'

    answer = await api.post(
        f"/v1/stages/{stage}/rules",
        content=f'{{"title": "x", "action": "edit_item", "params": {{"changes": [{change}]}}}}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 422
    assert {"field": "/params/changes/0/value", "reason": "Input should be a finite number"} in (
        answer.json()["errors"]
    )
