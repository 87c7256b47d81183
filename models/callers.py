"""Callers: whom we know of those who get in touch, and what of theirs is open."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from models.client import SomeClient
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, as_compared, sharing
from models.item import Item, item_contacts
from models.pipeline import Stage, StageKind
from models.user import User

MOST_ITEMS = 20
"""Open items of a client for which the same thing is noted: the newest."""


@dataclass(frozen=True)
class Caller:
    """Contacts and companies by id, who shares most addresses first, then the oldest; open leads.

    `item_ids` are what is open of theirs, the oldest first, the leads among them; `more` tells
    whether there are even older ones.
    """

    contact_ids: Sequence[int] = ()
    company_ids: Sequence[int] = ()
    item_ids: Sequence[int] = ()
    more: bool = False

    @property
    def is_client(self) -> bool:
        return bool(self.contact_ids or self.company_ids)


async def caller_with(session: AsyncSession, points: Sequence[ContactPoint]) -> Caller:
    """Return who has one of these phones and addresses; those that cannot be read are nobody's."""
    known = [point for point in points if point.value]
    if not known:
        return Caller()
    whose = ContactPoint.contact_id, ContactPoint.company_id, ContactPoint.item_id
    rows = await session.execute(
        select(*whose).where(sharing(known)).group_by(*whose).order_by(func.count().desc(), *whose)
    )
    found = rows.all()
    contact_ids = await _there(session, Contact, [row[0] for row in found])
    company_ids = await _there(session, Company, [row[1] for row in found])
    leads = [row[2] for row in found if row[2] is not None]
    open_ids = await _open_items(session, contact_ids, company_ids, leads)
    return _caller(contact_ids, company_ids, open_ids)


async def caller_of_items(
    session: AsyncSession,
    item_ids: Collection[int],
    contact_ids: Sequence[int] = (),
    company_ids: Sequence[int] = (),
) -> Caller:
    """Return whose these items are, and these clients after them, and what is open of theirs."""
    rows = await session.execute(
        select(Item.contact_id, Item.company_id)
        .where(Item.id.in_(item_ids), Item.deleted_at.is_(None))
        .order_by(Item.id.desc())
    )
    found = rows.all()
    contact_ids = await _there(session, Contact, [*(row.contact_id for row in found), *contact_ids])
    company_ids = await _there(session, Company, [*(row.company_id for row in found), *company_ids])
    # Who is a person is not all of their firm.
    companies = [] if contact_ids else company_ids
    open_ids = await _open_items(session, contact_ids, companies, item_ids)
    return _caller(contact_ids, companies, open_ids)


def _caller(
    contact_ids: Sequence[int], company_ids: Sequence[int], newest_first: Sequence[int]
) -> Caller:
    few = sorted(newest_first[:MOST_ITEMS])
    return Caller(contact_ids, company_ids, few, more=len(newest_first) > MOST_ITEMS)


async def _there(
    session: AsyncSession, kind: type[SomeClient], ids: Iterable[int | None]
) -> list[int]:
    """Return which of these clients are outside the bin, each once, in the same order."""
    wanted = list(dict.fromkeys(each for each in ids if each is not None))
    if not wanted:
        return []
    there = await session.scalars(
        select(kind.id).where(kind.id.in_(wanted), kind.deleted_at.is_(None))
    )
    present = set(there)
    return [each for each in wanted if each in present]


async def open_of(session: AsyncSession, item_ids: Collection[int]) -> Sequence[int]:
    """Return which of these items are open, and what is open that was made of them."""
    return (await _open_items(session, [], [], item_ids))[:MOST_ITEMS]


async def _open_items(
    session: AsyncSession,
    contact_ids: Collection[int],
    company_ids: Collection[int],
    item_ids: Collection[int],
) -> list[int]:
    """Return what is open of these clients, and of these items and what was made of them.

    The newest come first.
    """
    conditions: list[ColumnElement[bool]] = []
    if contact_ids:
        further = select(item_contacts.c.item_id).where(item_contacts.c.contact_id.in_(contact_ids))
        conditions += [Item.contact_id.in_(contact_ids), Item.id.in_(further)]
    if company_ids:
        conditions.append(Item.company_id.in_(company_ids))
    if item_ids:
        conditions += [Item.id.in_(item_ids), Item.source_item_id.in_(item_ids)]
    if not conditions:
        return []
    found = await session.scalars(
        select(Item.id)
        .join(Stage, Stage.id == Item.stage_id)
        .where(or_(*conditions), Item.deleted_at.is_(None), Stage.kind == StageKind.OPEN)
        .order_by(Item.id.desc())
        .limit(MOST_ITEMS + 1)
    )
    return list(found)


async def newest_responsible(session: AsyncSession, caller: Caller) -> User | None:
    """Return who is responsible for the newest item of a client, be it open or not."""
    further = select(item_contacts.c.item_id).where(
        item_contacts.c.contact_id.in_(caller.contact_ids)
    )
    item = await session.scalar(
        select(Item)
        .where(
            or_(
                Item.contact_id.in_(caller.contact_ids),
                Item.company_id.in_(caller.company_ids),
                Item.id.in_(further),
            ),
            Item.deleted_at.is_(None),
            Item.responsible_id.is_not(None),
        )
        .order_by(Item.id.desc())
        .limit(1)
        .options(joinedload(Item.responsible))
    )
    return None if item is None else item.responsible


async def works_here(session: AsyncSession, address: str) -> bool:
    """Tell whether an address is that of somebody who works here, in any capitals.

    They are compared here, for of capitals SQLite knows only ASCII's.
    """
    known = await session.scalars(select(User.email).where(User.active, User.email.is_not(None)))
    return as_compared(address) in {as_compared(each) for each in known if each}
