"""Rule runs: what became of a rule for an item, and having it run now, later, again or not."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import AliasPath, Field, field_validator

from api.dependencies import CurrentUser, ReadSession, Session
from api.schemas import Id, Moment, Read, Write
from models.rule_run import Hold, RuleRun, RunState, postpone, retry, run_now, skip
from models.stage_entry import find_run, lock_run

router = APIRouter(prefix="/runs", tags=["runs"])


class RunRead(Read):
    """One execution of one rule for one stay of an item in a stage."""

    id: int
    item_id: int
    stage_entry_id: int
    stage_id: int = Field(validation_alias=AliasPath("stage_entry", "stage_id"))
    rule_id: int
    rule_version: int = Field(validation_alias=AliasPath("version", "number"))
    title: str = Field(validation_alias=AliasPath("version", "title"))
    action: str = Field(validation_alias=AliasPath("version", "action"))
    state: RunState
    next_step: str = Field(validation_alias="next_activity")
    due_at: datetime | None
    waits_for: str | None
    held_because: Hold | None
    keep: bool = Field(description="It stays when the item leaves the stage.")
    attempts: int = Field(description="How often it met a fault and was put back.")
    fault: str | None = Field(description="The kind of the last fault; the log holds the rest.")
    outcome: str | None
    comparisons: list[Any] | None = Field(description="What its conditions compared.")
    created_at: datetime
    finished_at: datetime | None
    workflow_id: str = Field(
        validation_alias=AliasPath("stage_entry", "workflow_id"),
        description="Where to find it in Temporal.",
    )

    @field_validator("fault")
    @classmethod
    def _kind_only(cls, fault: str | None) -> str | None:
        return fault and fault.partition(":")[0]


class Postponement(Write):
    until: Moment


async def _locked(session: Session, run_id: Id) -> RuleRun:
    return await lock_run(session, run_id)


LockedRun = Annotated[RuleRun, Depends(_locked)]


@router.get("/{run_id}")
async def read_run(session: ReadSession, run_id: Id) -> RunRead:
    """Return a run: what it waits for, or what became of it and why."""
    return RunRead.model_validate(await find_run(session, run_id))


@router.post("/{run_id}/run-now")
async def run_it_now(session: Session, run: LockedRun) -> RunRead:
    """Make a waiting run due at once; its conditions still count."""
    run_now(session, run)
    return RunRead.model_validate(run)


@router.post("/{run_id}/skip")
async def skip_it(session: Session, user: CurrentUser, run: LockedRun) -> RunRead:
    """End a run without doing anything."""
    await skip(session, run, user)
    return RunRead.model_validate(run)


@router.post("/{run_id}/postpone")
async def postpone_it(session: Session, run: LockedRun, to: Postponement) -> RunRead:
    """Let a waiting run wait until a later moment."""
    postpone(session, run, to.until)
    return RunRead.model_validate(run)


@router.post("/{run_id}/retry")
async def retry_it(session: Session, run: LockedRun) -> RunRead:
    """Let a failed run try again at once."""
    retry(session, run)
    return RunRead.model_validate(run)
