"""Conversion: a lead becomes a deal with its client, a deal becomes a quote and an invoice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.client import outside_bin
from models.client_of_lead import Found, company_for, contact_for
from models.company import Company
from models.contact import Contact
from models.crm_activity import planned_for
from models.crm_activity_edit import complete_crm_activity
from models.custom_fields import in_common
from models.entering import create_item
from models.errors import Conflict
from models.item import KINDS, Item, Lead, item_contacts, load_whole
from models.item_edit import edit_item, find_whole
from models.item_move import enter_won_stage
from models.item_type import ItemType
from models.occasion import fields_changed
from models.pipeline import Stage
from models.retiming import retime
from models.stage_entry import Cause
from models.task import open_tasks_of, set_status
from models.task_fields import TaskStatus
from models.user import User


class Creation(StrEnum):
    """What can be made from an item."""

    CONTACT = "contact"
    COMPANY = "company"
    DEAL = "deal"
    QUOTE = "quote"
    INVOICE = "invoice"


MADE_FROM: Mapping[ItemType, Sequence[Creation]] = {
    ItemType.LEAD: (Creation.CONTACT, Creation.COMPANY, Creation.DEAL),
    ItemType.DEAL: (Creation.QUOTE, Creation.INVOICE),
}

TYPES: Mapping[Creation, ItemType] = {
    Creation.DEAL: ItemType.DEAL,
    Creation.QUOTE: ItemType.QUOTE,
    Creation.INVOICE: ItemType.INVOICE,
}
"""Of what is made, the items."""

OF_ALL = ("amount", "currency")
OF_LEADS = ("begin_date", "close_date", "source", "comments")
"""Fields that whatever is made takes over from its source, and those that only a deal does."""


@dataclass(frozen=True)
class Offspring:
    """What a new item is called, who takes care of it, and where it begins."""

    title: str
    responsible: User | None
    stage: Stage


@dataclass(frozen=True)
class Wish:
    """What a lead is to become.

    `company` is the name of one that nobody knows yet; None: it needs none. `keep_open` leaves
    what is planned and to be done for the lead as it is.
    """

    contact: bool = False
    company: str | None = None
    deal: Offspring | None = None
    keep_open: bool = False


@dataclass(frozen=True)
class Converted:
    """What a lead has become; `sentences` tell it."""

    contact: Contact | None
    company: Company | None
    deal: Item | None
    sentences: Sequence[str]


async def convert_lead(session: AsyncSession, lead: Lead, wish: Wish, cause: Cause) -> Converted:
    """Let a locked lead become what is wished, once; it enters the won stage of its pipeline.

    A client that it has already stays its client. Raises `Conflict` where it was converted before
    or says too little.
    """
    if lead.converted_at is not None:
        raise Conflict(
            f"Lead {lead.id} is converted already, since {lead.converted_at:%Y-%m-%d %H:%M} UTC."
        )
    await _load(session, lead)
    contact, company, sentences = await _client(session, lead, wish)
    clients = {"contact_id": contact and contact.id, "company_id": company and company.id}
    await edit_item(session, lead, {name: each for name, each in clients.items() if each}, cause)
    deal = None
    if wish.deal is not None:
        deal = await make_from(session, lead, ItemType.DEAL, wish.deal, cause)
        sentences.append(f"Created {deal.called} «{deal.title}».")
    lead.converted_at = clock.now()
    await session.flush()
    await retime(session, lead, ["converted_at"], cause)
    fields_changed(session, lead, {"converted_at": "Converted at"}, cause)
    if stage := await enter_won_stage(session, lead, cause):
        sentences.append(f"The lead stands in «{stage.name}».")
    if not wish.keep_open:
        sentences += await _complete_everything(session, lead, cause)
    return Converted(contact, company, deal, sentences)


async def link_contact(session: AsyncSession, lead: Lead, cause: Cause) -> Found:
    """Give a locked lead without a contact the one that it speaks of, or raise `Conflict`."""
    await _load(session, lead)
    if present := outside_bin(lead.contact):
        raise Conflict(f"Lead {lead.id} has contact {present.id} «{present.name}» already.")
    found = await contact_for(session, lead)
    await edit_item(session, lead, {"contact_id": found.contact.id}, cause)
    return found


async def make_from(
    session: AsyncSession, source: Item, item_type: ItemType, wanted: Offspring, cause: Cause
) -> Item:
    """Create an item for the client of a locked one, with its money, products and custom fields.

    Custom fields are those that both types have. The rules of its stage start.
    """
    await _load(session, source)
    contacts = await session.scalars(
        select(Contact)
        .join(item_contacts, item_contacts.c.contact_id == Contact.id)
        .where(item_contacts.c.item_id == source.id, Contact.deleted_at.is_(None))
        .order_by(Contact.id)
    )
    names = OF_ALL + (OF_LEADS if isinstance(source, Lead) else ())
    fields: dict[str, Any] = {name: getattr(source, name) for name in names}
    made = KINDS[item_type](
        title=wanted.title,
        responsible=wanted.responsible,
        creator=source.creator,
        contact=outside_bin(source.contact),
        further_contacts=list(contacts),
        company=outside_bin(source.company),
        custom=await in_common(session, source, item_type),
        product_rows=[row.again() for row in source.product_rows],
        source_item=source,
        **fields,
    )
    await create_item(session, made, wanted.stage, cause)
    return made


async def _load(session: AsyncSession, item: Item) -> None:
    await load_whole(session, item)
    await find_whole(session, item.id, KINDS[item.type])


async def _client(
    session: AsyncSession, lead: Lead, wish: Wish
) -> tuple[Contact | None, Company | None, list[str]]:
    """Return the client that a lead has or gets, and what there is to tell of that."""
    contact, company = outside_bin(lead.contact), outside_bin(lead.company)
    found = None if contact is None else Found(contact, is_new=False, sentence="")
    sentences = []
    if wish.contact and found is None:
        found = await contact_for(session, lead)
        sentences.append(found.sentence)
    if wish.company is not None and company is None:
        company, sentence = await company_for(session, lead, wish.company, found)
        sentences.append(sentence)
    return (found.contact if found else None), company, sentences


async def _complete_everything(session: AsyncSession, lead: Lead, cause: Cause) -> list[str]:
    """Complete what is to be done and planned for a locked lead, and tell how much that was.

    Whoever converts it: of no task a result is asked.
    """
    tasks = await open_tasks_of(session, lead)
    for task in tasks:
        await set_status(session, task, TaskStatus.COMPLETED, cause, by_itself=True)
    crm_activities = await planned_for(session, lead)
    for crm_activity in crm_activities:
        await complete_crm_activity(session, crm_activity, cause)
    done = len(tasks) + len(crm_activities)
    noun = "task or activity" if done == 1 else "tasks and activities"
    return [f"Completed {done} {noun}."] if done else []
