"""Stages: the steps of a pipeline, in order."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import MANAGERS, IfMatch, ReadSession, Session
from api.paging import Paging, page_of
from api.routing import resource
from api.schemas import Filter, Id, Name, Page, Read, SearchText, Version, Whole, Write
from models.base import find
from models.pipeline import (
    IN_ORDER,
    Stage,
    StageKind,
    add_stage,
    change_stage,
    find_stage,
    lock_stage,
    stages_where,
)
from models.removal import remove_stage

router = resource("pipelines", "/stages")

HIGHEST_POSITION = 10_000


class StageRead(Read):
    id: int
    pipeline_id: int
    name: str
    kind: StageKind
    position: int
    created_at: datetime
    version: Version


class NewStage(Write):
    name: Name
    kind: StageKind = Field(default=StageKind.OPEN, description="Whether it ends well or badly.")


class StageCreate(NewStage):
    pipeline_id: Id
    position: Whole | None = Field(
        default=None, ge=0, le=HIGHEST_POSITION, description="Counted from 0; by default the last."
    )


class StageUpdate(Write):
    """What is left out stays as it is."""

    name: Name = ""
    kind: StageKind = StageKind.OPEN
    position: Whole = Field(
        default=0, ge=0, le=HIGHEST_POSITION, description="The other stages make room."
    )


class StageFilter(Filter):
    """Which stages to list."""

    pipeline_id: Id | None = None
    kind: StageKind | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the name.")


async def _present(session: Session, stage_id: Id) -> Stage:
    return await find_stage(session, stage_id)


async def _locked(session: Session, stage_id: Id, match: IfMatch) -> Stage:
    return match.of(await find(session, Stage, stage_id, lock=True))


PresentStage = Annotated[Stage, Depends(_present)]


async def _movable(session: Session, stage_id: Id, match: IfMatch) -> Stage:
    return match.of(await lock_stage(session, stage_id))


LockedStage = Annotated[Stage, Depends(_locked)]
MovableStage = Annotated[Stage, Depends(_movable)]


@router.get("")
async def list_stages(
    session: ReadSession, where: Annotated[StageFilter, Query()], paging: Paging
) -> Page[StageRead]:
    """Return stages in their order, pipeline by pipeline."""
    wanted = stages_where(**where.asked())
    return await page_of(session, wanted, paging, StageRead, order=IN_ORDER)


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[MANAGERS])
async def create_stage(session: Session, new: StageCreate) -> StageRead:
    """Create a stage; without a position it is the last of its pipeline."""
    return StageRead.model_validate(await add_stage(session, **new.changes()))


@router.get("/{stage_id}")
async def read_stage(stage: PresentStage) -> StageRead:
    """Return a stage."""
    return StageRead.model_validate(stage)


@router.patch("/{stage_id}", dependencies=[MANAGERS])
async def update_stage(session: Session, stage: MovableStage, sent: StageUpdate) -> StageRead:
    """Change a stage, or its place among the stages of its pipeline.

    A trigger on what becomes the first stage moves nothing any more, unless it may move items back;
    the trigger log says so.
    """
    return StageRead.model_validate(await change_stage(session, stage, **sent.changes()))


@router.delete("/{stage_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS])
async def delete_stage(session: Session, stage: LockedStage) -> None:
    """Delete a stage with its rules and triggers.

    409 while items stand there or rules have waiting runs.
    """
    await remove_stage(session, stage)
