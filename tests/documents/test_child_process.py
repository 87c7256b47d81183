"""The child may do what it wants: whoever asked gets a reason, and goes on."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from documents.child_process import ChildFailed, ask
from documents.pipe import packed
from documents.shape import MEGABYTE
from tests.documents.values import VALUES
from tests.fixtures.docx import docx_of

FILL = {"task": "fill", "values": {}, "locale": "en", "zone": "UTC", "pdf": False}
ANSWER = packed({}, b"made")


def script(code: str) -> tuple[str, ...]:
    """Return the command of a child that runs this code instead of ours."""
    return (sys.executable, "-c", f"import os, sys, time\n{code}")


async def written(pid: Path) -> int:
    """Wait until a child has written its number, and return it."""
    while not (pid.exists() and pid.read_text()):
        await asyncio.sleep(0.01)
    return int(pid.read_text())


async def gone(number: int) -> None:
    """Wait until the system has tidied up after a process."""
    while Path(f"/proc/{number}/stat").exists():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit(3)", "ended without a result"),
        ("pass", "ended without a result"),
        ("os.kill(os.getpid(), 9)", "was ended by the machine: it takes too much memory"),
        ("os.abort()", "broke down: it takes too much memory, or something in it is damaged"),
        ("os.kill(os.getpid(), 24)", "takes too much work"),
        ("print('garbage')", "ended without a result"),
        ("print('[1, 2]')", "ended without a result"),
        ("print('{\"lengths\": [99]}')", "ended without a result"),
        ('print(\'{"lengths": "x"}\')', "ended without a result"),
        ("os.write(1, b'[' * 100_000)", "ended without a result"),
        ("os.write(1, b'\\xff\\xfe\\x00')", "ended without a result"),
        ("time.sleep(60)", "takes longer than 0.5 seconds"),
        ("os.close(1); os.close(2); time.sleep(60)", "takes longer than 0.5 seconds"),
    ],
)
async def test_whatever_becomes_of_the_child_there_is_a_reason(code: str, reason: str) -> None:
    patience = 0.5 if "0.5" in reason else 20

    with pytest.raises(ChildFailed, match=reason):
        await ask(FILL, b"x" * MEGABYTE, command=script(code), patience=patience)


async def test_a_child_that_does_not_stop_talking_is_ended() -> None:
    flood = script("while True: os.write(1, b'x' * 1_000_000)")

    with pytest.raises(ChildFailed, match="gets larger than 25 MB"):
        await ask(FILL, b"", command=flood)


async def test_complaints_of_a_child_end_up_in_the_log_in_short() -> None:
    complaints = script("os.write(2, b'x' * 5_000_000 + b'the end'); sys.exit(1)")

    with capture_logs() as logs, pytest.raises(ChildFailed):
        await ask(FILL, b"", command=complaints)

    [entry] = logs
    assert entry["said"].endswith("the end")
    assert len(entry["said"]) <= 2000


async def test_what_a_child_has_started_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    parent = script(
        "import subprocess\n"
        "started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid)!r}, 'w').write(str(started.pid))\n"
        f"sys.stdout.buffer.write({ANSWER!r}); sys.stdout.close(); os._exit(0)"
    )

    with pytest.raises(ChildFailed, match="takes longer"):
        await ask(FILL, b"", command=parent, patience=2)

    await gone(int(pid.read_text()))


async def test_a_child_that_is_not_wanted_any_more_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    child = script(f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    asking = asyncio.create_task(ask(FILL, b"", command=child))
    number = await written(pid)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


async def test_a_child_knows_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUEBOOK_DATABASE_URL", "postgresql+asyncpg://secret")
    told = (
        "import json\n"
        "said = {'env': dict(os.environ), 'cwd': os.getcwd(), 'lengths': []}\n"
        "sys.stdout.write(json.dumps(said) + '\\n')"
    )

    answer, _ = await ask(FILL, b"", command=script(told))

    assert "secret" not in json.dumps(answer)
    assert answer["cwd"] == answer["env"]["HOME"]
    assert not Path(answer["cwd"]).exists()  # it is gone with the child


async def test_only_so_many_run_at_once(tmp_path: Path) -> None:
    child = script(
        f"mine = os.path.join({str(tmp_path)!r}, str(os.getpid())); open(mine, 'w').close()\n"
        f"time.sleep(0.2); most = len(os.listdir({str(tmp_path)!r})); os.remove(mine)\n"
        'sys.stdout.write(\'{"most": %d, "lengths": []}\\n\' % most)'
    )

    answers = await asyncio.gather(*(ask(FILL, b"", command=child) for _ in range(6)))

    assert max(answer["most"] for answer, _ in answers) <= 2


async def test_a_child_has_only_so_much_memory() -> None:
    bomb = docx_of("{% set x='xxxxxxxxxxxxxxxx' %}" + "{% set x = x ~ x %}" * 30 + "{{ x }}")

    with pytest.raises(ChildFailed, match="takes more than 200 MB of memory"):
        await ask(FILL, bomb, memory=200 * MEGABYTE)


async def test_a_child_may_work_only_so_long() -> None:
    loops = "{% for a in rows %}" * 16 + "x" + "{% endfor %}" * 16
    request = {**FILL, "values": {"rows": [1, 2, 3]}}

    with pytest.raises(ChildFailed, match="takes too much work"):
        await ask(request, docx_of(loops), work=1)


async def test_the_next_one_is_answered_as_if_nothing_had_happened() -> None:
    with pytest.raises(ChildFailed):
        await ask(FILL, b"", command=script("os.abort()"))

    answer, [docx] = await ask(
        {**FILL, "values": {"contact.name": VALUES["contact.name"]}}, docx_of("{{ contact.name }}")
    )

    assert answer == {}
    assert docx.startswith(b"PK")
