"""The `cuebook` command."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import structlog
import uvicorn
from cyclopts import App, Parameter, validators
from rich.console import Console
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from temporalio.client import Client

from api.app import create_app
from devserver import NoTemporal, dev_server, set_retention, stop_leftover
from exchange.check import Wishes
from exchange.export import export as export_files
from exchange.lines import CannotLoad
from exchange.load import chosen_layout
from exchange.load import load as load_files
from exchange.screen import names_in, progress, show_exported, show_report
from inbound_mail import taking_mail
from models import clock
from models.api_token import (
    USUAL_LIFE,
    ApiToken,
    find_token,
    lock_token,
    make_token,
    revoke_token,
    tokens_where,
)
from models.database import Database
from models.errors import CrmError
from models.installation import WorkerHeartbeat, installation
from models.logs import configure_logs
from models.migrations import migrate as migrate_database
from models.migrations import revisions
from models.notices import Notices
from models.retiming_all import retimed
from models.settings import Settings, WrongSettings, variable
from models.stage_entry import Automation
from models.telling import tell_all_again, wanted_workflows
from models.user import Role, User
from relay import WORKFLOWS
from sample_company import load_sample_company
from worker import NotOnSqlite, connect, exit_at_once, run_worker, running_worker, stop_signal

log = structlog.get_logger()
out = Console(highlight=False, soft_wrap=True)
app = App(name="cuebook", help="CRM automation rules on the stages of a pipeline.")
tokens = App(name="token", help="Make an API token, list those there are, revoke one.")
app.command(tokens)

ADMIN_TOKEN = "admin-token"  # noqa: S105 - the name of a file
FRESH = timedelta(minutes=1)
MOST_SHOWN = 50
"""Runs that `cuebook retime` tells of one by one."""

STOP_PATIENCE = 5
"""Seconds that clients get, once the API is to end, to take what they have asked for."""

LONGEST_LIFE = validators.Number(gte=1, lte=36_500)


class CannotStart(Exception):
    """Something of this machine stands in the way; the message says what to change."""


@app.command
async def dev() -> None:
    """Run all on this machine: API, mail intake, worker, Temporal's dev server, sample company.

    Starting again continues where it was. What differs is set in the environment; see the README.
    """
    settings = Settings.of_environment()
    settings.home.mkdir(parents=True, exist_ok=True)
    stop = stop_signal()
    async with AsyncExitStack() as stack:
        # Whoever runs already keeps this port: its Temporal is no leftover.
        _must_be_free(settings, "api_port", "inbound_mail_port")
        if settings.temporal_address is None:
            await stop_leftover(settings)
            _must_be_free(settings, "temporal_port", "temporal_ui_port")
            await stack.enter_async_context(dev_server(settings))
        database = await stack.enter_async_context(_opened(settings))
        await migrate_database(database)
        token = await _first_time(database, settings)
        await stack.enter_async_context(serving_api(database, settings))
        await stack.enter_async_context(taking_mail(database, settings))
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
    async with _alone("api") as (settings, database, stop), serving_api(database, settings):
        log.info("API runs", url=settings.url)
        await stop.wait()


@app.command
async def inbound_mail() -> None:
    """Take mail over SMTP or LMTP alone, beside API and workers. Needs PostgreSQL."""
    async with (
        _alone("inbound_mail") as (settings, database, stop),
        taking_mail(database, settings),
    ):
        log.info("Mail is taken", port=settings.inbound_mail_port)
        await stop.wait()


@asynccontextmanager
async def _alone(service: str) -> AsyncIterator[tuple[Settings, Database, asyncio.Event]]:
    """Open the database for one service alone; workers hear of changes, and a signal says stop."""
    settings = Settings.of_environment()
    if settings.is_sqlite:
        raise NotOnSqlite(service.replace("_", "-"))
    _must_be_free(settings, f"{service}_port")
    stop = stop_signal()
    async with _opened(settings) as database, Notices(settings.listen_url) as notices:
        database.on_agenda_change(notices.announce)
        yield settings, database, stop


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


@tokens.default
async def token(
    *,
    email: Annotated[str, Parameter(help="E-mail address of the user.")],
    name: Annotated[str, Parameter(help="What the token is for.")] = "made on the command line",
    days: Annotated[
        int, Parameter(help="Valid for so many days.", validator=LONGEST_LIFE)
    ] = USUAL_LIFE.days,
    forever: Annotated[bool, Parameter(help="Valid until it is revoked.", negative=())] = False,
    new_admin: Annotated[
        str | None, Parameter(help="Make the user first: an administrator of this name.")
    ] = None,
) -> None:
    """Make an API token for a user and print it, once."""
    async with _migrated() as database, database.transaction() as session:
        user = await session.scalar(select(User).where(User.email == email, User.active))
        if user is None and new_admin is not None:
            user = User(name=new_admin, email=email, role=Role.ADMIN)
            session.add(user)
        if user is None:
            raise CannotStart(f"There is no active user with the e-mail address {email}.")
        expires_at = None if forever else clock.now() + timedelta(days=days)
        out.print(make_token(session, user, name, expires_at=expires_at))


@tokens.command(name="list")
async def list_tokens(
    *, email: Annotated[str | None, Parameter(help="Only those of this user.")] = None
) -> None:
    """List the API tokens: id, whose, what for, how each ends, and whether it is valid."""
    wanted = tokens_where().join(ApiToken.user).options(joinedload(ApiToken.user))
    wanted = wanted if email is None else wanted.where(User.email == email)
    async with _migrated() as database, database.reading() as session:
        for each in await session.scalars(wanted.order_by(ApiToken.id)):
            until = "it is revoked" if each.expires_at is None else f"{each.expires_at:%Y-%m-%d}"
            told = each.refusal or f"Valid until {until}."
            line = f"{each.id}  {each.user.name}: {each.name}  …{each.hint or ''}  {told}"
            out.print(line, markup=False)


@tokens.command(name="revoke")
async def revoke(token_id: Annotated[int, Parameter(help="As in the list.")], /) -> None:
    """Revoke an API token: from now on it opens nothing."""
    async with _migrated() as database, database.transaction() as session:
        revoke_token(await lock_token(session, token_id))
    out.print(f"Token {token_id} opens nothing any more.")


@app.command
async def load(  # noqa: PLR0913 - each is a word of the command line
    folder: Path,
    /,
    *,
    layout: Path | None = None,
    automation: Automation = Automation.SKIP,
    create_missing: bool = False,
    keep_going: bool = False,
    pipeline: str | None = None,
    dry: bool = False,
    report: Path | None = None,
    by: Annotated[str | None, Parameter(name="--as")] = None,
) -> None:
    """Load teams, clients, products and items from the CSV files of a folder.

    Everything is checked first and loaded in one transaction; loading again changes nothing.
    Ends with 0 if all is well, with 1 if nothing was loaded, with 2 if bad lines were left out.

    Parameters
    ----------
    folder
        Where the files are.
    layout
        File that says which column is which field; known layouts are found by themselves.
    automation
        Whether the rules of the stages run for the items that are loaded.
    create_missing
        Make the users, companies and products that lines name and no file defines.
    keep_going
        Leave bad lines out and load the others.
    pipeline
        Name of the pipeline that deals go into, where the lines do not say it.
    dry
        Check everything and load nothing.
    report
        CSV file to write every bad line to.
    by
        E-mail address of the user who creates the items; by default the first administrator.

    """
    wishes = Wishes(automation, create_missing, keep_going, pipeline, dry, by)
    async with _migrated() as database:
        with progress(out) as watch:
            done = await load_files(
                database, folder, wishes, watch, layout=chosen_layout(layout), report_file=report
            )
    show_report(out, done, dry=dry)
    exit_at_once(done.exit_code)


@app.command
async def export(folder: Path, /, *, only: str | None = None, force: bool = False) -> None:
    """Write everything as CSV files into a folder, from which `load` reads it again.

    Parameters
    ----------
    folder
        Where to write; it is made if it is not there.
    only
        Names of the files to write, with commas between them: deals,product_rows
    force
        Write although the folder is not empty.

    """
    async with _migrated() as database:
        with progress(out) as watch:
            done = await export_files(database, folder, watch, only=names_in(only), force=force)
    show_exported(out, done)


@app.command
async def retime(*, dry: bool = False) -> None:
    """Let what waits be due as time zones, holidays and working hours are now.

    To be run after an update of the product or of the time zones of the machine, and after working
    hours or days off have changed. What somebody has postponed by hand stays, and what is due
    already. Running it again changes nothing.

    Parameters
    ----------
    dry
        Only say what would change.

    """
    items, runs = 0, 0
    async with _migrated() as database:
        async for item_ids, changed in retimed(database, dry=dry):
            for each in changed[: max(0, MOST_SHOWN - runs)]:
                out.print(each.in_words(), markup=False)
            items, runs = items + len(item_ids), runs + len(changed)
    more = f" {runs - MOST_SHOWN} more are not shown." if runs > MOST_SHOWN else ""
    told = "would be due" if dry else "now due"
    out.print(f"Runs {told} at another time: {runs}, of {items} items that wait.{more}")


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
        wanted = await wanted_workflows(session)
    fresh = [beat for beat in beats if beat.beat_at > clock.now() - FRESH]
    if not fresh:
        yield "No worker has given a sign of life for a minute: start one."
    for beat in fresh:
        if beat.temporal_error:
            yield f"Worker {beat.worker} cannot reach Temporal: {beat.temporal_error}"
        if beat.overdue:
            yield f"{beat.overdue} runs or reminders were due more than a minute ago."
    try:
        client = await Client.connect(settings.temporal, namespace=settings.temporal_namespace)
    except RuntimeError as error:
        yield f"Temporal does not answer at {settings.temporal}: {error}"
        return
    kinds = ", ".join(f"'{workflow.__name__}'" for workflow in WORKFLOWS.values())
    query = f"WorkflowType IN ({kinds}) AND ExecutionStatus = 'Running'"
    running = {found.id async for found in client.list_workflows(query)}
    for name in wanted:
        if name not in running:
            yield f"Workflow {name} is not running, though rules or reminders wait for it."


async def _renew_identity(database: Database) -> None:
    async with database.transaction() as session:
        (await installation(session)).database_id = uuid4()
        await tell_all_again(session)
    out.print("The database has a new identity; Temporal is told everything again.")


async def _first_time(database: Database, settings: Settings) -> str:
    """Load the sample company into an empty database; return the admin's token."""
    await load_sample_company(database)
    file = settings.home / ADMIN_TOKEN
    present = file.read_text().strip() if file.exists() else ""
    async with database.transaction() as session:
        known = await find_token(session, present)
        if known is not None and known.refusal is None:
            return present
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
    if settings.database_url is None and not settings.home.is_dir():
        raise CannotStart(
            f"There is no folder {settings.home}: run `cuebook migrate`, or set {variable('home')}."
        )
    database = Database(settings.database)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _migrated() -> AsyncIterator[Database]:
    """Open the database; its tables must be the newest."""
    async with _opened(Settings.of_environment()) as database:
        present, newest = await revisions(database)
        if present != newest:
            raise CannotStart(
                f"The database is at revision {present}, not {newest}: run `cuebook migrate`."
            )
        yield database


class _Server(uvicorn.Server):
    """Signals are ours: the worker must end before the process does."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_api(database: Database, settings: Settings) -> AsyncIterator[None]:
    """Serve the API within the block; streams end with it, and whoever is slow soon after."""
    served = create_app(database, settings)
    server = _Server(
        uvicorn.Config(
            served,
            forwarded_allow_ips=settings.trusted_proxies,
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            timeout_graceful_shutdown=STOP_PATIENCE,
            ws="none",
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        served.state.streams.end()
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
        host_name = name.replace("_port", "_host")
        host = getattr(settings, host_name, "127.0.0.1")
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                    wrong, told = host_name, f"{host} is no address of this machine"
                else:
                    wrong, told = name, f"Port {port} is in use"
                raise CannotStart(
                    f"{told} ({error.strerror}); set {variable(wrong)} to another."
                ) from error


def _say_hello(settings: Settings, token: str) -> None:
    ui = f"http://127.0.0.1:{settings.temporal_ui_port}"
    out.print(
        f"""
Cuebook runs. Ctrl-C stops it; everything that waits goes on when it is started again.

  API          {settings.url}/docs
  Temporal UI  {ui if settings.temporal_address is None else "of your own server"}
  Mail         {settings.inbound_mail_protocol}://127.0.0.1:{settings.inbound_mail_port} takes it in
  Admin token  {token}
               (also in {settings.home / ADMIN_TOKEN})

Try it: which deals are there?

  curl -H "Authorization: Bearer $(cat {settings.home / ADMIN_TOKEN})" {settings.url}/v1/deals
"""
    )


def main() -> None:
    """Run the command; a fact that stands in the way is one line, not a traceback."""
    try:
        configure_logs(Settings.of_environment())
        app()
    except (CannotLoad, CannotStart, NotOnSqlite, NoTemporal, WrongSettings, CrmError) as refusal:
        out.print(f"cuebook: {refusal}", markup=False)
        exit_at_once(1)
    except SystemExit as end:
        exit_at_once(int(end.code or 0))
    exit_at_once()


if __name__ == "__main__":
    main()
