"""Cells: what they mean, or why they mean nothing."""

import pytest

from exchange.values import Bad, several


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("[" * 100_000, "is no list in JSON"),
        ("[" + "9" * 5000 + "]", "is no list in JSON"),
        ("[1]", "holds texts only"),
        (r'["a\u0000"]', "cannot be stored"),
        (r'["\ud83d"]', "cannot be stored"),
    ],
    ids=["deep", "digits", "number", "NUL", "half a character"],
)
def test_a_list_that_is_none_is_bad(cell: str, why: str) -> None:
    with pytest.raises(Bad, match=why) as bad:
        several(cell)

    assert len(str(bad.value)) < 300
