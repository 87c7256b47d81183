"""Contacts: clients that are persons."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, ExternalId, Record, Versioned
from models.company import Company
from models.contact_point import ContactPoint, Reachable
from models.provenance import DeletedByRun, MadeByRun


class Contact(Reachable, Record, Versioned, Base, kw_only=True):
    __tablename__ = "contacts"
    __table_args__ = (Index(None, "company_id"), Index(None, "last_name", "id"), Record.options)

    first_name: Mapped[str | None] = mapped_column(default=None)
    last_name: Mapped[str | None] = mapped_column(default=None)
    position: Mapped[str | None] = mapped_column(default=None)
    comments: Mapped[str | None] = mapped_column(default=None)
    company_id: Mapped[int | None] = mapped_column(ForeignKey(Company.id), init=False)
    company: Mapped[Company | None] = relationship(default=None, lazy="raise")
    contact_points: Mapped[list[ContactPoint]] = relationship(
        default_factory=list, lazy="raise", order_by=ContactPoint.id, cascade="all, delete-orphan"
    )
    external_id: Mapped[ExternalId] = mapped_column(default=None, index=True, unique=True)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)
    deleted_by_run_id: Mapped[DeletedByRun] = mapped_column(init=False)

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)
