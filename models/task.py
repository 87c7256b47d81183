"""Tasks: work for people, tied to an item and, where a rule made them, to its run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from models import clock
from models.base import Base, EnumText, Record, assign, find, find_named, having, linked
from models.errors import Conflict, Invalid, Problem
from models.item import Item
from models.provenance import MadeByRun
from models.user import User


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


class Task(Record, Base, kw_only=True):
    """`checklist` holds `{"text": str, "done": bool}` rows.

    `result_required`: it can be completed only with a result. Only `set_status` assigns status.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index(None, "item_id"),
        Index(None, "responsible_id"),
        Index(None, "made_by_run_id"),
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


def tasks_where(**values: object) -> Select[Task]:
    """Return the tasks that are there and have these values, None meaning any."""
    there = select(Task).where(Task.deleted_at.is_(None)).options(selectinload(Task.people))
    return having(there, **values)


async def find_task(session: AsyncSession, task_id: int, *, lock: bool = False) -> Task:
    """Return a task with the people who take part, or raise `NotFound`."""
    return await find(session, Task, task_id, lock=lock, options=[selectinload(Task.people)])


async def add_task(session: AsyncSession, creator: User, fields: Mapping[str, Any]) -> Task:
    """Store a new task, with the fields that `change_task` knows."""
    task = Task(title=fields["title"], creator=creator, people=[])
    await change_task(session, task, fields)
    return task


async def change_task(session: AsyncSession, task: Task, changes: Mapping[str, Any]) -> None:
    """Change a task; `participant_ids` and `observer_ids` replace who takes part in that way."""
    fields = await linked(session, changes, task, item=Item, responsible=User)
    for name, part in PARTS.items():
        if name in fields:
            task.people = await _people(session, task, part, fields.pop(name), f"/{name}")
    status = fields.pop("status", task.status)
    assign(task, fields)
    if task.starts_at and task.ends_at and task.ends_at < task.starts_at:
        raise Invalid(Problem("/ends_at", "The task ends before it starts."))
    set_status(task, status)
    session.add(task)
    await session.flush()


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


def delete_task(task: Task) -> None:
    """Delete a task; whatever remembers it may still point at it."""
    task.deleted_at = clock.now()


def set_status(task: Task, status: TaskStatus) -> None:
    """Give a task its status; completing one that needs a result without it is a `Conflict`."""
    if status is task.status:
        return
    if status is TaskStatus.COMPLETED and task.result_required and not task.result:
        raise Conflict("The task needs a result before it can be completed.", field="/result")
    task.status = status
    task.completed_at = clock.now() if status is TaskStatus.COMPLETED else None
