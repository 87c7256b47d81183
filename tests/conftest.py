"""Where every test gets its database, its API and its Temporal from."""

import gc

from hypothesis import settings

# Two busy cores are no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

pytest_plugins = [
    "tests.fixtures.temporal",
    "tests.fixtures.database",
    "tests.fixtures.runner",
    "tests.fixtures.mail",
    "tests.fixtures.post",
    "tests.fixtures.hooks",
    "tests.fixtures.scene",
    "tests.fixtures.api",
    "tests.fixtures.company",
    "tests.fixtures.world",
    "tests.fixtures.processes",
]


def pytest_collection_finish() -> None:
    """Let the collector leave alone what lives as long as the tests: it looks at less each time."""
    gc.collect()
    gc.freeze()
