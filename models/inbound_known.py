"""Whose it is: the items and the client that something that came in belongs to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from models.base import AGAINST_DELETION, in_order
from models.callers import Caller, caller_of_items, caller_with, open_of
from models.client import SomeClient, outside_bin
from models.company import Company
from models.contact import Contact
from models.inbound import clients_of_handle, items_of_handle
from models.inbound_thread import items_answered
from models.incoming import Incoming
from models.item import Item, lock_items
from models.pipeline import StageKind


@dataclass(frozen=True)
class Known:
    """What something that came in belongs to; its items and clients are locked.

    `answered` are those of the items in whose thread it is a reply.
    """

    items: Sequence[Item]
    contact: Contact | None = None
    company: Company | None = None
    answered: Sequence[Item] = ()
    caller: Caller = field(default_factory=Caller)

    @property
    def is_nobody(self) -> bool:
        return not (self.items or self.contact or self.company)


async def known_of(session: AsyncSession, incoming: Incoming) -> Known:
    """Find whose it is, and lock their items and them.

    A reply is for the items of its thread; where none of them is open any more, it is also for what
    was made of them and what else is open of the sender's.
    """
    thread = await items_answered(session, incoming.references)
    caller = await _caller(session, incoming)
    items = await _lock(session, {*thread, *await open_of(session, thread), *caller.item_ids})
    answered = [item for item in items if item.id in thread]
    still_open = [item for item in items if item.stage.kind is StageKind.OPEN]
    closed = not any(item in still_open for item in answered)
    mine = [item for item in items if item in answered or (closed and item in still_open)]
    contact = await _keep_client(session, Contact, caller.contact_ids)
    company = None if contact else await _keep_client(session, Company, caller.company_ids)
    return Known(mine, contact, company, answered, caller)


async def _caller(session: AsyncSession, incoming: Incoming) -> Caller:
    """Return who it came from: known by phone or address, else by handle of earlier messages."""
    caller = await caller_with(session, incoming.points)
    if incoming.handle is None or caller.is_client or caller.item_ids:
        return caller
    item_ids = await items_of_handle(session, incoming.handle)
    noted_for = await clients_of_handle(session, incoming.handle)
    return await caller_of_items(session, item_ids, *noted_for)


async def _lock(session: AsyncSession, item_ids: Iterable[int]) -> Sequence[Item]:
    """Return those of these items that are there, locked in order, with stage and people."""
    wanted = in_order(item_ids)
    locked = await lock_items(session, wanted) if wanted else {}
    return [item for item in locked.values() if item.deleted_at is None]


async def _keep_client(
    session: AsyncSession, kind: type[SomeClient], ids: Sequence[int]
) -> SomeClient | None:
    """Return the first of these clients who is still there, and whom nobody deletes meanwhile."""
    for client_id in ids:
        client = await session.get(
            kind, client_id, with_for_update=AGAINST_DELETION, populate_existing=True
        )
        if there := outside_bin(client):
            return there
    return None
