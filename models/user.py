"""The people of the company: where they work, who is above them, when they are away."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models import clock
from models.base import (
    Base,
    EnumText,
    ExternalId,
    Record,
    Versioned,
    containing,
    having,
)
from models.department import Department, departments_above
from models.errors import Conflict, Invalid, NotFound, Problem


class Role(StrEnum):
    ADMIN = "admin"
    MANAGER = "manager"
    AGENT = "agent"


class Reach(StrEnum):
    """Whose items an agent sees and moves; managers and administrators reach all."""

    OWN = "own"
    DEPARTMENT = "department"


class User(Record, Versioned, Base, kw_only=True):
    """What the person has none of their own of is the company's: locale, zone, working hours.

    `working_hours` is JSON of `working_time.WorkingHours`. `calendar_key_hash` tells the key of
    their calendar feed from others.
    """

    __tablename__ = "users"
    __table_args__ = (Index(None, "department_id"), Record.options)

    name: Mapped[str]
    email: Mapped[str | None] = mapped_column(default=None)
    role: Mapped[Role] = mapped_column(EnumText(Role), default=Role.AGENT)
    department_id: Mapped[int | None] = mapped_column(ForeignKey(Department.id), init=False)
    department: Mapped[Department | None] = relationship(
        default=None, lazy="raise", foreign_keys=department_id
    )
    locale: Mapped[str | None] = mapped_column(default=None)
    time_zone: Mapped[str | None] = mapped_column(default=None)
    active: Mapped[bool] = mapped_column(default=True)
    absent_from: Mapped[datetime | None] = mapped_column(default=None)
    absent_until: Mapped[datetime | None] = mapped_column(default=None)
    reach: Mapped[Reach] = mapped_column(EnumText(Reach), default=Reach.DEPARTMENT)
    external_id: Mapped[ExternalId] = mapped_column(default=None, index=True, unique=True)
    working_hours: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    holiday_country: Mapped[str | None] = mapped_column(default=None)
    calendar_key_hash: Mapped[str | None] = mapped_column(
        default=None, init=False, index=True, unique=True
    )

    def is_available(self) -> bool:
        """Tell whether the person works here and is not away now; no end means until further."""
        if not self.active:
            return False
        now = clock.now()
        begun = self.absent_from is not None and self.absent_from <= now
        over = self.absent_until is not None and self.absent_until <= now
        away = (begun and not over) or (
            self.absent_from is None and self.absent_until is not None and not over
        )
        return not away


async def supervisor_of(session: AsyncSession, user: User) -> User | None:
    """Find who is above: climb departments past empty posts, the person themselves, the absent."""
    above = await departments_above(session, user.department_id)
    heads = {department.head_id for department in above if department.head_id is not None}
    people = {
        each.id: each
        for each in await session.scalars(select(User).where(User.id.in_(heads)).order_by(User.id))
    }
    climb = (people.get(department.head_id or 0) for department in above)
    return next((head for head in climb if head and head is not user and head.is_available()), None)


async def find_supervisor(session: AsyncSession, user: User) -> User:
    """Return who is above, or raise `NotFound`."""
    supervisor = await supervisor_of(session, user)
    if supervisor is None:
        raise NotFound(f"Nobody is above {user.name}, or they are all away.")
    return supervisor


async def save_user(session: AsyncSession, user: User) -> None:
    """Store a new or changed user.

    Raises `Invalid` for an absence that ends before it begins, `Conflict` where nobody who works
    here would be administrator any more.
    """
    if user.absent_from and user.absent_until and user.absent_until <= user.absent_from:
        raise Invalid(Problem("/absent_until", "The absence ends before it begins."))
    session.add(user)
    await session.flush()
    if not await session.scalar(
        # Two administrators who dismiss each other wait here for each other, and one loses.
        select(User.id).where(User.role == Role.ADMIN, User.active).with_for_update(key_share=True)
    ):
        raise Conflict(f"{user.name} is the last active administrator.")


def users_where(*, q: str | None = None, **values: object) -> Select[User]:
    """Return the users that have these values, None meaning any; `q` is looked for in names."""
    return having(select(User), **values).where(*containing(User.name, q))


async def members_of(session: AsyncSession, department_id: int | None) -> list[User]:
    """Return who works in a department, or did until they left the company, the head first."""
    department = await session.get(Department, department_id)
    members = await session.scalars(
        select(User).where(User.department_id == department_id).order_by(User.id)
    )
    head = None if department is None else department.head_id
    return sorted(members, key=lambda user: user.id != head)


async def administrators(session: AsyncSession) -> list[User]:
    """Return the active administrators, oldest first."""
    found = await session.scalars(
        select(User).where(User.role == Role.ADMIN, User.active).order_by(User.id)
    )
    return list(found)
