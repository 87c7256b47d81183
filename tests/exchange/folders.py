"""Folders of CSV files to load, and databases to load them into."""

import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.check import Wishes
from exchange.layout import Layout
from exchange.load import load
from exchange.report import Report
from models import clock
from models.base import Record
from models.company import Company
from models.contact import Contact
from models.contact_point import points
from models.database import Database
from models.department import Department
from models.entering import create_item
from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.item import Deal, Invoice, Lead, Quote
from models.item_type import ItemType
from models.pipeline import StageKind, add_pipeline, find_stage
from models.product import Product
from models.product_row import ProductRow
from models.recycle_bin import delete_item
from models.stage_entry import Cause
from models.user import Reach, Role, User

SAMPLE = Path(__file__).parent / "sample"

Kind = TypeVar("Kind", bound=Record)


def nobody(_what: str, _done: int, _total: int | None) -> None:
    """Watch without a screen."""


def sample(folder: Path, **files: str) -> Path:
    """Copy the sample company; a file that is named has these lines instead."""
    shutil.copytree(SAMPLE, folder, dirs_exist_ok=True)
    return written(folder, **files)


def written(folder: Path, **files: str) -> Path:
    """Write files: each name has its text."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def with_line(folder: Path, name: str, *lines: str) -> Path:
    """Copy the sample company; a file has these lines more."""
    shutil.copytree(SAMPLE, folder, dirs_exist_ok=True)
    with (folder / f"{name}.csv").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return folder


async def administered(database: Database) -> User:
    admin = User(name="Ada Winter", email="ada@example.com", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(admin)
    return admin


async def loaded(
    database: Database, folder: Path, layout: Layout | None = None, **wishes: Any
) -> Report:
    return await load(database, folder, Wishes(**wishes), nobody, layout=layout)


def told(report: Report) -> list[str]:
    """Return the bad lines in words."""
    return [str(line) for line in report.bad.first]


def counts(report: Report) -> Mapping[str, tuple[int, int, int, int]]:
    """Return created, already there, adopted and bad, by kind."""
    return {
        kind.value: (count.created, count.present, count.adopted, count.bad)
        for kind, count in report.counts.items()
    }


async def named(session: AsyncSession, kind: type[Kind], name: str) -> Kind:
    """Return the one row of that name."""
    found = await session.scalars(select(kind).filter_by(name=name))
    return found.one()


async def rich_company(database: Database) -> None:
    """Fill an empty database with one of everything, and with what is awkward in a CSV file."""
    async with database.transaction() as session:
        for place, (item_type, name, kind, choices) in enumerate(
            (
                (ItemType.DEAL, "size", FieldKind.NUMBER, []),
                (ItemType.DEAL, "sides", FieldKind.MULTI, ["north; east", "south"]),
                (ItemType.DEAL, "seller", FieldKind.USER, []),
                (ItemType.DEAL, "note", FieldKind.TEXT, []),
                (ItemType.DEAL, "deposit", FieldKind.MONEY, []),
                (ItemType.LEAD, "solar", FieldKind.BOOLEAN, []),
                (ItemType.LEAD, "visit_at", FieldKind.DATETIME, []),
            )
        ):
            session.add(
                FieldDefinition(
                    item_type=item_type,
                    name=name,
                    title=f"{name}, told",
                    kind=kind,
                    choices=choices,
                    position=place,
                )
            )
        people = _people(session)
        await session.flush()
        sales = await add_pipeline(
            session,
            name="Sales",
            item_type=ItemType.DEAL,
            stages=[{"name": "New"}, {"name": "Won", "kind": StageKind.WON}],
        )
        await add_pipeline(session, name="Sales", item_type=ItemType.LEAD, stages=[{"name": "In"}])
        await add_pipeline(session, name="Empty", item_type=ItemType.DEAL)
        leads = await add_pipeline(
            session, name="Fair", item_type=ItemType.LEAD, stages=[{"name": "In"}, {"name": "Out"}]
        )
        quotes = await add_pipeline(
            session, name="Quotes", item_type=ItemType.QUOTE, stages=[{"name": "Draft"}]
        )
        invoices = await add_pipeline(
            session,
            name="Invoices",
            item_type=ItemType.INVOICE,
            stages=[{"name": "Sent"}, {"name": "Paid", "kind": StageKind.WON}],
        )
        stages = {
            (stage.pipeline_id, stage.name): await find_stage(session, stage.id)
            for pipeline in (sales, leads, quotes, invoices)
            for stage in pipeline.stages
        }
        clients = _clients(session)
        await session.flush()
        gone = Product(name="Sold out", price=Decimal(5))
        roof = Product(name="Roof", series="=1+1", price=Decimal("550.10"), currency="PLN")
        session.add_all([gone, roof])
        await session.flush()
        gone.deleted_at = clock.now()
        cause = Cause.person(people["ada"])
        won = Deal(
            title='Roof, "the big one"',
            creator=people["tom"],
            responsible=people["old"],
            company=clients["bakery"],
            contact=clients["anna"],
            further_contacts=[clients["other anna"], clients["nameless"]],
            amount=Decimal("18500.50"),
            currency="EUR",
            begin_date=date(2026, 1, 2),
            close_date=date(2027, 12, 31),
            source="@fair",
            comments="-2 % discount\r\n+ a beer; then\tthe \u201cusual\u201d \U0001f600\nend",
            custom={
                "size": 12.5,
                "sides": ["north; east", "south"],
                "seller": people["tom"].id,
                "note": " 007 ",
                "deposit": "12.50",
            },
            product_rows=[
                ProductRow.of(name="Roof", price=Decimal(500), product_id=roof.id),
                ProductRow.of(
                    name="Sold out", price=Decimal(5), quantity=Decimal("2.5"), product_id=gone.id
                ),
                ProductRow(name="Hours", price=Decimal("80.25"), quantity=Decimal(3)),
            ],
            external_id="D/1",
        )
        await create_item(session, won, stages[sales.id, "Won"], cause)
        plain = Deal(title="Plain", custom={}, further_contacts=[], product_rows=[])
        await create_item(session, plain, stages[sales.id, "New"], cause)
        lead = Lead(
            title="Call",
            first_name="Clara",
            last_name="=Vogt",
            source_item=won,
            contact_points=points(phones=["+49 171 5550199"], emails=["c@x.example"], region="DE"),
            custom={"solar": False, "visit_at": "2027-08-31T09:00:00Z"},
            further_contacts=[],
            product_rows=[ProductRow(name="Panel", price=Decimal(250))],
        )
        lead.converted_at = datetime(2026, 1, 2, 9, 30, tzinfo=UTC)
        await create_item(session, lead, stages[leads.id, "Out"], cause)
        again = Deal(
            title="Again", source_item=lead, custom={}, further_contacts=[], product_rows=[]
        )
        await create_item(session, again, stages[sales.id, "New"], cause)
        quote = Quote(
            title="Offer",
            source_item=won,
            close_date=date(2027, 1, 31),
            custom={},
            further_contacts=[],
            product_rows=[ProductRow(name="Panel", price=Decimal(240))],
        )
        await create_item(session, quote, stages[quotes.id, "Draft"], cause)
        bill = Invoice(
            title="Bill",
            source_item=quote,
            amount=Decimal(240),
            custom={},
            further_contacts=[],
            product_rows=[ProductRow(name="Panel", price=Decimal(240))],
        )
        bill.paid_at = datetime(2026, 2, 3, 8, 30, tzinfo=UTC)
        await create_item(session, bill, stages[invoices.id, "Paid"], cause)
        binned = Deal(title="Binned", custom={}, further_contacts=[], product_rows=[])
        await create_item(session, binned, stages[sales.id, "New"], cause)
        await delete_item(session, binned, cause)


def _people(session: AsyncSession) -> dict[str, User]:
    board, sales = Department(name="Board"), Department(name="Sales", external_id="S")
    sales.parent = board
    people = {
        "ada": User(name="Ada", email="ada@example.com", role=Role.ADMIN, department=board),
        "tom": User(
            name="Tom",
            department=sales,
            locale="pl_PL",
            time_zone="Europe/Warsaw",
            reach=Reach.OWN,
            absent_from=datetime(2026, 1, 1, 9, 30, tzinfo=UTC),
            absent_until=datetime(2026, 2, 1, tzinfo=UTC),
        ),
        "old": User(name="Tom", active=False, external_id="tom-1"),
    }
    session.add_all([*people.values(), board, sales])
    board.head, sales.head = people["ada"], people["tom"]
    return people


def _clients(session: AsyncSession) -> dict[str, Any]:
    holding = Company(name="Sonne", contact_points=[], annual_revenue=Decimal("0.50"))
    clients: dict[str, Any] = {
        "bakery": Company(
            name="Sonne",
            industry="food",
            address="Berlin,\nGermany",
            founded_year=1996,
            employees=12,
            parent=holding,
            comments="=cmd()",
            contact_points=points(
                phones=["030 901820", "+49 40 1"], emails=["i@s.example"], region="DE"
            ),
        ),
        "holding": holding,
        "binned": Company(name="Binned", contact_points=[], deleted_at=clock.now()),
        "anna": Contact(first_name="Anna", last_name="K", contact_points=[]),
        "other anna": Contact(
            first_name="Anna", last_name="K", position="Cook", contact_points=[], external_id="A2"
        ),
        "nameless": Contact(contact_points=points(phones=[], emails=["n@x.example"], region="DE")),
    }
    clients["anna"].company = clients["bakery"]
    clients["other anna"].company = clients["binned"]
    session.add_all(clients.values())
    return clients
