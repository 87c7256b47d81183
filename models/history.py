"""History: one line for everything that happened, outliving what it speaks of."""

from enum import StrEnum

from sqlalchemy import Index, Select, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from models.access import within_reach
from models.base import Base, EnumText, Record, having
from models.company import Company
from models.contact import Contact
from models.item import Item
from models.item_type import ItemType
from models.user import User

LONGEST_TOLD = 80
"""Characters of a value in the sentence of a history entry; the entry itself keeps all."""


class HistoryKind(StrEnum):
    """`information` is what people and rules write on purpose; `rule run` what became of a rule.

    `crm activity` is when one was planned, noted, completed, postponed or deleted, `delivery`
    what became of one that left the house, `booking` when somebody or something was booked, or
    is free again, `document` when one was made, opened through its link, or that was revoked.
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


class HistoryEntry(Record, Base, kw_only=True):
    """`subject` is what the line speaks of ("contact 7"); `item_id` in whose history it stands.

    It points at nothing with foreign keys. Pipeline, stage and responsible are those of the item
    at that time. Without an author it was *automation*: the rule and run say which.
    """

    __tablename__ = "history_entries"
    __table_args__ = (
        Index(None, "item_id", "id"),
        Index(None, "kind", "responsible_id", "id"),
        Index(None, "created_at", "id"),
        Index(None, "author_id", "id"),
        Index(None, "rule_id", "id"),
        Index(None, "run_id", "id"),
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


def _in_short(value: str | None) -> str:
    if value is None:
        return "(empty)"
    return value if len(value) <= LONGEST_TOLD else f"{value[:LONGEST_TOLD]}…"


def history_where(**values: object) -> Select[HistoryEntry]:
    """Return the lines that have these values, None meaning any."""
    return having(select(HistoryEntry), **values)


def history_for(by: User, **values: object) -> Select[HistoryEntry]:
    """Return the lines with these values that tell of no item, or of one in somebody's reach."""
    reached = select(Item.id).where(Item.id == HistoryEntry.item_id, within_reach(by))
    return history_where(**values).where(or_(HistoryEntry.item_id.is_(None), reached.exists()))
