"""Deals: what is being sold, to whom, for how much."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, status
from pydantic import Field

from api.dependencies import CurrentUser, Paging, ReadSession, Session, page_of
from api.items import Filter, ItemFields, ItemRead, Place
from api.schemas import Id, Money, Name, Page, Read, Write
from models.item import Deal, Item
from models.item_edit import add_item, edit_item, find_whole, items_where
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = APIRouter(prefix="/deals", tags=["deals"])

MOST_PRODUCTS = 500


class ProductRowRead(Read):
    name: str
    price: Decimal
    quantity: Decimal


class ProductRowWrite(Write):
    """Price of one, in the currency of the deal."""

    name: Name
    price: Money
    quantity: Annotated[Money, Field(gt=0)] = Decimal("1.00")


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


async def _present(session: Session, deal_id: Id) -> Item:
    return await find_whole(session, deal_id, Deal)


async def _locked(session: Session, deal_id: Id) -> Item:
    return await find_whole(session, deal_id, Deal, lock=True)


PresentDeal = Annotated[Item, Depends(_present)]
LockedDeal = Annotated[Item, Depends(_locked)]


@router.get("")
async def list_deals(session: ReadSession, where: Filter, paging: Paging) -> Page[DealRead]:
    """Return deals, oldest first."""
    return await page_of(session, items_where(Deal, **where.model_dump()), paging, DealRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_deal(session: Session, user: CurrentUser, new: DealCreate) -> DealRead:
    """Create a deal; the rules of its stage start."""
    deal = await add_item(
        session, Deal, new.fields(), user, pipeline_id=new.pipeline_id, stage_id=new.stage_id
    )
    return DealRead.model_validate(deal)


@router.get("/{deal_id}")
async def read_deal(deal: PresentDeal) -> DealRead:
    """Return a deal."""
    return DealRead.model_validate(deal)


@router.patch("/{deal_id}")
async def update_deal(
    session: Session, user: CurrentUser, deal: LockedDeal, sent: DealUpdate
) -> DealRead:
    """Change fields of a deal; its history keeps what they were."""
    await edit_item(session, deal, sent.changes(), Cause.person(user))
    return DealRead.model_validate(deal)


@router.delete("/{deal_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_deal(session: Session, user: CurrentUser, deal: LockedDeal) -> None:
    """Put a deal into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, deal, Cause.person(user))
