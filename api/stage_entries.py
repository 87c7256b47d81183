"""Stage entries: one stay of an item in a stage, why it began, and the rules it started."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import AliasPath, Field

from api.dependencies import ReadSession
from api.runs import RunRead
from api.schemas import Id, Read
from models.item_type import ItemType
from models.stage_entry import CauseKind, find_entry

router = APIRouter(prefix="/stage-entries", tags=["runs"])


class StageEntryRead(Read):
    """`root_id` is the entry that began the chain of causes leading here, `depth` links ago."""

    id: int
    item_id: int
    item_type: ItemType = Field(validation_alias=AliasPath("item", "type"))
    stage_id: int
    entered_at: datetime
    left_at: datetime | None
    cause: CauseKind
    cause_user_id: int | None
    cause_run_id: int | None
    root_id: int | None
    depth: int
    agenda_version: int = Field(description="Counts changes of what is still to happen.")
    told_version: int = Field(description="The newest version that Temporal is known to have.")
    workflow_id: str = Field(description="Where to find it in Temporal.")
    runs: list[RunRead]


@router.get("/{entry_id}")
async def read_stage_entry(session: ReadSession, entry_id: Id) -> StageEntryRead:
    """Return a stay of an item in a stage with the runs of its rules, top-down."""
    return StageEntryRead.model_validate(await find_entry(session, entry_id))
