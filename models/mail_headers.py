"""Headers of mail: who has sent it to whom and when, what it answers, and whether a machine did."""

import re
import string
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from enum import StrEnum
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from email_validator import EmailNotValidError, validate_email

from models.mail_text import decoded, in_words, one_line
from models.seen import CONTROL, SPACES

LONGEST_ADDRESS = 320
LONGEST_NAME = 200
LONGEST_ID = 500
LONGEST_FILE_NAME = 200
MOST_RECIPIENTS = 100
MOST_REFERENCES = 50
MOST_HEAD = 2**20
"""Bytes of headers that are looked at, of the message and of each part."""

LONGEST_FIELD = 2**15
LONGEST_PARAMETERS = 2000
LONGEST_DATE = 100
MOST_MAILBOXES = 300

EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)\n?")
FIELDS = {
    *(b"from", b"sender", b"reply-to", b"to", b"cc", b"return-path", b"subject", b"date"),
    *(b"message-id", b"in-reply-to", b"references"),
    *(b"auto-submitted", b"precedence", b"x-autoreply", b"list-id"),
    *(b"content-type", b"content-transfer-encoding", b"content-disposition"),
}
ADDED_UP = (b"from", b"sender")
"""Headers that should be there once: whoever is named in a second one is named, too."""

FOLD = re.compile(r"\n[ \t]*")

PARAMETER = re.compile(r';\s*([^=;\s]+)\s*=\s*(?:"((?:[^"\\]+|\\.)*)"?|([^;]*))', re.DOTALL)
CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,2}))?(\*?)")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
MAILBOX_PIECE = re.compile(r'"((?:[^"\\]+|\\.)*)"?|\\.|[^\\"<>(),:;]+|.', re.DOTALL)
BARE_ADDRESS = re.compile(r'[^\s<>()\[\],;:"@]{1,64}@[^\s<>()\[\],;:"@]{1,255}')
QUOTES = "'\"`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb*_{}[]| "
"""What programs and people put an address in that does not belong to it."""

JOINERS = "\u200c\u200d"
"""What cannot be seen, yet tells one domain from another."""

AT_ITS_END = f"{QUOTES}{JOINERS}{string.punctuation}"
"""What no address ends with, the root of all domains among it."""

IN_BRACKETS = re.compile(r"<([^<>]*)>")

BOUNCERS = {"mailer-daemon", "postmaster"}
OF_LISTS = {"bulk", "junk", "list"}


class Automatic(StrEnum):
    """What kind of mail it is that nobody has written to us in person."""

    REPLY = "automatic reply"
    BOUNCE = "bounce"
    LIST = "mailing list"


class Headers:
    """The headers of a message, or of a part of one; its body begins at `end`."""

    def __init__(self, fields: Mapping[bytes, bytes], end: int) -> None:
        self.end = end
        self._fields = fields
        kind, _, rest = self[b"content-type"].partition(";")
        kind = kind.strip().lower()
        self.media_type = kind if MEDIA_TYPE.fullmatch(kind) else "text/plain"
        self.type_says = parameters(rest)

    @classmethod
    def read(cls, lines: bytes, start: int, end: int, *, most: int) -> "Headers":
        """Read what stands before a body, the first `most` of them."""
        fields: dict[bytes, bytes] = {}
        at, last = start, min(end, start + MOST_HEAD)
        for _ in range(most):
            found = FIELD.match(lines, at, last)
            if found is None:
                break
            at = found.end()
            name = found[1].lower()
            if name in FIELDS:
                before = fields.setdefault(name, value := found[2])
                if name in ADDED_UP and before is not value and len(before) < LONGEST_FIELD:
                    fields[name] = before + b", " + value
        else:
            last = at
        if at == last < end:  # There are more than are read.
            blank = lines.find(b"\n\n", at - 1, end)
            at = end if blank < 0 else blank + 1
        return cls(fields, at + lines.startswith(b"\n", at, end))

    def __getitem__(self, name: bytes) -> str:
        """Return a header in one piece, or nothing; of several of a name mostly the first."""
        value = self._fields.get(name, b"")
        return FOLD.sub(" ", decoded(value[:LONGEST_FIELD], cut=len(value) > LONGEST_FIELD)).strip()

    @property
    def file_name(self) -> str:
        """What a part is called that is a file."""
        _, _, rest = self[b"content-disposition"].partition(";")
        said = parameters(rest).get("filename") or self.type_says.get("name", "")
        return one_line(in_words(said), LONGEST_FILE_NAME)

    @property
    def is_of_file(self) -> bool:
        disposition, _, _ = self[b"content-disposition"].partition(";")
        return disposition.strip().lower() == "attachment" or bool(self.file_name)


def parameters(written: str) -> dict[str, str]:
    """Return what is said after the value of a header, also in the pieces of RFC 2231."""
    said: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for found in PARAMETER.finditer(f";{written[:LONGEST_PARAMETERS]}"):
        name = CONTINUED.fullmatch(found[1].lower())
        if name is None:
            continue
        value = found[3].strip() if found[2] is None else ESCAPED.sub(r"\1", found[2])
        if name[2] is None and not name[3]:
            said.setdefault(name[1], value)
        else:
            piece = (value, bool(name[3]))
            pieces.setdefault(name[1], {}).setdefault(int(name[2] or 0), piece)
    joined = {name: _joined([each[i] for i in sorted(each)]) for name, each in pieces.items()}
    return joined | said


def _joined(pieces: list[tuple[str, bool]]) -> str:
    charset = ""
    value, encoded = pieces[0]
    if encoded and value.count("'") > 1:
        charset, _, value = value.split("'", 2)
    whole = [(value, encoded), *pieces[1:]]
    return decoded(
        b"".join(unquote_to_bytes(text) if coded else text.encode() for text, coded in whole),
        charset,
    )


class Mailbox(NamedTuple):
    """Somebody as a header names them: `raw` is what was written where an address should be."""

    name: str
    address: str | None
    raw: str


def sender_of(headers: Headers, envelope_sender: str) -> Mailbox:
    """Return who has sent a message: the first who is named with an address that can be one."""
    written = headers[b"from"]
    named = (headers[b"sender"], envelope_sender, headers[b"return-path"])
    for each in (written, in_words(written), *named):
        for mailbox in mailboxes(each):
            if mailbox.address is not None:
                return mailbox
        seen = _seen(each)
        for text in dict.fromkeys([seen, _in_one_piece(seen)]):
            if address := _bare_in(text):
                return Mailbox("", address, each)
    return Mailbox("", None, in_words(written))


def senders_of(headers: Headers, sender: Mailbox) -> tuple[str, ...]:
    """Return the addresses of all who are named as having written or sent it."""
    named = (each.address for name in ADDED_UP for each in mailboxes(headers[name]))
    return tuple(dict.fromkeys(filter(None, (sender.address, *named))))


def recipients_of(headers: Headers) -> tuple[str, ...]:
    """Return the addresses of those to whom it was sent for all to see, each once."""
    both = (each.address for name in (b"to", b"cc") for each in mailboxes(headers[name]))
    return tuple(dict.fromkeys(filter(None, both)))[:MOST_RECIPIENTS]


def mailboxes(written: str) -> Iterator[Mailbox]:
    """Yield the mailboxes of a header in order, those of groups too."""
    for _, pieces in zip(range(MOST_MAILBOXES), _of_each_mailbox(written), strict=False):
        if mailbox := _mailbox(pieces):
            yield mailbox


class _Pieces(NamedTuple):
    """What is written of a mailbox: before the angle brackets, within, and in round ones."""

    words: list[str]
    within: list[str]
    remarks: list[str]


def _of_each_mailbox(written: str) -> Iterator[_Pieces]:
    pieces = _Pieces([], [], [])
    depth, angled = 0, False
    for found in MAILBOX_PIECE.finditer(written):
        each = found[0]
        if depth or each == "(":
            depth += (each == "(") - (each == ")")
            pieces.remarks.append(each if each not in {"(", ")"} else " ")
        elif each in {"<", ">"}:
            angled = each == "<"
        elif angled:
            pieces.within.append(_unquoted(found))
        elif each in {",", ";"}:
            yield pieces
            pieces = _Pieces([], [], [])
        elif each == ":":
            pieces.words.clear()  # They were the name of a group.
        else:
            pieces.words.append(_unquoted(found))
    yield pieces


def _unquoted(piece: re.Match[str]) -> str:
    return ESCAPED.sub(r"\1", piece[0] if piece[1] is None else piece[1])


def _mailbox(pieces: _Pieces) -> Mailbox | None:
    name, address = "".join(pieces.words), "".join(pieces.within).rpartition(":")[2]
    if not address:
        name, address = "".join(pieces.remarks), name
    if not address.strip():
        return None
    seen = _seen(address)
    known = _normalised(seen) or _bare_in(seen) or _normalised(_in_one_piece(seen))
    name = one_line(in_words(name), LONGEST_NAME)
    is_address = name.strip(QUOTES).lower() == (known or "").lower()
    return Mailbox("" if is_address else name, known, address.strip())


def _bare_in(seen: str) -> str | None:
    """Return the first address among words that are none."""
    bare = islice(BARE_ADDRESS.finditer(seen), MOST_MAILBOXES)
    return next(filter(None, (_normalised(each[0]) for each in bare)), None)


def _normalised(whole: str) -> str | None:
    meant = whole.rstrip(AT_ITS_END)
    if any(each in QUOTES for each in whole[len(meant) :]):
        meant = meant.lstrip(QUOTES)
    if len(meant) > LONGEST_ADDRESS:
        return None
    try:
        return validate_email(meant, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def _seen(written: str) -> str:
    """Return a text in one line, without what cannot be seen."""
    local, at, domain = " ".join(written.split()).rpartition("@")
    kept = (each for each in domain if each.isprintable() or each in JOINERS)
    return "".join(filter(str.isprintable, local)) + at + "".join(kept)


def _in_one_piece(seen: str) -> str:
    """Return an address without spaces where mail allows them."""
    local, at, domain = seen.replace(" @", "@").replace("@ ", "@").rpartition("@")
    return local + at + domain.replace(" .", ".").replace(". ", ".")


def references_of(headers: Headers) -> tuple[str, ...]:
    """Return the ids of what it answers, the nearest first, the beginning of the thread last."""
    earlier = list(ids_in(headers[b"references"]))
    near = dict.fromkeys([*ids_in(headers[b"in-reply-to"]), *reversed(earlier)])
    if len(near) <= MOST_REFERENCES:
        return tuple(near)
    return (*list(near)[: MOST_REFERENCES - 1], list(near)[-1])


def ids_in(written: str) -> Iterator[str]:
    """Yield the ids of messages in a header, those in angle brackets if there are any."""
    found = IN_BRACKETS.findall(written) or [each for each in written.split() if "@" in each]
    for each in found:
        bare = CONTROL.sub("", SPACES.sub("", each)).strip("<>")
        if 0 < len(bare) <= LONGEST_ID:
            yield f"<{bare}>"


def moment_of(written: str) -> datetime | None:
    """Return a date as a moment, or None where it is none, or nonsense."""
    try:
        read = parsedate_tz(written[:LONGEST_DATE])
        if read is None:
            return None
        zone = timezone(timedelta(seconds=read[9] or 0))
        moment = datetime(*read[:6], tzinfo=zone)
    except (IndexError, OverflowError, TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if EARLIEST < moment < LATEST else None


def automatic_of(
    headers: Headers, sender: Mailbox, envelope_sender: str | None
) -> Automatic | None:
    """Return what kind of machine has sent it, or None where it was a person."""
    precedence = headers[b"precedence"].lower()
    submitted = headers[b"auto-submitted"].partition(";")[0].strip().lower()
    report = headers.type_says.get("report-type", "").lower()
    if report == "delivery-status" or _local_part(sender) in BOUNCERS:
        return Automatic.BOUNCE
    if submitted not in {"", "no"} or report or headers[b"x-autoreply"]:
        return Automatic.REPLY
    if precedence == "auto_reply":
        return Automatic.REPLY
    if precedence in OF_LISTS or headers[b"list-id"]:
        return Automatic.LIST
    if envelope_sender in {"", "<>"} or headers[b"return-path"] == "<>":
        return Automatic.BOUNCE
    return None


def _local_part(mailbox: Mailbox) -> str:
    return (mailbox.address or mailbox.raw).strip("<> ").partition("@")[0].lower()
