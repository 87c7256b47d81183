"""The exceptions list: phones, addresses and mail domains that the CRM ignores."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session, only
from api.item_resource import ItemRead
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    EmailText,
    Filter,
    Id,
    Moment,
    Page,
    Read,
    SearchText,
    ShortText,
    Version,
    Write,
)
from models.access import MANAGING
from models.base import find
from models.exclusion import (
    Exclusion,
    ExclusionKind,
    add_exclusion,
    exclusions_where,
    undo_exclusion,
)

router = resource("exclusions", "/exclusions")

LONGEST_ADDRESS = 320


class ExclusionRead(Read):
    """`value` is what incoming calls and mails are compared with."""

    id: int
    kind: ExclusionKind
    value: str
    comment: str | None
    creator_id: int | None
    made_by_run_id: int | None
    created_at: datetime
    version: Version


class ExclusionCreate(Write):
    kind: ExclusionKind
    value: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]
    comment: ShortText | None = None


class ExclusionUpdate(Write):
    """Another value is another exclusion: delete this one and create that."""

    comment: ShortText | None


class Undo(Write):
    run_id: Id = Field(description="A run of «Add to exceptions».")


class ExclusionFilter(Filter):
    """Which exclusions to list; the value is what is compared with, as it is shown."""

    kind: ExclusionKind | None = None
    value: EmailText | None = Field(default=None, description="Exactly as it is shown.")
    q: SearchText | None = Field(default=None, description="Somewhere in the value.")
    made_by_run_id: Id | None = None
    creator_id: Id | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None


Sorted = Annotated[PageQuery, sorted_by("id", "value", "created_at")]


async def _found(session: Session, exclusion_id: Id) -> Exclusion:
    return await find(session, Exclusion, exclusion_id)


async def _locked(session: Session, exclusion_id: Id, match: IfMatch) -> Exclusion:
    return match.of(await find(session, Exclusion, exclusion_id, lock=True))


FoundExclusion = Annotated[Exclusion, Depends(_found)]
LockedExclusion = Annotated[Exclusion, Depends(_locked)]

MANAGERS = only(*MANAGING, to="change or take back what is on the exceptions list")


@router.get("")
async def list_exclusions(
    session: ReadSession, where: Annotated[ExclusionFilter, Query()], paging: Sorted
) -> Page[ExclusionRead]:
    """Return the list, oldest first, if not said otherwise."""
    return await page_of(session, exclusions_where(**where.asked()), paging, ExclusionRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_exclusion(
    session: Session, user: CurrentUser, new: ExclusionCreate
) -> ExclusionRead:
    """Put a phone, an address or a mail domain on the list.

    The CRM ignores whoever uses it. The value is kept as it is compared: another spelling of it is
    the same one.
    """
    exclusion = await add_exclusion(session, new.kind, new.value, comment=new.comment, by=user)
    return ExclusionRead.model_validate(exclusion)


@router.post("/undo", name="undo_exclusion", dependencies=[MANAGERS])
async def undo(session: Session, user: CurrentUser, which: Undo) -> ItemRead:
    """Take back what a rule put on the list: its item, clients and addresses; no rules run."""
    return ItemRead.model_validate(await undo_exclusion(session, which.run_id, user))


@router.get("/{exclusion_id}")
async def read_exclusion(exclusion: FoundExclusion) -> ExclusionRead:
    """Return one value of the list."""
    return ExclusionRead.model_validate(exclusion)


@router.patch("/{exclusion_id}", dependencies=[MANAGERS])
async def update_exclusion(
    session: Session, exclusion: LockedExclusion, sent: ExclusionUpdate
) -> ExclusionRead:
    """Change the comment."""
    exclusion.comment = sent.comment
    await session.flush()
    return ExclusionRead.model_validate(exclusion)


@router.delete("/{exclusion_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS])
async def delete_exclusion(session: Session, exclusion: LockedExclusion) -> None:
    """Take a value off the list."""
    await session.delete(exclusion)
