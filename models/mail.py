"""Mail: what the delivery of one keeps, and the very same message made of it as often as needed."""

import re
from collections.abc import Sequence
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import NamedTuple

from email_validator import validate_email
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.delivery import Delivery, DeliveryKind, DeliveryState
from models.document import DocumentFile, documents_named, file_of
from models.installation import installation
from models.tracking import tracked

MOST_REFERENCES = 20

LONGEST_NAME = 100
"""Characters of a person's name in a header."""

CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
PLAIN_NAME = re.compile(r"[A-Za-z0-9 ]+")
ENCODED_WORD = "=?"


class EmailContent(BaseModel):
    """`sent_from` is the address it comes from, `reply_to` that of whoever is named as sender.

    `text` is what is read where HTML is not; `html` is safe. `attachments` are ids of documents,
    `links` those that are tracked (None: neither they nor opening are), `references` the
    Message-IDs of earlier mails in the thread.
    """

    sent_from: str
    sender_name: str | None = None
    sender_id: int | None = None
    reply_to: str | None = None
    to_name: str | None = None
    text: str
    html: str
    attachments: list[int] = []
    links: list[str] | None = None
    references: list[str] = []


class Tracking(NamedTuple):
    """What links that lead by us are made with: `signing_key` and where people reach us."""

    key: str
    url: str


def content_of(delivery: Delivery) -> EmailContent:
    return EmailContent.model_validate(delivery.content)


def message_id(delivery: Delivery) -> str:
    """Return the id that the message of a delivery has, however often it is sent."""
    domain = in_ascii(str(delivery.content["sent_from"])).rpartition("@")[2] or "localhost"
    return f"<{delivery.key}@{domain}>"


def in_ascii(address: str) -> str:
    """Return an address with its domain as mail servers know it; what comes before may be UTF-8."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    return f"{local}@{validate_email(address, check_deliverability=False).ascii_domain}"


async def thread_of(session: AsyncSession, item_id: int, recipient: str) -> list[str]:
    """Return the Message-IDs of the mails that somebody has got about an item, oldest first.

    Those on their way count.
    """
    earlier = await session.scalars(
        select(Delivery)
        .where(
            Delivery.item_id == item_id,
            Delivery.kind == DeliveryKind.EMAIL,
            Delivery.recipient == recipient,
            Delivery.state.not_in([DeliveryState.FAILED, DeliveryState.DROPPED]),
        )
        .order_by(Delivery.id.desc())
        .limit(MOST_REFERENCES)
    )
    return [message_id(each) for each in reversed(earlier.all())]


async def whole_mail(session: AsyncSession, delivery: Delivery, *, url: str) -> bytes:
    """Return the message of a delivery as it leaves; `url` is where people reach us."""
    key = (await installation(session)).signing_key
    return mime_of(delivery, await _attached(session, delivery), Tracking(key, url))


async def _attached(session: AsyncSession, delivery: Delivery) -> Sequence[DocumentFile]:
    """Return the documents in a mail, those that have been made by now."""
    documents = await documents_named(session, content_of(delivery).attachments)
    made = [each for each in documents if each.made_at is not None]
    return [await file_of(session, each, pdf=None) for each in made]


def mime_of(
    delivery: Delivery, attachments: Sequence[DocumentFile] = (), tracking: Tracking | None = None
) -> bytes:
    """Return the message of a delivery, the same each time."""
    content = content_of(delivery)
    html = content.html
    if content.links is not None and tracking is not None:
        html = tracked(html, content.links, delivery.id, key=tracking.key, url=tracking.url)
    reply_to = content.reply_to and _mailbox(content.sender_name, content.reply_to)
    headers = {
        "From": _mailbox(content.sender_name, content.sent_from),
        "Reply-To": reply_to,
        "To": _mailbox(content.to_name, delivery.recipient),
        "Subject": _words(in_one_line(delivery.subject), "Subject"),
        "Date": format_datetime(delivery.created_at),
        "Message-ID": message_id(delivery),
        "In-Reply-To": content.references[-1] if content.references else None,
        "References": "\r\n ".join(content.references),
        "Auto-Submitted": "auto-generated",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    body = _body(delivery, content.text, _page(in_one_line(delivery.subject), html), attachments)
    return head.encode() + body.as_bytes()


def in_one_line(text: str) -> str:
    """Return a text that cannot begin another header."""
    return CONTROL.sub(" ", text).strip()


def _mailbox(name: str | None, address: str) -> str:
    name = in_one_line(name or "")[:LONGEST_NAME].strip()
    bare = CONTROL.sub("", in_ascii(address))
    if not name:
        return bare
    if PLAIN_NAME.fullmatch(name):
        return f"{name} <{bare}>"
    return f"{_encoded(name, 'Reply-To')}\r\n <{bare}>"


def _words(text: str, header: str) -> str:
    plain = text.isascii() and ENCODED_WORD not in text
    return text if plain else _encoded(text, header)


def _encoded(text: str, header: str) -> str:
    return Header(text, "utf-8", header_name=header).encode(linesep="\r\n")


def _page(title: str, html: str) -> str:
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title></head>\n<body>\n{html}\n</body></html>\n"
    )


def _body(
    delivery: Delivery, text: str, page: str, attachments: Sequence[DocumentFile]
) -> EmailMessage:
    """Return text and HTML as alternatives; what parts them stands in neither.

    Encoded as they are, there is no `=_` in a text and no underscore in a file.
    """
    message = EmailMessage(policy=SMTP)
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(page, subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_text_{delivery.key.hex}")
    for each in attachments:
        maintype, _, subtype = each.media_type.partition("/")
        message.add_attachment(
            each.content, maintype=maintype, subtype=subtype, filename=in_one_line(each.name)
        )
    if attachments:
        message.set_boundary(f"=_mail_{delivery.key.hex}")
    return message
