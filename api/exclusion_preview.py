"""Exclusion preview: what *Add to exceptions* would do with an item, which stays as it is."""

from typing import Annotated, Self

from fastapi import Query
from pydantic import Field

from api.dependencies import ReadSession
from api.items import PresentItem
from api.routing import resource
from api.schemas import Filter, Read
from models.client import Client
from models.excluding import Foreseen, foresee
from models.exclusion import ExclusionKind

router = resource("previews", "/items/{item_id}/exclusion-preview")


class ExclusionWish(Filter):
    """The settings of the action, each as it is if left out of a rule."""

    further_contacts: bool = Field(default=False, description="Further contacts too.")
    list_clients_who_stay: bool = Field(
        default=True,
        description="Also put on the list whoever is needed elsewhere and therefore not deleted.",
    )


class ClientToGo(Read):
    """A contact or company of the item."""

    type: str = Field(description="Whether it is a contact or a company.", examples=["contact"])
    id: int
    name: str
    goes: bool = Field(description="Whether it is deleted.")
    uses: str | None = Field(description="Why it stays: what else uses it.", examples=["deal 17"])

    @classmethod
    def of(cls, client: Client, uses: str | None) -> Self:
        kind = type(client).__name__.lower()
        return cls(type=kind, id=client.id, name=client.name, goes=uses is None, uses=uses)


class ValueToList(Read):
    """A phone or address that is put on the list, if it is not there."""

    kind: ExclusionKind
    value: str = Field(description="As others are compared with it.")
    exclusion_id: int | None = Field(description="Its entry, if it is on the list already.")


class ExclusionPreviewRead(Read):
    item_id: int
    outcome: str = Field(description="What a rule would say that does it now.")
    clients: list[ClientToGo] = Field(description="Contacts first.")
    values: list[ValueToList] = Field(description="Phones and addresses of whoever is listed.")

    @classmethod
    def of(cls, foreseen: Foreseen) -> Self:
        going = foreseen.going
        return cls(
            item_id=going.item.id,
            outcome=foreseen.outcome,
            clients=[
                *(ClientToGo.of(each, None) for each in going.gone),
                *(ClientToGo.of(each.client, each.uses) for each in going.staying),
            ],
            values=[
                ValueToList(kind=kind, value=value, exclusion_id=known)
                for (kind, value), known in foreseen.values.items()
            ],
        )


@router.get("")
async def read_exclusion_preview(
    session: ReadSession, item: PresentItem, wish: Annotated[ExclusionWish, Query()]
) -> ExclusionPreviewRead:
    """Tell what *Add to exceptions* would list and delete for a lead or deal, and who stays.

    It is found out by what the action itself does; nothing is changed.
    """
    return ExclusionPreviewRead.of(await foresee(session, item, **wish.asked()))
