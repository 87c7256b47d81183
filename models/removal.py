"""Removal: what others still use stays, and whoever asked is told who uses it."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.booking import uses_to_come
from models.client import Client, the_first, uses_of
from models.department import Department
from models.errors import Conflict
from models.item import count_standing
from models.pipeline import Pipeline, Stage
from models.recycle_bin import delete_client
from models.resource import Resource
from models.rule import Rule
from models.rule_run import count_waiting_in
from models.stage_entry import Cause
from models.trigger import Trigger
from models.user import User


async def remove_department(session: AsyncSession, department: Department) -> None:
    """Delete a locked department in which nobody is, and no other department."""
    members = await session.scalars(
        select(User.id).where(User.department_id == department.id).order_by(User.id)
    )
    below = await session.scalars(
        select(Department.id).where(Department.parent_id == department.id).order_by(Department.id)
    )
    uses = [f"user {each}" for each in members] + [f"department {each}" for each in below]
    if uses:
        raise Conflict(
            f"Department {department.id} «{department.name}» is not empty: {the_first(uses)}."
        )
    await session.delete(department)


async def remove_client(session: AsyncSession, client: Client, cause: Cause) -> None:
    """Put a locked contact or company that nothing uses into the recycle bin."""
    if uses := await uses_of(session, client):
        raise Conflict(f"{type(client).__name__} {client.id} is still used: {uses}.")
    delete_client(session, client, cause)


async def remove_resource(session: AsyncSession, resource: Resource) -> None:
    """Delete a locked resource that is not booked any more."""
    if uses := await uses_to_come(session, resource):
        raise Conflict(
            f"Resource {resource.id} «{resource.name}» is still booked: {the_first(uses)}."
        )
    resource.deleted_at = clock.now()


async def remove_stage(session: AsyncSession, stage: Stage) -> None:
    """Delete a locked stage with rules and triggers, where no item stands, no rule run waits."""
    await _must_be_idle(session, f"Stage {stage.id} «{stage.name}»", [stage.id])
    await _delete_stages(session, [stage.id])
    # What is shown of a pipeline are its stages too: its version goes up.
    await session.execute(
        update(Pipeline)
        .where(Pipeline.id == stage.pipeline_id)
        .values(version=Pipeline.version + 1)
        .execution_options(synchronize_session=False)
    )


async def remove_pipeline(session: AsyncSession, pipeline: Pipeline) -> None:
    """Delete a locked pipeline with stages, rules and triggers, if all of them are idle."""
    locked = await session.scalars(
        select(Stage.id)
        .where(Stage.pipeline_id == pipeline.id, Stage.deleted_at.is_(None))
        .order_by(Stage.id)
        .with_for_update()
    )
    stage_ids = locked.all()
    await _must_be_idle(session, f"Pipeline {pipeline.id} «{pipeline.name}»", stage_ids)
    await _delete_stages(session, stage_ids)
    pipeline.deleted_at = clock.now()


async def _must_be_idle(session: AsyncSession, what: str, stage_ids: Sequence[int]) -> None:
    counts = {
        "item": await count_standing(session, stage_ids),
        "waiting rule run": await count_waiting_in(session, stage_ids),
    }
    uses = [
        f"{count} {thing}" if count == 1 else f"{count} {thing}s"
        for thing, count in counts.items()
        if count
    ]
    if uses:
        raise Conflict(f"{what} is still used: {', '.join(uses)}.")


async def _delete_stages(session: AsyncSession, stage_ids: Sequence[int]) -> None:
    now = clock.now()
    for hanging in (Rule, Trigger):
        await session.execute(
            update(hanging)
            .where(hanging.stage_id.in_(stage_ids), hanging.deleted_at.is_(None))
            .values(deleted_at=now)
        )
    await session.execute(update(Stage).where(Stage.id.in_(stage_ids)).values(deleted_at=now))
