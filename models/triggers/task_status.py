"""Watch task status: a task tied to the item gets somewhere."""

from collections.abc import Sequence

from pydantic import Field

from models import clock
from models.conditions import Circumstances, Conditions, Outcome, check, evaluate
from models.errors import Problem
from models.occasion import TaskOccasion
from models.task_fields import TaskCatalogue, TaskStatus
from models.trigger_type import TriggerPlace, TriggerSettings, trigger_type

TASKS = TaskCatalogue()


class WatchedTask(TriggerSettings):
    """Which status of which tasks counts."""

    status: TaskStatus | None = Field(
        default=None, title="Status", description="That the task gets; any, if empty."
    )
    filter: Conditions | None = Field(
        default=None,
        title="Filter",
        description="Conditions on the task, such as `task.title` contains «invoice»; every task "
        "of the item counts, if empty.",
    )

    async def problems(self, place: TriggerPlace) -> Sequence[Problem]:  # noqa: ARG002
        wrong = [] if self.filter is None else check(self.filter, TASKS)
        return [Problem(f"/filter{each.field}", each.reason) for each in wrong]

    def in_words(self) -> str | None:
        return self.status


@trigger_type(title="Watch task status")
def task_status(settings: WatchedTask, occasion: TaskOccasion) -> str | None:
    """Move the item when a task that it is tied to gets a status, whoever gives it.

    A task can be tied to several items: each is moved by the triggers of its own pipeline.

    A new task that is simply pending moves nothing.
    """
    if settings.status not in {None, occasion.status}:
        return f"The task is {occasion.status}, not {settings.status}."
    if settings.filter is None:
        return None
    here = Circumstances(clock.now(), occasion.zone)
    verdict = evaluate(settings.filter, occasion.task, TASKS, here)
    return None if verdict.outcome is Outcome.MET else f"{verdict.in_words()}."
