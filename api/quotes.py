"""Quotes: what is offered to a client, for how much, until when."""

from datetime import date
from typing import Annotated

from fastapi import status
from pydantic import Field

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
from api.schemas import Day, Name, Page
from models.item import Quote
from models.item_edit import add_item, after_triggers, edit_item
from models.recycle_bin import delete_item
from models.stage_entry import Cause

router = resource("quotes", "/quotes")

VALID_UNTIL = "The last day on which it is valid."


class QuoteRead(WholeItemRead):
    close_date: date | None = Field(description=VALID_UNTIL)


class QuoteFields(ItemFields):
    close_date: Day | None = Field(default=None, description=VALID_UNTIL)


class QuoteCreate(Place, QuoteFields):
    """A quote begins in the first stage of the first pipeline for quotes, if not said otherwise."""


class QuoteUpdate(QuoteFields):
    """What is left out stays as it is; stage and pipeline are changed by moving."""

    title: Name = ""


PresentQuote = Annotated[Quote, present(Quote)]
LockedQuote = Annotated[Quote, locked(Quote)]


@router.get("", openapi_extra=CUSTOM_QUERY)
async def list_quotes(
    session: ReadSession,
    user: CurrentUser,
    where: WantedItems,
    asked: CustomFilter,
    paging: SortedItems,
) -> Page[QuoteRead]:
    """Return the quotes within your reach, oldest first, if not said otherwise."""
    wanted = await listed(session, user, Quote, where, asked)
    return await page_of(session, wanted, paging, QuoteRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_quote(session: Session, user: CurrentUser, new: QuoteCreate) -> QuoteRead:
    """Create a quote; the rules of its stage start.

    Without a place it begins in the first stage of the first pipeline for quotes. Whoever asks is
    its creator, and responsible for it if nobody else is named.
    """
    quote = await add_item(session, Quote, new.fields(), user, new.beginning())
    return QuoteRead.model_validate(quote)


@router.get("/{quote_id}")
async def read_quote(quote: PresentQuote) -> QuoteRead:
    """Return a quote.

    Its `version` is the `ETag` that a change asks for.
    """
    return QuoteRead.model_validate(quote)


@router.patch("/{quote_id}")
async def update_quote(
    session: Session, user: CurrentUser, quote: LockedQuote, sent: QuoteUpdate
) -> QuoteRead:
    """Change fields of a quote; its history keeps what they were.

    Runs that wait for a date of it follow the date. For another stage, move it; triggers that wait
    for the change do so by themselves.
    """
    await edit_item(session, quote, sent.changes(), Cause.person(user))
    return QuoteRead.model_validate(await after_triggers(session, quote))


@router.delete("/{quote_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_quote(session: Session, user: CurrentUser, quote: LockedQuote) -> None:
    """Put a quote into the recycle bin; what its rules had still to do is dropped."""
    await delete_item(session, quote, Cause.person(user))
