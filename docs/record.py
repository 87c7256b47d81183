"""Record what the API answers to `docs/examples.py`, for the OpenAPI document."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from uuid import UUID

import httpx2
from fastapi import FastAPI
from sqlalchemy import select

from api.app import create_app
from api.errors import overtaken, too_many
from api.limits import TooManyRequests
from api.retries import LONGEST_BODY, too_busy
from api.sheets import CSV
from docs.examples import (
    CALENDAR_KEY,
    DOUBT,
    EXAMPLES,
    KEYS,
    LETTERS_KEY,
    LINK,
    SIGNING_KEY,
    WORK,
    Example,
    Request,
)
from models.api_token import ApiToken, hash_of
from models.clock import clock
from models.database import Database
from models.delivery import Delivery, doubt, find_delivery
from models.document import DOCX_TYPE, PDF_TYPE
from models.installation import installation
from models.migrations import migrate
from models.rule_run import ON_THE_AGENDA, RuleRun
from models.settings import Settings
from models.user import Reach, User, administrators
from sample_company import load_sample_company
from tests.fixtures.runner import Runner

KEPT = Path(__file__).parent.parent / "api" / "examples.json"

NOW = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
SETTINGS = Settings(
    public_url="http://127.0.0.1:8000", rate_limit="off", rate_limit_strangers="off"
)
DATABASE_ID = UUID("5c1b7a52-0c57-4e0e-9d3a-3f8f2b6f9a10")

ANOTHER_EACH_TIME = {
    "token": "cue_8xJ2oN0r4Vd6yQm1tHc7bWk3uZf5aSg9eLpXiRsTx3Qw",
    "feed_url": f"http://127.0.0.1:8000/v1/calendar/{CALENDAR_KEY}.ics",
    "hint": "x3Qw",
    "request_id": "5f0c4f0e8f3b4c35a1b54f4d9ad0c6f1",
    "occasion": "9be60be3-f921-438d-8e27-efe58c21f48b",
    "sha256": "9f2c4a7d1e6b0835c4f1a2937d5e8b60c1d2e3f4a5b69788796a5b4c3d2e1f00",
    "size": 36871,
    "docx_size": 37012,
    "pdf_size": 21480,
}
"""And how it is shown."""

A_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

A_FILE = "…"
"""How the bytes of a file are shown."""

A_SECOND = timedelta(seconds=1)
"""What is due within it is done, too: what a step leaves to do follows it closely."""

NOBODY = 999
"""An id that nothing has."""

Answers = dict[str, dict[str, Any]]
"""Examples by status, then by a name made of their title."""

Fresh = Callable[[], AbstractAsyncContextManager[Database]]
"""Opens a database of its own that holds the company as `settle` leaves it."""


class NotAsExpected(Exception):
    """Something that is no example itself was answered otherwise than examples need it."""


@dataclass(frozen=True)
class Operation:
    """What the document says of one operation, as far as it takes to call it."""

    id: str
    method: str
    path: str
    places: Mapping[str, str]
    is_list: bool

    @classmethod
    def all_of(cls, document: Mapping[str, Any]) -> dict[str, Self]:
        found = [
            cls(
                said["operationId"],
                method.upper(),
                path,
                {each["name"]: each["in"] for each in said.get("parameters", ())},
                CSV in said["responses"].get("200", {}).get("content", ()),
            )
            for path, methods in document["paths"].items()
            for method, said in methods.items()
        ]
        return {each.id: each for each in found}

    def request(self, example: Example) -> dict[str, Any]:
        """Return how an example is sent, as the arguments of an HTTP client."""
        headers = {"If-Match": "*"} if "If-Match" in self.places else {}
        given: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": headers}
        for name, value in example.parameters.items():
            given[self.places[name]][name] = value
        return {
            "method": self.method,
            "url": self.path.format(**given["path"]),
            "params": given["query"],
            "headers": given["header"],
            **_sent(example.body),
        }

    def shown(self, example: Example) -> dict[str, Any]:
        """Return the parameters of an example, as the document shows them."""
        return {**({"If-Match": "*"} if "If-Match" in self.places else {}), **example.parameters}

    def provocations(self, example: Example) -> Iterator[tuple[str, Example]]:
        """Yield requests like the example that anybody may get wrong, and what they are."""
        path = {name: NOBODY for name, place in self.places.items() if place == "path"}
        if path:
            yield "Refused: there is no such thing", _but(example, path)
        if "If-Match" in self.places:
            yield "Refused: it has changed since", _but(example, {"If-Match": '"0"'})
        if isinstance(example.body, dict):
            unknown = {**example.body, "flavour": "sweet"}
            yield "Refused: an unknown field", replace(example, body=unknown)
        elif path:
            yield "Refused: no id", _but(example, dict.fromkeys(path, "x"))
        elif "limit" in self.places:
            yield "Refused: a page too long", _but(example, {"limit": 100_000})


def _sent(body: Any) -> dict[str, Any]:
    """Return how a body is sent: bytes are a file."""
    return {"content": body} if isinstance(body, bytes) else {"json": body}


def _body_shown(body: Any) -> Any:
    """Return a body as it is shown: of a file its text, if it is one."""
    if not isinstance(body, bytes):
        return body
    return A_FILE if b"\0" in body else body.decode()


def _but(example: Example, parameters: Mapping[str, Any]) -> Example:
    return replace(example, parameters={**example.parameters, **parameters})


@dataclass(frozen=True)
class Ask:
    """An example of an operation, or its answer as a sheet."""

    operation: Operation
    example: Example
    as_sheet: bool = False

    @property
    def only_reads(self) -> bool:
        # History tells of each sheet, and so is not shown as one after others were taken.
        is_told = self.as_sheet and "History" in self.operation.id
        return self.operation.method == "GET" and not self.example.before and not is_told

    async def send(self, client: httpx2.AsyncClient) -> httpx2.Response:
        request = self.operation.request(self.example)
        accept = {"Accept": CSV} if self.as_sheet else {}
        return await client.request(**request | {"headers": request["headers"] | accept})


class Recorder:
    """Sends the examples, and what provokes problems, and shows what is answered."""

    def __init__(self, app: FastAPI, fresh: Fresh) -> None:
        self.app = app
        self.fresh = fresh
        self.operations = Operation.all_of(app.openapi())

    async def record(self) -> dict[str, Any]:
        """Return what there is to show: by operation, and under `shared` the problems of all."""
        with standing_still():
            shared, answers = await self._refused()
            bodies: Answers = {name: {} for name in self.operations}
            sheets: Answers = {}
            for ask, answer in [*await self._read(), *await self._changed()]:
                name, title = ask.operation.id, ask.example.title
                if ask.as_sheet:
                    sheets[name] = {
                        "as-csv": {"summary": "As CSV", "value": _in_sheet(answer.text)}
                    }
                    continue
                _keep(answers[name], title, answer)
                if ask.example.body is not None and answer.is_success:
                    value = _body_shown(ask.example.body)
                    bodies[name][_name(title)] = {"summary": title, "value": value}
        return {"shared": shared} | {
            name: {
                "parameters": operation.shown(EXAMPLES[name][0]),
                "bodies": bodies[name],
                "answers": dict(sorted(answers[name].items())),
                "sheets": sheets.get(name, {}),
            }
            for name, operation in self.operations.items()
        }

    def _asks(self, *, only_read: bool) -> list[Ask]:
        every = [
            *(
                Ask(each, example)
                for each in self.operations.values()
                for example in EXAMPLES[each.id]
            ),
            *(
                Ask(each, EXAMPLES[each.id][0], as_sheet=True)
                for each in self.operations.values()
                if each.is_list
            ),
        ]
        return [ask for ask in every if ask.only_reads is only_read]

    async def _read(self) -> list[tuple[Ask, httpx2.Response]]:
        """Ask whatever changes nothing, all of one company."""
        async with self.fresh() as database, self._client(database) as client:
            return [(ask, await ask.send(client)) for ask in self._asks(only_read=True)]

    async def _changed(self) -> list[tuple[Ask, httpx2.Response]]:
        """Ask the rest, each of a company of its own."""
        answered = []
        for ask in self._asks(only_read=False):
            async with self.fresh() as database, self._client(database) as client:
                for request in ask.example.before:
                    await self._prepare(database, client, request)
                answered.append((ask, await ask.send(client)))
        return answered

    async def _refused(self) -> tuple[Answers, dict[str, Answers]]:
        """Provoke what nobody needs to prepare."""
        async with self.fresh() as database:
            agent = await self._agent_elsewhere(database)
            async with self._client(database) as client:
                shared = await self._shared(client)
                answers = {
                    name: await self._provoked(operation, client)
                    for name, operation in self.operations.items()
                }
            async with self._client(database, agent) as client:
                for name, operation in self.operations.items():
                    answer = await Ask(operation, EXAMPLES[name][0]).send(client)
                    if answer.status_code == HTTPStatus.FORBIDDEN:
                        _keep(answers[name], "Refused: only others may", answer)
        # Where an operation shows none of its own.
        return answers["updateDeal"] | answers["updateStage"] | shared, answers

    async def _provoked(self, operation: Operation, client: httpx2.AsyncClient) -> Answers:
        answers: Answers = {}
        for title, wrong in operation.provocations(EXAMPLES[operation.id][0]):
            answer = await Ask(operation, wrong).send(client)
            if not answer.is_client_error:
                raise NotAsExpected(f"{operation.id}, {title}: {answer.text}")
            _keep(answers, title, answer)
        return answers

    async def _shared(self, client: httpx2.AsyncClient) -> Answers:
        answers: Answers = {}
        for title, answer in {
            "Refused: no token": await client.get("/v1/deals", headers={"Authorization": ""}),
            "Refused: not JSON": await client.post("/v1/deals", content=b"{", headers=IS_JSON),
            "Refused: too long": await client.post("/v1/deals", content=b" " * (LONGEST_BODY + 1)),
            "Refused: no version": await client.delete("/v1/deals/1"),
        }.items():
            _keep(answers, title, answer)
        for title, answered in (
            ("Refused: overtaken", overtaken()),
            ("Refused: too many in a while", too_many(TooManyRequests(41))),
            ("Refused: too much at once", too_busy()),
        ):
            _keep(
                answers, title, httpx2.Response(answered.status_code, content=bytes(answered.body))
            )
        return answers

    async def _prepare(
        self, database: Database, client: httpx2.AsyncClient, request: Request
    ) -> None:
        method, path, body = request
        if request == WORK:
            await work(database)
            return
        if request == LINK:
            async with database.transaction() as session:
                [tom] = await session.scalars(select(User).where(User.name == "Tom Berg"))
                tom.calendar_key_hash = hash_of(CALENDAR_KEY)
            return
        if request == KEYS:
            async with database.transaction() as session:
                for delivery in await session.scalars(select(Delivery)):
                    delivery.key = UUID(int=UUID(LETTERS_KEY).int + delivery.id - 1)
            return
        if request == DOUBT:
            async with database.transaction() as session:
                doubt(await find_delivery(session, 1, lock=True), "the worker has died over it")
            return
        answer = await client.request(method, path, headers={"If-Match": "*"}, **_sent(body))
        if not answer.is_success:
            raise NotAsExpected(f"{method} {path}: {answer.text}")

    async def _agent_elsewhere(self, database: Database) -> User:
        agent = User(name="Eve Stern", reach=Reach.OWN)
        async with database.transaction() as session:
            session.add(agent)
        return agent

    @asynccontextmanager
    async def _client(
        self, database: Database, user: User | None = None
    ) -> AsyncIterator[httpx2.AsyncClient]:
        """Let the app work on that database; yield a client of that user or of Ada."""
        self.app.state.database = database
        async with database.transaction() as session:
            [ada] = await administrators(session)
            who = user or ada
            token = f"cue_of_{who.id}"
            session.add(ApiToken(name="admin", token_hash=hash_of(token), hint="of_1", user=who))
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app),
            base_url=SETTINGS.url,
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            yield client


IS_JSON = {"Content-Type": "application/json"}


async def settle(database: Database) -> None:
    """Load the company and let the worker do what is due: what users find after a minute."""
    await load_sample_company(database)
    async with database.transaction() as session:
        home = await installation(session)
        home.database_id, home.signing_key = DATABASE_ID, SIGNING_KEY
    await work(database)


async def work(database: Database) -> None:
    runner = Runner(database, SETTINGS)
    while (entry := await _next_due(database)) is not None:
        await runner.do(entry)


async def _next_due(database: Database) -> int | None:
    async with database.reading() as session:
        entry: int | None = await session.scalar(
            select(RuleRun.stage_entry_id)
            .where(RuleRun.state.in_(ON_THE_AGENDA), RuleRun.due_at < clock.source() + A_SECOND)
            .order_by(RuleRun.due_at, RuleRun.id)
            .limit(1)
        )
    return entry


@contextmanager
def standing_still() -> Iterator[None]:
    """Let it be one and the same moment."""
    usual = clock.source
    clock.source = lambda: NOW
    try:
        yield
    finally:
        clock.source = usual


def _keep(answers: Answers, title: str, answer: httpx2.Response) -> None:
    of_status = answers.setdefault(str(answer.status_code), {})
    if answer.content:
        is_text = answer.headers.get("Content-Type", "").startswith(("text/", "message/"))
        kind = answer.headers.get("Content-Type", "")
        is_file = kind in {DOCX_TYPE, PDF_TYPE}
        value = A_FILE if is_file else answer.text if is_text else _shown(answer.json())
        of_status[_name(title)] = {"summary": title, "value": value}


def _name(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _in_sheet(text: str) -> str:
    """Return a list as CSV, in whose cells JSON stands with its quotes doubled."""
    if "occasion" in text.partition("\n")[0].split(","):
        text = A_UUID.sub(str(ANOTHER_EACH_TIME["occasion"]), text)
    for name, stand_in in ANOTHER_EACH_TIME.items():
        said = json.dumps(stand_in).replace('"', '""')
        text = re.sub(rf'""{name}"": (?:""[^"]*""|\d+)', f'""{name}"": {said}', text)
    return text


def _shown(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: ANOTHER_EACH_TIME[name] if name in ANOTHER_EACH_TIME else _shown(each)
            for name, each in part.items()
        }
    return [_shown(each) for each in part] if isinstance(part, list) else part


@asynccontextmanager
async def copies(folder: Path) -> AsyncIterator[Fresh]:
    """Make the company once in SQLite; yield what copies it."""
    original = folder / "original.db"
    database = Database(f"sqlite+aiosqlite:///{original}")
    await migrate(database)
    with standing_still():
        await settle(database)
    await database.close()
    # One after another, so that statements are compiled once.
    copied = folder / "copy.db"
    copy = Database(f"sqlite+aiosqlite:///{copied}")

    @asynccontextmanager
    async def fresh() -> AsyncIterator[Database]:
        shutil.copy(original, copied)
        yield copy
        await copy.close()

    yield fresh


async def record() -> None:
    """Write `api/examples.json`."""
    app = create_app(Database("sqlite+aiosqlite:///nowhere.db"), SETTINGS)
    with TemporaryDirectory() as folder:
        async with copies(Path(folder)) as fresh:
            kept = await Recorder(app, fresh).record()
    KEPT.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(record())
