"""Streams: answers that stay open and tell what is new, as server-sent events.

Nothing waits inside a transaction. Each process looks twice a second, in one small query for all of
its streams, for whom there is something new; only those whom it wakes read it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from fastapi import HTTPException, status
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from models.database import Database
from models.notification import ids_above

log = structlog.get_logger()

Found = TypeVar("Found")

MOST_EACH = 5
"""Streams that a user may have open, in each process."""

LOOK = 0.5
KEEP_ALIVE = 15.0
"""Seconds between two looks for news, and after which a stream that is silent says that it lives:
proxies cut connections on which nothing is said, and a client that is gone is noticed."""

RETRY = 2000
"""Milliseconds after which a client is to come back."""


TOLD: Mapping[int | str, dict[str, Any]] = {
    HTTPStatus.OK.value: {
        "content": {
            "text/event-stream": {
                "schema": {
                    "description": "A text; for programs that read such streams, objects.",
                    "type": ["string", "object"],
                    "properties": {
                        "event": {"type": "string", "description": "What kind of news it is."},
                        "data": {"type": "string", "description": "The news, as JSON."},
                        "id": {"type": "string", "description": "Where to go on another time."},
                        "retry": {
                            "type": "integer",
                            "description": "Come back after so many milliseconds.",
                        },
                    },
                    "required": ["event", "data", "id"],
                }
            }
        }
    }
}
"""How the document describes a stream."""


class StreamAnswer(StreamingResponse):
    """What a stream says, for as long as it lasts."""

    media_type = "text/event-stream"

    def __init__(self, said: AsyncIterator[bytes]) -> None:
        # nginx would keep what is said until it is much.
        super().__init__(said, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


class Stream:
    """One that is open: read up to `floor`, and `ended` as soon as the process is to end."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.ended = False
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits, now or the next time."""
        self._bell.set()

    async def rung(self, seconds: float) -> bool:
        """Wait so long at most; tell whether it was woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        woken = self._bell.is_set()
        self._bell.clear()
        return woken


class Streams:
    """The open streams of this process, by the ids of their users."""

    def __init__(self) -> None:
        self._open: dict[int, list[Stream]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._ended = False

    @contextmanager
    def opened(self, database: Database, user_id: int, floor: int) -> Iterator[Stream]:
        """Keep a stream open within the block, or refuse it with 429."""
        present = self._open.setdefault(user_id, [])
        if len(present) >= MOST_EACH:
            raise HTTPException(
                status.HTTP_429_TOO_MANY_REQUESTS,
                f"You have {MOST_EACH} streams open: close one, and try again.",
                headers={"Retry-After": str(round(KEEP_ALIVE))},
            )
        stream = Stream(floor)
        stream.ended = self._ended
        present.append(stream)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_for_news(database))
        try:
            yield stream
        finally:
            present.remove(stream)
            if not present:
                del self._open[user_id]

    def end(self) -> None:
        """End every stream, and each that is opened from now on: the process is about to end."""
        self._ended = True
        for stream in self._every():
            stream.ended = True
            stream.ring()

    def _every(self) -> list[Stream]:
        return [stream for streams in self._open.values() for stream in streams]

    async def _look_for_news(self, database: Database) -> None:
        """Ring where there is news until nobody listens; cancelled it would lose a connection."""
        known: set[Any] = set()
        while await asyncio.sleep(LOOK, self._open):
            floor = min(stream.floor for stream in self._every())
            try:
                async with database.reading() as session:
                    present = set(await session.execute(ids_above(floor, list(self._open))))
            except Exception as error:  # noqa: BLE001 - a cut connection breaks in many ways.
                log.warning("No news for streams at the moment", error=repr(error))
                continue
            for user_id in {user_id for _, user_id in present - known}:
                for stream in self._open.get(user_id, ()):
                    stream.ring()
            known = present


_looking: set[asyncio.Task[Any]] = set()


async def to_its_end(look: Coroutine[Any, Any, Found]) -> Found:
    """Return what a look into the database finds; it is not cut short if its client goes away.

    Its connection could not be used again, and would have to be closed by nobody.
    """
    task = asyncio.create_task(look)
    _looking.add(task)
    task.add_done_callback(_looking.discard)
    return await asyncio.shield(task)


def said(kind: str, what: BaseModel, bookmark: object) -> bytes:
    """Return what is told, with its kind and the bookmark that a client comes back with."""
    return format_sse_event(
        event=kind, data_str=what.model_dump_json(), id=str(bookmark), retry=RETRY
    )


def still_there() -> bytes:
    """Return what is sent where there is nothing to tell; clients pass over it."""
    return KEEPALIVE_COMMENT
