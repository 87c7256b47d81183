"""Tasks: work for people, most of it tied to a lead or deal."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from pydantic import BaseModel, Field

from api.dependencies import CurrentUser, Paging, ReadSession, Session, page_of
from api.schemas import (
    MOST_IN_A_LIST,
    Id,
    Ids,
    LongText,
    Moment,
    Name,
    Page,
    Read,
    ShortText,
    Write,
)
from models.task import (
    Task,
    TaskPriority,
    TaskStatus,
    add_task,
    change_task,
    delete_task,
    find_task,
    tasks_where,
)

router = APIRouter(prefix="/tasks", tags=["tasks"])


class ChecklistLine(Write):
    text: Annotated[ShortText, Field(min_length=1)]
    done: bool = False


class TaskRead(Read):
    """Without a creator a rule made it; `made_by_run_id` says in which run."""

    id: int
    title: str
    description: str | None
    status: TaskStatus
    item_id: int | None
    responsible_id: int | None
    creator_id: int | None
    participant_ids: list[int]
    observer_ids: list[int]
    starts_at: datetime | None
    ends_at: datetime | None
    deadline_at: datetime | None
    priority: TaskPriority
    tags: list[str]
    checklist: list[ChecklistLine]
    time_tracking: bool
    result_required: bool
    result: str | None
    completed_at: datetime | None
    made_by_run_id: int | None
    created_at: datetime


class TaskFields(Write):
    """A task that requires a result can be completed only with one."""

    description: LongText | None = None
    status: TaskStatus = TaskStatus.PENDING
    item_id: Id | None = None
    responsible_id: Id | None = None
    participant_ids: Ids = []
    observer_ids: Ids = []
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    deadline_at: Moment | None = None
    priority: TaskPriority = TaskPriority.NORMAL
    tags: Annotated[list[Name], Field(max_length=MOST_IN_A_LIST)] = []
    checklist: Annotated[list[ChecklistLine], Field(max_length=MOST_IN_A_LIST)] = []
    time_tracking: bool = False
    result_required: bool = False
    result: LongText | None = None


class TaskCreate(TaskFields):
    title: ShortText = Field(min_length=1)


class TaskUpdate(TaskFields):
    """What is left out stays as it is; lists that are sent replace those there are."""

    title: ShortText = Field(default="", min_length=1)


class TaskFilter(BaseModel):
    """Which tasks to list; nothing means all."""

    item_id: Id | None = None
    responsible_id: Id | None = None
    status: TaskStatus | None = None


async def _present(session: Session, task_id: Id) -> Task:
    return await find_task(session, task_id)


async def _locked(session: Session, task_id: Id) -> Task:
    return await find_task(session, task_id, lock=True)


PresentTask = Annotated[Task, Depends(_present)]
LockedTask = Annotated[Task, Depends(_locked)]


@router.get("")
async def list_tasks(
    session: ReadSession, where: Annotated[TaskFilter, Query()], paging: Paging
) -> Page[TaskRead]:
    """Return tasks, oldest first."""
    return await page_of(session, tasks_where(**where.model_dump()), paging, TaskRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_task(session: Session, user: CurrentUser, new: TaskCreate) -> TaskRead:
    """Create a task; whoever asks is its creator."""
    return TaskRead.model_validate(await add_task(session, user, new.changes()))


@router.get("/{task_id}")
async def read_task(task: PresentTask) -> TaskRead:
    """Return a task."""
    return TaskRead.model_validate(task)


@router.patch("/{task_id}")
async def update_task(session: Session, task: LockedTask, sent: TaskUpdate) -> TaskRead:
    """Change fields of a task, its status among them."""
    await change_task(session, task, sent.changes())
    return TaskRead.model_validate(task)


@router.delete("/{task_id}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_task(task: LockedTask) -> None:
    """Delete a task."""
    delete_task(task)
