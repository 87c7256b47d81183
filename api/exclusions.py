"""The exceptions list: phones, addresses and mail domains that the CRM ignores."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, status
from pydantic import Field

from api.dependencies import CurrentUser, Paging, ReadSession, Session, page_of
from api.items import ItemRead
from api.schemas import Id, Page, Read, ShortText, Write
from models.base import find
from models.exclusion import (
    Exclusion,
    ExclusionKind,
    add_exclusion,
    exclusions_where,
    undo_exclusion,
)

router = APIRouter(prefix="/exclusions", tags=["exclusions"])

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


class ExclusionCreate(Write):
    kind: ExclusionKind
    value: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]
    comment: ShortText | None = None


class ExclusionUpdate(Write):
    """Another value is another exclusion: delete this one and create that."""

    comment: ShortText | None


class Undo(Write):
    run_id: Id = Field(description="A run of «Add to exceptions».")


async def _found(session: Session, exclusion_id: Id) -> Exclusion:
    return await find(session, Exclusion, exclusion_id)


FoundExclusion = Annotated[Exclusion, Depends(_found)]


@router.get("")
async def list_exclusions(
    session: ReadSession, paging: Paging, kind: ExclusionKind | None = None
) -> Page[ExclusionRead]:
    """Return the list, oldest first."""
    return await page_of(session, exclusions_where(kind), paging, ExclusionRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_exclusion(
    session: Session, user: CurrentUser, new: ExclusionCreate
) -> ExclusionRead:
    """Put a phone, an address or a mail domain on the list."""
    exclusion = await add_exclusion(session, new.kind, new.value, comment=new.comment, by=user)
    return ExclusionRead.model_validate(exclusion)


@router.post("/undo")
async def undo(session: Session, user: CurrentUser, which: Undo) -> ItemRead:
    """Take back what a rule put on the list: its item, clients and addresses; no rules run."""
    return ItemRead.model_validate(await undo_exclusion(session, which.run_id, user))


@router.get("/{exclusion_id}")
async def read_exclusion(exclusion: FoundExclusion) -> ExclusionRead:
    """Return one value of the list."""
    return ExclusionRead.model_validate(exclusion)


@router.patch("/{exclusion_id}")
async def update_exclusion(exclusion: FoundExclusion, sent: ExclusionUpdate) -> ExclusionRead:
    """Change the comment."""
    exclusion.comment = sent.comment
    return ExclusionRead.model_validate(exclusion)


@router.delete("/{exclusion_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_exclusion(session: Session, exclusion: FoundExclusion) -> None:
    """Take a value off the list."""
    await session.delete(exclusion)
