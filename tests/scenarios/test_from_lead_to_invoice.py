"""From lead to invoice: a caller becomes a client, a deal is offered, billed and paid."""

from typing import Any

import pytest

from tests.fixtures.world import World


@pytest.fixture
async def company(world: World) -> World:
    """A company with a pipeline of each type; rules lead from one to the next."""
    for name, item_type, stages in (
        ("Leads", "lead", ["Incoming", "Qualified", "Converted"]),
        ("Sales", "deal", ["New", "Contract"]),
        ("Quotes", "quote", ["Draft", "Accepted"]),
        ("Invoices", "invoice", ["Open", "Paid"]),
    ):
        world.stages |= await world.pipeline(name, *stages, item_type=item_type)
    for won in ("Converted", "Accepted", "Paid"):
        await world.patch(f"/v1/stages/{world.stages[won]}", {"kind": "won"})
    await world.rule(
        world.stages["Qualified"],
        "create_from_item",
        title="Make a client of them",
        params={"create": ["contact", "company", "deal"], "company_name": "{{ lead.last_name }}"},
    )
    await world.rule(
        world.stages["Contract"],
        "create_from_item",
        params={"create": ["quote", "invoice"]},
    )
    await world.rule(
        world.stages["Paid"],
        "create_task",
        params={"title": "Thank {{ contact.name }} for {{ invoice.amount | money }}"},
        conditions={"field": "invoice.paid_at", "operator": "not empty"},
    )
    return world


@pytest.fixture
async def lead(company: World) -> Any:
    """Clara's lead, with a task that is still open."""
    lead = await company.post(
        "/v1/leads",
        {
            "title": "Solar roof",
            "first_name": "Clara",
            "last_name": "Vogt",
            "phones": ["0171 5550199"],
            "amount": "18500.00",
            "currency": "EUR",
            "product_rows": [{"name": "Panel", "price": "462.50", "quantity": "40"}],
        },
    )
    await company.post("/v1/tasks", {"title": "Call back", "item_id": lead["id"]})
    return lead


async def only(world: World, path: str) -> Any:
    [row] = (await world.get(path))["items"]
    return row


async def test_a_lead_becomes_a_deal_of_a_contact_at_a_company(company: World, lead: Any) -> None:
    await company.move(lead["id"], company.stages["Qualified"])

    deal = await only(company, "/v1/deals")
    contact = await only(company, "/v1/contacts")
    firm = await only(company, "/v1/companies")
    present = await company.get(f"/v1/leads/{lead['id']}")
    task = await only(company, f"/v1/tasks?item_id={lead['id']}")
    assert (contact["name"], contact["phones"]) == ("Clara Vogt", ["0171 5550199"])
    assert (contact["company_id"], firm["name"]) == (firm["id"], "Vogt")
    assert (deal["contact_id"], deal["company_id"]) == (contact["id"], firm["id"])
    assert (deal["source_item_id"], deal["stage_id"]) == (lead["id"], company.stages["New"])
    assert (deal["amount"], deal["product_rows"]) == (lead["amount"], lead["product_rows"])
    assert present["converted_at"] is not None
    assert present["stage_id"] == company.stages["Converted"]
    assert (present["is_repeat"], task["status"]) == (True, "completed")


async def test_who_calls_again_is_known_by_phone(company: World, lead: Any) -> None:
    await company.move(lead["id"], company.stages["Qualified"])
    again = await company.post("/v1/leads", {"title": "Batteries", "phones": ["+49 171 555 0199"]})

    await company.move(again["id"], company.stages["Qualified"])

    contact = await only(company, "/v1/contacts")
    deals = (await company.get("/v1/deals"))["items"]
    assert [deal["contact_id"] for deal in deals] == [contact["id"], contact["id"]]


async def test_a_deal_becomes_quote_and_invoice_and_the_invoice_is_paid_and_its_rule_runs(
    company: World, lead: Any
) -> None:
    await company.move(lead["id"], company.stages["Qualified"])
    deal = await only(company, "/v1/deals")

    await company.move(deal["id"], company.stages["Contract"])
    quote = await only(company, f"/v1/quotes?source_item_id={deal['id']}")
    invoice = await only(company, f"/v1/invoices?source_item_id={deal['id']}&is_paid=false")
    paid = await company.post(f"/v1/invoices/{invoice['id']}/pay", {})
    await company.settle()

    carried = ("contact_id", "company_id", "amount", "currency", "product_rows")
    assert {name: quote[name] for name in carried} == {name: deal[name] for name in carried}
    assert {name: invoice[name] for name in carried} == {name: deal[name] for name in carried}
    assert (paid["stage_id"], paid["paid_at"] is None) == (company.stages["Paid"], False)
    task = await only(company, f"/v1/tasks?item_id={invoice['id']}")
    assert task["title"] == "Thank Clara Vogt for €18,500.00"
    [run] = await company.runs(invoice["id"])
    assert run["workflow_id"].startswith(f"invoice-{invoice['id']}-entry-")


async def test_where_it_fails_the_responsible_is_given_it_to_do_with_the_reason(
    company: World,
) -> None:
    nobody = await company.post("/v1/leads", {"title": "Anonymous"})

    await company.move(nobody["id"], company.stages["Qualified"])

    [run] = await company.runs(nobody["id"])
    to_do = await only(company, f"/v1/crm-activities?item_id={nobody['id']}")
    reason = f"Lead {nobody['id']} has no name, phone or e-mail that a contact could be made of."
    assert run["state"] == "failed"
    assert run["outcome"].startswith(reason)
    assert (to_do["kind"], to_do["subject"]) == ("to-do", "By hand: Make a client of them")
    assert to_do["description"] == reason
    assert (to_do["responsible_id"], to_do["made_by_run_id"]) == (company.admin.id, run["id"])
    assert (await company.get(f"/v1/leads/{nobody['id']}"))["converted_at"] is None
    assert (await company.get("/v1/deals"))["items"] == []
