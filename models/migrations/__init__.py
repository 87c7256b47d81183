"""Migrations: bring a database to the present tables, and give a new one its identity."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from models.database import Database
from models.installation import THE_ONE, Installation


def alembic_config(connection: Connection | None = None) -> Config:
    """Return the configuration of the migration scripts, which lie in this folder."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def migrate(database: Database) -> None:
    """Bring the database to the newest revision; an empty one gets a `database_id` of its own."""

    def upgrade(connection: Connection) -> None:
        command.upgrade(alembic_config(connection), "head")

    async with database.engine.begin() as connection:
        await connection.run_sync(upgrade)
    async with database.transaction() as session:
        if await session.get(Installation, THE_ONE) is None:
            session.add(Installation())


async def revisions(database: Database) -> tuple[str | None, str | None]:
    """Return the revision of the database, None if it has no tables, and the newest one."""

    def present(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with database.engine.connect() as connection:
        newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
        return await connection.run_sync(present), newest
