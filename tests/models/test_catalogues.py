"""Catalogues that fill themselves: whatever stands in the files of a package is in them."""

import sys
from pathlib import Path

import pytest

from models.catalogues import SelfFilled

FILE = "from shelf import things\n\nthings.add({0!r}, {0!r})\n"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SelfFilled[str]:
    """A package of two files that each put something into its catalogue."""
    package = tmp_path / "shelf"
    package.mkdir()
    made = (
        "from models.catalogues import SelfFilled\n\nthings = SelfFilled('shelf', what='things')\n"
    )
    (package / "__init__.py").write_text(made)
    (package / "a.py").write_text(FILE.format("spoon"))
    (package / "b.py").write_text(FILE.format("cup"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shelf", raising=False)
    from shelf import things  # type: ignore[import-not-found]  # noqa: PLC0415 - made just now

    found: SelfFilled[str] = things
    return found


def test_whatever_stands_in_the_files_is_there_in_order_of_the_codes(
    shelf: SelfFilled[str],
) -> None:
    assert list(shelf.whole()) == ["cup", "spoon"]
    assert list(shelf.whole()) == ["cup", "spoon"]


def test_two_of_one_code_are_refused() -> None:
    things: SelfFilled[str] = SelfFilled("shelf", what="things")
    things.add("cup", "blue")

    with pytest.raises(LookupError, match=r"There are two things cup\."):
        things.add("cup", "red")
