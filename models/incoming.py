"""What comes in: what mails, calls, messages and forms have in common, read and normalised."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from models import clock
from models.contact_point import (
    ContactPoint,
    ContactPointKind,
    as_compared,
    email_or_text,
    first_compared,
    phone_or_text,
)
from models.crm_activity import CrmActivityKind
from models.inbound import Inbound, InboundKind, as_key, digest_of, key_within
from models.inputs import LONGEST_TEXT
from models.mail_headers import Automatic
from models.mail_reading import Attachment, IncomingMail
from models.occasion import CallOccasion, FormOccasion, MessageOccasion, Occasion
from models.phone_number import is_internal
from models.stage_entry import Cause
from models.user import User

TOLD_BY_KEY_AND_ADDRESS = {"channel", "form", "phone", "handle", "phones", "emails"}
"""What may be written otherwise when the same thing is handed in again."""

RECORDING, DURATION = "recording_url", "seconds"
"""What telephone systems often tell of a call only when they hand it in again."""

LONGEST_TITLE = 200
"""Characters of what people call something."""

OUR_ID = re.compile(rb"<[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}@[^<>\s]{1,255}>")
"""A Message-ID of ours, as a bounce shows it within the mail that has come back."""

MOST_LOOKED_AT = 200_000
"""Bytes of a bounce that are searched for it."""

NOTED_AS = {
    InboundKind.EMAIL: CrmActivityKind.EMAIL,
    InboundKind.CALL: CrmActivityKind.CALL,
    InboundKind.MESSAGE: CrmActivityKind.MESSAGE,
    InboundKind.FORM: CrmActivityKind.FORM,
}


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """One mail, call, message or form; of a call that we made, too.

    `id` is what another system calls it. `sender` is the other side as written, `address` as it is
    compared, `handle` what they are called in the channel of a message, `points` all phones and
    addresses of theirs; `senders` are others who are named as having sent a mail. `what` says in a
    word or two what it is ("Missed call"). `user_id` is who of us talked, `responsible_id` who
    shall be for a lead that is made of it, which takes `comments` and `custom` fields too; `user`
    and `responsible` are they, once it is seen that they are there.
    """

    kind: InboundKind
    key: str
    id: str = ""
    what: str
    source: str
    sender: str | None
    address: str | None
    points: Sequence[ContactPoint] = ()
    senders: Sequence[str] = ()
    name: str = ""
    subject: str = ""
    text: str = ""
    result: str | None = None
    happened_at: datetime
    lasts: timedelta | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    references: Sequence[str] = ()
    automatic: Automatic | None = None
    outgoing: bool = False
    answered: bool = True
    user_id: int | None = None
    responsible_id: int | None = None
    user: User | None = None
    responsible: User | None = None
    comments: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)
    line: str | None = None
    region: str = ""
    channel: str | None = None
    handle: str | None = None
    form: str = ""

    @property
    def noted_as(self) -> CrmActivityKind:
        return NOTED_AS[self.kind]

    @property
    def who(self) -> str:
        """Who it came from, in words, or who was called."""
        return self.name or self.sender or "somebody unknown"

    @property
    def title(self) -> str:
        """What people call what is made of it."""
        return in_short(self.subject or self.told)

    @property
    def told(self) -> str:
        """The beginning of a sentence: "Missed call from +49301234567"."""
        return f"{self.what} {'to' if self.outgoing else 'from'} {self.who}"

    @property
    def phone(self) -> str | None:
        """The number that people call back."""
        if self.kind not in {InboundKind.CALL, InboundKind.MESSAGE}:
            return None
        phones = [each.raw for each in self.points if each.kind is ContactPointKind.PHONE]
        return next(iter(phones), None)

    @property
    def is_internal(self) -> bool:
        """Whether all that is known of the other side is a number too short for anybody outside."""
        if self.kind not in {InboundKind.CALL, InboundKind.MESSAGE} or self.handle is not None:
            return False
        return self.address is not None and is_internal(self.address)

    @property
    def names(self) -> list[str]:
        """What is claimed for it: only one at a time may look for the same sender, and be first."""
        points = [
            f"inbound {each.kind} {as_compared(each.value)}" for each in self.points if each.value
        ]
        senders = filter(None, dict.fromkeys((self.address, self.handle)))
        known = [f"inbound from {each}" for each in senders]
        return [f"inbound {self.kind} {self.key}", *points, *known]

    @property
    def cause(self) -> Cause:
        """Who has brought it about: the client, or who of us called them."""
        return Cause.person(self.user) if self.outgoing and self.user else Cause.client()

    def is_again(self, before: Inbound) -> bool:
        """Tell whether this is what was stored before under its key.

        A mailing list may write something else below a mail each time that it sends it. Recording
        and duration of a call may be told once only.
        """
        if (self.address or self.sender) != (before.address or before.sender):
            return False
        if self.kind is InboundKind.EMAIL:
            return True
        if self._of_form(self.content) != self._of_form(before.content):
            return False
        told_once = {
            name
            for name in (RECORDING, DURATION)
            if not (self.content.get(name) and before.content.get(name))
        }
        beside = TOLD_BY_KEY_AND_ADDRESS | told_once
        return _without(beside, self.content) == _without(beside, before.content)

    def _of_form(self, content: Mapping[str, Any]) -> list[str]:
        """Return the phones and addresses in a form as they are compared."""
        points = _points(content.get("phones", []), content.get("emails", []), self.region)
        return [as_compared(each.value or each.raw) for each in points]

    def left_out_of(self, before: Inbound) -> dict[str, Any]:
        """Return what is told of the same call now, and was not before."""
        return {
            name: self.content[name]
            for name in (RECORDING, DURATION)
            if self.content.get(name) and not before.content.get(name)
        }

    def occasion(self, item_ids: Sequence[int], cause: Cause) -> Occasion:
        """Return what has happened to these items."""
        happened: dict[str, Any] = {
            "item_ids": tuple(item_ids),
            "cause": cause,
            "text": in_short(f"{self.told}: «{self.title}»" if self.subject else self.told),
        }
        match self.kind:
            case InboundKind.EMAIL:
                return Occasion(trigger="email_received", **happened)
            case InboundKind.MESSAGE:
                return MessageOccasion(trigger="message_received", channel=self.channel, **happened)
            case InboundKind.FORM:
                return FormOccasion(trigger="form_submitted", form=self.form, **happened)
            case InboundKind.CALL:
                answered = "incoming_call" if self.answered else "missed_call"
                trigger = "outgoing_call" if self.outgoing else answered
                return CallOccasion(trigger=trigger, line=self.line, region=self.region, **happened)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What the telephone system tells of a call that has ended; `phone` is the other side's."""

    id: str
    phone: str | None
    outgoing: bool
    answered: bool
    line: str | None
    started_at: datetime
    seconds: int
    recording_url: str | None
    user_id: int | None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A text that has come through a channel, from a phone or from whoever has that handle."""

    id: str
    channel: str
    phone: str | None
    handle: str | None
    name: str
    text: str
    sent_at: datetime


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form as it was filled in; `code` is which. `utm` and `pages` tell the visitor's way."""

    key: str
    code: str
    name: str
    phones: Sequence[str]
    emails: Sequence[str]
    company: str | None
    comments: str | None
    custom: Mapping[str, Any]
    source: str | None
    utm: Mapping[str, str]
    pages: Sequence[str]
    responsible_id: int | None
    filled_in_at: datetime


def of_mail(raw: bytes, mail: IncomingMail) -> Incoming:
    """Return a mail that was read."""
    point = email_or_text(mail.sender) if mail.sender else None
    references = [as_key(each) for each in mail.references]
    if mail.automatic is Automatic.BOUNCE:
        references += [each.decode() for each in OUR_ID.findall(raw[:MOST_LOOKED_AT])]
    files = ", ".join(_told(each) for each in mail.attachments)
    text = f"{mail.text}\n\nAttached: {files}" if files else mail.text
    return Incoming(
        kind=InboundKind.EMAIL,
        key=as_key(mail.message_id) if mail.message_id else digest_of(raw),
        what="E-mail" if mail.automatic is None else mail.automatic.capitalize(),
        source="E-mail",
        sender=mail.sender_raw or mail.sender,
        address=first_compared([point] if point else []),
        points=[point] if point else [],
        senders=mail.senders,
        name=mail.sender_name,
        subject=mail.subject,
        text=text[:LONGEST_TEXT],
        happened_at=_past(mail.sent_at),
        content={
            "recipients": list(mail.recipients),
            "references": list(mail.references),
            "automatic": mail.automatic,
            "attachments": [
                {"name": each.name, "media_type": each.media_type, "size": each.size}
                for each in mail.attachments
            ],
        },
        raw=raw,
        references=references,
        automatic=mail.automatic,
    )


def of_call(call: Call, region: str) -> Incoming:
    """Return a call; `region` is the country of numbers without a prefix."""
    point = phone_or_text(call.phone, region=region) if call.phone else None
    missed = "Call without an answer" if call.outgoing else "Missed call"
    said = {"Line": call.line, "Recording": call.recording_url}
    return Incoming(
        kind=InboundKind.CALL,
        key=as_key(call.id.strip()),
        id=call.id,
        what="Call" if call.answered else missed,
        source="Call",
        sender=call.phone,
        address=first_compared([point] if point else []),
        points=[point] if point and point.value else [],
        text=in_lines(said),
        result=None if call.answered else "missed",
        happened_at=_past(call.started_at),
        lasts=timedelta(seconds=call.seconds),
        content={
            "direction": "outgoing" if call.outgoing else "incoming",
            "line": call.line,
            DURATION: call.seconds,
            "answered": call.answered,
            RECORDING: call.recording_url,
            "user_id": call.user_id,
        },
        outgoing=call.outgoing,
        answered=call.answered,
        user_id=call.user_id,
        line=call.line,
        region=region,
    )


def of_message(message: Message, region: str) -> Incoming:
    """Return a message; `region` is the country of numbers without a prefix."""
    point = phone_or_text(message.phone, region=region) if message.phone else None
    handle = key_within(message.channel, message.handle.casefold()) if message.handle else None
    number = point.value if point else None
    return Incoming(
        kind=InboundKind.MESSAGE,
        key=key_within(message.channel, message.id),
        id=message.id,
        what="Message",
        source=message.channel,
        sender=message.phone or message.handle,
        address=number or handle,
        points=[point] if point and number else [],
        name=message.name,
        text=message.text,
        happened_at=_past(message.sent_at),
        content={
            "channel": message.channel,
            "phone": message.phone,
            "handle": message.handle,
            "text": message.text,
        },
        channel=message.channel,
        handle=handle,
    )


def of_form(form: Form, region: str) -> Incoming:
    """Return a form; what visitors write for a phone or an address is kept, whatever it is."""
    points = _points(form.phones, form.emails, region)
    said = {
        "Name": form.name,
        "Phones": form.phones,
        "E-mails": form.emails,
        "Company": form.company,
        "Comments": form.comments,
        **form.custom,
        "UTM": form.utm,
        "Pages": form.pages,
    }
    firm = {"Company": form.company}
    return Incoming(
        kind=InboundKind.FORM,
        key=key_within(form.code, form.key),
        id=form.key,
        what=f"Form «{form.code}»",
        source=form.source or "Form",
        sender=next((each.raw for each in points), form.name or None),
        address=first_compared(points),
        points=points,
        name=form.name,
        text=in_lines(said)[:LONGEST_TEXT],
        happened_at=_past(form.filled_in_at),
        content={
            "form": form.code,
            "name": form.name,
            "phones": list(form.phones),
            "emails": list(form.emails),
            "company": form.company,
            "comments": form.comments,
            "custom": dict(form.custom),
            "utm": dict(form.utm),
            "pages": list(form.pages),
        },
        responsible_id=form.responsible_id,
        custom=form.custom,
        comments="\n".join(filter(None, [form.comments, in_lines(firm)])) or None,
        form=form.code,
        region=region,
    )


def _points(phones: Iterable[str], emails: Iterable[str], region: str) -> list[ContactPoint]:
    """Read the phones and addresses of a form; what is none is kept as it was written."""
    return [
        *(phone_or_text(each, region=region) for each in phones),
        *(email_or_text(each) for each in emails),
    ]


def names_of(name: str) -> tuple[str | None, str | None]:
    """Return first and last name of somebody who is called so: "Berg, Anna" or "Anna Berg"."""
    if "@" in name:
        return None, None
    last, comma, first = name.partition(",")
    if not comma:
        first, _, last = name.partition(" ")
    return in_short(first) or None, in_short(last) or None


def in_short(text: str) -> str:
    """Return a text as a title: one line of moderate length."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"


def in_lines(said: Mapping[str, Any]) -> str:
    """Return what was said as lines, what is empty left out: "Line: Berlin"."""
    return "\n".join(f"{name}: {_words(value)}" for name, value in said.items() if value)


def _without(names: Collection[str], content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said for name, said in content.items() if name not in names}


def _words(value: object) -> str:
    match value:
        case str():
            return value
        case Mapping():
            return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
        case Iterable():
            return ", ".join(_words(each) for each in value)
    return str(value)


def _told(file: Attachment) -> str:
    return f"{file.name} ({max(1, round(file.size / 1000))} kB)"


def _past(moment: datetime | None) -> datetime:
    """Return when something came in: the clocks of others may be ahead."""
    return min(moment or clock.now(), clock.now())
