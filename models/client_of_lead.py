"""The client of a lead: somebody who is known by an address of it, or made of what it says."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.client import SomeClient
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, sharing
from models.errors import Conflict
from models.item import Lead
from models.locking import one_at_a_time


@dataclass(frozen=True)
class Found:
    """The contact of a lead, which others may have known before; the sentence says how."""

    contact: Contact
    is_new: bool
    sentence: str


async def contact_for(session: AsyncSession, lead: Lead) -> Found:
    """Return the contact that a locked lead, loaded whole, speaks of; a new one if nobody knows it.

    It is known by a phone or e-mail that it shares with the lead. Of several it is the one that
    shares most, the oldest of those. Nobody else makes one of these addresses meanwhile. Raises
    `Conflict` where the lead says too little.
    """
    if not (lead.first_name or lead.last_name or lead.contact_points):
        raise Conflict(
            f"Lead {lead.id} has no name, phone or e-mail that a contact could be made of."
        )
    points = [point for point in lead.contact_points if point.value]
    await one_at_a_time(session, *(f"{point.kind} {point.value}".lower() for point in points))
    known = await _who_share(session, points)
    for contact_id in known:
        contact = await _kept(session, Contact, contact_id)
        if contact is not None:
            others = len(known) - 1
            among = f", who shares most with it or is the oldest of {others + 1}" if others else ""
            sentence = f"Linked contact {contact.id} «{contact.name}», known by its address{among}."
            return Found(contact, is_new=False, sentence=sentence)
    contact = Contact(
        first_name=lead.first_name,
        last_name=lead.last_name,
        contact_points=[point.again() for point in lead.contact_points],
    )
    session.add(contact)
    await session.flush()
    return Found(contact, is_new=True, sentence=f"Created contact {contact.id} «{contact.name}».")


async def company_for(
    session: AsyncSession, lead: Lead, name: str, found: Found | None
) -> tuple[Company, str]:
    """Return the company of a locked lead, and the sentence that says how it was found.

    That of its contact, or one of this name, else a new one; who has no contact gives it the
    addresses of the lead. A contact that is new works there from now on.
    """
    company = await _employer(session, found)
    if company is None:
        await one_at_a_time(session, f"company {name}")
        named = await session.scalars(
            select(Company)
            .where(Company.name == name, Company.deleted_at.is_(None))
            .order_by(Company.id)
            .limit(1)
            .with_for_update(read=True, key_share=True)
        )
        company = named.first()
    sentence = "" if company is None else f"Linked company {company.id} «{company.name}»."
    if company is None:
        points = [] if found else [point.again() for point in lead.contact_points]
        company = Company(name=name, contact_points=points)
        session.add(company)
        await session.flush()
        sentence = f"Created company {company.id} «{company.name}»."
    if found and found.is_new:
        found.contact.company = company
    return company, sentence


async def _who_share(session: AsyncSession, points: list[ContactPoint]) -> list[int]:
    """Return the contacts that have some of these addresses, whoever has most of them first."""
    if not points:
        return []
    found = await session.scalars(
        select(ContactPoint.contact_id)
        .join(Contact, Contact.id == ContactPoint.contact_id)
        .where(sharing(points), Contact.deleted_at.is_(None))
        .group_by(ContactPoint.contact_id)
        .order_by(func.count().desc(), ContactPoint.contact_id)
    )
    return [each for each in found if each is not None]


async def _kept(session: AsyncSession, kind: type[SomeClient], client_id: int) -> SomeClient | None:
    """Return a client that is outside the bin and stays there until the transaction ends."""
    found = await session.scalars(
        select(kind)
        .where(kind.id == client_id, kind.deleted_at.is_(None))
        .with_for_update(read=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    return found.one_or_none()


async def _employer(session: AsyncSession, found: Found | None) -> Company | None:
    if found is None or found.contact.company_id is None:
        return None
    return await _kept(session, Company, found.contact.company_id)
