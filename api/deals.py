"""Deals: what is being sold, to whom, for how much."""

from typing import Annotated

from fastapi import status

from api.dependencies import CurrentUser, ReadSession, Session
from api.item_resource import (
    CUSTOM_QUERY,
    CustomFilter,
    ItemFields,
    Place,
    SortedItems,
    WantedItems,
    WholeItemRead,
    listed,
    locked,
    present,
)
from api.paging import page_of
from api.routing import resource
from api.schemas import Name, Page
from models.item import Deal
from models.item_edit import add_item, after_triggers, edit_item
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = resource("deals", "/deals")


class DealRead(WholeItemRead):
    pass


class DealCreate(Place, ItemFields):
    """A deal begins in the first stage of the first pipeline for deals, if not said otherwise."""


class DealUpdate(ItemFields):
    """What is left out stays as it is; stage and pipeline are changed by moving."""

    title: Name = ""


PresentDeal = Annotated[Deal, present(Deal)]
LockedDeal = Annotated[Deal, locked(Deal)]


@router.get("", openapi_extra=CUSTOM_QUERY)
async def list_deals(
    session: ReadSession,
    user: CurrentUser,
    where: WantedItems,
    asked: CustomFilter,
    paging: SortedItems,
) -> Page[DealRead]:
    """Return the deals within your reach, oldest first, if not said otherwise."""
    wanted = await listed(session, user, Deal, where, asked)
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

    Runs that wait for a date of it follow the date. For another stage, move it; triggers that wait
    for the change do so by themselves.
    """
    await edit_item(session, deal, sent.changes(), Cause.person(user))
    return DealRead.model_validate(await after_triggers(session, deal))


@router.delete("/{deal_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_deal(session: Session, user: CurrentUser, deal: LockedDeal) -> None:
    """Put a deal into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, deal, Cause.person(user))
