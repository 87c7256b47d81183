"""Companies: clients that are firms."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, Record
from models.contact_point import ContactPoint, Reachable
from models.provenance import DeletedByRun, MadeByRun


class Company(Reachable, Record, Base, kw_only=True):
    __tablename__ = "companies"

    name: Mapped[str]
    comments: Mapped[str | None] = mapped_column(default=None)
    contact_points: Mapped[list[ContactPoint]] = relationship(
        default_factory=list, lazy="raise", order_by=ContactPoint.id, cascade="all, delete-orphan"
    )
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)
    deleted_by_run_id: Mapped[DeletedByRun] = mapped_column(init=False)
