"""The exceptions list as CSV: what people keep, what Excel makes of it, and what is beyond help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.cells import harmless, lines
from exchange.exclusions import MOST_LINES, SentList, read_list
from exchange.lines import CannotLoad
from models.exclusion import ExclusionKind, Listed, read_value

PHONE, EMAIL, DOMAIN = ExclusionKind.PHONE, ExclusionKind.EMAIL, ExclusionKind.DOMAIN
BELOW = "Those below a domain are listed by themselves."
ROBOT = Listed(PHONE, "+49301234567", "Robot")


def read(text: str, encoding: str = "utf-8", charset: str | None = None) -> SentList:
    return read_list(text.encode(encoding), charset=charset, region="DE")


def told(sent: SentList) -> list[tuple[int, str, str]]:
    return [(each.number, each.column, each.reason) for each in sent.bad]


@pytest.mark.parametrize(
    ("text", "encoding", "charset"),
    [
        ("kind,value,comment\nphone,030 1234567,Robot\n", "utf-8", None),
        ("kind;value;comment\r\nphone;030 1234567;Robot\r\n", "utf-8-sig", None),
        ("Value\tComment\r\n030 1234567\tRobot\r\n\t\r\n", "utf-16", None),
        ('"kind";"value";"comment"\r\n"Phone";"030 1234567";"Robot"', "utf-8", "utf-8"),
        ("sep=;\r\nkind;value;comment\r\nphone;030 1234567;Robot\r\n", "utf-8-sig", None),
        ('"sep=\t"\nvalue\tcomment\n030 1234567\tRobot\n', "utf-16", None),
        ("comment, value\n\n\nRobot,+49 (0)30 1234567\n\n", "utf-8", None),
        ("value,comment\r030 1234567,Robot\r", "windows-1252", "windows-1252"),
    ],
)
def test_the_columns_are_found_however_a_table_writes_them(
    text: str, encoding: str, charset: str | None
) -> None:
    sent = read(text, encoding, charset)

    assert (sent.listed, sent.bad) == ([ROBOT], [])


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ("030 1234567", PHONE, "+49301234567"),
        ("+48 600 100 200 ext. 5", PHONE, "+48600100200"),
        ("tel:+49-30-1234567", PHONE, "+49301234567"),
        ("sip:+49301234567@pbx.example", PHONE, "+49301234567"),
        ('"""Robot"" <sips:49301234567@pbx.example>"', PHONE, "+49301234567"),
        ("Anna@Firm.example", EMAIL, "anna@firm.example"),
        ("@Firm.example", DOMAIN, "firm.example"),
        ("*@firm.example", DOMAIN, "firm.example"),
        ("firm.example.", DOMAIN, "firm.example"),
        ("müller.de", DOMAIN, "xn--mller-kva.de"),
    ],
)
def test_a_plain_list_of_values_is_read_each_by_what_it_looks_like(
    raw: str, kind: ExclusionKind, value: str
) -> None:
    assert read(f"{raw}\n").listed == [Listed(kind, value)]


def test_every_line_that_cannot_be_read_is_told_with_its_number_field_and_reason() -> None:
    text = (
        "kind,value,comment\n"
        "phone,call me 17 times,Robot\n"
        "e-mail,anna@firm.example,Kept\n"
        "fax,030 1234567,\n"
        "phone,4.93E+10,Excel\n"
        "email,,No value\n"
        "domain,firm.example\n"
        '"domain",fir"m.example,\n'
        f"domain,{'m' * 330}.example,\n"
        f"domain,firm.example,{'m' * 1001}\n"
        "domain,fir\0m.example,\n"
        "domain,*.firm.example,\n"
        'phone,030 1234567,"Two\nlines"\n'
        "phone,110 110,The last\n"
    )

    sent = read(text)

    assert told(sent) == [
        (2, "value", "«call me 17 times» is not a phone number."),
        (4, "kind", "«fax» is none of phone, email, domain."),
        (5, "value", "«4.93E+10» is not a phone number."),
        (6, "value", "The value is missing."),
        (7, "", "it has 2 cells, the first line has 3"),
        (8, "value", '«fir"m.example» is not a mail domain such as firm.com.'),
        (9, "value", "It is longer than 320 characters."),
        (10, "comment", "It is longer than 1000 characters."),
        (11, "value", "it holds U+0000, which cannot be stored"),
        (12, "value", f"«*.firm.example» is not a mail domain such as firm.com. {BELOW}"),
    ]
    assert [each.comment for each in sent.listed] == ["Kept", "Two\nlines", "The last"]


def test_a_quote_without_an_end_is_told_where_it_begins() -> None:
    sent = read('value\n030 1234567\n"030 7654321\n030 1111111\n')

    assert [each.value for each in sent.listed] == ["+49301234567"]
    assert told(sent) == [(3, "", "a quote that begins here has no end: it holds all that follows")]


def test_what_is_no_utf_8_is_told_and_the_other_lines_are_read() -> None:
    sent = read("value,comment\n030 1234567,Müller\n030 7654321,Weiss\n", "windows-1252")

    assert [each.comment for each in sent.listed] == ["Weiss"]
    assert told(sent) == [(2, "comment", "these bytes are not UTF-8")]


def test_it_is_read_in_the_charset_that_is_said() -> None:
    sent = read("value,comment\n030 1234567,Müller\n", "windows-1252", "Windows-1252")

    assert [each.comment for each in sent.listed] == ["Müller"]


def test_columns_that_mean_nothing_are_named() -> None:
    sent = read("id,kind,value,made_by_run_id\n7,phone,030 1234567,\n")

    assert (len(sent.listed), sent.ignored) == (1, ["id", "made_by_run_id"])


def test_a_column_that_means_nothing_may_be_there_twice() -> None:
    sent = read("id,value,,id,\n7,030 1234567,,8,\n")

    assert ([each.value for each in sent.listed], sent.ignored) == (["+49301234567"], ["id", ""])


@pytest.mark.parametrize("kind", ["e-mail", "E-Mail", "e\u2011mail", "E mail", "email"])
def test_a_kind_is_known_however_it_is_spelled(kind: str) -> None:
    sent = read(f"kind,value\n{kind},Anna@firm.example\n")

    assert (sent.listed, sent.bad) == ([Listed(EMAIL, "anna@firm.example")], [])


def test_a_first_line_for_excel_counts_as_a_line() -> None:
    sent = read("sep=,\nkind,value\n-,030 1234567\n")

    assert told(sent) == [(3, "kind", "«-» is none of phone, email, domain.")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"kind,comment\nphone,Robot\n", "the first line must name the columns"),
        (b"value,value\n1,2\n", "the column «value» is there twice"),
        (b"\xff\xfe\x00", "it begins as UTF-16, and is not"),
        (b"030 1234567\n" * (MOST_LINES + 1), f"more than {MOST_LINES} lines"),
        (b"030 1234567\n" * MOST_LINES + b"030 1234567", f"more than {MOST_LINES} lines"),
        (b"030 1234567\r" * MOST_LINES + b"030 1234567", f"more than {MOST_LINES} lines"),
    ],
)
def test_what_is_no_such_list_is_refused_as_a_whole(content: bytes, reason: str) -> None:
    with pytest.raises(CannotLoad, match=reason):
        read_list(content, region="DE")


@pytest.mark.parametrize(
    "charset", ["latin1", "ISO_8859-1", "cp1252", "CP1250", "l9", " windows-1252 "]
)
def test_a_charset_may_be_called_by_any_of_its_names(charset: str) -> None:
    sent = read("value,comment\n030 1234567,Müller\n", charset.strip(), charset)

    assert [each.comment for each in sent.listed] == ["Müller"]


@pytest.mark.parametrize("charset", ["utf8", "UTF_8", "u8", "ascii", "US-ASCII", ""])
def test_utf_8_and_ascii_have_several_names_too(charset: str) -> None:
    assert read("030 1234567", charset=charset).listed == [Listed(PHONE, "+49301234567")]


@pytest.mark.parametrize("charset", ["punycode", "base64", "utf-7", "utf-8\0", "ü" * 500])
def test_a_charset_that_few_use_is_refused(charset: str) -> None:
    with pytest.raises(CannotLoad, match="is none of iso-8859-1") as caught:
        read("030 1234567", charset=charset)

    assert len(str(caught.value)) < 300


def test_as_many_lines_as_there_may_be_are_read_with_and_without_an_end() -> None:
    text = "030 1234567\r\n" * MOST_LINES

    assert len(read(text).listed) == len(read(text.rstrip()).listed) == MOST_LINES


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "windows-1252"]))
def test_no_bytes_whatever_break_it(content: bytes, charset: str | None) -> None:
    sent = read_list(b"kind,value\n" + content, charset=charset, region="DE")

    assert all(each.reason and each.number > 1 for each in sent.bad)


def address(local: str) -> str:
    return read_value(EMAIL, f"{local}@spam.example", region="DE")


addresses = st.text("ab1'=+-*_/!", min_size=1, max_size=6).map(address)
numbers = st.integers(10**6, 10**9).map("+4930{}".format)
characters = st.characters(exclude_characters="\0", codec="utf-8")
texts = st.builds(str.__add__, st.text("'=+-@\t", max_size=4), st.text(characters, max_size=40))
comments = st.none() | texts.map(str.strip).filter(bool)


@given(
    st.lists(
        st.builds(Listed, st.just(PHONE), numbers, comments)
        | st.builds(Listed, st.just(EMAIL), addresses, comments)
    )
)
def test_a_list_that_was_written_as_csv_reads_as_it_was(listed: list[Listed]) -> None:
    header = ("kind", "value", "comment")
    rows = [(kind, harmless(value), harmless(said or "")) for kind, value, said in listed]
    text = lines([header, *rows])

    assert read_list(text.encode(), region="DE").listed == listed
