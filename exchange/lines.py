"""Lines of CSV files: read one by one, with their numbers, and with what is wrong with them."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

UNREADABLE = re.compile(r"[\ud800-\udfff]")
"""What stands for bytes that are not UTF-8."""


class CannotLoad(Exception):
    """Something stands in the way of loading as a whole; the message says what to change."""


@dataclass(frozen=True)
class Line:
    """One line of a file: where it begins, and its cells by column."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True)
class BadLine:
    """What is wrong with a line of a file, and in which column, if in one."""

    file: str
    number: int
    column: str
    reason: str

    def __str__(self) -> str:
        where = f", {self.column}" if self.column else ""
        return f"{self.file} line {self.number}{where}: {self.reason}"


def header_of(path: Path, delimiter: str = ",") -> list[str]:
    """Return the names of the columns; raises `CannotLoad` where there are none to go by."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            header = next(csv.reader(file, delimiter=delimiter, strict=True), [])
    except OSError as error:
        raise CannotLoad(f"{path.name} cannot be read: {error.strerror}.") from error
    except csv.Error as error:
        raise CannotLoad(f"{path.name}: the first line cannot be read: {error}.") from error
    names = [name.strip() for name in header]
    if not any(names):
        raise CannotLoad(f"{path.name}: the first line must name the columns; it is empty.")
    if UNREADABLE.search("".join(names)) or "\0" in "".join(names):
        raise CannotLoad(f"{path.name} is not a text in UTF-8.")
    if len(names) == 1 and ";" in names[0]:
        raise CannotLoad(
            f"{path.name}: its columns are separated by «;», not by «{delimiter}»: save it with "
            'commas, or say `delimiter = ";"` in a layout file.'
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise CannotLoad(f"{path.name}: the column «{twice[0]}» is there twice.")
    return names


def lines_of(path: Path, delimiter: str = ",") -> Iterator[Line | BadLine]:
    """Yield every line after the first; empty lines at the very end do not count."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from lines_in(file, path.name, delimiter)


def lines_in(
    file: TextIO,
    name: str,
    delimiter: str,
    header: list[str] | None = None,
    *,
    skip_empty_lines: bool = False,
) -> Iterator[Line | BadLine]:
    """Yield every line of an open file, the first among them where the header is given.

    With `skip_empty_lines` none of those counts; else only those at the very end do not.
    """
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    if header is None:
        header = [each.strip() for each in next(reader)]
    empty = 0
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found: Line | BadLine = BadLine(name, number, "", f"this is no CSV: {error}")
        else:
            if not cells:
                empty += 1
                continue
            found = _line(name, number, header, cells)
        if not skip_empty_lines:
            for each in range(number - empty, number):
                yield BadLine(name, each, "", "the line is empty")
        empty = 0
        yield found


def _line(file: str, number: int, header: list[str], cells: list[str]) -> Line | BadLine:
    if len(cells) != len(header):
        return BadLine(
            file, number, "", f"it has {_counted(len(cells))}, the first line has {len(header)}"
        )
    for name, text in zip(header, cells, strict=True):
        if UNREADABLE.search(text):
            return BadLine(file, number, name, "these bytes are not UTF-8")
        if "\0" in text:
            return BadLine(file, number, name, "it holds U+0000, which cannot be stored")
    return Line(number, dict(zip(header, cells, strict=True)))


def _counted(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
