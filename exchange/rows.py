"""Rows: what the lines of a table say, each cell as the value of its field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exchange import values
from exchange.kinds import CUSTOM, SOLD_BY, FieldOf, Kind
from exchange.layout import Source, Table
from exchange.lines import BadLine, lines_of
from exchange.values import Bad, Parse
from models.custom_values import WITH_CHOICES, accepted
from models.errors import Invalid
from models.fields import Field, FieldKind


@dataclass
class Row:
    """One line: its values and the names of other rows, by field; `key` is its external id."""

    number: int
    key: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    problems: list[BadLine] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How others may name it, besides its key."""
        if "name" in self.values:
            return str(self.values["name"])
        return " ".join(
            self.values[part] for part in ("first_name", "last_name") if part in self.values
        )


@dataclass(frozen=True)
class Reader:
    """Reads a table with these fields; what is wrong with a row stands in the row."""

    table: Table
    fields: Mapping[str, FieldOf]
    path: Path
    delimiter: str

    def rows(self) -> Iterator[Row]:
        for line in lines_of(self.path, self.delimiter):
            if isinstance(line, BadLine):
                yield Row(line.number, problems=[line])
            else:
                yield self._row(line.number, line.cells)

    def target(self, name: str) -> Kind:
        """Return the kind that a link names."""
        target = self.fields[name].names
        if target is None:
            raise LookupError(f"{name} names nobody.")
        return target

    def bad(self, number: int, field_name: str, reason: str) -> BadLine:
        source = self.table.fields.get(field_name)
        column = source.told_of if source else ""
        return BadLine(self.table.file, number, column, reason)

    def _row(self, number: int, cells: dict[str, str]) -> Row:
        row = Row(number)
        for name, source in self.table.fields.items():
            try:
                self._read(row, name, source, cells)
            except Bad as error:
                row.problems.append(self.bad(number, name, str(error)))
        row.key = str(row.values.get("external_id", row.values.get("name", "")))
        row.problems += [self.bad(number, *each) for each in _contradictions(self.table.kind, row)]
        return row

    def _read(self, row: Row, name: str, source: Source, cells: dict[str, str]) -> None:
        spec = self.fields[name]
        text = source.read(cells)
        if not text.strip():
            if spec.required:
                raise Bad("it must not be empty")
        elif spec.names is None:
            row.values[name] = spec.parse(text)
        else:
            row.links[name] = values.several(text) if spec.many else [text.strip()]


def seller_of(row: Row) -> tuple[Kind, str]:
    """Return which item a good product row names."""
    [(kind, said)] = [
        (SOLD_BY[name], said) for name, [said] in row.links.items() if name in SOLD_BY
    ]
    return kind, said


def _contradictions(kind: Kind, row: Row) -> Iterator[tuple[str, str]]:
    """Yield the fields that contradict others of the row, and why."""
    said = row.values
    if kind is Kind.FIELD_DEFINITIONS and "kind" in said:
        wants, has = said["kind"] in WITH_CHOICES, bool(said.get("choices"))
        if wants != has:
            reason = "needs choices" if wants else "has no choices"
            yield "choices", f"a custom field of the kind {said['kind']} {reason}"
    if kind is Kind.PRODUCT_ROWS:
        sellers = [name for name in SOLD_BY if name in row.links]
        if len(sellers) != 1:
            yield "", f"it must name one item: {', '.join(SOLD_BY)}"
    begins, ends = said.get("absent_from"), said.get("absent_until")
    if begins is not None and ends is not None and ends <= begins:
        yield "absent_until", "the absence ends before it begins"


def custom_field(defined: Field) -> FieldOf:
    """Return how the cells of a custom field are read."""
    if defined.kind is FieldKind.USER:
        return FieldOf(names=Kind.USERS)
    return FieldOf(_custom_value(defined))


def _custom_value(defined: Field) -> Parse:
    def read(cell: str) -> Any:
        match defined.kind:
            case FieldKind.BOOLEAN:
                sent: object = values.yes_or_no(cell)
            case FieldKind.MULTI:
                sent = values.several(cell)
            case FieldKind.TEXT:
                sent = cell
            case _:
                sent = cell.strip()
        try:
            return accepted(defined, sent)
        except Invalid as error:
            raise Bad(error.problems[0].reason.removesuffix(".")) from error

    return read


def custom_of(row: Row) -> dict[str, Any]:
    """Return the values of custom fields by name, without those that name a user."""
    return {
        name.removeprefix(CUSTOM): value
        for name, value in row.values.items()
        if name.startswith(CUSTOM)
    }
