"""Pages: which part of a list is wanted, in which order, and whether the whole as CSV."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from sqlalchemy.ext.asyncio import AsyncSession

from api.dependencies import CurrentUser
from api.schemas import Moment, Money, Page, Read, StoredText
from api.sheets import ROWS_AT_ONCE, Sheet, sheet_for
from models.base import LARGEST_ID
from models.errors import Invalid, Problem
from models.keyset import Key, Order, Wanted, all_in_parts, rows_after
from models.mistakes import unknown

LONGEST_PAGE = 200
USUAL_PAGE = 50

LONGEST_CURSOR = 4_000
"""Characters; encoded in a URL they must stay below what a server reads of one."""

DESCENDING = "-"


PARTS: dict[type, TypeAdapter[Any]] = {
    int: TypeAdapter(Annotated[int, Field(ge=0, le=LARGEST_ID)]),
    str: TypeAdapter(StoredText),
    datetime: TypeAdapter(Moment),
    date: TypeAdapter(date),
    Decimal: TypeAdapter(Money),
}
"""What the columns of an order can hold."""


@dataclass(frozen=True)
class PageQuery:
    """Which part of a list: so many, after where the last ended, or all that follow as a sheet.

    `sort` is the name of a column, after a minus if it descends; empty where the list has one
    order only.
    """

    limit: int = USUAL_PAGE
    after: str | None = None
    sort: str = ""
    sheet: Sheet | None = None

    def order_of(self, kind: Any) -> Order:
        """Return the order that is asked for, by columns of a table; rows without value last."""
        name = self.sort.removeprefix(DESCENDING) or "id"
        columns = (kind.id,) if name == "id" else (getattr(kind, name), kind.id)
        return Order(columns, descending=self.sort.startswith(DESCENDING))

    def key(self, order: Order) -> Key | None:
        """Return where the last page ended, None for the first; refuse what is no `next`."""
        if self.after is None:
            return None
        try:
            sort, *parts = from_json(urlsafe_b64decode(self.after + "=" * (-len(self.after) % 4)))
            if sort == self.sort and len(parts) == len(order.columns):
                return tuple(
                    _read(part, column, may_be_empty=place == 0 and order.has_gaps)
                    for place, (part, column) in enumerate(zip(parts, order.columns, strict=True))
                )
        except (ValueError, TypeError, ValidationError) as error:
            raise Invalid(Problem("/after", "This is not the `next` of a page.")) from error
        raise Invalid(Problem("/after", "This is the `next` of a page of another list or order."))

    def cursor(self, key: Key) -> str:
        """Return where a page ended, as a text that says nothing to clients."""
        return urlsafe_b64encode(to_json([self.sort, *key])).decode().rstrip("=")


def _read(part: object, column: Any, *, may_be_empty: bool) -> Any:
    if part is None and may_be_empty:
        return None
    kind = getattr(column.type, "impl", column.type)
    return PARTS[kind.python_type].validate_json(to_json(part))


Limit = Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="How many at most; CSV has all.")]
After = Annotated[
    str | None, Query(max_length=LONGEST_CURSOR, description="The `next` of the page before.")
]


async def page_query(
    request: Request, user: CurrentUser, limit: Limit = USUAL_PAGE, after: After = None
) -> PageQuery:
    return PageQuery(limit, after, sheet=sheet_for(request, user))


Paging = Annotated[PageQuery, Depends(page_query)]
"""Of a list that has one order only: by id, if it is not told another."""


def sorted_by(*columns: str, usually: str = "id") -> Any:
    """Return the dependency of a list that can be sorted by these columns, either way."""
    choices = [each for column in columns for each in (column, DESCENDING + column)]

    async def query(
        request: Request,
        user: CurrentUser,
        limit: Limit = USUAL_PAGE,
        after: After = None,
        sort: Annotated[
            str,
            Query(
                max_length=100,
                description="In which order; a minus turns it round. Whatever has no value comes "
                "last. A `next` belongs to its order.",
                json_schema_extra={"enum": choices},
            ),
        ] = usually,
    ) -> PageQuery:
        if sort not in choices:
            raise Invalid(Problem("/sort", unknown("order", sort, choices)))
        return PageQuery(limit, after, sort, sheet_for(request, user))

    return Depends(query)


Shown = TypeVar("Shown", bound=Read)


async def page_of(
    session: AsyncSession,
    wanted: Wanted,
    paging: PageQuery,
    read: type[Shown],
    *,
    order: Order | None = None,
    shown: Callable[[Sequence[Any]], Awaitable[Sequence[Shown]]] | None = None,
) -> Page[Shown]:
    """Return a part of the rows wanted, in an order of their own or in the one asked for.

    `shown` makes what clients read of rows, where it takes more than the row itself.
    """

    async def show(rows: Sequence[Any]) -> Sequence[Shown]:
        if shown is not None:
            return await shown(rows)
        return [read.model_validate(row) for row in rows]

    order = order or paging.order_of(wanted.column_descriptions[0]["entity"])
    after = paging.key(order)
    if paging.sheet is not None:
        paging.sheet.is_of_rows = True
        paging.sheet.begin(list(read.model_fields))
        async for rows in all_in_parts(session, wanted, order, after, ROWS_AT_ONCE):
            paging.sheet.add(await show(rows))
        return Page(items=[])
    rows = await rows_after(session, wanted, order, after, paging.limit + 1)
    more = len(rows) > paging.limit
    part = rows[: paging.limit]
    return Page(
        items=list(await show(part)),
        next=paging.cursor(order.key_of(part[-1])) if more else None,
    )


def page_among(
    known: Sequence[Shown], paging: PageQuery, name: str, read: type[Shown]
) -> Page[Shown]:
    """Return a part of a list that is no table; each of its rows has a name of its own."""
    names = [getattr(each, name) for each in known]
    start = 0 if paging.after is None else _place_after(paging.after, names)
    if paging.sheet is not None:
        paging.sheet.begin(list(read.model_fields))
        paging.sheet.add(known[start:])
        return Page(items=[])
    end = start + paging.limit
    return Page(items=list(known[start:end]), next=names[end - 1] if end < len(names) else None)


def _place_after(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise Invalid(Problem("/after", "This is not the `next` of a page."))
    return names.index(name) + 1
