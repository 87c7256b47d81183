"""Notices of what came in, for whoever is responsible for what it was noted for, or might be."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from models.crm_activity import CrmActivity
from models.inbound import InboundKind
from models.incoming import Incoming
from models.installation import installation
from models.item import Lead
from models.languages import translated
from models.notification import Notification, notifications_of
from models.rule import present, rules_of
from models.user import administrators

GIVES = "change_responsible"
"""The action that finds somebody responsible."""


async def tell(
    session: AsyncSession, noted: Sequence[CrmActivity], incoming: Incoming, url: str
) -> None:
    """Tell whoever is responsible, each once, of the newest; who called themselves, knows.

    `url` is that of the API.
    """
    if incoming.outgoing:
        return
    home = await installation(session)
    newest = {each.responsible: each for each in noted}
    for person, crm_activity in newest.items():
        if person is None or person is incoming.user or not person.active:
            continue
        locale = person.locale or home.locale
        text = _said(incoming, locale).format(sender=incoming.who, subject=incoming.title)
        item = crm_activity.item
        session.add(
            Notification(
                recipient_id=person.id,
                text=text if item is None else f"{text} ({item.called})",
                item_id=None if item is None else item.id,
                link=_link(crm_activity, url),
            )
        )


async def tell_of_nobodys(session: AsyncSession, lead: Lead, incoming: Incoming, url: str) -> None:
    """Tell administrators of a new lead that nobody is responsible for, nor will be by a rule.

    Whoever has not read the last of these gets no other: spam makes many leads.
    """
    if lead.responsible is not None or await _is_given_to_somebody(session, lead):
        return
    home = await installation(session)
    link = f"{url}/v1/leads?sort=-id"
    for admin in await administrators(session):
        unread = notifications_of(admin.id, unread=True).where(Notification.link == link)
        if await session.scalar(unread.limit(1)) is not None:
            continue
        text = translated(
            "Nobody is responsible for {item} «{subject}», which came in from {sender}. "
            "You are told of others like it when you have read this.",
            admin.locale or home.locale,
        )
        said = text.format(item=lead.called, subject=incoming.title, sender=incoming.who)
        session.add(Notification(recipient_id=admin.id, text=said, item_id=lead.id, link=link))


async def _is_given_to_somebody(session: AsyncSession, lead: Lead) -> bool:
    rules = await rules_of(session, lead.stage_id, enabled_only=True)
    return any(present(rule).action == GIVES for rule in rules)


def _said(incoming: Incoming, locale: str) -> str:
    """Return what people are told of it, to be filled in."""
    match incoming.kind:
        case InboundKind.EMAIL:
            return translated("E-mail from {sender}: {subject}", locale)
        case InboundKind.MESSAGE:
            return translated("Message from {sender}: {subject}", locale)
        case InboundKind.FORM:
            return translated("Form from {sender}: {subject}", locale)
        case InboundKind.CALL if incoming.answered:
            return translated("Call from {sender}", locale)
    return translated("Missed call from {sender}", locale)


def _link(crm_activity: CrmActivity, url: str) -> str:
    """Return where people see what it was noted for."""
    item = crm_activity.item
    if item is not None:
        return f"{url}/v1/{item.type}s/{item.id}"
    return f"{url}/v1/crm-activities/{crm_activity.id}"
