"""The `cuebook` command."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import structlog
import uvicorn
from cyclopts import App, Parameter
from rich.console import Console
from sqlalchemy import select
from temporalio.client import Client

from api.app import create_app
from devserver import NoTemporal, dev_server, set_retention, stop_leftover
from models import clock
from models.agenda import workflow_id
from models.api_token import make_token
from models.database import Database
from models.installation import WorkerHeartbeat, installation
from models.item import Item
from models.logs import configure_logs
from models.migrations import migrate as migrate_database
from models.migrations import revisions
from models.notices import Notices
from models.rule_run import ON_THE_AGENDA, RuleRun
from models.settings import Settings, variable
from models.stage_entry import StageEntry
from models.telling import tell_all_again
from models.user import Role, User
from sample_company import load_sample_company
from worker import NotOnSqlite, connect, exit_at_once, run_worker, running_worker, stop_signal

log = structlog.get_logger()
out = Console(highlight=False, soft_wrap=True)
app = App(name="cuebook", help="CRM automation rules on the stages of a pipeline.")

ADMIN_TOKEN = "admin-token"  # noqa: S105 - the name of a file
FRESH = timedelta(minutes=1)


class CannotStart(Exception):
    """Something of this machine stands in the way; the message says what to change."""


@app.command
async def dev() -> None:
    """Run everything on this machine: API, worker, Temporal's dev server and a sample company.

    Starting again continues where it was. What differs is set in the environment; see the README.
    """
    settings = Settings.of_environment()
    settings.home.mkdir(parents=True, exist_ok=True)
    stop = stop_signal()
    async with AsyncExitStack() as stack:
        # Whoever runs already keeps this port: its Temporal is no leftover.
        _must_be_free(settings, "api_port")
        if settings.temporal_address is None:
            await stop_leftover(settings)
            _must_be_free(settings, "temporal_port", "temporal_ui_port")
            await stack.enter_async_context(dev_server(settings))
        database = await stack.enter_async_context(_opened(settings))
        await migrate_database(database)
        token = await _first_time(database, settings)
        await stack.enter_async_context(_serving(database, settings))
        client = await _unless_stopped(connect(settings), stop)
        if client is None:
            return
        if settings.temporal_address is None:
            await set_retention(client, settings)
        await stack.enter_async_context(running_worker(settings, database, client))
        _say_hello(settings, token)
        await stop.wait()
        out.print("Stopping …")
    out.print("Stopped. What waits goes on with the next `make run`.")


@app.command
async def api() -> None:
    """Serve the API alone, beside workers in other processes. Needs PostgreSQL."""
    settings = Settings.of_environment()
    if settings.is_sqlite:
        raise NotOnSqlite("api")
    _must_be_free(settings, "api_port")
    stop = stop_signal()
    async with (
        _opened(settings) as database,
        Notices(settings.listen_url) as notices,
        _serving(database, settings),
    ):
        database.on_agenda_change(notices.announce)
        log.info("API runs", url=settings.url)
        await stop.wait()


@app.command
async def worker() -> None:
    """Run workflows, actions and the relay alone. Needs PostgreSQL."""
    await run_worker(Settings.of_environment())


@app.command
async def migrate(*, sample: bool = False) -> None:
    """Bring the database to the newest tables.

    Parameters
    ----------
    sample
        Fill an empty database with a sample company.

    """
    settings = Settings.of_environment()
    settings.home.mkdir(parents=True, exist_ok=True)
    async with _opened(settings) as database:
        await migrate_database(database)
        if sample:
            await load_sample_company(database)
        present, _ = await revisions(database)
        out.print(f"The database is at revision {present}.")


@app.command
async def token(
    *,
    email: Annotated[str, Parameter(help="E-mail address of the user.")],
    name: Annotated[str, Parameter(help="What the token is for.")] = "made on the command line",
    days: Annotated[
        int | None, Parameter(help="Valid for so many days; for ever if left out.")
    ] = None,
    new_admin: Annotated[
        str | None, Parameter(help="Make the user first: an administrator of this name.")
    ] = None,
) -> None:
    """Make an API token for a user and print it, once."""
    async with _opened(Settings.of_environment()) as database, database.transaction() as session:
        user = await session.scalar(select(User).where(User.email == email, User.active))
        if user is None and new_admin is not None:
            user = User(name=new_admin, email=email, role=Role.ADMIN)
            session.add(user)
        if user is None:
            raise CannotStart(f"There is no active user with the e-mail address {email}.")
        expires_at = None if days is None else clock.now() + timedelta(days=days)
        out.print(make_token(session, user, name, expires_at=expires_at))


@app.command
async def doctor(*, restored: bool = False) -> None:
    """Examine the installation and say what is wrong; ends with 1 if anything is.

    Parameters
    ----------
    restored
        The database comes from a backup: give it a new identity, so that Temporal, which may
        know more than the backup, believes it again.

    """
    settings = Settings.of_environment()
    async with _opened(settings) as database:
        findings = [finding async for finding in _database_findings(database)]
        if not findings and restored:
            await _renew_identity(database)
        elif not findings:
            findings = [finding async for finding in _clock_findings(database, settings)]
    for finding in findings:
        out.print(f"✗ {finding}")
    if findings:
        exit_at_once(1)
    out.print("✓ All is well." if not restored else "✓ Start the worker now.")


async def _database_findings(database: Database) -> AsyncIterator[str]:
    try:
        present, newest = await revisions(database)
    except OSError as error:
        yield f"The database does not answer: {error}"
        return
    if present != newest:
        yield f"The database is at revision {present}, not {newest}: run `cuebook migrate`."


async def _clock_findings(database: Database, settings: Settings) -> AsyncIterator[str]:
    async with database.reading() as session:
        beats = list(await session.scalars(select(WorkerHeartbeat)))
        waiting = (
            await session.execute(
                select(Item.type, Item.id, StageEntry.id)
                .distinct()
                .join(RuleRun, RuleRun.stage_entry_id == StageEntry.id)
                .join(Item, Item.id == StageEntry.item_id)
                .where(RuleRun.state.in_(ON_THE_AGENDA), RuleRun.due_at.is_not(None))
            )
        ).all()
    fresh = [beat for beat in beats if beat.beat_at > clock.now() - FRESH]
    if not fresh:
        yield "No worker has given a sign of life for a minute: start one."
    for beat in fresh:
        if beat.temporal_error:
            yield f"Worker {beat.worker} cannot reach Temporal: {beat.temporal_error}"
        if beat.overdue:
            yield f"{beat.overdue} runs should have run more than a minute ago."
    try:
        client = await Client.connect(settings.temporal, namespace=settings.temporal_namespace)
    except RuntimeError as error:
        yield f"Temporal does not answer at {settings.temporal}: {error}"
        return
    query = "WorkflowType = 'StageEntryWorkflow' AND ExecutionStatus = 'Running'"
    running = {found.id async for found in client.list_workflows(query)}
    for wanted in waiting:
        name = workflow_id(*wanted)
        if name not in running:
            yield f"Workflow {name} is not running, though rules wait in its stage."


async def _renew_identity(database: Database) -> None:
    async with database.transaction() as session:
        (await installation(session)).database_id = uuid4()
        await tell_all_again(session)
    out.print("The database has a new identity; Temporal is told everything again.")


async def _first_time(database: Database, settings: Settings) -> str:
    """Load the sample company into an empty database; return the admin's token."""
    await load_sample_company(database)
    file = settings.home / ADMIN_TOKEN
    if file.exists():
        return file.read_text().strip()
    async with database.transaction() as session:
        admin = await session.scalar(
            select(User).where(User.role == Role.ADMIN, User.active).order_by(User.id).limit(1)
        )
        if admin is None:
            raise CannotStart("The database has no active administrator.")
        made = make_token(session, admin, "cuebook dev")
    file.touch(mode=0o600)
    file.write_text(f"{made}\n")
    return made


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database)
    try:
        yield database
    finally:
        await database.close()


class _Server(uvicorn.Server):
    """Signals are ours: the worker must end before the process does."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving(database: Database, settings: Settings) -> AsyncIterator[None]:
    server = _Server(
        uvicorn.Config(
            create_app(database, settings),
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            ws="none",
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def _unless_stopped(
    connecting: Coroutine[None, None, Client], stop: asyncio.Event
) -> Client | None:
    tasks = asyncio.create_task(connecting), asyncio.create_task(stop.wait())
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    connected, stopped = tasks
    if connected.done():
        stopped.cancel()
        return connected.result()
    connected.cancel()
    return None


def _must_be_free(settings: Settings, *names: str) -> None:
    for name in names:
        port = getattr(settings, name)
        host = settings.api_host if name == "api_port" else "127.0.0.1"
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise CannotStart(
                    f"Port {port} is in use ({error.strerror}); set {variable(name)} to another."
                ) from error


def _say_hello(settings: Settings, token: str) -> None:
    ui = f"http://127.0.0.1:{settings.temporal_ui_port}"
    out.print(
        f"""
Cuebook runs. Ctrl-C stops it; everything that waits goes on when it is started again.

  API          {settings.url}/docs
  Temporal UI  {ui if settings.temporal_address is None else "of your own server"}
  Admin token  {token}
               (also in {settings.home / ADMIN_TOKEN})

Try it: which deals are there?

  curl -H "Authorization: Bearer $(cat {settings.home / ADMIN_TOKEN})" {settings.url}/v1/deals
"""
    )


def main() -> None:
    """Run the command; a fact that stands in the way is one line, not a traceback."""
    configure_logs(Settings.of_environment())
    try:
        app()
    except (CannotStart, NotOnSqlite, NoTemporal) as refusal:
        out.print(f"cuebook: {refusal}")
        exit_at_once(1)
    except SystemExit as end:
        exit_at_once(int(end.code or 0))
    exit_at_once()


if __name__ == "__main__":
    main()
