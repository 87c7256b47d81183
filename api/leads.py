"""Leads: who may become a client."""

from typing import Annotated

from fastapi import Depends, status

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.items import (
    CUSTOM_QUERY,
    CustomFilter,
    ItemFields,
    ItemRead,
    Place,
    SortedItems,
    WantedItems,
)
from api.paging import page_of
from api.routing import resource
from api.schemas import Emails, Id, Name, Page, Phones
from models.access import reached
from models.custom_filter import custom_conditions
from models.item import Item, Lead
from models.item_edit import add_item, edit_item, find_whole, items_where
from models.item_type import ItemType
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = resource("leads", "/leads")


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


async def _present(session: Session, user: CurrentUser, lead_id: Id) -> Item:
    return await reached(session, user, await find_whole(session, lead_id, Lead))


async def _locked(session: Session, user: CurrentUser, lead_id: Id, match: IfMatch) -> Item:
    lead = await find_whole(session, lead_id, Lead, lock=True)
    return match.of(await reached(session, user, lead))


PresentLead = Annotated[Item, Depends(_present)]
LockedLead = Annotated[Item, Depends(_locked)]


@router.get("", openapi_extra=CUSTOM_QUERY)
async def list_leads(
    session: ReadSession,
    user: CurrentUser,
    where: WantedItems,
    asked: CustomFilter,
    paging: SortedItems,
) -> Page[LeadRead]:
    """Return the leads within your reach, oldest first, if not said otherwise."""
    custom = await custom_conditions(session, ItemType.LEAD, asked)
    wanted = items_where(Lead, user, **where.asked(), custom=custom)
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

    Runs that wait for a date of it follow the date. For another stage, move it.
    """
    await edit_item(session, lead, sent.changes(), Cause.person(user))
    return LeadRead.model_validate(lead)


@router.delete("/{lead_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_lead(session: Session, user: CurrentUser, lead: LockedLead) -> None:
    """Put a lead into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, lead, Cause.person(user))
