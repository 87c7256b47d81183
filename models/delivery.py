"""Deliveries: what leaves the house, or takes long, after the transaction that wanted it.

A delivery is written with the effects of its run. Then, in three transactions of their own or more:
it is *sending*, it is sent outside, it is *sent*. One that a worker died over may have arrived or
not: it is *uncertain*, and sent again with the same key, or kept for a person to settle.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, ForeignKey, Index, Select, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from models import clock
from models.access import MANAGING, reached_row, within_reach
from models.base import Base, EnumText, Record, having
from models.errors import NotFound
from models.item import Item
from models.user import User

LONGEST_WORDS = 1000
"""Characters that are kept of what a server answered."""


class DeliveryKind(StrEnum):
    """A document leaves nothing, but takes long: it is made as others are sent."""

    EMAIL = "email"
    MESSAGE = "message"
    WEBHOOK = "webhook"
    DOCUMENT = "document"

    @property
    def leaves(self) -> bool:
        """Whether it is out of our hands once it was sent, so that sending it again doubles it."""
        return self is not DeliveryKind.DOCUMENT


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


OPEN = (DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.UNCERTAIN)


class Delivery(Record, Base, kw_only=True):
    """`recipient` is an address, number, URL or what is made; `subject` is what people read of it.

    `content` is JSON of what its channel sends. `key` stays the same however often it is sent:
    receivers know a repetition by it. It is tried again at `due_at`; `tries` counts how often it
    was begun, `failures` those that met a fault of somebody else's, of which `error` is the last.
    `uncertain_at` is when it was first noticed that nobody knows whether it has arrived.
    `outcome` is the sentence that says how it ended, `answer` what the receiving server said.
    `caught`: it was kept here instead of leaving the house.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(None, "run_id"),
        Index(None, "item_id", "id"),
        Index(None, "state", "id"),
        Index(None, "kind", "id"),
        Index(None, "recipient", "id"),
        Index(None, "contact_id"),
        Index(None, "company_id"),
        Index(None, "crm_activity_id"),
        Record.options,
    )

    kind: Mapped[DeliveryKind] = mapped_column(EnumText(DeliveryKind))
    key: Mapped[UUID] = mapped_column(default_factory=uuid4, init=False, index=True, unique=True)
    state: Mapped[DeliveryState] = mapped_column(
        EnumText(DeliveryState), default=DeliveryState.WAITING, init=False
    )
    run_id: Mapped[int] = mapped_column(ForeignKey("rule_runs.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    recipient: Mapped[str]
    subject: Mapped[str]
    content: Mapped[dict[str, Any]]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"), default=None)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("companies.id"), default=None)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), default=None)
    crm_activity_id: Mapped[int | None] = mapped_column(
        ForeignKey("crm_activities.id"), default=None, init=False
    )
    due_at: Mapped[datetime | None] = mapped_column(init=False, insert_default=clock.now)
    tries: Mapped[int] = mapped_column(default=0, init=False)
    failures: Mapped[int] = mapped_column(default=0, init=False)
    sending_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    uncertain_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    sent_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    caught: Mapped[bool] = mapped_column(default=False, init=False)
    outcome: Mapped[str | None] = mapped_column(default=None, init=False)
    answer: Mapped[str | None] = mapped_column(default=None, init=False)
    error: Mapped[str | None] = mapped_column(default=None, init=False)

    @property
    def called(self) -> str:
        return f"delivery {self.id}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


class ReactionKind(StrEnum):
    OPENED = "opened"
    CLICKED = "clicked"


class Reaction(Record, Base, kw_only=True):
    """Somebody has opened a mail, or followed a link in it, at `created_at`."""

    __tablename__ = "reactions"
    __table_args__ = (Index(None, "delivery_id", "id"), Record.options)

    delivery_id: Mapped[int] = mapped_column(ForeignKey(Delivery.id))
    kind: Mapped[ReactionKind] = mapped_column(EnumText(ReactionKind))
    url: Mapped[str | None] = mapped_column(default=None)


def deliveries_within_reach(user: User) -> ColumnElement[bool]:
    """Return the condition that a delivery is of an item that somebody reaches."""
    if user.role in MANAGING:
        return true()
    return Delivery.item.has(within_reach(user))


def deliveries_where(by: User, **values: object) -> Select[Delivery]:
    """Return the deliveries within somebody's reach that have these values, None meaning any."""
    return having(select(Delivery).where(deliveries_within_reach(by)), **values)


async def find_delivery(session: AsyncSession, delivery_id: int, *, lock: bool = False) -> Delivery:
    """Return a delivery with its item, or raise `NotFound`. Who locks it has locked its entry."""
    wanted = (
        select(Delivery)
        .where(Delivery.id == delivery_id)
        .options(joinedload(Delivery.item, innerjoin=True))
        .execution_options(populate_existing=lock)
    )
    found = await session.scalar(wanted.with_for_update(of=Delivery) if lock else wanted)
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    return found


async def reached_delivery(session: AsyncSession, user: User, delivery: Delivery) -> Delivery:
    """Return a delivery that is within somebody's reach, or raise `NotAllowed`."""
    within = deliveries_within_reach(user)
    return await reached_row(session, user, delivery, within, delivery.called)


async def deliveries_of(
    session: AsyncSession, run_id: int, written_at: datetime | None = None
) -> Sequence[Delivery]:
    """Return the deliveries of a run in order, locked; its entry is locked already.

    Each try of its action writes all of its own at one moment: `written_at` leaves out the others.
    """
    found = await session.scalars(
        select(Delivery)
        .where(
            Delivery.run_id == run_id,
            true() if written_at is None else Delivery.created_at == written_at,
        )
        .order_by(Delivery.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.all()


async def has_arrived(
    session: AsyncSession, run_id: int, kind: DeliveryKind, recipient: str
) -> bool:
    """Tell whether an earlier try of a run's action has reached somebody, or perhaps has."""
    known = {DeliveryState.SENT, DeliveryState.SENDING, DeliveryState.UNCERTAIN}
    found = await session.scalar(
        select(Delivery.id)
        .where(
            Delivery.run_id == run_id,
            Delivery.kind == kind,
            Delivery.recipient == recipient,
            Delivery.state.in_(known),
        )
        .limit(1)
    )
    return found is not None


async def withdraw(session: AsyncSession, run_id: int, because: str) -> None:
    """Let what a run has not sent yet never be sent: the run has ended.

    What leaves the house at this moment is uncertain until whoever sends it says how it went.
    """
    for each in await deliveries_of(session, run_id):
        if each.state is DeliveryState.SENDING and each.kind.leaves:
            doubt(each, because)
        elif each.is_open:
            drop(each, because)


def next_of(deliveries: Collection[Delivery]) -> Delivery | None:
    """Return the delivery that is to be sent next."""
    waiting = [each for each in deliveries if each.state is DeliveryState.WAITING]
    return min(waiting, key=lambda each: (each.due_at or clock.now(), each.id), default=None)


def is_due(delivery: Delivery) -> bool:
    """Tell whether it need not wait for another try."""
    return delivery.due_at is None or delivery.due_at <= clock.now()


def begin_sending(delivery: Delivery) -> None:
    """Note, before anything leaves, that it is being sent."""
    delivery.state = DeliveryState.SENDING
    delivery.sending_at = clock.now()
    delivery.due_at = None
    delivery.tries += 1


def is_overdue(delivery: Delivery, limit: timedelta) -> bool:
    """Tell whether whoever was sending it can no longer be at it."""
    return delivery.sending_at is None or delivery.sending_at + limit <= clock.now()


def doubt(delivery: Delivery, why: str) -> None:
    """Note that nobody knows whether it has arrived."""
    delivery.state = DeliveryState.UNCERTAIN
    delivery.uncertain_at = delivery.uncertain_at or clock.now()
    delivery.error = why[:LONGEST_WORDS]
    delivery.due_at = None


def send_again(delivery: Delivery) -> None:
    """Put it back at once, with the same key, though it has perhaps arrived."""
    delivery.state = DeliveryState.WAITING
    delivery.due_at = clock.now()


def arrive(
    delivery: Delivery, outcome: str, *, answer: str | None = None, caught: bool = False
) -> None:
    """Note that it has been sent, and what the receiving server said."""
    delivery.state = DeliveryState.SENT
    delivery.sent_at = clock.now()
    delivery.caught = caught
    delivery.outcome = outcome
    delivery.answer = answer and answer[:LONGEST_WORDS]
    delivery.error = None
    delivery.due_at = None


def give_up(delivery: Delivery, outcome: str) -> None:
    """Note that it will never be sent, and why."""
    delivery.state = DeliveryState.FAILED
    delivery.outcome = outcome[:LONGEST_WORDS]
    delivery.error = None
    delivery.due_at = None


def drop(delivery: Delivery, outcome: str) -> None:
    """Note that it is not to be sent any more, and why."""
    delivery.state = DeliveryState.DROPPED
    delivery.outcome = outcome[:LONGEST_WORDS]
    delivery.due_at = None


def try_later(
    delivery: Delivery, error: str, pauses: Sequence[timedelta], wait: timedelta = timedelta()
) -> None:
    """Put it back after a fault of somebody else's; after the last of the pauses it has failed.

    It waits at least so long as the other side has asked for.
    """
    if delivery.failures >= len(pauses):
        give_up(delivery, f"Gave up after {delivery.failures + 1} tries: {error}")
        return
    delivery.state = DeliveryState.WAITING
    delivery.due_at = clock.now() + max(wait, pauses[delivery.failures])
    delivery.failures += 1
    delivery.error = error[:LONGEST_WORDS]


def put_off(delivery: Delivery, until: datetime) -> None:
    """Let it wait for something of ours, such as a document that is still being made."""
    delivery.state = DeliveryState.WAITING
    delivery.due_at = until
