"""What the resources of leads, deals, quotes and invoices share: schemas, filters, loaded items."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic import Field
from sqlalchemy import Select

from api.dependencies import CurrentUser, IfMatch, MatchIfSent, Session
from api.paging import PageQuery, sorted_by
from api.schemas import (
    Currency,
    Custom,
    Day,
    Filter,
    Id,
    Ids,
    LongText,
    Moment,
    Money,
    Name,
    Quantity,
    Read,
    SearchText,
    ShortText,
    Version,
    Write,
)
from models.access import reached
from models.custom_filter import Bound, CustomAsked, custom_conditions
from models.custom_values import pointer_of
from models.errors import Invalid, Problem
from models.fields import UNSTORABLE
from models.item import Item, type_of
from models.item_edit import Beginning, find_whole, items_where
from models.item_type import ItemType
from models.stage_entry import Automation
from models.user import User

PLACE = {"pipeline_id", "stage_id", "automation"}

MOST_PRODUCTS = 500

AUTOMATION = Field(
    default=Automation.RUN,
    description="`skip` lets it enter without its rules running, for managers only.",
)


class ItemRead(Read):
    """What items of every type have in common."""

    id: int
    type: ItemType
    title: str
    version: Version
    pipeline_id: int
    stage_id: int
    responsible_id: int | None
    creator_id: int | None
    contact_id: int | None
    company_id: int | None
    amount: Decimal | None
    currency: str | None
    begin_date: date | None
    close_date: date | None
    source: str | None
    comments: str | None
    custom: dict[str, Any]
    source_item_id: int | None = Field(description="The item that it was made from.")
    made_by_run_id: int | None = Field(description="The rule run that made it.")
    created_at: datetime
    deleted_at: datetime | None


class ProductRowRead(Read):
    name: str
    price: Decimal
    quantity: Decimal
    product_id: int | None


class ProductRowWrite(Write):
    """Price of one, in the currency of the item.

    Name and price are those of the product, if it has one and nothing else is said.
    """

    name: Name | None = None
    price: Money | None = None
    quantity: Quantity = Decimal("1.00")
    product_id: Id | None = None


class WholeItemRead(ItemRead):
    """An item with what stands in tables of its own."""

    product_rows: list[ProductRowRead]
    further_contact_ids: list[int]


class ItemFields(Write):
    """What can be said of an item; a client must not be in the recycle bin."""

    responsible_id: Id | None = Field(
        default=None, description="Whoever creates the item, if left out."
    )
    contact_id: Id | None = None
    further_contact_ids: Ids = []
    company_id: Id | None = None
    amount: Money | None = None
    currency: Currency | None = None
    begin_date: Day | None = None
    close_date: Day | None = None
    source: ShortText | None = None
    comments: LongText | None = None
    product_rows: Annotated[list[ProductRowWrite], Field(max_length=MOST_PRODUCTS)] = []
    custom: Custom = Field(
        default={},
        description="Values by name, of the kinds that `/v1/field-definitions` tell; null removes "
        "one, others stay.",
    )


class Place(Write):
    """Where a new item begins: in the first stage of the pipeline, or of the first pipeline."""

    title: Name
    pipeline_id: Id | None = None
    stage_id: Id | None = None
    automation: Automation = AUTOMATION

    def fields(self) -> dict[str, Any]:
        """Return what is said of the item itself."""
        return {name: each for name, each in self.changes().items() if name not in PLACE}

    def beginning(self) -> Beginning:
        """Return what is said of where it begins."""
        return Beginning(**self.model_dump(include=PLACE))


class ItemFilter(Filter):
    """Which items of the type to list."""

    pipeline_id: Id | None = None
    stage_id: Id | None = None
    responsible_id: Id | None = None
    creator_id: Id | None = None
    contact_id: Id | None = Field(default=None, description="As primary or further contact.")
    company_id: Id | None = None
    source: ShortText | None = None
    source_item_id: Id | None = Field(default=None, description="Made from this item.")
    made_by_run_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the title.")
    created_from: Moment | None = None
    created_to: Moment | None = None
    amount_min: Money | None = None
    amount_max: Money | None = None
    begin_date_from: Day | None = None
    begin_date_to: Day | None = None
    close_date_from: Day | None = None
    close_date_to: Day | None = None


WantedItems = Annotated[ItemFilter, Query()]

SortedItems = Annotated[
    PageQuery, sorted_by("id", "created_at", "title", "amount", "close_date", "begin_date")
]

CUSTOM_KEY = re.compile(r"custom\[([^\[\]]+)\](?:\[(from|to)\])?")

CUSTOM_QUERY: dict[str, Any] = {
    "parameters": [
        {
            "name": "custom",
            "in": "query",
            "required": False,
            "style": "deepObject",
            "explode": True,
            "description": "What custom fields hold, all of it: `custom[contract_no]=A-1`. Of a "
            "`multi`, one that is chosen. For number, money, date and datetime there are ranges, "
            "ends included: `custom[due][from]=2027-01-01&custom[due][to]=2027-01-31`.",
            "schema": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        {"type": "string"},
                        {
                            "type": "object",
                            "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
                            "additionalProperties": False,
                        },
                    ]
                },
            },
            "examples": {
                "equal": {"value": {"contract_no": "A-1"}},
                "range": {"value": {"due": {"from": "2027-01-01", "to": "2027-01-31"}}},
            },
        }
    ]
}
"""How the document of a list tells of `CustomFilter`."""


def _asked(request: Request) -> list[CustomAsked]:
    """Return what is asked of custom fields, or raise `Invalid`."""
    asked = []
    for key, value in request.query_params.multi_items():
        if not key.startswith("custom"):
            continue
        match = CUSTOM_KEY.fullmatch(key)
        if match is None:
            reason = "Ask for custom[name]=value, custom[name][from]=value, custom[name][to]=value."
            raise Invalid(Problem("/custom", reason))
        name, bound = match.groups()
        if UNSTORABLE.search(value):
            reason = "a text holds U+0000 or half a character, which nothing holds"
            raise Invalid(Problem(pointer_of(name), reason))
        asked.append(CustomAsked(name, value, Bound(bound) if bound else None))
    return asked


CustomFilter = Annotated[list[CustomAsked], Depends(_asked)]


async def listed(
    session: Session, user: User, kind: type[Item], where: ItemFilter, asked: Sequence[CustomAsked]
) -> Select[Item]:
    """Return the items of a kind that are asked for, within the reach of whoever asks."""
    custom = await custom_conditions(session, type_of(kind), asked)
    return items_where(kind, user, **where.asked(), custom=custom)


def present(kind: type[Item]) -> Any:
    """Depend on the item of this kind that the path names (`deal_id`), whole and within reach."""
    in_path = _in_path(kind)

    async def load(session: Session, user: CurrentUser, item_id: Annotated[Id, in_path]) -> Item:
        return await reached(session, user, await find_whole(session, item_id, kind))

    return Depends(load)


def locked(kind: type[Item]) -> Any:
    """Depend on the same, locked, and in the version that `If-Match` names."""
    in_path = _in_path(kind)

    async def load(
        session: Session, user: CurrentUser, item_id: Annotated[Id, in_path], match: IfMatch
    ) -> Item:
        item = await find_whole(session, item_id, kind, lock=True)
        return match.of(await reached(session, user, item))

    return Depends(load)


def locked_if_matching(kind: type[Item]) -> Any:
    """Depend on the same, for what may be done without having seen the present version."""
    in_path = _in_path(kind)

    async def load(
        session: Session, user: CurrentUser, item_id: Annotated[Id, in_path], match: MatchIfSent
    ) -> Item:
        item = await find_whole(session, item_id, kind, lock=True)
        item = await reached(session, user, item)
        return item if match is None else match.of(item)

    return Depends(load)


def _in_path(kind: type[Item]) -> Any:
    return Path(alias=f"{type_of(kind)}_id")
