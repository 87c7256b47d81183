"""Complete task: what rules gave people to do in earlier stages is done with."""

from collections.abc import Sequence

from pydantic import Field

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    RulePlace,
    rule_action,
)
from models.errors import NotFound, Problem
from models.fields import FieldKind
from models.inputs import RowId
from models.item_type import ItemType
from models.pipeline import find_stage
from models.task import open_tasks_made_in, set_status
from models.task_fields import TaskStatus


class CompleteTasks(ActionParams):
    pipeline: RowId | None = Field(
        default=None, title="Pipeline", description="The item's own, if not chosen."
    )
    stages: tuple[RowId, ...] = Field(
        min_length=1, title="Stages", description="Where rules have made the tasks."
    )

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        pipeline_id = self.pipeline or place.stage.pipeline_id
        found = []
        for number, stage_id in enumerate(self.stages):
            try:
                stage = await find_stage(place.session, stage_id)
            except NotFound as error:
                found.append(Problem(f"/stages/{number}", error.message))
                continue
            if stage.pipeline_id != pipeline_id:
                reason = f"Stage {stage.id} «{stage.name}» is not of pipeline {pipeline_id}."
                found.append(Problem(f"/stages/{number}", reason))
        return found


@rule_action(
    title="Complete task",
    group=ActionGroup.EMPLOYEE_CONTROL,
    items=ItemType,
    results=[
        Result("count", "How many were completed", FieldKind.NUMBER),
        Result("titles", "Titles", FieldKind.TEXT),
    ],
)
async def complete_tasks(params: CompleteTasks, context: ActionContext) -> str:
    """Complete every open task that rules made for the item in these stages.

    Also one that requires a result. Tasks that people have made stay as they are.
    """
    tasks = await open_tasks_made_in(context.session, context.item, params.stages)
    for task in tasks:
        await set_status(context.session, task, TaskStatus.COMPLETED, context.cause)
    titles = ", ".join(f"{task.id} «{task.title}»" for task in tasks)
    context.leave(count=len(tasks), titles=titles)
    if not tasks:
        return "No task that rules made there was open."
    return f"Completed {'task' if len(tasks) == 1 else 'tasks'} {titles}."
