"""What can be seen of texts, and what names may hold."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.field_writing import OF_ITEMS
from models.inputs import Name
from models.seen import CONTROL, in_lines, in_one_line

NAMES: TypeAdapter[str] = TypeAdapter(Name)


def taken(sent: str) -> str | None:
    """Return what a name is kept as, None if it is refused."""
    with suppress(ValidationError):
        return NAMES.validate_python(sent)
    return None


@pytest.mark.parametrize(
    "hidden",
    [
        *("\0", "\x07", "\x1b[31m", "\x1c", "\x7f", "\x80", "\x9f"),
    ],
    ids=ascii,
)
def test_control_characters_are_in_no_name(hidden: str) -> None:
    with pytest.raises(ValidationError, match=rf"there is U\+{ord(hidden[0]):04X} in it: a name"):
        NAMES.validate_python(f"A{hidden}b")


@pytest.mark.parametrize(
    "name", ["אנה\u200f", "👩\u200d🔧", "می\u200cخواهم", "Anna  Berg", "a\u00a0b"]
)
def test_a_name_may_be_of_any_script(name: str) -> None:
    assert NAMES.validate_python(f"\n {name}\t") == name


@pytest.mark.parametrize(
    ("copied", "name"),
    [
        ("\u202bאנה ברג\u202c", "אנה ברג"),
        ("\u2067אנה\u2069 \u2066Berg\u2069", "אנה Berg"),
        ("Anna\tBerg", "Anna Berg"),
        ("Roofs\nand \r\n\tTiles", "Roofs and Tiles"),
        ("One\x0btwo\x85three\u2028four\u2029\x0c five", "One two three four five"),
        ("\u202a\n Anna \u202c\n", "Anna"),
        ("\u202b" + "x" * 199 + "\r\ny\u202c", None),
        ("\u202b" + "x" * 198 + "\r\ny\u202c", "x" * 198 + " y"),
    ],
    ids=ascii,
)
def test_a_name_is_taken_as_other_programs_copy_it(copied: str, name: str | None) -> None:
    assert taken(copied) == name


@pytest.mark.parametrize("empty", ["\u202b\u202c", "\t\n", "\u2066 \n\u2069"], ids=ascii)
def test_a_name_of_nothing_that_is_seen_is_none(empty: str) -> None:
    assert taken(empty) is None


@given(st.text())
def test_a_name_that_was_taken_is_taken_again_as_it_is(text: str) -> None:
    name = taken(text) or "x"

    assert taken(name) == name
    assert not CONTROL.search(name)
    assert len(name.splitlines()) == 1


@given(st.text())
def test_what_is_seen_of_a_text_is_seen_of_it_again(text: str) -> None:
    line, lines = in_one_line(text), in_lines(text)

    assert (in_one_line(line), in_lines(lines)) == (line, lines)
    assert not CONTROL.search(line + lines)
    assert "\n" not in line


def test_a_text_of_several_lines_that_a_rule_writes_into_a_name_becomes_one() -> None:
    title = OF_ITEMS[0]

    said = title.of_text("A new\r\nroof\x07, please\n", "Europe/Berlin")

    assert title.read(said) == "A new roof, please"
