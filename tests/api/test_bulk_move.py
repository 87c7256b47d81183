"""Many items moved at once, each with its verdict; the rules of a stage, run or skipped."""

import httpx2
import pytest

from models.database import Database
from models.rule_run import RuleRun
from models.stage_entry import Automation, StageEntry
from models.user import User
from tests.factories import all_of
from tests.fixtures.api import SignIn, SmallCompany

MOVE = "/v1/items/move"


async def test_each_item_gets_its_verdict(api: httpx2.AsyncClient, company: SmallCompany) -> None:
    new, won = await company.pipeline("New", "Won")
    [elsewhere] = await company.pipeline("Planning", name="Installation")
    first, second = await company.deal(stage_id=new), await company.deal(stage_id=new)
    there = await company.deal(stage_id=won)
    stranger = await company.deal(stage_id=elsewhere)
    ids = [second["id"], 4711, there["id"], stranger["id"], first["id"]]

    moved = company.made(await api.post(MOVE, json={"item_ids": ids, "stage_id": won}))

    verdicts = {each["item_id"]: each["outcome"] for each in moved["verdicts"]}
    assert list(verdicts.items()) == [
        (second["id"], "moved"),
        (4711, "refused"),
        (there["id"], "unchanged"),
        (stranger["id"], "refused"),
        (first["id"], "moved"),
    ]
    assert moved["counts"] == {"moved": 2, "unchanged": 1, "refused": 2}
    assert moved["verdicts"][1]["reason"] == "There is no item 4711."
    assert "belongs to pipeline" in moved["verdicts"][3]["reason"]
    assert (await api.get(f"/v1/deals/{first['id']}")).json()["stage_id"] == won


async def test_every_move_opens_a_stage_entry_and_starts_its_rules(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    new, won = await company.pipeline("New", "Won")
    await company.rule(
        new, title="Waits", timing={"kind": "after_delay", "amount": 1, "unit": "days"}
    )
    rule = await company.rule(won)
    deals = [(await company.deal(stage_id=new))["id"] for _ in range(3)]

    moved = company.made(await api.post(MOVE, json={"item_ids": deals, "stage_id": won}))

    left = await all_of(database, StageEntry, StageEntry.left_at.is_not(None))
    present = await all_of(database, StageEntry, StageEntry.left_at.is_(None))
    runs = await all_of(database, RuleRun, RuleRun.rule_id == rule["id"])
    dropped = await all_of(database, RuleRun, RuleRun.rule_id != rule["id"])
    assert [each.item_id for each in left] == deals
    assert [each.id for each in present] == [v["stage_entry_id"] for v in moved["verdicts"]]
    assert all(each.told_version < each.agenda_version for each in present)
    assert [run.item_id for run in runs] == deals
    assert {str(run.state) for run in dropped} == {"dropped"}


async def test_a_dry_move_tells_what_would_come_of_it_and_changes_nothing(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    new, won = await company.pipeline("New", "Won")
    rule = await company.rule(won, title="Seen")
    deal = await company.deal(stage_id=new)
    asked = {"item_ids": [deal["id"], 99], "stage_id": won, "dry": True}

    told = company.made(await api.post(MOVE, json=asked))

    assert told["dry"] is True
    assert told["counts"] == {"moved": 1, "unchanged": 0, "refused": 1}
    assert told["rules"] == [
        {
            "rule_id": rule["id"],
            "title": "Seen",
            "action": "add_history_entry",
            "destroys": False,
        }
    ]
    assert told["destroys"] == 0
    assert (await api.get(f"/v1/deals/{deal['id']}")).json()["stage_id"] == new


async def test_moving_many_to_where_rules_delete_them_needs_their_number(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    new, spam = await company.pipeline("New", "Spam")
    await company.rule(spam, title="Away with it", action="add_to_exclusions", params={})
    deals = [(await company.deal(stage_id=new))["id"] for _ in range(2)]
    asked = {"item_ids": deals, "stage_id": spam}

    refused = await api.post(MOVE, json=asked)
    wrong = await api.post(MOVE, json=asked | {"confirm": 1})
    dry = company.made(await api.post(MOVE, json=asked | {"dry": True}))
    moved = company.made(await api.post(MOVE, json=asked | {"confirm": dry["destroys"]}))

    assert (refused.status_code, wrong.status_code) == (409, 409)
    assert refused.json()["errors"][0]["field"] == "/confirm"
    assert "«Away with it» may delete 2 of these items" in refused.json()["detail"]
    assert dry["destroys"] == 2
    assert moved["counts"]["moved"] == 2


async def test_no_confirmation_is_needed_where_rules_are_skipped(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    new, spam = await company.pipeline("New", "Spam")
    await company.rule(spam, action="add_to_exclusions", params={})
    deal = await company.deal(stage_id=new)
    asked = {"item_ids": [deal["id"]], "stage_id": spam, "automation": "skip"}

    moved = company.made(await api.post(MOVE, json=asked))

    entry = (await all_of(database, StageEntry, StageEntry.left_at.is_(None)))[0]
    assert moved["counts"]["moved"] == 1
    assert entry.automation is Automation.SKIP
    assert await all_of(database, RuleRun) == []


@pytest.mark.parametrize("kind", ["deal", "lead"])
async def test_a_new_item_may_begin_without_its_rules(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database, kind: str
) -> None:
    [new] = await company.pipeline("New", item_type=kind)  # type: ignore[arg-type]
    await company.rule(new)

    made = company.made(
        await api.post(f"/v1/{kind}s", json={"title": "Old one", "automation": "skip"})
    )

    entries = await all_of(database, StageEntry, StageEntry.item_id == made["id"])
    assert [each.automation for each in entries] == [Automation.SKIP]
    assert await all_of(database, RuleRun) == []


async def test_a_single_move_may_skip_the_rules_too(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    new, won = await company.pipeline("New", "Won")
    await company.rule(won)
    deal = await company.deal(stage_id=new)
    to = {"stage_id": won, "automation": "skip"}

    moved = company.made(await api.post(f"/v1/items/{deal['id']}/move", json=to))

    history = (await api.get(f"/v1/items/{deal['id']}/history")).json()["items"]
    assert moved["changed"] is True
    assert history[0]["text"] == "Moved from «New» to «Won». Its rules were not run."
    assert await all_of(database, RuleRun) == []


async def test_an_agent_cannot_keep_rules_from_running(
    sign_in: SignIn, company: SmallCompany
) -> None:
    agent = User(name="Tom")
    await company.add(agent)
    agent_api = await sign_in(agent)
    new, won = await company.pipeline("New", "Won")
    deal = await company.deal(stage_id=new, responsible_id=agent.id)
    skip = {"stage_id": won, "automation": "skip"}

    alone = await agent_api.post(f"/v1/items/{deal['id']}/move", json=skip)
    among_many = await agent_api.post(MOVE, json=skip | {"item_ids": [deal["id"]]})
    created = await agent_api.post("/v1/deals", json={"title": "Mine", "automation": "skip"})

    assert [alone.status_code, among_many.status_code, created.status_code] == [403, 403, 403]
    assert "keep rules from running; you are an agent" in alone.json()["detail"]


async def test_an_agent_moves_only_what_is_within_reach(
    sign_in: SignIn, company: SmallCompany
) -> None:
    agent = User(name="Tom")
    await company.add(agent)
    agent_api = await sign_in(agent)
    new, won = await company.pipeline("New", "Won")
    own = await company.deal(stage_id=new, responsible_id=agent.id)
    other = await company.deal(stage_id=new)
    asked = {"item_ids": [own["id"], other["id"]], "stage_id": won}

    moved = company.made(await agent_api.post(MOVE, json=asked))

    assert [each["outcome"] for each in moved["verdicts"]] == ["moved", "refused"]
    assert "neither yours nor of your department" in moved["verdicts"][1]["reason"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"item_ids": []}, "/item_ids"),
        ({"item_ids": list(range(1, 1002))}, "/item_ids"),
        ({"item_ids": [0]}, "/item_ids/0"),
        ({"stage_id": 4711}, "/stage_id"),
        ({"automation": "maybe"}, "/automation"),
        ({"confirm": -1}, "/confirm"),
    ],
)
async def test_what_is_wrong_is_named(
    api: httpx2.AsyncClient, wrong: dict[str, object], field: str
) -> None:
    answer = await api.post(MOVE, json={"item_ids": [1], "stage_id": 1} | wrong)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_the_same_item_twice_is_moved_once(
    api: httpx2.AsyncClient, company: SmallCompany
) -> None:
    new, won = await company.pipeline("New", "Won")
    deal = await company.deal(stage_id=new)

    moved = company.made(
        await api.post(MOVE, json={"item_ids": [deal["id"], deal["id"]], "stage_id": won})
    )

    assert [each["outcome"] for each in moved["verdicts"]] == ["moved"]
