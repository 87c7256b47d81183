"""The migrations lead to the tables that the code has, and back."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from models.database import Database
from models.migrations import alembic_config, migrate, revisions
from models.tables import metadata


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
