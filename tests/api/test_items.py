"""Items over HTTP: moved, and asked what happened and what will happen."""

from typing import Any

import httpx2
import pytest

from models.database import Database
from models.user import User
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import counted, on_one_database
from tests.fixtures.runner import Runner

IN_A_DAY = {"kind": "after_delay", "amount": 1, "unit": "days"}
IN_A_DAY_FROM_NOW = {"amount": 1, "unit": "days"}
IN_A_WEEK = {"kind": "after_delay", "amount": 1, "unit": "weeks"}

MOST_STATEMENTS_OF_A_MOVE = 13


async def items(api: httpx2.AsyncClient, path: str, **params: Any) -> list[Any]:
    found: list[Any] = SmallCompany.made(await api.get(path, params=params))["items"]
    return found


async def test_a_move_starts_the_rules_of_the_stage(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    _, won = await company.pipeline("New", "Won")
    await company.rule(won, title="Note it")
    deal = await company.deal()

    moved = await company.move(deal["id"], won)

    assert moved["changed"] is True
    assert moved["item"]["stage_id"] == won
    assert moved["item"]["version"] == 2
    [run] = await items(api, f"/v1/items/{deal['id']}/runs")
    assert (run["title"], run["state"]) == ("Note it", "waiting")
    assert run["stage_entry_id"] == moved["stage_entry_id"]
    assert run["workflow_id"] == f"deal-{deal['id']}-entry-{moved['stage_entry_id']}"


async def test_a_move_to_where_it_stands_changes_nothing(company: SmallCompany) -> None:
    _, won = await company.pipeline("New", "Won")
    deal = await company.deal()
    first = await company.move(deal["id"], won)

    again = await company.move(deal["id"], won)

    assert again == first | {"changed": False}


async def test_a_move_is_cheap(company: SmallCompany, database: Database) -> None:
    _, won = await company.pipeline("New", "Won")
    await company.rule(won)
    deal = await company.deal()

    with counted(database) as statements:
        await company.move(deal["id"], won)

    spoken = [each for each in statements if not each.startswith("BEGIN")]
    assert len(spoken) <= MOST_STATEMENTS_OF_A_MOVE, "\n".join(spoken)


@on_one_database
@pytest.mark.parametrize(("stage", "status"), [(999, 422), (0, 422), ("x", 422), (None, 422)])
async def test_a_move_to_nowhere_is_refused(
    company: SmallCompany, api: httpx2.AsyncClient, stage: object, status: int
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await api.post(f"/v1/items/{deal['id']}/move", json={"stage_id": stage})

    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == "/stage_id"


async def test_a_stage_of_another_pipeline_is_refused(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    [planned] = await company.pipeline("Planned", name="Installation")
    deal = await company.deal()

    answer = await api.post(f"/v1/items/{deal['id']}/move", json={"stage_id": planned})

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "/stage_id"
    assert "«Installation»" in error["reason"]


async def test_an_item_that_is_not_there_cannot_be_moved(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/items/42/move", json={"stage_id": 1})

    assert answer.status_code == 404


async def test_the_agenda_tells_what_will_happen_and_what_it_waits_for(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    new, won = await company.pipeline("New", "Won")
    await company.rule(new, title="Renew", timing=IN_A_WEEK, keep_when_item_leaves=True)
    await company.rule(won, title="Call", timing=IN_A_DAY)
    await company.rule(won, title="Write", after_previous=True)
    deal = await company.deal()
    await company.move(deal["id"], won)

    agenda = await items(api, f"/v1/items/{deal['id']}/agenda")

    assert [(run["title"], run["stage_id"], run["next_step"]) for run in agenda] == [
        ("Call", won, "add_history_entry"),
        ("Renew", new, "add_history_entry"),
        ("Write", won, "add_history_entry"),
    ]
    call, renew, write = agenda
    assert call["waits_for"] == renew["waits_for"] == "its time"
    assert write["due_at"] is None
    assert write["waits_for"] == f"the end of «Call» (run {call['id']})"


async def test_who_waits_for_a_held_run_says_so(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [new] = await company.pipeline("New")
    call = await company.rule(new, title="Call", timing=IN_A_DAY)
    await company.rule(new, title="Write", after_previous=True)
    await company.rule(new, title="Visit", after_previous=True)
    deal = await company.deal()
    await api.patch(f"/v1/rules/{call['id']}", json={"enabled": False})

    first, second, third = await items(api, f"/v1/items/{deal['id']}/agenda")

    assert (first["state"], first["held_because"]) == ("held", "the rule is switched off")
    assert first["waits_for"] == "somebody: the rule is switched off"
    held = f"; run {first['id']} is held: the rule is switched off"
    assert second["waits_for"] == f"the end of «Call» (run {first['id']}){held}"
    assert third["waits_for"] == f"the end of «Write» (run {second['id']}){held}"


async def test_history_is_read_newest_first_and_by_kind(
    company: SmallCompany, api: httpx2.AsyncClient, admin: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    deal = await company.deal()
    await company.move(deal["id"], won)

    lines = await items(api, f"/v1/items/{deal['id']}/history")
    created = await items(api, f"/v1/items/{deal['id']}/history", kind="created")

    assert [(line["kind"], line["text"]) for line in lines] == [
        ("stage changed", "Moved from «New» to «Won»."),
        ("created", "Created in «New»."),
    ]
    assert created == lines[1:]
    assert {line["author_id"] for line in lines} == {admin.id}


async def test_the_timeline_merges_comments_stages_and_rules(
    company: SmallCompany, api: httpx2.AsyncClient, admin: User
) -> None:
    new, won = await company.pipeline("New", "Won")
    await company.rule(new, title="Call", timing=IN_A_DAY)
    deal = await company.deal()
    comment = {"text": "Wants it in red"}
    said = await api.post(f"/v1/items/{deal['id']}/comments", json=comment)
    await company.move(deal["id"], won)

    timeline = await items(api, f"/v1/items/{deal['id']}/timeline")

    assert said.status_code == 201
    told = [(each["kind"], each["title"], each["text"], each["state"]) for each in timeline]
    assert told[2:] == [
        ("comment", None, "Wants it in red", None),
        ("stage entry", "New", None, None),
    ]
    assert sorted(told[:2]) == [
        ("rule run", "Call", "left the stage", "dropped"),
        ("stage entry", "Won", None, None),
    ]
    assert timeline[2]["author_id"] == admin.id


async def test_the_timeline_comes_in_pages(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    path = f"/v1/items/{deal['id']}"
    await api.post(f"{path}/comments", json={"text": "one"})
    await api.post(f"{path}/comments", json={"text": "two"})

    first = (await api.get(f"{path}/timeline", params={"limit": 2})).json()
    second = (await api.get(f"{path}/timeline", params={"limit": 2, "after": first["next"]})).json()

    assert [each["text"] for each in first["items"]] == ["two", "one"]
    assert [each["title"] for each in second["items"]] == ["New"]
    assert second["next"] is None


async def test_what_the_client_said_is_told_apart_on_the_timeline(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    deal = await company.deal()
    path = f"/v1/items/{deal['id']}"

    ours = company.made(await api.post(f"{path}/comments", json={"text": "Dear?"}))
    theirs = company.made(
        await api.post(f"{path}/comments", json={"text": "Dear!", "from_client": True})
    )

    assert (ours["from_client"], theirs["from_client"]) == (False, True)
    told = [(each["kind"], each["text"]) for each in await items(api, f"{path}/timeline")]
    assert told[:2] == [("client comment", "Dear!"), ("comment", "Dear?")]


WAIT = {"action": "wait", "params": {"until": IN_A_DAY_FROM_NOW, "comment": "Be patient."}}


async def test_a_wait_stands_on_agenda_and_timeline_until_somebody_ends_it(
    company: SmallCompany, api: httpx2.AsyncClient, runner: Runner, admin: User
) -> None:
    [new] = await company.pipeline("New")
    await company.rule(new, title="Wait", **WAIT)
    await company.rule(new, title="Then", after_previous=True)
    deal = await company.deal()
    path = f"/v1/items/{deal['id']}"
    [run, _] = await items(api, f"{path}/agenda")
    await runner.do(run["stage_entry_id"])

    agenda = await items(api, f"{path}/agenda")
    begun = (await items(api, f"{path}/timeline"))[0]
    ended = company.made(await api.post(f"{path}/end-wait"))
    told = [(each["kind"], each["text"]) for each in await items(api, f"{path}/timeline")]

    assert [(run["title"], run["state"]) for run in agenda] == [
        ("Wait", "in progress"),
        ("Then", "waiting"),
    ]
    assert agenda[0]["began_at"] is not None
    assert agenda[0]["due_at"] == agenda[0]["result"]["until"]
    assert agenda[0]["waits_for"].startswith("Waiting for the client until ")
    assert agenda[0]["waits_for"].endswith(". Be patient.")
    assert agenda[1]["waits_for"] == f"the end of «Wait» (run {run['id']})"
    assert (begun["kind"], begun["state"], begun["text"]) == (
        "rule run",
        "in progress",
        agenda[0]["waits_for"],
    )
    assert (ended["id"], ended["state"]) == (run["id"], "done")
    assert ended["result"]["ended_by"] == "person"
    assert told[0] == ("rule run", f"{admin.name} goes on.")
    [then] = await items(api, f"{path}/agenda")
    assert (then["title"], then["waits_for"]) == ("Then", "its time")


async def test_a_wait_that_is_not_there_cannot_be_ended(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await api.post(f"/v1/items/{deal['id']}/end-wait")

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"Deal {deal['id']} waits for nothing."


@pytest.mark.parametrize("text", ["", "x" * 20_001, None])
async def test_a_comment_has_a_text(
    company: SmallCompany, api: httpx2.AsyncClient, text: str | None
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await api.post(f"/v1/items/{deal['id']}/comments", json={"text": text})

    assert answer.status_code == 422


async def test_a_restored_item_stands_where_it_stood_and_no_rules_run(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [new] = await company.pipeline("New")
    await company.rule(new)
    deal = await company.deal()
    await api.delete(f"/v1/deals/{deal['id']}")

    answer = await api.post(f"/v1/items/{deal['id']}/restore")

    assert answer.json()["stage_id"] == new
    assert answer.json()["deleted_at"] is None
    assert (await api.get(f"/v1/deals/{deal['id']}")).status_code == 200
    assert await items(api, f"/v1/items/{deal['id']}/agenda") == []


async def test_only_what_is_in_the_bin_can_be_restored(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    await company.pipeline("New")
    deal = await company.deal()

    answer = await api.post(f"/v1/items/{deal['id']}/restore")

    assert answer.status_code == 409


async def test_an_item_in_the_bin_can_neither_be_moved_nor_commented_but_read_of(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    _, won = await company.pipeline("New", "Won")
    deal = await company.deal()
    await api.delete(f"/v1/deals/{deal['id']}")
    path = f"/v1/items/{deal['id']}"

    moved = await api.post(f"{path}/move", json={"stage_id": won})
    said = await api.post(f"{path}/comments", json={"text": "Gone?"})
    lines = await items(api, f"{path}/history")

    assert (moved.status_code, said.status_code) == (404, 404)
    assert [line["kind"] for line in lines] == ["deleted", "created"]


async def test_the_runs_of_an_item_cost_the_same_however_many_there_are(
    company: SmallCompany, api: httpx2.AsyncClient, database: Database
) -> None:
    new, won = await company.pipeline("New", "Won")
    await company.rule(new)
    await company.rule(won)
    deal = await company.deal()

    with counted(database) as few:
        await items(api, f"/v1/items/{deal['id']}/runs")
    await company.move(deal["id"], won)
    await company.move(deal["id"], new)
    with counted(database) as many:
        await items(api, f"/v1/items/{deal['id']}/runs")

    assert len(few) == len(many)
