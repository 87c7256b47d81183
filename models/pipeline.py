"""Pipelines and their stages: the ways that items go."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload

from models.base import (
    AGAINST_DELETION,
    Base,
    EnumText,
    Record,
    Versioned,
    assign,
    containing,
    count_change,
    find,
    find_named,
    having,
)
from models.errors import Conflict, Invalid, NotFound, Problem
from models.item_type import ItemType
from models.keyset import Order


class StageKind(StrEnum):
    """What standing there means: still under way, or ended well or badly."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Pipeline(Record, Versioned, Base, kw_only=True):
    """The first pipeline of an item type (by id) is the one that new items enter by default."""

    __tablename__ = "pipelines"

    name: Mapped[str]
    item_type: Mapped[ItemType] = mapped_column(EnumText(ItemType))
    stages: Mapped[list["Stage"]] = relationship(
        init=False,
        lazy="raise",
        viewonly=True,
        primaryjoin="and_(Stage.pipeline_id == Pipeline.id, Stage.deleted_at.is_(None))",
        order_by="(Stage.position, Stage.id)",
    )
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)


class Stage(Record, Versioned, Base, kw_only=True):
    """Stages stand in order of position, then id. Only `add_stage` and `change_stage` place one."""

    __tablename__ = "stages"
    __table_args__ = (Index(None, "pipeline_id", "position"), Record.options)

    name: Mapped[str]
    position: Mapped[int] = mapped_column(default=0)
    kind: Mapped[StageKind] = mapped_column(EnumText(StageKind), default=StageKind.OPEN)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey(Pipeline.id), init=False)
    pipeline: Mapped[Pipeline] = relationship(lazy="raise")
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)


def pipelines_where(*, q: str | None = None, **values: object) -> Select[Pipeline]:
    """Return the pipelines that have these values, None meaning any, with their stages.

    `q` is looked for in their names.
    """
    there = select(Pipeline).where(Pipeline.deleted_at.is_(None), *containing(Pipeline.name, q))
    return having(there.options(selectinload(Pipeline.stages)), **values)


async def find_pipeline(session: AsyncSession, pipeline_id: int, *, lock: bool = False) -> Pipeline:
    """Return a pipeline with its stages, or raise `NotFound`; a lock is for their order too."""
    stages = selectinload(Pipeline.stages)
    return await find(session, Pipeline, pipeline_id, lock=lock, options=[stages])


async def add_pipeline(
    session: AsyncSession,
    *,
    name: str,
    item_type: ItemType,
    stages: Sequence[Mapping[str, Any]] = (),
) -> Pipeline:
    """Store a new pipeline; each of its stages is told by name and kind."""
    pipeline = Pipeline(name=name, item_type=item_type)
    session.add(pipeline)
    session.add_all(
        Stage(pipeline=pipeline, position=place, **each) for place, each in enumerate(stages)
    )
    await session.flush()
    await session.refresh(pipeline, ["stages"])
    return pipeline


IN_ORDER = Order((Stage.pipeline_id, Stage.position, Stage.id))
"""Pipeline by pipeline."""


def stages_where(*, q: str | None = None, **values: object) -> Select[Stage]:
    """Return the stages that have these values, None meaning any, and `q` in their names."""
    there = select(Stage).where(Stage.deleted_at.is_(None), *containing(Stage.name, q))
    return having(there, **values)


async def add_stage(
    session: AsyncSession, *, pipeline_id: int, position: int | None = None, **fields: Any
) -> Stage:
    """Store a new stage at this place of its pipeline, counted from 0, or as the last."""
    stages = selectinload(Pipeline.stages)
    pipeline = await find_named(
        session, Pipeline, pipeline_id, "/pipeline_id", lock=True, options=[stages]
    )
    stage = Stage(pipeline=pipeline, **fields)
    session.add(stage)
    _place(stage, pipeline, len(pipeline.stages) if position is None else position)
    count_change(pipeline, "name")
    await session.flush()
    return stage


async def lock_stage(session: AsyncSession, stage_id: int) -> Stage:
    """Return a stage as it is now, or raise `NotFound`; its pipeline is locked, so nobody moves it.

    Whoever changes a stage holds this lock.
    """
    stage = await find_stage(session, stage_id)
    await find_pipeline(session, stage.pipeline_id, lock=True)
    return stage


async def change_stage(
    session: AsyncSession, stage: Stage, *, position: int | None = None, **changes: Any
) -> Stage:
    """Change a locked stage or its place in the pipeline, counted from 0."""
    pipeline = await find_pipeline(session, stage.pipeline_id)
    assign(stage, changes)
    if position is not None:
        _place(stage, pipeline, position)
    if any(session.is_modified(each) for each in pipeline.stages):
        count_change(pipeline, "name")
    await session.flush()
    return stage


def _place(stage: Stage, pipeline: Pipeline, position: int) -> None:
    """Let a stage stand there among those of its locked pipeline, at most as the last."""
    stages = [each for each in pipeline.stages if each is not stage]
    stages.insert(position, stage)
    for number, each in enumerate(stages):
        each.position = number


async def find_stage(session: AsyncSession, stage_id: int) -> Stage:
    """Return a stage with its pipeline, or raise `NotFound`. Nobody deletes it meanwhile."""
    stage = await session.scalar(
        select(Stage)
        .where(Stage.id == stage_id, Stage.deleted_at.is_(None))
        .options(joinedload(Stage.pipeline, innerjoin=True))
        .with_for_update(**AGAINST_DELETION, of=Stage)
    )
    if stage is None:
        raise NotFound(f"There is no stage {stage_id}.")
    return stage


async def find_stage_sent(session: AsyncSession, stage_id: int, field: str = "/stage_id") -> Stage:
    """Return the stage that was sent in a field, or raise `Invalid`."""
    try:
        return await find_stage(session, stage_id)
    except NotFound as missing:
        raise Invalid(Problem(field, missing.message)) from missing


async def chosen_stage(
    session: AsyncSession,
    item_type: ItemType,
    pipeline_id: int | None = None,
    stage_id: int | None = None,
) -> Stage:
    """Return where new items of this type are to begin: a stage, or the first of a pipeline.

    Without either it is the first of the oldest pipeline. Raises `Invalid` with the pointers
    `/pipeline` and `/stage`, or `Conflict` where there is no stage at all.
    """
    if stage_id is None and pipeline_id is None:
        return await first_stage(session, item_type)
    try:
        if stage_id is None:
            return await first_stage(session, item_type, pipeline_id)
        stage = await find_stage(session, stage_id)
    except Conflict as error:
        raise Invalid(Problem("/pipeline", error.message)) from error
    except NotFound as error:
        raise Invalid(Problem("/stage", error.message)) from error
    pipeline = stage.pipeline
    if pipeline_id not in {None, pipeline.id}:
        reason = f"Stage {stage.id} «{stage.name}» is not of pipeline {pipeline_id}."
        raise Invalid(Problem("/stage", reason))
    if pipeline.item_type is not item_type:
        field = "/stage" if pipeline_id is None else "/pipeline"
        reason = f"Stage {stage.id} «{stage.name}» is for {pipeline.item_type}s."
        raise Invalid(Problem(field, reason))
    return stage


async def first_won_stage(session: AsyncSession, pipeline_id: int) -> Stage | None:
    """Return where items of a pipeline end well, with the pipeline. Nobody deletes it meanwhile."""
    return await _first(session, Stage.pipeline_id == pipeline_id, Stage.kind == StageKind.WON)


async def first_stage(
    session: AsyncSession,
    item_type: ItemType,
    pipeline_id: int | None = None,
    kind: StageKind | None = None,
) -> Stage:
    """Return where new items of this type begin, with its pipeline.

    Without a pipeline the oldest of the type counts, without a kind any stage. Raises `Conflict`
    where there is none.
    """
    wanted = [Pipeline.item_type == item_type]
    wanted += [] if pipeline_id is None else [Pipeline.id == pipeline_id]
    wanted += [] if kind is None else [Stage.kind == kind]
    stage = await _first(session, *wanted)
    if stage is None:
        where = "" if pipeline_id is None else f" in pipeline {pipeline_id}"
        which = "stage" if kind is None else f"{kind} stage"
        raise Conflict(f"There is no {which} for {item_type}s{where}.", field="/stage_id")
    return stage


async def _first(session: AsyncSession, *conditions: ColumnElement[bool]) -> Stage | None:
    """Return the first such stage of the oldest pipeline. Nobody deletes it meanwhile."""
    stage: Stage | None = await session.scalar(
        select(Stage)
        .join(Stage.pipeline)
        .where(Pipeline.deleted_at.is_(None), Stage.deleted_at.is_(None), *conditions)
        .order_by(Pipeline.id, Stage.position, Stage.id)
        .limit(1)
        .options(joinedload(Stage.pipeline, innerjoin=True))
        .with_for_update(**AGAINST_DELETION, of=Stage)
    )
    return stage
