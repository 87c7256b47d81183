"""The intake: what comes of a mail, call, message or form, all of it in one transaction.

It is stored once, unless the sender is on the exceptions list. Whoever is known gets a CRM activity
for each open item; whoever is not becomes a lead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from models import clock
from models.base import AGAINST_DELETION, in_order
from models.callers import (
    Caller,
    caller_of_items,
    caller_with,
    newest_responsible,
    open_of,
    works_here,
)
from models.client import SomeClient, outside_bin
from models.company import Company
from models.contact import Contact
from models.crm_activity import Completion, CrmActivity, CrmActivityDirection
from models.crm_activity_end import HAPPENED, about, as_completed
from models.custom_fields import with_custom
from models.entering import create_item
from models.exclusion import excluded_among
from models.inbound import (
    Inbound,
    InboundKind,
    InboundOutcome,
    crm_activities_of,
)
from models.inbound_notices import tell
from models.incoming import (
    Call,
    Form,
    Incoming,
    Message,
    in_short,
    names_of,
    of_call,
    of_form,
    of_mail,
    of_message,
)
from models.incoming_mail import IncomingMail
from models.installation import installation
from models.item import Item, Lead
from models.item_type import ItemType
from models.locking import one_at_a_time
from models.occasion import occurred
from models.pipeline import StageKind, first_stage
from models.reminders import set_reminders
from models.repetition import seen_before
from models.stage_entry import Cause, sign
from models.thread import items_answered
from models.user import User
from models.wait import WaitEnd, end_waits

OF_OURS = "It came from somebody who works here, or from our own address: it makes no lead."


@dataclass(frozen=True)
class Reception:
    """Where things come in: `url` is that of the API, `address` what our mail comes from.

    `user` is whose token was used; whatever came by SMTP has none.
    """

    url: str
    address: str
    user: User | None = None

    @property
    def user_id(self) -> int | None:
        return None if self.user is None else self.user.id


@dataclass(frozen=True)
class Received:
    """What came of something; without `inbound` nothing of it was kept."""

    outcome: InboundOutcome
    sentence: str
    inbound: Inbound | None = None
    crm_activities: Sequence[CrmActivity] = ()
    repeated: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it was stored just now."""
        return self.inbound is not None and not self.repeated

    @property
    def inbound_id(self) -> int | None:
        return None if self.inbound is None else self.inbound.id

    @property
    def lead_id(self) -> int | None:
        return None if self.inbound is None else self.inbound.lead_id

    @property
    def item_ids(self) -> list[int]:
        return in_order(each.item_id for each in self.crm_activities)

    @property
    def crm_activity_ids(self) -> list[int]:
        return in_order(each.id for each in self.crm_activities)

    @property
    def contact_id(self) -> int | None:
        return None if self.inbound is None else self.inbound.contact_id

    @property
    def company_id(self) -> int | None:
        return None if self.inbound is None else self.inbound.company_id


async def receive_mail(
    session: AsyncSession, raw: bytes, mail: IncomingMail, at: Reception
) -> Received:
    """Take in a mail that was read of these bytes."""
    return await _receive(session, of_mail(raw, mail), at)


async def receive_call(session: AsyncSession, call: Call, at: Reception) -> Received:
    """Take in a call that has ended, be it one of ours."""
    home = await installation(session)
    return await _receive(session, of_call(call, home.phone_region), at)


async def receive_message(session: AsyncSession, message: Message, at: Reception) -> Received:
    """Take in a message."""
    home = await installation(session)
    return await _receive(session, of_message(message, home.phone_region), at)


async def receive_form(session: AsyncSession, form: Form, at: Reception) -> Received:
    """Take in a form; raises `Invalid` for custom fields that leads cannot have so."""
    home = await installation(session)
    await with_custom(session, Lead(title=form.code, custom={}), form.custom)
    return await _receive(session, of_form(form, home.phone_region), at)


@dataclass(frozen=True)
class _Known:
    """What something that came in belongs to; its items and clients are locked.

    `answered` are those of the items in whose thread it is a reply.
    """

    items: Sequence[Item]
    contact: Contact | None
    company: Company | None
    answered: Sequence[Item]
    caller: Caller

    @property
    def is_nobody(self) -> bool:
        return not (self.items or self.contact or self.company)


async def _receive(session: AsyncSession, incoming: Incoming, at: Reception) -> Received:
    # Before items are locked: nobody who waits here holds any.
    await one_at_a_time(session, *incoming.names)
    before, incoming = await seen_before(session, incoming)
    if before is not None:
        noted = await crm_activities_of(session, before.id)
        return Received(before.outcome, before.reason, before, noted, repeated=True)
    known = await _known(session, incoming)
    excluded = await _is_excluded(session, incoming)
    if excluded and not known.answered:
        said = "The number called" if incoming.outgoing else "The sender"
        sentence = f"{said} is on the exceptions list: nothing of it was kept."
        return Received(InboundOutcome.EXCLUDED, sentence)
    if await _is_ours(session, incoming, at):
        return await _only_keep(session, incoming, at, InboundOutcome.OURS, OF_OURS)
    if not known.is_nobody:
        return await _note(session, incoming, known, at, excluded=excluded)
    if reason := _no_lead(incoming):
        return await _only_keep(session, incoming, at, *reason)
    return await _make_lead(session, incoming, at)


async def _known(session: AsyncSession, incoming: Incoming) -> _Known:
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
    return _Known(mine, contact, company, answered, caller)


async def _caller(session: AsyncSession, incoming: Incoming) -> Caller:
    """Return who it came from: known by phone or address, else by what came from them before."""
    if incoming.points or incoming.address is None:
        return await caller_with(session, incoming.points)
    earlier = await session.scalars(
        select(CrmActivity.item_id)
        .join(Inbound, Inbound.id == CrmActivity.inbound_id)
        .where(
            Inbound.kind == incoming.kind,
            Inbound.address == incoming.address,
            CrmActivity.item_id.is_not(None),
        )
        .distinct()
    )
    return await caller_of_items(session, in_order(earlier))


async def _lock(session: AsyncSession, item_ids: Iterable[int]) -> Sequence[Item]:
    """Return those of these items that are there, locked in order, with stage and people."""
    wanted = in_order(item_ids)
    if not wanted:
        return []
    found = await session.scalars(
        select(Item)
        .where(Item.id.in_(wanted), Item.deleted_at.is_(None))
        .order_by(Item.id)
        .options(
            joinedload(Item.stage, innerjoin=True),
            joinedload(Item.responsible),
            joinedload(Item.contact),
            joinedload(Item.company),
        )
        .with_for_update(key_share=True, of=Item)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def _keep_client(
    session: AsyncSession, kind: type[SomeClient], ids: Sequence[int]
) -> SomeClient | None:
    """Return the first of these clients, whom nobody deletes meanwhile; None in the bin."""
    if not ids:
        return None
    client = await session.get(
        kind, ids[0], with_for_update=AGAINST_DELETION, populate_existing=True
    )
    return outside_bin(client)


async def _is_excluded(session: AsyncSession, incoming: Incoming) -> bool:
    """Tell whether the exceptions list keeps it out; forms it never does."""
    if incoming.kind is InboundKind.FORM:
        return False
    values = [*(each.value for each in incoming.points if each.value), *incoming.senders]
    return bool(values) and bool(await excluded_among(session, values))


async def _is_ours(session: AsyncSession, incoming: Incoming, at: Reception) -> bool:
    """Tell whether a mail came from us: from who works here, or our own address."""
    if incoming.kind is not InboundKind.EMAIL or incoming.address is None:
        return False
    if incoming.address.lower() == at.address.lower():
        return True
    return await works_here(session, incoming.address)


def _no_lead(incoming: Incoming) -> tuple[InboundOutcome, str] | None:
    """Say why something of nobody we know makes no lead, if it does not."""
    if incoming.automatic is not None:
        reason = f"Nobody has written it ({incoming.automatic}): it makes no lead."
        return InboundOutcome.AUTOMATIC, reason
    if incoming.kind is not InboundKind.FORM and incoming.address is None:
        return InboundOutcome.UNREADABLE, _unreadable(incoming)
    if incoming.outgoing:
        return InboundOutcome.UNKNOWN, "We called somebody unknown: that makes no lead."
    return None


def _unreadable(incoming: Incoming) -> str:
    written = in_short(incoming.sender or "")
    if incoming.kind is InboundKind.EMAIL:
        said = f"«{written}» is no address" if written else "it names no sender"
        return f"Nobody can tell who it came from: {said}."
    return f"«{written}» is no phone number." if written else "The number was hidden."


async def _only_keep(
    session: AsyncSession,
    incoming: Incoming,
    at: Reception,
    outcome: InboundOutcome,
    reason: str,
) -> Received:
    kept = await _keep(session, incoming, at, outcome, reason)
    return Received(outcome, reason, kept)


async def _keep(
    session: AsyncSession,
    incoming: Incoming,
    at: Reception,
    outcome: InboundOutcome,
    reason: str,
    known: _Known | None = None,
) -> Inbound:
    """Store what came in, and nothing beside it yet."""
    items = known.items if known else []
    inbound = Inbound(
        kind=incoming.kind,
        key=incoming.key,
        outcome=outcome,
        reason=reason,
        sender=incoming.sender,
        address=incoming.address,
        subject=incoming.title,
        happened_at=incoming.happened_at,
        content=dict(incoming.content),
        raw=incoming.raw,
        size=None if incoming.raw is None else len(incoming.raw),
        contact_id=known.contact.id if known and known.contact else None,
        company_id=known.company.id if known and known.company else None,
        item_id=max((item.id for item in items), default=None),
        creator_id=at.user_id,
    )
    session.add(inbound)
    await session.flush()
    return inbound


async def _note(
    session: AsyncSession, incoming: Incoming, known: _Known, at: Reception, *, excluded: bool
) -> Received:
    """Note it for the items of somebody who is known, or for the client alone.

    What an excluded sender replies is kept in the thread, and counts for nothing.
    """
    if excluded:
        known = replace(known, items=known.answered)
    sentence = _in_words(incoming, known, excluded=excluded)
    kept = await _keep(session, incoming, at, InboundOutcome.NOTED, sentence, known)
    responsible = None if known.items else await newest_responsible(session, known.caller)
    targets: Sequence[Item | None] = known.items or [None]
    noted = [
        await _crm_activity(session, incoming, kept, known, item, responsible) for item in targets
    ]
    await tell(session, noted, incoming, at.url)
    if incoming.automatic is None and not excluded:
        await _let_it_count(session, incoming, known.items)
    return Received(InboundOutcome.NOTED, sentence, kept, noted)


async def _let_it_count(session: AsyncSession, incoming: Incoming, items: Sequence[Item]) -> None:
    """End what waits for the client, and let triggers know."""
    if not items:
        return
    occurred(session, incoming.occasion([item.id for item in items], _cause(incoming)))
    if incoming.outgoing and not incoming.answered:
        return
    ended_by = WaitEnd.PERSON if incoming.outgoing else WaitEnd.CLIENT
    for item in items:
        await end_waits(session, item, ended_by, user=incoming.user)


def _in_words(incoming: Incoming, known: _Known, *, excluded: bool) -> str:
    """Return the sentence that says where it was noted."""
    where = ", ".join(item.called for item in known.items)
    alone = "the contact" if known.contact else "the company"
    thread = ", ".join(item.called for item in known.answered)
    answers = f" It answers a mail about {'it' if thread == where else thread}." if thread else ""
    more = f" There are more: it was noted for the newest {len(known.items)}."
    older = more if known.caller.more and not known.answered else ""
    mere = "" if incoming.automatic is None else " Nobody has written it: it moves nothing."
    if excluded:
        mere = " The sender is on the exceptions list: it moves nothing."
    return f"Noted for {where or f'{alone} alone, of whom nothing is open'}.{answers}{older}{mere}"


async def _make_lead(session: AsyncSession, incoming: Incoming, at: Reception) -> Received:
    """Make a lead of somebody unknown, in the first stage, whose rules start."""
    stage = await first_stage(session, ItemType.LEAD)
    first_name, last_name = names_of(incoming.name)
    lead = Lead(
        title=incoming.title,
        first_name=first_name,
        last_name=last_name,
        responsible=incoming.responsible,
        contact=None,
        company=None,
        custom={},
        contact_points=[each.again() for each in incoming.points],
        further_contacts=[],
        product_rows=[],
        source=incoming.source,
        comments=incoming.comments,
    )
    lead.custom = await with_custom(session, lead, incoming.custom)
    await create_item(session, lead, stage, Cause.client())
    sentence = f"Made {lead.called} of somebody who was unknown."
    known = _Known([lead], None, None, answered=[], caller=Caller())
    kept = await _keep(session, incoming, at, InboundOutcome.LEAD, sentence, known)
    noted = [await _crm_activity(session, incoming, kept, known, lead, None)]
    await tell(session, noted, incoming, at.url)
    if incoming.kind is InboundKind.FORM:
        # Where a trigger waits for this form, its leads begin there, not in the first stage.
        occurred(session, incoming.occasion([lead.id], Cause.client()))
    return Received(InboundOutcome.LEAD, sentence, kept, noted)


async def _crm_activity(
    session: AsyncSession,
    incoming: Incoming,
    kept: Inbound,
    known: _Known,
    item: Item | None,
    responsible: User | None,
) -> CrmActivity:
    """Note it as a completed CRM activity of an item, or of the client alone."""
    lasts = incoming.lasts
    ends_at = None if lasts is None else min(incoming.happened_at + lasts, clock.now())
    contact, company = known.contact, known.company
    if item is not None and not (contact or company):
        contact, company = outside_bin(item.contact), outside_bin(item.company)
    of_item = None if item is None else item.responsible
    crm_activity = CrmActivity(
        kind=incoming.noted_as,
        subject=incoming.title,
        description=incoming.text or None,
        direction=(
            CrmActivityDirection.OUTGOING if incoming.outgoing else CrmActivityDirection.INCOMING
        ),
        item=item,
        responsible=incoming.user or of_item or responsible,
        contact=contact,
        company=company,
        phone=incoming.phone,
        starts_at=incoming.happened_at,
        ends_at=ends_at,
        result=incoming.result,
        reminders=[],
        inbound_id=kept.id,
    )
    by = incoming.user if incoming.outgoing else None
    how = Completion.PERSON if incoming.outgoing else Completion.CLIENT
    as_completed(crm_activity, by, ends_at or incoming.happened_at, how)
    session.add(crm_activity)
    set_reminders(session, crm_activity, ())
    await session.flush()
    text = f"{incoming.told}: {crm_activity.called} «{crm_activity.subject}»."
    line = about(crm_activity.told_in, crm_activity.id, text)
    line.kind = HAPPENED.get(crm_activity.kind, line.kind)
    sign(line, _cause(incoming))
    session.add(line)
    return crm_activity


def _cause(incoming: Incoming) -> Cause:
    return Cause.person(incoming.user) if incoming.outgoing and incoming.user else Cause.client()
