"""Texts of mail: any charset, base64, encoded words and HTML, as plain text that can be kept."""

import re
from binascii import a2b_base64, a2b_qp
from codecs import getincrementaldecoder
from collections.abc import Iterable
from encodings.aliases import aliases
from html import unescape

from models.seen import CONTROL, SPACES, in_one_line

LONGEST_TEXT = 50_000
LONGEST_CHARSET = 40

ENCODED_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
NOT_BASE64 = bytes(set(range(256)) - set(b"+/0123456789") - {*range(65, 91), *range(97, 123)})
SURROGATE = re.compile(r"[\ud800-\udfff]")
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


def in_words(written: str) -> str:
    """Return a header with its encoded words decoded, those that are pieces of one together."""
    said: list[str] = []
    at = 0
    charset, held = "", b""
    for found in ENCODED_WORD.finditer(written):
        between = written[at : found.start()]
        parted = bool(between.strip()) or not at
        if parted or found[1].lower() != charset:
            said += [decoded(held, charset), between if parted else ""]
            charset, held = found[1].lower(), b""
        held += _of_word(found[2], found[3])
        at = found.end()
    return "".join([*said, decoded(held, charset), written[at:]])


def _of_word(encoding: str, word: str) -> bytes:
    raw = word.encode()
    return of_base64(raw) if encoding in "bB" else a2b_qp(raw, header=True)


def of_base64(written: bytes) -> bytes:
    """Return what is encoded, whatever else stands between."""
    found = (each.translate(None, NOT_BASE64) for each in written.split(b"="))
    whole = (each[:-1] if len(each) % 4 == 1 else each for each in found)  # Six bits are nothing.
    return b"".join(a2b_base64(each + b"=" * (-len(each) % 4)) for each in whole if each)


def decoded(data: bytes, charset: str = "", *, cut: bool = False) -> str:
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


def text_of_html(html: str) -> str:
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


def tidy(text: str) -> str:
    """Return a text as it is kept: what can be seen of it, and no more than that."""
    clean = "\n".join(line.rstrip() for line in CONTROL.sub("", text).split("\n"))
    return MANY_LINES.sub("\n\n", clean).strip("\n")[:LONGEST_TEXT].strip()


def one_line(text: str, longest: int) -> str:
    """Return a text of so many characters at most, without what ends a line or is not seen."""
    return in_one_line(text)[:longest].strip()
