"""Reports: bad lines are collected, up to a number that no memory minds."""

import pytest

from exchange.lines import BadLine, CannotLoad
from exchange.report import MOST_BAD, MOST_SHOWN, BadLines


def test_what_is_no_such_file_at_all_is_not_read_to_its_end() -> None:
    bad = BadLines()
    lines = [BadLine("deals.csv", number, "", "it is empty") for number in range(MOST_BAD + 1)]

    with pytest.raises(CannotLoad, match="lines are bad: is the layout that of these files"):
        bad.add(0, 2, lines)

    assert bad.first == lines[:MOST_SHOWN]
