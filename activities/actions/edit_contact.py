"""Change contact: give fields of the item's contact other values."""

from activities.field_changes import CHANGED, FieldChanges, changed_in_words
from activities.registry import ActionContext, ActionGroup, rule_action
from models.client import lock_contact
from models.client_edit import edit_client
from models.errors import ActionFailed
from models.field_writing import refused_by_path
from models.item_type import ItemType


class EditContact(FieldChanges):
    """Fields of the contact, such as `contact.phones`."""

    root = "contact"


@rule_action(
    title="Change contact", group=ActionGroup.CLIENT_BASE, items=ItemType, results=[CHANGED]
)
async def edit_contact(params: EditContact, context: ActionContext) -> str:
    """Change fields of the contact of the item; what they take is what the API takes for them."""
    contact = await lock_contact(context.session, context.item)
    if contact is None:
        raise ActionFailed(f"{context.item.called.capitalize()} has no contact.")
    sent = await params.values(contact, context)
    with refused_by_path("contact"):
        titles = await edit_client(
            context.session, contact, sent, await context.cause_as(params.changed_by)
        )
    context.leave(changed=len(titles))
    return changed_in_words(titles, f" of contact {contact.id}")
