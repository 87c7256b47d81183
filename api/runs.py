"""Rule runs: what became of a rule for an item, and having it run now, later, again or not."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AliasPath, ConfigDict, Field, field_validator

from api.dependencies import CurrentUser, ReadSession, Session, only
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Filter, Id, Moment, Page, Read, Write
from models.access import MANAGING, reached
from models.rule_run import Hold, RuleRun, RunState, postpone, retry, run_now, skip
from models.stage_entry import find_run, lock_run, runs_for

router = resource("runs", "/runs")


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
    began_at: datetime | None = Field(
        description="Since when it is in progress: its action is done and waits for something."
    )
    waits_for: str | None = Field(
        description="Its time, the end of another run, a date to be filled in, somebody, or what "
        "its action waits for.",
        examples=["its time", "close_date to be filled in"],
    )
    held_because: Hold | None
    keep: bool = Field(description="It stays when the item leaves the stage.")
    attempts: int = Field(description="How often it met a fault and was put back.")
    fault: str | None = Field(description="The kind of the last fault; the log holds the rest.")
    outcome: str | None
    comparisons: list[Any] | None = Field(description="What its conditions compared.")
    result: dict[str, Any] | None = Field(description="What it left for the rules below it.")
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


async def _present(session: Session, user: CurrentUser, run_id: Id) -> RuleRun:
    run = await find_run(session, run_id)
    await reached(session, user, run.item)
    return run


async def _locked(session: Session, run_id: Id) -> RuleRun:
    return await lock_run(session, run_id)


PresentRun = Annotated[RuleRun, Depends(_present)]
LockedRun = Annotated[RuleRun, Depends(_locked)]

MANAGERS = only(*MANAGING, to="decide over what rules have still to do")
"""Nobody switches off the rules that watch over themselves."""


class RunFilter(Filter):
    """Which runs to list: with `open`, what is still to happen."""

    model_config = ConfigDict(populate_by_name=True)

    rule_id: Id | None = None
    item_id: Id | None = None
    stage_entry_id: Id | None = None
    state: RunState | None = None
    is_open: bool | None = Field(
        default=None, alias="open", description="Whether it has still to come to an end."
    )
    stage_id: Id | None = Field(default=None, description="Whose rule it is.")
    pipeline_id: Id | None = None
    responsible_id: Id | None = Field(default=None, description="Of the item, now.")
    due_from: Moment | None = None
    due_to: Moment | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None


SortedRuns = Annotated[PageQuery, sorted_by("id", "due_at", usually="-id")]


@router.get("", name="list_all_runs")
async def list_runs(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[RunFilter, Query()],
    paging: SortedRuns,
) -> Page[RunRead]:
    """Return the runs for all items within your reach, newest first: the agenda of everything.

    `open=true&sort=due_at` is what will happen, the next first; `state=failed` what somebody has
    to look at.
    """
    return await page_of(session, runs_for(user, **where.asked()), paging, RunRead)


@router.get("/{run_id}")
async def read_run(run: PresentRun) -> RunRead:
    """Return a run: what it waits for, or what became of it and why."""
    return RunRead.model_validate(run)


@router.post("/{run_id}/run-now", name="run_now", dependencies=[MANAGERS])
async def run_it_now(session: Session, run: LockedRun) -> RunRead:
    """Make a waiting run due at once; its conditions still count.

    A worker takes it up within moments: read the run again to see what came of it.
    """
    run_now(session, run)
    return RunRead.model_validate(run)


@router.post("/{run_id}/skip", name="skip_run", dependencies=[MANAGERS])
async def skip_it(session: Session, user: CurrentUser, run: LockedRun) -> RunRead:
    """End a run without doing anything.

    Its outcome says who decided so. The other runs of the stage entry go on.
    """
    await skip(session, run, user)
    return RunRead.model_validate(run)


@router.post("/{run_id}/postpone", name="postpone_run", dependencies=[MANAGERS])
async def postpone_it(session: Session, run: LockedRun, to: Postponement) -> RunRead:
    """Let a waiting run wait until a later moment, or until the date changes that it follows."""
    postpone(session, run, to.until)
    return RunRead.model_validate(run)


@router.post("/{run_id}/retry", name="retry_run", dependencies=[MANAGERS])
async def retry_it(session: Session, run: LockedRun) -> RunRead:
    """Let a failed run try again at once.

    Mend what its `outcome` complains of first.
    """
    retry(session, run)
    return RunRead.model_validate(run)
