"""Add to exceptions: what it lists and deletes, told before it is done, and taken back after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.base import insert_for
from models.client import Client, SomeClient, clients_of, uses_of
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint
from models.errors import Conflict, NotFound
from models.exclusion import (
    Exclusion,
    ExclusionClaim,
    ExclusionKind,
    Listed,
    Value,
    compared,
    is_among,
    listed_among,
    put_on,
)
from models.item import Item, Lead, lock_item
from models.item_type import ItemType
from models.provenance import acting_run
from models.recycle_bin import restore_client, restore_item
from models.rule_run import RuleRun
from models.stage_entry import Cause
from models.user import User


@dataclass(frozen=True)
class Staying:
    """A client whom something else uses: `uses` says what, in words."""

    client: Client
    uses: str


@dataclass(frozen=True)
class Going:
    """What *Add to exceptions* means for an item: which clients go with it, who stays, and why.

    `listed` are those whose phones and addresses are put on the list: of the clients, or of the
    item itself, if that is a lead without any.
    """

    item: Item
    gone: Sequence[Client]
    staying: Sequence[Staying]
    listed: Sequence[Client | Lead]
    lists_who_stays: bool

    @property
    def points(self) -> list[ContactPoint]:
        return [point for who in self.listed for point in who.contact_points]

    def told(self, new: int) -> str:
        """Return the sentence of what is done, where so many values were not on the list."""
        deleted = ", ".join([self.item.called, *(client.name for client in self.gone)])
        excepted = "excepted" if self.lists_who_stays else "not excepted"
        stays = "".join(
            f" {each.client.name} stays: {each.uses}; their addresses are {excepted}."
            for each in self.staying
        )
        noun = "address" if new == 1 else "addresses"
        return f"Put {new} {noun} on the exceptions list, deleted {deleted}.{stays}"


async def what_goes(
    session: AsyncSession,
    item: Item,
    *,
    further_contacts: bool,
    list_clients_who_stay: bool,
    lock: bool,
) -> Going:
    """Return what *Add to exceptions* with these settings means for an item; nothing is changed.

    Of a locked item, the clients can be locked, so that it stays true. A company goes where only
    contacts use it who go too.
    """
    clients = await clients_of(session, item, further_contacts=further_contacts, lock=lock)
    gone: list[Client] = []
    staying: list[Staying] = []
    for client in clients:
        if uses := await uses_of(session, client, besides=[item, *gone]):
            staying.append(Staying(client, uses))
        else:
            gone.append(client)
    listed: list[Client | Lead] = [*gone]
    if list_clients_who_stay:
        listed += [each.client for each in staying]
    if not clients and isinstance(item, Lead):
        await session.refresh(item, ["contact_points"])
        listed.append(item)
    return Going(item, gone, staying, listed, list_clients_who_stay)


EXCLUDED_WITH = (ItemType.LEAD, ItemType.DEAL)
"""Types of items that *Add to exceptions* is for."""


@dataclass(frozen=True)
class Foreseen:
    """What would come of it now: the sentence, and of each value the entry that it has already."""

    going: Going
    outcome: str
    values: Mapping[Value, int | None]


async def foresee(
    session: AsyncSession, item: Item, *, further_contacts: bool, list_clients_who_stay: bool
) -> Foreseen:
    """Return what *Add to exceptions* with these settings would do; nothing is changed."""
    if item.type not in EXCLUDED_WITH:
        raise Conflict(f"Only leads and deals are added to exceptions; this is {item.called}.")
    going = await what_goes(
        session,
        item,
        further_contacts=further_contacts,
        list_clients_who_stay=list_clients_who_stay,
        lock=False,
    )
    wanted = values_of(going.points)
    there = await listed_among(session, wanted)
    values = {each: there[each].id if each in there else None for each in wanted}
    new = sum(known is None for known in values.values())
    return Foreseen(going, going.told(new), values)


async def exclude(
    session: AsyncSession, points: Iterable[ContactPoint], *, comment: str
) -> list[Exclusion]:
    """Put these phones and addresses on the list; return those that were not on it.

    Whoever is about to list or to take off the same ones is waited for. A run lays claim to those
    that are there already.
    """
    wanted = values_of(points)
    new: list[Exclusion] = []
    present: dict[Value, Exclusion] = {}
    while left := [each for each in wanted if each not in present]:
        new += await put_on(session, [Listed(*each, comment) for each in left])
        present |= await _hold(session, left)
    run_id = acting_run()
    claimed = {each.id for each in present.values()} - {each.id for each in new}
    if run_id is not None and claimed:
        rows = [
            {"exclusion_id": each, "run_id": run_id, "comment": comment} for each in sorted(claimed)
        ]
        await session.execute(
            insert_for(session)(ExclusionClaim).values(rows).on_conflict_do_nothing()
        )
    return new


def values_of(points: Iterable[ContactPoint]) -> list[Value]:
    """Return these phones and addresses as they are compared, in the order they are locked in."""
    return sorted({(ExclusionKind(point.kind), compared(point)) for point in points if point.value})


async def _hold(session: AsyncSession, values: Sequence[Value]) -> dict[Value, Exclusion]:
    """Return the entries of these values, which stay on the list until the transaction ends."""
    found = await session.scalars(
        select(Exclusion)
        .where(is_among(values))
        .order_by(Exclusion.kind, Exclusion.value)
        .with_for_update(read=True, key_share=True)
    )
    return {(each.kind, each.value): each for each in found}


async def undo_exclusion(session: AsyncSession, run_id: int, by: User) -> Item:
    """Take back what a run of *Add to exceptions* did: item, clients and list, firing nothing.

    What somebody has restored or taken off the list meanwhile stays as it is, and a value that
    another run wants there too, which is not undone, goes over to that one.
    """
    item_id = await session.scalar(select(RuleRun.item_id).where(RuleRun.id == run_id))
    item = None if item_id is None else await lock_item(session, item_id)
    contacts = await _deleted_by(session, Contact, run_id)
    companies = await _deleted_by(session, Company, run_id)
    unlisted = await _unlist(session, run_id)
    gone = item is not None and item.deleted_by_run_id == run_id
    if item is None or not (gone or contacts or companies or unlisted):
        raise NotFound(
            f"Run {run_id} has put nothing on the exceptions list, or it was undone.",
            field="/run_id",
        )
    cause = Cause.restore(by)
    for contact in contacts:
        restore_client(session, contact, cause)
    for company in companies:
        restore_client(session, company, cause)
    if gone:
        await restore_item(session, item, cause)
    return item


async def _unlist(session: AsyncSession, run_id: int) -> bool:
    """Take off the list what only this run wants there; tell whether it wanted anything."""
    made = await session.scalars(
        select(Exclusion)
        .where(Exclusion.made_by_run_id == run_id)
        .order_by(Exclusion.kind, Exclusion.value)
        .with_for_update()
    )
    exclusions = {each.id: each for each in made}
    given_up = await session.scalars(
        delete(ExclusionClaim).where(ExclusionClaim.run_id == run_id).returning(ExclusionClaim.id)
    )
    wanted = bool(exclusions or given_up.all())
    claims = await session.scalars(
        select(ExclusionClaim)
        .where(ExclusionClaim.exclusion_id.in_(exclusions))
        .order_by(ExclusionClaim.id.desc())
    )
    heirs = {each.exclusion_id: each for each in claims}
    for exclusion in exclusions.values():
        heir = heirs.get(exclusion.id)
        if heir is None:
            await session.delete(exclusion)
        else:
            exclusion.made_by_run_id, exclusion.comment = heir.run_id, heir.comment
            await session.delete(heir)
    await session.flush()
    return wanted


async def _deleted_by(
    session: AsyncSession, kind: type[SomeClient], run_id: int
) -> Sequence[SomeClient]:
    found = await session.scalars(
        select(kind).where(kind.deleted_by_run_id == run_id).order_by(kind.id).with_for_update()
    )
    return found.all()
