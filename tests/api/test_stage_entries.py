"""Stage entries over HTTP: why an item came, which rules that started, what Temporal knows."""

import httpx2

from models.user import User
from tests.fixtures.api import SmallCompany


async def test_an_entry_tells_its_cause_its_runs_and_its_workflow(
    company: SmallCompany, api: httpx2.AsyncClient, admin: User
) -> None:
    _, won = await company.pipeline("New", "Won")
    await company.rule(won, title="First")
    await company.rule(won, title="Second", after_previous=True)
    deal = await company.deal()
    moved = await company.move(deal["id"], won)

    answer = await api.get(f"/v1/stage-entries/{moved['stage_entry_id']}")

    entry = answer.json()
    assert [run["title"] for run in entry["runs"]] == ["First", "Second"]
    expected = {
        "item_id": deal["id"],
        "item_type": "deal",
        "stage_id": won,
        "left_at": None,
        "cause": "person",
        "cause_user_id": admin.id,
        "cause_run_id": None,
        "root_id": None,
        "depth": 0,
        "agenda_version": 1,
        "told_version": 0,
        "workflow_id": f"deal-{deal['id']}-entry-{entry['id']}",
    }
    assert {name: entry[name] for name in expected} == expected


async def test_an_entry_that_is_not_there_is_a_404(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/stage-entries/42")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no stage entry 42."
