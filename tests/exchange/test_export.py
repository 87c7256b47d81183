"""Exporting: what goes in comes out."""

import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from exchange.export import Exported, Sheets, export
from exchange.layout import built_in
from exchange.lines import CannotLoad
from models.database import Database
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.item import Deal
from models.item_type import ItemType
from models.pipeline import Pipeline, add_pipeline
from models.product import products_where, remove_product
from models.recycle_bin import delete_item
from models.stage_entry import Cause
from models.user import User, administrators
from tests.exchange.folders import (
    administered,
    counts,
    loaded,
    nobody,
    rich_company,
    sample,
    told,
    written,
)
from tests.factories import all_of, entered

OF_ONE_DATABASE = {"id", "created_at", "pipeline_id", "stage_id"}
"""Columns that have other values elsewhere."""


@pytest.fixture(params=["sqlite", "postgres"])
async def two_databases(
    request: pytest.FixtureRequest, sqlite_database_url: str, postgres_database_url: str
) -> AsyncIterator[tuple[Database, Database]]:
    """An empty database of each kind, the one of the parameter first."""
    urls = [sqlite_database_url, postgres_database_url]
    first, second = (Database(url) for url in (urls if request.param == "sqlite" else urls[::-1]))
    yield first, second
    await first.close()
    await second.close()


async def exported(database: Database, folder: Path, **wishes: Any) -> Exported:
    return await export(database, folder, nobody, **wishes)


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def lasting(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Return what every file holds, without what belongs to one database only."""
    return {
        path.name: [
            {name: text for name, text in line.items() if name not in OF_ONE_DATABASE}
            for line in lines(path)
        ]
        for path in sorted(folder.iterdir())
        if path.stem not in {"history", "runs"}
    }


async def test_what_is_exported_and_loaded_elsewhere_is_exported_the_same(
    two_databases: tuple[Database, Database], tmp_path: Path
) -> None:
    here, there = two_databases
    await rich_company(here)

    await exported(here, tmp_path / "one")
    report = await loaded(there, tmp_path / "one")
    await exported(there, tmp_path / "two")

    assert told(report) == []
    assert report.ignored == []
    assert {kind: made for kind, (made, *_) in counts(report).items()} == {
        "field_definitions": 7,
        "pipelines": 6,
        "departments": 2,
        "users": 3,
        "products": 1,
        "companies": 2,
        "contacts": 3,
        "leads": 1,
        "deals": 3,
        "quotes": 1,
        "invoices": 1,
        "product_rows": 6,
    }
    assert lasting(tmp_path / "two") == lasting(tmp_path / "one")


async def test_what_was_exported_before_there_were_quotes_and_invoices_is_read_too(
    two_databases: tuple[Database, Database], tmp_path: Path
) -> None:
    here, there = two_databases
    await rich_company(here)
    await exported(here, tmp_path)
    (tmp_path / "quotes.csv").unlink()
    (tmp_path / "invoices.csv").unlink()
    without(tmp_path / "leads.csv", "converted_at", "source_quote", "source_invoice")
    without(tmp_path / "deals.csv", "source_quote", "source_invoice")
    without(tmp_path / "product_rows.csv", "lead", "quote", "invoice")

    report = await loaded(there, tmp_path, keep_going=True)

    assert counts(report)["deals"] == (3, 0, 0, 0)
    assert counts(report)["product_rows"] == (3, 0, 0, 3)
    assert set(told(report)) == {
        f"product_rows.csv line {line}: it must name one item: lead, deal, quote, invoice"
        for line in (5, 6, 7)
    }


def without(file: Path, *columns: str) -> None:
    """Take columns out of a file."""
    rows = lines(file)
    names = [name for name in rows[0] if name not in columns]
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


async def test_an_export_loaded_where_it_comes_from_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    await rich_company(database)
    await exported(database, tmp_path / "one")

    report = await loaded(database, tmp_path / "one")
    await exported(database, tmp_path / "two")

    assert told(report) == []
    assert {made for made, *_ in counts(report).values()} == {0}
    assert {file.name: file.read_bytes() for file in (tmp_path / "two").iterdir()} == {
        file.name: file.read_bytes() for file in (tmp_path / "one").iterdir()
    }


async def test_rows_of_deals_that_are_there_are_not_looked_at_again(
    database: Database, tmp_path: Path
) -> None:
    await rich_company(database)
    await exported(database, tmp_path / "one")
    async with database.transaction() as session:
        [roof] = await session.scalars(products_where())
        remove_product(roof)
        [admin] = await administrators(session)
        [sold] = await session.scalars(select(Deal).where(Deal.external_id == "D/1"))
        await delete_item(session, sold, Cause.person(admin))

    report = await loaded(database, tmp_path / "one")

    assert told(report) == []
    assert counts(report)["product_rows"] == (0, 6, 0, 0)


async def test_values_are_texts_that_every_program_reads(
    database: Database, tmp_path: Path
) -> None:
    await rich_company(database)

    await exported(database, tmp_path / "there")

    deal = lines(tmp_path / "there" / "deals.csv")[0]
    wanted = {
        "external_id": "D/1",
        "stage": "Won",
        "amount": "18500.50",
        "close_date": "2027-12-31",
        "responsible": "tom-1",
        "responsible_name": "Tom",
        "custom.sides": '["north; east", "south"]',
        "custom.note": " 007 ",
        "comments": "-2 % discount\r\n+ a beer; then\tthe “usual” \U0001f600\nend",
    }
    assert {name: deal[name] for name in wanted} == wanted
    assert (tmp_path / "there" / "deals.csv").read_bytes().count(b"\r\n") == 4 + 1


async def test_what_bookings_fill_is_left_out_and_the_rest_can_be_loaded_again(
    database: Database, tmp_path: Path
) -> None:
    await rich_company(database)
    visit = FieldDefinition(
        item_type=ItemType.DEAL, name="visit", title="Visit", kind=FieldKind.BOOKING, choices=[]
    )
    async with database.transaction() as session:
        await add_definition(session, visit)
        [sold] = await session.scalars(select(Deal).where(Deal.external_id == "D/1"))
        sold.custom = {**sold.custom, "visit": "2099-08-03T12:00:00Z"}

    await exported(database, tmp_path / "there")
    report = await loaded(database, tmp_path / "there")

    deal = lines(tmp_path / "there" / "deals.csv")[0]
    assert "custom.visit" not in deal
    assert deal["custom.note"] == " 007 "
    assert told(report) == []


async def test_what_is_in_the_recycle_bin_is_neither_exported_nor_named(
    database: Database, tmp_path: Path
) -> None:
    await rich_company(database)

    await exported(database, tmp_path / "there")

    assert "Binned" not in (tmp_path / "there" / "deals.csv").read_text()
    assert [each["company"] for each in lines(tmp_path / "there" / "contacts.csv")][1] == ""
    assert [each["product_name"] for each in lines(tmp_path / "there" / "product_rows.csv")] == [
        "Roof",
        *[""] * 5,
    ]


async def test_history_and_runs_are_exported_too(database: Database, tmp_path: Path) -> None:
    entry = await entered(database, {"action": "create_task", "params": {"title": "Call"}})

    await exported(database, tmp_path / "there")

    [run] = lines(tmp_path / "there" / "runs.csv")
    [line] = lines(tmp_path / "there" / "history.csv")
    assert (run["action"], run["state"]) == ("create_task", "waiting")
    assert run["stage_entry_id"] == str(entry.id)
    assert (line["kind"], line["item_id"]) == ("created", str(entry.item_id))


async def test_only_some_files_are_written_if_wished(database: Database, tmp_path: Path) -> None:
    done = await exported(database, tmp_path / "there", only=["deals", "users"])

    assert {path.name for path in (tmp_path / "there").iterdir()} == {"deals.csv", "users.csv"}
    assert done.lines == {"users.csv": 0, "deals.csv": 0}


async def test_a_file_that_does_not_exist_is_said_with_the_nearest(
    database: Database, tmp_path: Path
) -> None:
    with pytest.raises(CannotLoad, match=r"no file dals to export, did you mean deals\?"):
        await exported(database, tmp_path / "there", only=["dals"])


async def test_a_folder_that_is_not_empty_is_left_alone(database: Database, tmp_path: Path) -> None:
    folder = written(tmp_path / "there", deals="mine")

    with pytest.raises(CannotLoad, match=r"is not empty\. Say --force"):
        await exported(database, folder)

    assert (folder / "deals.csv").read_text() == "mine"
    await exported(database, folder, force=True)
    assert (folder / "deals.csv").read_text().startswith("external_id,title,")


async def test_a_file_that_cannot_be_written_is_said(database: Database, tmp_path: Path) -> None:
    (tmp_path / "out" / "users.csv").mkdir(parents=True)

    with pytest.raises(CannotLoad, match=r"users.csv cannot be written: Is a directory"):
        await export(database, tmp_path / "out", nobody, force=True)


async def test_pipelines_that_cannot_be_told_apart_are_warned_of(
    database: Database, tmp_path: Path
) -> None:
    async with database.transaction() as session:
        for _ in range(2):
            twins = [{"name": "One"}, {"name": "One"}]
            await add_pipeline(session, name="Sales", item_type=ItemType.DEAL, stages=twins)

    done = await exported(database, tmp_path / "there")

    assert done.warnings == [
        "Two stages of the pipeline Sales are called the same.",
        "Two pipelines of deals are called Sales.",
        "Two stages of the pipeline Sales are called the same.",
    ]


async def test_a_loaded_company_keeps_its_own_names(database: Database, tmp_path: Path) -> None:
    await administered(database)
    await loaded(database, sample(tmp_path / "there"))

    await exported(database, tmp_path / "out")

    deals = lines(tmp_path / "out" / "deals.csv")
    assert [each["external_id"] for each in deals] == ["A1", "A2", "A3", "A4"]
    assert deals[0]["company"] == "Bakery Sonne"
    assert [each["deal"] for each in lines(tmp_path / "out" / "product_rows.csv")] == [
        "A1",
        "A2",
        "A3",
        "A4",
    ]


async def test_an_empty_database_is_exported_and_loaded(
    two_databases: tuple[Database, Database], tmp_path: Path
) -> None:
    here, there = two_databases

    await exported(here, tmp_path / "there")
    report = await loaded(there, tmp_path / "there")

    assert report.exit_code == 0
    assert await all_of(there, User) == []
    assert await all_of(there, Pipeline) == []


def test_everything_that_can_be_loaded_can_be_exported() -> None:
    assert {table.file for table in built_in("cuebook").tables} == {
        f"{name}.csv" for name in Sheets.names if name not in {"history", "runs"}
    }
