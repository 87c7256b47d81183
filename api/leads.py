"""Leads: who may become a client."""

from datetime import datetime
from typing import Annotated

from fastapi import status
from pydantic import Field

from api.dependencies import CurrentUser, ReadSession, Session
from api.item_resource import (
    CUSTOM_QUERY,
    CustomFilter,
    ItemFields,
    Place,
    SortedItems,
    WantedItems,
    WholeItemRead,
    listed,
    locked,
    present,
)
from api.paging import page_of
from api.routing import resource
from api.schemas import Emails, Name, Page, Phones
from models.item import Lead
from models.item_edit import add_item, after_triggers, edit_item
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = resource("leads", "/leads")


class LeadRead(WholeItemRead):
    first_name: str | None
    last_name: str | None
    phones: list[str]
    emails: list[str]
    is_repeat: bool
    converted_at: datetime | None = Field(
        description="When it became a deal, contact or company; null while it has not."
    )


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


PresentLead = Annotated[Lead, present(Lead)]
LockedLead = Annotated[Lead, locked(Lead)]


@router.get("", openapi_extra=CUSTOM_QUERY)
async def list_leads(
    session: ReadSession,
    user: CurrentUser,
    where: WantedItems,
    asked: CustomFilter,
    paging: SortedItems,
) -> Page[LeadRead]:
    """Return the leads within your reach, oldest first, if not said otherwise."""
    wanted = await listed(session, user, Lead, where, asked)
    return await page_of(session, wanted, paging, LeadRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_lead(session: Session, user: CurrentUser, new: LeadCreate) -> LeadRead:
    """Create a lead; the rules of its stage start.

    Without a place it begins in the first stage of the first pipeline for leads. Whoever asks is
    its creator, and responsible for it if nobody else is named.
    """
    lead = await add_item(session, Lead, new.fields(), user, new.beginning())
    return LeadRead.model_validate(lead)


@router.get("/{lead_id}")
async def read_lead(lead: PresentLead) -> LeadRead:
    """Return a lead.

    Its `version` is the `ETag` that a change asks for.
    """
    return LeadRead.model_validate(lead)


@router.patch("/{lead_id}")
async def update_lead(
    session: Session, user: CurrentUser, lead: LockedLead, sent: LeadUpdate
) -> LeadRead:
    """Change fields of a lead; its history keeps what they were.

    Runs that wait for a date of it follow the date. For another stage, move it; triggers that wait
    for the change do so by themselves.
    """
    await edit_item(session, lead, sent.changes(), Cause.person(user))
    return LeadRead.model_validate(await after_triggers(session, lead))


@router.delete("/{lead_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_lead(session: Session, user: CurrentUser, lead: LockedLead) -> None:
    """Put a lead into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, lead, Cause.person(user))
