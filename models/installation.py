"""The installation: one row that says which database it is and how the company counts time."""

from datetime import datetime
from functools import partial
from secrets import token_urlsafe
from typing import Annotated, Any
from uuid import UUID, uuid4

import phonenumbers
from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Versioned

THE_ONE = 1


class Installation(Versioned, Base, kw_only=True):
    """`database_id` tells this database from every other that Temporal may have heard of.

    It is new in a new database and must be renewed when a backup is restored.
    `namespace_id` is Temporal's own id of the namespace that was told last; another one means
    that Temporal has forgotten everything. `working_hours` is JSON of
    `working_time.WorkingHours`, `days_off` ISO dates beside the country's holidays.
    `signing_key` signs links that strangers may follow; it never leaves the house.
    """

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, default=THE_ONE, autoincrement=False)
    database_id: Mapped[UUID] = mapped_column(default_factory=uuid4)
    namespace_id: Mapped[str | None] = mapped_column(default=None)
    time_zone: Mapped[str] = mapped_column(default="UTC")
    locale: Mapped[str] = mapped_column(default="en")
    currency: Mapped[str] = mapped_column(default="EUR")
    phone_region: Mapped[str] = mapped_column(default="DE")
    working_hours: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    holiday_country: Mapped[str | None] = mapped_column(default=None)
    days_off: Mapped[list[Any]] = mapped_column(default_factory=list)
    signing_key: Mapped[str] = mapped_column(default_factory=partial(token_urlsafe, 32))


class WorkerHeartbeat(Base, kw_only=True):
    """What a worker last said of itself, for `/health`: the API never asks Temporal.

    `relay_lag` is the age in seconds of the oldest change that Temporal has not been told;
    `overdue` counts the runs and reminders that were due more than a minute ago.
    """

    __tablename__ = "worker_heartbeats"

    worker: Mapped[str] = mapped_column(primary_key=True)
    beat_at: Mapped[datetime]
    temporal_error: Mapped[str | None] = mapped_column(default=None)
    relay_lag: Mapped[float] = mapped_column(default=0.0)
    overdue: Mapped[int] = mapped_column(default=0)


def check_locale(name: str) -> str:
    """Return a locale as CLDR calls it (`pl_PL`); one that it does not know is a ValueError."""
    try:
        return str(Locale.parse(name.replace("-", "_")))
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(f"unknown locale {name or '(empty)'}; known are en, pl_PL…") from error


def check_region(code: str) -> str:
    """Return a country as it is, if it has phones and a code of ISO 3166, else a ValueError."""
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    raise ValueError(f"unknown country {code or '(empty)'}; ISO 3166 has codes such as DE")


LocaleName = Annotated[str, Field(max_length=64), AfterValidator(check_locale)]
RegionCode = Annotated[str, Field(max_length=64), AfterValidator(check_region)]


async def installation(session: AsyncSession, *, lock: bool = False) -> Installation:
    """Return the one row; a migrated database has it."""
    home = await session.get_one(
        Installation, THE_ONE, with_for_update=lock or None, populate_existing=lock
    )
    session.info["installation"] = home  # The session alone would forget it, and ask again.
    return home
