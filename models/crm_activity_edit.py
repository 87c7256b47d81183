"""What people and rules do with CRM activities; whatever matters is told in the item's history."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.access import reached
from models.base import assign, count_change, find_named, linked
from models.client import outside_bin
from models.company import Company
from models.contact import Contact
from models.contact_point import Reachable
from models.crm_activity import (
    WRITTEN,
    Completion,
    CrmActivity,
    CrmActivityDirection,
    CrmActivityKind,
    CrmActivityStatus,
)
from models.crm_activity_end import (
    HAPPENED,
    about,
    about_status,
    as_completed,
    complete_those,
    has_completed,
    take_up,
)
from models.delivery import Delivery, DeliveryKind
from models.errors import Conflict, Invalid, Problem
from models.inputs import LONGEST_TEXT
from models.installation import installation
from models.item import Item, load_whole
from models.occasion import Occasion, occurred
from models.reminders import move_reminders, set_reminders, stop_reminders
from models.stage_entry import Cause, CauseKind, sign
from models.user import User
from models.wait import WaitEnd, end_waits
from models.working_time import EARLIEST, LATEST

USUAL_REMINDERS = (15, 0)
"""Minutes before the start: a quarter of an hour, and when it is time."""

BEYOND = "This moment is beyond the calendar."

LONGEST_TOLD = 80
"""Characters of a result in the sentence of a history entry."""

NOTED_AS = {
    DeliveryKind.EMAIL: CrmActivityKind.EMAIL,
    DeliveryKind.MESSAGE: CrmActivityKind.MESSAGE,
}


async def add_crm_activity(session: AsyncSession, by: User, sent: Mapping[str, Any]) -> CrmActivity:
    """Let a person plan something for an item within their reach, or note what happened.

    `status` says which. Whoever adds it is responsible unless somebody else is named, or nobody
    (None); client and phone are those of the item unless others are. It ends the item's waits.
    """
    fields = dict(sent)
    item = await find_named(
        session, Item, fields.pop("item_id"), "/item_id", lock={"key_share": True}
    )
    await reached(session, by, item)
    noted = fields.pop("status", CrmActivityStatus.PLANNED) is CrmActivityStatus.COMPLETED
    if fields["kind"] in WRITTEN and not noted:
        raise Invalid(
            Problem("/kind", "Mails and messages are noted, not planned: send status completed.")
        )
    minutes = fields.pop("reminders", USUAL_REMINDERS)
    fields["starts_at"] = fields.get("starts_at") or clock.now()
    fields = await linked(session, fields, responsible=User, contact=Contact, company=Company)
    crm_activity = CrmActivity(
        kind=fields.pop("kind"),
        subject=fields.pop("subject"),
        item=item,
        starts_at=fields.pop("starts_at"),
        responsible=fields.pop("responsible", by),
        creator=by,
        reminders=[],
    )
    await take_client(session, crm_activity)
    assign(crm_activity, fields)
    _check(crm_activity)
    cause = Cause.person(by)
    if noted:
        await _add_completed(session, crm_activity, cause)
    else:
        await put_crm_activity(session, crm_activity, minutes, cause)
    from_client = noted and crm_activity.direction is CrmActivityDirection.INCOMING
    ended_by = WaitEnd.CLIENT if from_client else WaitEnd.PERSON
    await end_waits(session, item, ended_by, user=by)
    return crm_activity


async def take_client(session: AsyncSession, crm_activity: CrmActivity) -> None:
    """Give a new CRM activity the client of its item, and the first phone to reach them at.

    The contact's, else the company's, else the lead's own. What is in the recycle bin is no client.
    """
    item = crm_activity.its_item
    await load_whole(session, item, reachable=True)
    if item.contact is not None and item.contact.deleted_at is None:
        crm_activity.contact = item.contact
    if item.company is not None and item.company.deleted_at is None:
        crm_activity.company = item.company
    several = (crm_activity.contact, crm_activity.company, item)
    phones = [each for who in several if isinstance(who, Reachable) for each in who.phones]
    crm_activity.phone = next(iter(phones), None)


async def put_crm_activity(
    session: AsyncSession,
    crm_activity: CrmActivity,
    minutes_before: Sequence[int],
    cause: Cause,
) -> None:
    """Store what somebody has planned for a locked item, with reminders before it starts."""
    session.add(crm_activity)
    set_reminders(session, crm_activity, minutes_before)
    await session.flush()
    when = await _local(session, crm_activity.starts_at)
    text = f"Planned {_called(crm_activity)} for {when}."
    _tell(session, crm_activity, text, cause)


async def _add_completed(session: AsyncSession, crm_activity: CrmActivity, cause: Cause) -> None:
    """Store what has happened already; it was completed when it happened."""
    happened_at = min(crm_activity.ends_at or crm_activity.starts_at, clock.now())
    as_completed(crm_activity, cause.user, happened_at)
    session.add(crm_activity)
    set_reminders(session, crm_activity, ())
    await session.flush()
    text = f"Noted {crm_activity.direction} {_called(crm_activity)}{_came_of(crm_activity)}"
    _tell(session, crm_activity, text, cause, happened=True)
    if crm_activity.kind not in WRITTEN:
        _has_completed(session, crm_activity, cause)


async def add_sent(session: AsyncSession, delivery: Delivery, cause: Cause) -> None:
    """Note what a client has been sent as a completed CRM activity; the delivery remembers it.

    Mails and messages are noted, but not those to people who work here. The item of the delivery
    is locked.
    """
    kind = NOTED_AS.get(delivery.kind)
    if kind is None or delivery.user_id is not None:
        return
    sender_id = delivery.content.get("sender_id")
    crm_activity = CrmActivity(
        kind=kind,
        subject=delivery.subject,
        description=delivery.content["text"][:LONGEST_TEXT],
        item=delivery.item,
        responsible=await session.get(User, sender_id) if sender_id else None,
        contact=await session.get(Contact, delivery.contact_id) if delivery.contact_id else None,
        company=await session.get(Company, delivery.company_id) if delivery.company_id else None,
        phone=delivery.recipient if kind is CrmActivityKind.MESSAGE else None,
        starts_at=clock.now(),
        reminders=[],
    )
    as_completed(crm_activity, None, crm_activity.starts_at, Completion.RULE)
    session.add(crm_activity)
    await session.flush()
    delivery.crm_activity_id = crm_activity.id
    text = f"Sent {_called(crm_activity)} to {delivery.recipient}"
    _tell(session, crm_activity, f"{text}.", cause, happened=True)
    if kind is CrmActivityKind.EMAIL:
        occasion = Occasion(
            trigger="email_sent", item_ids=(delivery.item_id,), cause=cause, text=text
        )
        occurred(session, occasion)


async def change_crm_activity(
    session: AsyncSession, crm_activity: CrmActivity, sent: Mapping[str, Any], by: User
) -> None:
    """Let a person change a locked CRM activity; history tells when it starts at another time.

    `reminders` replace those there are.
    """
    fields = await linked(
        session, sent, crm_activity, responsible=User, contact=Contact, company=Company
    )
    minutes = fields.pop("reminders", crm_activity.minutes_before)
    old = crm_activity.starts_at
    assign(crm_activity, fields)
    _check(crm_activity)
    _keep_client(crm_activity, sent)
    if sorted(set(minutes), reverse=True) != crm_activity.minutes_before:
        count_change(crm_activity, "subject")
        set_reminders(session, crm_activity, minutes)
    await _follow(session, crm_activity, old, Cause.person(by))


async def postpone_crm_activity(
    session: AsyncSession, crm_activity: CrmActivity, starts_at: datetime, cause: Cause
) -> None:
    """Let a locked CRM activity start at another moment; it takes as long as before."""
    _must_be_planned(crm_activity)
    old = crm_activity.starts_at
    lasts = (crm_activity.ends_at or old) - old
    if not EARLIEST <= starts_at <= LATEST - lasts:
        raise Invalid(Problem("/starts_at", BEYOND))
    if crm_activity.ends_at is not None:
        crm_activity.ends_at = starts_at + lasts
    crm_activity.starts_at = starts_at
    await _follow(session, crm_activity, old, cause)


async def _follow(
    session: AsyncSession, crm_activity: CrmActivity, old: datetime, cause: Cause
) -> None:
    """Let everything follow what has changed, and reminders the start."""
    if session.is_modified(crm_activity):
        crm_activity.revised_at = clock.now()
    if crm_activity.starts_at != old:
        move_reminders(session, crm_activity)
        before, after = [await _local(session, each) for each in (old, crm_activity.starts_at)]
        text = f"Moved {_called(crm_activity)} from {before} to {after}."
        line = about(crm_activity.told_in, crm_activity.id, text)
        line.field = "starts_at"
        line.old, line.new = old.isoformat(), crm_activity.starts_at.isoformat()
        sign(line, cause)
        session.add(line)
    await session.flush()


async def complete_crm_activity(
    session: AsyncSession, crm_activity: CrmActivity, cause: Cause, result: str | None = None
) -> None:
    """Complete a locked CRM activity; the result says what came of it."""
    _must_be_planned(crm_activity)
    also = {} if result is None else {"result": result}
    how = Completion.PERSON if cause.kind is CauseKind.PERSON else Completion.RULE
    await complete_those(session, [crm_activity.id], how, by=cause.user, **also)
    text = f"Completed {_called(crm_activity)}{_came_of(crm_activity)}"
    line = about_status(crm_activity.its_item, crm_activity.id, text, CrmActivityStatus.COMPLETED)
    line.kind = HAPPENED.get(crm_activity.kind, line.kind)
    sign(line, cause)
    session.add(line)
    _has_completed(session, crm_activity, cause)


async def reopen_crm_activity(
    session: AsyncSession, crm_activity: CrmActivity, cause: Cause
) -> None:
    """Let a locked CRM activity that was completed be planned again; its result stays."""
    if crm_activity.status is CrmActivityStatus.PLANNED:
        raise Conflict(f"{crm_activity.called.capitalize()} is not completed.")
    if crm_activity.kind in WRITTEN:
        called = crm_activity.called.capitalize()
        raise Conflict(f"{called} tells of what was written, and cannot be planned again.")
    if crm_activity.item is None:
        called = crm_activity.called.capitalize()
        raise Conflict(f"{called} is of no item, and nothing is planned without one.")
    await take_up(session, crm_activity)
    text = f"Took up {_called(crm_activity)} again."
    line = about_status(crm_activity.its_item, crm_activity.id, text, CrmActivityStatus.PLANNED)
    sign(line, cause)
    session.add(line)


def delete_crm_activity(session: AsyncSession, crm_activity: CrmActivity, cause: Cause) -> None:
    """Delete a locked CRM activity; whatever remembers it may still point at it."""
    crm_activity.deleted_at = clock.now()
    stop_reminders(session, crm_activity)
    _tell(session, crm_activity, f"Deleted {_called(crm_activity)}.", cause)


def _must_be_planned(crm_activity: CrmActivity) -> None:
    if crm_activity.status is not CrmActivityStatus.PLANNED:
        raise Conflict(f"{crm_activity.called.capitalize()} is completed already.")


def _check(crm_activity: CrmActivity) -> None:
    for name in ("starts_at", "ends_at"):
        moment = getattr(crm_activity, name)
        if moment is not None and not EARLIEST <= moment <= LATEST:
            raise Invalid(Problem(f"/{name}", BEYOND))
    if crm_activity.ends_at is not None and crm_activity.ends_at < crm_activity.starts_at:
        raise Invalid(Problem("/ends_at", "It ends before it starts."))


def _keep_client(crm_activity: CrmActivity, sent: Collection[str]) -> None:
    """Refuse to take away the only client of a CRM activity that is of no item."""
    if crm_activity.item is not None:
        return
    if outside_bin(crm_activity.contact) or outside_bin(crm_activity.company):
        return
    for name in ("contact_id", "company_id"):
        if name in sent:
            called = crm_activity.called.capitalize()
            reason = f"{called} is of no item: without this client it would be nobody's."
            raise Invalid(Problem(f"/{name}", reason))


def _tell(
    session: AsyncSession,
    crm_activity: CrmActivity,
    text: str,
    cause: Cause,
    *,
    happened: bool = False,
) -> None:
    line = about(crm_activity.told_in, crm_activity.id, text)
    if happened:
        line.kind = HAPPENED.get(crm_activity.kind, line.kind)
    sign(line, cause)
    session.add(line)


def _has_completed(session: AsyncSession, crm_activity: CrmActivity, cause: Cause) -> None:
    item, called = crm_activity.its_item, _called(crm_activity)
    has_completed(session, item, crm_activity.kind, called, cause)


def _called(crm_activity: CrmActivity) -> str:
    return f"{crm_activity.called} «{crm_activity.subject}»"


def _came_of(crm_activity: CrmActivity) -> str:
    """Return the end of a sentence: what came of it, or nothing more."""
    result = crm_activity.result
    if not result:
        return "."
    return f": {result if len(result) <= LONGEST_TOLD else f'{result[:LONGEST_TOLD]}…'}"


async def _local(session: AsyncSession, moment: datetime) -> str:
    """Return a moment on the clock of the company: `3 August 2027, 12:00`."""
    home = await installation(session)
    local = moment.astimezone(ZoneInfo(home.time_zone))
    return f"{local.day} {local:%B} {local.year}, {local:%H:%M}"
