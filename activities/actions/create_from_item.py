"""Create using source: a lead becomes a deal and its client, a deal a quote and an invoice."""

from collections.abc import Sequence

from pydantic import Field

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    RulePlace,
    as_title,
    rule_action,
)
from models import clock
from models.conversion import MADE_FROM, TYPES, Creation, Offspring, Wish, convert_lead, make_from
from models.crm_activity import CrmActivity, CrmActivityKind, planned_for
from models.crm_activity_edit import complete_crm_activity, put_crm_activity, take_client
from models.errors import Invalid, Problem
from models.fields import FieldKind
from models.inputs import RowId
from models.item import Item, Lead
from models.item_type import ItemType
from models.languages import translated
from models.pipeline import Stage, chosen_stage
from models.templates import Template
from models.user_choice import UserChoice


class CreateFromItem(ActionParams):
    create: tuple[Creation, ...] = Field(
        min_length=1,
        title="What to create",
        description="Of a lead a deal, a contact and a company; of a deal a quote and an invoice.",
    )
    title: Template | None = Field(
        default=None,
        title="Title",
        description="Of the new deal, quote or invoice; that of the source, if empty.",
    )
    company_name: Template | None = Field(
        default=None,
        title="Name of the company",
        description="Of one that the client does not have yet; the title of the lead, if empty.",
    )
    pipeline: RowId | None = Field(
        default=None, title="Pipeline", description="The first of its type, if not chosen."
    )
    stage: RowId | None = Field(
        default=None, title="Initial stage", description="The pipeline's first, if not chosen."
    )
    responsible: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Responsible person",
        description="The source's, if not chosen.",
    )
    keep_open: bool = Field(
        default=False,
        title="Keep activities open",
        description="Else the tasks and planned activities of a lead are completed.",
    )

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        item_type = place.stage.pipeline.item_type
        found = []
        for number, each in enumerate(self.create):
            if each not in MADE_FROM[item_type]:
                reason = f"From a {item_type} no {each} is created."
                found.append(Problem(f"/create/{number}", reason))
            elif each in self.create[:number]:
                found.append(Problem(f"/create/{number}", f"«{each}» is there twice."))
        if found or (self.pipeline is None and self.stage is None):
            return found
        if len(self.types) != 1:
            field = "/stage" if self.pipeline is None else "/pipeline"
            reason = "This can be chosen where one deal, quote or invoice is created."
            return [Problem(field, reason)]
        try:
            await self.target(place, self.types[0])
        except Invalid as error:
            return error.problems
        return []

    @property
    def types(self) -> list[ItemType]:
        """Of what is created, the items."""
        return [TYPES[each] for each in self.create if each in TYPES]

    async def target(self, place: RulePlace | ActionContext, item_type: ItemType) -> Stage:
        """Return the stage that a new item enters; raises a `CrmError` where there is none."""
        return await chosen_stage(place.session, item_type, self.pipeline, self.stage)


async def leave_to_somebody(context: ActionContext, reason: str) -> str:
    """Plan a to-do for the responsible person, who does by hand what the rule could not."""
    responsible = context.item.responsible
    for present in await planned_for(context.session, context.item):
        if present.made_by_run_id == context.run.id:
            return f"It is still to be done by hand: {present.called}."
    by_hand = translated("By hand: {title}", context.home.locale)
    to_do = CrmActivity(
        kind=CrmActivityKind.TO_DO,
        subject=as_title(by_hand.format(title=context.run.version.title)),
        description=reason,
        item=context.item,
        responsible=responsible,
        starts_at=clock.now(),
        important=True,
        reminders=[],
    )
    await take_client(context.session, to_do)
    await put_crm_activity(context.session, to_do, (), context.cause)
    if responsible is not None:
        context.notify(responsible, f"{to_do.subject}. {reason}")
    whom = f" for {responsible.name}" if responsible else ""
    return f"Planned {to_do.called}{whom}, to do it by hand."


@rule_action(
    title="Create using source",
    group=ActionGroup.MANAGE_ITEMS,
    items=[ItemType.LEAD, ItemType.DEAL],
    results=[
        Result("deal_id", "ID of the deal", FieldKind.NUMBER),
        Result("contact_id", "ID of the contact", FieldKind.NUMBER),
        Result("company_id", "ID of the company", FieldKind.NUMBER),
        Result("quote_id", "ID of the quote", FieldKind.NUMBER),
        Result("invoice_id", "ID of the invoice", FieldKind.NUMBER),
    ],
    otherwise=leave_to_somebody,
)
async def create_from_item(params: CreateFromItem, context: ActionContext) -> str:
    """Convert a lead into a deal with contact and company; make quote and invoice of a deal.

    Client, money, products, and custom fields that both types have, go with it. A contact who is
    known by phone or e-mail is linked, not made again. Where it fails, a to-do is planned for the
    responsible person, who does it by hand.
    """
    if isinstance(context.item, Lead):
        sentence = await _convert(params, context, context.item)
    else:
        made = [await _make(params, context, item_type) for item_type in params.types]
        context.leave(**{f"{each.type}_id": each.id for each in made})
        sentence = " ".join(f"Created {each.called} «{each.title}»." for each in made)
    await _take_back(context)
    return sentence


async def _take_back(context: ActionContext) -> None:
    """Complete what an earlier try has left to somebody: now it is done."""
    for to_do in await planned_for(context.session, context.item):
        if to_do.made_by_run_id == context.run.id:
            await complete_crm_activity(context.session, to_do, context.cause)


async def _convert(params: CreateFromItem, context: ActionContext, lead: Lead) -> str:
    company = params.company_name and context.render(params.company_name)
    wish = Wish(
        contact=Creation.CONTACT in params.create,
        company=as_title(company or lead.title) if Creation.COMPANY in params.create else None,
        deal=await _offspring(params, context, ItemType.DEAL) if params.types else None,
        keep_open=params.keep_open,
    )
    converted = await convert_lead(context.session, lead, wish, context.cause)
    clients = {"contact_id": converted.contact, "company_id": converted.company}
    rows = clients | {"deal_id": converted.deal}
    context.leave(**{name: row.id for name, row in rows.items() if row is not None})
    return " ".join(converted.sentences)


async def _make(params: CreateFromItem, context: ActionContext, item_type: ItemType) -> Item:
    wanted = await _offspring(params, context, item_type)
    return await make_from(context.session, context.item, item_type, wanted, context.cause)


async def _offspring(
    params: CreateFromItem, context: ActionContext, item_type: ItemType
) -> Offspring:
    return Offspring(
        title=as_title(context.render(params.title) if params.title else context.item.title),
        responsible=await context.in_charge(params.responsible),
        stage=await params.target(context, item_type),
    )
