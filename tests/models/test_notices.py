"""Notices between processes, over PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from models.database import Database
from models.notices import Notices

PATIENCE = 20.0
OURS = (
    "FROM pg_stat_activity"
    " WHERE application_name = 'cuebook notices' AND datname = current_database()"
)
"""The connections of those who give and hear notices, on this database."""


class Listener:
    """Hears notices; also once whenever it has been connected."""

    def __init__(self, notices: Notices) -> None:
        self.count = 0
        self._heard = asyncio.Event()
        notices.listen(self._hear)

    def _hear(self) -> None:
        self.count += 1
        self._heard.set()

    async def hears(self) -> None:
        """Wait until something is heard."""
        async with asyncio.timeout(PATIENCE):
            await self._heard.wait()
        self._heard.clear()


@pytest.fixture
async def database(postgres_database_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_database_url)
    yield database
    await database.close()


@pytest.fixture
async def speaker(database: Database) -> AsyncIterator[Notices]:
    """Somebody who is connected and announces things."""
    async with Notices(database.url) as speaker:
        await Listener(speaker).hears()
        yield speaker


@pytest.fixture
async def listener(database: Database, speaker: Notices) -> AsyncIterator[Listener]:
    """Somebody else, who is connected too."""
    async with Notices(database.url) as another:
        listener = Listener(another)
        await listener.hears()
        yield listener


async def cut_off(database: Database, which: str = "") -> None:
    """End connections of notices to this database from the side of the server."""
    async with database.transaction() as session:
        await session.execute(text(f"SELECT pg_terminate_backend(pid) {OURS}{which}"))


async def test_what_one_announces_reaches_anothers_listener(
    speaker: Notices, listener: Listener
) -> None:
    speaker.announce()

    await listener.hears()


async def test_who_announces_hears_it_too(speaker: Notices) -> None:
    own = Listener(speaker)

    speaker.announce()

    await own.hears()


async def test_many_announcements_at_once_become_one_notice(
    speaker: Notices, listener: Listener
) -> None:
    before = listener.count
    speaker.announce()
    speaker.announce()
    speaker.announce()
    await listener.hears()

    speaker.announce()
    await listener.hears()

    assert listener.count - before == 2


async def test_it_goes_on_after_the_server_has_cut_both_off(
    database: Database, speaker: Notices, listener: Listener
) -> None:
    own = Listener(speaker)
    await cut_off(database)
    await own.hears()  # As both are connected again.
    await listener.hears()

    speaker.announce()

    await listener.hears()


async def test_what_is_announced_while_cut_off_is_said_afterwards(
    database: Database, speaker: Notices, listener: Listener
) -> None:
    await cut_off(database, f" AND backend_start = (SELECT min(backend_start) {OURS})")

    speaker.announce()

    await listener.hears()


async def test_announcing_before_there_is_a_connection_is_no_error(database: Database) -> None:
    async with Notices(database.url) as late:
        own = Listener(late)
        late.announce()
        await own.hears()  # As it is connected.

        await own.hears()
