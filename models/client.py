"""Clients: what contacts and companies have in common, and who uses them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from models.base import assign, containing, count_change, find, having, in_order
from models.company import Company, place_company
from models.contact import Contact
from models.contact_point import replace_points, same_points
from models.installation import installation
from models.item import Item, item_contacts

Client = Contact | Company
SomeClient = TypeVar("SomeClient", Contact, Company)

ADDRESSES = frozenset({"phones", "emails"})
"""What stands in a table of its own."""

BESIDE = ADDRESSES | {"parent_id"}
"""What has a function of its own."""

MOST_TOLD = 5
"""Uses named in a message; a number stands for the rest."""


async def find_client(
    session: AsyncSession, kind: type[SomeClient], client_id: int, *, lock: bool = False
) -> SomeClient:
    """Return a contact or company with its addresses, or raise `NotFound`."""
    addresses = selectinload(kind.contact_points)
    return await find(session, kind, client_id, lock=lock, options=[addresses])


async def clients_where(
    session: AsyncSession,
    kind: type[SomeClient],
    *,
    q: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    **values: object,
) -> Select[SomeClient]:
    """Return the contacts or companies outside the bin that have these values, None meaning any.

    `q` is looked for in names. Phone and e-mail are those of somebody, however they are written.
    """
    addresses = selectinload(kind.contact_points)
    there = select(kind).where(kind.deleted_at.is_(None)).options(addresses)
    names = {Contact: _full_name(), Company: Company.name}
    home = await installation(session)
    points = same_points(number=phone, address=email, region=home.phone_region)
    reachable = [kind.contact_points.any(each) for each in points]
    return having(there, **values).where(*containing(names[kind], q), *reachable)


def _full_name() -> ColumnElement[str]:
    return func.coalesce(Contact.first_name, "") + " " + func.coalesce(Contact.last_name, "")


async def add_client(
    session: AsyncSession, kind: type[SomeClient], fields: Mapping[str, Any]
) -> SomeClient:
    """Store a new contact or company; `phones` and `emails` are texts as people write them."""
    own = {name: fields[name] for name in fields if name not in BESIDE}
    client = kind(contact_points=[], **own)
    await change_client(session, client, fields)
    return client


async def change_client(session: AsyncSession, client: Client, changes: Mapping[str, Any]) -> None:
    """Change a contact or company; phones and e-mails that are given replace all of their kind."""
    home = await installation(session)
    new = {
        name: changes[name]
        for name in ADDRESSES & changes.keys()
        if changes[name] != getattr(client, name)
    }
    if new:
        replace_points(
            client, phones=new.get("phones"), emails=new.get("emails"), region=home.phone_region
        )
        count_change(client, "comments")
    assign(client, {name: changes[name] for name in changes if name not in BESIDE})
    if isinstance(client, Company) and "parent_id" in changes:
        await place_company(session, client, changes["parent_id"])
    session.add(client)
    await session.flush()


def outside_bin(client: SomeClient | None) -> SomeClient | None:
    """Return a client, if there is one, unless it is in the recycle bin."""
    return None if client is None or client.deleted_at is not None else client


async def contacts_of(session: AsyncSession, item: Item) -> Sequence[Contact]:
    """Return the contacts of an item outside the bin with their addresses, the primary one first.

    What the transaction has changed stays changed.
    """
    further = select(item_contacts.c.contact_id).where(item_contacts.c.item_id == item.id)
    found = await session.scalars(
        select(Contact)
        .where(
            or_(Contact.id == item.contact_id, Contact.id.in_(further)),
            Contact.deleted_at.is_(None),
        )
        .order_by(Contact.id)
        .options(selectinload(Contact.contact_points))
    )
    return sorted(found, key=lambda contact: contact.id != item.contact_id)


async def clients_of(
    session: AsyncSession, item: Item, *, further_contacts: bool = False, lock: bool = False
) -> list[Client]:
    """Return contact and company of an item with their addresses, contacts first.

    `further_contacts` adds the others. Those of a locked item can be locked: whoever links one
    meanwhile waits, and is counted or refused afterwards. Clients in the recycle bin are left out.
    """
    contact_ids = [item.contact_id]
    if further_contacts:
        contact_ids += await session.scalars(
            select(item_contacts.c.contact_id).where(item_contacts.c.item_id == item.id)
        )
    contacts = await _clients(session, Contact, contact_ids, lock=lock)
    return [*contacts, *await _clients(session, Company, [item.company_id], lock=lock)]


async def lock_contact(session: AsyncSession, item: Item) -> Contact | None:
    """Return the primary contact of a locked item with its addresses, locked; None in the bin."""
    return next(iter(await _clients(session, Contact, [item.contact_id])), None)


async def lock_company(session: AsyncSession, item: Item) -> Company | None:
    """Return the company of a locked item with its addresses, locked; None in the bin."""
    return next(iter(await _clients(session, Company, [item.company_id])), None)


async def _clients(
    session: AsyncSession,
    kind: type[SomeClient],
    ids: Iterable[int | None],
    *,
    lock: bool = True,
) -> Sequence[SomeClient]:
    wanted = (
        select(kind)
        .where(kind.id.in_(in_order(ids)), kind.deleted_at.is_(None))
        .order_by(kind.id)
        .options(selectinload(kind.contact_points))
    )
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(wanted)).all()


async def uses_of(
    session: AsyncSession, client: Client, *, besides: Sequence[Client | Item] = ()
) -> str:
    """Return what uses a client, in words ("deal 17, contact 3"), or an empty text.

    What is in the recycle bin does not count, nor do items and clients that are to be left out.
    """
    left_out = [each.id for each in besides if isinstance(each, Item)]
    if isinstance(client, Contact):
        linked = select(item_contacts.c.item_id).where(item_contacts.c.contact_id == client.id)
        tied = or_(Item.contact_id == client.id, Item.id.in_(linked))
    else:
        tied = Item.company_id == client.id
    items = await session.execute(
        select(Item.type, Item.id)
        .where(tied, Item.deleted_at.is_(None), Item.id.not_in(left_out))
        .order_by(Item.id)
    )
    uses = [f"{kind} {item_id}" for kind, item_id in items]
    if isinstance(client, Company):
        gone = [each.id for each in besides if isinstance(each, Contact)]
        members = await session.scalars(
            select(Contact.id)
            .where(
                Contact.company_id == client.id,
                Contact.deleted_at.is_(None),
                Contact.id.not_in(gone),
            )
            .order_by(Contact.id)
        )
        uses += [f"contact {contact_id}" for contact_id in members]
        subsidiaries = await session.scalars(
            select(Company.id)
            .where(Company.parent_id == client.id, Company.deleted_at.is_(None))
            .order_by(Company.id)
        )
        uses += [f"company {company_id}" for company_id in subsidiaries]
    return the_first(uses)


def the_first(uses: Sequence[str]) -> str:
    """Return the first few in words, and how many more there are."""
    rest = len(uses) - MOST_TOLD
    return ", ".join(uses[:MOST_TOLD]) + (f" and {rest} more" if rest > 0 else "")
