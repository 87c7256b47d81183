"""The intake decides what comes of a mail, call, message or form, all of it in one transaction.

It is stored once, unless the sender is on the exceptions list. Whoever is known gets a CRM activity
for each open item; whoever is not becomes a lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from models.base import in_order, linked
from models.callers import works_here
from models.contact_point import as_compared
from models.crm_activity import CrmActivity
from models.custom_fields import with_custom
from models.exclusion import excluded_among
from models.inbound import Inbound, InboundKind, InboundOutcome, crm_activities_of
from models.inbound_known import Known, known_of
from models.inbound_notices import tell, tell_of_nobodys
from models.inbound_repetition import seen_before
from models.inbound_results import add_what_was_left_out, make_lead, noted_for
from models.incoming import (
    Call,
    Form,
    Incoming,
    Message,
    in_short,
    of_call,
    of_form,
    of_mail,
    of_message,
)
from models.installation import installation
from models.item import Item, Lead
from models.locking import one_at_a_time
from models.mail_reading import IncomingMail
from models.occasion import occurred
from models.stage_entry import Cause
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
    """Take in a call that has ended, be it one of ours; raises `Invalid` for whom of us is gone."""
    home = await installation(session)
    return await _receive(session, of_call(call, home.phone_region), at)


async def receive_message(session: AsyncSession, message: Message, at: Reception) -> Received:
    """Take in a message."""
    home = await installation(session)
    return await _receive(session, of_message(message, home.phone_region), at)


async def receive_form(session: AsyncSession, form: Form, at: Reception) -> Received:
    """Take in a form; raises `Invalid` for custom fields that leads cannot have so."""
    home = await installation(session)
    return await _receive(session, of_form(form, home.phone_region), at)


async def _receive(session: AsyncSession, incoming: Incoming, at: Reception) -> Received:
    # Before items are locked: nobody who waits here holds any.
    await one_at_a_time(session, *incoming.names)
    before, incoming = await seen_before(session, incoming)
    if before is not None:
        return await _again(session, incoming, before)
    incoming = await _checked(session, incoming)
    known = await known_of(session, incoming)
    excluded = await _is_excluded(session, incoming)
    if excluded and not known.answered:
        said = "The number called" if incoming.outgoing else "The sender"
        sentence = f"{said} is on the exceptions list: nothing of it was kept."
        return Received(InboundOutcome.EXCLUDED, sentence)
    if await _is_ours(session, incoming, at):
        return await _only_keep(session, incoming, at, InboundOutcome.OURS, OF_OURS)
    if not known.is_nobody:
        return await _keep_for(session, incoming, known, at, excluded=excluded)
    if reason := _no_lead(incoming):
        return await _only_keep(session, incoming, at, *reason)
    return await _keep_as_lead(session, incoming, at)


async def _again(session: AsyncSession, incoming: Incoming, before: Inbound) -> Received:
    """Answer as before; of a call, what was not told then is kept now."""
    await add_what_was_left_out(session, incoming, before)
    noted = await crm_activities_of(session, before.id)
    return Received(before.outcome, before.reason, before, noted, repeated=True)


async def _checked(session: AsyncSession, incoming: Incoming) -> Incoming:
    """Return it with its people and custom values; raises `Invalid` for those that cannot be.

    Nothing is asked that again when it is handed in again: people leave, and fields are removed.
    """
    sent = {"user_id": incoming.user_id, "responsible_id": incoming.responsible_id}
    people = await linked(session, sent, user=User, responsible=User)
    people["responsible"] = people["responsible"] or people["user"]
    custom = incoming.custom
    if custom:
        custom = await with_custom(session, Lead(title=incoming.title, custom={}), custom)
    return replace(incoming, custom=custom, **people)


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
    if incoming.address == as_compared(at.address):
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
    if incoming.is_internal:
        written = in_short(incoming.sender or "")
        reason = f"«{written}» is too short for a number of anybody outside: it makes no lead."
        return InboundOutcome.UNKNOWN, reason
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
    known: Known | None = None,
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
        handle=incoming.handle,
    )
    session.add(inbound)
    await session.flush()
    return inbound


async def _keep_for(
    session: AsyncSession, incoming: Incoming, known: Known, at: Reception, *, excluded: bool
) -> Received:
    """Keep it for the items of somebody who is known, or for the client alone.

    What an excluded sender replies is kept in the thread, and counts for nothing.
    """
    if excluded:
        known = replace(known, items=known.answered)
    sentence = _in_words(incoming, known, excluded=excluded)
    kept = await _keep(session, incoming, at, InboundOutcome.NOTED, sentence, known)
    noted = await noted_for(session, incoming, kept, known)
    await tell(session, noted, incoming, at.url)
    if incoming.automatic is None and not excluded:
        await _let_it_count(session, incoming, known.items)
    return Received(InboundOutcome.NOTED, sentence, kept, noted)


async def _let_it_count(session: AsyncSession, incoming: Incoming, items: Sequence[Item]) -> None:
    """End what waits for the client, and let triggers know."""
    if not items:
        return
    occurred(session, incoming.occasion([item.id for item in items], incoming.cause))
    if incoming.outgoing and not incoming.answered:
        return
    ended_by = WaitEnd.PERSON if incoming.outgoing else WaitEnd.CLIENT
    for item in items:
        await end_waits(session, item, ended_by, user=incoming.user)


def _in_words(incoming: Incoming, known: Known, *, excluded: bool) -> str:
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


async def _keep_as_lead(session: AsyncSession, incoming: Incoming, at: Reception) -> Received:
    """Make a lead of somebody unknown, and keep it for that."""
    lead = await make_lead(session, incoming)
    sentence = f"Made {lead.called} of somebody who was unknown."
    known = Known([lead])
    kept = await _keep(session, incoming, at, InboundOutcome.LEAD, sentence, known)
    noted = await noted_for(session, incoming, kept, known)
    await tell(session, noted, incoming, at.url)
    await tell_of_nobodys(session, lead, incoming, at.url)
    if incoming.kind is InboundKind.FORM:
        # Where a trigger waits for this form, its leads begin there, not in the first stage.
        occurred(session, incoming.occasion([lead.id], Cause.client()))
    return Received(InboundOutcome.LEAD, sentence, kept, noted)
