"""Pipelines: the ways that items go."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import MANAGERS, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import MOST_IN_A_LIST, Filter, Id, Name, Page, Read, SearchText, Version, Write
from api.stages import NewStage, StageRead
from models.base import assign
from models.item_type import ItemType
from models.pipeline import Pipeline, add_pipeline, find_pipeline, pipelines_where
from models.removal import remove_pipeline

router = resource("pipelines", "/pipelines")


class PipelineRead(Read):
    """With its stages, in order."""

    id: int
    name: str
    item_type: ItemType
    stages: list[StageRead]
    created_at: datetime
    version: Version


class PipelineCreate(Write):
    name: Name
    item_type: ItemType
    stages: Annotated[list[NewStage], Field(max_length=MOST_IN_A_LIST)] = []


class PipelineUpdate(Write):
    """What is left out stays as it is; a pipeline is for one type of item for ever."""

    name: Name = ""


class PipelineFilter(Filter):
    """Which pipelines to list."""

    item_type: ItemType | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the name.")


Sorted = Annotated[PageQuery, sorted_by("id", "name")]


async def _present(session: Session, pipeline_id: Id) -> Pipeline:
    return await find_pipeline(session, pipeline_id)


async def _locked(session: Session, pipeline_id: Id, match: IfMatch) -> Pipeline:
    return match.of(await find_pipeline(session, pipeline_id, lock=True))


PresentPipeline = Annotated[Pipeline, Depends(_present)]
LockedPipeline = Annotated[Pipeline, Depends(_locked)]


@router.get("")
async def list_pipelines(
    session: ReadSession, where: Annotated[PipelineFilter, Query()], paging: Sorted
) -> Page[PipelineRead]:
    """Return pipelines, oldest first: the first of a type is where new items go by default."""
    return await page_of(session, pipelines_where(**where.asked()), paging, PipelineRead)


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[MANAGERS])
async def create_pipeline(session: Session, new: PipelineCreate) -> PipelineRead:
    """Create a pipeline, with the stages sent in their order."""
    return PipelineRead.model_validate(await add_pipeline(session, **new.changes()))


@router.get("/{pipeline_id}")
async def read_pipeline(pipeline: PresentPipeline) -> PipelineRead:
    """Return a pipeline."""
    return PipelineRead.model_validate(pipeline)


@router.patch("/{pipeline_id}", dependencies=[MANAGERS])
async def update_pipeline(
    session: Session, pipeline: LockedPipeline, sent: PipelineUpdate
) -> PipelineRead:
    """Give a pipeline another name."""
    assign(pipeline, sent.changes())
    await session.flush()
    return PipelineRead.model_validate(pipeline)


@router.delete("/{pipeline_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS])
async def delete_pipeline(session: Session, pipeline: LockedPipeline) -> None:
    """Delete a pipeline with its stages, rules and triggers.

    409 while items stand there or rules have waiting runs.
    """
    await remove_pipeline(session, pipeline)
