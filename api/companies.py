"""Companies: clients that are firms."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    Count,
    Emails,
    EmailText,
    Filter,
    Id,
    LongText,
    Moment,
    Money,
    Name,
    Page,
    Phones,
    PhoneText,
    Read,
    SearchText,
    ShortText,
    Version,
    Write,
    Year,
)
from models.client import add_client, clients_where, find_client
from models.client_edit import edit_client
from models.company import Company
from models.removal import remove_client
from models.stage_entry import Cause

router = resource("companies", "/companies")


class CompanyRead(Read):
    id: int
    name: str
    industry: str | None
    address: str | None
    founded_year: int | None
    employees: int | None
    annual_revenue: Decimal | None = Field(description="In the currency of the installation.")
    parent_id: int | None = Field(description="The company whose subsidiary it is.")
    comments: str | None
    phones: list[str]
    emails: list[str]
    external_id: str | None = Field(description="What it is called where it was loaded from.")
    made_by_run_id: int | None
    created_at: datetime
    version: Version


class CompanyFields(Write):
    """Phones without a country prefix are of the company's own country."""

    industry: ShortText | None = None
    address: ShortText | None = None
    founded_year: Year | None = None
    employees: Count | None = None
    annual_revenue: Money | None = None
    parent_id: Id | None = Field(default=None, description="No company is over itself.")
    comments: LongText | None = None
    phones: Phones = []
    emails: Emails = []


class CompanyCreate(CompanyFields):
    name: Name


class CompanyUpdate(CompanyFields):
    """What is left out stays as it is; phones or e-mails that are sent replace all there are."""

    name: Name = ""


class CompanyFilter(Filter):
    """Which companies to list."""

    industry: ShortText | None = None
    parent_id: Id | None = None
    made_by_run_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the name.")
    phone: PhoneText | None = None
    email: EmailText | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None


Sorted = Annotated[PageQuery, sorted_by("id", "name", "created_at")]


async def _present(session: Session, company_id: Id) -> Company:
    return await find_client(session, Company, company_id)


async def _locked(session: Session, company_id: Id, match: IfMatch) -> Company:
    return match.of(await find_client(session, Company, company_id, lock=True))


PresentCompany = Annotated[Company, Depends(_present)]
LockedCompany = Annotated[Company, Depends(_locked)]


@router.get("")
async def list_companies(
    session: ReadSession, where: Annotated[CompanyFilter, Query()], paging: Sorted
) -> Page[CompanyRead]:
    """Return companies, oldest first, if not said otherwise."""
    wanted = await clients_where(session, Company, **where.asked())
    return await page_of(session, wanted, paging, CompanyRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_company(session: Session, new: CompanyCreate) -> CompanyRead:
    """Create a company.

    Phones and addresses are found however they are written: a caller, a mail, the exceptions list.
    """
    return CompanyRead.model_validate(await add_client(session, Company, new.changes()))


@router.get("/{company_id}")
async def read_company(company: PresentCompany) -> CompanyRead:
    """Return a company.

    With all phones and addresses, the ones to use first at the front.
    """
    return CompanyRead.model_validate(company)


@router.patch("/{company_id}")
async def update_company(
    session: Session, user: CurrentUser, company: LockedCompany, sent: CompanyUpdate
) -> CompanyRead:
    """Change fields of a company; its history keeps what they were.

    Phones or e-mails that are sent replace all there are of their kind.
    """
    await edit_client(session, company, sent.changes(), Cause.person(user))
    return CompanyRead.model_validate(company)


@router.delete("/{company_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_company(session: Session, user: CurrentUser, company: LockedCompany) -> None:
    """Put a company into the recycle bin; 409 names the items and contacts that still use it."""
    await remove_client(session, company, Cause.person(user))
