"""Add to exceptions: spam goes, with whoever sent it, and does not come again."""

from collections.abc import Sequence

from pydantic import Field

from activities.registry import ActionContext, ActionGroup, ActionParams, Result, rule_action
from models.client import Client, lock_clients, uses_of
from models.contact_point import ContactPoint
from models.exclusion import exclude
from models.fields import FieldKind
from models.item import Item, Lead
from models.item_type import ItemType
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
    items=[ItemType.LEAD, ItemType.DEAL],
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
    item = context.item
    clients = await lock_clients(context.session, item, further_contacts=params.further_contacts)
    await delete_item(context.session, item, context.cause)
    gone: list[Client] = []
    staying: list[tuple[Client, str]] = []
    for client in clients:
        uses = await uses_of(context.session, client, besides=gone)
        if uses:
            staying.append((client, uses))
        else:
            delete_client(context.session, client, context.cause)
            gone.append(client)
    listed_clients = gone + [client for client, _ in staying if params.list_clients_who_stay]
    points = [point for client in listed_clients for point in client.contact_points]
    points += await _own_points(context, clients)
    listed = await exclude(
        context.session, points, comment=f"{context.run.version.title}: {item.called}"
    )
    context.leave(listed=len(listed), deleted=len(gone), staying=len(staying))
    return _told(item, gone, staying, len(listed), listed_too=params.list_clients_who_stay)


async def _own_points(context: ActionContext, clients: Sequence[Client]) -> Sequence[ContactPoint]:
    if clients or not isinstance(context.item, Lead):
        return []
    await context.session.refresh(context.item, ["contact_points"])
    return context.item.contact_points


def _told(
    item: Item,
    gone: Sequence[Client],
    staying: Sequence[tuple[Client, str]],
    listed: int,
    *,
    listed_too: bool,
) -> str:
    deleted = ", ".join([item.called, *(client.name for client in gone)])
    excepted = "excepted" if listed_too else "not excepted"
    stays = "".join(
        f" {client.name} stays: {uses}; their addresses are {excepted}." for client, uses in staying
    )
    noun = "address" if listed == 1 else "addresses"
    return f"Put {listed} {noun} on the exceptions list, deleted {deleted}.{stays}"
