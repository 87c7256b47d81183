"""Deals: what is being sold, to whom, for how much."""

from decimal import Decimal
from typing import Annotated

from fastapi import Depends, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.items import (
    CUSTOM_QUERY,
    CustomFilter,
    ItemFields,
    ItemRead,
    Place,
    SortedItems,
    WantedItems,
)
from api.paging import page_of
from api.routing import resource
from api.schemas import Id, Money, Name, Page, Quantity, Read, Write
from models.access import reached
from models.custom_filter import custom_conditions
from models.item import Deal, Item
from models.item_edit import add_item, edit_item, find_whole, items_where
from models.item_type import ItemType
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = resource("deals", "/deals")

MOST_PRODUCTS = 500


class ProductRowRead(Read):
    name: str
    price: Decimal
    quantity: Decimal
    product_id: int | None


class ProductRowWrite(Write):
    """Price of one, in the currency of the deal.

    Name and price are those of the product, if it has one and nothing else is said.
    """

    name: Name | None = None
    price: Money | None = None
    quantity: Quantity = Decimal("1.00")
    product_id: Id | None = None


class DealRead(ItemRead):
    product_rows: list[ProductRowRead]
    further_contact_ids: list[int]


class DealFields(ItemFields):
    product_rows: Annotated[list[ProductRowWrite], Field(max_length=MOST_PRODUCTS)] = []


class DealCreate(Place, DealFields):
    """A deal begins in the first stage of the first pipeline for deals, if not said otherwise."""


class DealUpdate(DealFields):
    """What is left out stays as it is; stage and pipeline are changed by moving."""

    title: Name = ""


async def _present(session: Session, user: CurrentUser, deal_id: Id) -> Item:
    return await reached(session, user, await find_whole(session, deal_id, Deal))


async def _locked(session: Session, user: CurrentUser, deal_id: Id, match: IfMatch) -> Item:
    deal = await find_whole(session, deal_id, Deal, lock=True)
    return match.of(await reached(session, user, deal))


PresentDeal = Annotated[Item, Depends(_present)]
LockedDeal = Annotated[Item, Depends(_locked)]


@router.get("", openapi_extra=CUSTOM_QUERY)
async def list_deals(
    session: ReadSession,
    user: CurrentUser,
    where: WantedItems,
    asked: CustomFilter,
    paging: SortedItems,
) -> Page[DealRead]:
    """Return the deals within your reach, oldest first, if not said otherwise."""
    custom = await custom_conditions(session, ItemType.DEAL, asked)
    wanted = items_where(Deal, user, **where.asked(), custom=custom)
    return await page_of(session, wanted, paging, DealRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_deal(session: Session, user: CurrentUser, new: DealCreate) -> DealRead:
    """Create a deal; the rules of its stage start.

    Without a place it begins in the first stage of the first pipeline for deals. Whoever asks is
    its creator, and responsible for it if nobody else is named.
    """
    deal = await add_item(session, Deal, new.fields(), user, new.beginning())
    return DealRead.model_validate(deal)


@router.get("/{deal_id}")
async def read_deal(deal: PresentDeal) -> DealRead:
    """Return a deal.

    Its `version` is the `ETag` that a change asks for.
    """
    return DealRead.model_validate(deal)


@router.patch("/{deal_id}")
async def update_deal(
    session: Session, user: CurrentUser, deal: LockedDeal, sent: DealUpdate
) -> DealRead:
    """Change fields of a deal; its history keeps what they were.

    Runs that wait for a date of it follow the date. For another stage, move it.
    """
    await edit_item(session, deal, sent.changes(), Cause.person(user))
    return DealRead.model_validate(deal)


@router.delete("/{deal_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_deal(session: Session, user: CurrentUser, deal: LockedDeal) -> None:
    """Put a deal into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, deal, Cause.person(user))
