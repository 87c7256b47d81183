"""Create task: give somebody something to do for the item."""

from pydantic import Field

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    UserChoice,
    as_title,
    rule_action,
)
from models.fields import FieldKind
from models.item_type import ItemType
from models.task import Task, TaskPart, TaskPerson, TaskPriority
from models.templates import Template
from models.timing import Delay


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
    participants: tuple[UserChoice, ...] = Field(default=(), title="Participants")
    observers: tuple[UserChoice, ...] = Field(default=(), title="Observers")
    deadline: Delay | None = Field(
        default=None, title="Deadline", description="So long after the task is created."
    )
    start: Delay | None = Field(
        default=None, title="Start", description="So long after the task is created."
    )
    end: Delay | None = Field(
        default=None, title="End", description="So long after the task is created."
    )
    priority: TaskPriority = Field(default=TaskPriority.NORMAL, title="Priority")
    tags: tuple[str, ...] = Field(default=(), title="Tags")
    checklist: tuple[Template, ...] = Field(default=(), title="Checklist")
    time_tracking: bool = Field(default=False, title="Time tracking")
    result_required: bool = Field(default=False, title="A result is required")


@rule_action(
    title="Create task",
    group=ActionGroup.EMPLOYEE_CONTROL,
    items=ItemType,
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("title", "Title", FieldKind.TEXT),
        Result("responsible", "Responsible person", FieldKind.TEXT),
        Result("deadline", "Deadline", FieldKind.DATETIME),
    ],
)
async def create_task(params: CreateTask, context: ActionContext) -> str:
    """Create a task tied to the item; it remembers the rule run, hence the stage, that made it."""
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
            for user in await context.users(choices)
        ],
        starts_at=context.moment(params.start),
        ends_at=context.moment(params.end),
        deadline_at=context.moment(params.deadline),
        priority=params.priority,
        tags=list(params.tags),
        checklist=[{"text": context.render(line), "done": False} for line in params.checklist],
        time_tracking=params.time_tracking,
        result_required=params.result_required,
    )
    context.session.add(task)
    await context.session.flush()
    context.leave(
        id=task.id,
        title=task.title,
        responsible=task.responsible and task.responsible.name,
        deadline=task.deadline_at,
    )
    return f"Created task {task.id} «{task.title}»."
