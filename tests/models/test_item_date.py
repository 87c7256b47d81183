"""A date of the item as a moment: before, at, after; in the company's zone; empty."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models.fields import Catalogue
from models.item_date import ItemDate, When
from models.item_type import ItemType
from models.timing import BEGINNING, END, Delay

WHEN: TypeAdapter[When] = TypeAdapter(When)
THE_DAY = {"field": "deal.close_date", "direction": "at"}


def before(amount: int, unit: str) -> dict[str, Any]:
    return THE_DAY | {"direction": "before", "amount": amount, "unit": unit}


@pytest.mark.parametrize(
    ("said", "value", "moment"),
    [
        (THE_DAY, date(2027, 12, 24), datetime(2027, 12, 23, 23, 0, tzinfo=UTC)),
        (before(1, "days"), date(2027, 11, 1), datetime(2027, 10, 30, 22, 0, tzinfo=UTC)),
        (before(1, "months"), date(2027, 3, 31), datetime(2027, 2, 27, 23, 0, tzinfo=UTC)),
        (
            THE_DAY | {"direction": "after", "amount": 90, "unit": "minutes"},
            "2027-12-24T10:00:00Z",
            datetime(2027, 12, 24, 11, 30, tzinfo=UTC),
        ),
        (before(500, "years"), date(300, 1, 1), BEGINNING),
        (
            THE_DAY | {"direction": "after", "amount": 500, "unit": "years"},
            date(9900, 1, 1),
            END,
        ),
        (THE_DAY, None, None),
        (THE_DAY, "one day", None),
    ],
)
def test_a_date_tells_a_moment_on_the_calendar_of_the_zone(
    said: dict[str, Any], value: object, moment: datetime | None
) -> None:
    assert ItemDate.model_validate(said).moment(value, "Europe/Berlin") == moment


@pytest.mark.parametrize(
    "said", [THE_DAY | {"amount": 1}, THE_DAY | {"direction": "before"}, before(0, "days")]
)
def test_an_amount_must_suit_the_direction(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="before and after need at least 1"):
        ItemDate.model_validate(said)


@pytest.mark.parametrize(
    ("said", "kind"),
    [({"amount": 2, "unit": "days"}, Delay), (before(2, "days"), ItemDate)],
)
def test_a_moment_is_a_delay_unless_it_names_a_field_and_is_kept_as_it_was_said(
    said: dict[str, Any], kind: type[Delay]
) -> None:
    read = WHEN.validate_python(said)

    assert type(read) is kind
    assert WHEN.dump_python(read, mode="json") == said


@pytest.mark.parametrize(
    ("said", "words"),
    [(THE_DAY, "at close_date"), (before(1, "days"), "1 day before close_date")],
)
def test_it_is_said_in_words(said: dict[str, Any], words: str) -> None:
    assert ItemDate.model_validate(said).in_words() == words


def test_it_must_be_a_date_of_the_item() -> None:
    read = ItemDate.model_validate(THE_DAY | {"field": "deal.amount"})

    (problem,) = read.problems(Catalogue.of(ItemType.DEAL))

    assert (problem.field, problem.reason) == (
        "/field",
        "deal.amount is no date of the item, as deal.begin_date is",
    )
