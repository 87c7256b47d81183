"""The recycle bin: deleted items, until somebody restores them."""

from typing import Annotated

from fastapi import Query

from api.dependencies import CurrentUser, ReadSession
from api.item_resource import ItemRead
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Filter, Id, Moment, Page
from models.item_type import ItemType
from models.recycle_bin import deleted_items

router = resource("items", "/recycle-bin")


class DeletedItemRead(ItemRead):
    deleted_by_run_id: int | None


class BinFilter(Filter):
    """Which deleted items to list."""

    type: ItemType | None = None
    responsible_id: Id | None = None
    deleted_by_run_id: Id | None = None
    deleted_from: Moment | None = None
    deleted_to: Moment | None = None


Sorted = Annotated[PageQuery, sorted_by("id", "deleted_at")]


@router.get("")
async def list_deleted_items(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[BinFilter, Query()],
    paging: Sorted,
) -> Page[DeletedItemRead]:
    """Return deleted items, oldest first; `POST /v1/items/{id}/restore` brings one back."""
    return await page_of(session, deleted_items(user, **where.asked()), paging, DeletedItemRead)
