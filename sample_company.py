"""A small company to try the product on: a maker of solar roofs, its clients, rules, triggers."""

from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.rule_saving import save_new_rule
from models import clock
from models.company import Company
from models.contact import Contact
from models.contact_point import points
from models.crm_activity import CrmActivity, CrmActivityKind
from models.crm_activity_edit import put_crm_activity, take_client
from models.database import Database
from models.department import Department
from models.document_template import TemplateFile, add_template
from models.entering import create_item
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.installation import installation
from models.item import Deal, Invoice, Lead, Quote
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage, StageKind
from models.product_row import ProductRow
from models.resource import Resource
from models.stage_entry import Cause
from models.trigger_edit import add_trigger
from models.user import Role, User

A_DAY = {"kind": "after_delay", "amount": 1, "unit": "days"}
TO_INVOICE = "Send invoice to client"
SIX_MONTHS = {"kind": "after_delay", "amount": 6, "unit": "months"}


FIELDS_OF_OFFER = (
    "document.number",
    "document.date",
    "deal.title",
    "contact.name",
    "company.name",
    "deal.products",
    "deal.amount",
    "responsible.name",
)
"""What `sample_offer` uses."""


def sample_offer() -> bytes:
    """Return a template of an offer, as it would be written with Word."""
    from docx import Document  # noqa: PLC0415 - slow to import, for a first start only

    document = Document()
    document.add_heading("Offer {{ document.number }}", level=1)
    for text in (
        "{{ document.date | date }}",
        "{{ deal.title }}",
        "For {{ contact.name }}{% if company.name %}, {{ company.name }}{% endif %}",
    ):
        document.add_paragraph(text)
    rows = (
        ("What", "How many", "Price", "Total"),
        ("{%tr for row in deal.products %}", "", "", ""),
        (
            "{{ row.name }}",
            "{{ row.quantity | number }}",
            "{{ row.price | money }}",
            "{{ row.total | money }}",
        ),
        ("{%tr endfor %}", "", "", ""),
        ("Together", "", "", "{{ deal.amount | money }}"),
    )
    table = document.add_table(len(rows), len(rows[0]), style="Table Grid")
    for line, row in zip(table.rows, rows, strict=True):
        for cell, text in zip(line.cells, row, strict=True):
            cell.text = text
    document.add_paragraph()
    document.add_paragraph("{{ responsible.name }}")
    file = BytesIO()
    document.save(file)
    return file.getvalue()


async def load_sample_company(database: Database) -> bool:
    """Fill a database that has neither people nor pipelines; return whether it was empty."""
    async with database.transaction() as session:
        for table in (User, Pipeline):
            if await session.scalar(select(table.id).limit(1)):
                return False
        await _load(session)
        return True


async def _load(session: AsyncSession) -> None:
    home = await installation(session)
    home.time_zone = "Europe/Berlin"
    people = _people(session)
    stages = _pipelines(session)
    await session.flush()
    await _custom_fields(session)
    await _rules(session, stages, people["ada"])
    await _triggers(session, stages)
    file = TemplateFile(sample_offer(), "offer.docx", FIELDS_OF_OFFER)
    await add_template(
        session,
        file,
        people["ada"],
        name="Offer",
        item_type=ItemType.DEAL,
        number_format="O-{year}-{number:04}",
    )
    await _clients_and_items(session, stages, people)


def _people(session: AsyncSession) -> dict[str, User]:
    """Make four people; the head of *Sales North* is away, so the next above is Marta."""
    management = Department(name="Management")
    sales = Department(name="Sales", parent=management)
    north = Department(name="Sales North", parent=sales)
    people = {
        "ada": User(name="Ada Winter", email="ada@example.com", role=Role.ADMIN),
        "marta": User(name="Marta Lind", email="marta@example.com", role=Role.MANAGER),
        "noor": User(
            name="Noor Haddad",
            email="noor@example.com",
            role=Role.MANAGER,
            absent_until=clock.now() + timedelta(days=365),
        ),
        "tom": User(name="Tom Berg", email="tom@example.com"),
    }
    for name, department in (
        ("ada", management),
        ("marta", sales),
        ("noor", north),
        ("tom", north),
    ):
        people[name].department = department
    session.add_all([*people.values(), management, sales, north])
    management.head, sales.head, north.head = people["ada"], people["marta"], people["noor"]
    return people


def _pipelines(session: AsyncSession) -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    for pipeline, names in (
        (Pipeline(name="Leads", item_type=ItemType.LEAD), ("Incoming", "Contacted", "Junk")),
        (
            Pipeline(name="Sales", item_type=ItemType.DEAL),
            ("New", "Engaging", "Contract", "Closed won", "Closed lost", "Spam"),
        ),
        (
            Pipeline(name="Installation", item_type=ItemType.DEAL),
            ("Planning", "On the roof", "Running"),
        ),
        (
            Pipeline(name="Quotes", item_type=ItemType.QUOTE),
            ("Draft", "Sent", "Accepted", "Declined"),
        ),
        (
            Pipeline(name="Invoices", item_type=ItemType.INVOICE),
            ("Draft", "Sent", "Paid", "Cancelled"),
        ),
    ):
        for position, name in enumerate(names):
            key = f"{pipeline.name}: {name}" if name in stages else name
            stages[key] = Stage(name=name, position=position, pipeline=pipeline)
    leads = stages["Incoming"].pipeline
    stages["Converted"] = Stage(name="Converted", position=3, pipeline=leads)
    sales = stages["Closed won"].pipeline
    for name in ("Closed won", "Closed lost", "Spam"):
        stages[name].position += 1
    stages[TO_INVOICE] = Stage(name=TO_INVOICE, position=3, pipeline=sales)
    for name in ("Closed won", "Running", "Accepted", "Paid", "Converted"):
        stages[name].kind = StageKind.WON
    for name in ("Junk", "Closed lost", "Spam", "Declined", "Cancelled"):
        stages[name].kind = StageKind.LOST
    session.add_all(stages.values())
    return stages


async def _custom_fields(session: AsyncSession) -> None:
    for item_type, name, title, kind, choices in (
        (ItemType.DEAL, "contract_no", "Contract number", FieldKind.TEXT, []),
        (ItemType.DEAL, "roof", "Kind of roof", FieldKind.LIST, ["Flat", "Gable", "Hipped"]),
        (ItemType.DEAL, "area", "Area in m²", FieldKind.NUMBER, []),
        (ItemType.LEAD, "campaign", "Campaign", FieldKind.TEXT, []),
        (ItemType.DEAL, "visit", "Visit to the roof", FieldKind.BOOKING, []),
    ):
        definition = FieldDefinition(
            item_type=item_type, name=name, title=title, kind=kind, choices=list(choices)
        )
        await add_definition(session, definition)
    session.add(Resource(name="Lifting platform", description="For roofs up to 18 m."))


async def _rules(session: AsyncSession, stages: dict[str, Stage], by: User) -> None:
    late = "{{ deal.title }} has been new for a day and nobody has touched it."
    for stage, title, action, params, timing in (
        ("New", "Tell the supervisor after a day", "notify_supervisor", {"text": late}, A_DAY),
        ("New", "Note that it was late", "add_history_entry", {"text": late}, A_DAY),
        (
            "Engaging",
            "Task: make an offer",
            "create_task",
            {
                "title": "Make an offer for {{ deal.title }}",
                "description": "Client: {{ contact.name }} {{ company.name }}\n"
                "Budget: {{ deal.amount | money }}",
                "deadline": {"amount": 3, "unit": "days"},
            },
            None,
        ),
        (
            "Closed won",
            "Copy to Installation",
            "copy_deal",
            {"name": "{{ deal.title }}", "pipeline": stages["Planning"].pipeline_id},
            None,
        ),
        (
            "Closed won",
            "Repeat lead after six months",
            "create_repeat_lead",
            {"title": "Batteries for {{ contact.name }}?"},
            SIX_MONTHS,
        ),
        ("Spam", "Add to exceptions", "add_to_exclusions", {}, None),
        (
            "Planning",
            "Task: plan the visit",
            "create_task",
            {"title": "Plan the visit for {{ deal.title }}"},
            None,
        ),
    ):
        rule = {
            "title": title,
            "action": action,
            "params": params,
            "timing": timing or {"kind": "at_once"},
            "conditions": None,
            "after_previous": False,
            "keep_when_item_leaves": False,
            "once_per_item": False,
            "stop_on_failure": False,
            "position": None,
            "enabled": True,
        }
        await save_new_rule(session, stages[stage], rule, by)


async def _triggers(session: AsyncSession, stages: dict[str, Stage]) -> None:
    invoice = {"field": "task.title", "operator": "contains", "value": "invoice"}
    for stage, kind, name, settings in (
        (
            TO_INVOICE,
            "task_status",
            "The invoice is prepared",
            {"status": "completed", "filter": invoice},
        ),
        ("Closed won", "invoice_paid", None, {}),
    ):
        trigger = {
            "type": kind,
            "name": name,
            "settings": settings,
            "conditions": None,
            "moves_as": {"by": "responsible"},
            "allow_moving_back": False,
            "position": None,
            "enabled": True,
        }
        await add_trigger(session, stages[stage], trigger)


async def _clients_and_items(
    session: AsyncSession, stages: dict[str, Stage], people: dict[str, User]
) -> None:
    bakery = Company(
        name="Bakery Sonne",
        address="Sonnenallee 17, 12047 Berlin",
        contact_points=points(phones=["030 901820"], emails=["info@sonne.example"], region="DE"),
    )
    clients: dict[str, dict[str, Any]] = {
        "Anna Keller": {"phones": ["0151 23456789"], "emails": ["anna@keller.example"]},
        "Boris Maier": {"phones": ["+49 40 5550123"], "emails": ["boris@sonne.example"]},
        "Win Now": {"phones": ["+44 20 7946 0958"], "emails": ["win@prizes.example"]},
    }
    contacts = {
        name: Contact(
            first_name=name.split()[0],
            last_name=name.split()[1],
            company=bakery if name == "Boris Maier" else None,
            contact_points=points(**reached, region="DE"),
        )
        for name, reached in clients.items()
    }
    session.add_all([bakery, *contacts.values()])
    cause = Cause.person(people["ada"])
    kellers = {"contract_no": "K-17", "roof": "Gable", "area": 84.5}
    deals: dict[str, Deal] = {}
    for title, contact, amount, stage, custom in (
        ("Roof for the Kellers", "Anna Keller", "18500", "Contract", kellers),
        ("Roof of the bakery", "Boris Maier", "46000", "Engaging", {"roof": "Flat", "area": 210}),
        ("You have won!!!", "Win Now", None, "New", {}),
    ):
        deal = deals[title] = Deal(
            title=title,
            responsible=people["tom"],
            creator=people["ada"],
            contact=contacts[contact],
            company=contacts[contact].company,
            amount=None if amount is None else Decimal(amount),
            currency="EUR",
            custom=dict(custom),
            product_rows=[]
            if amount is None
            else [ProductRow(name="Solar roof", price=Decimal(amount))],
        )
        await create_item(session, deal, stages[stage], cause)
        if stage == "Contract":
            call = CrmActivity(
                kind=CrmActivityKind.CALL,
                subject="Ask when the scaffold can come",
                item=deal,
                responsible=people["tom"],
                creator=people["ada"],
                starts_at=clock.now() + timedelta(days=1),
                ends_at=clock.now() + timedelta(days=1, minutes=20),
                reminders=[],
            )
            await take_client(session, call)
            await put_crm_activity(session, call, [15], cause)
    lead = Lead(
        title="Call from the fair",
        first_name="Clara",
        last_name="Vogt",
        responsible=people["tom"],
        creator=people["ada"],
        custom={"campaign": "Fair in Kiel"},
        contact_points=points(phones=["0171 5550199"], emails=[], region="DE"),
    )
    await create_item(session, lead, stages["Incoming"], cause)
    await _papers(session, stages, deals["Roof for the Kellers"], cause)


async def _papers(
    session: AsyncSession, stages: dict[str, Stage], deal: Deal, cause: Cause
) -> None:
    """Make a quote and the first invoice of a deal."""
    today = clock.now().date()
    for kind, title, product, price, days, stage in (
        (Quote, deal.title, "Solar roof", "18500", 30, "Sent"),
        (Invoice, f"{deal.title}, deposit", "Deposit", "5550", 14, "Invoices: Sent"),
    ):
        paper = kind(
            title=title,
            responsible=deal.responsible,
            creator=deal.creator,
            contact=deal.contact,
            amount=Decimal(price),
            currency=deal.currency,
            close_date=today + timedelta(days=days),
            custom={},
            product_rows=[ProductRow(name=product, price=Decimal(price))],
            source_item=deal,
        )
        await create_item(session, paper, stages[stage], cause)
