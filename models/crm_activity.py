"""CRM activities: what somebody has planned for an item, or noted, and what was written.

To-dos, calls and meetings are planned; mails and messages are noted when they have been sent, or
have come in, as forms have.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Index, Select, and_, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from models import clock
from models.access import MANAGING, client_within_reach, reached_row, within_reach
from models.agenda import CrmActivityAgenda, crm_activity_workflow_id
from models.base import Base, EnumText, Record, Versioned, containing, having
from models.company import Company
from models.contact import Contact
from models.errors import NotFound
from models.item import Item, find_item
from models.outbox import Outbox
from models.provenance import MadeByRun
from models.reminders import Reminder, agenda_of
from models.user import User


class CrmActivityKind(StrEnum):
    TO_DO = "to-do"
    CALL = "call"
    MEETING = "meeting"
    EMAIL = "email"
    MESSAGE = "message"
    FORM = "form"


WRITTEN = frozenset({CrmActivityKind.EMAIL, CrmActivityKind.MESSAGE, CrmActivityKind.FORM})
"""Kinds that nobody plans: they tell of what has been sent, or has come in."""


class CrmActivityStatus(StrEnum):
    PLANNED = "planned"
    COMPLETED = "completed"


class CrmActivityDirection(StrEnum):
    """Who got in touch: we with the client, or the client with us."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


class Completion(StrEnum):
    """What completed a CRM activity."""

    PERSON = "person"
    RULE = "rule"
    STAGE_CHANGE = "stage change"
    CLIENT = "client"


class Colour(StrEnum):
    """How it stands out in a calendar; each is a colour of CSS, as RFC 7986 has them."""

    RED = "red"
    ORANGE = "orange"
    GOLD = "gold"
    GREEN = "green"
    TEAL = "teal"
    BLUE = "blue"
    PURPLE = "purple"
    GREY = "grey"


class CrmActivity(Record, Versioned, Outbox, Base, kw_only=True):
    """`phone` is the number to call, `place` where a meeting is.

    What came in from a client of whom nothing is open has no item; all else has one. `inbound_id`
    is what came in. `complete_on_stage_change`: it completes itself when its item leaves the stage.
    It is its own outbox: Temporal waits for its reminders. Only `crm_activity_end` assigns status
    and what goes with it; `revised_at` is when it last read otherwise.
    """

    __tablename__ = "crm_activities"
    __table_args__ = (
        Index(None, "item_id", "id"),
        Index(None, "responsible_id", "starts_at", "id"),
        Index(None, "contact_id"),
        Index(None, "company_id"),
        Index(None, "made_by_run_id"),
        Index(None, "inbound_id"),
        Index(None, "starts_at", "id"),
        Index(
            "ix_crm_activities_untold",
            "id",
            postgresql_where=text("told_version < agenda_version"),
            sqlite_where=text("told_version < agenda_version"),
        ),
        Record.options,
    )

    kind: Mapped[CrmActivityKind] = mapped_column(EnumText(CrmActivityKind))
    subject: Mapped[str]
    description: Mapped[str | None] = mapped_column(default=None)
    status: Mapped[CrmActivityStatus] = mapped_column(
        EnumText(CrmActivityStatus), default=CrmActivityStatus.PLANNED, init=False
    )
    direction: Mapped[CrmActivityDirection] = mapped_column(
        EnumText(CrmActivityDirection), default=CrmActivityDirection.OUTGOING
    )
    item_id: Mapped[int | None] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item | None] = relationship(lazy="raise")
    responsible_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    responsible: Mapped[User | None] = relationship(
        default=None, lazy="raise", foreign_keys=responsible_id
    )
    creator_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    creator: Mapped[User | None] = relationship(default=None, lazy="raise", foreign_keys=creator_id)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey(Contact.id), init=False)
    contact: Mapped[Contact | None] = relationship(default=None, lazy="raise")
    company_id: Mapped[int | None] = mapped_column(ForeignKey(Company.id), init=False)
    company: Mapped[Company | None] = relationship(default=None, lazy="raise")
    phone: Mapped[str | None] = mapped_column(default=None)
    place: Mapped[str | None] = mapped_column(default=None)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None] = mapped_column(default=None)
    important: Mapped[bool] = mapped_column(default=False)
    colour: Mapped[str | None] = mapped_column(default=None)
    complete_on_stage_change: Mapped[bool] = mapped_column(default=False)
    reminders: Mapped[list[Reminder]] = relationship(
        default_factory=list,
        lazy="raise",
        cascade="all, delete-orphan",
        order_by=(Reminder.minutes_before.desc(), Reminder.id),
        back_populates="crm_activity",
    )
    result: Mapped[str | None] = mapped_column(default=None)
    completed_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    completed_by_id: Mapped[int | None] = mapped_column(
        ForeignKey(User.id), default=None, init=False
    )
    completion: Mapped[Completion | None] = mapped_column(
        EnumText(Completion), default=None, init=False
    )
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"), default=None)
    revised_at: Mapped[datetime] = mapped_column(init=False, insert_default=clock.now)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that waits for its reminders, as Temporal's UI shows it."""
        return crm_activity_workflow_id(self.id)

    def agenda(self, database_id: UUID) -> CrmActivityAgenda:
        """Return the open reminders as Temporal may know them; all must be loaded."""
        return agenda_of(self, database_id)

    @property
    def called(self) -> str:
        """How people call it: "call 7"."""
        return f"{self.kind} {self.id}"

    @property
    def its_item(self) -> Item:
        """The item that it is planned for: nothing is planned without one."""
        if self.item is None:
            raise ValueError(f"{self.called} is of no item")
        return self.item

    @property
    def told_in(self) -> Item | Contact | Company:
        """In whose history it stands: that of its item, else of its client."""
        found = self.item or self.contact or self.company
        return self.its_item if found is None else found

    @property
    def minutes_before(self) -> list[int]:
        """How long before its start somebody is reminded, the earliest first."""
        return sorted((each.minutes_before for each in self.reminders), reverse=True)


def crm_activities_within_reach(user: User) -> ColumnElement[bool]:
    """Return the condition that a CRM activity is somebody's, or of an item that they reach.

    What has no item is within the reach of whoever reaches any item of the client. Managers and
    administrators see and change all.
    """
    if user.role in MANAGING:
        return true()
    of_client = client_within_reach(user, CrmActivity.contact_id, CrmActivity.company_id)
    return or_(
        CrmActivity.responsible_id == user.id,
        CrmActivity.creator_id == user.id,
        CrmActivity.item.has(within_reach(user)),
        and_(CrmActivity.item_id.is_(None), of_client),
    )


def crm_activities_there(*conditions: ColumnElement[bool]) -> Select[CrmActivity]:
    """Return the CRM activities that are not deleted, nor their items, with their reminders.

    Of those without an item, the client must not be deleted.
    """
    client_there = or_(
        CrmActivity.contact.has(Contact.deleted_at.is_(None)),
        CrmActivity.company.has(Company.deleted_at.is_(None)),
    )
    return (
        select(CrmActivity)
        .where(
            CrmActivity.deleted_at.is_(None),
            or_(
                CrmActivity.item.has(Item.deleted_at.is_(None)),
                and_(CrmActivity.item_id.is_(None), client_there),
            ),
            *conditions,
        )
        .options(selectinload(CrmActivity.reminders))
    )


def crm_activities_where(
    by: User, *, q: str | None = None, **values: object
) -> Select[CrmActivity]:
    """Return those within somebody's reach that have these values, None meaning any.

    `q` is looked for in subjects.
    """
    there = crm_activities_there(crm_activities_within_reach(by))
    return having(there, **values).where(*containing(CrmActivity.subject, q))


async def find_crm_activity(
    session: AsyncSession, crm_activity_id: int, *, lock: bool = False
) -> CrmActivity:
    """Return a CRM activity with item and reminders, or raise `NotFound`.

    To lock it is to lock its item first: so does whoever moves the item.
    """
    item_id = await session.scalar(
        select(CrmActivity.item_id).where(CrmActivity.id == crm_activity_id)
    )
    item = None if item_id is None else await find_item(session, item_id, lock=lock)
    wanted = crm_activities_there(CrmActivity.id == crm_activity_id)
    if item is None and lock:
        # By itself, as there is no item to wait for: see `lock_items`.
        alone = select(CrmActivity.id).where(CrmActivity.id == crm_activity_id)
        await session.execute(alone.with_for_update(key_share=True))
    if item is None:
        wanted = wanted.options(joinedload(CrmActivity.contact), joinedload(CrmActivity.company))
    if lock:
        wanted = wanted.with_for_update(key_share=True, of=CrmActivity)
    found = await session.scalar(wanted.execution_options(populate_existing=lock))
    if found is None:
        raise NotFound(f"There is no CRM activity {crm_activity_id}.")
    set_committed_value(found, "item", item)
    return found


async def planned_for(session: AsyncSession, item: Item) -> Sequence[CrmActivity]:
    """Return what is planned for a locked item, locked, with its reminders."""
    found = await session.scalars(
        crm_activities_there(
            CrmActivity.item_id == item.id, CrmActivity.status == CrmActivityStatus.PLANNED
        )
        .order_by(CrmActivity.id)
        .with_for_update(key_share=True, of=CrmActivity)
        .execution_options(populate_existing=True)
    )
    crm_activities = found.all()
    for crm_activity in crm_activities:
        set_committed_value(crm_activity, "item", item)
    return crm_activities


async def reached_crm_activity(
    session: AsyncSession, user: User, crm_activity: CrmActivity
) -> CrmActivity:
    """Return a CRM activity that is within somebody's reach, or raise `NotAllowed`."""
    within = crm_activities_within_reach(user)
    return await reached_row(session, user, crm_activity, within, crm_activity.called)
