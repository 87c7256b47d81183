"""Companies: clients that are firms."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, status

from api.dependencies import CurrentUser, Paging, ReadSession, Session, page_of
from api.schemas import Emails, Id, LongText, Name, Page, Phones, Read, Write
from models.client import add_client, change_client, clients_where, find_client
from models.company import Company
from models.removal import remove_client
from models.stage_entry import Cause

router = APIRouter(prefix="/companies", tags=["companies"])


class CompanyRead(Read):
    id: int
    name: str
    comments: str | None
    phones: list[str]
    emails: list[str]
    made_by_run_id: int | None
    created_at: datetime


class CompanyFields(Write):
    """Phones without a country prefix are of the company's own country."""

    comments: LongText | None = None
    phones: Phones = []
    emails: Emails = []


class CompanyCreate(CompanyFields):
    name: Name


class CompanyUpdate(CompanyFields):
    """What is left out stays as it is; phones or e-mails that are sent replace all there are."""

    name: Name = ""


async def _present(session: Session, company_id: Id) -> Company:
    return await find_client(session, Company, company_id)


async def _locked(session: Session, company_id: Id) -> Company:
    return await find_client(session, Company, company_id, lock=True)


PresentCompany = Annotated[Company, Depends(_present)]
LockedCompany = Annotated[Company, Depends(_locked)]


@router.get("")
async def list_companies(session: ReadSession, paging: Paging) -> Page[CompanyRead]:
    """Return companies, oldest first."""
    return await page_of(session, clients_where(Company), paging, CompanyRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_company(session: Session, new: CompanyCreate) -> CompanyRead:
    """Create a company."""
    return CompanyRead.model_validate(await add_client(session, Company, new.changes()))


@router.get("/{company_id}")
async def read_company(company: PresentCompany) -> CompanyRead:
    """Return a company."""
    return CompanyRead.model_validate(company)


@router.patch("/{company_id}")
async def update_company(
    session: Session, company: LockedCompany, sent: CompanyUpdate
) -> CompanyRead:
    """Change fields of a company."""
    await change_client(session, company, sent.changes())
    return CompanyRead.model_validate(company)


@router.delete("/{company_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_company(session: Session, user: CurrentUser, company: LockedCompany) -> None:
    """Put a company into the recycle bin; 409 names the items and contacts that still use it."""
    await remove_client(session, company, Cause.person(user))
