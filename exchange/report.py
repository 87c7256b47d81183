"""What came of loading: how many of each kind, and which lines are bad."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TextIO

from exchange.kinds import Kind
from exchange.lines import BadLine, CannotLoad

MOST_SHOWN = 50
"""Bad lines that are kept to be shown; a report file has all."""

MOST_BAD = 100_000
"""With so many, something is wrong with the files as a whole."""

Watch = Callable[[str, int, int | None], None]
"""Is told what is done, how much of it, and of how much, if that is known."""


@dataclass
class Count:
    created: int = 0
    present: int = 0
    adopted: int = 0
    bad: int = 0


class BadLines:
    """Collects what is wrong, each thing once; tells which rows are to be left out."""

    def __init__(self, sink: TextIO | None = None) -> None:
        self.first: list[BadLine] = []
        self.lines: set[tuple[str, int]] = set()
        self._told: set[BadLine] = set()
        self._rows: set[tuple[int, int]] = set()
        self._sink = None if sink is None else csv.writer(sink)
        if self._sink is not None:
            self._sink.writerow(["file", "line", "column", "reason"])

    def add(self, table: int, number: int, problems: Iterable[BadLine]) -> None:
        """Note what is wrong with the row of this table in this line."""
        self._rows.add((table, number))
        for each in problems:
            if each in self._told:
                continue
            self._told.add(each)
            self.lines.add((each.file, each.number))
            if len(self.first) < MOST_SHOWN:
                self.first.append(each)
            if self._sink is not None:
                self._sink.writerow([each.file, each.number, each.column, each.reason])
        if len(self.lines) > MOST_BAD:
            raise CannotLoad(
                f"More than {MOST_BAD} lines are bad: is the layout that of these files? The "
                f"first: {self.first[0]}"
            )

    def has(self, table: int, number: int) -> bool:
        return (table, number) in self._rows

    def count_of(self, table: int) -> int:
        return sum(place == table for place, _ in self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass
class Report:
    """`loaded` is false where bad lines, or a dry run, left everything as it was."""

    bad: BadLines
    counts: dict[Kind, Count] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    made_on_demand: Counter[Kind] = field(default_factory=Counter)
    loaded: bool = False
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 for all well, 1 for nothing loaded, 2 for loaded but for the bad lines."""
        if not self.bad.lines:
            return 0
        return 2 if self.loaded else 1
