"""Change company: give fields of the item's company other values."""

from activities.field_changes import CHANGED, FieldChanges, changed_in_words
from activities.registry import ActionContext, ActionGroup, rule_action
from models.client import lock_company
from models.client_edit import edit_client
from models.errors import ActionFailed
from models.field_writing import refused_by_path
from models.item_type import ItemType


class EditCompany(FieldChanges):
    """Fields of the company, such as `company.phones`."""

    root = "company"


@rule_action(
    title="Change company", group=ActionGroup.CLIENT_BASE, items=ItemType, results=[CHANGED]
)
async def edit_company(params: EditCompany, context: ActionContext) -> str:
    """Change fields of the company of the item; what they take is what the API takes for them."""
    company = await lock_company(context.session, context.item)
    if company is None:
        raise ActionFailed(f"{context.item.called.capitalize()} has no company.")
    sent = await params.values(company, context)
    with refused_by_path("company"):
        titles = await edit_client(
            context.session, company, sent, await context.cause_as(params.changed_by)
        )
    context.leave(changed=len(titles))
    return changed_in_words(titles, f" of company {company.id}")
