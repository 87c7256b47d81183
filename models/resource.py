"""Resources: rooms, cranes and whatever else is booked for items beside people."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Record, Versioned, assign, containing, having


class Resource(Record, Versioned, Base, kw_only=True):
    """`working_hours` is JSON of `working_time.WorkingHours`; without them the company's count.

    Clock and holidays are the company's.
    """

    __tablename__ = "resources"
    __table_args__ = (Index(None, "name", "id"), Record.options)

    name: Mapped[str]
    description: Mapped[str | None] = mapped_column(default=None)
    working_hours: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)


def resources_where(*, q: str | None = None, **values: object) -> Select[Resource]:
    """Return the resources that have these values, None meaning any; `q` is looked for in names."""
    there = select(Resource).where(Resource.deleted_at.is_(None))
    return having(there, **values).where(*containing(Resource.name, q))


async def add_resource(session: AsyncSession, fields: Mapping[str, Any]) -> Resource:
    resource = Resource(**fields)
    session.add(resource)
    await session.flush()
    return resource


async def change_resource(
    session: AsyncSession, resource: Resource, changes: Mapping[str, Any]
) -> None:
    """Change a locked resource; what is booked stays booked, also outside new working hours."""
    assign(resource, changes)
    await session.flush()
