"""The recycle bin: deleted leads and deals, until somebody restores them."""

from fastapi import APIRouter

from api.dependencies import Paging, ReadSession, page_of
from api.items import ItemRead
from api.schemas import Page
from models.recycle_bin import deleted_items

router = APIRouter(prefix="/recycle-bin", tags=["items"])


class DeletedItemRead(ItemRead):
    deleted_by_run_id: int | None


@router.get("")
async def list_deleted_items(session: ReadSession, paging: Paging) -> Page[DeletedItemRead]:
    """Return deleted items, oldest first; `POST /v1/items/{id}/restore` brings one back."""
    return await page_of(session, deleted_items(), paging, DeletedItemRead)
