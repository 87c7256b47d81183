"""Incoming contacts: mails, calls, messages and forms are handed in, and what came of each."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from fastapi import Depends, Query, Request, Response, status
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from api.dependencies import (
    CurrentUser,
    ReadSession,
    Session,
    only,
)
from api.files import FileAnswer, documented
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    AS_WRITTEN,
    Count,
    Custom,
    Emails,
    EmailText,
    Filter,
    Id,
    LongText,
    Moment,
    Name,
    Page,
    Phones,
    PhoneText,
    Read,
    SearchText,
    ShortText,
    Write,
    YesOrNo,
)
from models import clock
from models.access import MANAGING
from models.crm_activity import CrmActivityDirection
from models.document import DocumentFile
from models.document_template import file_name
from models.inbound import (
    Inbound,
    InboundKind,
    InboundOutcome,
    find_inbound,
    inbound_where,
    raw_of,
    reached_inbound,
)
from models.incoming import Call, Form, Message
from models.inputs import LONGEST_VALUE, SEEN_LINE, SEEN_LINES
from models.intake import (
    Received,
    Reception,
    receive_call,
    receive_form,
    receive_message,
)
from models.mail_headers import EARLIEST
from models.settings import Settings

router = resource("inbound", "/inbound")

MAIL_TYPE = "message/rfc822"

TO_HAND_IN = "hand in what came in"

LONGEST_CALL = 7 * 24 * 60 * 60
"""Seconds."""

AHEAD = timedelta(days=1)
"""By which the clocks of others may be ahead; then something happened now."""

MOST_UTM = 20


def _happened(moment: datetime) -> datetime:
    if moment < EARLIEST:
        raise ValueError(f"this is before {EARLIEST.year}")
    if moment > clock.now() + AHEAD:
        raise ValueError("this is more than a day ahead: it cannot have happened yet")
    return moment


def _with_words(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing but spaces in it")
    return text


Given = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_VALUE)
]
"""What another system calls something."""

Happened = Annotated[Moment, AfterValidator(_happened)]


class ReceivedRead(Read):
    """What came of it. Of what was `excluded` nothing was kept, and there are no ids."""

    outcome: InboundOutcome = Field(
        description="`lead`: somebody unknown became one. `noted`: for whom we know, as a CRM "
        "activity of each open item of theirs, or of the client alone. `ours`, `automatic`, "
        "`unknown` (too short a number, or one that we called), `unreadable`: kept, and nothing "
        "else. `excluded`: not even that."
    )
    sentence: str = Field(description="The same in words.")
    repeated: bool = Field(
        description="Whether it had come in before; then nothing was done, except that "
        "recording and duration of a call are kept where they had been left out."
    )
    inbound_id: int | None = Field(description="Under which it is kept.")
    lead_id: int | None = Field(description="The lead that was made of it.")
    item_ids: list[int] = Field(description="For which items it was noted.")
    crm_activity_ids: list[int] = Field(description="What was noted of it.")
    contact_id: int | None = Field(description="Whose it is, where it is a contact that we know.")
    company_id: int | None = Field(description="Whose it is, where it is a company that we know.")


class InboundRead(Read):
    """What came in, and what came of it; what was noted has its id as `inbound_id`."""

    id: int
    kind: InboundKind
    key: str = Field(
        description="The Message-ID, or what another system calls it: of a message after its "
        "channel, of a form after its code."
    )
    outcome: InboundOutcome
    reason: str = Field(description="The outcome in words.")
    sender: str | None = Field(description="Who it came from, as written, or whom we called.")
    address: str | None = Field(description="The same as it is compared.")
    subject: str
    happened_at: datetime = Field(description="When it was sent, or the call began.")
    content: dict[str, Any] = Field(description="What else was said, by name.")
    size: int | None = Field(description="Bytes of the mail.")
    contact_id: int | None
    company_id: int | None
    item_id: int | None = Field(description="The lead made of it, or the newest item concerned.")
    lead_id: int | None = Field(description="The lead that was made of it.")
    creator_id: int | None = Field(description="Whose token was used; null for mail by SMTP.")
    created_at: datetime


class InboundFilter(Filter):
    """What to list of all that came in."""

    kind: InboundKind | None = None
    outcome: InboundOutcome | None = Field(default=None, description="Of which this came.")
    key: ShortText | None = Field(
        default=None,
        description="The Message-ID, or the id of a call; of a message its channel, a colon and "
        "its id, of a form its code, a colon and its key.",
        examples=["contact:f3b1c7e0"],
    )
    address: EmailText | None = Field(
        default=None,
        description="Of the sender, however it is written: an address, a phone, or a handle after "
        "its channel.",
        examples=["anna@berg.example"],
    )
    contact_id: Id | None = None
    company_id: Id | None = None
    item_id: Id | None = None
    creator_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the subject.")
    happened_from: Moment | None = None
    happened_to: Moment | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None


class CallReceived(Write):
    """A call that has ended; sent again with the same `id`, it is known.

    Recording and duration may be told only then.
    """

    id: Annotated[Given, SEEN_LINE] = Field(
        description="What the telephone system calls it.",
        examples=["pbx-2027-000815"],
    )
    direction: CrmActivityDirection = Field(
        default=CrmActivityDirection.INCOMING, description="Whether they called, or we did."
    )
    phone: Annotated[PhoneText | None, SEEN_LINE] = Field(
        default=None,
        description="Of the other side: who called, or was called. Null if it is hidden. "
        f"{AS_WRITTEN}",
        examples=["030 1234567"],
    )
    line: Annotated[ShortText | None, SEEN_LINE] = Field(
        default=None, description="Our number or line."
    )
    answered: YesOrNo = Field(
        default=True, description="Whether anybody talked; else it is missed."
    )
    started_at: Happened = Field(default_factory=clock.now, description="Now, if left out.")
    seconds: Annotated[Count, Field(le=LONGEST_CALL)] = Field(
        default=0, description="How long it took.", examples=[95]
    )
    recording_url: Annotated[ShortText | None, SEEN_LINE] = Field(
        default=None, description="Where it can be heard."
    )
    user_id: Id | None = Field(default=None, description="Who of us talked, or tried to.")


class MessageReceived(Write):
    """A text from a phone, or from whoever is called by a handle in that channel."""

    id: Annotated[Given, SEEN_LINE] = Field(description="Once only within the channel.")
    channel: Annotated[Name, SEEN_LINE] = Field(
        description="Through which it came.", examples=["SMS"]
    )
    phone: Annotated[PhoneText | None, SEEN_LINE] = Field(default=None, description=AS_WRITTEN)
    handle: Annotated[Given | None, SEEN_LINE] = Field(
        default=None,
        description="What they are called there, in any capitals.",
        examples=["@anna"],
    )
    name: Annotated[ShortText, SEEN_LINE] = Field(
        default="", description="What they call themselves there."
    )
    text: Annotated[LongText, SEEN_LINES, AfterValidator(_with_words)] = Field(min_length=1)
    sent_at: Happened = Field(default_factory=clock.now, description="Now, if left out.")

    @model_validator(mode="after")
    def _from_somebody(self) -> Self:
        if not ((self.phone or "").strip() or self.handle):
            raise ValueError("say who it came from: send phone or handle")
        return self


class FormReceived(Write):
    """A form as a visitor has filled it in. What is no phone or address is kept as written."""

    key: Annotated[Given, SEEN_LINE] = Field(
        description="One for each time that this form is sent off: sent again, it is known.",
        examples=["f3b1c7e0"],
    )
    form: Annotated[Name, SEEN_LINE] = Field(
        description="Which form, by name or code.", examples=["contact"]
    )
    name: Annotated[ShortText, SEEN_LINE] = ""
    phones: Annotated[Phones, SEEN_LINE] = []
    emails: Annotated[Emails, SEEN_LINE] = []
    company: Annotated[Name | None, SEEN_LINE] = Field(
        default=None, description="The firm that is named."
    )
    comments: Annotated[LongText | None, SEEN_LINES] = None
    custom: Annotated[Custom, SEEN_LINES] = Field(
        default={},
        description="Values of custom fields of leads, by name, of the kinds that "
        "`/v1/field-definitions` tell.",
    )
    source: Annotated[ShortText | None, SEEN_LINE] = Field(
        default=None, description="Of the lead; or «Form»."
    )
    utm: Annotated[dict[Name, ShortText], Field(max_length=MOST_UTM), SEEN_LINE] = Field(
        default={}, description="Where the visitor came from.", examples=[{"source": "newsletter"}]
    )
    pages: Annotated[list[ShortText], Field(max_length=50), SEEN_LINE] = Field(
        default=[], description="The pages that the visitor has seen, the form's own last."
    )
    responsible_id: Id | None = Field(
        default=None, description="Who is responsible for a lead that is made of it."
    )
    filled_in_at: Happened = Field(default_factory=clock.now, description="Now, if left out.")


class MailAnswer(FileAnswer):
    media_type = MAIL_TYPE


async def _reception(request: Request, user: CurrentUser) -> Reception:
    settings: Settings = request.app.state.settings
    return Reception(settings.url, settings.mail_from, user)


async def _present(session: Session, user: CurrentUser, inbound_id: Id) -> Inbound:
    return await reached_inbound(session, user, await find_inbound(session, inbound_id))


WHO_HANDS_IN = only(*MANAGING, to=TO_HAND_IN)
"""They are believed: whose call it was, and who has sent it."""

At = Annotated[Reception, Depends(_reception)]
PresentInbound = Annotated[Inbound, Depends(_present)]
NewestFirst = Annotated[PageQuery, sorted_by("id", "happened_at", usually="-id")]

STATUS: Mapping[bool, int] = {True: status.HTTP_201_CREATED, False: status.HTTP_200_OK}
TAKEN: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ReceivedRead,
        "description": "It had come in before, or is excluded: nothing was stored now.",
    }
}


def told(received: Received, response: Response) -> ReceivedRead:
    """Return what came of something, and answer 201 if it was stored just now."""
    response.status_code = STATUS[received.is_new]
    return ReceivedRead.model_validate(received)


def _call_of(sent: CallReceived) -> Call:
    fields = sent.model_dump()
    outgoing = fields.pop("direction") is CrmActivityDirection.OUTGOING
    return Call(outgoing=outgoing, **fields)


def _form_of(sent: FormReceived) -> Form:
    fields = sent.model_dump()
    return Form(code=fields.pop("form"), **fields)


@router.get("")
async def list_inbound(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[InboundFilter, Query()],
    paging: NewestFirst,
) -> Page[InboundRead]:
    """Return what came in for what is within your reach, or by your token, newest first.

    `outcome=unreadable` is what nobody could be found for. What came from somebody on the
    exceptions list was not kept, and is not here.
    """
    wanted = await inbound_where(session, user, **where.asked())
    return await page_of(session, wanted, paging, InboundRead)


@router.post(
    "/calls",
    name="receive_call",
    status_code=status.HTTP_201_CREATED,
    dependencies=[WHO_HANDS_IN],
    responses=TAKEN,
)
async def hand_in_call(
    session: Session, at: At, sent: CallReceived, response: Response
) -> ReceivedRead:
    """Hand in a call when it has ended, incoming or outgoing, answered or missed.

    Callers are looked up as senders of mail are, by the number, however it is written. A hidden
    number makes no lead, nor does one too short for anybody outside, nor a call of ours to somebody
    unknown; all of them are kept. Handed in again, the same call is not stored twice; where
    `recording_url` or `seconds` had been left out, they are kept then, with what was noted of it.
    Another call with the same id (of another number, in the other direction, or that took longer)
    is refused. This is for managers and administrators.
    """
    return told(await receive_call(session, _call_of(sent), at), response)


@router.post(
    "/messages",
    name="receive_message",
    status_code=status.HTTP_201_CREATED,
    dependencies=[WHO_HANDS_IN],
    responses=TAKEN,
)
async def hand_in_message(
    session: Session, at: At, sent: MessageReceived, response: Response
) -> ReceivedRead:
    """Hand in a message of a channel such as SMS or a messenger.

    Senders are looked up as those of mail are, by phone; by handle, if they have written before,
    with their phone or without. A number too short for anybody outside makes no lead, as of calls.
    Another message with the same id in that channel is refused. This is for managers and
    administrators.
    """
    return told(await receive_message(session, Message(**sent.model_dump()), at), response)


@router.post(
    "/forms",
    name="receive_form",
    status_code=status.HTTP_201_CREATED,
    dependencies=[WHO_HANDS_IN],
    responses=TAKEN,
)
async def hand_in_form(
    session: Session, at: At, sent: FormReceived, response: Response
) -> ReceivedRead:
    """Hand in a web form.

    The exceptions list never blocks it. A client is known by any of the phones and addresses in it;
    whoever is not becomes a lead with what was filled in. Another one with the same key of the same
    form is refused. This is for managers and administrators.
    """
    return told(await receive_form(session, _form_of(sent), at), response)


@router.get("/{inbound_id}")
async def read_inbound(inbound: PresentInbound) -> InboundRead:
    """Return what came in, and what came of it."""
    return InboundRead.model_validate(inbound)


@router.get(
    "/{inbound_id}/raw",
    name="read_raw_inbound",
    response_class=MailAnswer,
    responses=documented(MailAnswer),
)
async def read_raw(session: ReadSession, inbound: PresentInbound) -> Response:
    """Return a mail as it arrived, to be saved as `.eml`; what it holds is not to be trusted."""
    raw = await raw_of(session, inbound)
    return MailAnswer.download(DocumentFile(file_name(inbound.subject, "eml"), MAIL_TYPE, raw))
