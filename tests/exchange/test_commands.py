"""`cuebook load` and `cuebook export`, as they are typed."""

import asyncio
import sys
from pathlib import Path

import pytest

from models.database import Database
from models.item import Deal
from tests.exchange.folders import administered, sample, with_line
from tests.factories import all_of
from tests.fixtures.database import on_one_database
from tests.fixtures.processes import ROOT, Installation

pytestmark = pytest.mark.timeout(180)


async def typed(installation: Installation, *words: str | Path) -> tuple[int | None, str]:
    """Return how `cuebook …` ended and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "cli.py",
        *(str(word) for word in words),
        cwd=ROOT,
        env=installation.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@on_one_database
async def test_a_company_is_loaded_exported_and_loaded_again(
    installation: Installation, database: Database, tmp_path: Path
) -> None:
    await administered(database)
    folder = sample(tmp_path / "there")

    loaded, said = await typed(installation, "load", folder)
    exported, told = await typed(installation, "export", tmp_path / "out")
    again, silent = await typed(installation, "load", tmp_path / "out")

    assert (loaded, exported, again) == (0, 0, 0), said + told + silent
    assert "Writing deals …" in said
    assert "Loaded in" in said
    assert "Writing deals.csv …" in told
    assert "Writing deals …" not in silent
    assert len(await all_of(database, Deal)) == 4


@on_one_database
async def test_bad_lines_are_told_and_the_code_says_what_was_done(
    installation: Installation, database: Database, tmp_path: Path
) -> None:
    await administered(database)
    folder = with_line(tmp_path / "there", "sales_pipeline", "A9,Tom Berg,Batery,[red],Won,,,")

    refused, said = await typed(installation, "load", folder, "--report", tmp_path / "bad.csv")
    loaded, told = await typed(installation, "load", folder, "--keep-going")

    assert (refused, loaded) == (1, 2)
    assert "✗ sales_pipeline.csv line 6, account: unknown company [red]" in said
    assert "Nothing was loaded: 1 line is bad" in said
    assert "1 line is bad and left out" in told
    assert "did you mean Battery?" in (tmp_path / "bad.csv").read_text()


@on_one_database
async def test_what_stands_in_the_way_is_one_line(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()

    missing, said = await typed(installation, "load", tmp_path / "gone")
    unknown, told = await typed(installation, "load", tmp_path / "empty")

    assert (missing, unknown) == (1, 1)
    assert said.strip() == f"cuebook: There is no folder {tmp_path / 'gone'}."
    assert told.startswith(f"cuebook: {tmp_path / 'empty'} holds no files of a known layout")


async def test_tables_of_yesterday_are_said_before_anything_else(tmp_path: Path) -> None:
    new = Installation(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'new.db'}")

    code, said = await typed(new, "export", tmp_path / "out")

    assert code == 1
    assert "run `cuebook migrate`" in said
