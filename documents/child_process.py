"""Ask the child: another process opens what strangers wrote, and may die of it.

It gets memory, work and time within limits, and nothing of ours: neither environment nor files.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from documents.pipe import Garbled, packed, unpacked
from documents.shape import (
    AT_ONCE,
    LARGEST_REPLY,
    LARGEST_RESULT,
    MEGABYTE,
    MEMORY,
    OFFICE_MEMORY,
    PATIENCE,
    WORK,
)

PACKAGES = Path(__file__).parents[1]
CHILD = (sys.executable, "-P", "-m", "documents.child")
OFFICE_PATIENCE = 2 * PATIENCE
CHUNK = 64 * 1024
LAST_WORDS = 2000  # bytes
LAST_BREATH = 5  # seconds

log = structlog.get_logger()

SLOTS = asyncio.Semaphore(AT_ONCE)


class ChildFailed(Exception):
    """The child gave no answer; the message ends a sentence: *… takes too much memory*."""


async def ask(
    request: dict[str, Any],
    content: bytes,
    *,
    command: Sequence[str] = CHILD,
    patience: float = PATIENCE,
    memory: int = MEMORY,
    work: int = WORK,
) -> tuple[dict[str, Any], Sequence[bytes]]:
    """Return what the child answers to the request; whatever happens to it raises ChildFailed."""
    limits = {"memory": memory, "work": work, "file": LARGEST_RESULT}
    async with SLOTS:
        with TemporaryDirectory(prefix="cuebook-") as folder:
            question = packed({**request, "limits": limits}, content)
            said = await _run(command, question, folder=folder, patience=patience)
    try:
        answer, blobs = unpacked(said)
    except Garbled as garbled:
        raise ChildFailed("ended without a result") from garbled
    if "failed" in answer:
        raise ChildFailed(str(answer["failed"]))
    return answer, blobs


async def ask_office(office: Path, docx: bytes) -> bytes:
    """Return the PDF that LibreOffice makes of a document."""
    if not os.access(office, os.X_OK):
        raise ChildFailed(f"cannot be done: there is no program {office}")
    async with SLOTS:
        with TemporaryDirectory(prefix="cuebook-") as folder:
            place = Path(folder)
            (place / "document.docx").write_bytes(docx)
            request = {
                "task": "office",
                "office": str(office),
                "limits": {"memory": OFFICE_MEMORY, "work": OFFICE_PATIENCE, "file": LARGEST_REPLY},
            }
            await _run(CHILD, packed(request), folder=folder, patience=OFFICE_PATIENCE)
            try:
                pdf = (place / "document.pdf").read_bytes()
            except FileNotFoundError as error:
                raise ChildFailed("ended without a PDF: LibreOffice made none") from error
    return pdf


async def _run(command: Sequence[str], question: bytes, *, folder: str, patience: float) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=folder,
        env=_environment(folder),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(patience):
            said, told, _ = await asyncio.gather(
                _hear(process), _last_words(process), _tell(process, question)
            )
            ended = await process.wait()
    except TimeoutError as error:
        raise ChildFailed(f"takes longer than {patience:g} seconds") from error
    finally:
        await _end(process)
    if said is None:
        raise ChildFailed(f"gets larger than {LARGEST_RESULT // MEGABYTE} MB")
    if ended:
        log.warning("the child of documents ended", returncode=ended, said=told)
        raise ChildFailed(_cause(ended))
    return said


def _environment(folder: str) -> dict[str, str]:
    return {
        "HOME": folder,
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(PACKAGES),
        "RAYON_NUM_THREADS": "1",
        "TMPDIR": folder,
    }


async def _tell(process: Process, question: bytes) -> None:
    stdin = process.stdin
    assert stdin is not None  # noqa: S101 - asked for above
    with suppress(BrokenPipeError, ConnectionResetError):  # it may have died before it listened
        stdin.write(question)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _hear(process: Process) -> bytes | None:
    """Return all that it says; None if that is too much, and then it says no more."""
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 - asked for above
    said = bytearray()
    while chunk := await stdout.read(CHUNK):
        if len(said) <= LARGEST_REPLY:
            said += chunk
        else:
            _kill(process)
    return bytes(said) if len(said) <= LARGEST_REPLY else None


async def _last_words(process: Process) -> str:
    """Return the end of what it says on standard error, for the log."""
    stderr = process.stderr
    assert stderr is not None  # noqa: S101 - asked for above
    last = b""
    while chunk := await stderr.read(CHUNK):
        last = (last + chunk)[-LAST_WORDS:]
    return last.decode(errors="replace")


async def _end(process: Process) -> None:
    """End the child and whatever it has started; what they were about to say is lost."""
    _kill(process)
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_BREATH):
            await asyncio.gather(_hear(process), _last_words(process), process.wait())


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _cause(ended: int) -> str:
    match -ended:
        case signal.SIGXCPU:
            return "takes too much work"
        case signal.SIGABRT | signal.SIGSEGV | signal.SIGBUS:
            return "broke down: it takes too much memory, or something in it is damaged"
        case signal.SIGKILL:
            return "was ended by the machine: it takes too much memory"
    return "ended without a result"
