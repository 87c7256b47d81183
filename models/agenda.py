"""What is still to happen in a stage entry: all that Temporal ever learns of it.

Ids, times, action codes and rule titles only: no personal data enters a workflow's history.
"""

from typing import NamedTuple, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from models.item_type import ItemType

NAMELESS = ConfigDict(frozen=True, extra="ignore")


class StepKey(NamedTuple):
    """Tells one offer of a step from another: a step whose time moved is a new one."""

    run_id: int
    activity: str
    due_at: AwareDatetime


class AgendaItem(BaseModel):
    """The next step of one rule run: which activity, when, and where among those due together.

    A step `beside` the loop (a delivery) holds up nothing else.
    """

    model_config = NAMELESS

    run_id: int
    activity: str
    title: str
    due_at: AwareDatetime
    position: int
    beside: bool = False

    @property
    def key(self) -> StepKey:
        return StepKey(self.run_id, self.activity, self.due_at)


class Agenda(BaseModel):
    """The open steps of one stage entry at one version, and how many runs ended in which way.

    Versions count up within one database; `database_id` changes when a database is replaced.
    """

    model_config = NAMELESS

    database_id: UUID
    entry_id: int
    version: int
    items: tuple[AgendaItem, ...] = ()
    totals: dict[str, int] = {}

    def or_newer(self, other: Self) -> Self:
        """Return the other if it knows better: another database always does."""
        if other.database_id != self.database_id or other.version > self.version:
            return other
        return self


class Step(BaseModel):
    """One agenda item as the workflow saw it, offered to the activity of that name."""

    model_config = NAMELESS

    database_id: UUID
    entry_id: int
    item: AgendaItem


class Fault(BaseModel):
    """A step that failed for reasons of ours, three times: only the kind of the error is told."""

    model_config = NAMELESS

    step: Step
    error_type: str


class Stop(BaseModel):
    """Somebody cancelled the workflow: every open run of the entry is to be dropped."""

    model_config = NAMELESS

    database_id: UUID
    entry_id: int


def workflow_id(item_type: ItemType, item_id: int, entry_id: int) -> str:
    """Return the id under which ops find a stage entry, such as `deal-42-entry-1057`."""
    return f"{item_type}-{item_id}-entry-{entry_id}"
