"""Create using source: a lead becomes deal, contact and company; a deal quote and invoice."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models.clock import now
from models.company import Company
from models.contact import Contact
from models.contact_point import points
from models.crm_activity import Completion, CrmActivity, CrmActivityKind, CrmActivityStatus
from models.database import Database
from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.item import Deal, Invoice, Item, Lead, Quote
from models.item_type import ItemType
from models.notification import Notification
from models.pipeline import Pipeline, Stage, StageKind, find_stage
from models.product_row import ProductRow
from models.rule_run import RunState, retry
from models.stage_entry import StageEntry, lock_run
from models.task import Task
from models.task_fields import TaskStatus
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

WHOLE = (selectinload(Item.product_rows), selectinload(Item.further_contacts))
ALL = ["contact", "company", "deal"]


@pytest.fixture
async def leads(database: Database) -> list[Stage]:
    """Incoming, Junk and Converted, which is won."""
    async with database.transaction() as session:
        stages = a_pipeline(session, "Incoming", "Junk", "Converted", item_type=ItemType.LEAD)
        stages[-1].kind = StageKind.WON
    return stages


@pytest.fixture
async def sales(database: Database) -> list[Stage]:
    """The stages that deals go through."""
    async with database.transaction() as session:
        return a_pipeline(session, "New", "Won")


@pytest.fixture
async def papers(database: Database) -> list[Stage]:
    """The first stages of quotes and of invoices."""
    async with database.transaction() as session:
        return [
            *a_pipeline(session, "Draft", "Accepted", item_type=ItemType.QUOTE),
            *a_pipeline(session, "Open", "Paid", item_type=ItemType.INVOICE),
        ]


async def come(
    database: Database, stage: Stage, params: dict[str, Any], **lead: Any
) -> tuple[Lead, StageEntry]:
    """Let a lead enter a stage that makes something of it."""
    said = {"contact_points": [], "product_rows": [], "further_contacts": []} | lead
    async with database.transaction() as session:
        here = await find_stage(session, stage.id)
        a_rule(session, here, "create_from_item", params=params, title="Convert")
        return await a_lead(session, here, **said)


async def sold(
    database: Database, stage: Stage, params: dict[str, Any], **deal: Any
) -> tuple[Deal, StageEntry]:
    """Let a deal enter a stage that makes something of it."""
    async with database.transaction() as session:
        here = await find_stage(session, stage.id)
        a_rule(session, here, "create_from_item", params=params, title="Make papers")
        return await a_deal(session, here, **deal)


def at(*phones: str) -> Any:
    return points(phones=list(phones), emails=[], region="DE")


async def test_a_lead_becomes_a_deal_a_contact_and_a_company(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    tom = User(name="Tom")
    lead, entry = await come(
        database,
        leads[0],
        {"create": ALL, "company_name": "{{ lead.last_name }} & Sons"},
        title="Roof",
        first_name="Clara",
        last_name="Vogt",
        contact_points=at("0171 5550199"),
        responsible=tom,
        amount=Decimal("18500.50"),
        currency="PLN",
        begin_date=date(2027, 1, 1),
        close_date=date(2027, 2, 28),
        source="Fair",
        comments="Facing south.",
        product_rows=[ProductRow(name="Panel", price=Decimal(250), quantity=Decimal(40))],
    )

    run = await runner.do(entry.id)

    [deal] = await all_of(database, Deal, options=WHOLE)
    [contact] = await all_of(database, Contact)
    [company] = await all_of(database, Company)
    assert (contact.name, contact.company_id, company.name) == (
        "Clara Vogt",
        company.id,
        "Vogt & Sons",
    )
    assert (deal.title, deal.contact_id, deal.company_id) == ("Roof", contact.id, company.id)
    assert (deal.amount, deal.currency) == (Decimal("18500.50"), "PLN")
    assert (deal.begin_date, deal.close_date) == (date(2027, 1, 1), date(2027, 2, 28))
    assert (deal.source, deal.comments) == ("Fair", "Facing south.")
    assert [(row.name, row.quantity) for row in deal.product_rows] == [("Panel", Decimal(40))]
    assert (deal.responsible_id, deal.stage_id, deal.source_item_id) == (
        tom.id,
        sales[0].id,
        lead.id,
    )
    assert {deal.made_by_run_id, contact.made_by_run_id, company.made_by_run_id} == {run.id}
    assert (run.state, run.outcome) == (
        RunState.DONE,
        (
            f"Created contact {contact.id} «Clara Vogt». Created company {company.id} "
            f"«Vogt & Sons». Created deal {deal.id} «Roof». The lead stands in «Converted»."
        ),
    )
    assert run.result == {
        "deal_id": deal.id,
        "contact_id": contact.id,
        "company_id": company.id,
    }


async def test_the_lead_is_converted_tied_to_its_client_and_stands_in_the_won_stage(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    async with database.transaction() as session:
        here = await find_stage(session, leads[0].id)
        a_rule(session, here, position=9, title="Never", timing={"kind": "at_once"})
    lead, entry = await come(database, leads[0], {"create": ALL}, first_name="Clara")

    before = now()
    await runner.do(entry.id)

    [present] = await all_of(database, Lead, Lead.id == lead.id)
    assert present.converted_at is not None
    assert present.converted_at >= before
    assert present.stage_id == leads[2].id
    assert present.is_repeat
    [left] = await all_of(
        database, StageEntry, StageEntry.id == entry.id, options=(selectinload(StageEntry.runs),)
    )
    assert [run.state for run in left.runs] == [RunState.DONE, RunState.DROPPED]


async def test_a_lead_is_converted_once(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    async with database.transaction() as session:
        here = await find_stage(session, leads[2].id)
        a_rule(session, here, "create_from_item", params={"create": ["deal"]}, position=1)
    lead, entry = await come(database, leads[2], {"create": ["deal"]})

    first, second = await runner.do(entry.id), await runner.do(entry.id)

    assert (first.state, second.state) == (RunState.DONE, RunState.FAILED)
    assert second.outcome is not None
    assert second.outcome.startswith(f"Lead {lead.id} is converted already, since ")
    assert len(await all_of(database, Deal)) == 1


async def test_a_client_that_the_lead_has_already_stays_its_client(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    anna, firm = Contact(first_name="Anna"), Company(name="Mills")
    _, entry = await come(
        database, leads[0], {"create": ALL}, contact=anna, company=firm, first_name="Clara"
    )

    await runner.do(entry.id)

    [deal] = await all_of(database, Deal)
    assert (deal.contact_id, deal.company_id) == (anna.id, firm.id)
    assert len(await all_of(database, Contact)) == len(await all_of(database, Company)) == 1


async def test_whoever_is_known_by_phone_is_linked_with_their_company(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    firm = Company(name="Mills")
    anna = Contact(first_name="Anna", company=firm, contact_points=at("0171 5550199"))
    async with database.transaction() as session:
        session.add(anna)
    _, entry = await come(database, leads[0], {"create": ALL}, contact_points=at("+49 171 5550199"))

    await runner.do(entry.id)

    [deal] = await all_of(database, Deal)
    assert (deal.contact_id, deal.company_id) == (anna.id, firm.id)
    assert len(await all_of(database, Contact)) == len(await all_of(database, Company)) == 1


async def test_a_company_of_that_name_is_not_made_again(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    firm = Company(name="Mills")
    async with database.transaction() as session:
        session.add(firm)
    _, entry = await come(
        database, leads[0], {"create": ["company", "deal"], "company_name": "Mills"}
    )

    run = await runner.do(entry.id)

    [deal] = await all_of(database, Deal)
    assert (deal.contact_id, deal.company_id) == (None, firm.id)
    assert run.outcome is not None
    assert f"Linked company {firm.id} «Mills»." in run.outcome


async def test_a_company_without_a_contact_gets_the_addresses_and_is_called_like_the_lead(
    database: Database, runner: Runner, leads: list[Stage]
) -> None:
    _, entry = await come(
        database,
        leads[0],
        {"create": ["company"]},
        title="Bakery",
        contact_points=at("0171 5550199"),
    )

    await runner.do(entry.id)

    [company] = await all_of(database, Company, options=(selectinload(Company.contact_points),))
    assert (company.name, company.phones) == ("Bakery", ["0171 5550199"])


async def test_custom_fields_that_deals_have_too_go_with_it(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    async with database.transaction() as session:
        session.add_all(
            FieldDefinition(
                item_type=item_type, name=name, title=name, kind=kind, choices=list(choices)
            )
            for item_type, name, kind, choices in (
                (ItemType.LEAD, "roof", FieldKind.LIST, ["Flat", "Gable"]),
                (ItemType.DEAL, "roof", FieldKind.LIST, ["Flat", "Gable"]),
                (ItemType.LEAD, "wish", FieldKind.LIST, ["Soon", "Later"]),
                (ItemType.DEAL, "wish", FieldKind.LIST, ["Later"]),
                (ItemType.LEAD, "area", FieldKind.NUMBER, []),
                (ItemType.DEAL, "area", FieldKind.TEXT, []),
                (ItemType.LEAD, "campaign", FieldKind.TEXT, []),
            )
        )
    said = {"roof": "Flat", "wish": "Soon", "area": 84, "campaign": "Fair", "gone": "x"}
    _, entry = await come(database, leads[0], {"create": ["deal"]}, custom=said)

    await runner.do(entry.id)

    [deal] = await all_of(database, Deal)
    assert deal.custom == {"roof": "Flat"}


async def test_the_deal_enters_the_stage_chosen_under_the_title_chosen(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    eve = User(name="Eve")
    async with database.transaction() as session:
        session.add(eve)
        a_rule(session, await find_stage(session, sales[1].id))
    _, entry = await come(
        database,
        leads[0],
        {
            "create": ["deal"],
            "stage": sales[1].id,
            "title": "Deal with {{ lead.first_name }}",
            "responsible": {"by": "user", "id": eve.id},
        },
        first_name="Clara",
    )

    await runner.do(entry.id)

    [deal] = await all_of(database, Deal)
    assert (deal.title, deal.stage_id, deal.responsible_id) == (
        "Deal with Clara",
        sales[1].id,
        eve.id,
    )
    [begun] = await all_of(
        database,
        StageEntry,
        StageEntry.item_id == deal.id,
        options=(selectinload(StageEntry.runs),),
    )
    assert len(begun.runs) == 1


async def busy(database: Database, lead: Lead, **task: Any) -> None:
    """Plan a call and a task for a lead."""
    async with database.transaction() as session:
        present = await session.get_one(Lead, lead.id)
        session.add_all(
            [
                Task(title="Call", item=present, people=[], tags=[], checklist=[], **task),
                CrmActivity(
                    kind=CrmActivityKind.CALL,
                    subject="Call",
                    item=present,
                    starts_at=now(),
                    reminders=[],
                ),
            ]
        )


async def test_what_is_planned_and_to_be_done_for_the_lead_is_completed(
    database: Database, runner: Runner, leads: list[Stage]
) -> None:
    lead, entry = await come(database, leads[0], {"create": ["contact"]}, first_name="Clara")
    await busy(database, lead, result_required=True)

    run = await runner.do(entry.id)

    [task] = await all_of(database, Task)
    [call] = await all_of(database, CrmActivity)
    assert task.status is TaskStatus.COMPLETED
    assert (call.status, call.completion) == (CrmActivityStatus.COMPLETED, Completion.RULE)
    assert run.outcome is not None
    assert run.outcome.endswith("Completed 2 tasks and activities.")


async def test_it_stays_open_if_the_rule_says_so(
    database: Database, runner: Runner, leads: list[Stage]
) -> None:
    lead, entry = await come(
        database, leads[0], {"create": ["contact"], "keep_open": True}, first_name="Clara"
    )
    await busy(database, lead)

    await runner.do(entry.id)

    [task] = await all_of(database, Task)
    [call] = await all_of(database, CrmActivity)
    assert (task.status, call.status) == (TaskStatus.PENDING, CrmActivityStatus.PLANNED)


async def test_a_deal_becomes_a_quote_and_an_invoice(
    database: Database, runner: Runner, sales: list[Stage], papers: list[Stage]
) -> None:
    tom, anna, ben, firm = (
        User(name="Tom"),
        Contact(first_name="Anna"),
        Contact(first_name="Ben"),
        Company(name="Mills"),
    )
    deal, entry = await sold(
        database,
        sales[0],
        {"create": ["quote", "invoice"]},
        title="Roof",
        responsible=tom,
        contact=anna,
        further_contacts=[ben],
        company=firm,
        amount=Decimal("10000.00"),
        currency="PLN",
        close_date=date(2027, 2, 28),
        product_rows=[ProductRow(name="Panel", price=Decimal(250), quantity=Decimal(40))],
    )

    run = await runner.do(entry.id)

    [quote] = await all_of(database, Quote, options=WHOLE)
    [invoice] = await all_of(database, Invoice, options=WHOLE)
    assert (quote.stage_id, invoice.stage_id) == (papers[0].id, papers[2].id)
    assert (
        told(quote)
        == told(invoice)
        == {
            "title": "Roof",
            "responsible_id": tom.id,
            "contact_id": anna.id,
            "company_id": firm.id,
            "further": [ben.id],
            "amount": Decimal("10000.00"),
            "currency": "PLN",
            "close_date": None,
            "sold": [("Panel", Decimal("250.00"), Decimal("40.00"))],
            "source_item_id": deal.id,
            "made_by_run_id": run.id,
        }
    )
    assert run.outcome == (f"Created quote {quote.id} «Roof». Created invoice {invoice.id} «Roof».")
    assert run.result == {"quote_id": quote.id, "invoice_id": invoice.id}


def told(paper: Item) -> dict[str, Any]:
    return {
        "title": paper.title,
        "responsible_id": paper.responsible_id,
        "contact_id": paper.contact_id,
        "company_id": paper.company_id,
        "further": [each.id for each in paper.further_contacts],
        "amount": paper.amount,
        "currency": paper.currency,
        "close_date": paper.close_date,
        "sold": [(row.name, row.price, row.quantity) for row in paper.product_rows],
        "source_item_id": paper.source_item_id,
        "made_by_run_id": paper.made_by_run_id,
    }


async def test_the_deal_stays_where_it_is(
    database: Database, runner: Runner, sales: list[Stage], papers: list[Stage]
) -> None:
    deal, entry = await sold(database, sales[0], {"create": ["quote"]})

    await runner.do(entry.id)

    [present] = await all_of(database, Deal, Deal.id == deal.id)
    assert present.stage_id == sales[0].id


async def test_where_it_fails_a_to_do_is_planned_for_the_responsible_with_the_reason(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    tom = User(name="Tom")
    lead, entry = await come(database, leads[0], {"create": ALL}, responsible=tom)

    run = await runner.do(entry.id)

    reason = f"Lead {lead.id} has no name, phone or e-mail that a contact could be made of."
    [to_do] = await all_of(database, CrmActivity)
    assert (to_do.kind, to_do.subject, to_do.description) == (
        CrmActivityKind.TO_DO,
        "By hand: Convert",
        reason,
    )
    assert (to_do.responsible_id, to_do.item_id, to_do.made_by_run_id) == (
        tom.id,
        lead.id,
        run.id,
    )
    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"{reason} Planned to-do {to_do.id} for Tom, to do it by hand.",
    )
    [note] = await all_of(database, Notification)
    assert (note.recipient_id, note.text) == (tom.id, f"By hand: Convert. {reason}")


async def test_nothing_else_is_kept_of_what_failed(
    database: Database, runner: Runner, leads: list[Stage]
) -> None:
    lead, entry = await come(database, leads[0], {"create": ALL}, first_name="Clara")

    run = await runner.do(entry.id)

    assert run.outcome is not None
    assert run.outcome.startswith("There is no stage for deals.")
    [present] = await all_of(database, Lead, Lead.id == lead.id)
    assert (present.contact_id, present.converted_at, present.stage_id) == (
        None,
        None,
        leads[0].id,
    )
    assert await all_of(database, Contact) == []
    assert await all_of(database, Company) == []


async def test_a_failure_after_clients_were_made_takes_them_back(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    gone = Pipeline(name="Gone", item_type=ItemType.DEAL)
    stage = Stage(name="Gone", pipeline=gone)
    async with database.transaction() as session:
        session.add(stage)
    _, entry = await come(
        database, leads[0], {"create": ALL, "stage": stage.id, "pipeline": sales[0].pipeline_id}
    )

    run = await runner.do(entry.id)

    assert run.state is RunState.FAILED
    assert await all_of(database, Contact) == []
    assert len(await all_of(database, CrmActivity)) == 1


async def test_trying_again_plans_no_second_to_do(
    database: Database, runner: Runner, leads: list[Stage], sales: list[Stage]
) -> None:
    _, entry = await come(database, leads[0], {"create": ALL})
    failed = await runner.do(entry.id)
    async with database.transaction() as session:
        retry(session, await lock_run(session, failed.id))

    run = await runner.do(entry.id)

    [to_do] = await all_of(database, CrmActivity)
    assert run.outcome is not None
    assert run.outcome.endswith(f"It is still to be done by hand: to-do {to_do.id}.")


async def test_what_works_at_the_second_try_is_not_to_be_done_by_hand_any_more(
    database: Database, runner: Runner, sales: list[Stage], papers: list[Stage]
) -> None:
    params = {"create": ["invoice"], "title": "{{ deal.source }}"}
    deal, entry = await sold(database, sales[0], params)
    failed = await runner.do(entry.id)
    async with database.transaction() as session:
        (await session.get_one(Item, deal.id)).source = "Fair"
        retry(session, await lock_run(session, failed.id))

    run = await runner.do(entry.id)

    [to_do] = await all_of(database, CrmActivity)
    assert run.state is RunState.DONE
    assert (to_do.status, to_do.completion) == (CrmActivityStatus.COMPLETED, Completion.RULE)


async def test_nobody_responsible_is_planned_for_nobody(
    database: Database, runner: Runner, leads: list[Stage]
) -> None:
    _, entry = await come(database, leads[0], {"create": ALL}, responsible=None)

    await runner.do(entry.id)

    [to_do] = await all_of(database, CrmActivity)
    assert to_do.responsible_id is None
    assert await all_of(database, Notification) == []


@on_one_database
@pytest.mark.parametrize(
    ("params", "problems"),
    [
        ({"create": ["quote"]}, {"/params/create/0": "From a lead no quote is created."}),
        (
            {"create": ["deal", "contact", "deal"]},
            {"/params/create/2": "«deal» is there twice."},
        ),
        (
            {"create": ["contact"], "pipeline": 1},
            {"/params/pipeline": "This can be chosen where one deal, quote or invoice is created."},
        ),
        ({"create": ["deal"], "stage": 999}, {"/params/stage": "There is no stage 999."}),
        (
            {"create": ["deal"], "pipeline": 999},
            {"/params/pipeline": "There is no stage for deals in pipeline 999."},
        ),
    ],
)
async def test_what_cannot_be_created_is_refused_when_the_rule_is_saved(
    database: Database, leads: list[Stage], params: dict[str, Any], problems: dict[str, str]
) -> None:
    assert await refused(database, leads[0], "create_from_item", params) == problems


async def test_a_stage_of_something_else_is_refused(
    database: Database, leads: list[Stage], sales: list[Stage]
) -> None:
    wrong = {"create": ["deal"], "stage": leads[1].id}
    elsewhere = {"create": ["deal"], "stage": sales[0].id, "pipeline": leads[0].pipeline_id}

    of_leads = await refused(database, leads[0], "create_from_item", wrong)
    of_another = await refused(database, leads[0], "create_from_item", elsewhere)

    assert of_leads == {"/params/stage": f"Stage {leads[1].id} «Junk» is for leads."}
    assert of_another == {
        "/params/stage": f"Stage {sales[0].id} «New» is not of pipeline {leads[0].pipeline_id}."
    }


async def test_a_deal_creates_neither_contact_nor_deal(
    database: Database, sales: list[Stage]
) -> None:
    assert await refused(database, sales[0], "create_from_item", {"create": ["deal"]}) == {
        "/params/create/0": "From a deal no deal is created."
    }
