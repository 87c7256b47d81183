"""History: one line for everything that happened, outliving what it speaks of."""

from collections.abc import Collection
from enum import StrEnum

from sqlalchemy import ColumnElement, Index, Select, and_, case, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from models.access import MANAGING, client_within_reach, item_within_reach
from models.base import Base, EnumText, Record, having
from models.company import Company
from models.contact import Contact
from models.item import Item
from models.item_type import ItemType
from models.user import User

LONGEST_TOLD = 80
"""Characters of a value in the sentence of a history entry; the entry itself keeps all."""

LONGEST_ADDRESS = 1000
"""Characters of the address of a list."""

NO_ID = 0
"""Stands for the id of what a line speaks of, where that is a whole list."""


class HistoryKind(StrEnum):
    """`information` is what people and rules write on purpose; `rule run` what became of a rule.

    `linked` and `unlinked` tell of a client tied to an item or taken from it; two clients are never
    merged. `e-mail`, `call` and `message` are those with the client, in or out; `crm activity` is
    when anything was planned, postponed or deleted, and what else was noted or completed.
    `delivery` is what became of one that left the house, `booking` when somebody or something was
    booked, or is free again, `document` when one was made, opened through its link, or that was
    revoked. `exported` is a whole list that somebody took as CSV, `viewed` that somebody looked at
    an item.
    """

    INFORMATION = "information"
    CREATED = "created"
    CHANGED = "changed"
    STAGE_CHANGED = "stage changed"
    RESPONSIBLE_CHANGED = "responsible changed"
    DELETED = "deleted"
    RESTORED = "restored"
    LINKED = "linked"
    UNLINKED = "unlinked"
    RULE_RUN = "rule run"
    CRM_ACTIVITY = "crm activity"
    DELIVERY = "delivery"
    BOOKING = "booking"
    DOCUMENT = "document"
    EMAIL = "e-mail"
    CALL = "call"
    MESSAGE = "message"
    EXPORTED = "exported"
    VIEWED = "viewed"


CONFIDENTIAL = (
    HistoryKind.CRM_ACTIVITY,
    HistoryKind.EMAIL,
    HistoryKind.CALL,
    HistoryKind.MESSAGE,
)
"""What tells of CRM activities, and so is for those who see these."""


class HistoryEntry(Record, Base, kw_only=True):
    """`subject` is what the line speaks of ("contact 7"); `item_id` in whose history it stands.

    It points at nothing with foreign keys. Pipeline, stage and responsible are those of the item
    at that time. Without an author it was *automation*: the rule and run say which, or the
    trigger; where none is said, it was somebody outside.
    """

    __tablename__ = "history_entries"
    __table_args__ = (
        Index(None, "item_id", "id"),
        Index(None, "kind", "responsible_id", "id"),
        Index(None, "created_at", "id"),
        Index(None, "author_id", "id"),
        Index(None, "rule_id", "id"),
        Index(None, "run_id", "id"),
        Index(None, "trigger_id", "id"),
        Index(None, "responsible_id", "id"),
        Index(None, "stage_id", "id"),
        Index(None, "subject_type", "subject_id", "id"),
        Record.options,
    )

    kind: Mapped[HistoryKind] = mapped_column(EnumText(HistoryKind))
    text: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[int]
    item_type: Mapped[ItemType | None] = mapped_column(EnumText(ItemType), default=None)
    item_id: Mapped[int | None] = mapped_column(default=None)
    author_id: Mapped[int | None] = mapped_column(default=None)
    rule_id: Mapped[int | None] = mapped_column(default=None)
    run_id: Mapped[int | None] = mapped_column(default=None)
    trigger_id: Mapped[int | None] = mapped_column(default=None)
    pipeline_id: Mapped[int | None] = mapped_column(default=None)
    stage_id: Mapped[int | None] = mapped_column(default=None)
    responsible_id: Mapped[int | None] = mapped_column(default=None)
    field: Mapped[str | None] = mapped_column(default=None)
    old: Mapped[str | None] = mapped_column(default=None)
    new: Mapped[str | None] = mapped_column(default=None)


def about_item(item: Item, kind: HistoryKind, text: str) -> HistoryEntry:
    """Write a line about an item that has an id, as the item stands now."""
    return HistoryEntry(
        kind=kind,
        text=text,
        subject_type=item.type,
        subject_id=item.id,
        item_type=item.type,
        item_id=item.id,
        pipeline_id=item.pipeline_id,
        stage_id=item.stage_id,
        responsible_id=item.responsible_id,
    )


def about_client(client: Contact | Company, kind: HistoryKind, text: str) -> HistoryEntry:
    """Write a line about a contact or company."""
    return HistoryEntry(
        kind=kind, text=text, subject_type=type(client).__name__.lower(), subject_id=client.id
    )


def about_list(name: str, path: str, query: str, count: int, *, by_id: int) -> HistoryEntry:
    """Write a line about a whole list that somebody took, which is of no item and has no id."""
    rows = "1 row" if count == 1 else f"{count} rows"
    which = f"{path}?{query}" if query else path
    return HistoryEntry(
        kind=HistoryKind.EXPORTED,
        text=f"Exported {rows} of {_in_short(which, LONGEST_ADDRESS)} as CSV.",
        subject_type=name,
        subject_id=NO_ID,
        author_id=by_id,
    )


def said(value: object) -> str | None:
    """Return a value as history keeps it; nothing is None."""
    match value:
        case None | "" | []:
            return None
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(said(each) or "" for each in value)
        case {"name": name, "price": price, "quantity": quantity}:
            return f"{quantity} × {name} at {price}"
    return str(value)


def change_in_words(title: str, old: str | None, new: str | None) -> str:
    """Return the sentence of a change: what a field held, and what it holds now."""
    return f"{title}: {_in_short(old)} → {_in_short(new)}"


def _in_short(value: str | None, longest: int = LONGEST_TOLD) -> str:
    if value is None:
        return "(empty)"
    return value if len(value) <= longest else f"{value[:longest]}…"


def history_where(
    *, kind: Collection[HistoryKind] | None = None, **values: object
) -> Select[HistoryEntry]:
    """Return the lines of these kinds that have these values, None meaning any."""
    wanted = having(select(HistoryEntry), **values)
    return wanted if kind is None else wanted.where(HistoryEntry.kind.in_(kind))


def history_for(
    by: User, *, kind: Collection[HistoryKind] | None = None, **values: object
) -> Select[HistoryEntry]:
    """Return the lines with these values that somebody may read.

    Managers and administrators read all. Agents read what tells of an item in their reach, or of
    none. What was said with a client is for whoever reaches any item of theirs, or said it; who
    took which list is not for agents.
    """
    wanted = history_where(kind=kind, **values)
    if by.role in MANAGING:
        return wanted
    open_to_all = or_(HistoryEntry.kind.not_in(CONFIDENTIAL), HistoryEntry.author_id == by.id)
    of_client = or_(open_to_all, client_within_reach(by, _id_of("contact"), _id_of("company")))
    return wanted.where(
        or_(
            item_within_reach(by, HistoryEntry.item_id),
            and_(HistoryEntry.item_id.is_(None), of_client),
        ),
        HistoryEntry.kind != HistoryKind.EXPORTED,
    )


def _id_of(subject_type: str) -> ColumnElement[int | None]:
    """Return the id of what a line speaks of, where it is one of these; else NULL."""
    return case((HistoryEntry.subject_type == subject_type, HistoryEntry.subject_id))
