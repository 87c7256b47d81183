"""Contacts: clients that are persons."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    Emails,
    EmailText,
    Filter,
    Id,
    LongText,
    Moment,
    Name,
    Page,
    Phones,
    PhoneText,
    Read,
    SearchText,
    Version,
    Write,
)
from models.base import linked
from models.client import add_client, clients_where, find_client
from models.client_edit import edit_client
from models.company import Company
from models.contact import Contact
from models.removal import remove_client
from models.stage_entry import Cause

router = resource("contacts", "/contacts")


class ContactRead(Read):
    id: int
    name: str
    first_name: str | None
    last_name: str | None
    position: str | None
    comments: str | None
    company_id: int | None
    phones: list[str]
    emails: list[str]
    made_by_run_id: int | None
    created_at: datetime
    version: Version


class ContactFields(Write):
    """Phones without a country prefix are of the company's own country."""

    first_name: Name | None = None
    last_name: Name | None = None
    position: Name | None = None
    comments: LongText | None = None
    company_id: Id | None = None
    phones: Phones = []
    emails: Emails = []


class ContactCreate(ContactFields):
    pass


class ContactUpdate(ContactFields):
    """What is left out stays as it is; phones or e-mails that are sent replace all there are."""


class ContactFilter(Filter):
    """Which contacts to list."""

    company_id: Id | None = None
    made_by_run_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the name.")
    phone: PhoneText | None = None
    email: EmailText | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None


Sorted = Annotated[PageQuery, sorted_by("id", "last_name", "created_at")]


async def _present(session: Session, contact_id: Id) -> Contact:
    return await find_client(session, Contact, contact_id)


async def _locked(session: Session, contact_id: Id, match: IfMatch) -> Contact:
    return match.of(await find_client(session, Contact, contact_id, lock=True))


PresentContact = Annotated[Contact, Depends(_present)]
LockedContact = Annotated[Contact, Depends(_locked)]


@router.get("")
async def list_contacts(
    session: ReadSession, where: Annotated[ContactFilter, Query()], paging: Sorted
) -> Page[ContactRead]:
    """Return contacts, oldest first, if not said otherwise."""
    wanted = await clients_where(session, Contact, **where.asked())
    return await page_of(session, wanted, paging, ContactRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_contact(session: Session, new: ContactCreate) -> ContactRead:
    """Create a contact.

    Phones and addresses are found however they are written: a caller, a mail, the exceptions list.
    """
    fields = await linked(session, new.changes(), company=Company)
    return ContactRead.model_validate(await add_client(session, Contact, fields))


@router.get("/{contact_id}")
async def read_contact(contact: PresentContact) -> ContactRead:
    """Return a contact.

    With all phones and addresses, the ones to use first at the front.
    """
    return ContactRead.model_validate(contact)


@router.patch("/{contact_id}")
async def update_contact(
    session: Session, user: CurrentUser, contact: LockedContact, sent: ContactUpdate
) -> ContactRead:
    """Change fields of a contact; its history keeps what they were.

    Phones or e-mails that are sent replace all there are of their kind.
    """
    await edit_client(session, contact, sent.changes(), Cause.person(user))
    return ContactRead.model_validate(contact)


@router.delete("/{contact_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_contact(session: Session, user: CurrentUser, contact: LockedContact) -> None:
    """Put a contact into the recycle bin; 409 names the items that still use it."""
    await remove_client(session, contact, Cause.person(user))
