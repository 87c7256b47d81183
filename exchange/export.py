"""Exporting everything that people own as CSV files, which `load` reads again."""

import csv
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from exchange.cells import cells
from exchange.kinds import CUSTOM, SOLD_BY, Kind
from exchange.known import prefix_of
from exchange.lines import CannotLoad
from exchange.report import Watch
from exchange.values import nearest
from models.base import Record
from models.company import Company
from models.contact import Contact
from models.database import Database
from models.department import Department
from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.history import HistoryEntry
from models.installation import installation
from models.item import Deal, Invoice, Item, Lead, Quote, type_of
from models.item_type import ItemType
from models.pipeline import Pipeline
from models.product import Product
from models.product_row import ProductRow
from models.rule_run import RuleRun
from models.user import User

PAGE = 500
"""Rows that are in memory at once."""

FROZEN = (
    "id",
    "created_at",
    "kind",
    "text",
    "subject_type",
    "subject_id",
    "item_type",
    "item_id",
    "author_id",
    "rule_id",
    "run_id",
    "trigger_id",
    "pipeline_id",
    "stage_id",
    "responsible_id",
    "field",
    "old",
    "new",
)
"""The columns of history."""

Values = Mapping[str, Any]


@dataclass
class Sheet:
    """One file: its columns, its rows, and how a row fills the columns."""

    columns: Sequence[str]
    wanted: Select[*tuple[Any, ...]]
    fill: Callable[..., Iterable[Values]]


@dataclass
class Exported:
    """Lines by file name, and what will stand in the way of loading them."""

    lines: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


async def export(
    database: Database,
    folder: Path,
    watch: Watch,
    *,
    only: Sequence[str] = (),
    force: bool = False,
) -> Exported:
    """Write a file for each kind, or `only` those named, as they are at one moment."""
    begun = time.monotonic()
    _prepare(folder, force=force)
    done = Exported()
    async with database.reading() as session:
        sheets = await Sheets.of(session)
        for name in _chosen(only):
            sheet = sheets.sheet(name)
            path = folder / f"{name}.csv"
            try:
                done.lines[path.name] = await _write(session, path, sheet, watch)
            except OSError as error:
                raise CannotLoad(f"{path} cannot be written: {error.strerror}.") from error
        done.warnings = await _unclear(session)
    done.seconds = time.monotonic() - begun
    return done


def _prepare(folder: Path, *, force: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        filled = any(folder.iterdir())
    except OSError as error:
        raise CannotLoad(f"{folder} cannot be written to: {error.strerror}.") from error
    if filled and not force:
        raise CannotLoad(f"{folder} is not empty. Say --force to write there all the same.")


def _chosen(only: Sequence[str]) -> list[str]:
    for name in only:
        if name not in Sheets.names:
            hint = nearest(name, Sheets.names) or f"; there are {', '.join(Sheets.names)}"
            raise CannotLoad(f"There is no file {name} to export{hint}")
    return [name for name in Sheets.names if not only or name in only]


async def _write(session: AsyncSession, path: Path, sheet: Sheet, watch: Watch) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(sheet.columns)
        async for page in _pages(session, sheet.wanted):
            told = [values for row in page for values in sheet.fill(*row)]
            writer.writerows(cells(values, sheet.columns) for values in told)
            count += len(told)
            watch(f"Writing {path.name}", count, None)
    return count


async def _pages(
    session: AsyncSession, wanted: Select[*tuple[Any, ...]]
) -> AsyncIterator[Sequence[Any]]:
    key = wanted.column_descriptions[0]["entity"].id
    last = 0
    while True:
        page = (await session.execute(wanted.where(key > last).order_by(key).limit(PAGE))).all()
        if not page:
            return
        last = page[-1][0].id
        yield page
        session.expunge_all()


async def _unclear(session: AsyncSession) -> list[str]:
    """Return which pipelines and stages cannot be told apart by name."""
    pipelines = await session.scalars(
        select(Pipeline)
        .where(Pipeline.deleted_at.is_(None))
        .order_by(Pipeline.id)
        .options(selectinload(Pipeline.stages))
    )
    told = []
    seen = set()
    for each in pipelines:
        names = [stage.name for stage in each.stages]
        if (each.item_type, each.name) in seen:
            told.append(f"Two pipelines of {each.item_type}s are called {each.name}.")
        if len(set(names)) < len(names):
            told.append(f"Two stages of the pipeline {each.name} are called the same.")
        seen.add((each.item_type, each.name))
    return told


class Sheets:
    """Every file that can be written; rows name each other by external id."""

    names = (*(kind.value for kind in Kind), "history", "runs")

    def __init__(
        self,
        prefix: str,
        custom: Mapping[ItemType, Mapping[str, FieldKind]],
        users: Mapping[int, str],
    ) -> None:
        self._prefix = prefix
        self._custom = custom
        self._user_keys = users

    @classmethod
    async def of(cls, session: AsyncSession) -> "Sheets":
        prefix = prefix_of((await installation(session)).database_id)
        custom: dict[ItemType, dict[str, FieldKind]] = {each: {} for each in ItemType}
        defined = await session.scalars(
            select(FieldDefinition).order_by(FieldDefinition.position, FieldDefinition.id)
        )
        for each in defined:
            if each.kind is not FieldKind.BOOKING:  # Bookings fill it.
                custom[each.item_type][each.name] = each.kind
        users: dict[int, str] = {}
        if any(FieldKind.USER in kinds.values() for kinds in custom.values()):
            found = await session.execute(select(User.id, User.external_id))
            users = {row_id: external_id or f"{prefix}{row_id}" for row_id, external_id in found}
        return cls(prefix, custom, users)

    def sheet(self, name: str) -> Sheet:
        found: Sheet = getattr(self, f"_{name}")()
        return found

    def _key(self, row: Any) -> str | None:
        """Return the external id of a row, made up where it has none; of deleted ones nothing."""
        if row is None or getattr(row, "deleted_at", None) is not None:
            return None
        return row.external_id or f"{self._prefix}{row.id}"

    def _called(self, row: Any, *fields: str) -> Values:
        """Return the external ids and names of rows that a row names."""
        told: dict[str, Any] = {}
        for name in fields:
            other = getattr(row, name)
            key = self._key(other)
            told |= {name: key, f"{name}_name": None if key is None else other.name}
        return told

    def _field_definitions(self) -> Sheet:
        own = ("item_type", "name", "title", "kind", "choices", "position", "id", "created_at")
        wanted = select(FieldDefinition)
        return Sheet(own, wanted, lambda row: [_own(row, own)])

    def _pipelines(self) -> Sheet:
        def fill(row: Pipeline) -> Iterable[Values]:
            told = {"item_type": row.item_type, "pipeline": row.name, "pipeline_id": row.id}
            for stage in row.stages:
                named = {"stage": stage.name, "stage_kind": stage.kind, "stage_id": stage.id}
                yield told | named
            if not row.stages:
                yield told

        return Sheet(
            ("item_type", "pipeline", "stage", "stage_kind", "pipeline_id", "stage_id"),
            select(Pipeline)
            .where(Pipeline.deleted_at.is_(None))
            .options(selectinload(Pipeline.stages)),
            fill,
        )

    def _departments(self) -> Sheet:
        own = ("name", "id", "created_at")
        columns = ("external_id", "name", "parent", "parent_name", "head", "head_name", *own[1:])
        wanted = select(Department).options(
            joinedload(Department.parent), joinedload(Department.head)
        )
        return Sheet(columns, wanted, lambda row: [self._whole(row, own, "parent", "head")])

    def _users(self) -> Sheet:
        own = (
            "name",
            "email",
            "role",
            "reach",
            "locale",
            "time_zone",
            "active",
            "absent_from",
            "absent_until",
            "id",
            "created_at",
        )
        columns = ("external_id", *own[:4], "department", "department_name", *own[4:])
        wanted = select(User).options(joinedload(User.department))
        return Sheet(columns, wanted, lambda row: [self._whole(row, own, "department")])

    def _products(self) -> Sheet:
        own = ("name", "series", "price", "currency", "id", "created_at")
        wanted = select(Product).where(Product.deleted_at.is_(None))
        return Sheet(("external_id", *own), wanted, lambda row: [self._whole(row, own)])

    def _companies(self) -> Sheet:
        own = (
            "name",
            "industry",
            "address",
            "founded_year",
            "employees",
            "annual_revenue",
            "phones",
            "emails",
            "comments",
            "id",
            "created_at",
        )
        columns = ("external_id", *own[:6], "parent", "parent_name", *own[6:])
        wanted = (
            select(Company)
            .where(Company.deleted_at.is_(None))
            .options(joinedload(Company.parent), selectinload(Company.contact_points))
        )
        return Sheet(columns, wanted, lambda row: [self._whole(row, own, "parent")])

    def _contacts(self) -> Sheet:
        own = (
            "first_name",
            "last_name",
            "position",
            "phones",
            "emails",
            "comments",
            "id",
            "created_at",
        )
        columns = ("external_id", *own[:3], "company", "company_name", *own[3:])
        wanted = (
            select(Contact)
            .where(Contact.deleted_at.is_(None))
            .options(joinedload(Contact.company), selectinload(Contact.contact_points))
        )
        return Sheet(columns, wanted, lambda row: [self._whole(row, own, "company")])

    def _leads(self) -> Sheet:
        own = ("first_name", "last_name", "phones", "emails", "converted_at")
        return self._items(Lead, own, selectinload(Lead.contact_points))

    def _deals(self) -> Sheet:
        return self._items(Deal, ())

    def _quotes(self) -> Sheet:
        return self._items(Quote, ())

    def _invoices(self) -> Sheet:
        return self._items(Invoice, ("paid_at",))

    def _items(self, kind: type[Item], of_kind: Sequence[str], *options: Any) -> Sheet:
        own = (
            "title",
            *of_kind,
            "amount",
            "currency",
            "begin_date",
            "close_date",
            "source",
            "comments",
            "id",
            "created_at",
        )
        people = ("responsible", "contact", "company")
        custom = self._custom[type_of(kind)]
        columns = (
            "external_id",
            "title",
            "pipeline",
            "stage",
            *of_kind,
            *(name for each in people for name in (each, f"{each}_name")),
            "further_contacts",
            "creator",
            *own[1 + len(of_kind) : -2],
            *(f"source_{each}" for each in ItemType),
            *(f"{CUSTOM}{name}" for name in custom),
            "id",
            "created_at",
        )

        def fill(row: Item) -> Iterable[Values]:
            told = dict(self._whole(row, own, *people))
            told["pipeline"], told["stage"] = row.pipeline.name, row.stage.name
            told["creator"] = self._key(row.creator)
            told["further_contacts"] = [
                key for each in row.further_contacts if (key := self._key(each)) is not None
            ] or None
            if row.source_item is not None:
                told[f"source_{row.source_item.type}"] = self._key(row.source_item)
            told["custom"] = {
                name: self._user_keys.get(value) if custom.get(name) is FieldKind.USER else value
                for name, value in row.custom.items()
            }
            yield told

        wanted = (
            select(kind)
            .where(kind.deleted_at.is_(None))
            .options(
                joinedload(kind.pipeline),
                joinedload(kind.stage),
                joinedload(kind.responsible),
                joinedload(kind.creator),
                joinedload(kind.contact),
                joinedload(kind.company),
                joinedload(kind.source_item),
                selectinload(kind.further_contacts),
                *options,
            )
        )
        return Sheet(columns, wanted, fill)

    def _product_rows(self) -> Sheet:
        own = ("name", "price", "quantity", "id", "created_at")

        def fill(row: ProductRow, seller: ItemType, external_id: str | None) -> Iterable[Values]:
            key = external_id or f"{self._prefix}{row.item_id}"
            yield {**_own(row, own), seller.value: key, **self._called(row, "product")}

        return Sheet(
            (*SOLD_BY, "product", "product_name", *own),
            select(ProductRow, Item.type, Item.external_id)
            .join(Item, Item.id == ProductRow.item_id)
            .where(Item.deleted_at.is_(None))
            .options(joinedload(ProductRow.product)),
            fill,
        )

    def _history(self) -> Sheet:
        return Sheet(FROZEN, select(HistoryEntry), lambda row: [_own(row, FROZEN)])

    def _runs(self) -> Sheet:
        own = (
            "id",
            "created_at",
            "item_id",
            "stage_entry_id",
            "rule_id",
            "state",
            "due_at",
            "attempts",
            "outcome",
            "finished_at",
        )

        def fill(row: RuleRun) -> Iterable[Values]:
            yield {**_own(row, own), "title": row.version.title, "action": row.version.action}

        columns = (*own[:5], "title", "action", *own[5:])
        return Sheet(columns, select(RuleRun).options(joinedload(RuleRun.version)), fill)

    def _whole(self, row: Any, own: Sequence[str], *others: str) -> Values:
        return {"external_id": self._key(row), **_own(row, own), **self._called(row, *others)}


def _own(row: Record, names: Iterable[str]) -> Values:
    """Return these columns of a row; an empty list is nothing."""
    told = {name: getattr(row, name) for name in names}
    return {name: None if value == [] else value for name, value in told.items()}
