"""Who may know whom: what import-linter says, and what it cannot say."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("activities", "api", "documents", "exchange", "models", "workflows")
OF_VALUES = "models.agenda"
DETERMINISTIC = {
    *("asyncio", "collections", "contextlib", "datetime", "re", "typing"),
    *("pydantic", "temporalio"),
}
"""What a workflow may use: it must do the same whenever its history is replayed."""


def modules() -> Iterator[Path]:
    """Yield every file of the product, without migrations."""
    yield from ROOT.glob("*.py")
    for layer in LAYERS:
        yield from (ROOT / layer).rglob("*.py")


@cache
def imported_by(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, by full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                names |= {each.name for each in node.names}
            case ast.ImportFrom(module=str() as module):
                names |= {module} | {f"{module}.{each.name}" for each in node.names}
    return frozenset(names)


def importers_of(module: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in modules()
        if any(name == module or name.startswith(f"{module}.") for name in imported_by(path))
    }


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("cli", set()),
        ("worker", {"cli.py"}),
        ("devserver", {"cli.py"}),
        ("inbound_mail", {"cli.py"}),
        ("sample_company", {"cli.py"}),
        ("relay", {"cli.py", "devserver.py", "worker.py"}),
        ("tests", set()),
    ],
)
def test_only_those_import_it_who_may(module: str, allowed: set[str]) -> None:
    assert importers_of(module) <= allowed


@pytest.mark.parametrize(
    "path", sorted((ROOT / "workflows").glob("*.py")), ids=lambda path: path.stem
)
def test_a_workflow_knows_nothing_of_ours_but_the_agenda(path: Path) -> None:
    ours = {name for name in imported_by(path) if name.partition(".")[0] in LAYERS}
    ours -= {name for name in ours if name.startswith("workflows.")}

    assert all(each == OF_VALUES or each.startswith(f"{OF_VALUES}.") for each in ours)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "workflows").glob("*.py")), ids=lambda path: path.stem
)
def test_a_workflow_gets_time_and_chance_from_temporal_alone(path: Path) -> None:
    known = {name.partition(".")[0] for name in imported_by(path)}
    clocks = {
        ast.unparse(node.value)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
    }

    assert known <= DETERMINISTIC | {"models", "workflows"}
    assert clocks <= {"workflow"}


def test_savepoints_are_made_in_one_place() -> None:
    makers = {
        str(path.relative_to(ROOT)) for path in modules() if "begin_nested" in path.read_text()
    }

    assert makers == {"models/savepoints.py"}


def test_the_contracts_of_import_linter_are_kept() -> None:
    linter = Path(sys.executable).parent / "lint-imports"

    said = subprocess.run(  # noqa: S603 - our own tool
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert said.returncode == 0, said.stdout + said.stderr
