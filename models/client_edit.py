"""Editing clients: contacts and companies, each real change kept in history."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from models.base import linked
from models.client import Client, change_client
from models.company import Company
from models.contact import Contact
from models.history import HistoryKind, about_client, change_in_words, said
from models.stage_entry import Cause, sign


async def edit_client(
    session: AsyncSession, client: Client, sent: Mapping[str, Any], cause: Cause
) -> list[str]:
    """Give a locked contact or company, loaded with its addresses, the fields sent.

    Phones and e-mails that are sent replace all of their kind. Returns what people call the fields
    that changed; a change by a rule stands in the history of the rule's item too.
    """
    old = {name: getattr(client, name) for name in sent}
    kinds = {"company": Company} if isinstance(client, Contact) else {}
    await change_client(session, client, await linked(session, sent, client, **kinds))
    changed = [name for name in sent if getattr(client, name) != old[name]]
    return [
        _remember(session, client, name, old[name], getattr(client, name), cause)
        for name in changed
    ]


def _remember(
    session: AsyncSession, client: Client, name: str, old: object, new: object, cause: Cause
) -> str:
    """Write the change of a field into history; return what people call the field."""
    field = name.removesuffix("_id")
    title = field.replace("_", " ").capitalize()
    text = change_in_words(title, said(old), said(new))
    line = about_client(client, HistoryKind.CHANGED, text)
    line.field, line.old, line.new = field, said(old), said(new)
    sign(line, cause)
    if cause.run is not None:
        line.item_id, line.item_type = cause.run.item_id, cause.run.item.type
    session.add(line)
    return title
