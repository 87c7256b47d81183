"""What `cuebook dev` does with a Temporal server that it finds running."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import devserver
from cli import CannotStart, dev
from devserver import stop_leftover
from models.settings import Settings

STUBBORN = (
    "import signal, time; signal.signal(2, signal.SIG_IGN); print(flush=True); time.sleep(60)"
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that looks like the server of this home and does not heed SIGINT."""
    found = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STUBBORN, str((tmp_path / "temporal.db").resolve())),
        stdout=asyncio.subprocess.PIPE,
    )
    assert found.stdout is not None
    await found.stdout.readline()
    (tmp_path / "temporal.pid").write_text(str(found.pid))
    yield found
    if found.returncode is None:
        found.kill()
    await found.wait()


async def test_starting_twice_leaves_the_temporal_of_the_first_alone(
    server: asyncio.subprocess.Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[int] = []
    monkeypatch.setattr("cli.stop_signal", asyncio.Event)
    monkeypatch.setattr(os, "kill", lambda pid, _number: touched.append(pid))
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        monkeypatch.setenv("CUEBOOK_HOME", str(tmp_path))
        monkeypatch.setenv("CUEBOOK_API_PORT", str(first.getsockname()[1]))

        with pytest.raises(CannotStart, match="is in use"):
            await dev()

    assert server.pid not in touched


async def test_a_leftover_that_does_not_stop_when_asked_is_killed(
    server: asyncio.subprocess.Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devserver, "STOP_PATIENCE", 0.2)

    await stop_leftover(Settings(home=tmp_path))

    async with asyncio.timeout(5):
        assert await server.wait() != 0


async def test_a_machine_without_ps_starts_all_the_same(
    server: asyncio.subprocess.Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    await stop_leftover(Settings(home=tmp_path))

    assert server.returncode is None
