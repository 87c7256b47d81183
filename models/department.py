"""Departments: a tree, each with a head or an empty post."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Index, Select, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import (
    Base,
    ExternalId,
    Record,
    Versioned,
    assign,
    containing,
    having,
)
from models.errors import Invalid, Problem

if TYPE_CHECKING:
    from models.user import User

DEPTH_ZERO = literal(0).label("depth")
DEEPEST = 50
"""Levels of departments above a person that are looked at."""


class Department(Record, Versioned, Base, kw_only=True):
    __tablename__ = "departments"
    __table_args__ = (Index(None, "parent_id"), Record.options)

    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("departments.id"), init=False)
    parent: Mapped["Department | None"] = relationship(
        default=None, lazy="raise", remote_side="Department.id", foreign_keys=parent_id
    )
    head_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", use_alter=True), init=False)
    head: Mapped["User | None"] = relationship(
        default=None, lazy="raise", foreign_keys=head_id, post_update=True
    )
    external_id: Mapped[ExternalId] = mapped_column(default=None, index=True, unique=True)


async def departments_above(session: AsyncSession, department_id: int | None) -> list[Department]:
    """Return this department and those above it, nearest first, with their heads' ids."""
    tree = (
        select(Department.id, Department.parent_id)
        .where(Department.id == department_id)
        .add_columns(DEPTH_ZERO)
        .cte("above", recursive=True)
    )
    tree = tree.union_all(
        select(Department.id, Department.parent_id, tree.c.depth + 1).where(
            Department.id == tree.c.parent_id, tree.c.depth < DEEPEST
        )
    )
    found = await session.scalars(
        select(Department).join(tree, Department.id == tree.c.id).order_by(tree.c.depth)
    )
    return list(found)


def departments_where(*, q: str | None = None, **values: object) -> Select[Department]:
    """Return the departments that have these values, None meaning any, and `q` in their names."""
    return having(select(Department), **values).where(*containing(Department.name, q))


async def place_under(
    session: AsyncSession, department: Department, parent: Department | None
) -> None:
    """Put a department under another, or under none; refuse a circle."""
    above = [] if parent is None else await departments_above(session, parent.id)
    if parent is not None and department.id in {each.id for each in above}:
        raise Invalid(
            Problem(
                "/parent_id",
                f"{department.name} cannot stand under {parent.name}: that is a circle.",
            )
        )
    department.parent = parent


async def change_department(
    session: AsyncSession, department: Department, changes: Mapping[str, Any]
) -> None:
    """Give a saved department another name, head or parent."""
    fields = dict(changes)
    if "parent" in fields:
        await place_under(session, department, fields.pop("parent"))
    assign(department, fields)
    await session.flush()
