"""What can be seen of texts, and what names may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.field_writing import OF_ITEMS
from models.inputs import Name
from models.seen import CONTROL, in_lines, in_one_line

NAMES: TypeAdapter[str] = TypeAdapter(Name)


@pytest.mark.parametrize(
    "hidden",
    [
        *("\n", "\r", "\t", "\x07", "\x1b[31m", "\x7f", "\x85"),
        *("\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069"),
    ],
    ids=ascii,
)
def test_what_nobody_can_see_is_in_no_name(hidden: str) -> None:
    with pytest.raises(ValidationError, match=rf"there is U\+{ord(hidden[0]):04X} in it: a name"):
        NAMES.validate_python(f"A{hidden}b")


@pytest.mark.parametrize(
    "name", ["אנה\u200f", "👩\u200d🔧", "می\u200cخواهم", "Anna  Berg", "a\u00a0b"]
)
def test_a_name_may_be_of_any_script(name: str) -> None:
    assert NAMES.validate_python(f"\n {name}\t") == name


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
