"""Why something is refused, and what was probably meant."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Discriminator

from models.mistakes import LONGEST_NAME, names_at, unknown


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
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_known(name: str, told: str) -> None:
    assert unknown("field", name, ["title", "timing"]) == told
