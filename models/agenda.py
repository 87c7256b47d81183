"""What is still to happen: all that Temporal ever learns of a stage entry or a CRM activity.

Ids, times, action codes and rule titles only: no personal data enters a workflow's history.
"""

from typing import ClassVar, Generic, NamedTuple, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from models.item_type import ItemType

NAMELESS = ConfigDict(frozen=True, extra="ignore")


class StepKey(NamedTuple):
    """Tells one offer of a step from another: a step whose time moved is a new one."""

    step_id: int
    activity: str
    due_at: AwareDatetime


class AnyItem(BaseModel):
    """One step: which activity, when, and where among those due together.

    A step `beside` the loop (a delivery) holds up nothing else.
    """

    model_config = NAMELESS

    activity: str
    title: str
    due_at: AwareDatetime
    position: int = 0
    beside: bool = False

    @property
    def step_id(self) -> int:
        """What it is a step of; no agenda has two items with the same."""
        raise NotImplementedError

    @property
    def key(self) -> StepKey:
        return StepKey(self.step_id, self.activity, self.due_at)


SomeItem = TypeVar("SomeItem", bound=AnyItem)


class AnyAgenda(BaseModel, Generic[SomeItem]):
    """The open steps at one version, and how many have ended in which way.

    Versions count up within one database; `database_id` changes when a database is replaced.
    `FAULT` and `STOP` are the activities that take a fault, and the end of everything by hand.
    """

    model_config = NAMELESS

    FAULT: ClassVar[str]
    STOP: ClassVar[str]

    database_id: UUID
    version: int
    items: tuple[SomeItem, ...] = ()
    totals: dict[str, int] = {}

    @property
    def row_id(self) -> int:
        """The id of the row whose agenda it is."""
        raise NotImplementedError

    @property
    def heading(self) -> str:
        """What ops read above it."""
        raise NotImplementedError

    def offer(self, item: SomeItem) -> BaseModel:
        """Return what the item's activity is given."""
        raise NotImplementedError

    def fault(self, item: SomeItem, error_type: str) -> BaseModel:
        """Return what is told of an item whose activity failed for reasons of ours."""
        raise NotImplementedError

    def stop(self) -> BaseModel:
        """Return what is told when somebody has cancelled the workflow."""
        raise NotImplementedError

    def or_newer(self, other: Self) -> Self:
        """Return the other if it knows better: another database always does."""
        if other.database_id != self.database_id or other.version > self.version:
            return other
        return self


# Of a stage entry: the next steps of its rule runs.


class AgendaItem(AnyItem):
    """The next step of one rule run."""

    run_id: int

    @property
    def step_id(self) -> int:
        return self.run_id


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


class Agenda(AnyAgenda[AgendaItem]):
    """What is still to happen in a stage entry."""

    FAULT = "record_fault"
    STOP = "stop_entry"

    entry_id: int

    @property
    def row_id(self) -> int:
        return self.entry_id

    @property
    def heading(self) -> str:
        return f"Stage entry {self.entry_id}"

    def offer(self, item: AgendaItem) -> Step:
        return Step(database_id=self.database_id, entry_id=self.entry_id, item=item)

    def fault(self, item: AgendaItem, error_type: str) -> Fault:
        return Fault(step=self.offer(item), error_type=error_type)

    def stop(self) -> Stop:
        return Stop(database_id=self.database_id, entry_id=self.entry_id)


def workflow_id(item_type: ItemType, item_id: int, entry_id: int) -> str:
    """Return the id under which ops find a stage entry, such as `deal-42-entry-1057`."""
    return f"{item_type}-{item_id}-entry-{entry_id}"


# Of a CRM activity: its reminders.


class ReminderItem(AnyItem):
    """One reminder, at its time."""

    reminder_id: int
    activity: str = "remind"

    @property
    def step_id(self) -> int:
        return self.reminder_id


class ReminderStep(BaseModel):
    """One reminder as the workflow saw it, offered to be given now."""

    model_config = NAMELESS

    database_id: UUID
    crm_activity_id: int
    item: ReminderItem


class ReminderFault(BaseModel):
    """A reminder that could not be given for reasons of ours, three times."""

    model_config = NAMELESS

    step: ReminderStep
    error_type: str


class StopReminders(BaseModel):
    """Somebody cancelled the workflow: nobody is to be reminded of the CRM activity any more."""

    model_config = NAMELESS

    database_id: UUID
    crm_activity_id: int


class CrmActivityAgenda(AnyAgenda[ReminderItem]):
    """The reminders of a CRM activity that have still to be given."""

    FAULT = "record_reminder_fault"
    STOP = "stop_reminders"

    crm_activity_id: int

    @property
    def row_id(self) -> int:
        return self.crm_activity_id

    @property
    def heading(self) -> str:
        return f"CRM activity {self.crm_activity_id}"

    def offer(self, item: ReminderItem) -> ReminderStep:
        return ReminderStep(
            database_id=self.database_id, crm_activity_id=self.crm_activity_id, item=item
        )

    def fault(self, item: ReminderItem, error_type: str) -> ReminderFault:
        return ReminderFault(step=self.offer(item), error_type=error_type)

    def stop(self) -> StopReminders:
        return StopReminders(database_id=self.database_id, crm_activity_id=self.crm_activity_id)


def crm_activity_workflow_id(crm_activity_id: int) -> str:
    """Return the id under which ops find a CRM activity with reminders: `crm-activity-17`."""
    return f"crm-activity-{crm_activity_id}"
