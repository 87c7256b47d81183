"""The base of all tables: typed columns, aware times, exact money, names for constraints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from operator import ge, le
from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Numeric,
    Select,
    String,
    Text,
    Uuid,
    inspect,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, declared_attr, mapped_column
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.types import TypeDecorator

from models import clock
from models.errors import Invalid, NotFound, Problem

CENTS = Decimal("0.01")
LARGEST_ID = 2**63 - 1

Id = BigInteger().with_variant(Integer, "sqlite")
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC, also on SQLite, which keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"A moment without a zone: {value!r}")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value and value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An exact amount with two decimals: NUMERIC, or whole cents on SQLite."""

    impl = Numeric(18, 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else Numeric(18, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        exact = value.quantize(CENTS)
        return int(exact * 100) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return (Decimal(value) / 100).quantize(CENTS) if dialect.name == "sqlite" else value


class EnumText(TypeDecorator[StrEnum]):
    """A StrEnum as text: a new member needs no migration."""

    impl = String(40)
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: StrEnum | str | None, _dialect: Dialect) -> str | None:
        return None if value is None else str(self.enum(value))

    def process_result_value(self, value: str | None, _dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.enum(value)


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True, eq=False, repr=False):
    """What every table shares. Rows are equal only to themselves."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        int: Id,
        str: Text(),
        datetime: UtcDateTime(),
        Decimal: Money(),
        UUID: Uuid(),
        dict[str, Any]: Json,
        list[Any]: Json,
    }


class Record(MappedAsDataclass, kw_only=True, eq=False, repr=False):
    """A row with an id that people can say ("deal 42"), never given twice, and its birthday."""

    options: ClassVar[dict[str, Any]] = {"sqlite_autoincrement": True}
    """Ends every `__table_args__`."""

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> Any:
        return cls.options

    id: Mapped[int] = mapped_column(Id, primary_key=True, init=False, sort_order=-10)
    created_at: Mapped[datetime] = mapped_column(
        init=False, insert_default=clock.now, sort_order=90
    )


class Versioned(MappedAsDataclass, kw_only=True, eq=False, repr=False):
    """A row that people change: `version` counts the changes and is the ETag of its answers.

    What stands in other tables but belongs to the row counts too: see `count_change`.
    """

    version: Mapped[int] = mapped_column(init=False, sort_order=95)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> Any:
        return {"version_id_col": cls.version}


def count_change(row: Base, field: str) -> None:
    """Let the version of a row go up with the next flush, though no column of its own changes.

    `field` is any column of the row that is not its key. A row that is new has its first version.
    """
    if inspect(row).persistent:
        flag_modified(row, field)


def insert_for(session: AsyncSession) -> Any:
    """Return the INSERT of the session's database that can pass over what is there already."""
    return {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[
        session.get_bind().dialect.name
    ]


ExternalId = Annotated[str | None, mapped_column(Text())]
"""What a row is called where it was loaded from, so that loading again finds it."""

Row = TypeVar("Row", bound=Record)

AGAINST_DELETION = {"read": True, "key_share": True}
"""A lock that only the deletion of the row waits for."""


async def find(
    session: AsyncSession,
    kind: type[Row],
    row_id: int,
    *,
    lock: bool | dict[str, bool] = False,
    options: Sequence[ORMOption] = (),
) -> Row:
    """Return the row with this id, or raise `NotFound` in words ("There is no deal 42").

    A locked row is as it is now, and stays so until the transaction ends.
    """
    row = await session.get(
        kind,
        row_id,
        options=options,
        with_for_update=lock or None,
        populate_existing=bool(lock),
    )
    if row is None or getattr(row, "deleted_at", None) is not None:
        raise NotFound(f"There is no {kind.__name__.lower()} {row_id}.")
    return row


async def find_named(
    session: AsyncSession,
    kind: type[Row],
    row_id: int,
    field: str,
    *,
    lock: bool | dict[str, bool] = AGAINST_DELETION,
    options: Sequence[ORMOption] = (),
) -> Row:
    """Return the row whose id was sent in a field; nobody can delete it meanwhile.

    Raises `Invalid` for that field where there is no such row, or not any more.
    """
    try:
        row = await find(session, kind, row_id, lock=lock, options=options)
    except NotFound as missing:
        raise Invalid(Problem(field, missing.message)) from missing
    if not getattr(row, "active", True):
        raise Invalid(Problem(field, f"{kind.__name__} {row_id} is not active any more."))
    return row


async def linked(
    session: AsyncSession,
    sent: Mapping[str, Any],
    present: Record | None = None,
    /,
    **kinds: type[Record],
) -> dict[str, Any]:
    """Return the fields sent with rows instead of their ids: `company_id` becomes `company`.

    An id that the present row has already is left out: what it names may be gone since.
    """
    fields = dict(sent)
    for name, kind in kinds.items():
        by_id = f"{name}_id"
        row_id = fields.pop(by_id, None)
        if by_id in sent and row_id is None:
            fields[name] = None
        elif row_id is not None and row_id != getattr(present, by_id, None):
            fields[name] = await find_named(session, kind, row_id, f"/{by_id}")
    return fields


ENDS: Mapping[str, Callable[[Any, Any], Any]] = {"_from": ge, "_min": ge, "_to": le, "_max": le}
"""How the ends of a range are named: `amount_min`, `close_date_from`, `created_to`."""


def having(wanted: Select[Row], **values: object) -> Select[Row]:
    """Narrow a query to the rows that have these values by name; None means any.

    The ends of a range count as within it. `due_from` speaks of the column `due_at`.
    """
    kind = wanted.column_descriptions[0]["entity"]
    given = {name: value for name, value in values.items() if value is not None}
    return wanted.where(*(_holds(kind, name, value) for name, value in given.items()))


def _holds(kind: Any, name: str, value: object) -> Any:
    stem, mark, end = name.rpartition("_")
    if hasattr(kind, name) or mark + end not in ENDS:
        return getattr(kind, name) == value
    column = getattr(kind, stem, None)
    return ENDS[mark + end](getattr(kind, f"{stem}_at") if column is None else column, value)


def containing(column: Any, text: str | None) -> list[ColumnElement[bool]]:
    """Return the condition that a column holds a text somewhere, if one is given.

    Capitals do not count; of those, SQLite knows only ASCII's.
    """
    return [] if text is None else [column.icontains(text, autoescape=True)]


def assign(row: Base, values: Mapping[str, Any]) -> None:
    """Give a row these values by name; none of them may have a function of its own."""
    for name, value in values.items():
        setattr(row, name, value)


def in_order(ids: Iterable[int | None]) -> list[int]:
    """Return the ids that are there, each once, ascending: the order in which rows are locked."""
    return sorted({each for each in ids if each is not None})
