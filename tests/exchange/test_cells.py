"""Cells: what goes into a table comes out of it."""

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.cells import as_written, cell, cells, harmless, lines
from models.user import Role


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("Roof", "Roof"),
        (True, "true"),
        (False, "false"),
        (42, "42"),
        (Decimal("1E+3"), "1000"),
        (Decimal("12.50"), "12.50"),
        (date(2027, 8, 31), "2027-08-31"),
        (datetime(2027, 8, 31, 9, 0, tzinfo=UTC), "2027-08-31T09:00:00Z"),
        (Role.ADMIN, "admin"),
        (["030 1", "ä"], '["030 1", "ä"]'),
        (
            {"price": Decimal("1.50"), "on": date(2027, 1, 2)},
            '{"price": "1.50", "on": "2027-01-02"}',
        ),
    ],
    ids=str,
)
def test_a_value_has_one_text(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 30", "-5", "@home", "\tx", "a\r\nb", 'say "so"; a,b']
)
def test_a_text_stays_as_it_is_even_where_a_spreadsheet_sees_a_formula(text: str) -> None:
    written = lines([cells({"text": text, "n": 1}, ["text", "n"])])

    assert list(csv.reader(StringIO(written, newline=""))) == [[text, "1"]]


def test_custom_fields_have_columns_of_their_own() -> None:
    row: dict[str, Any] = {"id": 7, "custom": {"size": "XL", "other": 1}}

    assert cells(row, ["id", "custom.size", "custom.gone", "gone"]) == ["7", "XL", "", ""]


def test_what_no_cell_can_hold_is_a_fault() -> None:
    with pytest.raises(TypeError):
        cell([object()])


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-offers@spam.example", "'-offers@spam.example"),
        ("'=1+1", "''=1+1"),
        ("+49 30 1234567", "+49 30 1234567"),
        ("-5", "-5"),
        ("'tis so", "'tis so"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_compute_is_marked_as_a_text(text: str, cell: str) -> None:
    assert (harmless(text), as_written(cell)) == (cell, text)


@given(st.builds(str.__add__, st.text("'=+-@\t\r\n5", max_size=4), st.text(max_size=10)))
def test_what_was_made_harmless_reads_as_it_was_written(text: str) -> None:
    assert as_written(harmless(text)) == text
    assert not harmless(text).startswith(("=", "@", "\t", "\r"))
