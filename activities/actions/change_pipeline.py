"""Change pipeline: the deal goes on in another one."""

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from activities.moving import Moving
from activities.registry import ActionContext, ActionGroup, rule_action
from models.base import find_named
from models.entering import enter_stage
from models.errors import ActionFailed, Invalid, Problem
from models.inputs import RowId
from models.item_type import ItemType
from models.pipeline import (
    Pipeline,
    Stage,
    StageKind,
    find_stage,
    find_stage_sent,
    first_stage,
)
from models.user_choice import UserChoice


class ChangePipeline(Moving):
    pipeline: RowId = Field(title="Pipeline", description="Another one for deals.")
    stage: RowId | None = Field(
        default=None, title="Stage", description="The pipeline's first open one, if not chosen."
    )
    changed_by: UserChoice | None = Field(
        default=None, title="Changed by", description="Automation, if not chosen."
    )

    async def target(self, session: AsyncSession, own: Stage) -> Stage:
        if self.pipeline == own.pipeline_id:
            reason = f"The rule stands in «{own.pipeline.name}» itself; choose another pipeline."
            raise Invalid(Problem("/pipeline", reason))
        pipeline = await find_named(session, Pipeline, self.pipeline, "/pipeline", lock=False)
        if pipeline.item_type is not ItemType.DEAL:
            raise Invalid(Problem("/pipeline", f"«{pipeline.name}» is not for deals."))
        if self.stage is not None:
            stage = await find_stage_sent(session, self.stage, "/stage")
            if stage.pipeline_id != pipeline.id:
                reason = f"«{stage.name}» is not a stage of «{pipeline.name}»."
                raise Invalid(Problem("/stage", reason))
        return await self.chosen(session)

    async def chosen(self, session: AsyncSession) -> Stage:
        """Return the stage that deals enter, or raise `NotFound` or `Conflict`."""
        if self.stage is not None:
            return await find_stage(session, self.stage)
        return await first_stage(session, ItemType.DEAL, self.pipeline, StageKind.OPEN)


@rule_action(title="Change pipeline", group=ActionGroup.MANAGE_ITEMS, items=[ItemType.DEAL])
async def change_pipeline(params: ChangePipeline, context: ActionContext) -> str:
    """Move the deal into another pipeline, whose rules start; those of this stage end."""
    stage = await params.chosen(context.session)
    item, pipeline = context.item, stage.pipeline
    if item.pipeline_id == pipeline.id:
        raise ActionFailed(f"{item.called.capitalize()} is in «{pipeline.name}» already.")
    cause = await context.cause_as(params.changed_by)
    await enter_stage(context.session, item, stage, cause, new_pipeline=True)
    return f"Moved to «{pipeline.name} › {stage.name}»."
