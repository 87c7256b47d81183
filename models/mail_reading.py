"""Incoming mail: what a message says, read from whatever bytes have come.

It never raises, and takes time in proportion to the size. Nothing here trusts what it reads:
headers, parts, levels and texts beyond what real mail has are left out, and what is not as it
should be is taken for what it looks like. Python's own reader is neither that quick nor that calm.
"""

import re
from binascii import a2b_qp
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from models.mail_headers import (
    LONGEST_ADDRESS,
    Automatic,
    Headers,
    automatic_of,
    ids_in,
    mailboxes,
    moment_of,
    recipients_of,
    references_of,
    sender_of,
    senders_of,
)
from models.mail_text import (
    LONGEST_TEXT,
    NOT_BASE64,
    decoded,
    in_words,
    of_base64,
    one_line,
    text_of_html,
    tidy,
)
from models.seen import LINE_END

LONGEST_SUBJECT = 200
LONGEST_MEDIA_TYPE = 100
MOST_ATTACHMENTS = 50
MOST_FIELDS = 1000
MOST_PART_FIELDS = 50
MOST_PARTS = 500
DEEPEST = 20
MOST_BODY = 4 * LONGEST_TEXT
"""Bytes of a text that are read, as they are in the message; others would be cut off anyway."""

AFTER_BOUNDARY = rb"(?P<last>--)?[ \t]*(?:\n|\Z)"


@dataclass(frozen=True)
class Attachment:
    """A file in a mail; `size` is in bytes, roughly."""

    name: str
    media_type: str
    size: int


@dataclass(frozen=True, kw_only=True)
class IncomingMail:
    """What a message says. All texts can be stored, and all but `text` are one line.

    Addresses are normalised; `sender_raw` is what was written, also where `sender` is None as no
    address can be read of it. `senders` are all who are named as having written or sent it. Ids of
    messages keep their angle brackets. `references` are those that it answers, the nearest first,
    the beginning of the thread last.
    """

    sender: str | None
    sender_name: str
    sender_raw: str
    senders: tuple[str, ...]
    recipients: tuple[str, ...]
    reply_to: str | None
    subject: str
    text: str
    message_id: str | None
    references: tuple[str, ...]
    sent_at: datetime | None
    automatic: Automatic | None
    attachments: tuple[Attachment, ...]

    @property
    def is_automatic(self) -> bool:
        return self.automatic is not None


def read_mail(raw: bytes, envelope_sender: str | None = None) -> IncomingMail:
    """Read a message; `envelope_sender` is who sent it by the words of SMTP, empty for a bounce."""
    lines = b"\n" + raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start = lines.find(b"\n", 1) + 1 if lines.startswith(b"\nFrom ") else 1
    top = _Part(lines, start, len(lines), most=MOST_FIELDS)
    headers = top.headers
    sender = sender_of(headers, envelope_sender or "")
    answer_to = (each.address for each in mailboxes(headers[b"reply-to"]))
    text, files = _content(top)
    return IncomingMail(
        sender=sender.address,
        sender_name=sender.name,
        sender_raw=one_line(sender.raw, LONGEST_ADDRESS),
        senders=senders_of(headers, sender),
        recipients=recipients_of(headers),
        reply_to=next(filter(None, answer_to), None),
        subject=one_line(in_words(headers[b"subject"]), LONGEST_SUBJECT),
        text=text,
        message_id=next(ids_in(headers[b"message-id"]), None),
        references=references_of(headers),
        sent_at=moment_of(headers[b"date"]),
        automatic=automatic_of(headers, sender, envelope_sender),
        attachments=files,
    )


class _Part:
    """A part of a message: its headers, and where its body is in the whole."""

    def __init__(self, lines: bytes, start: int, end: int, *, most: int) -> None:
        """Read the first `most` headers, and nothing else yet."""
        self.headers = Headers.read(lines, start, end, most=most)
        self.lines = lines
        self.start = self.headers.end
        self.end = end

    @property
    def media_type(self) -> str:
        return self.headers.media_type

    @property
    def encoding(self) -> str:
        return self.headers[b"content-transfer-encoding"].lower()

    @property
    def size(self) -> int:
        if self.encoding == "base64":
            return len(self.lines[self.start : self.end].translate(None, NOT_BASE64)) * 3 // 4
        return self.end - self.start

    @property
    def text(self) -> str:
        """The body as text, as much of it as is read."""
        last = min(self.end, self.start + MOST_BODY)
        body = self.lines[self.start : last]
        if self.encoding == "base64":
            body = of_base64(body)
        elif self.encoding == "quoted-printable":
            body = a2b_qp(body)
        charset = self.headers.type_says.get("charset", "")
        return LINE_END.sub("\n", decoded(body, charset, cut=last < self.end))


def _content(top: _Part) -> tuple[str, tuple[Attachment, ...]]:
    """Return the text of a message, and its files."""
    plain: list[str] = []
    html: list[str] = []
    files: list[Attachment] = []
    for part in _leaves(top):
        is_text = part.media_type == "text/plain" or part.media_type.startswith("multipart/")
        if is_text and not part.headers.is_of_file:
            plain.append(part.text if sum(map(len, plain)) < LONGEST_TEXT else "")
        elif part.media_type == "text/html" and not part.headers.is_of_file:
            html.append("" if html else part.text)
        elif len(files) < MOST_ATTACHMENTS:
            kind = part.media_type[:LONGEST_MEDIA_TYPE]
            files.append(Attachment(part.headers.file_name, kind, part.size))
    text = tidy("\n\n".join(filter(str.strip, plain)))
    return text or tidy(text_of_html("".join(html))), tuple(files)


def _leaves(top: _Part) -> Iterator[_Part]:
    """Yield the parts that have no parts, in order; a message within another is a file."""
    left = MOST_PARTS
    waiting = [(top, 1)]
    while waiting:
        part, level = waiting.pop()
        inner = list(_inner(part, left)) if level < DEEPEST else []
        left -= len(inner)
        waiting.extend((each, level + 1) for each in reversed(inner))
        if not inner:
            yield part


def _inner(part: _Part, most: int) -> Iterator[_Part]:
    """Yield the parts of a multipart, so many at most."""
    boundary = part.headers.type_says.get("boundary", "").rstrip().encode()
    if not boundary or not part.media_type.startswith("multipart/"):
        return
    parted = re.compile(re.escape(b"\n--" + boundary) + AFTER_BOUNDARY)
    begun, at = 0, part.start - 1
    while most and (found := parted.search(part.lines, at, part.end)):
        if begun:
            end = max(begun, found.start())
            yield _Part(part.lines, begun, end, most=MOST_PART_FIELDS)
            most -= 1
        if found["last"]:
            return
        begun = found.end()
        at = begun - 1
    if begun and most:
        yield _Part(part.lines, begun, part.end, most=MOST_PART_FIELDS)
