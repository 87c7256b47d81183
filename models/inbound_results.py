"""What is made of what comes in: a lead of somebody unknown, CRM activities of whoever is known."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.callers import newest_responsible
from models.client import outside_bin
from models.crm_activity import Completion, CrmActivity, CrmActivityDirection
from models.crm_activity_end import HAPPENED, about, as_completed, has_lasted
from models.entering import create_item
from models.inbound import Inbound, lock_crm_activities_of
from models.inbound_known import Known
from models.incoming import DURATION, RECORDING, Incoming, in_lines, names_of
from models.item import Item, Lead
from models.item_type import ItemType
from models.pipeline import first_stage
from models.reminders import set_reminders
from models.stage_entry import Cause, sign
from models.user import User

TOLD_LATER = {RECORDING: "the recording", DURATION: "the duration"}


async def make_lead(session: AsyncSession, incoming: Incoming) -> Lead:
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
        custom=dict(incoming.custom),
        contact_points=[each.again() for each in incoming.points],
        further_contacts=[],
        product_rows=[],
        source=incoming.source,
        comments=incoming.comments,
    )
    await create_item(session, lead, stage, Cause.client())
    return lead


async def noted_for(
    session: AsyncSession, incoming: Incoming, inbound: Inbound, known: Known
) -> list[CrmActivity]:
    """Note it for the items of somebody who is known, or for the client alone."""
    responsible = None if known.items else await newest_responsible(session, known.caller)
    targets: Sequence[Item | None] = known.items or [None]
    return [
        await _crm_activity(session, incoming, inbound, known, item, responsible)
        for item in targets
    ]


async def _crm_activity(
    session: AsyncSession,
    incoming: Incoming,
    inbound: Inbound,
    known: Known,
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
        inbound_id=inbound.id,
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
    sign(line, incoming.cause)
    session.add(line)
    return crm_activity


async def add_what_was_left_out(
    session: AsyncSession, incoming: Incoming, inbound: Inbound
) -> None:
    """Keep what is told of a call only when it is handed in again: recording and duration.

    Whatever people have changed meanwhile stays as they wish it.
    """
    later = incoming.left_out_of(inbound)
    if not later:
        return
    inbound.content = {**inbound.content, **later}
    what = " and ".join(TOLD_LATER[name] for name in later)
    for crm_activity in await lock_crm_activities_of(session, inbound.id):
        if RECORDING in later:
            said = [crm_activity.description, in_lines({"Recording": later[RECORDING]})]
            crm_activity.description = "\n".join(filter(None, said))
        if DURATION in later and crm_activity.ends_at == inbound.happened_at:
            lasted = timedelta(seconds=later[DURATION])
            has_lasted(crm_activity, min(inbound.happened_at + lasted, clock.now()))
        crm_activity.revised_at = clock.now()
        text = f"Learnt {what} of {crm_activity.called} «{crm_activity.subject}» later."
        session.add(about(crm_activity.told_in, crm_activity.id, text))
    await session.flush()
