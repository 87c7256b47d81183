"""Tasks: work for people, most of it tied to an item."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    MOST_IN_A_LIST,
    Filter,
    Id,
    Ids,
    LongText,
    Moment,
    Name,
    Page,
    Read,
    SearchText,
    ShortText,
    Version,
    Whole,
    Write,
    YesOrNo,
)
from models.task import (
    MOST_MINUTES,
    Task,
    delete_task,
    find_task,
    lock_task,
    reached_task,
    tasks_where,
)
from models.task_edit import add_task, add_time, change_task, lock_to_change
from models.task_fields import TaskPriority, TaskStatus

router = resource("tasks", "/tasks")


class ChecklistLine(Write):
    text: Annotated[ShortText, Field(min_length=1)]
    done: YesOrNo = False


class TaskRead(Read):
    """Without a creator a rule made it; `made_by_run_id` says in which run."""

    id: int
    title: str
    description: str | None
    status: TaskStatus
    item_id: int | None
    further_item_ids: list[int]
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
    estimated_minutes: int | None
    spent_minutes: int
    result_required: bool
    result: str | None
    completed_at: datetime | None
    made_by_run_id: int | None
    created_at: datetime
    version: Version


class TaskFields(Write):
    """A task that requires a result can be completed only with one."""

    description: LongText | None = None
    status: TaskStatus = TaskStatus.PENDING
    item_id: Id | None = None
    further_item_ids: Ids = []
    responsible_id: Id | None = None
    participant_ids: Ids = []
    observer_ids: Ids = []
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    deadline_at: Moment | None = None
    priority: TaskPriority = TaskPriority.NORMAL
    tags: Annotated[list[Name], Field(max_length=MOST_IN_A_LIST)] = []
    checklist: Annotated[list[ChecklistLine], Field(max_length=MOST_IN_A_LIST)] = []
    time_tracking: YesOrNo = False
    estimated_minutes: Annotated[Whole, Field(ge=0, le=MOST_MINUTES)] | None = Field(
        default=None, description="How long it will probably take; needs `time_tracking`."
    )
    result_required: YesOrNo = False
    result: LongText | None = None


class TaskCreate(TaskFields):
    title: ShortText = Field(min_length=1)


class TaskUpdate(TaskFields):
    """What is left out stays as it is; lists that are sent replace those there are."""

    title: ShortText = Field(default="", min_length=1)


class TimeSpent(Write):
    minutes: Whole = Field(
        ge=-MOST_MINUTES,
        le=MOST_MINUTES,
        description="So many more; less than nothing takes some back.",
        examples=[45],
    )


class TaskFilter(Filter):
    """Which tasks to list."""

    item_id: Id | None = Field(default=None, description="As first or further item.")
    responsible_id: Id | None = None
    creator_id: Id | None = None
    participant_id: Id | None = Field(default=None, description="Takes part or observes.")
    made_by_run_id: Id | None = None
    status: TaskStatus | None = None
    priority: TaskPriority | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the title.")
    deadline_from: Moment | None = None
    deadline_to: Moment | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None


Sorted = Annotated[PageQuery, sorted_by("id", "deadline_at", "created_at")]


async def _present(session: Session, user: CurrentUser, task_id: Id) -> Task:
    return await reached_task(session, user, await find_task(session, task_id))


async def _to_add_to(session: Session, user: CurrentUser, task_id: Id) -> Task:
    return await reached_task(session, user, await lock_task(session, task_id))


async def _locked(session: Session, user: CurrentUser, task_id: Id, match: IfMatch) -> Task:
    return match.of(await _to_add_to(session, user, task_id))


async def _to_change(
    session: Session, user: CurrentUser, task_id: Id, match: IfMatch, sent: TaskUpdate
) -> Task:
    task = await lock_to_change(session, task_id, sent.changes())
    return match.of(await reached_task(session, user, task))


PresentTask = Annotated[Task, Depends(_present)]
TaskToAddTo = Annotated[Task, Depends(_to_add_to)]
LockedTask = Annotated[Task, Depends(_locked)]
TaskToChange = Annotated[Task, Depends(_to_change)]


@router.get("")
async def list_tasks(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[TaskFilter, Query()],
    paging: Sorted,
) -> Page[TaskRead]:
    """Return the tasks that you take part in or an item of which you reach, oldest first."""
    return await page_of(session, tasks_where(user, **where.asked()), paging, TaskRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_task(session: Session, user: CurrentUser, new: TaskCreate) -> TaskRead:
    """Create a task; whoever asks is its creator.

    It is tied to the item `item_id`, which rules speak of, and to `further_item_ids`: everybody
    sees it who reaches one of them. It may begin in any status. Where that is not *pending*,
    triggers that watch the status of tasks may move each of the items.
    """
    return TaskRead.model_validate(await add_task(session, user, new.changes()))


@router.get("/{task_id}")
async def read_task(task: PresentTask) -> TaskRead:
    """Return a task.

    `made_by_run_id` names the rule run that made it, if a rule did.
    """
    return TaskRead.model_validate(task)


@router.patch("/{task_id}")
async def update_task(
    session: Session, user: CurrentUser, task: TaskToChange, sent: TaskUpdate
) -> TaskRead:
    """Change fields of a task, its status among them.

    Lists that are sent replace those there are. What is completed is taken up again (*pending* or
    *in progress*) before it is anything else, and only what is *pending* or *in progress* can await
    control or be deferred. One that requires a result is completed only with it, and keeps it as
    long as it is completed. A rule that waits for the task goes on when it is completed; triggers
    that watch the status of tasks may move each of the items.
    """
    await change_task(session, task, sent.changes(), user)
    return TaskRead.model_validate(task)


@router.delete("/{task_id}", name="delete_task", status_code=status.HTTP_204_NO_CONTENT)
async def remove_task(session: Session, user: CurrentUser, task: LockedTask) -> None:
    """Delete a task.

    It cannot be restored. A rule that waits for the task goes on.
    """
    await delete_task(session, task, user)


@router.post("/{task_id}/time", name="add_task_time")
async def add_spent_time(session: Session, task: TaskToAddTo, sent: TimeSpent) -> TaskRead:
    """Note working time that was spent on a task with time tracking.

    It is added to `spent_minutes`. Send an `Idempotency-Key`, so that none is counted twice.
    """
    add_time(task, sent.minutes)
    await session.flush()
    return TaskRead.model_validate(task)
