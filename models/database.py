"""The database: engine, transactions, and the news that an agenda has changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts

from models.locking import TRIES, lost_a_race
from models.outbox import untold
from models.triggering import fire_triggers

Outcome = TypeVar("Outcome")

POSTGRES_POOL = 10
SQLITE_POOL = 4


class Database:
    """One engine, shared by all of a process.

    On SQLite, which has one writer, writing transactions of the process wait for each other.
    """

    def __init__(self, url: str, *, pool_size: int | None = None) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.pool_size = pool_size or (SQLITE_POOL if self.is_sqlite else POSTGRES_POOL)
        self.engine = (
            _sqlite(url, self.pool_size) if self.is_sqlite else _postgres(url, self.pool_size)
        )
        self._one_snapshot = (
            {"sqlite_read_only": True} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        )
        self._writer = asyncio.Lock() if self.is_sqlite else None
        self._listeners: list[Callable[[], None]] = []

    def on_agenda_change(self, listener: Callable[[], None]) -> None:
        """Call this after each commit of this process that leaves Temporal something to learn."""
        self._listeners.append(listener)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a session, commit at the end, roll back on any error.

        What has happened in it and may move items has its effect before the commit.
        """
        async with AsyncExitStack() as stack:
            if self._writer is not None:
                await stack.enter_async_context(self._writer)
            session = await stack.enter_async_context(
                AsyncSession(self.engine, expire_on_commit=False)
            )
            async with session.begin():
                yield session
                await fire_triggers(session)
        self._announce(session)

    async def tried(self, work: Callable[[AsyncSession], Awaitable[Outcome]]) -> Outcome:
        """Do the work in a transaction of its own, again where that only lost a race."""
        for _ in range(TRIES - 1):
            try:
                async with self.transaction() as session:
                    return await work(session)
            except DBAPIError as error:
                if not lost_a_race(error):
                    raise
        async with self.transaction() as session:
            return await work(session)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a session that sees one snapshot and changes nothing."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            await session.connection(execution_options=self._one_snapshot)
            yield session

    async def close(self) -> None:
        await self.engine.dispose()

    def _announce(self, session: AsyncSession) -> None:
        if untold(session):
            for listener in self._listeners:
                listener()


def _postgres(url: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "server_settings": {
                "application_name": "cuebook",
                "timezone": "UTC",
                "lock_timeout": "5s",
                "statement_timeout": "30s",
                "idle_in_transaction_session_timeout": "60s",
            }
        },
    )


def _sqlite(url: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=2,
        connect_args={"isolation_level": None, "timeout": 15},
    )
    # The rows of one INSERT get their ids in order, so that each need not be one of its own.
    engine.dialect.insertmanyvalues_implicit_sentinel = (
        InsertmanyvaluesSentinelOpts.ANY_AUTOINCREMENT
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=15000",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that writes after it has read cannot wait for another writer.
        read_only = connection.get_execution_options().get("sqlite_read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
