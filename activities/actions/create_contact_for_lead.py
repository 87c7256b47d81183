"""Create a contact for a lead: whoever has come forward is a client from now on."""

from activities.registry import ActionContext, ActionGroup, ActionParams, Result, rule_action
from models.conversion import link_contact
from models.errors import ActionFailed
from models.fields import FieldKind
from models.item import Lead
from models.item_type import ItemType


class CreateContactForLead(ActionParams):
    """Nothing to choose: contacts have nobody who is responsible for them."""


@rule_action(
    title="Create a contact for a lead",
    group=ActionGroup.CLIENT_BASE,
    items=[ItemType.LEAD],
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("name", "Name", FieldKind.TEXT),
        Result("is_new", "New", FieldKind.BOOLEAN),
        Result("url", "Link", FieldKind.TEXT),
    ],
)
async def create_contact_for_lead(
    params: CreateContactForLead,  # noqa: ARG001 - there is nothing to choose
    context: ActionContext,
) -> str:
    """Make a contact of the names, phones and e-mails of the lead, which becomes a repeat lead.

    A contact who has one of these phones or e-mails already is linked and not made again; of
    several it is the one who shares most of them, the oldest of those.
    """
    found = await link_contact(context.session, lead_of(context), context.cause)
    contact = found.contact
    context.leave(
        id=contact.id,
        name=contact.name,
        is_new=found.is_new,
        url=f"{context.url}/v1/contacts/{contact.id}",
    )
    return found.sentence


def lead_of(context: ActionContext) -> Lead:
    if not isinstance(context.item, Lead):
        raise ActionFailed(f"{context.item.called.capitalize()} is no lead.")
    return context.item
