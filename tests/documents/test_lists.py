"""Numbers of lists are written as Word writes them."""

import pytest

from documents.lists import written


@pytest.mark.parametrize(
    ("count", "form", "text"),
    [
        (3, "decimal", "3"),
        (3, None, "3"),
        (3, "decimalZero", "03"),
        (1, "lowerLetter", "a"),
        (26, "upperLetter", "Z"),
        (27, "lowerLetter", "aa"),
        (4, "lowerRoman", "iv"),
        (1949, "upperRoman", "MCMXLIX"),
        (0, "upperRoman", "0"),
        (3, "none", ""),
        (3, "ordinal", "3."),
        (3, "ganada", "3"),
    ],
)
def test_a_number_is_written_as_its_list_says(count: int, form: str | None, text: str) -> None:
    assert written(count, form) == text
