"""Checking files before anything is written: every line, and every name that it uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.kinds import CUSTOM, ITEMS, MADE_ON_DEMAND, NAMED, FieldOf, Kind, fields_of
from exchange.known import IN_THE_BIN, TO_COME, Known, Unknown, known_rows, look_up
from exchange.layout import Layout, Table, tables_in
from exchange.lines import BadLine, CannotLoad
from exchange.report import BadLines, Count, Watch
from exchange.rows import Reader, Row, custom_field, seller_of
from exchange.shape import shape_of
from exchange.values import Bad, nearest
from models.installation import installation
from models.item import Item
from models.stage_entry import Automation

BATCH = 500
"""Rows that are in memory at once."""

CLIENTS = (Kind.CONTACTS, Kind.COMPANIES)
"""Others may delete these while they are being linked."""

TREES = (Kind.DEPARTMENTS, Kind.COMPANIES)
"""Kinds whose rows stand under one another."""

Many = TypeVar("Many")


@dataclass(frozen=True)
class Wishes:
    """How to load; `pipeline` is where deals go whose lines do not say it."""

    automation: Automation = Automation.SKIP
    create_missing: bool = False
    keep_going: bool = False
    pipeline: str | None = None
    dry: bool = False
    by: str | None = None


class Check:
    """What the files bring, once everything was looked at; nothing is written.

    `known` says of every row that can be named whether it is there or to come, `shape` which
    pipelines and custom fields there are. `linked` are the clients in the database that new rows
    name, `newest` is the id of the item that was made last.
    """

    def __init__(self, folder: Path, layout: Layout, wishes: Wishes, bad: BadLines) -> None:
        self.folder = folder
        self.layout = layout
        self.wishes = wishes
        self.bad = bad
        self.tables, self.ignored = tables_in(layout, folder)
        self.region = ""
        self.newest = 0
        self.known: dict[Kind, Known] = {}
        self.linked: dict[Kind, set[int]] = {kind: set() for kind in CLIENTS}
        self.counts: dict[Kind, Count] = {table.kind: Count() for table in self.tables}
        self.readers: dict[int, Reader] = {}
        self._sold = 0
        self._first: dict[Kind, dict[str, tuple[int, int]]] = {kind: {} for kind in NAMED}
        self._said: dict[Kind, dict[str, object]] = {kind: {} for kind in NAMED}
        self._above: dict[Kind, dict[str, tuple[str, int, int]]] = {kind: {} for kind in TREES}

    async def run(self, session: AsyncSession, watch: Watch) -> None:
        self.region = (await installation(session)).phone_region
        self.newest = await session.scalar(select(func.max(Item.id))) or 0
        self.known = {kind: await known_rows(session, kind) for kind in NAMED}
        self.shape = await shape_of(session)
        for place, table in enumerate(self.tables):
            if table.kind in {Kind.FIELD_DEFINITIONS, Kind.PIPELINES}:
                reader = self._reader(table, dict(fields_of(table.kind, self.region)))
                self.shape.define(reader, place, self.bad)
        for table in self.tables:
            if table.kind in ITEMS:
                self.shape.choose(table, self.layout, self.wishes.pipeline)
        for place, table in enumerate(self.tables):
            if table.kind in NAMED or table.kind is Kind.PRODUCT_ROWS:
                self.readers[place] = self._reader(table, self._fields(table))
        for place, reader in self.readers.items():
            await self._define(session, place, reader, watch)
        found = -1
        while found != len(self.bad):  # What names a bad row is bad too.
            found = len(self.bad)
            self._sold = 0
            for place, reader in self.readers.items():
                self._link(place, reader, watch)
            self._refuse_circles()
        self._count()

    def new_rows(self, place: int) -> Iterator[Row]:
        """Yield the good rows of a table that are neither there nor written yet."""
        reader = self.readers[place]
        for row in reader.rows():
            if not self.bad.has(place, row.number) and self._is_new(place, reader, row):
                yield row

    def _reader(self, table: Table, fields: dict[str, FieldOf]) -> Reader:
        return Reader(table, fields, self.folder / table.file, self.layout.delimiter)

    def _fields(self, table: Table) -> dict[str, FieldOf]:
        fields = dict(fields_of(table.kind, self.region))
        for name in table.fields:
            if name.startswith(CUSTOM):
                item_type = ITEMS[table.kind]
                known = self.shape.custom[item_type]
                inner = name.removeprefix(CUSTOM)
                if inner not in known:
                    raise CannotLoad(
                        f"{table.file}: {item_type}s have no custom field {inner}"
                        f"{nearest(inner, known)}"
                    )
                fields[name] = custom_field(known[inner])
        return fields

    async def _define(
        self, session: AsyncSession, place: int, reader: Reader, watch: Watch
    ) -> None:
        kind = reader.table.kind
        done = 0
        for batch in batches(reader.rows(), BATCH):
            if kind in ITEMS:
                await look_up(session, self.known[kind], [row.key for row in batch if row.key])
            for row in batch:
                if kind is not Kind.PRODUCT_ROWS:
                    self._place(place, reader, row)
                elif row.problems:
                    self.bad.add(place, row.number, row.problems)
                elif not self._is_new(place, reader, row):
                    self.counts[kind].present += 1
            done += len(batch)
            watch(f"Reading {reader.table.file}", done, None)

    def _place(self, place: int, reader: Reader, row: Row) -> None:
        """Find out whether a row is there, is to come, or cannot come."""
        kind, table = reader.table.kind, reader.table
        known, first = self.known[kind], self._first[kind]
        if before := first.get(row.key):
            self._refuse_second(place, reader, row, before)
            return
        if row.key:
            first[row.key] = (place, row.number)
        if row.problems:
            self.bad.add(place, row.number, row.problems)
            if row.key and row.key not in known.keys:
                why = f"line {row.number} of {table.file}, which brings it, is bad"
                known.spoil(row.key, row.name, why)
            return
        if table.repeats:
            self._said[kind][row.key] = (row.values, row.links)
        adopted = known.adoptable(row.name, str(row.values.get("email", "")))
        if row.key in known.keys:
            self.counts[kind].present += 1
        elif adopted is not None:
            known.adopt(adopted, row.key)
            self.counts[kind].adopted += 1
        else:
            known.add(row.key, row.name)

    def _refuse_second(self, place: int, reader: Reader, row: Row, before: tuple[int, int]) -> None:
        table = reader.table
        file, number = self.tables[before[0]].file, before[1]
        same_table = table.repeats and place == before[0]
        if row.problems:
            self.bad.add(place, row.number, row.problems)
        elif not same_table:
            where = f"line {number}" if file == table.file else f"line {number} of {file}"
            reason = f"{table.kind.noun} {row.key} stands in {where} already"
            self.bad.add(place, row.number, [self._of_key(reader, row, reason)])
        elif self._said[table.kind].get(row.key) not in (None, (row.values, row.links)):
            reason = f"{table.kind.noun} {row.key} is not the same as in line {number}"
            self.bad.add(place, row.number, [self._of_key(reader, row, reason)])

    def _of_key(self, reader: Reader, row: Row, reason: str) -> BadLine:
        return BadLine(reader.table.file, row.number, reader.table.key.told_of, reason)

    def _is_new(self, place: int, reader: Reader, row: Row) -> bool:
        kind = reader.table.kind
        if kind is Kind.PRODUCT_ROWS:
            item_kind, said = seller_of(row)
            found = self.known[item_kind].keys.get(said, TO_COME)
            is_there = found == IN_THE_BIN or (isinstance(found, int) and 0 < found <= self.newest)
            return not is_there
        here = self._first[kind].get(row.key) == (place, row.number)
        return here and self.known[kind].is_to_come(row.key)

    def _link(self, place: int, reader: Reader, watch: Watch) -> None:
        kind = reader.table.kind
        done = 0
        for batch in batches(self.new_rows(place), BATCH):
            for row in batch:
                problems, wanted = self._unresolved(reader, row)
                if problems:
                    self.bad.add(place, row.number, problems)
                    if kind in NAMED:
                        why = f"line {row.number} of {reader.table.file}, which brings it, is bad"
                        self.known[kind].spoil(row.key, row.name, why)
                    continue
                self._sold += kind is Kind.PRODUCT_ROWS
                for target, said in wanted:
                    self.known[target].missing[said] = None
                    self.known[target].add(said, said)
                if kind in TREES and "parent" in row.links:
                    [parent] = row.links["parent"]
                    self._above[kind][row.key] = (parent, place, row.number)
            done += len(batch)
            watch(f"Checking {reader.table.file}", done, None)

    def _unresolved(self, reader: Reader, row: Row) -> tuple[list[BadLine], list[tuple[Kind, str]]]:
        """Return what is wrong with the names in a row, and those that are to be made for it."""
        problems: list[BadLine] = []
        wanted: list[tuple[Kind, str]] = []
        for field, names in row.links.items():
            target = reader.target(field)
            for said in names:
                try:
                    self._find(target, said)
                except Unknown as error:
                    if self.wishes.create_missing and target in MADE_ON_DEMAND:
                        wanted.append((target, said))
                    else:
                        problems.append(reader.bad(row.number, field, str(error)))
                except Bad as error:
                    problems.append(reader.bad(row.number, field, str(error)))
        if reader.table.kind in ITEMS:
            try:
                self.shape.stage_id(reader.table.kind, row)
            except Bad as error:
                problems.append(reader.bad(row.number, "stage", str(error)))
        return problems, wanted

    def _find(self, kind: Kind, said: str) -> None:
        found = self.known[kind].find(said)
        if found and kind in self.linked:
            self.linked[kind].add(found)

    def _refuse_circles(self) -> None:
        for kind, above in self._above.items():
            called = self.known[kind].called
            parents = {
                key: said if said in above else called.get(said, said)
                for key, (said, *_) in above.items()
            }
            for key in sorted(_in_circles(parents), key=lambda each: above[each][1:]):
                _, place, number = above[key]
                reader = self.readers[place]
                reason = f"{kind.noun} {key} stands under itself: that is a circle"
                self.bad.add(place, number, [reader.bad(number, "parent", reason)])
                why = f"line {number} of {reader.table.file}, which brings it, is bad"
                self.known[kind].spoil(key, key, why)
            above.clear()

    def _count(self) -> None:
        for kind, count in self.counts.items():
            if kind in NAMED:
                places = self._first[kind]
                count.created = sum(self.known[kind].is_to_come(key) for key in places)
        self.shape.count(self.counts)
        if Kind.PRODUCT_ROWS in self.counts:
            self.counts[Kind.PRODUCT_ROWS].created = self._sold
        for place, table in enumerate(self.tables):
            self.counts[table.kind].bad += self.bad.count_of(place)


def _in_circles(parents: dict[str, str]) -> set[str]:
    """Return the keys from which one comes back to where one began."""
    clear: set[str] = set()
    circles: set[str] = set()
    for start in parents:
        path: dict[str, None] = {}
        each = start
        while each in parents and each not in clear and each not in path:
            path[each] = None
            each = parents[each]
        if each in path:
            way = list(path)
            circles.update(way[way.index(each) :])
        clear.update(path)
    return circles


def batches(rows: Iterator[Many], size: int) -> Iterator[list[Many]]:
    """Yield lists of so many rows, the last one with the rest."""
    while batch := list(islice(rows, size)):
        yield batch
