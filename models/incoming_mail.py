"""Incoming mail: what a message says, read from whatever bytes have come.

It never raises, and takes time in proportion to the size. Nothing here trusts what it reads:
headers, parts, levels and texts beyond what real mail has are left out, and what is not as it
should be is taken for what it looks like. Python's own reader is neither that quick nor that calm.
"""

import re
from binascii import a2b_base64, a2b_qp
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from encodings.aliases import aliases
from enum import StrEnum
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from email_validator import EmailNotValidError, validate_email

LONGEST_ADDRESS = 320
LONGEST_NAME = 200
LONGEST_SUBJECT = 200
LONGEST_ID = 500
LONGEST_TEXT = 50_000
LONGEST_FILE_NAME = 200
LONGEST_MEDIA_TYPE = 100
MOST_RECIPIENTS = 100
MOST_REFERENCES = 50
MOST_ATTACHMENTS = 50

MOST_HEAD = 2**20
"""Bytes of headers that are looked at, of the message and of each part."""

MOST_FIELDS = 1000
MOST_PART_FIELDS = 50
LONGEST_FIELD = 2**15
LONGEST_PARAMETERS = 2000
LONGEST_DATE = 100
MOST_MAILBOXES = 300
MOST_PARTS = 500
DEEPEST = 20
MOST_BODY = 4 * LONGEST_TEXT
"""Bytes of a text that are read, as they are in the message; others would be cut off anyway."""

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
AFTER_BOUNDARY = rb"(?P<last>--)?[ \t]*(?:\n|\Z)"

PARAMETER = re.compile(r';\s*([^=;\s]+)\s*=\s*(?:"((?:[^"\\]+|\\.)*)"?|([^;]*))', re.DOTALL)
CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,2}))?(\*?)")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")

ENCODED_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
MAILBOX_PIECE = re.compile(r'"((?:[^"\\]+|\\.)*)"?|\\.|[^\\"<>(),:;]+|.', re.DOTALL)
BARE_ADDRESS = re.compile(r'[^\s<>()\[\],;:"@]{1,64}@[^\s<>()\[\],;:"@]{1,255}')
AT_ITS_END = re.compile(r"\.?[\s\0]*\Z")
"""What does not belong to an address: the root of all domains, and what was left over."""

IN_BRACKETS = re.compile(r"<([^<>]*)>")

NOT_BASE64 = bytes(set(range(256)) - set(b"+/0123456789") - {*range(65, 91), *range(97, 123)})
SURROGATE = re.compile(r"[\ud800-\udfff]")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no text of ours holds: all that cannot be stored, or seen."""

SPACES = re.compile(r"\s+")
LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
MANY_LINES = re.compile(r"\n{3,}")

TAG = re.compile(
    r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]*)(?:[^<>\"']+|\"[^\"<]*\"|'[^'<]*')*>?|<[!?][^<>]*>?"
)
UNSEEN_UNTIL = {
    "": re.compile(r"-->"),
    **{
        name: re.compile(rf"</{name}[^<>]*>?", re.IGNORECASE)
        for name in ("script", "style", "title", "template")
    },
}
LINES = {"dd", "div", "dt", "footer", "form", "header", "hr", "li", "section", "tr"}
PARAGRAPHS = {"blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "ul"}
PARAGRAPHS |= {"address", "article", "table"}
CELLS = {"td", "th"}

CODECS = {
    *("utf_8", "utf_8_sig", "utf_7", "utf_16", "utf_16_be", "utf_16_le"),
    *("utf_32", "utf_32_be", "utf_32_le", "koi8_r", "koi8_u", "koi8_t", "kz1048", "ptcp154"),
    *("big5", "big5hkscs", "gb18030", "hz", "shift_jisx0213", "shift_jis_2004"),
    *("euc_jp", "euc_jisx0213", "euc_jis_2004", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2"),
    *("iso2022_jp_3", "iso2022_jp_ext", "iso2022_jp_2004", "iso2022_kr", "johab", "tis_620"),
    *(f"iso8859_{number}" for number in (*range(2, 12), *range(13, 17))),
    *(f"cp125{digit}" for digit in range(9)),
    *("cp437", "cp720", "cp737", "cp775", "cp850", "cp852", "cp855", "cp857", "cp858", "cp860"),
    *("cp861", "cp862", "cp863", "cp864", "cp865", "cp866", "cp869", "cp874", "cp932", "cp949"),
    *("cp950", "mac_cyrillic", "mac_greek", "mac_iceland", "mac_latin2", "mac_roman"),
    "mac_turkish",
}
"""What mail is written in. Other codecs are not even looked for: some take time without limit."""

MEANT = {
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859_1": "cp1252",
    "iso_8859_8_i": "iso8859_8",
    "latin_1": "cp1252",
    "shift_jis": "cp932",
    "windows_31j": "cp932",
    "windows_874": "cp874",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_sjis": "cp932",
}
"""What senders mean who name another, mostly a smaller one."""

NO_NAME = re.compile(r"[^a-z0-9]+")
LONGEST_CHARSET = 40

BOUNCERS = {"mailer-daemon", "postmaster"}
OF_LISTS = {"bulk", "junk", "list"}


class Automatic(StrEnum):
    """What kind of mail it is that nobody has written to us in person."""

    REPLY = "automatic reply"
    BOUNCE = "bounce"
    LIST = "mailing list"


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
    top = _Part.read(lines, start, len(lines), most=MOST_FIELDS)
    sender = _sender(top, envelope_sender or "")
    text, files = _content(top)
    return IncomingMail(
        sender=sender.address,
        sender_name=sender.name,
        sender_raw=_one_line(sender.raw, LONGEST_ADDRESS),
        senders=_senders(top, sender),
        recipients=_recipients(top),
        reply_to=next(filter(None, (each.address for each in _mailboxes(top[b"reply-to"]))), None),
        subject=_one_line(_in_words(top[b"subject"]), LONGEST_SUBJECT),
        text=text,
        message_id=next(_ids(top[b"message-id"]), None),
        references=_references(top),
        sent_at=_moment(top[b"date"]),
        automatic=_automatic(top, sender, envelope_sender),
        attachments=files,
    )


class _Part:
    """A part of a message: its headers, and where its body is in the whole."""

    def __init__(self, lines: bytes, fields: Mapping[bytes, bytes], start: int, end: int) -> None:
        self.lines = lines
        self.start = start
        self.end = end
        self._fields = fields
        kind, _, rest = self[b"content-type"].partition(";")
        kind = kind.strip().lower()
        self.media_type = kind if MEDIA_TYPE.fullmatch(kind) else "text/plain"
        self.type_says = _parameters(rest)

    @classmethod
    def read(cls, lines: bytes, start: int, end: int, *, most: int) -> "_Part":
        """Read what begins with headers, the first `most` of them."""
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
        return cls(lines, fields, at + lines.startswith(b"\n", at, end), end)

    def __getitem__(self, name: bytes) -> str:
        """Return a header in one piece, or nothing; of several of a name mostly the first."""
        value = self._fields.get(name, b"")
        return FOLD.sub(
            " ", _decoded(value[:LONGEST_FIELD], cut=len(value) > LONGEST_FIELD)
        ).strip()

    @property
    def file_name(self) -> str:
        _, _, rest = self[b"content-disposition"].partition(";")
        said = _parameters(rest).get("filename") or self.type_says.get("name", "")
        return _one_line(_in_words(said), LONGEST_FILE_NAME)

    @property
    def is_file(self) -> bool:
        disposition, _, _ = self[b"content-disposition"].partition(";")
        return disposition.strip().lower() == "attachment" or bool(self.file_name)

    @property
    def encoding(self) -> str:
        return self[b"content-transfer-encoding"].lower()

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
            body = _of_base64(body)
        elif self.encoding == "quoted-printable":
            body = a2b_qp(body)
        charset = self.type_says.get("charset", "")
        return LINE_END.sub("\n", _decoded(body, charset, cut=last < self.end))


def _content(top: _Part) -> tuple[str, tuple[Attachment, ...]]:
    """Return the text of a message, and its files."""
    plain: list[str] = []
    html: list[str] = []
    files: list[Attachment] = []
    for part in _leaves(top):
        is_text = part.media_type == "text/plain" or part.media_type.startswith("multipart/")
        if is_text and not part.is_file:
            plain.append(part.text if sum(map(len, plain)) < LONGEST_TEXT else "")
        elif part.media_type == "text/html" and not part.is_file:
            html.append("" if html else part.text)
        elif len(files) < MOST_ATTACHMENTS:
            kind = part.media_type[:LONGEST_MEDIA_TYPE]
            files.append(Attachment(part.file_name, kind, part.size))
    text = _tidy("\n\n".join(filter(str.strip, plain)))
    return text or _tidy(_text_of_html("".join(html))), tuple(files)


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
    boundary = part.type_says.get("boundary", "").rstrip().encode()
    if not boundary or not part.media_type.startswith("multipart/"):
        return
    parted = re.compile(re.escape(b"\n--" + boundary) + AFTER_BOUNDARY)
    begun, at = 0, part.start - 1
    while most and (found := parted.search(part.lines, at, part.end)):
        if begun:
            end = max(begun, found.start())
            yield _Part.read(part.lines, begun, end, most=MOST_PART_FIELDS)
            most -= 1
        if found["last"]:
            return
        begun = found.end()
        at = begun - 1
    if begun and most:
        yield _Part.read(part.lines, begun, part.end, most=MOST_PART_FIELDS)


def _parameters(written: str) -> dict[str, str]:
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
    return _decoded(
        b"".join(unquote_to_bytes(text) if coded else text.encode() for text, coded in whole),
        charset,
    )


class _Mailbox(NamedTuple):
    name: str
    address: str | None
    raw: str


def _sender(top: _Part, envelope_sender: str) -> _Mailbox:
    """Return who has sent a message: the first who is named with an address that can be one."""
    written = top[b"from"]
    named = (top[b"sender"], envelope_sender, top[b"return-path"])
    for each in (written, _in_words(written), *named):
        for mailbox in _mailboxes(each):
            if mailbox.address is not None:
                return mailbox
        for bare in BARE_ADDRESS.findall(each):
            if address := _normalised(bare):
                return _Mailbox("", address, each)
    return _Mailbox("", None, _in_words(written))


def _senders(top: _Part, sender: _Mailbox) -> tuple[str, ...]:
    named = (each.address for name in ADDED_UP for each in _mailboxes(top[name]))
    return tuple(dict.fromkeys(filter(None, (sender.address, *named))))


def _recipients(top: _Part) -> tuple[str, ...]:
    both = (each.address for name in (b"to", b"cc") for each in _mailboxes(top[name]))
    return tuple(dict.fromkeys(filter(None, both)))[:MOST_RECIPIENTS]


def _mailboxes(written: str) -> Iterator[_Mailbox]:
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
            pieces.within.append(each)
        elif each in {",", ";"}:
            yield pieces
            pieces = _Pieces([], [], [])
        elif each == ":":
            pieces.words.clear()  # They were the name of a group.
        else:
            pieces.words.append(ESCAPED.sub(r"\1", each if found[1] is None else found[1]))
    yield pieces


def _mailbox(pieces: _Pieces) -> _Mailbox | None:
    name, address = "".join(pieces.words), "".join(pieces.within).rpartition(":")[2]
    if not address:
        name, address = "".join(pieces.remarks), name
    if not address.strip():
        return None
    known = _normalised(address)
    name = _one_line(_in_words(name), LONGEST_NAME)
    return _Mailbox("" if name.lower() == (known or "").lower() else name, known, address.strip())


def _normalised(address: str) -> str | None:
    if len(address) > LONGEST_ADDRESS:
        return None
    meant = AT_ITS_END.sub("", address).strip()
    try:
        return validate_email(meant, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def _references(top: _Part) -> tuple[str, ...]:
    earlier = list(_ids(top[b"references"]))
    near = dict.fromkeys([*_ids(top[b"in-reply-to"]), *reversed(earlier)])
    if len(near) <= MOST_REFERENCES:
        return tuple(near)
    return (*list(near)[: MOST_REFERENCES - 1], list(near)[-1])


def _ids(written: str) -> Iterator[str]:
    """Yield the ids of messages in a header, those in angle brackets if there are any."""
    found = IN_BRACKETS.findall(written) or [each for each in written.split() if "@" in each]
    for each in found:
        bare = CONTROL.sub("", SPACES.sub("", each)).strip("<>")
        if 0 < len(bare) <= LONGEST_ID:
            yield f"<{bare}>"


def _moment(written: str) -> datetime | None:
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


def _automatic(top: _Part, sender: _Mailbox, envelope_sender: str | None) -> Automatic | None:
    precedence = top[b"precedence"].lower()
    submitted = top[b"auto-submitted"].partition(";")[0].strip().lower()
    report = top.type_says.get("report-type", "").lower()
    if report == "delivery-status" or _local_part(sender) in BOUNCERS:
        return Automatic.BOUNCE
    if submitted not in {"", "no"} or precedence == "auto_reply" or top[b"x-autoreply"] or report:
        return Automatic.REPLY
    if precedence in OF_LISTS or top[b"list-id"]:
        return Automatic.LIST
    if envelope_sender in {"", "<>"} or top[b"return-path"] == "<>":
        return Automatic.BOUNCE
    return None


def _local_part(mailbox: _Mailbox) -> str:
    return (mailbox.address or mailbox.raw).strip("<> ").partition("@")[0].lower()


def _in_words(written: str) -> str:
    """Return a header with its encoded words decoded, those that are pieces of one together."""
    said: list[str] = []
    at = 0
    charset, held = "", b""
    for found in ENCODED_WORD.finditer(written):
        between = written[at : found.start()]
        parted = bool(between.strip()) or not at
        if parted or found[1].lower() != charset:
            said += [_decoded(held, charset), between if parted else ""]
            charset, held = found[1].lower(), b""
        held += _of_word(found[2], found[3])
        at = found.end()
    return "".join([*said, _decoded(held, charset), written[at:]])


def _of_word(encoding: str, word: str) -> bytes:
    raw = word.encode()
    return _of_base64(raw) if encoding in "bB" else a2b_qp(raw, header=True)


def _of_base64(written: bytes) -> bytes:
    """Return what is encoded, whatever else stands between."""
    found = (each.translate(None, NOT_BASE64) for each in written.split(b"="))
    whole = (each[:-1] if len(each) % 4 == 1 else each for each in found)  # Six bits are nothing.
    return b"".join(a2b_base64(each + b"=" * (-len(each) % 4)) for each in whole if each)


def _decoded(data: bytes, charset: str = "", *, cut: bool = False) -> str:
    """Return text in a charset, or else in what it looks like.

    What was `cut` off in the middle of a character ends before it.
    """
    name = NO_NAME.sub("_", charset[:LONGEST_CHARSET].lower()).strip("_")
    codec = aliases.get(name, name)
    codec = MEANT.get(codec, codec)
    known = [codec] if codec in CODECS else []
    for each in (*known, "utf_8"):
        try:
            read = getincrementaldecoder(each)().decode(data, final=not cut)
        except UnicodeError:
            continue
        return SURROGATE.sub("\ufffd", read)
    return SURROGATE.sub("\ufffd", data.decode(known[0] if known else "cp1252", "replace"))


def _text_of_html(html: str) -> str:
    """Return what is read of HTML, roughly in the lines in which it is shown."""
    said: list[str] = [""]
    at = 0
    while found := TAG.search(html, at):
        said += _words_between(html[at : found.start()], said[-1])
        at = found.end()
        name = (found[2] or "").lower()
        if found[0] == "<!--" or (name in UNSEEN_UNTIL and name and not found[1]):
            end = UNSEEN_UNTIL[name].search(html, at)
            at = len(html) if end is None else end.end()
        elif name == "br" or (name in LINES and not said[-1].endswith("\n")):
            said.append("\n")
        elif name in PARAGRAPHS and not said[-1].endswith("\n\n"):
            said.append("\n\n")
        elif name in CELLS:
            said.append(" ")
    said += _words_between(html[at:], said[-1])
    return "\n".join(" ".join(line.split()) for line in "".join(said).split("\n"))


def _words_between(html: str, before: str) -> Iterable[str]:
    words = SPACES.sub(" ", html)
    if words == " " and before.endswith("\n"):
        return []
    try:
        return [unescape(words)] if words else []
    except ValueError:  # A number of a character with more digits than Python reads.
        return [words]


def _tidy(text: str) -> str:
    clean = "\n".join(line.rstrip() for line in CONTROL.sub("", text).split("\n"))
    return MANY_LINES.sub("\n\n", clean).strip("\n")[:LONGEST_TEXT].strip()


def _one_line(text: str, longest: int) -> str:
    return CONTROL.sub("", SPACES.sub(" ", text)).strip()[:longest].strip()
