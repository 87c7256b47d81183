"""Triggers over HTTP: made, checked, changed, called; their log says why of each."""

import json
import re
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import update

from models.database import Database
from models.department import Department
from models.item_type import ItemType
from models.trigger import Trigger
from models.trigger_type import all_trigger_types
from models.triggers.webhook import LONGEST_CODE
from models.user import Role, User
from tests.factories import all_of
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.database import on_one_database

PAID = {"type": "webhook", "settings": {"code": "paid"}}
LARGE = {"field": "deal.amount", "operator": ">", "value": 1000}


class Triggers:
    """Triggers of a company, and calls of the code `paid`."""

    def __init__(self, company: SmallCompany, api: httpx2.AsyncClient) -> None:
        self._company = company
        self._api = api

    async def make(self, stage_id: int, **said: Any) -> Any:
        """Hang a trigger on a stage; it waits for the code `paid` unless said otherwise."""
        path = f"/v1/stages/{stage_id}/triggers"
        return self._company.made(await self._api.post(path, json=PAID | said))

    async def call(self, item_id: int, code: str = "paid", **said: Any) -> Any:
        path = f"/v1/triggers/{code}"
        return self._company.made(await self._api.post(path, json={"item_id": item_id} | said))

    async def refused(self, stage_id: int, **said: Any) -> dict[str, str]:
        """Try to hang a trigger on a stage; return what is wrong, by field."""
        answer = await self._api.post(f"/v1/stages/{stage_id}/triggers", json=PAID | said)
        assert answer.status_code == 422, answer.text
        assert answer.json()["title"] == "Invalid trigger"
        return {each["field"]: each["reason"] for each in answer.json()["errors"]}

    async def log(self, item_id: int, **asked: Any) -> list[Any]:
        """Return the trigger log of an item, oldest first."""
        page = await self._api.get(f"/v1/items/{item_id}/trigger-log", params=asked)
        return list(self._company.made(page)["items"])[::-1]


def a_call(deal: Any) -> dict[str, Any]:
    """Return a call that completes itself when a deal leaves its stage."""
    return {
        "kind": "call",
        "subject": "Ask",
        "item_id": deal["id"],
        "starts_at": "2030-08-01T09:00:00Z",
        "complete_on_stage_change": True,
    }


@pytest.fixture
def triggers(company: SmallCompany, api: httpx2.AsyncClient) -> Triggers:
    return Triggers(company, api)


@pytest.fixture
async def tom(database: Database) -> User:
    """An agent."""
    tom = User(name="Tom", department=Department(name="Sales"))
    async with database.transaction() as session:
        session.add(tom)
    return tom


async def test_the_catalogue_lists_every_type_with_its_schema(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/trigger-types", params={"limit": 200})

    types = {each["code"]: each for each in answer.json()["items"]}
    assert types.keys() == all_trigger_types().keys()
    watched = types["task_status"]
    assert watched["title"] == "Watch task status"
    assert watched["description"].startswith("Move the item when a task")
    assert watched["items"] == ["lead", "deal", "quote", "invoice"]
    assert watched["settings"]["properties"]["status"]["title"] == "Status"
    assert watched["settings"]["properties"]["status"]["default"] is None
    assert types["webhook"]["settings"]["required"] == ["code"]


async def test_the_schema_of_a_type_refers_to_nothing_else(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/trigger-types", params={"limit": 200})

    types = {each["code"]: each["settings"] for each in answer.json()["items"]}
    referred = {
        code: set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(types[code]))) for code in types
    }
    assert {code: names for code, names in referred.items() if names} == {
        "task_status": types["task_status"]["$defs"].keys()  # Conditions hold conditions.
    }


async def test_a_new_trigger_has_defaults_and_is_named_by_type_and_setting(
    company: SmallCompany, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")

    trigger = await triggers.make(won)

    assert trigger["name"] == "Webhook: paid"
    assert trigger["moves_as"] == {"by": "responsible", "id": None}
    assert trigger["conditions"] is None
    assert (trigger["allow_moving_back"], trigger["enabled"]) == (False, True)
    assert (trigger["stage_id"], trigger["position"], trigger["version"]) == (won, 0, 1)


async def test_a_trigger_is_named_in_the_language_of_the_company(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    await api.patch("/v1/installation", json={"locale": "de_DE"})

    trigger = await triggers.make(won, type="invoice_paid", settings={})

    catalogue = await api.get("/v1/trigger-types?limit=200", headers={"Accept-Language": "de"})
    titles = {each["code"]: each["title"] for each in catalogue.json()["items"]}
    assert trigger["name"] == titles["invoice_paid"]


async def test_a_new_trigger_is_below_the_others_and_each_can_be_put_above(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    await triggers.make(won, name="First")
    second = await triggers.make(won, name="Second", enabled=False)
    await triggers.make(won, name="Above", position=0)

    every = await api.get(f"/v1/stages/{won}/triggers")
    at_work = await api.get(f"/v1/stages/{won}/triggers", params={"enabled": True})
    await api.patch(f"/v1/triggers/{second['id']}", json={"position": 0})
    after = await api.get(f"/v1/stages/{won}/triggers")

    assert [each["name"] for each in every.json()["items"]] == ["Above", "First", "Second"]
    assert [each["name"] for each in at_work.json()["items"]] == ["Above", "First"]
    assert [(each["position"], each["name"]) for each in after.json()["items"]] == [
        (0, "Second"),
        (1, "Above"),
        (2, "First"),
    ]


async def test_an_unknown_type_is_refused_with_the_nearest_one(
    company: SmallCompany, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")

    wrong = await triggers.refused(won, type="webhok")

    assert wrong["/type"].startswith("There is no type of trigger webhok, did you mean webhook?")


async def test_every_problem_is_named_at_once(company: SmallCompany, triggers: Triggers) -> None:
    first, _ = await company.pipeline("New", "Won")

    wrong = await triggers.refused(
        first,
        settings={"code": "not a code", "flavour": "sweet"},
        conditions={"field": "deal.amuont", "operator": ">", "value": 1},
        moves_as={"by": "user", "id": 4711},
    )

    assert wrong.keys() == {
        "/settings/code",
        "/settings/flavour",
        "/conditions/field",
        "/moves_as/id",
        "/allow_moving_back",
    }
    assert wrong["/conditions/field"] == "unknown field deal.amuont, did you mean deal.amount?"
    assert wrong["/moves_as/id"] == "There is no user 4711."
    assert wrong["/settings/flavour"] == "unknown field flavour"


async def test_settings_are_checked_against_what_there_is(
    company: SmallCompany, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")

    wrong = await triggers.refused(
        won, type="field_changed", settings={"fields": ["deal.amount", "deal.nothing"]}
    )

    assert list(wrong) == ["/settings/fields/1"]


async def test_a_type_that_is_not_for_such_items_is_refused(
    company: SmallCompany, triggers: Triggers
) -> None:
    _, sent = await company.pipeline("Draft", "Sent", item_type=ItemType.LEAD)

    wrong = await triggers.refused(sent, type="invoice_paid", settings={})

    assert wrong["/type"].endswith("is not for leads, whose stage this is.")


async def test_what_rules_leave_for_rules_is_nothing_for_triggers(
    company: SmallCompany, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    path = "results.create_task.id"

    wrong = await triggers.refused(won, conditions={"field": path, "operator": "not empty"})

    assert wrong == {
        "/conditions/field": f"{path} is left by a rule for the rules below it; triggers know no "
        "results"
    }


async def test_conditions_may_speak_of_custom_fields(
    company: SmallCompany, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    await company.custom("contract_no", "text")

    trigger = await triggers.make(
        won, conditions={"field": "deal.custom.contract_no", "operator": "not empty"}
    )

    assert trigger["conditions"]["field"] == "deal.custom.contract_no"


async def test_a_trigger_on_the_first_stage_must_move_back(
    company: SmallCompany, triggers: Triggers
) -> None:
    first, _ = await company.pipeline("New", "Won")

    wrong = await triggers.refused(first)
    trigger = await triggers.make(first, allow_moving_back=True)

    assert wrong["/allow_moving_back"].startswith("«New» is the first stage of its pipeline")
    assert trigger["allow_moving_back"] is True


@on_one_database
async def test_a_trigger_on_what_has_become_the_first_stage_says_why_it_moves_nothing(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    await triggers.make(won)
    deal = await company.deal()
    company.made(await api.patch(f"/v1/stages/{won}", json={"position": 0}))

    called = await triggers.call(deal["id"])

    assert called["moved"] is False
    (check,) = called["considered"]
    assert check["reason"] == "«Won» is before «New», and it may not move back."


async def test_a_change_keeps_what_was_not_sent(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    trigger = await triggers.make(won, name="Paid in the shop", conditions=LARGE, moves_as=None)
    path = f"/v1/triggers/{trigger['id']}"

    changed = await api.patch(path, json={"enabled": False}, headers={"If-Match": '"1"'})
    read = await api.get(path)

    assert changed.json() == trigger | {"enabled": False, "version": 2}
    assert read.json() == changed.json()
    assert read.headers["ETag"] == '"2"'


async def test_a_change_is_checked_like_a_new_trigger(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    trigger = await triggers.make(won)

    answer = await api.patch(f"/v1/triggers/{trigger['id']}", json={"type": "task_status"})

    assert answer.status_code == 422
    [wrong] = answer.json()["errors"]
    assert wrong["field"] == "/settings/code"


async def test_a_name_that_nobody_has_given_follows_the_settings(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    unnamed, named = await triggers.make(won), await triggers.make(won, name="Paid in the shop")
    other = {"settings": {"code": "settled"}}

    followed = await api.patch(f"/v1/triggers/{unnamed['id']}", json=other)
    kept = await api.patch(f"/v1/triggers/{named['id']}", json=other)
    given_back = await api.patch(f"/v1/triggers/{named['id']}", json={"name": None})

    assert followed.json()["name"] == "Webhook: settled"
    assert kept.json()["name"] == "Paid in the shop"
    assert given_back.json()["name"] == "Webhook: settled"


async def test_a_trigger_that_would_no_longer_be_accepted_can_still_be_switched_off(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    trigger = await triggers.make(won)
    await api.patch(f"/v1/stages/{won}", json={"position": 0})

    switched = await api.patch(f"/v1/triggers/{trigger['id']}", json={"enabled": False})

    assert switched.status_code == 200
    assert switched.json()["enabled"] is False


async def test_a_deleted_trigger_moves_nothing_and_its_log_stays(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, done, won = await company.pipeline("New", "Done", "Won")
    trigger = await triggers.make(done)
    await triggers.make(won, settings={"code": "other"})
    deal = await company.deal()
    await triggers.call(deal["id"])

    deleted = await api.delete(f"/v1/triggers/{trigger['id']}")
    again = await api.post("/v1/triggers/paid", json={"item_id": deal["id"]})
    gone = await api.get(f"/v1/triggers/{trigger['id']}")

    assert deleted.status_code == 204
    assert [again.status_code, gone.status_code] == [404, 404]
    assert again.json()["detail"] == (
        "No trigger waits for the code paid. Triggers wait for other."
    )
    [moved, _] = await triggers.log(deal["id"])
    assert (moved["trigger_name"], moved["outcome"]) == ("Webhook: paid", "moved")


async def test_a_call_moves_the_item_and_says_what_was_considered(
    company: SmallCompany, triggers: Triggers, admin: User
) -> None:
    _, done, won = await company.pipeline("New", "Done", "Won")
    large = await triggers.make(done, conditions=LARGE)
    last = await triggers.make(won)
    deal = await company.deal(amount="10", responsible_id=admin.id)

    called = await triggers.call(deal["id"], text="The bank has 10 EUR.")

    assert called["moved"] is True
    assert called["item"]["stage_id"] == won
    assert called["item"]["version"] == deal["version"] + 1
    refused, moved = called["considered"]
    assert (refused["trigger_id"], refused["outcome"]) == (large["id"], "not met")
    assert refused["reason"] == "deal.amount is 10.00, needed > 1000"
    assert [each["actual"] for each in refused["comparisons"]] == ["10.00"]
    assert (moved["trigger_id"], moved["outcome"], moved["reason"]) == (
        last["id"],
        "moved",
        "Moved to «Won».",
    )
    assert moved["what_happened"] == "Ada Admin called the webhook paid: The bank has 10 EUR"
    assert (moved["moved_as_id"], moved["cause_user_id"]) == (admin.id, admin.id)
    assert moved["stage_entry_id"] == called["stage_entry_id"]
    assert refused["occasion"] == moved["occasion"]
    assert called["considered"] == await triggers.log(deal["id"])


async def test_a_call_for_a_code_that_another_pipeline_waits_for_moves_nothing(
    company: SmallCompany, triggers: Triggers
) -> None:
    await company.pipeline("New", "Won")
    _, other = await company.pipeline("New", "Won", name="Other")
    await triggers.make(other)
    deal = await company.deal()

    called = await triggers.call(deal["id"])

    assert (called["moved"], called["considered"]) == (False, [])
    assert called["item"] == {name: deal[name] for name in called["item"]}


async def test_a_code_whose_triggers_are_switched_off_is_not_waited_for(
    company: SmallCompany, triggers: Triggers, api: httpx2.AsyncClient
) -> None:
    _, won = await company.pipeline("New", "Won")
    off = await triggers.make(won, enabled=False)
    deal = await company.deal()

    called = await api.post("/v1/triggers/paid", json={"item_id": deal["id"]})
    await triggers.make(won)
    again = await api.post("/v1/triggers/paid", json={"item_id": deal["id"]})

    assert (called.status_code, again.status_code) == (404, 200)
    assert called.json()["detail"] == (
        f"What waits for the code paid is switched off: trigger {off['id']} «{off['name']}»."
    )


@pytest.mark.parametrize(
    ("waiting", "detail"),
    [
        ([], "No trigger waits for the code piad. No trigger waits for a call."),
        (
            ["paid", "signed"],
            (
                "No trigger waits for the code piad, did you mean paid? "
                "Triggers wait for paid, signed."
            ),
        ),
    ],
)
async def test_a_code_that_nobody_waits_for_is_answered_with_those_there_are(
    company: SmallCompany,
    api: httpx2.AsyncClient,
    triggers: Triggers,
    waiting: list[str],
    detail: str,
) -> None:
    _, won = await company.pipeline("New", "Won")
    [await triggers.make(won, settings={"code": code}) for code in waiting]
    deal = await company.deal()

    answer = await api.post("/v1/triggers/piad", json={"item_id": deal["id"]})

    assert (answer.status_code, answer.json()["detail"]) == (404, detail)


@on_one_database
async def test_what_cannot_be_shown_of_a_code_is_not_handed_back(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/triggers/a%00b", json={"item_id": 1})

    told = "No trigger waits for the code a\N{REPLACEMENT CHARACTER}b. "
    assert answer.json()["detail"] == f"{told}No trigger waits for a call."


@on_one_database
async def test_a_call_takes_codes_as_long_as_those_of_triggers(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    longest = LONGEST_CODE * "x"
    await triggers.make(won, settings={"code": longest})
    deal = await company.deal()

    moved = await triggers.call(deal["id"], longest)
    longer = await api.post(f"/v1/triggers/{longest}x", json={"item_id": deal["id"]})
    wrong = await triggers.refused(won, settings={"code": f"{longest}x"})

    assert moved["moved"] is True
    assert longer.status_code == 422
    assert longer.json()["errors"][0]["reason"] == wrong["/settings/code"]


async def test_a_call_names_an_item_that_is_there(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, won = await company.pipeline("New", "Won")
    await triggers.make(won)
    binned = await company.deal()
    await api.delete(f"/v1/deals/{binned['id']}")

    answers = [
        await api.post("/v1/triggers/paid", json={"item_id": item_id})
        for item_id in (4711, binned["id"])
    ]

    assert [each.status_code for each in answers] == [422, 422]
    assert [each.json()["errors"][0]["field"] for each in answers] == ["/item_id", "/item_id"]


async def test_a_call_that_is_repeated_with_its_key_moves_once(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    new, won = await company.pipeline("New", "Won")
    await triggers.make(won)
    deal = await company.deal()
    key = {"Idempotency-Key": str(uuid4())}
    body = {"item_id": deal["id"]}

    first = await api.post("/v1/triggers/paid", json=body, headers=key)
    await company.move(deal["id"], new)
    again = await api.post("/v1/triggers/paid", json=body, headers=key)

    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert len(await triggers.log(deal["id"])) == 1
    standing = await api.get(f"/v1/items/{deal['id']}")
    assert standing.json()["stage_id"] == new


async def test_agents_call_triggers_for_items_within_their_reach_only(
    company: SmallCompany, triggers: Triggers, sign_in: SignIn, tom: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    await triggers.make(won)
    mine, other = await company.deal(responsible_id=tom.id), await company.deal()
    client = await sign_in(tom)

    own = await client.post("/v1/triggers/paid", json={"item_id": mine["id"]})
    far = await client.post("/v1/triggers/paid", json={"item_id": other["id"]})

    assert [own.status_code, far.status_code] == [200, 403]
    assert own.json()["moved"] is True
    assert await triggers.log(other["id"]) == []


async def test_the_log_of_a_trigger_holds_items_within_reach(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers, sign_in: SignIn, tom: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    trigger = await triggers.make(won)
    mine, other = await company.deal(responsible_id=tom.id), await company.deal()
    [await triggers.call(deal["id"]) for deal in (mine, other)]
    path = f"/v1/triggers/{trigger['id']}/log"

    by_admin = await api.get(path)
    by_tom = await (await sign_in(tom)).get(path)

    assert [each["item_id"] for each in by_admin.json()["items"]] == [other["id"], mine["id"]]
    assert [each["item_id"] for each in by_tom.json()["items"]] == [mine["id"]]


async def test_the_log_can_be_filtered(company: SmallCompany, triggers: Triggers) -> None:
    _, done, won = await company.pipeline("New", "Done", "Won")
    first, second = await triggers.make(done), await triggers.make(won)
    deal = await company.deal()
    await triggers.call(deal["id"])

    of_second = await triggers.log(deal["id"], trigger_id=second["id"])
    moves = await triggers.log(deal["id"], outcome="moved")

    assert [each["outcome"] for each in of_second] == ["another was first"]
    assert [each["reason"] for each in of_second] == [
        f"Trigger {first['id']} «Webhook: paid» has moved it."
    ]
    assert [each["trigger_id"] for each in moves] == [first["id"]]


async def test_history_timeline_and_stay_say_which_trigger_and_as_whom(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers, tom: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    trigger = await triggers.make(won, name="Paid in the shop")
    deal = await company.deal(responsible_id=tom.id)

    called = await triggers.call(deal["id"])

    path = f"/v1/items/{deal['id']}"
    [line, *_] = (await api.get(f"{path}/history?kind=stage changed")).json()["items"]
    assert line["text"] == (
        f"Moved from «New» to «Won». By trigger {trigger['id']} «Paid in the shop», as Tom."
    )
    assert (line["trigger_id"], line["author_id"]) == (trigger["id"], tom.id)
    rows = (await api.get(f"{path}/timeline")).json()["items"]
    assert [(row["title"], row["trigger_id"], row["trigger_name"]) for row in rows] == [
        ("Won", trigger["id"], "Paid in the shop"),
        ("New", None, None),
    ]
    assert rows[0]["author_id"] == tom.id
    stay = (await api.get(f"/v1/stage-entries/{called['stage_entry_id']}")).json()
    assert (stay["cause"], stay["cause_trigger_id"], stay["cause_trigger_name"]) == (
        "trigger",
        trigger["id"],
        "Paid in the shop",
    )
    assert stay["cause_user_id"] == tom.id


async def test_a_stay_tells_the_whole_chain_of_its_causes(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers
) -> None:
    _, done, won = await company.pipeline("New", "Done", "Won")
    await triggers.make(done)
    on_leaving = await triggers.make(won, type="activity_completed", settings={})
    deal = await company.deal()
    company.made(await api.post("/v1/crm-activities", json=a_call(deal)))

    called = await triggers.call(deal["id"])

    causes = await api.get(f"/v1/stage-entries/{called['stage_entry_id']}/causes")
    first, last = causes.json()["items"]
    assert (first["stage_id"], first["parent_id"], first["depth"]) == (done, None, 0)
    assert (last["stage_id"], last["parent_id"], last["depth"]) == (won, first["id"], 1)
    assert last["cause_trigger_id"] == on_leaving["id"]
    assert [each["outcome"] for each in called["considered"]] == ["moved", "moved"]
    assert called["item"]["stage_id"] == won


async def test_a_stage_is_deleted_with_its_triggers(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers, database: Database
) -> None:
    _, won = await company.pipeline("New", "Won")
    trigger = await triggers.make(won)

    deleted = await api.delete(f"/v1/stages/{won}")
    read = await api.get(f"/v1/triggers/{trigger['id']}")

    assert [deleted.status_code, read.status_code] == [204, 404]
    [kept] = await all_of(database, Trigger)
    assert kept.deleted_at is not None


@pytest.mark.parametrize(
    "said",
    [
        {"conditions": {"field": "deal.custom.contract_no", "operator": "not empty"}},
        {"type": "field_changed", "settings": {"fields": ["deal.custom.contract_no"]}},
    ],
)
async def test_a_custom_field_that_a_trigger_speaks_of_stays(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers, said: dict[str, Any]
) -> None:
    _, won = await company.pipeline("New", "Won")
    field = await company.custom("contract_no", "text")
    trigger = await triggers.make(won, name="Numbered", **said)
    path = f"/v1/field-definitions/{field['id']}"

    refused = await api.delete(path)
    await api.delete(f"/v1/triggers/{trigger['id']}")
    deleted = await api.delete(path)

    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        f"Custom field contract_no of deals is still used: trigger {trigger['id']} «Numbered»."
    )
    assert deleted.status_code == 204


async def test_a_trigger_whose_settings_cannot_be_read_any_more_harms_nobody(
    company: SmallCompany, api: httpx2.AsyncClient, triggers: Triggers, database: Database
) -> None:
    _, done, won = await company.pipeline("New", "Done", "Won")
    broken = await triggers.make(done)
    await triggers.make(won)
    async with database.transaction() as session:
        await session.execute(
            update(Trigger)
            .where(Trigger.id == broken["id"])
            .values(settings={"code": "paid", "flavour": "sweet"})
        )
    deal = await company.deal()

    called = await triggers.call(deal["id"])
    mended = await api.patch(f"/v1/triggers/{broken['id']}", json={"settings": {"code": "paid"}})

    assert [each["outcome"] for each in called["considered"]] == ["broken", "moved"]
    assert called["considered"][0]["reason"] == "Its settings can no longer be read; save it again."
    assert called["item"]["stage_id"] == won
    assert mended.json()["name"] == "Webhook: paid"


async def test_managers_change_triggers_and_agents_read_them(
    company: SmallCompany, triggers: Triggers, sign_in: SignIn, tom: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    await triggers.make(won)
    client = await sign_in(tom)

    read = await client.get(f"/v1/stages/{won}/triggers")
    made = await client.post(f"/v1/stages/{won}/triggers", json=PAID)

    assert len(read.json()["items"]) == 1
    assert (made.status_code, made.json()["detail"]) == (
        403,
        "Only managers and administrators change triggers; you are an agent.",
    )
    assert tom.role is Role.AGENT
