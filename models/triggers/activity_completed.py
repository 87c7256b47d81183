"""Activity completed: what was planned for the item is done."""

from typing import Literal

from pydantic import Field

from models.crm_activity import CrmActivityKind
from models.occasion import CrmActivityOccasion
from models.trigger_type import TriggerSettings, trigger_type


class ActivityCompleted(TriggerSettings):
    """What kind of activity counts."""

    kind: Literal[CrmActivityKind.TO_DO, CrmActivityKind.CALL, CrmActivityKind.MEETING] | None = (
        Field(default=None, title="Kind", description="Any, if empty.")
    )

    def in_words(self) -> str | None:
        return self.kind


@trigger_type(title="Activity completed")
def activity_completed(settings: ActivityCompleted, occasion: CrmActivityOccasion) -> str | None:
    """Move the item when a to-do, call or meeting of it is completed, or noted as having been.

    It does not matter who completes it: people, rules, or the item itself as it leaves a stage.
    Calls that the telephone system tells of are not meant: they have triggers of their own.
    """
    if settings.kind in {None, occasion.kind}:
        return None
    return f"It was a {occasion.kind}, not a {settings.kind}."
