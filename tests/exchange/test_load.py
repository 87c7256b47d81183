"""Loading a folder: all of it or nothing, once and not again, with a reason for every bad line."""

import asyncio
import csv
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from exchange.check import Wishes
from exchange.layout import parse_layout
from exchange.lines import CannotLoad
from exchange.load import chosen_layout, load
from exchange.report import Report
from models.company import Company
from models.contact import Contact
from models.database import Database
from models.department import Department
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.history import HistoryEntry
from models.item import Deal, Lead
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage, StageKind, add_pipeline
from models.product import Product
from models.recycle_bin import delete_client, delete_item
from models.rule_run import RuleRun
from models.stage_entry import Automation, Cause, CauseKind, StageEntry
from models.user import Role, User, supervisor_of
from tests.exchange.folders import (
    administered,
    counts,
    loaded,
    named,
    nobody,
    sample,
    told,
    with_line,
    written,
)
from tests.factories import a_rule, all_of

EVERYTHING = (User, Department, Product, Company, Contact, Pipeline, Stage, Deal, StageEntry)

WHOLE = (
    joinedload(Deal.stage),
    joinedload(Deal.pipeline),
    joinedload(Deal.responsible),
    joinedload(Deal.creator),
    joinedload(Deal.company),
    selectinload(Deal.product_rows),
)


@pytest.fixture
async def admin(database: Database) -> User:
    return await administered(database)


async def deal(database: Database, external_id: str) -> Deal:
    [found] = await all_of(database, Deal, Deal.external_id == external_id, options=WHOLE)
    return found


async def rows_in(database: Database) -> dict[str, int | None]:
    """Return how many rows there are of everything."""
    async with database.reading() as session:
        return {
            kind.__name__: await session.scalar(select(func.count()).select_from(kind))
            for kind in (*EVERYTHING, HistoryEntry)
        }


async def test_a_company_is_loaded_with_its_people_clients_products_and_deals(
    database: Database, tmp_path: Path, admin: User
) -> None:
    report = await loaded(database, sample(tmp_path / "there"))

    assert report.loaded
    assert report.exit_code == 0
    assert counts(report) == {
        "departments": (4, 0, 0, 0),
        "users": (5, 0, 0, 0),
        "products": (3, 0, 0, 0),
        "companies": (3, 0, 0, 0),
        "deals": (4, 0, 0, 0),
        "pipelines": (1, 0, 0, 0),
    }


async def test_a_deal_has_all_that_its_line_says(
    database: Database, tmp_path: Path, admin: User
) -> None:
    await loaded(database, sample(tmp_path / "there"))

    won = await deal(database, "A1")
    [row] = won.product_rows
    assert won.title == "Roof One for Bakery Sonne"
    assert won.stage.name == "Won"
    assert won.stage.kind is StageKind.WON
    assert won.pipeline.name == "Sales opportunities"
    assert won.responsible is not None
    assert won.responsible.name == "Tom Berg"
    assert won.creator is not None
    assert won.creator.id == admin.id
    assert won.company is not None
    assert won.company.name == "Bakery Sonne"
    assert (won.begin_date, won.close_date) == (date(2016, 10, 20), date(2017, 3, 1))
    assert won.amount == Decimal("1054.00")
    assert (row.name, row.price, row.quantity) == ("Roof One", Decimal("550.00"), Decimal("1.00"))
    assert row.product_id is not None


async def test_empty_cells_leave_fields_empty(
    database: Database, tmp_path: Path, admin: User
) -> None:
    await loaded(database, sample(tmp_path / "there"))

    engaged = await deal(database, "A2")
    assert engaged.title == "Roof Pro"
    assert (engaged.company, engaged.amount, engaged.close_date) == (None, None, None)


async def test_a_company_may_be_a_subsidiary_of_one_further_down(
    database: Database, tmp_path: Path, admin: User
) -> None:
    await loaded(database, sample(tmp_path / "there"))

    async with database.reading() as session:
        bakery = await named(session, Company, "Bakery Sonne")
        holding = await named(session, Company, "Sonne Holding")
    assert bakery.parent_id == holding.id
    assert bakery.annual_revenue == Decimal("1250000.00")
    assert (bakery.industry, bakery.founded_year, bakery.employees) == ("food", 1996, 12)
    assert holding.address == "Berlin, Germany"


async def test_the_manager_of_a_team_supervises_its_agents(
    database: Database, tmp_path: Path, admin: User
) -> None:
    await loaded(database, sample(tmp_path / "there"))

    async with database.reading() as session:
        ida = await named(session, User, "Ida Holm")
        above = await supervisor_of(session, ida)
        nobody_above = await supervisor_of(session, await named(session, User, "Marta Lind"))
    assert above is not None
    assert (above.name, above.role) == ("Marta Lind", Role.MANAGER)
    assert nobody_above is None


async def test_items_are_entered_now_and_their_history_begins(
    database: Database, tmp_path: Path, admin: User
) -> None:
    await loaded(database, sample(tmp_path / "there"))

    entries = await all_of(database, StageEntry)
    lines = await all_of(database, HistoryEntry)
    assert [entry.cause for entry in entries] == [CauseKind.PERSON] * 4
    assert {entry.cause_user_id for entry in entries} == {admin.id}
    assert [line.text for line in lines] == [
        "Created in «Won». Its rules were not run.",
        "Created in «Engaging». Its rules were not run.",
        "Created in «Prospecting». Its rules were not run.",
        "Created in «Lost». Its rules were not run.",
    ]
    assert all(entry.entered_at.year > 2020 for entry in entries)


async def test_loading_twice_changes_nothing(
    database: Database, tmp_path: Path, admin: User
) -> None:
    folder = sample(tmp_path / "there")
    await loaded(database, folder)
    before = await rows_in(database)

    report = await loaded(database, folder)

    assert await rows_in(database) == before
    assert counts(report) == {
        "departments": (0, 4, 0, 0),
        "users": (0, 5, 0, 0),
        "products": (0, 3, 0, 0),
        "companies": (0, 3, 0, 0),
        "deals": (0, 4, 0, 0),
    }


async def test_what_was_deleted_since_stays_deleted(
    database: Database, tmp_path: Path, admin: User
) -> None:
    folder = sample(tmp_path / "there")
    await loaded(database, folder)
    async with database.transaction() as session:
        lost = await session.get_one(Deal, (await deal(database, "A4")).id)
        await delete_item(session, lost, Cause.person(admin))
        delete_client(session, await named(session, Company, "Bakery Sonne"), Cause.person(admin))

    report = await loaded(database, folder)

    assert counts(report)["deals"] == (0, 4, 0, 0)
    assert counts(report)["companies"] == (0, 3, 0, 0)
    assert (await deal(database, "A4")).deleted_at is not None


async def test_a_client_in_the_recycle_bin_cannot_be_named_by_a_new_deal(
    database: Database, tmp_path: Path, admin: User
) -> None:
    await loaded(database, sample(tmp_path / "there"))
    async with database.transaction() as session:
        delete_client(session, await named(session, Company, "Sonne Holding"), Cause.person(admin))
    more = with_line(
        tmp_path / "more", "sales_pipeline", "A9,Tom Berg,Battery,Sonne Holding,Won,,,"
    )

    report = await loaded(database, more)

    assert told(report) == [
        (
            "sales_pipeline.csv line 6, account: company Sonne Holding cannot be named: "
            "it is in the recycle bin"
        )
    ]


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        (
            "sales_pipeline",
            "A9,Tom Berg,RoofOne,,Won,,,",
            "sales_pipeline.csv line 6, product: unknown product RoofOne, did you mean Roof One?",
        ),
        (
            "sales_pipeline",
            "A9,Tom Borg,Battery,,Won,,,",
            "sales_pipeline.csv line 6, sales_agent: unknown user Tom Borg, did you mean Tom Berg?",
        ),
        (
            "sales_pipeline",
            "A9,Tom Berg,Battery,,Wonn,,,",
            (
                "sales_pipeline.csv line 6, deal_stage: pipeline Sales opportunities has no stage "
                "Wonn, did you mean Won?"
            ),
        ),
        (
            "sales_pipeline",
            "A9,Tom Berg,Battery,,Won,2017-02-30,,",
            "sales_pipeline.csv line 6, engage_date: «2017-02-30» is not a date such as 2027-08-31",
        ),
        (
            "sales_pipeline",
            "A9,Tom Berg,Battery,,Won,,,much",
            "sales_pipeline.csv line 6, close_value: «much» is not a number such as 12.50",
        ),
        (
            "sales_pipeline",
            "A9,Tom Berg,Battery,,Won,,,-1",
            "sales_pipeline.csv line 6, close_value: «-1» is not an amount from 0 to 16 digits",
        ),
        (
            "sales_pipeline",
            "A1,Tom Berg,Battery,,Won,,,",
            "sales_pipeline.csv line 6, opportunity_id: deal A1 stands in line 2 already",
        ),
        (
            "sales_pipeline",
            ",Tom Berg,Battery,,Won,,,",
            "sales_pipeline.csv line 6, opportunity_id: it must not be empty",
        ),
        (
            "sales_pipeline",
            "A9,Tom Berg",
            "sales_pipeline.csv line 6: it has 2 cells, the first line has 8",
        ),
        (
            "accounts",
            "Baker & Sons,,,,many,,",
            "accounts.csv line 5, employees: «many» is not a number such as 12.50",
        ),
        (
            "accounts",
            "Baker & Sons,,,,1.5,,",
            "accounts.csv line 5, employees: «1.5» is not a whole number from 0 on",
        ),
        (
            "accounts",
            "Baker & Sons,,,,,,Sone Holding",
            (
                "accounts.csv line 5, subsidiary_of: unknown company Sone Holding, "
                "did you mean Sonne Holding?"
            ),
        ),
        (
            "accounts",
            "Baker & Sons,,,,,,Baker & Sons",
            (
                "accounts.csv line 5, subsidiary_of: company Baker & Sons stands under itself: "
                "that is a circle"
            ),
        ),
        (
            "sales_teams",
            "Tom Berg,Marta Lind,North",
            "sales_teams.csv line 5, sales_agent: user Tom Berg stands in line 2 already",
        ),
        (
            "sales_teams",
            "Eva Ross,Marta Lind,South",
            (
                "sales_teams.csv line 5, manager: department Team Marta Lind is not the same as "
                "in line 2"
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
async def test_one_bad_line_and_nothing_is_loaded(
    database: Database, tmp_path: Path, admin: User, file: str, line: str, why: str
) -> None:
    before = await rows_in(database)

    report = await loaded(database, with_line(tmp_path / "there", file, line))

    assert told(report) == [why]
    assert (report.loaded, report.exit_code) == (False, 1)
    assert await rows_in(database) == before


async def test_companies_that_are_over_each_other_are_refused(
    database: Database, tmp_path: Path, admin: User
) -> None:
    circle = "A,,,,,,B\nB,,,,,,C\nC,,,,,,A\nD,,,,,,A"

    report = await loaded(database, with_line(tmp_path / "there", "accounts", circle))

    assert [line.split(":")[0] for line in told(report)[:3]] == [
        "accounts.csv line 5, subsidiary_of",
        "accounts.csv line 6, subsidiary_of",
        "accounts.csv line 7, subsidiary_of",
    ]
    assert told(report)[3].endswith(
        "company A cannot be named: line 5 of accounts.csv, which brings it, is bad"
    )


async def test_who_keeps_going_leaves_out_bad_lines_and_those_that_name_them(
    database: Database, tmp_path: Path, admin: User
) -> None:
    folder = with_line(tmp_path / "there", "accounts", "Baker & Sons,,,,many,,")
    deals = folder / "sales_pipeline.csv"
    more = "A8,Tom Berg,Battery,Baker & Sons,Won,,,\nA9,Tom Berg,Battery,,Won,,,\n"
    deals.write_text(deals.read_text() + more)

    report = await loaded(database, folder, keep_going=True, create_missing=True)

    assert told(report)[1] == (
        "sales_pipeline.csv line 6, account: company Baker & Sons cannot be named: "
        "line 5 of accounts.csv, which brings it, is bad"
    )
    assert (report.loaded, report.exit_code) == (True, 2)
    assert counts(report)["deals"] == (5, 0, 0, 1)
    assert (await deal(database, "A9")).company is None


async def test_every_bad_line_stands_in_the_report_file(
    database: Database, tmp_path: Path, admin: User
) -> None:
    lines = [f"B{number},Tom Berg,Bettery,,Won,,," for number in range(60)]
    folder = with_line(tmp_path / "there", "sales_pipeline", *lines)

    report = await load(database, folder, Wishes(), nobody, report_file=tmp_path / "bad.csv")

    with (tmp_path / "bad.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(report.bad.first) == 50
    assert len(report.bad.lines) == 60
    assert [each["line"] for each in found] == [str(number) for number in range(6, 66)]
    assert found[0] == {
        "file": "sales_pipeline.csv",
        "line": "6",
        "column": "product",
        "reason": "unknown product Bettery, did you mean Battery?",
    }


async def test_missing_names_are_made_once_if_wished(
    database: Database, tmp_path: Path, admin: User
) -> None:
    folder = with_line(
        tmp_path / "there",
        "sales_pipeline",
        "A8,New Hand,RoofPro,New Firm,Won,,,",
        "A9,New Hand,RoofPro,New Firm,Won,,,",
    )

    report = await loaded(database, folder, create_missing=True)
    again = await loaded(database, folder)

    assert {kind.value: count for kind, count in report.made_on_demand.items()} == {
        "users": 1,
        "products": 1,
        "companies": 1,
    }
    assert counts(again)["deals"] == (0, 6, 0, 0)
    last = await deal(database, "A9")
    assert last.company is not None
    assert (last.company.name, last.product_rows[0].price) == ("New Firm", Decimal("0.00"))
    assert len(await all_of(database, User, User.name == "New Hand")) == 1


async def test_what_was_made_by_hand_is_taken_for_the_one_of_that_name(
    database: Database, tmp_path: Path, admin: User
) -> None:
    async with database.transaction() as session:
        session.add(Company(name="Bakery Sonne", comments="By hand", contact_points=[]))
        session.add(User(name="Tom Berg", email="tom@example.com"))
        session.add_all(Company(name="Sonne Holding", contact_points=[]) for _ in range(2))
    folder = with_line(tmp_path / "there", "products")

    report = await loaded(database, folder)

    async with database.reading() as session:
        bakery = await named(session, Company, "Bakery Sonne")
        tom = await named(session, User, "Tom Berg")
    assert counts(report)["companies"] == (2, 0, 1, 0)
    assert counts(report)["users"] == (4, 0, 1, 0)
    assert (bakery.external_id, bakery.comments) == ("Bakery Sonne", "By hand")
    assert bakery.version == 2
    assert (tom.external_id, tom.department_id) == ("Tom Berg", None)
    assert counts(await loaded(database, folder))["companies"] == (0, 3, 0, 0)


async def test_a_name_that_several_have_says_nothing(
    database: Database, tmp_path: Path, admin: User
) -> None:
    async with database.transaction() as session:
        session.add_all(Product(name="Twin") for _ in range(2))
    folder = with_line(tmp_path / "there", "sales_pipeline", "A9,Tom Berg,Twin,,Won,,,")

    report = await loaded(database, folder)

    assert told(report) == [
        (
            "sales_pipeline.csv line 6, product: product Twin cannot be named: "
            "several products are called so"
        )
    ]


async def test_a_dry_run_says_all_and_loads_nothing(
    database: Database, tmp_path: Path, admin: User
) -> None:
    before = await rows_in(database)

    report = await loaded(database, sample(tmp_path / "there"), dry=True)

    assert counts(report)["deals"] == (4, 0, 0, 0)
    assert (report.loaded, report.exit_code) == (False, 0)
    assert await rows_in(database) == before


async def test_a_pipeline_that_is_there_is_used(
    database: Database, tmp_path: Path, admin: User
) -> None:
    async with database.transaction() as session:
        stages = [{"name": name} for name in ("Prospecting", "Engaging", "Won")]
        await add_pipeline(session, name="Ours", item_type=ItemType.DEAL, stages=stages)

    refused = await loaded(database, sample(tmp_path / "there"), pipeline="Ours")
    report = await loaded(database, tmp_path / "there", pipeline="Ours", keep_going=True)

    assert told(refused) == [
        (
            "sales_pipeline.csv line 5, deal_stage: pipeline Ours has no stage Lost; "
            "there are Prospecting, Engaging, Won"
        )
    ]
    assert counts(report)["deals"] == (3, 0, 0, 1)
    assert [each.name for each in await all_of(database, Pipeline)] == ["Ours"]


async def test_a_pipeline_that_is_not_there_is_made_under_the_name_wished(
    database: Database, tmp_path: Path, admin: User
) -> None:
    await loaded(database, sample(tmp_path / "there"), pipeline="Ours")

    stages = await all_of(database, Stage, options=(joinedload(Stage.pipeline),))
    assert [(each.pipeline.name, each.name, each.kind.value) for each in stages] == [
        ("Ours", "Prospecting", "open"),
        ("Ours", "Engaging", "open"),
        ("Ours", "Won", "won"),
        ("Ours", "Lost", "lost"),
    ]


@pytest.mark.parametrize(("automation", "runs"), [(Automation.RUN, 1), (Automation.SKIP, 0)])
async def test_rules_run_for_loaded_items_only_if_wished(
    database: Database, tmp_path: Path, admin: User, automation: Automation, runs: int
) -> None:
    async with database.transaction() as session:
        stages = [{"name": name} for name in ("Prospecting", "Engaging", "Won", "Lost")]
        ours = await add_pipeline(session, name="Ours", item_type=ItemType.DEAL, stages=stages)
        a_rule(session, await session.get_one(Stage, ours.stages[2].id))

    await loaded(database, sample(tmp_path / "there"), pipeline="Ours", automation=automation)

    found = await all_of(database, RuleRun)
    entries = await all_of(database, StageEntry)
    assert len(found) == runs
    assert {entry.automation for entry in entries} == {automation}


async def test_somebody_must_be_there_who_creates_the_items(
    database: Database, tmp_path: Path
) -> None:
    folder = sample(tmp_path / "there")

    with pytest.raises(CannotLoad, match="neither the database nor the files have an active admin"):
        await loaded(database, folder)
    with pytest.raises(CannotLoad, match="no active user with the e-mail address eve@example"):
        await loaded(database, folder, by="eve@example.com")

    assert await all_of(database, User) == []


async def test_the_items_are_created_by_whom_one_says(
    database: Database, tmp_path: Path, admin: User
) -> None:
    eve = User(name="Eve", email="eve@example.com")
    async with database.transaction() as session:
        session.add(eve)

    await loaded(database, sample(tmp_path / "there"), by="eve@example.com")

    assert (await deal(database, "A1")).creator_id == eve.id


LAYOUT = """
delimiter = ";"

[[pipelines]]
name = "Anfragen"
item_type = "lead"
stages = [{ name = "Neu" }, { name = "Tot", kind = "lost" }]

[[tables]]
kind = "contacts"
file = "people.csv"

[tables.fields]
external_id = "no"
first_name = "first"
last_name = "last"
company = "firm"
phones = "phone"
emails = "mail"

[[tables]]
kind = "leads"
file = "calls.csv"

[tables.fields]
external_id = "no"
title = { text = "Call[ of {who}]" }
contact = "who"
stage = { column = "state", values = { "0" = "Neu", "1" = "Tot" } }
begin_date = { column = "day", format = "%d.%m.%Y" }
emails = "mail"
"custom.size" = "size"
"custom.sides" = "sides"
"custom.solar" = "solar"
"custom.seller" = "seller"
"""


@pytest.fixture
async def leads_folder(database: Database, tmp_path: Path, admin: User) -> Path:
    async with database.transaction() as session:
        for name, kind, choices in (
            ("size", FieldKind.NUMBER, []),
            ("sides", FieldKind.MULTI, ["north", "south"]),
            ("solar", FieldKind.BOOLEAN, []),
            ("seller", FieldKind.USER, []),
            ("visit", FieldKind.BOOKING, []),
        ):
            defined = FieldDefinition(
                item_type=ItemType.LEAD, name=name, title=name.title(), kind=kind, choices=choices
            )
            await add_definition(session, defined)
    folder = written(
        tmp_path / "leads",
        people='no;first;last;firm;phone;mail\n7;Anna;Keller;Sonne;030 901820;"a@k.de; b@k.de"\n',
        calls="no;who;state;day;mail;size;sides;solar;seller\n"
        "1;Anna Keller;0;31.08.2027;x@y.de;12.5;south;true;Ada Winter\n",
    )
    (folder / "mine.toml").write_text(LAYOUT)
    return folder


async def test_a_layout_of_ones_own_says_which_column_is_what(
    database: Database, leads_folder: Path, admin: User
) -> None:
    layout = chosen_layout(leads_folder / "mine.toml")

    report = await loaded(database, leads_folder, layout, create_missing=True)

    [lead] = await all_of(
        database,
        Lead,
        options=(
            joinedload(Lead.stage),
            joinedload(Lead.contact).joinedload(Contact.company),
            joinedload(Lead.contact).selectinload(Contact.contact_points),
            selectinload(Lead.contact_points),
        ),
    )
    assert told(report) == []
    assert (lead.title, lead.stage.name, lead.begin_date) == (
        "Call of Anna Keller",
        "Neu",
        date(2027, 8, 31),
    )
    assert lead.custom == {"size": 12.5, "sides": ["south"], "solar": True, "seller": admin.id}
    assert lead.emails == ["x@y.de"]
    assert lead.contact is not None
    assert lead.contact.company is not None
    assert lead.contact.company.name == "Sonne"
    assert (lead.contact.phones, lead.contact.emails) == (["030 901820"], ["a@k.de", "b@k.de"])


async def test_what_bookings_fill_is_not_loaded(database: Database, leads_folder: Path) -> None:
    layout = parse_layout(LAYOUT.replace('"custom.size"', '"custom.visit"'), "mine.toml")

    report = await loaded(database, leads_folder, layout, keep_going=True)

    assert (
        "calls.csv line 2, size: «Visit» takes nothing by itself: it says when the next of its "
        "bookings starts"
    ) in told(report)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("12.5", "big", "calls.csv line 2, size: «Size» takes a number"),
        ("south", "sout", "calls.csv line 2, sides: «Sides» has no choice sout, did you mean"),
        ("true", "yes", "calls.csv line 2, solar: «yes» is neither true nor false"),
        ("Ada Winter", "Ada", "calls.csv line 2, seller: unknown user Ada"),
        ("x@y.de", "x@", "calls.csv line 2, mail: «x@» is not an e-mail address"),
        ("31.08.2027", "2027-08-31", "calls.csv line 2, day: «2027-08-31» is not a date like"),
        (";0;", ";Nue;", "calls.csv line 2, state: pipeline Anfragen has no stage Nue, did you"),
    ],
    ids=str,
)
async def test_values_are_checked_like_those_of_the_api(
    database: Database, leads_folder: Path, old: str, new: str, why: str
) -> None:
    calls = leads_folder / "calls.csv"
    calls.write_text(calls.read_text().replace(old, new))
    layout = chosen_layout(leads_folder / "mine.toml")

    report = await loaded(database, leads_folder, layout, keep_going=True)

    assert [line for line in told(report) if line.startswith(why)] != []


async def test_a_custom_field_that_nobody_defined_is_refused(
    database: Database, leads_folder: Path
) -> None:
    layout = parse_layout(LAYOUT.replace('"custom.size"', '"custom.sise"'), "mine.toml")

    with pytest.raises(CannotLoad, match="leads have no custom field sise, did you mean size"):
        await loaded(database, leads_folder, layout)


@pytest.mark.parametrize(
    ("wishes", "content", "why"),
    [
        ({"pipeline": "Other"}, "external_id,title,pipeline,stage\n", "says the pipeline of every"),
    ],
)
async def test_what_cannot_be_wished_is_said(
    database: Database, tmp_path: Path, wishes: dict[str, Any], content: str, why: str
) -> None:
    layout = parse_layout(
        '[[tables]]\nkind = "deals"\nfile = "deals.csv"\n'
        'fields = { external_id = "external_id", title = "title", pipeline = "pipeline" }\n',
        "mine.toml",
    )

    with pytest.raises(CannotLoad, match=why):
        await loaded(database, written(tmp_path / "there", deals=content), layout, **wishes)


async def test_two_who_load_at_once_load_it_once(
    database: Database, tmp_path: Path, admin: User
) -> None:
    folder = sample(tmp_path / "there")

    done = await asyncio.gather(
        loaded(database, folder), loaded(database, folder), return_exceptions=True
    )

    assert {type(each) for each in done} <= {Report, CannotLoad}
    assert len(await all_of(database, Deal)) == 4
    assert len(await all_of(database, Pipeline)) == 1
