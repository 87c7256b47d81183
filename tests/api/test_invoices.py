"""Invoices over HTTP: what is owed, and that it is paid once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from models.item_type import ItemType
from models.pipeline import Pipeline, Stage, StageKind
from tests.fixtures.api import SmallCompany


@pytest.fixture(autouse=True)
async def stages(company: SmallCompany) -> list[int]:
    """Draft, Sent, Paid and Settled, the last two won."""
    pipeline = Pipeline(name="Invoices", item_type=ItemType.INVOICE)
    made = [
        Stage(name=name, kind=kind, pipeline=pipeline, position=place)
        for place, (name, kind) in enumerate(
            [
                ("Draft", StageKind.OPEN),
                ("Sent", StageKind.OPEN),
                ("Paid", StageKind.WON),
                ("Settled", StageKind.WON),
            ]
        )
    ]
    await company.add(*made)
    return [stage.id for stage in made]


async def paid(api: httpx2.AsyncClient, invoice: Any, **said: Any) -> httpx2.Response:
    return await api.post(f"/v1/invoices/{invoice['id']}/pay", json=said)


async def history(api: httpx2.AsyncClient, invoice: Any) -> list[Any]:
    lines = (await api.get(f"/v1/items/{invoice['id']}/history")).json()["items"]
    return [(line["text"], line["field"]) for line in reversed(lines)]


async def test_an_invoice_that_is_paid_says_when_and_stands_in_the_first_won_stage(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    invoice = await company.invoice(amount="1500.00")

    answer = await paid(api, invoice, paid_at="2026-02-03T09:30:00+01:00")

    assert answer.status_code == 200
    assert answer.json()["paid_at"] == "2026-02-03T08:30:00Z"
    assert answer.json()["stage_id"] == stages[2]
    assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
    assert await history(api, invoice) == [
        ("Created in «Draft».", None),
        ("Paid: 2026-02-03 08:30 UTC.", "paid_at"),
        ("Moved from «Draft» to «Paid».", "stage"),
    ]


async def test_the_rules_of_that_stage_start(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    await company.rule(stages[2], title="Thank them")
    invoice = await company.invoice()

    await paid(api, invoice)

    agenda = (await api.get(f"/v1/items/{invoice['id']}/agenda")).json()["items"]
    assert [run["title"] for run in agenda] == ["Thank them"]


async def test_without_a_moment_it_is_paid_now(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    before = datetime.now(UTC)
    invoice = await company.invoice()

    answer = await paid(api, invoice)

    assert before <= datetime.fromisoformat(answer.json()["paid_at"]) <= datetime.now(UTC)


async def test_an_invoice_is_paid_once_and_a_second_payment_is_told_since_when(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    invoice = await company.invoice()
    await paid(api, invoice, paid_at="2026-02-03T08:30:00Z")

    answer = await paid(api, invoice)

    assert answer.status_code == 409
    assert answer.json()["detail"] == (
        f"Invoice {invoice['id']} is paid already, since 2026-02-03 08:30 UTC."
    )


async def test_nobody_has_paid_tomorrow(company: SmallCompany, api: httpx2.AsyncClient) -> None:
    invoice = await company.invoice()
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    answer = await paid(api, invoice, paid_at=tomorrow.isoformat())

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "/paid_at", "reason": "This moment is still to come."}
    ]


@pytest.mark.parametrize("amount", [None, "0.00"])
async def test_an_invoice_about_nothing_can_be_paid_too(
    company: SmallCompany, api: httpx2.AsyncClient, amount: str | None
) -> None:
    invoice = await company.invoice(amount=amount)

    answer = await paid(api, invoice)

    assert answer.json()["paid_at"] is not None


async def test_it_stays_where_it_is_if_that_is_a_won_stage(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    invoice = await company.invoice(stage_id=stages[1])
    won = {"kind": "won"}
    await api.patch(f"/v1/stages/{stages[1]}", json=won)

    answer = await paid(api, invoice)

    assert answer.json()["stage_id"] == stages[1]


async def test_it_stays_where_it_is_if_its_pipeline_has_no_won_stage(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    [open_for_ever] = await company.pipeline("Sent", item_type=ItemType.INVOICE)
    invoice = await company.invoice(stage_id=open_for_ever)

    answer = await paid(api, invoice)

    assert answer.json()["stage_id"] == open_for_ever
    assert answer.json()["paid_at"] is not None


async def test_moving_an_invoice_to_a_won_stage_pays_it(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    invoice = await company.invoice()

    await company.move(invoice["id"], stages[3])

    moved = (await api.get(f"/v1/invoices/{invoice['id']}")).json()
    assert moved["paid_at"] is not None
    assert moved["stage_id"] == stages[3]
    assert [field for _, field in await history(api, invoice)] == [None, "paid_at", "stage"]


async def test_many_invoices_moved_to_a_won_stage_are_paid(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    first, second = await company.invoice(), await company.invoice()
    wanted = {"item_ids": [first["id"], second["id"]], "stage_id": stages[2]}

    await api.post("/v1/items/move", json=wanted)

    rows = (await api.get("/v1/invoices?is_paid=true")).json()["items"]
    assert [row["id"] for row in rows] == [first["id"], second["id"]]


async def test_an_invoice_made_in_a_won_stage_is_paid(
    company: SmallCompany, stages: list[int]
) -> None:
    invoice = await company.invoice(stage_id=stages[2])

    assert invoice["paid_at"] is not None


async def test_a_payment_stays_wherever_the_invoice_is_moved(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    invoice = await company.invoice()
    payment = (await paid(api, invoice)).json()["paid_at"]

    await company.move(invoice["id"], stages[1])
    await company.move(invoice["id"], stages[2])

    assert (await api.get(f"/v1/invoices/{invoice['id']}")).json()["paid_at"] == payment


async def test_a_payment_that_was_a_mistake_is_taken_back(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    invoice = await company.invoice()
    await paid(api, invoice, paid_at="2026-02-03T08:30:00Z")
    path = f"/v1/invoices/{invoice['id']}/unpay"

    where_it_is_won = await api.post(path)
    await company.move(invoice["id"], stages[1])
    taken_back = await api.post(path)
    again = await api.post(path)

    assert where_it_is_won.status_code == again.status_code == 409
    assert where_it_is_won.json()["detail"] == (
        f"Invoice {invoice['id']} stands in «Paid», where all are paid: move it first."
    )
    assert (taken_back.json()["paid_at"], taken_back.json()["stage_id"]) == (None, stages[1])
    assert (await history(api, invoice))[-1] == ("Not paid after all.", "paid_at")


async def test_a_rule_that_was_kept_waits_for_the_payment_and_follows_it(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    timing = {
        "kind": "around_date",
        "field": "invoice.paid_at",
        "direction": "after",
        "amount": 2,
        "unit": "hours",
    }
    await company.rule(stages[0], timing=timing, keep_when_item_leaves=True)
    invoice = await company.invoice()

    [waiting] = (await api.get(f"/v1/items/{invoice['id']}/agenda")).json()["items"]
    await company.move(invoice["id"], stages[2])

    paid_at = (await api.get(f"/v1/invoices/{invoice['id']}")).json()["paid_at"]
    [run] = (await api.get(f"/v1/items/{invoice['id']}/agenda")).json()["items"]
    due = datetime.fromisoformat(run["due_at"])
    assert waiting["due_at"] is None
    assert due - datetime.fromisoformat(paid_at) == timedelta(hours=2)


async def test_the_timeline_shows_the_payment(
    company: SmallCompany, api: httpx2.AsyncClient, stages: list[int]
) -> None:
    [only] = await company.pipeline("Sent", item_type=ItemType.INVOICE)
    invoice = await company.invoice(stage_id=only)

    await paid(api, invoice, paid_at="2026-02-03T08:30:00Z")

    rows = (await api.get(f"/v1/items/{invoice['id']}/timeline")).json()["items"]
    told = [(row["kind"], row["text"]) for row in rows if row["kind"] == "payment"]
    assert told == [("payment", "Paid: 2026-02-03 08:30 UTC.")]


async def test_another_version_than_the_one_seen_is_not_paid(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    invoice = await company.invoice()
    path = f"/v1/invoices/{invoice['id']}/pay"

    refused = await api.post(path, json={}, headers={"If-Match": '"7"'})
    del api.headers["If-Match"]
    without = await api.post(path, json={})

    assert refused.status_code == 412
    assert without.status_code == 200


async def test_invoices_are_found_by_whether_and_when_they_were_paid(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    early, late, never = [await company.invoice(close_date="2026-03-01") for _ in range(3)]
    await paid(api, early, paid_at="2026-02-03T08:30:00Z")
    await paid(api, late, paid_at="2026-03-03T08:30:00Z")

    async def found(**asked: str) -> list[int]:
        return [row["id"] for row in (await api.get("/v1/invoices", params=asked)).json()["items"]]

    assert await found(is_paid="false", close_date_to="2026-03-02") == [never["id"]]
    assert await found(is_paid="true") == [early["id"], late["id"]]
    assert await found(paid_from="2026-03-01T00:00:00Z") == [late["id"]]


async def test_history_calls_the_last_day_pay_until(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    invoice = await company.invoice()

    await api.patch(f"/v1/invoices/{invoice['id']}", json={"close_date": "2027-03-31"})

    assert ("Pay until: (empty) → 2027-03-31", "close_date") in await history(api, invoice)


async def test_nobody_says_by_changing_it_that_an_invoice_is_paid(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    invoice = await company.invoice()

    answer = await api.patch(
        f"/v1/invoices/{invoice['id']}", json={"paid_at": "2026-02-03T08:30:00Z"}
    )

    assert answer.status_code == 422
