"""Incoming contacts: mails, calls, messages and forms as they came in, and what came of each.

Of what comes from somebody on the exceptions list there is no row: nothing of it is kept.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column
from sqlalchemy.orm.attributes import set_committed_value

from models.access import MANAGING, item_within_reach, reached_row
from models.base import Base, EnumText, Record, containing, having, in_order
from models.company import Company
from models.contact import Contact
from models.contact_point import email_or_text, first_compared, phone_or_text
from models.crm_activity import CrmActivity, crm_activities_within_reach
from models.errors import NotFound
from models.installation import installation
from models.item import Item, lock_items
from models.phone_number import is_phone_uri
from models.user import User

LONGEST_KEY = 200
"""Characters of a key as it came; a longer one is kept as its digest."""


class InboundKind(StrEnum):
    EMAIL = "email"
    CALL = "call"
    MESSAGE = "message"
    FORM = "form"


class InboundOutcome(StrEnum):
    """What came of it; only of the first two anything stands beside it.

    `lead`: a new lead was made. `noted`: it is a CRM activity of somebody who was known. `ours`: it
    came from somebody who works here, or from our own address. `automatic`: nobody wrote it, and
    it belongs to nobody we know. `unknown`: we called somebody whom nobody knows, or the number is
    too short for anybody outside. `unreadable`: nobody can tell who it came from. `excluded`: the
    sender is on the exceptions list.
    """

    LEAD = "lead"
    NOTED = "noted"
    OURS = "ours"
    AUTOMATIC = "automatic"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    EXCLUDED = "excluded"


class ClientIds(NamedTuple):
    """Contacts and companies by id."""

    contact_ids: Sequence[int] = ()
    company_ids: Sequence[int] = ()


class Inbound(Record, Base, kw_only=True):
    """`key` says which it is, so that the same one sent again is known: see `as_key`.

    `sender` is who it came from as written, `address` the same as it is compared; of a call that
    we made, who was called. `item_id` is the lead made of it, or the newest item it was noted for.
    `handle` is what somebody is called in the channel of a message, after its name; where no phone
    is told, it is the `address`. `raw` is a mail as it arrived, `content` what else was said: the
    fields of a form.
    """

    __tablename__ = "inbound"
    __table_args__ = (
        Index(None, "kind", "key", unique=True),
        Index(None, "kind", "address", "id"),
        Index(None, "contact_id", "id"),
        Index(None, "company_id", "id"),
        Index(None, "item_id", "id"),
        Index(None, "creator_id", "id"),
        Index(None, "happened_at", "id"),
        Index(None, "handle", "id"),
        Record.options,
    )

    kind: Mapped[InboundKind] = mapped_column(EnumText(InboundKind))
    key: Mapped[str]
    outcome: Mapped[InboundOutcome] = mapped_column(EnumText(InboundOutcome))
    reason: Mapped[str]
    sender: Mapped[str | None]
    address: Mapped[str | None]
    subject: Mapped[str]
    happened_at: Mapped[datetime]
    content: Mapped[dict[str, Any]]
    raw: Mapped[bytes | None] = mapped_column(deferred=True, deferred_raiseload=True)
    size: Mapped[int | None] = mapped_column(default=None)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey(Contact.id), default=None)
    company_id: Mapped[int | None] = mapped_column(ForeignKey(Company.id), default=None)
    item_id: Mapped[int | None] = mapped_column(ForeignKey(Item.id), default=None)
    creator_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), default=None)
    handle: Mapped[str | None] = mapped_column(default=None)

    @property
    def called(self) -> str:
        """How people call it: "inbound call 7"."""
        return f"inbound {self.kind} {self.id}"

    @property
    def lead_id(self) -> int | None:
        """The lead that was made of it."""
        return self.item_id if self.outcome is InboundOutcome.LEAD else None


def as_key(text: str) -> str:
    """Return the key under which a Message-ID, or what another system calls something, is kept."""
    if len(text) <= LONGEST_KEY:
        return text
    return f"sha256:{sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def key_within(scope: str, key: str) -> str:
    """Return the key of what is called so within a channel or a form, whose capitals do not count.

    No two pairs have the same: before the first colon stands the scope, which has none.
    """
    scope = scope.strip().casefold().replace("%", "%25").replace(":", "%3a")
    return as_key(f"{scope}:{key.strip()}")


def digest_of(raw: bytes) -> str:
    """Return the key of a mail that has no Message-ID of its own, whatever ends its lines."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return f"sha256:{sha256(lines).hexdigest()}"


async def stored(session: AsyncSession, kind: InboundKind, key: str) -> Inbound | None:
    """Return what has come in under this key, if it has."""
    found: Inbound | None = await session.scalar(
        select(Inbound).where(Inbound.kind == kind, Inbound.key == key)
    )
    return found


async def crm_activities_of(session: AsyncSession, inbound_id: int) -> Sequence[CrmActivity]:
    """Return what was noted of something that came in, in order, without its reminders."""
    return (await session.scalars(_noted_of(inbound_id))).all()


async def lock_crm_activities_of(session: AsyncSession, inbound_id: int) -> Sequence[CrmActivity]:
    """Return the same locked, after its items, and with them and the clients; not what is deleted.

    History tells of it in theirs.
    """
    noted = _noted_of(inbound_id)
    item_ids = await session.scalars(noted.with_only_columns(CrmActivity.item_id))
    items = await lock_items(session, in_order(item_ids))
    there = noted.where(CrmActivity.deleted_at.is_(None))
    found = await session.scalars(
        there.with_for_update(key_share=True).execution_options(populate_existing=True)
    )
    locked = found.all()
    # Not in one, as in `lock_items`.
    await session.execute(
        there.options(joinedload(CrmActivity.contact), joinedload(CrmActivity.company))
    )
    for each in locked:
        set_committed_value(each, "item", items.get(each.item_id or 0))
    return locked


def _noted_of(inbound_id: int) -> Select[CrmActivity]:
    return select(CrmActivity).where(CrmActivity.inbound_id == inbound_id).order_by(CrmActivity.id)


async def items_of_handle(session: AsyncSession, handle: str) -> list[int]:
    """Return the items for which were noted the messages of whoever is called so, in order."""
    found = await session.scalars(
        select(CrmActivity.item_id)
        .join(Inbound, Inbound.id == CrmActivity.inbound_id)
        .where(Inbound.handle == handle, CrmActivity.item_id.is_not(None))
        .distinct()
    )
    return in_order(found)


async def clients_of_handle(session: AsyncSession, handle: str) -> ClientIds:
    """Return the contacts and companies known of whoever is called so, the newest first.

    Where something was noted for a client alone, no item tells of them.
    """
    rows = await session.execute(
        select(Inbound.contact_id, Inbound.company_id)
        .where(
            Inbound.handle == handle,
            or_(Inbound.contact_id.is_not(None), Inbound.company_id.is_not(None)),
        )
        .group_by(Inbound.contact_id, Inbound.company_id)
        .order_by(func.max(Inbound.id).desc())
    )
    found = rows.all()
    return ClientIds([row[0] for row in found if row[0]], [row[1] for row in found if row[1]])


async def items_of_mails(session: AsyncSession, keys: Collection[str]) -> dict[str, list[int]]:
    """Return the items for which stored mails were noted, by the keys of the mails."""
    rows = await session.execute(
        select(Inbound.key, CrmActivity.item_id)
        .join(CrmActivity, CrmActivity.inbound_id == Inbound.id)
        .where(
            Inbound.kind == InboundKind.EMAIL,
            Inbound.key.in_(keys),
            CrmActivity.item_id.is_not(None),
        )
    )
    found: dict[str, list[int]] = {}
    for key, item_id in rows:
        found.setdefault(key, []).extend([item_id] if item_id else [])
    return found


def inbound_within_reach(user: User) -> ColumnElement[bool]:
    """Return the condition that something was noted for what somebody reaches, or came from them.

    Managers and administrators see all.
    """
    if user.role in MANAGING:
        return true()
    item = item_within_reach(user, Inbound.item_id)
    noted = exists().where(CrmActivity.inbound_id == Inbound.id, crm_activities_within_reach(user))
    return or_(Inbound.creator_id == user.id, item, noted)


async def inbound_where(
    session: AsyncSession,
    by: User,
    *,
    q: str | None = None,
    address: str | None = None,
    key: str | None = None,
    **values: object,
) -> Select[Inbound]:
    """Return what came in within somebody's reach with these values, None meaning any.

    `q` is looked for in subjects; `address` is that of the sender, or their handle, however it is
    written. A `key` may be longer than those that are kept.
    """
    there = select(Inbound).where(inbound_within_reach(by))
    if address is not None:
        home = await installation(session)
        sender = _as_address(address, home.phone_region)
        there = there.where(or_(Inbound.address == sender, Inbound.handle == sender))
    if key is not None:
        there = there.where(Inbound.key.in_(_as_keys(key)))
    return having(there, **values).where(*containing(Inbound.subject, q))


def _as_keys(text: str) -> list[str]:
    """Return under which keys something may be kept that is called so, perhaps after its scope."""
    scope, colon, key = text.partition(":")
    return [as_key(text.strip()), *([key_within(scope, key)] if colon else [])]


def _as_address(text: str, region: str) -> str:
    """Return what somebody calls a sender as it is compared; handles have their channel first."""
    if ("@" in text or ":" in text) and not is_phone_uri(text):
        return first_compared([email_or_text(text)]) or as_key(text.casefold())
    return first_compared([phone_or_text(text, region=region)]) or text


async def find_inbound(session: AsyncSession, inbound_id: int) -> Inbound:
    """Return what came in under this id, or raise `NotFound`."""
    found = await session.get(Inbound, inbound_id)
    if found is None:
        raise NotFound(f"Nothing has come in under the id {inbound_id}.")
    return found


async def reached_inbound(session: AsyncSession, user: User, inbound: Inbound) -> Inbound:
    """Return what came in if it is within somebody's reach, or raise `NotAllowed`."""
    within = inbound_within_reach(user)
    return await reached_row(session, user, inbound, within, inbound.called)


async def raw_of(session: AsyncSession, inbound: Inbound) -> bytes:
    """Return a mail as it arrived; raises `NotFound` for what is none."""
    raw = await session.scalar(select(Inbound.raw).where(Inbound.id == inbound.id))
    if raw is None:
        raise NotFound(f"{inbound.called.capitalize()} was no mail: there is no message to show.")
    return raw
