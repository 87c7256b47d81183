"""The stream of notifications: over real connections, from a real server, on each database."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from api import notifications, streams
from api.streams import MOST_EACH, Streams
from cli import serving_api
from models import clock
from models.api_token import ApiToken, make_token
from models.database import Database
from models.notification import LATEST, Notification
from models.settings import Settings
from models.user import User
from tests.fixtures.database import on_postgres
from tests.fixtures.processes import WITHOUT_TLS, free_port
from tests.fixtures.scene import until

PATIENCE = 20.0
STREAM = "/v1/notifications/stream"


class Told(NamedTuple):
    kind: str
    data: Any
    bookmark: str


class Reader:
    """A client that reads a stream as programs for server-sent events do."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.bookmark = ""
        self._lines = answer.aiter_lines()

    async def line(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await anext(self._lines)

    async def next(self) -> Told:
        """Return what is told next; raises `StopAsyncIteration` at the end."""
        fields: dict[str, str] = {}
        while (line := await self.line()) or "data" not in fields:
            name, _, value = line.partition(": ")
            fields[name] = value
        self.bookmark = fields["id"]
        return Told(fields["event"], json.loads(fields["data"]), fields["id"])

    async def text(self) -> str:
        """Return the text of the next notification."""
        return str((await self.next()).data["text"])

    async def texts(self, count: int) -> list[str]:
        return [await self.text() for _ in range(count)]

    async def ends(self) -> None:
        """Wait until there is nothing more to come."""
        async with asyncio.timeout(PATIENCE):
            async for _ in self._lines:
                pass


Reading = Callable[..., AbstractAsyncContextManager[Reader]]


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """Serve the app on a free port of this machine; yield the port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not server.started:
            await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        app.state.streams.end()
        server.should_exit = True
        await serving


@pytest.fixture
async def http(
    app: FastAPI, database: Database, admin: User, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the app behind a real server that looks often, as its administrator."""
    monkeypatch.setattr(streams, "LOOK", 0.02)
    app.state.streams = Streams()
    token = await token_of(database, admin)
    async with (
        served(app) as port,
        httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}"},
            verify=WITHOUT_TLS,
        ) as client,
    ):
        yield client


@pytest.fixture
def reading(http: httpx2.AsyncClient) -> Reading:
    """Open the stream as the administrator; what was read last can be named."""

    @asynccontextmanager
    async def opened(bookmark: str | None = None, **parameters: Any) -> AsyncIterator[Reader]:
        headers = {} if bookmark is None else {"Last-Event-ID": bookmark}
        async with http.stream("GET", STREAM, headers=headers, params=parameters) as answer:
            yield Reader(answer)

    return opened


async def token_of(database: Database, user: User) -> str:
    async with database.transaction() as session:
        return make_token(session, await session.get_one(User, user.id), "tests")


async def told(database: Database, user: User, *texts: str) -> list[Notification]:
    rows = [Notification(recipient_id=user.id, text=text) for text in texts]
    async with database.transaction() as session:
        session.add_all(rows)
    return rows


async def aged(database: Database) -> None:
    """Let all notifications be so old that none can appear before them."""
    async with database.transaction() as session:
        long_ago = clock.now() - LATEST - timedelta(seconds=1)
        await session.execute(update(Notification).values(created_at=long_ago))


async def test_first_comes_how_much_is_unread_then_what_is_new(
    database: Database, admin: User, http: httpx2.AsyncClient, reading: Reading
) -> None:
    await told(database, admin, "old", "older")

    async with reading() as reader:
        first = await reader.next()
        await told(database, admin, "new")
        new = await reader.next()

    listed = (await http.get("/v1/notifications")).json()["items"]
    assert (first.kind, first.data) == ("unread", {"unread": 2})
    assert (new.kind, new.data) == ("notification", listed[0])
    assert reader.answer.headers["content-type"].startswith("text/event-stream")
    assert reader.answer.headers["cache-control"] == "no-store"


async def test_what_another_process_writes_arrives_too(
    database: Database, admin: User, reading: Reading
) -> None:
    another = Database(database.url)

    async with reading() as reader:
        await reader.next()
        await told(another, admin, "from elsewhere")

        assert await reader.text() == "from elsewhere"

    await another.close()


async def test_others_are_told_nothing_of_it(
    database: Database, admin: User, reading: Reading
) -> None:
    bea = User(name="Bea")
    async with database.transaction() as session:
        session.add(bea)

    async with reading() as reader:
        await reader.next()
        await told(database, bea, "hers")
        await told(database, admin, "mine")

        assert await reader.text() == "mine"


async def test_who_comes_back_gets_what_came_meanwhile_and_nothing_twice(
    database: Database, admin: User, reading: Reading
) -> None:
    await told(database, admin, "before")
    async with reading() as reader:
        await reader.next()
        await told(database, admin, "one", "two")
        seen = [await reader.text()]
    await told(database, admin, "three")

    async with reading(reader.bookmark) as again:
        unread = await again.next()
        seen += await again.texts(2)
        await told(database, admin, "four")
        seen += [await again.text()]
    async with reading(again.bookmark, seconds=0) as last:
        await last.next()
        await last.ends()

    assert seen == ["one", "two", "three", "four"]
    assert unread.data == {"unread": 4}


async def test_who_was_told_nothing_can_come_back_too(
    database: Database, admin: User, reading: Reading
) -> None:
    await told(database, admin, "before")
    async with reading() as reader:
        await reader.next()
    await told(database, admin, "meanwhile")

    async with reading(last_event_id=reader.bookmark) as again:
        await again.next()

        assert await again.text() == "meanwhile"


async def test_a_bookmark_names_only_what_is_recent(
    database: Database, admin: User, reading: Reading
) -> None:
    _, old = await told(database, admin, "older", "old")
    await aged(database)

    async with reading() as reader:
        await reader.next()
        [new] = await told(database, admin, "new")
        await reader.next()

    assert reader.bookmark == f"{old.id}.{new.id}"


async def test_more_than_is_read_at_once_is_told_in_order(
    database: Database, admin: User, reading: Reading
) -> None:
    texts = [f"{number}" for number in range(2 * notifications.AT_ONCE + 1)]
    await told(database, admin, *texts)

    async with reading("0", seconds=0) as reader:
        await reader.next()

        assert await reader.texts(len(texts)) == texts
        await reader.ends()


async def test_a_bookmark_from_before_a_restore_misses_nothing_new(
    database: Database, admin: User, reading: Reading
) -> None:
    await told(database, admin, "before")

    async with reading("900.901,902") as reader:
        await reader.next()
        await told(database, admin, "new")

        assert await reader.text() == "new"


async def test_what_is_no_bookmark_is_refused(http: httpx2.AsyncClient) -> None:
    header = await http.get(STREAM, headers={"Last-Event-ID": "1; DROP"})
    parameter = await http.get(STREAM, params={"last_event_id": "x"})

    assert [header.status_code, parameter.status_code] == [422, 422]
    assert header.json()["errors"][0]["field"] == "/Last-Event-ID"
    assert parameter.json()["errors"][0]["field"] == "/last_event_id"


async def test_only_so_many_are_open_at_a_time(reading: Reading, http: httpx2.AsyncClient) -> None:
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(reading()) for _ in range(MOST_EACH)]

        refused = await http.get(STREAM)

    async def opens_again() -> bool:
        return (await http.get(STREAM, params={"seconds": 0})).status_code == 200

    await until(opens_again)
    assert [reader.answer.status_code for reader in readers] == [200] * MOST_EACH
    assert refused.status_code == 429
    assert refused.json()["detail"] == "You have 5 streams open: close one, and try again."
    assert refused.headers["retry-after"] == "15"


async def test_it_ends_soon_after_the_token_was_revoked(
    database: Database, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "KEEP_ALIVE", 0.05)

    async with reading() as reader:
        await reader.next()
        async with database.transaction() as session:
            await session.execute(update(ApiToken).values(revoked_at=clock.now()))

        await reader.ends()


async def test_it_ends_soon_after_the_user_has_left(
    database: Database, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "KEEP_ALIVE", 0.05)

    async with reading() as reader:
        await reader.next()
        async with database.transaction() as session:
            await session.execute(update(User).values(active=False))

        await reader.ends()


async def test_silence_is_broken_by_a_comment(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "KEEP_ALIVE", 0.05)

    async with reading() as reader:
        await reader.next()

        assert (await reader.line()).startswith(":")


async def test_who_reads_slowly_holds_nothing_up_and_misses_nothing(
    database: Database, admin: User, http: httpx2.AsyncClient
) -> None:
    token = await token_of(database, admin)
    count = 400
    await told(database, admin, *(f"{number} {'x' * 20_000}" for number in range(count)))
    slow = socket.create_connection((http.base_url.host, http.base_url.port))
    slow.sendall(
        f"GET {STREAM}?last_event_id=0&seconds=0 HTTP/1.1\r\nHost: cuebook\r\n"
        f"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
    )

    async with http.stream("GET", STREAM, params={"last_event_id": "0", "seconds": 0}) as quick:
        await Reader(quick).ends()
    await until(lambda: nothing_is_held(database))
    received = await asyncio.to_thread(all_of, slow)

    assert received.count(b"event: notification") == count


async def nothing_is_held(database: Database) -> bool:
    """Tell whether no connection to the database is in use at the moment."""
    return database.engine.pool.checkedout() == 0  # type: ignore[attr-defined, no-any-return]


def all_of(connection: socket.socket) -> bytes:
    """Read a connection to its end and close it."""
    with connection, connection.makefile("rb") as file:
        return file.read()


async def test_stopping_the_server_ends_streams(
    database: Database, admin: User, tmp_path: Path
) -> None:
    token = await token_of(database, admin)
    settings = Settings(home=tmp_path, api_port=free_port(), rate_limit="off")

    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
        async with serving_api(database, settings):
            reader = await connected(client, settings.url)
            await reader.next()

        await reader.ends()  # As an answer does that is whole: nobody had to cut it off.
        await reader.answer.aclose()


async def connected(client: httpx2.AsyncClient, url: str) -> Reader:
    """Open a stream as soon as somebody listens there."""
    request = client.build_request("GET", f"{url}{STREAM}")
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return Reader(await client.send(request, stream=True))
            except httpx2.ConnectError:
                await asyncio.sleep(0.01)


@on_postgres
async def test_what_was_written_earlier_and_appears_later_is_told_once(
    database: Database, admin: User, reading: Reading
) -> None:
    async with reading() as reader, AsyncExitStack() as stack:
        await reader.next()
        slow, slower = [
            await stack.enter_async_context(written(database, admin, text))
            for text in ("first by its id", "second by its id")
        ]
        await told(database, admin, "third by its id")
        seen = [await reader.text()]
        await slow.commit()
        seen += [await reader.text()]
        await slower.commit()
    async with reading(reader.bookmark) as again:
        await again.next()
        await told(database, admin, "last")
        seen += await again.texts(2)
    async with reading(again.bookmark, seconds=0) as nothing_more:
        await nothing_more.next()
        await nothing_more.ends()

    assert seen == ["third by its id", "first by its id", "second by its id", "last"]


@asynccontextmanager
async def written(database: Database, user: User, text: str) -> AsyncIterator[AsyncSession]:
    """Write a notification in a transaction that goes on, until it is committed within."""
    async with AsyncSession(database.engine) as session:
        session.add(Notification(recipient_id=user.id, text=text))
        await session.flush()
        yield session
