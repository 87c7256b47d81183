"""History: what was ever noted, of all items and clients together."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.dependencies import CurrentUser, ReadSession
from api.items import HistoryRead, NewestFirst
from api.paging import page_of
from api.routing import resource
from api.schemas import Filter, Id, Moment, Page, ShortText
from models.history import HistoryKind, history_for
from models.item_type import ItemType

router = resource("items", "/history")


class HistoryFilter(Filter):
    """Which lines to list. Stage, pipeline and responsible are those of the item at that time."""

    kind: HistoryKind | None = None
    item_id: Id | None = None
    item_type: ItemType | None = None
    subject_type: ShortText | None = Field(default=None, examples=["contact"])
    subject_id: Id | None = None
    author_id: Id | None = None
    rule_id: Id | None = None
    run_id: Id | None = None
    pipeline_id: Id | None = None
    stage_id: Id | None = None
    responsible_id: Id | None = None
    field: ShortText | None = Field(default=None, description="The field that was changed.")
    created_from: Moment | None = None
    created_to: Moment | None = None


@router.get("", name="list_all_history")
async def list_history(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[HistoryFilter, Query()],
    paging: NewestFirst,
) -> Page[HistoryRead]:
    """Return what was noted of items within your reach, and of clients, newest first."""
    return await page_of(session, history_for(user, **where.asked()), paging, HistoryRead)
