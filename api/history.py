"""History: what was ever noted, of all items and clients together, and how often."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from api.dependencies import CurrentUser, ReadSession
from api.items import HistoryRead, NewestFirst
from api.paging import Paging, page_among, page_of
from api.routing import resource
from api.schemas import Filter, Id, Moment, Page, Read, ShortText
from models.history import HistoryKind, history_for
from models.history_counts import CountedBy, count_history
from models.item_type import ItemType

router = resource("items", "/history")


class HistoryFilter(Filter):
    """Which lines are wanted; stage, pipeline and responsible are the item's at that time."""

    kind: list[HistoryKind] | None = Field(
        default=None, description="Of these kinds; say it again for each."
    )
    item_id: Id | None = None
    item_type: ItemType | None = None
    subject_type: ShortText | None = Field(
        default=None, description="What the line speaks of.", examples=["contact"]
    )
    subject_id: Id | None = None
    author_id: Id | None = None
    rule_id: Id | None = None
    trigger_id: Id | None = None
    run_id: Id | None = None
    pipeline_id: Id | None = None
    stage_id: Id | None = None
    responsible_id: Id | None = None
    field: ShortText | None = Field(default=None, description="The field that was changed.")
    created_from: Moment | None = None
    created_to: Moment | None = None


class HistoryCounted(HistoryFilter):
    """Which lines to count, and what they are told apart by."""

    by: CountedBy = Field(default=CountedBy.KIND, description="What they are told apart by.")

    def lines(self) -> dict[str, Any]:
        """Return which lines to count, by name."""
        return self.model_dump(exclude_none=True, exclude={"by"})


class HistoryCountRead(Read):
    """So many lines have this value."""

    value: str = Field(
        description="The kind, the id of the person or rule, the day; `none` where there is none.",
        examples=["information", "7", "2027-08-03"],
    )
    name: str | None = Field(description="What people call whoever or whatever has this id.")
    count: int = Field(description="How many lines.")


@router.get("", name="list_all_history")
async def list_history(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[HistoryFilter, Query()],
    paging: NewestFirst,
) -> Page[HistoryRead]:
    """Return what was noted of items within your reach, and of clients, newest first.

    What was said with a client is for whoever reaches an item of theirs.
    """
    return await page_of(session, history_for(user, **where.asked()), paging, HistoryRead)


@router.get("/counts")
async def list_history_counts(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[HistoryCounted, Query()],
    paging: Paging,
) -> Page[HistoryCountRead]:
    """Return how many lines of history there are, told apart by kind, person, rule, day or others.

    The most come first; days and months, which are those of the company's time zone, come in their
    order. The filters are those of the history itself: where rules write into it that somebody is
    late, `kind=information&by=responsible` says how often each was.
    """
    counts = await count_history(session, history_for(user, **where.lines()), where.by)
    known = [HistoryCountRead.model_validate(each) for each in counts]
    return page_among(known, paging, "value", HistoryCountRead)
