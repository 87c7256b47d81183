"""What a task says of itself: how far it is, how urgent, and what a trigger may ask of it."""

from collections.abc import Mapping
from enum import StrEnum

from models.fields import Field, FieldKind
from models.near_misses import did_you_mean


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


TASK_FIELDS = (
    Field("task.id", "ID", FieldKind.NUMBER),
    Field("task.title", "Title", FieldKind.TEXT),
    Field("task.description", "Description", FieldKind.TEXT),
    Field("task.status", "Status", FieldKind.LIST, choices=tuple(TaskStatus)),
    Field("task.priority", "Priority", FieldKind.LIST, choices=tuple(TaskPriority)),
    Field("task.tags", "Tags", FieldKind.MULTI),
    Field("task.responsible", "Responsible person", FieldKind.USER),
    Field("task.creator", "Creator", FieldKind.USER),
    Field("task.starts_at", "Start", FieldKind.DATETIME),
    Field("task.ends_at", "End", FieldKind.DATETIME),
    Field("task.deadline_at", "Deadline", FieldKind.DATETIME),
    Field("task.created_at", "Created at", FieldKind.DATETIME),
    Field("task.completed_at", "Completed at", FieldKind.DATETIME),
    Field("task.result", "Result", FieldKind.TEXT),
    Field("task.result_required", "A result is required", FieldKind.BOOLEAN),
    Field("task.time_tracking", "Time tracking", FieldKind.BOOLEAN),
    Field("task.estimated_minutes", "Estimated minutes", FieldKind.NUMBER),
    Field("task.spent_minutes", "Spent minutes", FieldKind.NUMBER),
    Field("task.made_by_rule", "Made by a rule", FieldKind.BOOLEAN),
)
"""What a filter on tasks compares: `task.title` contains «invoice»."""


class TaskCatalogue:
    """The fields of a task as conditions ask for them."""

    item_type = None

    def find(self, path: str) -> Field | None:
        """Return the field of that full path, or None if tasks have none such."""
        return BY_PATH.get(path)

    def unknown(self, path: str) -> str:
        """Say that there is no such field, and which was perhaps meant."""
        return f"unknown field {path}{did_you_mean(path, BY_PATH)}"


BY_PATH: Mapping[str, Field] = {field.path: field for field in TASK_FIELDS}
