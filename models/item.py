"""Items: leads, deals, quotes and invoices, one table, so that all else can point at any."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, ColumnElement, ForeignKey, Index, Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload
from sqlalchemy.sql.base import ExecutableOption

from models.base import Base, EnumText, ExternalId, Id, Record
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, Reachable
from models.errors import NotFound
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage
from models.product_row import ProductRow
from models.provenance import DeletedByRun, MadeByRun
from models.user import User

item_contacts = Table(
    "item_contacts",
    Base.metadata,
    Column("item_id", Id, ForeignKey("items.id"), primary_key=True),
    Column("contact_id", Id, ForeignKey("contacts.id"), primary_key=True, index=True),
)


class Item(Record, Base, kw_only=True):
    """A lead, deal, quote or invoice. Only `enter_stage` assigns pipeline, stage and present entry.

    `version` counts changes (the ETag). `made_by_run_id` names the rule run that created it,
    `source_item` the item it was made from.
    """

    __tablename__ = "items"
    __table_args__ = (
        Index(None, "stage_id"),
        Index(None, "pipeline_id"),
        Index(None, "responsible_id"),
        Index(None, "contact_id"),
        Index(None, "company_id"),
        Index(None, "source_item_id"),
        Index(None, "deleted_by_run_id"),
        Index(None, "type", "external_id", unique=True),
        *(
            Index(None, "type", column, "id")
            for column in ("amount", "begin_date", "close_date", "created_at", "title")
        ),
        Index("ix_items_bin", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        Record.options,
    )

    type: Mapped[ItemType] = mapped_column(EnumText(ItemType), init=False)
    title: Mapped[str]
    version: Mapped[int] = mapped_column(init=False)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey(Pipeline.id), init=False)
    pipeline: Mapped[Pipeline] = relationship(init=False, lazy="raise")
    stage_id: Mapped[int] = mapped_column(ForeignKey(Stage.id), init=False)
    stage: Mapped[Stage] = relationship(init=False, lazy="raise")
    responsible_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    responsible: Mapped[User | None] = relationship(
        default=None, lazy="raise", foreign_keys=responsible_id
    )
    creator_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    creator: Mapped[User | None] = relationship(default=None, lazy="raise", foreign_keys=creator_id)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey(Contact.id), init=False)
    contact: Mapped[Contact | None] = relationship(
        default=None, lazy="raise", foreign_keys=contact_id
    )
    further_contacts: Mapped[list[Contact]] = relationship(
        default_factory=list, lazy="raise", secondary=item_contacts, order_by=Contact.id
    )
    company_id: Mapped[int | None] = mapped_column(ForeignKey(Company.id), init=False)
    company: Mapped[Company | None] = relationship(default=None, lazy="raise")
    amount: Mapped[Decimal | None] = mapped_column(default=None)
    currency: Mapped[str | None] = mapped_column(default=None)
    begin_date: Mapped[date | None] = mapped_column(default=None)
    close_date: Mapped[date | None] = mapped_column(default=None)
    source: Mapped[str | None] = mapped_column(default=None)
    comments: Mapped[str | None] = mapped_column(default=None)
    custom: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    product_rows: Mapped[list[ProductRow]] = relationship(
        default_factory=list, lazy="raise", order_by=ProductRow.id, cascade="all, delete-orphan"
    )
    source_item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"), init=False)
    source_item: Mapped["Item | None"] = relationship(
        default=None, lazy="raise", remote_side="Item.id", foreign_keys=source_item_id
    )
    external_id: Mapped[ExternalId] = mapped_column(default=None)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    deleted_by_run_id: Mapped[DeletedByRun] = mapped_column(init=False)

    __mapper_args__ = {"polymorphic_on": "type", "version_id_col": version}

    @property
    def called(self) -> str:
        """How people call it: "deal 42"."""
        return f"{self.type} {self.id}"

    @property
    def further_contact_ids(self) -> list[int]:
        return sorted(contact.id for contact in self.further_contacts)


class Lead(Reachable, Item, kw_only=True):
    """Somebody who may become a client; until then their names and addresses are the lead's.

    Only `convert_lead` assigns `converted_at`.
    """

    first_name: Mapped[str | None] = mapped_column(default=None)
    last_name: Mapped[str | None] = mapped_column(default=None)
    converted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    contact_points: Mapped[list[ContactPoint]] = relationship(
        default_factory=list, lazy="raise", order_by=ContactPoint.id, cascade="all, delete-orphan"
    )

    __mapper_args__ = {"polymorphic_identity": ItemType.LEAD, "polymorphic_load": "inline"}

    @property
    def is_repeat(self) -> bool:
        """A lead of somebody who is a client already."""
        return self.contact_id is not None or self.company_id is not None


class Deal(Item, kw_only=True):
    __mapper_args__ = {"polymorphic_identity": ItemType.DEAL, "polymorphic_load": "inline"}


class Quote(Item, kw_only=True):
    """What is offered to a client, for how much and until when (`close_date`)."""

    __mapper_args__ = {"polymorphic_identity": ItemType.QUOTE, "polymorphic_load": "inline"}


class Invoice(Item, kw_only=True):
    """What a client owes, until when (`close_date`); only `models.invoice` assigns `paid_at`."""

    paid_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    __mapper_args__ = {"polymorphic_identity": ItemType.INVOICE, "polymorphic_load": "inline"}

    @hybrid_property
    def is_paid(self) -> bool:
        return self.paid_at is not None

    @is_paid.inplace.expression
    @classmethod
    def _is_paid(cls) -> ColumnElement[bool]:
        return cls.paid_at.is_not(None)


KINDS: dict[ItemType, type[Item]] = {
    ItemType.LEAD: Lead,
    ItemType.DEAL: Deal,
    ItemType.QUOTE: Quote,
    ItemType.INVOICE: Invoice,
}


def type_of(kind: type[Item]) -> ItemType:
    """Return what items of a class are."""
    return ItemType(str(kind.__mapper__.polymorphic_identity))


async def lock_item(session: AsyncSession, item_id: int, kind: type[Item] = Item) -> Item:
    """Return the item, locked until the transaction ends, also when it is in the recycle bin.

    Items come first in the order of locks, by ascending id. Raises `NotFound`.
    """
    item = await session.scalar(
        select(kind)
        .where(kind.id == item_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if item is None:
        raise NotFound(f"There is no {_called(kind)} {item_id}.")
    return item


async def lock_items(session: AsyncSession, item_ids: Collection[int]) -> dict[int, Item]:
    """Return those of these items that there are, by id, locked as `lock_item` does, and whole."""
    locked = await session.scalars(
        select(Item)
        .where(Item.id.in_(item_ids))
        .order_by(Item.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    items = {item.id: item for item in locked}
    # Not in one: PostgreSQL, having waited for a row, would join what stood beside the old one.
    await session.execute(select(Item).where(Item.id.in_(items)).options(*_AROUND))
    return items


async def find_item(
    session: AsyncSession, item_id: int, kind: type[Item] = Item, *, lock: bool = False
) -> Item:
    """Return an item that is not in the recycle bin, or raise `NotFound`."""
    item = await lock_item(session, item_id, kind) if lock else await session.get(kind, item_id)
    if item is None or item.deleted_at is not None:
        in_bin = " It is in the recycle bin." if item is not None else ""
        raise NotFound(f"There is no {_called(kind)} {item_id}.{in_bin}")
    return item


async def known_item(session: AsyncSession, item_id: int) -> Item:
    """Return an item, also one in the recycle bin: what happened to it can still be read."""
    item = await session.get(Item, item_id)
    if item is None:
        raise NotFound(f"There is no item {item_id}.")
    return item


async def count_standing(session: AsyncSession, stage_ids: Sequence[int]) -> int:
    """Return how many items stand in these stages; those in the recycle bin do not count."""
    found = await session.scalar(
        select(func.count())
        .select_from(Item)
        .where(Item.stage_id.in_(stage_ids), Item.deleted_at.is_(None))
    )
    return found or 0


_AROUND = (
    joinedload(Item.pipeline),
    joinedload(Item.stage),
    joinedload(Item.responsible),
    joinedload(Item.creator),
    joinedload(Item.contact),
    joinedload(Item.company),
)


async def load_whole(
    session: AsyncSession, item: Item, *, reachable: bool = False, products: bool = False
) -> None:
    """Load what texts, conditions and actions speak of: client, people, stage.

    `reachable` adds phones and e-mails of all clients, `products` the rows. What was never
    loaded is loaded; what the transaction has changed stays changed.
    """
    options: list[ExecutableOption] = [*_AROUND]
    if reachable:
        options += [
            joinedload(Item.contact).selectinload(Contact.contact_points),
            joinedload(Item.company).selectinload(Company.contact_points),
        ]
        options += [selectinload(Lead.contact_points)] if isinstance(item, Lead) else []
    if products:
        options.append(selectinload(Item.product_rows))
    await session.execute(select(type(item)).where(Item.id == item.id).options(*options))


def _called(kind: type[Item]) -> str:
    return kind.__name__.lower()
