"""The migrations lead to the tables that the code has, and back."""

from datetime import timedelta

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select

from models import clock
from models.booking import Booking, BookingHold
from models.database import Database
from models.delivery import Reaction, ReactionKind
from models.document import DocumentView
from models.item import Item
from models.migrations import alembic_config, migrate, revisions
from models.resource import Resource
from models.tables import metadata
from sample_company import load_sample_company
from tests.fixtures.documents import made


def test_there_is_one_newest_revision() -> None:
    heads = ScriptDirectory.from_config(alembic_config()).get_heads()

    assert len(heads) == 1


async def test_a_migrated_database_is_at_the_newest_revision(database: Database) -> None:
    present, newest = await revisions(database)

    assert present == newest


async def test_the_tables_of_a_migrated_database_are_those_of_the_code(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with database.engine.connect() as connection:
        found = await connection.run_sync(differences)

    assert found == []


async def test_every_migration_goes_down_and_up_again(database: Database) -> None:
    def tables(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), "base"))
        left = await connection.run_sync(tables)
    await migrate(database)
    async with database.engine.connect() as connection:
        back = await connection.run_sync(tables)

    assert left == {"alembic_version"} | (left & {"sqlite_sequence"})
    assert set(metadata.tables) <= back


async def test_a_company_goes_one_migration_down_and_up_again_and_keeps_what_was_there_before(
    database: Database,
) -> None:
    def rows(connection: Connection) -> dict[str, int]:
        return {
            name: connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }

    def down(connection: Connection) -> set[str]:
        command.downgrade(alembic_config(connection), "-1")
        return set(inspect(connection).get_table_names()) & set(metadata.tables)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    await load_sample_company(database)
    await use_what_is_newest(database)
    async with database.engine.begin() as connection:
        full = await connection.run_sync(rows)
        older = await connection.run_sync(down)
    await migrate(database)
    async with database.engine.connect() as connection:
        back = await connection.run_sync(rows)
        different = await connection.run_sync(differences)

    newest = set(full) - older
    assert {name: full[name] for name in newest if not full[name]} == {}
    assert full["rule_runs"] > 0
    assert {name: back[name] for name in older} == {name: full[name] for name in older}
    assert different == []


async def use_what_is_newest(database: Database) -> None:
    """Write a row into each table that the newest migration has made."""
    document = await made(database)
    start, end = clock.now(), clock.now() + timedelta(hours=1)
    async with database.transaction() as session:
        crane = Resource(name="Crane")
        hold = BookingHold(resource=crane, starts_at=start, ends_at=end)
        item = await session.get_one(Item, document.item_id)
        booking = Booking(
            item=item, field="visit", service="Survey", starts_at=start, ends_at=end, holds=[hold]
        )
        reaction = Reaction(delivery_id=document.delivery_id or 0, kind=ReactionKind.OPENED)
        session.add_all([booking, reaction, DocumentView(document_id=document.id)])
