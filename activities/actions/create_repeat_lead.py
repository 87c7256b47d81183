"""Create repeat lead: some time after a sale, offer the customer more."""

from pydantic import Field

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    as_title,
    rule_action,
)
from models.fields import FieldKind
from models.item import Lead
from models.item_type import ItemType
from models.templates import Template
from models.user_choice import UserChoice


class CreateRepeatLead(ActionParams):
    title: Template = Field(default="{{ deal.title }}, repeat", title="Lead title")
    responsible: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Responsible person",
        description="The deal's, if not chosen.",
    )


@rule_action(
    title="Create repeat lead",
    group=ActionGroup.RECURRING_SALES,
    items=[ItemType.DEAL],
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("title", "Title", FieldKind.TEXT),
        Result("url", "Link", FieldKind.TEXT),
    ],
)
async def create_repeat_lead(params: CreateRepeatLead, context: ActionContext) -> str:
    """Create a lead for the client of the deal; being tied to a client makes it a repeat lead."""
    client = context.client_or_fail()
    lead = Lead(
        title=as_title(context.render(params.title)),
        responsible=await context.in_charge(params.responsible),
        contact=client.contact,
        company=client.company,
        source_item=context.item,
    )
    await context.create(lead)  # enters the first stage, whose rules start
    context.leave(id=lead.id, title=lead.title, url=context.url_of(lead))
    return f"Created repeat lead {lead.id} «{lead.title}»."
