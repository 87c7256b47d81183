"""Bookmarks: whoever reads with one gets each row once, in whatever order rows become visible."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bookmark import MOST_ABOVE, WRITTEN, Bookmark

BOOKMARKS = st.builds(
    lambda floor, above: Bookmark(floor, frozenset(floor + each for each in above)),
    st.integers(0, 10**9),
    st.frozensets(st.integers(1, 10**6), max_size=20),
)


@given(BOOKMARKS)
def test_it_is_read_as_it_was_written(bookmark: Bookmark) -> None:
    assert Bookmark.of(str(bookmark)) == bookmark
    assert re.fullmatch(WRITTEN, str(bookmark))


@pytest.mark.parametrize("text", ["", "x", "1.", "1,2", "-1", "1.2,", "1.2.3", "9" * 19])
def test_what_is_none_is_not_written_like_one(text: str) -> None:
    assert not re.fullmatch(WRITTEN, text)


def test_the_floor_rises_with_what_is_settled_and_the_rest_is_named() -> None:
    read = Bookmark(100).after(118, settled=120).after(124, settled=120).after(125, settled=120)

    assert str(read) == "120.124,125"


def test_what_is_settled_needs_no_name() -> None:
    assert str(Bookmark.of("120.124,125").up_to(124)) == "124.125"


def test_the_floor_never_falls() -> None:
    assert str(Bookmark(120).up_to(90).after(121, settled=90)) == "120.121"


def test_it_stays_short_enough_for_a_header() -> None:
    bookmark = Bookmark(10**15)

    for row_id in range(10**15 + 1, 10**15 + 2 * MOST_ABOVE):
        bookmark = bookmark.after(row_id, settled=0)

    assert len(bookmark.above) == MOST_ABOVE
    assert bookmark.floor == 10**15 + MOST_ABOVE - 1
    assert re.fullmatch(WRITTEN, str(bookmark))
    assert len(str(bookmark)) < 10_000


def test_one_of_a_database_that_was_newer_forgets_what_is_gone() -> None:
    assert str(Bookmark.of("120.124,130").no_later_than(125)) == "120.124"
    assert str(Bookmark.of("120.124,130").no_later_than(100)) == "100"


def read(
    bookmark: Bookmark, visible: set[int], settled: int, at_once: int
) -> tuple[Bookmark, list[int]]:
    """Read as a stream does; return where it leaves off, and what it sent."""
    new = sorted(each for each in visible if each > bookmark.floor and each not in bookmark.above)
    sent = new[:at_once]
    for row_id in sent:
        bookmark = bookmark.after(row_id, settled)
    return bookmark if sent != new else bookmark.up_to(settled), sent


@given(
    st.permutations(range(1, 13)),
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(1, 3)), max_size=30),
)
def test_each_row_is_sent_once_in_whatever_order_rows_appear(
    appearing: list[int], steps: list[tuple[int, bool, int]]
) -> None:
    bookmark, visible, sent = Bookmark(0), set[int](), list[int]()
    waiting = list(appearing)

    for appear, settles, at_once in [*steps, (12, True, 12)]:
        visible |= set(waiting[:appear])
        waiting = waiting[appear:]
        settled = min(waiting, default=13) - 1 if settles else 0
        bookmark, more = read(Bookmark.of(str(bookmark)), visible, settled, at_once)
        sent += more

    assert sorted(sent) == sorted(appearing)
