"""Layouts: small TOML files that say which column of which file is which field of what."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from exchange.kinds import CUSTOM, ITEMS, SOLD_BY, Kind, fields_of
from exchange.lines import CannotLoad, header_of
from exchange.values import Bad, nearest, number
from models.item_type import ItemType
from models.pipeline import StageKind

BUILT_IN = ("sales_opportunities", "cuebook")
"""In the order in which they are tried."""

COLUMN = re.compile(r"\{([^{}]+)\}")
OPTIONAL = re.compile(r"\[([^\[\]]*)\]")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Where the text of a field comes from: a column, several of them in a text, or always so."""

    column: Annotated[str, Field(min_length=1)] | None = None
    text: str | None = None
    value: str | None = None
    values: dict[str, str] = {}
    times: int | None = None
    format: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(each is not None for each in (self.column, self.text, self.value)) != 1:
            raise ValueError("say one of column, text and value")
        return self

    @field_validator("format")
    @classmethod
    def _can_be_read_by(cls, form: str | None) -> str | None:
        try:
            datetime.strptime("", form or "")  # noqa: DTZ007 - it is not kept
        except re.error as error:
            raise ValueError("it names a part of the date twice") from error
        except ValueError:
            pass  # Of course: nothing is no date.
        return form

    @property
    def columns(self) -> list[str]:
        return [self.column] if self.column else COLUMN.findall(self.text or "")

    @property
    def told_of(self) -> str:
        """The column that a bad line names."""
        return ", ".join(self.columns)

    def read(self, cells: dict[str, str]) -> str:
        """Return the text of the field in a line, empty where there is none."""
        if self.value is not None:
            return self.value
        if self.text is not None:
            return _filled(self.text, cells)
        found = cells[self.column or ""]
        found = self.values.get(found.strip(), found)
        if not found.strip():
            return ""
        if self.times is not None:
            return format(number(found) * self.times, "f")
        return found if self.format is None else _iso(found.strip(), self.format)


def _filled(text: str, cells: dict[str, str]) -> str:
    """Put cells into a text; a part in brackets is left out where one of its cells is empty."""

    def part(found: re.Match[str]) -> str:
        inner = found[1]
        there = all(cells[name].strip() for name in COLUMN.findall(inner))
        return inner if there else ""

    return COLUMN.sub(lambda found: cells[found[1]].strip(), OPTIONAL.sub(part, text)).strip()


def _iso(found: str, form: str) -> str:
    try:
        return datetime.strptime(found, form).date().isoformat()  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise Bad(f"«{found}» is not a date like {form}") from error


def _source(said: object) -> object:
    return {"column": said} if isinstance(said, str) else said


class Table(_Part):
    """One kind out of one file. `repeats`: the same one may stand in many lines.

    Fields that it `may_lack` are left out where the file has no column for them.
    """

    kind: Kind
    file: str
    fields: dict[str, Annotated[Source, BeforeValidator(_source)]]
    repeats: bool = False
    optional: bool = False
    not_read: list[str] = []
    may_lack: list[str] = []
    custom: str | None = None

    @property
    def key(self) -> Source:
        """What tells its rows apart: the external id, else the name."""
        return self.fields.get("external_id") or self.fields["name"]


class StageOf(_Part):
    name: str = Field(min_length=1)
    kind: StageKind = StageKind.OPEN


class PipelineOf(_Part):
    """A pipeline that is made if none of that name is there."""

    name: str = Field(min_length=1)
    item_type: ItemType = ItemType.DEAL
    stages: list[StageOf] = Field(min_length=1)


class Layout(_Part):
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    pipelines: list[PipelineOf] = []
    tables: list[Table] = Field(min_length=1)

    def in_order(self) -> list[Table]:
        """Return the tables so that what is named comes before whoever names it."""
        order = list(Kind)
        return sorted(self.tables, key=lambda table: order.index(table.kind))

    def pipeline_of(self, item_type: ItemType) -> PipelineOf | None:
        return next((each for each in self.pipelines if each.item_type is item_type), None)


def read_layout(path: Path) -> Layout:
    """Read a layout file; raises `CannotLoad` that says what to change."""
    try:
        return parse_layout(path.read_text(encoding="utf-8-sig"), path.name)
    except OSError as error:
        raise CannotLoad(f"The layout {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CannotLoad(f"The layout {path} is not a text in UTF-8.") from error


def parse_layout(text: str, name: str) -> Layout:
    try:
        layout = Layout.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise CannotLoad("\n".join(_told(name, each) for each in error.errors())) from error
    except (ValueError, RecursionError) as error:
        raise CannotLoad(f"{name} is no TOML: {error}.") from error
    wrong = [each for place, table in enumerate(layout.tables) for each in _wrong(place, table)]
    if wrong:
        raise CannotLoad("\n".join(f"{name}: {each}" for each in wrong))
    return layout


def _told(name: str, error: Any) -> str:
    """Say in one line what is wrong with a layout, with the nearest right word."""
    where = ".".join(str(each) for each in error["loc"])
    if error["type"] == "extra_forbidden":
        wrong = str(error["loc"][-1])
        models: tuple[type[BaseModel], ...] = (Layout, Table, Source, PipelineOf, StageOf)
        known = {word for model in models for word in model.model_fields}
        return f"{name}: {where}: there is no setting {wrong}{nearest(wrong, known)}"
    if error["type"] == "enum":
        known = set(error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", "))
        wrong = str(error["input"])
        hint = nearest(wrong, known) or f", known are {', '.join(sorted(known))}"
        return f"{name}: {where}: there is no {wrong}{hint}"
    return f"{name}: {where}: {error['msg'].removeprefix('Value error, ').lower()}"


def _wrong(place: int, table: Table) -> Iterator[str]:
    where = f"tables.{place} ({table.kind} in {table.file})"
    known = fields_of(table.kind, "ZZ")
    for field in table.fields:
        custom = field.startswith(CUSTOM) and table.kind in ITEMS
        if field not in known and not custom:
            yield f"{where}: {table.kind} have no field {field}{nearest(field, known)}"
    for field, spec in known.items():
        if spec.required and field not in table.fields:
            yield f"{where}: {table.kind} need the field {field}"
    if table.kind is Kind.PRODUCT_ROWS and not SOLD_BY.keys() & table.fields.keys():
        yield f"{where}: {table.kind} need one of the fields {', '.join(SOLD_BY)}"


def built_in(name: str) -> Layout:
    """Return one of the layouts that the product brings."""
    text = files("exchange").joinpath("layouts", f"{name}.toml").read_text(encoding="utf-8")
    return parse_layout(text, f"{name}.toml")


def layout_for(folder: Path) -> Layout:
    """Return the built-in layout that fits the files of a folder, or raise `CannotLoad`."""
    there = set(_files_in(folder))
    for name in BUILT_IN:
        layout = built_in(name)
        wanted = {table.file for table in layout.tables}
        needed = {table.file for table in layout.tables if not table.optional}
        if needed <= there and wanted & there:
            return layout
    first = sorted({table.file for table in built_in(BUILT_IN[0]).tables})
    raise CannotLoad(
        f"{folder} holds no files of a known layout: {', '.join(first)}, or what "
        "`cuebook export` writes. For other files say `--layout FILE`."
    )


def _files_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_file())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CannotLoad(f"There is no folder {folder}.") from error
    except OSError as error:
        raise CannotLoad(f"The folder {folder} cannot be read: {error.strerror}.") from error


def tables_in(layout: Layout, folder: Path) -> tuple[list[Table], list[str]]:
    """Return the tables whose files are there, and the columns that nobody reads ("a.csv: x").

    Custom fields stand among the fields of their table then. Raises `CannotLoad` for a file or
    column that is named but missing.
    """
    there = _files_in(folder)
    found: list[Table] = []
    read: dict[str, set[str]] = {}
    headers: dict[str, Sequence[str]] = {}
    for table in layout.in_order():
        if table.file not in there:
            if table.optional:
                continue
            raise CannotLoad(f"There is no file {table.file}{nearest(table.file, there)}")
        header = headers.setdefault(table.file, header_of(folder / table.file, layout.delimiter))
        whole = _with_custom(_without_lacking(table, header), header)
        used = [column for source in whole.fields.values() for column in source.columns]
        for column in used:
            if column not in header:
                raise CannotLoad(f"{table.file} has no column «{column}»{nearest(column, header)}")
        read.setdefault(table.file, set()).update(used, table.not_read)
        found.append(whole)
    ignored = [
        f"{file}: {column}"
        for file, header in headers.items()
        for column in header
        if column not in read[file]
    ]
    return found, ignored


def _without_lacking(table: Table, header: Sequence[str]) -> Table:
    lacking = {
        name
        for name in table.may_lack
        if name in table.fields and not {*table.fields[name].columns} <= {*header}
    }
    there = {name: source for name, source in table.fields.items() if name not in lacking}
    return table.model_copy(update={"fields": there})


def _with_custom(table: Table, header: Sequence[str]) -> Table:
    if table.custom is None:
        return table
    fields = {
        f"{CUSTOM}{column.removeprefix(table.custom)}": Source(column=column)
        for column in header
        if column.startswith(table.custom)
    }
    return table.model_copy(update={"fields": {**table.fields, **fields}})
