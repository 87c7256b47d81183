"""Tasks: work for people, tied to an item and, where a rule made them, to its run."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Select, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload

from models import clock
from models.access import MANAGING, reached, within_reach
from models.base import (
    Base,
    EnumText,
    Record,
    Versioned,
    assign,
    containing,
    count_change,
    find,
    find_named,
    having,
    in_order,
    linked,
)
from models.errors import Conflict, Invalid, NotAllowed, Problem
from models.item import Item, lock_item
from models.provenance import MadeByRun
from models.rule_run import OPEN, RuleRun, conclude
from models.stage_entry import StageEntry, lock_entries
from models.user import User
from models.wait import WaitEnd, end_waits

MOST_MINUTES = 1_000_000
"""About two years."""


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in progress"
    AWAITING_CONTROL = "awaiting control"
    COMPLETED = "completed"
    DEFERRED = "deferred"


class TaskPriority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class TaskPart(StrEnum):
    """How somebody takes part beside the responsible and the creator."""

    PARTICIPANT = "participant"
    OBSERVER = "observer"


PARTS = {"participant_ids": TaskPart.PARTICIPANT, "observer_ids": TaskPart.OBSERVER}


class TaskPerson(Base, kw_only=True):
    __tablename__ = "task_people"

    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True, init=False)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), primary_key=True)
    part: Mapped[TaskPart] = mapped_column(EnumText(TaskPart), primary_key=True)


class Task(Record, Versioned, Base, kw_only=True):
    """`checklist` holds `{"text": str, "done": bool}` rows.

    `result_required`: people complete it only with a result. `estimated_minutes` and
    `spent_minutes` are for tasks with `time_tracking`. Only `set_status` assigns status.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index(None, "item_id"),
        Index(None, "responsible_id"),
        Index(None, "made_by_run_id"),
        Index(None, "deadline_at", "id"),
        Record.options,
    )

    title: Mapped[str]
    description: Mapped[str | None] = mapped_column(default=None)
    status: Mapped[TaskStatus] = mapped_column(
        EnumText(TaskStatus), default=TaskStatus.PENDING, init=False
    )
    item_id: Mapped[int | None] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item | None] = relationship(default=None, lazy="raise")
    responsible_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    responsible: Mapped[User | None] = relationship(
        default=None, lazy="raise", foreign_keys=responsible_id
    )
    creator_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    creator: Mapped[User | None] = relationship(default=None, lazy="raise", foreign_keys=creator_id)
    people: Mapped[list[TaskPerson]] = relationship(
        default_factory=list, lazy="raise", cascade="all, delete-orphan"
    )
    starts_at: Mapped[datetime | None] = mapped_column(default=None)
    ends_at: Mapped[datetime | None] = mapped_column(default=None)
    deadline_at: Mapped[datetime | None] = mapped_column(default=None)
    priority: Mapped[TaskPriority] = mapped_column(
        EnumText(TaskPriority), default=TaskPriority.NORMAL
    )
    tags: Mapped[list[Any]] = mapped_column(default_factory=list)
    checklist: Mapped[list[Any]] = mapped_column(default_factory=list)
    time_tracking: Mapped[bool] = mapped_column(default=False)
    estimated_minutes: Mapped[int | None] = mapped_column(default=None)
    spent_minutes: Mapped[int] = mapped_column(default=0)
    result_required: Mapped[bool] = mapped_column(default=False)
    result: Mapped[str | None] = mapped_column(default=None)
    completed_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    def who(self, part: TaskPart) -> list[int]:
        """Return the ids of those who take part in this way."""
        return sorted(person.user_id for person in self.people if person.part is part)

    @property
    def participant_ids(self) -> list[int]:
        return self.who(TaskPart.PARTICIPANT)

    @property
    def observer_ids(self) -> list[int]:
        return self.who(TaskPart.OBSERVER)


def tasks_within_reach(user: User) -> ColumnElement[bool]:
    """Return the condition that somebody takes part in a task, or reaches the item it is tied to.

    Managers and administrators see and change all.
    """
    if user.role in MANAGING:
        return true()
    return or_(
        Task.responsible_id == user.id,
        Task.creator_id == user.id,
        Task.people.any(TaskPerson.user_id == user.id),
        Task.item.has(within_reach(user)),
    )


def tasks_where(
    by: User, *, q: str | None = None, participant_id: int | None = None, **values: object
) -> Select[Task]:
    """Return the tasks within somebody's reach that have these values, None meaning any.

    `q` is looked for in titles; whoever takes part or observes is a participant.
    """
    there = select(Task).where(Task.deleted_at.is_(None), tasks_within_reach(by))
    wanted = having(there.options(selectinload(Task.people)), **values)
    if participant_id is not None:
        wanted = wanted.where(Task.people.any(TaskPerson.user_id == participant_id))
    return wanted.where(*containing(Task.title, q))


async def find_task(session: AsyncSession, task_id: int, *, lock: bool = False) -> Task:
    """Return a task with the people who take part, or raise `NotFound`."""
    return await find(session, Task, task_id, lock=lock, options=[selectinload(Task.people)])


async def lock_task(session: AsyncSession, task_id: int) -> Task:
    """Return a task with its people, locked after the items that its changes may touch."""
    tied = await session.execute(
        select(Task.item_id, RuleRun.item_id)
        .outerjoin(RuleRun, RuleRun.id == Task.made_by_run_id)
        .where(Task.id == task_id)
    )
    for item_id in in_order(tied.one_or_none() or ()):
        await lock_item(session, item_id)
    return await find_task(session, task_id, lock=True)


async def reached_task(session: AsyncSession, user: User, task: Task) -> Task:
    """Return a task that is within somebody's reach, or raise `NotAllowed`."""
    if user.role in MANAGING:
        return task
    if not await session.scalar(
        select(Task.id).where(Task.id == task.id, tasks_within_reach(user))
    ):
        raise NotAllowed(
            f"You take no part in task {task.id}, nor is it tied to an item of yours: "
            "ask a manager, or whoever is responsible to let you take part."
        )
    return task


async def add_task(session: AsyncSession, creator: User, fields: Mapping[str, Any]) -> Task:
    """Store a new task of a person, with the fields that `change_task` knows.

    Who has something to do for an item waits no longer for its client.
    """
    item, item_id = None, fields.get("item_id")
    if item_id is not None:
        item = await find_named(session, Item, item_id, "/item_id", lock={"key_share": True})
    task = Task(title=fields["title"], creator=creator, people=[])
    await change_task(session, task, fields, creator)
    if item is not None:
        await end_waits(session, item, WaitEnd.PERSON, user=creator)
    return task


async def change_task(
    session: AsyncSession, task: Task, changes: Mapping[str, Any], by: User
) -> None:
    """Let a person change a locked task, tying it only to an item within their reach.

    `participant_ids` and `observer_ids` replace who takes part in that way.
    """
    fields = await linked(session, changes, task, item=Item, responsible=User)
    if fields.get("item") is not None:
        await reached(session, by, fields["item"])
    for name, part in PARTS.items():
        if name in fields:
            before = set(task.people)
            task.people = await _people(session, task, part, fields.pop(name), f"/{name}")
            if set(task.people) != before:
                count_change(task, "title")
    status = fields.pop("status", task.status)
    assign(task, fields)
    if ends_too_early(task):
        raise Invalid(Problem("/ends_at", "The task ends before it starts."))
    if task.estimated_minutes is not None and not task.time_tracking:
        raise Invalid(Problem("/estimated_minutes", "The task has no time tracking."))
    session.add(task)
    await set_status(session, task, status, by)
    await session.flush()


def ends_too_early(task: Task) -> bool:
    """Tell whether a task is to end before it starts."""
    return bool(task.starts_at and task.ends_at and task.ends_at < task.starts_at)


async def _people(
    session: AsyncSession, task: Task, part: TaskPart, user_ids: Sequence[int], field: str
) -> list[TaskPerson]:
    """Return who takes part in the task if just these users do in this way."""
    present = {person.user_id: person for person in task.people if person.part is part}
    for place, user_id in enumerate(user_ids):
        if user_id not in present:
            await find_named(session, User, user_id, f"{field}/{place}")
            present[user_id] = TaskPerson(user_id=user_id, part=part)
    others = [person for person in task.people if person.part is not part]
    return [*others, *(present[each] for each in dict.fromkeys(user_ids))]


def add_time(task: Task, minutes: int) -> None:
    """Note that so much time was spent on a locked task; less than nothing takes some back."""
    if not task.time_tracking:
        raise Conflict(f"Task {task.id} has no time tracking.")
    spent = task.spent_minutes + minutes
    if not 0 <= spent <= MOST_MINUTES:
        reason = f"{task.spent_minutes} minutes are noted; it would be {spent}."
        raise Invalid(Problem("/minutes", reason))
    task.spent_minutes = spent


async def delete_task(session: AsyncSession, task: Task, by: User) -> None:
    """Delete a locked task; whatever remembers it may still point at it, but nothing waits."""
    task.deleted_at = clock.now()
    told = f"{_called(task)} was deleted by {by.name}."
    await _end_waiting(session, task, told, by, deleted=True)


async def set_status(
    session: AsyncSession, task: Task, status: TaskStatus, by: User | None = None
) -> None:
    """Give a locked task its status, by a person or (None) a rule; whoever waits goes on.

    Completing one that needs a result without it is a `Conflict` for people; rules need none.
    """
    if status is task.status:
        return
    completed = status is TaskStatus.COMPLETED
    if completed and by is not None and task.result_required and not task.result:
        raise Conflict("The task needs a result before it can be completed.", field="/result")
    task.status = status
    task.completed_at = clock.now() if completed else None
    if completed:
        told = f"{_called(task)} was completed by {'a rule' if by is None else by.name}."
        who, when = by and by.name, task.completed_at
        await _end_waiting(
            session, task, told, by, completed_by=who, completed_at=when, deleted=False
        )


async def open_tasks_made_in(
    session: AsyncSession, item: Item, stage_ids: Collection[int]
) -> Sequence[Task]:
    """Return the open tasks of a locked item that its rules made in these stages, locked."""
    found = await session.scalars(
        select(Task)
        .join(RuleRun, RuleRun.id == Task.made_by_run_id)
        .join(RuleRun.stage_entry)
        .where(
            Task.item_id == item.id,
            Task.status != TaskStatus.COMPLETED,
            Task.deleted_at.is_(None),
            RuleRun.item_id == item.id,
            StageEntry.stage_id.in_(stage_ids),
        )
        .order_by(Task.id)
        .with_for_update(of=Task)
    )
    return found.all()


async def open_tasks_of(session: AsyncSession, item: Item) -> Sequence[Task]:
    """Return the open tasks of a locked item, whoever made them, locked."""
    found = await session.scalars(
        select(Task)
        .where(
            Task.item_id == item.id,
            Task.status != TaskStatus.COMPLETED,
            Task.deleted_at.is_(None),
        )
        .order_by(Task.id)
        .with_for_update(of=Task)
    )
    return found.all()


async def _end_waiting(
    session: AsyncSession, task: Task, told: str, by: User | None, **result: object
) -> None:
    """End the run that made a task, if it waits for it; its item is locked."""
    waiting = await session.scalar(
        select(RuleRun)
        .where(
            RuleRun.id == task.made_by_run_id,
            RuleRun.began_at.is_not(None),
            RuleRun.state.in_(OPEN),
        )
        .options(joinedload(RuleRun.item, innerjoin=True))
    )
    if waiting is not None:
        await lock_entries(session, [waiting.item], StageEntry.id == waiting.stage_entry_id)
        await conclude(session, waiting, told, by=by, **result)


def _called(task: Task) -> str:
    return f"Task {task.id} «{task.title}»"
