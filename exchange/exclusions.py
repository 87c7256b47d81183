"""The exceptions list as CSV, as people keep it and as Excel writes it, read line by line."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO

from exchange.cells import as_written
from exchange.lines import BadLine, CannotLoad, Line, lines_in
from models.errors import Invalid
from models.exclusion import LONGEST_VALUE, ExclusionKind, Listed, kind_of, read_value
from models.inputs import LONGEST_VALUE as LONGEST_COMMENT
from models.mistakes import shortened
from models.phone_number import is_phone_uri

MOST_LINES = 5000
"""In one file, so that whoever waits for it does not wait long."""

COLUMNS = (VALUE, KIND, COMMENT) = ("value", "kind", "comment")

FILE = "list"
"""How a file is called that came without a name."""

DELIMITERS = (",", ";", "\t")

KINDS: Mapping[str, ExclusionKind] = {each.value: each for each in ExclusionKind}

NO_LETTER = re.compile(r"[\W_]+")
"""What makes no difference in a kind: e-mail is email."""

FOR_EXCEL = re.compile(r"\A\"?sep=[^\r\n][;,\t\"]*(?=[\r\n]|\Z)", re.IGNORECASE)
"""A first line that tells Excel, and nobody else, what separates the columns."""

PHONE = ExclusionKind.PHONE

WORDS = re.compile(r"\W*[^\W\d_]")
"""What a number begins with that is perhaps none, but a text with digits in it."""

CHARSETS = frozenset(
    {
        "iso-8859-1",
        "iso-8859-2",
        "iso-8859-15",
        "us-ascii",
        "utf-8",
        "windows-1250",
        "windows-1252",
    }
)
"""Those that somebody may say, by any of their names; what begins as UTF-16 is that."""

CODECS = frozenset(codecs.lookup(each).name for each in CHARSETS)

END_OF_DATA = "unexpected end of data"
NO_END = "a quote that begins here has no end: it holds all that follows"

UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class SentList:
    """What a file wants listed, which of its lines cannot be read, and which columns were not."""

    listed: Sequence[Listed]
    bad: Sequence[BadLine]
    ignored: Sequence[str]


def read_list(content: bytes, *, charset: str | None = None, region: str) -> SentList:
    """Read a file with a column `value`, and perhaps `kind` and `comment`, or values alone.

    Columns are separated by commas, semicolons or tabs. A kind that is left out is guessed. Empty
    lines do not count. Raises `CannotLoad` for what is no such file as a whole.
    """
    text = FOR_EXCEL.sub("", _decoded(content, charset))
    ends = max(text.count("\n"), text.count("\r"))
    if ends + (not text.endswith(("\n", "\r"))) > MOST_LINES:
        raise CannotLoad(f"it has more than {MOST_LINES} lines: send it in parts")
    header, delimiter = _columns(text)
    read = [_read(line, region) for line in _lines(text, header, delimiter)]
    return SentList(
        listed=[each for each in read if isinstance(each, Listed)],
        bad=[each for each in read if isinstance(each, BadLine)],
        ignored=list(dict.fromkeys(name for name in header or () if name not in COLUMNS)),
    )


def _is_in_words(raw: str) -> bool:
    return WORDS.match(raw) is not None and not is_phone_uri(raw)


def _decoded(content: bytes, charset: str | None) -> str:
    if content.startswith(UTF_16):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise CannotLoad("it begins as UTF-16, and is not") from error
    said = charset or "utf-8"
    try:
        codec = codecs.lookup(said).name
    except (LookupError, ValueError):
        codec = ""
    if codec not in CODECS:
        known = ", ".join(sorted(CHARSETS))
        raise CannotLoad(f"the charset «{shortened(said)}» is none of {known}")
    return content.decode(codec, "surrogateescape").removeprefix("\ufeff")


def _columns(text: str) -> tuple[list[str] | None, str]:
    """Return the columns that the first line names, None for values alone, and what parts them."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    for delimiter in DELIMITERS:
        cells = next(csv.reader([first], delimiter=delimiter), [])
        names = [name.strip().lower() for name in cells]
        if VALUE in names:
            twice = [name for name in COLUMNS if names.count(name) > 1]
            if twice:
                raise CannotLoad(f"the column «{twice[0]}» is there twice")
            return names, delimiter
    if any(each in first for each in DELIMITERS):
        raise CannotLoad(
            "the first line must name the columns: kind, value, comment; without it there is one "
            "value in each line"
        )
    return None, DELIMITERS[0]


def _lines(text: str, header: list[str] | None, delimiter: str) -> Iterator[Line | BadLine]:
    """Yield the lines that have anything in them, but for the first, if that names the columns."""
    file = StringIO(text, newline="")
    names = [VALUE] if header is None else header
    found = lines_in(file, FILE, delimiter, names, skip_empty_lines=True)
    if header is not None:
        next(found)
    for line in found:
        if isinstance(line, BadLine) or any(cell.strip() for cell in line.cells.values()):
            yield line


def _read(line: Line | BadLine, region: str) -> Listed | BadLine:
    """Return what a line wants listed, or what is wrong with it."""
    if isinstance(line, BadLine):
        return replace(line, reason=NO_END) if END_OF_DATA in line.reason else line
    raw = as_written(line.cells[VALUE].strip()).strip()
    written = line.cells.get(KIND, "").strip()
    said = NO_LETTER.sub("", written).lower()
    comment = as_written(line.cells.get(COMMENT, "").strip()).strip()
    problem = ("", "")
    if not raw:
        problem = (VALUE, "The value is missing.")
    elif written and said not in KINDS:
        problem = (KIND, f"«{shortened(written)}» is none of {', '.join(ExclusionKind)}.")
    elif len(raw) > LONGEST_VALUE:
        problem = (VALUE, f"It is longer than {LONGEST_VALUE} characters.")
    elif len(comment) > LONGEST_COMMENT:
        problem = (COMMENT, f"It is longer than {LONGEST_COMMENT} characters.")
    elif (kind := KINDS[said] if written else kind_of(raw)) is PHONE and _is_in_words(raw):
        problem = (VALUE, f"«{shortened(raw)}» is not a phone number.")
    else:
        try:
            return Listed(kind, read_value(kind, raw, region=region), comment or None)
        except Invalid as invalid:
            problem = (VALUE, invalid.reason)
    return BadLine(FILE, line.number, *problem)
