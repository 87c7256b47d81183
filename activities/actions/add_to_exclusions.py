"""Add to exceptions: spam goes, with whoever sent it, and does not come again."""

from pydantic import Field

from activities.registry import ActionContext, ActionGroup, ActionParams, Result, rule_action
from models.excluding import EXCLUDED_WITH, exclude, what_goes
from models.fields import FieldKind
from models.recycle_bin import delete_client, delete_item


class AddToExclusions(ActionParams):
    further_contacts: bool = Field(default=False, title="Further contacts too")
    list_clients_who_stay: bool = Field(
        default=True,
        title="List clients who stay",
        description="Also put on the list whoever is needed elsewhere and therefore not deleted.",
    )


@rule_action(
    title="Add to exceptions",
    group=ActionGroup.CLIENT_BASE,
    items=EXCLUDED_WITH,
    warning="Deletes the item and clients that nothing else uses; statistics will miss them.",
    results=[
        Result("listed", "Addresses listed", FieldKind.NUMBER),
        Result("deleted", "Clients deleted", FieldKind.NUMBER),
        Result("staying", "Clients who stay", FieldKind.NUMBER),
    ],
)
async def add_to_exclusions(params: AddToExclusions, context: ActionContext) -> str:
    """Put the client's phones and e-mails on the exceptions list and delete item and client.

    A contact or company that something else uses stays, and the outcome says why.
    """
    going = await what_goes(
        context.session,
        context.item,
        further_contacts=params.further_contacts,
        list_clients_who_stay=params.list_clients_who_stay,
        lock=True,
    )
    await delete_item(context.session, context.item, context.cause)
    for client in going.gone:
        delete_client(context.session, client, context.cause)
    listed = await exclude(
        context.session,
        going.points,
        comment=f"{context.run.version.title}: {context.item.called}",
    )
    context.leave(listed=len(listed), deleted=len(going.gone), staying=len(going.staying))
    return going.told(len(listed))
