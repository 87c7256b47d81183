"""The installation: how the company counts time and money and writes numbers."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from api.dependencies import ReadSession, Session
from api.schemas import Currency, Read, Write
from models.base import assign
from models.installation import LocaleName, RegionCode, installation
from models.timing import TimeZoneName

router = APIRouter(prefix="/installation", tags=["installation"])


class InstallationRead(Read):
    database_id: UUID = Field(description="Tells this database from every other.")
    time_zone: str
    locale: str
    currency: str
    phone_region: str


class InstallationUpdate(Write):
    """What is left out stays as it is; moments that are set already do not change."""

    time_zone: TimeZoneName = Field(default="UTC", description="In which rules count days.")
    locale: LocaleName = Field(default="en", description="In which texts show dates and numbers.")
    currency: Currency = Field(default="EUR", description="Of amounts without one.")
    phone_region: RegionCode = Field(
        default="DE", description="Country of phones without a prefix, after ISO 3166."
    )


@router.get("")
async def read_installation(session: ReadSession) -> InstallationRead:
    """Return the settings of the company."""
    return InstallationRead.model_validate(await installation(session))


@router.patch("")
async def update_installation(session: Session, sent: InstallationUpdate) -> InstallationRead:
    """Change settings of the company."""
    home = await installation(session)
    assign(home, sent.changes())
    return InstallationRead.model_validate(home)
