"""Create task: give somebody something to do for the item."""

from typing import Self

from pydantic import Field, model_validator

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    as_title,
    rule_action,
)
from models.errors import ActionFailed
from models.fields import FieldKind
from models.inputs import MOST_IN_A_LIST, Name
from models.item_date import ItemDate, When
from models.item_type import ItemType
from models.languages import translated
from models.task import MOST_MINUTES, Task, TaskPart, TaskPerson, ends_too_early
from models.task_fields import TaskPriority
from models.templates import Template
from models.user_choice import UserChoice

WHEN = "So long after the task is created, or before, at or after a date of the item."


class CreateTask(ActionParams):
    title: Template = Field(title="Title", min_length=1)
    description: Template | None = Field(default=None, title="Description")
    responsible: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Responsible person",
        description="The item's, if not chosen.",
    )
    creator: UserChoice | None = Field(
        default=None, title="Creator", description="Automation, if not chosen."
    )
    participants: tuple[UserChoice, ...] = Field(
        default=(), max_length=MOST_IN_A_LIST, title="Participants"
    )
    observers: tuple[UserChoice, ...] = Field(
        default=(), max_length=MOST_IN_A_LIST, title="Observers"
    )
    deadline: When | None = Field(default=None, title="Deadline", description=WHEN)
    start: When | None = Field(default=None, title="Start", description=WHEN)
    end: When | None = Field(default=None, title="End", description=WHEN)
    priority: TaskPriority = Field(default=TaskPriority.NORMAL, title="Priority")
    tags: tuple[Name, ...] = Field(default=(), max_length=MOST_IN_A_LIST, title="Tags")
    checklist: tuple[Template, ...] = Field(
        default=(), max_length=MOST_IN_A_LIST, title="Checklist"
    )
    time_tracking: bool = Field(default=False, title="Time tracking")
    estimated_minutes: int | None = Field(
        default=None,
        ge=0,
        le=MOST_MINUTES,
        title="Estimated minutes",
        description="Needs time tracking.",
    )
    result_required: bool = Field(default=False, title="A result is required")
    wait_until_completed: bool = Field(
        default=False,
        title="Wait until completed",
        description="The rule after this one starts counting when the task is completed.",
    )

    @model_validator(mode="after")
    def _estimates_what_is_tracked(self) -> Self:
        if self.estimated_minutes is not None and not self.time_tracking:
            raise ValueError("estimated minutes need time tracking")
        return self


@rule_action(
    title="Create task",
    group=ActionGroup.EMPLOYEE_CONTROL,
    items=ItemType,
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("title", "Title", FieldKind.TEXT),
        Result("responsible", "Responsible person", FieldKind.TEXT),
        Result("deadline", "Deadline", FieldKind.DATETIME),
        Result("completed_by", "Completed by", FieldKind.TEXT),
        Result("completed_at", "Completed at", FieldKind.DATETIME),
        Result("deleted", "Deleted", FieldKind.BOOLEAN),
    ],
)
async def create_task(params: CreateTask, context: ActionContext) -> str:
    """Create a task tied to the item; it remembers the rule run, hence the stage, that made it.

    Whoever is responsible for it is notified.
    """
    task = Task(
        title=as_title(context.render(params.title)),
        description=params.description and context.render(params.description),
        item=context.item,
        responsible=await context.in_charge(params.responsible),
        creator=None if params.creator is None else await context.user(params.creator),
        people=[
            TaskPerson(user_id=user.id, part=part)
            for part, choices in (
                (TaskPart.PARTICIPANT, params.participants),
                (TaskPart.OBSERVER, params.observers),
            )
            for user in await context.users(choices, or_nobody=True)
        ],
        starts_at=context.moment(params.start),
        ends_at=context.moment(params.end),
        deadline_at=context.moment(params.deadline),
        priority=params.priority,
        tags=list(params.tags),
        checklist=[{"text": context.render(line), "done": False} for line in params.checklist],
        time_tracking=params.time_tracking,
        estimated_minutes=params.estimated_minutes,
        result_required=params.result_required,
    )
    if ends_too_early(task):
        raise ActionFailed("The task would end before it starts.")
    context.session.add(task)
    await context.session.flush()
    if task.responsible is not None:
        said = translated("New task: {title}", task.responsible.locale or context.home.locale)
        link = f"{context.url}/v1/tasks/{task.id}"
        context.notify(
            task.responsible, said.format(title=task.title), sender=task.creator, link=link
        )
    context.leave(
        id=task.id,
        title=task.title,
        responsible=task.responsible and task.responsible.name,
        deadline=task.deadline_at,
        completed_by=None,
        completed_at=None,
        deleted=False,
    )
    made = f"Created task {task.id} «{task.title}»{_left_out(params, task)}."
    if not params.wait_until_completed:
        return made
    context.stay_open()
    return f"{made} Waiting until it is completed."


def _left_out(params: CreateTask, task: Task) -> str:
    """Say which moments the task has not, as the date they hang on is empty."""
    moments = (
        ("deadline", params.deadline, task.deadline_at),
        ("start", params.start, task.starts_at),
        ("end", params.end, task.ends_at),
    )
    return "".join(
        f"; no {called}, as {when.name} is empty"
        for called, when, moment in moments
        if isinstance(when, ItemDate) and moment is None
    )
