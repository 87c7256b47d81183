"""The installation: how the company counts time and money and writes numbers."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from pydantic import Field

from api.dependencies import IfMatch, ReadSession, Session, only
from api.routing import resource
from api.schemas import Currency, Read, Version, Write
from models.base import assign
from models.installation import Installation, LocaleName, RegionCode, installation
from models.timing import TimeZoneName
from models.user import Role

router = resource("installation", "/installation")


class InstallationRead(Read):
    database_id: UUID = Field(description="Tells this database from every other.")
    time_zone: str
    locale: str
    currency: str
    phone_region: str
    version: Version


class InstallationUpdate(Write):
    """What is left out stays as it is; moments that are set already do not change."""

    time_zone: TimeZoneName = Field(default="UTC", description="In which rules count days.")
    locale: LocaleName = Field(default="en", description="In which texts show dates and numbers.")
    currency: Currency = Field(default="EUR", description="Of amounts without one.")
    phone_region: RegionCode = Field(
        default="DE", description="Country of phones without a prefix, after ISO 3166."
    )


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

    Days of rules are counted in the new time zone from now on; moments that are set already stay.
    """
    assign(home, sent.changes())
    await session.flush()
    return InstallationRead.model_validate(home)
