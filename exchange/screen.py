"""What people see while files are read and written: progress, what came of it, what is bad."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from exchange.export import Exported
from exchange.report import Report, Watch


@contextmanager
def progress(console: Console) -> Iterator[Watch]:
    """Show a bar on a terminal; elsewhere say each thing once, when it begins."""
    if not console.is_terminal:
        yield _plainly(console)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def watch(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield watch


def _plainly(console: Console) -> Watch:
    said: set[str] = set()

    def watch(what: str, _done: int, _total: int | None) -> None:
        if what not in said:
            said.add(what)
            console.print(f"{what} …")

    return watch


def show_report(console: Console, report: Report, *, dry: bool) -> None:
    """Say what was loaded, or why nothing was."""
    for name in report.ignored:
        console.print(f"Not read: {name}", markup=False)
    for line in report.bad.first:
        console.print(f"✗ {line}", markup=False)
    shown = {(line.file, line.number) for line in report.bad.first}
    if more := len(report.bad.lines) - len(shown):
        console.print(f"✗ … and {more} more bad lines; `--report FILE` writes all of them.")
    created = "created" if report.loaded else "would be created"
    table = Table("", created, "already there", "adopted", "bad lines")
    for kind, count in report.counts.items():
        numbers = (count.created, count.present, count.adopted, count.bad)
        table.add_row(kind.value.replace("_", " "), *(str(each) for each in numbers))
    for kind, number in report.made_on_demand.items():
        table.add_row(f"{kind.value} that were missing", str(number), "", "", "")
    console.print(table)
    console.print(_verdict(report, dry=dry))


def _verdict(report: Report, *, dry: bool) -> str:
    bad = len(report.bad.lines)
    lines = "1 line is bad" if bad == 1 else f"{bad} lines are bad"
    took = f"{report.seconds:.1f} s"
    if report.loaded:
        return f"Loaded in {took}; {lines} and left out." if bad else f"Loaded in {took}."
    if dry:
        return f"Nothing was loaded, as you wished; {lines}. It took {took}."
    return f"Nothing was loaded: {lines}. Mend them, or say --keep-going to leave them out."


def show_exported(console: Console, exported: Exported) -> None:
    table = Table("file", "lines")
    for file, lines in exported.lines.items():
        table.add_row(file, str(lines))
    console.print(table)
    for warning in exported.warnings:
        console.print(f"! {warning} Rename one, or what was exported cannot be loaded again.")
    console.print(f"Exported in {exported.seconds:.1f} s.")


def names_in(said: str | None) -> Sequence[str]:
    """Return the parts of a text with commas between them."""
    return [part.strip() for part in (said or "").split(",") if part.strip()]
