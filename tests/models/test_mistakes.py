"""Why something is refused, and what was probably meant."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Discriminator, Field, ValidationError

from models.mistakes import at_the_root, names_at, unknown
from models.near_misses import LONGEST_NAME

UNSHOWN = "\N{REPLACEMENT CHARACTER}"


class Delay(BaseModel):
    kind: Literal["delay"] = "delay"
    amount: int = 1


class Moment(BaseModel):
    kind: Literal["moment"] = "moment"
    clock: str = ""


class Whole(BaseModel):
    title: str = ""
    parts: "list[Whole]" = []
    timing: Annotated[Delay | Moment, Discriminator("kind")] = Delay()


@pytest.mark.parametrize(
    ("location", "names"),
    [
        ((), {"title", "parts", "timing"}),
        (("parts", 0), {"title", "parts", "timing"}),
        (("parts", 3, "timing"), {"kind", "amount", "clock"}),
        (("timing", "moment"), {"kind", "clock"}),
        (("timing", "Delay"), {"kind", "amount"}),
    ],
)
def test_the_fields_that_a_place_can_have_are_known(
    location: tuple[int | str, ...], names: set[str]
) -> None:
    assert names_at(Whole, location) == names


def test_a_place_of_no_known_type_has_no_fields() -> None:
    assert names_at(None, ("title",)) == set()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("titel", "unknown field titel, did you mean title?"),
        ("zzz", "unknown field zzz"),
        ("x" * 200, f"unknown field {'x' * LONGEST_NAME}…"),
        ("\0\ud800\x9fé", f"unknown field {3 * UNSHOWN}é"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_known(name: str, told: str) -> None:
    assert unknown("field", name, ["title", "timing"]) == told


class Group(BaseModel):
    parts: tuple[Delay, ...] = Field(min_length=1)
    names: tuple[str, ...] = Field(default=("a",), min_length=1)


def test_of_a_list_it_is_told_what_is_wrong_in_it_and_not_that_it_lacks_just_that() -> None:
    with pytest.raises(ValidationError) as caught:
        Group.model_validate({"parts": [{"amount": "x"}], "names": []})

    places = [each["loc"] for each in at_the_root(caught.value.errors())]
    assert places == [("parts", 0, "amount"), ("names",)]
