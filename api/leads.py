"""Leads: who may become a client."""

from typing import Annotated

from fastapi import APIRouter, Depends, status

from api.dependencies import CurrentUser, Paging, ReadSession, Session, page_of
from api.items import Filter, ItemFields, ItemRead, Place
from api.schemas import Emails, Id, Name, Page, Phones
from models.item import Item, Lead
from models.item_edit import add_item, edit_item, find_whole, items_where
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = APIRouter(prefix="/leads", tags=["leads"])


class LeadRead(ItemRead):
    first_name: str | None
    last_name: str | None
    phones: list[str]
    emails: list[str]
    is_repeat: bool
    further_contact_ids: list[int]


class LeadFields(ItemFields):
    first_name: Name | None = None
    last_name: Name | None = None
    phones: Phones = []
    emails: Emails = []


class LeadCreate(Place, LeadFields):
    """A lead with a contact or company is a repeat lead."""


class LeadUpdate(LeadFields):
    """What is left out stays as it is; stage and pipeline are changed by moving."""

    title: Name = ""


async def _present(session: Session, lead_id: Id) -> Item:
    return await find_whole(session, lead_id, Lead)


async def _locked(session: Session, lead_id: Id) -> Item:
    return await find_whole(session, lead_id, Lead, lock=True)


PresentLead = Annotated[Item, Depends(_present)]
LockedLead = Annotated[Item, Depends(_locked)]


@router.get("")
async def list_leads(session: ReadSession, where: Filter, paging: Paging) -> Page[LeadRead]:
    """Return leads, oldest first."""
    return await page_of(session, items_where(Lead, **where.model_dump()), paging, LeadRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_lead(session: Session, user: CurrentUser, new: LeadCreate) -> LeadRead:
    """Create a lead; the rules of its stage start."""
    lead = await add_item(
        session, Lead, new.fields(), user, pipeline_id=new.pipeline_id, stage_id=new.stage_id
    )
    return LeadRead.model_validate(lead)


@router.get("/{lead_id}")
async def read_lead(lead: PresentLead) -> LeadRead:
    """Return a lead."""
    return LeadRead.model_validate(lead)


@router.patch("/{lead_id}")
async def update_lead(
    session: Session, user: CurrentUser, lead: LockedLead, sent: LeadUpdate
) -> LeadRead:
    """Change fields of a lead; its history keeps what they were."""
    await edit_item(session, lead, sent.changes(), Cause.person(user))
    return LeadRead.model_validate(lead)


@router.delete("/{lead_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_lead(session: Session, user: CurrentUser, lead: LockedLead) -> None:
    """Put a lead into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, lead, Cause.person(user))
