"""Copy deal: what was sold goes on in another pipeline, while the deal itself stays."""

from collections.abc import Sequence

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    RulePlace,
    as_title,
    rule_action,
)
from models.booking_edit import rebook
from models.errors import Invalid, Problem
from models.field_definition import booking_fields_of
from models.fields import FieldKind
from models.inputs import RowId
from models.item import Deal, Item
from models.item_type import ItemType
from models.languages import translated
from models.pipeline import Stage, chosen_stage
from models.templates import Template
from models.timeline import TimelineComment, copy_timeline
from models.user_choice import UserChoice


class CopyDeal(ActionParams):
    name: Template | None = Field(
        default=None, title="Name", description="The deal's with the word Copy, if empty."
    )
    pipeline: RowId | None = Field(
        default=None, title="Pipeline", description="The deal's own, if not chosen."
    )
    stage: RowId | None = Field(
        default=None, title="Initial stage", description="The pipeline's first, if not chosen."
    )
    responsible: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Responsible person",
        description="The deal's, if not chosen.",
    )
    copy_timeline: bool = Field(
        default=False,
        title="Copy the timeline",
        description="Comments and completed CRM activities; what is planned stays with the deal.",
    )

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        try:
            target = await self.target(place.session, place.stage.pipeline_id)
        except Invalid as error:
            return error.problems
        if target.id == place.stage.id and place.unhindered:
            reason = "The copy would enter the rule's own stage and be copied at once, for ever."
            return [Problem("/stage", reason)]
        return []

    async def target(self, session: AsyncSession, own_pipeline_id: int) -> Stage:
        """Return the stage that the copy enters; raises `Invalid` where there is none."""
        pipeline_id = self.pipeline or own_pipeline_id
        return await chosen_stage(session, ItemType.DEAL, pipeline_id, self.stage)


@rule_action(
    title="Copy deal",
    group=ActionGroup.RECURRING_SALES,
    items=[ItemType.DEAL],
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("title", "Title", FieldKind.TEXT),
        Result("url", "Link", FieldKind.TEXT),
    ],
)
async def copy_deal(params: CopyDeal, context: ActionContext) -> str:
    """Copy the deal with its client, products and fields; the copy enters its stage as if new.

    What is booked for a time to come is booked for the copy too: in the next free slot.
    """
    source = context.item
    await context.session.execute(
        select(Item)
        .where(Item.id == source.id)
        .options(selectinload(Item.product_rows), selectinload(Item.further_contacts))
    )
    word = translated("Copy", context.home.locale)
    booked = await booking_fields_of(context.session, source.type)
    copy = Deal(
        title=as_title(context.render(params.name) if params.name else f"{source.title} ({word})"),
        responsible=await context.in_charge(params.responsible),
        creator=source.creator,
        contact=context.client.contact,
        further_contacts=[each for each in source.further_contacts if each.deleted_at is None],
        company=context.client.company,
        amount=source.amount,
        currency=source.currency,
        begin_date=source.begin_date,
        close_date=source.close_date,
        source=source.source,
        comments=source.comments,
        custom={name: each for name, each in source.custom.items() if name not in booked},
        product_rows=[row.again() for row in source.product_rows],
        source_item=source,
    )
    stage = await params.target(context.session, source.pipeline_id)
    await context.create(copy, stage)
    if params.copy_timeline and await copy_timeline(context.session, source, copy):
        where = f"All that is older was copied from {source.called}."
        context.session.add(TimelineComment(text=where, item_id=copy.id))
    context.leave(id=copy.id, title=copy.title, url=context.url_of(copy))
    said = f"Copied to deal {copy.id} «{copy.title}» in «{stage.pipeline.name} › {stage.name}»."
    return " ".join([said, *await rebook(context.session, source, copy, context.cause)])
