"""Adding an action is one file and its test: those of CONTRIBUTING, in a process of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from activities.registry import all_actions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
SHOWN = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

WITH_ANOTHER_FOLDER = """
import sys

import pytest

import activities.actions

folder, *arguments = sys.argv[1:]
activities.actions.__path__.append(folder)
sys.exit(pytest.main(arguments))
"""
"""Python that runs tests where the actions of one more folder are among those of the product."""


@pytest.fixture
def shown(tmp_path: Path) -> dict[str, Path]:
    """The files that the page shows, in their places below a folder, by their places."""
    files = {place: tmp_path / place for place, _ in SHOWN.findall(PAGE)}
    for place, text in SHOWN.findall(PAGE):
        files[place].parent.mkdir(parents=True, exist_ok=True)
        files[place].write_text(text)
    return files


def test_the_page_shows_an_action_that_we_do_not_have_and_its_test(
    shown: dict[str, Path],
) -> None:
    action, test = map(Path, shown)

    assert action.parent == Path("activities/actions")
    assert action.stem not in all_actions()
    assert test == Path(f"tests/actions/test_{action.stem}.py")


def test_its_files_are_written_as_ours_are(shown: dict[str, Path]) -> None:
    ruff = Path(sys.executable).parent / "ruff"
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    files = list(map(str, shown.values()))

    formatted = run(str(ruff), "format", "--check", "--diff", *settings, *files)
    checked = run(str(ruff), "check", *settings, "--ignore", "INP001,S101", *files)

    assert formatted.returncode == 0, formatted.stdout
    assert checked.returncode == 0, checked.stdout


@pytest.mark.timeout(120)
def test_its_test_passes_the_api_lists_it_and_a_rule_with_it_runs(
    shown: dict[str, Path], tmp_path: Path
) -> None:
    action, test = shown.values()
    more = tmp_path / "test_worked_example.py"
    more.write_text((ROOT / "tests" / "architecture" / "worked_example.py").read_text())

    told = run(
        *(sys.executable, "-c", WITH_ANOTHER_FOLDER, str(action.parent)),
        *("-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)),
        *("-p", "no:cacheprovider", "--basetemp", str(tmp_path / "theirs"), "-k", "sqlite"),
        *(str(test), str(more)),
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert "3 passed" in told.stdout


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of our tools from the folder of the project."""
    return subprocess.run(  # noqa: S603 - our own tools
        command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
