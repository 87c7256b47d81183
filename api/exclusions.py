"""The exceptions list: phones, addresses and mail domains that the CRM ignores."""

from asyncio import to_thread
from datetime import datetime
from email.message import Message
from typing import Annotated

from fastapi import Depends, Query, Request, status
from pydantic import Field

from api.dependencies import (
    CurrentUser,
    IfMatch,
    ReadSession,
    Session,
    Token,
    before_the_transaction,
    only,
)
from api.files import body_of, sent_file
from api.item_resource import ItemRead
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    EmailText,
    Filter,
    Id,
    Moment,
    Page,
    PhoneText,
    Read,
    SearchText,
    ShortText,
    Version,
    Write,
)
from api.sheets import CSV
from exchange.exclusions import SentList, read_list
from exchange.lines import CannotLoad
from models.access import MANAGING
from models.base import find
from models.errors import Invalid, Problem
from models.excluding import undo_exclusion
from models.exclusion import (
    LONGEST_VALUE,
    Exclusion,
    ExclusionKind,
    add_exclusion,
    add_exclusions,
    exclusions_where,
    find_listed,
    look_up,
    take_off,
)
from models.installation import installation

router = resource("exclusions", "/exclusions")
lists = resource("exclusions", "/exclusions")
"""They ask who is asking by themselves: before a transaction begins, the list is read."""

FILE = "/file"
"""How the body is called where something is wrong with it."""

TO_CHANGE = "change or take back what is on the exceptions list"

SENT = body_of(
    CSV,
    "The list itself, as the body: `curl --data-binary @exceptions.csv …`.",
    binary=False,
)


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
    value: Annotated[str, Field(min_length=1, max_length=LONGEST_VALUE)]
    comment: ShortText | None = None


class ExclusionUpdate(Write):
    """Another value is another exclusion: delete this one and create that."""

    comment: ShortText | None


class Undo(Write):
    run_id: Id = Field(description="A run of «Add to exceptions».")


class ExclusionLookup(Filter):
    """Whom to look for: a phone, an address, or both."""

    phone: PhoneText | None = None
    email: EmailText | None = Field(default=None, description="In any spelling.")


class ExclusionLookedUp(Read):
    """Of two entries that both fit, the address comes before its domain."""

    value: str = Field(description="The phone or address, as others are compared with it.")
    excluded: bool = Field(description="Whether the CRM ignores whoever uses it.")
    exclusion: ExclusionRead | None = Field(description="By which entry; null for none.")


class ExclusionCheckRead(Read):
    """What was asked about; the other is null."""

    phone: ExclusionLookedUp | None = Field(default=None, description="What came of the phone.")
    email: ExclusionLookedUp | None = Field(default=None, description="What came of the address.")


class ImportQuery(Filter):
    """How to import."""

    dry: bool = Field(default=False, description="Only tell what would come of it.")


class UnreadLine(Read):
    """A line that was left out, and why."""

    line: int = Field(description="Where it begins, counted from 1.", examples=[7])
    column: str | None = Field(description="In which column; null for the line as a whole.")
    reason: str


class ImportRead(Read):
    """What came of it: lines are added, present, or unread. None is changed that is present."""

    dry: bool = Field(description="Whether nothing was added, and this is what would be.")
    added: int = Field(description="How many were not on the list.")
    present: int = Field(description="How many were, or stand in the file twice.")
    unread: list[UnreadLine] = Field(description="Every line that could not be read, in order.")
    ignored: list[str] = Field(description="Columns that say nothing which the list keeps.")


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


async def _locked_by_value(
    session: Session,
    match: IfMatch,
    kind: Annotated[ExclusionKind, Query(description="Of which kind it is.")],
    value: Annotated[EmailText, Query(description="The phone, address or domain, as you like.")],
) -> Exclusion:
    return match.of(await find_listed(session, kind, value))


async def _sent_list(request: Request, token: Token) -> SentList:
    async with before_the_transaction(request, token, *MANAGING, to=TO_CHANGE) as session:
        region = (await installation(session)).phone_region
    content = await sent_file(request, FILE, example="exceptions.csv")
    message = Message()
    message["Content-Type"] = request.headers.get("Content-Type", CSV)
    charset = message.get_content_charset()
    try:
        return await to_thread(read_list, content, charset=charset, region=region)
    except CannotLoad as refusal:
        raise Invalid(Problem(FILE, f"The list cannot be read: {refusal}.")) from refusal


FoundExclusion = Annotated[Exclusion, Depends(_found)]
LockedExclusion = Annotated[Exclusion, Depends(_locked)]
ListedExclusion = Annotated[Exclusion, Depends(_locked_by_value)]

NEW_LIST = Depends(_sent_list)
"""Stands first among the `dependencies` of a route: what opens a transaction comes after it."""

MANAGERS = only(*MANAGING, to=TO_CHANGE)


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
    the same one. An address is just that one: `anna+shop@firm.com` is another than
    `anna@firm.com`. A domain is just that one: those below it (`mail.firm.com` of `firm.com`) are
    listed by themselves. Everybody lists phones and addresses, managers and administrators also
    domains; they alone take back what is on the list, and import one.
    """
    exclusion = await add_exclusion(session, new.kind, new.value, comment=new.comment, by=user)
    return ExclusionRead.model_validate(exclusion)


@router.post("/undo", name="undo_exclusion", dependencies=[MANAGERS])
async def undo(session: Session, user: CurrentUser, which: Undo) -> ItemRead:
    """Take back what a rule put on the list: its item, clients and addresses; no rules run."""
    return ItemRead.model_validate(await undo_exclusion(session, which.run_id, user))


@router.get("/check")
async def read_exclusion_check(
    session: ReadSession, where: Annotated[ExclusionLookup, Query()]
) -> ExclusionCheckRead:
    """Tell whether a phone or an address is on the list, and by which entry.

    It may be written in any way; an address is also found by its domain.
    """
    found = await look_up(session, number=where.phone, address=where.email)
    return ExclusionCheckRead.model_validate(found)


@lists.post(
    "/import", name="import_exclusions", dependencies=[NEW_LIST, MANAGERS], openapi_extra=SENT
)
async def import_list(
    session: Session,
    user: CurrentUser,
    how: Annotated[ImportQuery, Query()],
    sent: Annotated[SentList, NEW_LIST],
) -> ImportRead:
    """Put the values of a CSV file on the list: what can be read is added, all else is told.

    The first line names the columns: `value`, and `kind` and `comment` where they are there; a
    kind that is left out is guessed, and a file of values alone needs no first line. So the list
    that `GET /v1/exclusions` gives as CSV can be sent as it is. Commas, semicolons or tabs part the
    columns. The text is UTF-8 or UTF-16, or what `charset` in the Content-Type says. At most 5,000
    lines and 1 MiB at once. Sent again it adds nothing.
    """
    added, present = await add_exclusions(session, sent.listed, user, dry=how.dry)
    unread = [
        UnreadLine(line=each.number, column=each.column or None, reason=each.reason)
        for each in sent.bad
    ]
    ignored = list(sent.ignored)
    return ImportRead(dry=how.dry, added=added, present=present, unread=unread, ignored=ignored)


@router.delete("", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS])
async def delete_exclusion_by_value(session: Session, exclusion: ListedExclusion) -> None:
    """Take a value off the list without knowing its id; it may be written in any way."""
    await take_off(session, exclusion)


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
    """Take a value off the list, whoever has put it there."""
    await take_off(session, exclusion)
