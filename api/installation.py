"""The installation: how the company counts time and money and writes numbers."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from pydantic import Field

from api.dependencies import IfMatch, ReadSession, Session, only
from api.routing import resource
from api.schemas import Currency, Day, Read, Version, Write
from models.base import assign
from models.installation import Installation, LocaleName, RegionCode, installation
from models.timing import TimeZoneName
from models.user import Role
from models.working_time import HolidayCountry, WorkingHours

router = resource("installation", "/installation")

MOST_DAYS_OFF = 1000


class InstallationRead(Read):
    database_id: UUID = Field(description="Tells this database from every other.")
    time_zone: str
    locale: str
    currency: str
    phone_region: str
    working_hours: WorkingHours | None
    holiday_country: str | None
    days_off: list[date]
    version: Version


class InstallationUpdate(Write):
    """What is left out stays as it is; moments that are set already do not change."""

    time_zone: TimeZoneName = Field(default="UTC", description="In which rules count days.")
    locale: LocaleName = Field(default="en", description="In which texts show dates and numbers.")
    currency: Currency = Field(default="EUR", description="Of amounts without one.")
    phone_region: RegionCode = Field(
        default="DE", description="Country of phones without a prefix, after ISO 3166."
    )
    working_hours: WorkingHours | None = Field(
        default=None, description="When work is done; null is Monday to Friday, 9 to 18 o'clock."
    )
    holiday_country: HolidayCountry | None = Field(
        default=None,
        description="Whose public holidays are kept, after ISO 3166, or a part of it.",
        examples=["PL", "DE-BY"],
    )
    days_off: Annotated[list[Day], Field(max_length=MOST_DAYS_OFF)] = Field(
        default=[], description="Days off beside the public holidays."
    )

    def changes(self) -> dict[str, Any]:
        """Return what was sent as JSON, days off in order."""
        sent = self.model_dump(mode="json", include=self.model_fields_set)
        if "days_off" in sent:
            sent["days_off"] = sorted(set(sent["days_off"]))
        return sent


async def _locked(session: Session, match: IfMatch) -> Installation:
    return match.of(await installation(session, lock=True))


LockedInstallation = Annotated[Installation, Depends(_locked)]

ADMINS = only(Role.ADMIN, to="change the settings of the company")


@router.get("")
async def read_installation(session: ReadSession) -> InstallationRead:
    """Return the settings of the company."""
    return InstallationRead.model_validate(await installation(session))


@router.patch("", dependencies=[ADMINS])
async def update_installation(
    session: Session, home: LockedInstallation, sent: InstallationUpdate
) -> InstallationRead:
    """Change settings of the company.

    Days of rules are counted in the new time zone and working time from now on; moments that are
    set already stay, until `cuebook retime` sets them anew.
    """
    assign(home, sent.changes())
    await session.flush()
    return InstallationRead.model_validate(home)
