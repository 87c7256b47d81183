"""News between processes: PostgreSQL's NOTIFY says that an agenda has changed somewhere."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import asyncpg
import structlog
from sqlalchemy.engine import make_url

log = structlog.get_logger()

CHANNEL = "cuebook_agenda"
PAUSE = 1.0
"""Seconds before a lost connection is tried again; relays look by themselves meanwhile."""


class Notices:
    """A connection of its own, so that a notice goes out after the commit it speaks of."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._due = asyncio.Event()
        self._listener: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def announce(self) -> None:
        """Tell every listener; many announcements at once become one notice."""
        self._due.set()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this whenever any process announces something."""
        self._listener = listener

    async def _run(self) -> None:
        while True:
            try:
                connection = await self._connect()
                try:
                    await connection.add_listener(CHANNEL, self._heard)
                    self._heard()  # Perhaps something was said before.
                    await self._send(connection)
                finally:
                    await connection.close(timeout=1)
            except Exception as error:  # noqa: BLE001 - a cut connection breaks in many ways.
                log.warning("No notices for the moment", error=repr(error))
                self._due.set()  # What was being said may have been lost.
            await asyncio.sleep(PAUSE)

    async def _send(self, connection: "asyncpg.Connection[Any]") -> None:
        while not connection.is_closed():
            try:
                async with asyncio.timeout(PAUSE):
                    await self._due.wait()
            except TimeoutError:
                continue
            self._due.clear()
            await connection.execute(f"NOTIFY {CHANNEL}")

    def _heard(self, *_details: object) -> None:
        if self._listener is not None:
            self._listener()

    async def _connect(self) -> "asyncpg.Connection[Any]":
        host = self._url.host or self._url.query.get("host")
        return await asyncpg.connect(
            user=self._url.username,
            password=self._url.password,
            host=None if host is None else str(host),
            port=self._url.port,
            database=self._url.database,
            server_settings={"application_name": "cuebook notices"},
        )
