"""Where every test gets its database, its API and its Temporal from."""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

if sys.dont_write_bytecode:
    # Every worker and every process of a test would compile all libraries anew, for seconds.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

# Two busy cores are no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

pytest_plugins = [
    "tests.fixtures.temporal",
    "tests.fixtures.processes",
    "tests.fixtures.database",
    "tests.fixtures.runner",
    "tests.fixtures.mail",
    "tests.fixtures.post",
    "tests.fixtures.hooks",
    "tests.fixtures.scene",
    "tests.fixtures.api",
    "tests.fixtures.company",
    "tests.fixtures.office",
    "tests.fixtures.world",
]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest, or all would wait for it in the end."""
    items.sort(key=_patience, reverse=True)


def _patience(item: pytest.Item) -> float:
    """Return the seconds that a test may take, if it has more than the others."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0


def pytest_collection_finish() -> None:
    """Let the collector leave alone what lives as long as the tests, and seldom see the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
