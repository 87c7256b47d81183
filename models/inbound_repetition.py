"""Repetitions: what is handed in again is known, and what only bears the same id is told apart."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from models.errors import Conflict
from models.inbound import Inbound, InboundKind, digest_of, stored
from models.incoming import Incoming
from models.mistakes import shortened


async def seen_before(session: AsyncSession, incoming: Incoming) -> tuple[Inbound | None, Incoming]:
    """Return what came in before, if it is the same, and what came now by the key it is kept under.

    A mail with the Message-ID of somebody else's is one of its own. Raises `Conflict` for anything
    else that has the id of another.
    """
    before = await stored(session, incoming.kind, incoming.key)
    if before is None or incoming.is_again(before):
        return before, incoming
    if incoming.raw is None:
        raise _another(incoming, before)
    own = replace(incoming, key=digest_of(incoming.raw))
    return await stored(session, own.kind, own.key), own


def _another(incoming: Incoming, before: Inbound) -> Conflict:
    name = "key" if incoming.kind is InboundKind.FORM else "id"
    a_name = f"{'a' if name == 'key' else 'an'} {name}"
    way = "to" if before.content.get("direction") == "outgoing" else "from"
    return Conflict(
        f"{incoming.kind.capitalize()} {shortened(incoming.id)} was handed in before, {way} "
        f"{before.sender or 'somebody unknown'}: give each {incoming.kind} {a_name} of its own.",
        field=f"/{name}",
    )
