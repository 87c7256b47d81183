"""Lines of CSV files: whatever is in a file, each line is read or said to be bad."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.lines import BadLine, CannotLoad, Line, header_of, lines_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deals.csv"


def said(path: Path) -> list[tuple[int, str]]:
    """Return what is bad, by line."""
    return [(each.number, each.reason) for each in lines_of(path) if isinstance(each, BadLine)]


def good(path: Path) -> list[Line]:
    return [each for each in lines_of(path) if isinstance(each, Line)]


def test_a_line_has_its_number_and_its_cells_by_column(file: Path) -> None:
    file.write_text('id,text\n1,"two\nlines"\n2,=1+1\n', newline="")

    assert good(file) == [
        Line(2, {"id": "1", "text": "two\nlines"}),
        Line(4, {"id": "2", "text": "=1+1"}),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfid,text\r\n1,a\r\n")

    assert header_of(file) == ["id", "text"]
    assert good(file) == [Line(2, {"id": "1", "text": "a"})]


@pytest.mark.parametrize(
    ("content", "bad"),
    [
        (b"id,text\n1\n2,b\n", (2, "it has 1 cell, the first line has 2")),
        (b"id,text\n1,a,c\n2,b\n", (2, "it has 3 cells, the first line has 2")),
        (b"id,text\n\n2,b\n", (2, "the line is empty")),
        (b"id,text\n1,a\0\n2,b\n", (2, "it holds U+0000, which cannot be stored")),
        (b"id,text\n1,\xff\xfe\n2,b\n", (2, "these bytes are not UTF-8")),
        (b'id,text\n1,"a"b\n2,b\n', (2, "this is no CSV: ',' expected after '\"'")),
    ],
    ids=["few", "many", "empty", "NUL", "encoding", "quotes"],
)
def test_a_bad_line_is_said_and_the_next_is_read(
    file: Path, content: bytes, bad: tuple[int, str]
) -> None:
    file.write_bytes(content)

    assert said(file) == [bad]
    assert good(file) == [Line(3, {"id": "2", "text": "b"})]


def test_a_quotation_mark_that_never_ends_is_said(file: Path) -> None:
    file.write_text('id,text\n1,"a\n2,b\n')

    assert said(file) == [(2, "this is no CSV: unexpected end of data")]


def test_empty_lines_before_a_line_that_is_no_csv_keep_their_numbers(file: Path) -> None:
    file.write_text('id,text\n\n\n1,"a"b\n\n2,b\n')

    assert [number for number, _ in said(file)] == [2, 3, 4, 5]


def test_a_million_columns_are_looked_at_once(file: Path) -> None:
    file.write_text(",".join(map(str, range(1_000_000))) + "\n")

    assert len(header_of(file)) == 1_000_000


def test_empty_lines_at_the_end_do_not_count(file: Path) -> None:
    file.write_text("id,text\n1,a\n\n\n")

    assert said(file) == []
    assert len(good(file)) == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the first line must name the columns"),
        (b"\n1,a\n", "the first line must name the columns"),
        (b"id,id\n", "the column «id» is there twice"),
        (b"id;text\n1;a\n", "its columns are separated by «;»"),
        (b"\xff\xfei\0d\0", "is not a text in UTF-8"),
        (b'"id\n', "the first line cannot be read"),
    ],
    ids=["empty", "blank", "twice", "semicolons", "UTF-16", "quotes"],
)
def test_a_file_without_columns_is_refused(file: Path, content: bytes, why: str) -> None:
    file.write_bytes(content)

    with pytest.raises(CannotLoad, match=why):
        header_of(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_are_a_fault(file: Path, rest: bytes) -> None:
    file.write_bytes(b"id,text\n" + rest)

    assert all(each.number >= 2 for each in lines_of(file))
