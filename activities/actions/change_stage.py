"""Change stage: move the item on, or back, in its pipeline."""

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from activities.moving import Moving
from activities.registry import ActionContext, ActionGroup, rule_action
from models.entering import enter_stage
from models.errors import ActionFailed, Invalid, Problem
from models.inputs import RowId
from models.item_type import ItemType
from models.pipeline import Stage, find_stage, find_stage_sent
from models.user_choice import UserChoice


class ChangeStage(Moving):
    stage: RowId = Field(title="Stage", description="Another one of the same pipeline.")
    changed_by: UserChoice | None = Field(
        default=None, title="Changed by", description="Automation, if not chosen."
    )

    async def target(self, session: AsyncSession, own: Stage) -> Stage:
        stage = await find_stage_sent(session, self.stage, "/stage")
        if stage.id == own.id:
            reason = f"The rule stands on «{own.name}» itself; choose another stage."
            raise Invalid(Problem("/stage", reason))
        if stage.pipeline_id != own.pipeline_id:
            reason = f"«{stage.name}» is a stage of «{stage.pipeline.name}», another pipeline."
            raise Invalid(Problem("/stage", reason))
        return stage


@rule_action(title="Change stage", group=ActionGroup.MANAGE_ITEMS, items=ItemType)
async def change_stage(params: ChangeStage, context: ActionContext) -> str:
    """Move the item to a stage of its pipeline: rules of that stage start, those of this end."""
    stage = await find_stage(context.session, params.stage)
    item = context.item
    if stage.pipeline_id != item.pipeline_id:
        raise ActionFailed(
            f"«{stage.name}» is a stage of «{stage.pipeline.name}»; {item.called} is in "
            f"«{item.pipeline.name}» now."
        )
    cause = await context.cause_as(params.changed_by)
    if await enter_stage(context.session, item, stage, cause) is None:
        return f"{item.called.capitalize()} stands in «{stage.name}» already."
    return f"Moved to «{stage.name}»."
