"""Loading a folder of CSV files: everything is checked first, then written, or nothing is."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from sqlalchemy.exc import DBAPIError, IntegrityError

from exchange.check import Check, Wishes
from exchange.layout import BUILT_IN, Layout, built_in, layout_for, read_layout
from exchange.lines import CannotLoad
from exchange.report import BadLines, Report, Watch
from exchange.write import CHANGED, Writer
from models.database import Database
from models.errors import CrmError
from models.locking import lost_a_race


async def load(
    database: Database,
    folder: Path,
    wishes: Wishes,
    watch: Watch,
    *,
    layout: Layout | None = None,
    report_file: Path | None = None,
) -> Report:
    """Load the files of a folder; `report_file` is given every bad line, as CSV.

    Raises `CannotLoad` where something stands in the way as a whole; then nothing is loaded.
    """
    begun = time.monotonic()
    with ExitStack() as stack:
        sink = None
        if report_file is not None:
            sink = stack.enter_context(_opened(report_file))
        bad = BadLines(sink)
        check = Check(folder, layout or layout_for(folder), wishes, bad)
        async with database.reading() as session:
            await check.run(session, watch)
        report = Report(bad, check.counts, check.ignored)
        report.made_on_demand.update(
            {kind: len(known.missing) for kind, known in check.known.items() if known.missing}
        )
        if not wishes.dry and (wishes.keep_going or not bad.lines):
            await _write(database, check, watch)
            report.loaded = True
    report.seconds = time.monotonic() - begun
    return report


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise CannotLoad(f"{path} cannot be written: {error.strerror}.") from error


async def _write(database: Database, check: Check, watch: Watch) -> None:
    try:
        async with database.transaction() as session:
            await Writer(session, check, watch).write()
    except CrmError as fact:
        raise CannotLoad(f"Nothing was loaded: {fact.message}") from fact
    except IntegrityError as error:
        raise CannotLoad(CHANGED) from error
    except DBAPIError as error:
        if not lost_a_race(error):
            raise
        raise CannotLoad(
            "The database is busy with others. Nothing was loaded; load again."
        ) from error


def chosen_layout(said: Path | None) -> Layout | None:
    """Return the layout of a file, or the built-in one of that name."""
    if said is None:
        return None
    if str(said) in BUILT_IN and not said.exists():
        return built_in(str(said))
    return read_layout(said)
