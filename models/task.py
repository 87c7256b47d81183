"""Tasks: work for people, tied to items and, where a rule made them, to its run."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Select, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload

from models import clock
from models.access import MANAGING, within_reach
from models.base import (
    Base,
    EnumText,
    Record,
    Versioned,
    containing,
    find,
    having,
    in_order,
)
from models.errors import Conflict, NotAllowed
from models.installation import installation
from models.item import Item, lock_items
from models.occasion import TaskOccasion, occurred
from models.provenance import MadeByRun
from models.rule_run import OPEN, RuleRun, conclude
from models.stage_entry import Cause, CauseKind, StageEntry, lock_entries
from models.task_fields import TASK_FIELDS, TaskPriority, TaskStatus
from models.user import User

MOST_MINUTES = 1_000_000
"""About two years."""


LEGAL: Mapping[TaskStatus, Sequence[TaskStatus]] = {
    TaskStatus.PENDING: (
        TaskStatus.IN_PROGRESS,
        TaskStatus.AWAITING_CONTROL,
        TaskStatus.COMPLETED,
        TaskStatus.DEFERRED,
    ),
    TaskStatus.IN_PROGRESS: (
        TaskStatus.PENDING,
        TaskStatus.AWAITING_CONTROL,
        TaskStatus.COMPLETED,
        TaskStatus.DEFERRED,
    ),
    TaskStatus.AWAITING_CONTROL: (
        TaskStatus.PENDING,
        TaskStatus.IN_PROGRESS,
        TaskStatus.COMPLETED,
    ),
    TaskStatus.COMPLETED: (TaskStatus.PENDING, TaskStatus.IN_PROGRESS),
    TaskStatus.DEFERRED: (TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED),
}
"""What a task of each status can become. A new one is pending, and may become another at once.

What awaits control is completed (it is accepted) or goes back; what is completed is taken up again
before it is anything else. Rules complete a task from any status.
"""


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


class TaskItem(Base, kw_only=True):
    """An item that a task is tied to beside its first one."""

    __tablename__ = "task_items"
    __table_args__ = (Index(None, "item_id"),)

    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True, init=False)
    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), primary_key=True)
    item: Mapped[Item] = relationship(init=False, lazy="raise")


class Task(Record, Versioned, Base, kw_only=True):
    """`checklist` holds `{"text": str, "done": bool}` rows.

    `item` is the one that rules speak of, `further_items` are others that it has to do with.
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
    further_items: Mapped[list[TaskItem]] = relationship(
        default_factory=list, lazy="raise", cascade="all, delete-orphan"
    )
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

    @property
    def further_item_ids(self) -> list[int]:
        return sorted(each.item_id for each in self.further_items)

    @property
    def item_ids(self) -> list[int]:
        """All items that it is tied to, in the order of locks."""
        return in_order([self.item_id, *self.further_item_ids])


_WHOLE = (selectinload(Task.people), selectinload(Task.further_items))


def tasks_within_reach(user: User) -> ColumnElement[bool]:
    """Return the condition that somebody takes part in a task, or reaches an item of it.

    Managers and administrators see and change all.
    """
    if user.role in MANAGING:
        return true()
    return or_(
        Task.responsible_id == user.id,
        Task.creator_id == user.id,
        Task.people.any(TaskPerson.user_id == user.id),
        Task.item.has(within_reach(user)),
        Task.further_items.any(TaskItem.item.has(within_reach(user))),
    )


def tasks_where(
    by: User,
    *,
    q: str | None = None,
    item_id: int | None = None,
    participant_id: int | None = None,
    **values: object,
) -> Select[Task]:
    """Return the tasks within somebody's reach that have these values, None meaning any.

    `q` is looked for in titles. An item counts also where it is not the first; whoever takes part
    or observes is a participant.
    """
    there = select(Task).where(Task.deleted_at.is_(None), tasks_within_reach(by))
    wanted = having(there.options(*_WHOLE), **values)
    if item_id is not None:
        further = select(TaskItem.task_id).where(TaskItem.item_id == item_id)
        wanted = wanted.where(or_(Task.item_id == item_id, Task.id.in_(further)))
    if participant_id is not None:
        wanted = wanted.where(Task.people.any(TaskPerson.user_id == participant_id))
    return wanted.where(*containing(Task.title, q))


async def find_task(session: AsyncSession, task_id: int, *, lock: bool = False) -> Task:
    """Return a task with its people and further items, or raise `NotFound`."""
    return await find(session, Task, task_id, lock=lock, options=_WHOLE)


async def lock_task(session: AsyncSession, task_id: int, *item_ids: int) -> Task:
    """Return a whole task, locked after the items that its changes may touch, and these.

    Those of them that there are not are for others to tell.
    """
    tied = await session.execute(
        select(Task.item_id, RuleRun.item_id, TaskItem.item_id)
        .outerjoin(RuleRun, RuleRun.id == Task.made_by_run_id)
        .outerjoin(TaskItem, TaskItem.task_id == Task.id)
        .where(Task.id == task_id)
    )
    wanted = in_order([*item_ids, *(each for row in tied for each in row)])
    if wanted:
        await lock_items(session, wanted)
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


def ends_too_early(task: Task) -> bool:
    """Tell whether a task is to end before it starts."""
    return bool(task.starts_at and task.ends_at and task.ends_at < task.starts_at)


async def delete_task(session: AsyncSession, task: Task, by: User) -> None:
    """Delete a locked task; whatever remembers it may still point at it, but nothing waits."""
    task.deleted_at = clock.now()
    told = f"{_called(task)} was deleted by {by.name}."
    await _end_waiting(session, task, told, by, deleted=True)


async def set_status(
    session: AsyncSession,
    task: Task,
    status: TaskStatus,
    cause: Cause,
    *,
    by_itself: bool = False,
) -> None:
    """Give a task, new or locked, its status; triggers hear of it and whoever waits goes on.

    A change that people cannot make is a `Conflict`, and so is completing a task that needs a
    result without it. Rules complete it from any status, and need no result; so does `by_itself`
    what people do to something else, and completes it too.
    """
    if status is task.status:
        return
    if cause.kind is CauseKind.PERSON and not by_itself:
        _must_be_legal(task, status)
    task.status = status
    completed = status is TaskStatus.COMPLETED
    task.completed_at = clock.now() if completed else None
    await session.flush()
    by, home = cause.user, await installation(session)
    if completed:
        told = f"{_called(task)} was completed by {'a rule' if by is None else by.name}."
        who, when = by and by.name, task.completed_at
        await _end_waiting(
            session, task, told, by, completed_by=who, completed_at=when, deleted=False
        )
    occurred(
        session,
        TaskOccasion(
            trigger="task_status",
            item_ids=tuple(task.item_ids),
            cause=cause,
            text=f"{_called(task)} is {status}",
            status=status,
            task=values_of(task),
            zone=home.time_zone,
        ),
    )


def _must_be_legal(task: Task, status: TaskStatus) -> None:
    """Raise `Conflict` where people cannot give a task that status."""
    if status not in LEGAL[task.status]:
        *others, last = LEGAL[task.status]
        said = f"Task {task.id} is {task.status}: it can become {', '.join(others)} or {last}"
        raise Conflict(f"{said}, not {status}.", field="/status")
    if status is TaskStatus.COMPLETED and task.result_required and not task.result:
        raise Conflict("The task needs a result before it can be completed.", field="/result")


def values_of(task: Task) -> dict[str, object]:
    """Return what stands in each of `TASK_FIELDS`, by its path."""
    values: dict[str, object] = {
        "task.tags": list(task.tags),
        "task.responsible": task.responsible_id,
        "task.creator": task.creator_id,
        "task.made_by_rule": task.made_by_run_id is not None,
    }
    for field in TASK_FIELDS:
        if field.path not in values:
            values[field.path] = getattr(task, field.path.removeprefix("task."))
    return values


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
        .options(*_WHOLE)
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
        .options(*_WHOLE)
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
