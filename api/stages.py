"""Stages: the steps of a pipeline, in order."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from pydantic import BaseModel, Field, TypeAdapter

from api.dependencies import Paging, ReadSession, Session, cut, read_cursor
from api.schemas import Id, Name, Page, Read, Write
from models.base import LARGEST_ID, find
from models.pipeline import (
    Stage,
    StageKey,
    StageKind,
    add_stage,
    change_stage,
    find_stage,
    stage_key,
    stages_where,
)
from models.removal import remove_stage

router = APIRouter(prefix="/stages", tags=["pipelines"])

HIGHEST_POSITION = 10_000
KEY: TypeAdapter[StageKey] = TypeAdapter(tuple[Id, Annotated[int, Field(ge=0, le=LARGEST_ID)], Id])


class StageRead(Read):
    id: int
    pipeline_id: int
    name: str
    kind: StageKind
    position: int
    created_at: datetime


class NewStage(Write):
    name: Name
    kind: StageKind = Field(default=StageKind.OPEN, description="Whether it ends well or badly.")


class StageCreate(NewStage):
    pipeline_id: Id
    position: int | None = Field(
        default=None, ge=0, le=HIGHEST_POSITION, description="Counted from 0; by default the last."
    )


class StageUpdate(Write):
    """What is left out stays as it is."""

    name: Name = ""
    kind: StageKind = StageKind.OPEN
    position: int = Field(
        default=0, ge=0, le=HIGHEST_POSITION, description="The other stages make room."
    )


class StageFilter(BaseModel):
    """Which stages to list; nothing means all."""

    pipeline_id: Id | None = None


async def _present(session: Session, stage_id: Id) -> Stage:
    return await find_stage(session, stage_id)


async def _locked(session: Session, stage_id: Id) -> Stage:
    return await find(session, Stage, stage_id, lock=True)


PresentStage = Annotated[Stage, Depends(_present)]
LockedStage = Annotated[Stage, Depends(_locked)]


@router.get("")
async def list_stages(
    session: ReadSession, where: Annotated[StageFilter, Query()], paging: Paging
) -> Page[StageRead]:
    """Return stages in their order, pipeline by pipeline."""
    wanted = stages_where(**where.model_dump(), after=read_cursor(paging, KEY))
    rows = (await session.scalars(wanted.limit(paging.limit + 1))).all()
    return cut(rows, paging, StageRead, [stage_key(stage) for stage in rows])


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_stage(session: Session, new: StageCreate) -> StageRead:
    """Create a stage; without a position it is the last of its pipeline."""
    return StageRead.model_validate(await add_stage(session, **new.changes()))


@router.get("/{stage_id}")
async def read_stage(stage: PresentStage) -> StageRead:
    """Return a stage."""
    return StageRead.model_validate(stage)


@router.patch("/{stage_id}")
async def update_stage(session: Session, stage_id: Id, sent: StageUpdate) -> StageRead:
    """Change a stage, or its place among the stages of its pipeline."""
    return StageRead.model_validate(await change_stage(session, stage_id, **sent.changes()))


@router.delete("/{stage_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_stage(session: Session, stage: LockedStage) -> None:
    """Delete a stage with its rules; 409 while items stand there or rules have waiting runs."""
    await remove_stage(session, stage)
