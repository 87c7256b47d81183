"""Companies: clients that are firms."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, ExternalId, Record, Versioned, find_named
from models.contact_point import ContactPoint, Reachable
from models.errors import Invalid, Problem
from models.provenance import DeletedByRun, MadeByRun


class Company(Reachable, Record, Versioned, Base, kw_only=True):
    """`annual_revenue` is in the company's own currency, `parent` whose subsidiary it is."""

    __tablename__ = "companies"
    __table_args__ = (Index(None, "parent_id"), Index(None, "name", "id"), Record.options)

    name: Mapped[str]
    comments: Mapped[str | None] = mapped_column(default=None)
    industry: Mapped[str | None] = mapped_column(default=None)
    address: Mapped[str | None] = mapped_column(default=None)
    founded_year: Mapped[int | None] = mapped_column(default=None)
    employees: Mapped[int | None] = mapped_column(default=None)
    annual_revenue: Mapped[Decimal | None] = mapped_column(default=None)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("companies.id"), init=False)
    parent: Mapped["Company | None"] = relationship(
        default=None, lazy="raise", remote_side="Company.id", foreign_keys=parent_id
    )
    contact_points: Mapped[list[ContactPoint]] = relationship(
        default_factory=list, lazy="raise", order_by=ContactPoint.id, cascade="all, delete-orphan"
    )
    external_id: Mapped[ExternalId] = mapped_column(default=None, index=True, unique=True)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)
    deleted_by_run_id: Mapped[DeletedByRun] = mapped_column(init=False)


async def place_company(session: AsyncSession, company: Company, parent_id: int | None) -> None:
    """Make a company a subsidiary of another, or of none; refuse a circle."""
    if parent_id == company.parent_id:
        return
    if parent_id is None:
        company.parent = None
        return
    parent = await find_named(session, Company, parent_id, "/parent_id")
    if company.id in await _companies_above(session, parent_id):
        reason = f"{company.name} cannot be a subsidiary of {parent.name}: that is a circle."
        raise Invalid(Problem("/parent_id", reason))
    company.parent = parent


async def _companies_above(session: AsyncSession, company_id: int) -> set[int]:
    """Return the ids of a company and of those above it."""
    bottom = select(Company.id, Company.parent_id).where(Company.id == company_id)
    tree = bottom.cte("above", recursive=True)
    tree = tree.union(select(Company.id, Company.parent_id).where(Company.id == tree.c.parent_id))
    return set(await session.scalars(select(tree.c.id)))
