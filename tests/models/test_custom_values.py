"""Values of custom fields: each kind keeps what is of it, exactly, and says what it takes else."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from models.custom_values import KINDS, accepted, meaning
from models.errors import Invalid
from models.fields import Field, FieldKind

SIZES = ("Small", "Medium", "Large")


def field(kind: FieldKind) -> Field:
    return Field("size", "Size", kind, choices=SIZES)


def refusal(kind: FieldKind, sent: object, present: object = None) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        accepted(field(kind), sent, present)
    return [(problem.field, problem.reason) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("kind", "sent", "kept", "means"),
    [
        ("text", "A-1", "A-1", "A-1"),
        ("text", "", "", ""),
        ("text", "x" * 20_000, "x" * 20_000, "x" * 20_000),
        ("number", 3, 3, Decimal(3)),
        ("number", -3, -3, Decimal(-3)),
        ("number", 3.0, 3, Decimal(3)),
        ("number", 0.1, 0.1, Decimal("0.1")),
        ("number", "0.1", 0.1, Decimal("0.1")),
        ("number", "+0.10", 0.1, Decimal("0.1")),
        ("number", "1e3", 1000, Decimal(1000)),
        ("number", -0.0, 0, Decimal(0)),
        ("number", 0.1 + 0.2, 0.1 + 0.2, Decimal("0.30000000000000004")),
        ("number", 999_999_999_999_999, 999_999_999_999_999, Decimal(999_999_999_999_999)),
        ("number", "0.123456789012345", 0.123456789012345, Decimal("0.123456789012345")),
        ("money", 12, "12.00", Decimal("12.00")),
        ("money", 12.5, "12.50", Decimal("12.50")),
        ("money", "12.5", "12.50", Decimal("12.50")),
        ("money", "12.500", "12.50", Decimal("12.50")),
        ("money", "-0.00", "0.00", Decimal("0.00")),
        ("money", "-12.05", "-12.05", Decimal("-12.05")),
        ("money", "9999999999999999.99", "9999999999999999.99", Decimal("9999999999999999.99")),
        ("date", "2027-12-31", "2027-12-31", date(2027, 12, 31)),
        ("date", "20271231", "2027-12-31", date(2027, 12, 31)),
        ("date", "0001-01-01", "0001-01-01", date(1, 1, 1)),
        (
            "datetime",
            "2027-12-31T09:00+01:00",
            "2027-12-31T08:00:00Z",
            datetime(2027, 12, 31, 8, tzinfo=UTC),
        ),
        (
            "datetime",
            "2027-12-31 09:00:00.5Z",
            "2027-12-31T09:00:00.500000Z",
            datetime(2027, 12, 31, 9, 0, 0, 500_000, tzinfo=UTC),
        ),
        ("boolean", True, True, True),
        ("boolean", False, False, False),
        ("user", 7, 7, 7),
        ("list", "Medium", "Medium", "Medium"),
        ("multi", ["Large", "Small"], ["Large", "Small"], ["Large", "Small"]),
        ("multi", [], [], []),
    ],
)
def test_a_value_is_kept_as_json_and_means_something(
    kind: str, sent: object, kept: object, means: object
) -> None:
    found = accepted(field(FieldKind(kind)), sent)

    assert (type(found), found) == (type(kept), kept)
    meant = meaning(FieldKind(kind), found)
    assert (type(meant), meant) == (type(means), means)


BAD: dict[str, list[Any]] = {
    "text": [1, True, ["a"], {"a": 1}, "x" * 20_001],
    "number": [
        *("three", "", " 3", "1_000", "0x1", "١", "3,5", "1e", "NaN", "Infinity", True, [1], {}),
        *(float("nan"), float("inf"), 10**15, 1e300, "1e-15", "1e999", 9007199254740993, 10**400),
        *("0.1234567890123456789", "12345678901234567890"),
    ],
    "money": ["12.345", 0.001, "10000000000000000", "1e30", "EUR 5", True, [], float("inf")],
    "date": ["31.12.2027", "2027-02-30", "2027-12-31T00:00", 20271231, "", True],
    "datetime": [
        *("2027-12-31T09:00", "2027-12-31", "now", 1, "", True),
        *("0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"),
    ],
    "boolean": ["true", 1, 0, "yes", [], {}],
    "user": ["7", 0, -1, True, 1.5, 2**63, [7]],
    "list": [1, ["Small"], True, {}],
    "multi": ["Small", {"Small": True}, [1], [["Small"]], [None]],
    "booking": ["2027-12-31T09:00+01:00", "now", 1, True],
}

WANTED = {
    "text": "a text of at most 20000 characters",
    "number": "a number of at most 15 digits such as 3 or 0.1",
    "money": "an amount with at most two decimals such as 12.50",
    "date": "a date such as 2027-12-31",
    "datetime": "a time with its zone such as 2027-12-31T09:00+01:00",
    "boolean": "true or false",
    "user": "the id of a user",
    "list": "one of its choices",
    "multi": "a list of its choices",
    "booking": "nothing by itself: it says when the next of its bookings starts",
}


@pytest.mark.parametrize(
    ("kind", "sent"),
    [(kind, sent) for kind, values in BAD.items() for sent in values],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_of_the_kind_is_refused_with_what_would_be(kind: str, sent: object) -> None:
    [(pointer, reason)] = refusal(FieldKind(kind), sent)

    assert (pointer, reason) == ("/custom/size", f"«Size» takes {WANTED[kind]}.")


def test_every_kind_but_rows_can_be_a_custom_field() -> None:
    assert set(KINDS) == set(FieldKind) - {FieldKind.ROWS} == set(map(FieldKind, BAD))


@pytest.mark.parametrize("sent", ["Medum", "medium", "MEDIUMS"])
def test_a_choice_that_there_is_not_names_the_nearest(sent: str) -> None:
    assert refusal(FieldKind.LIST, sent) == [
        ("/custom/size", f"«Size» has no choice {sent}, did you mean Medium?")
    ]


def test_a_choice_like_no_other_names_all() -> None:
    [(_, reason)] = refusal(FieldKind.LIST, "Blue")

    assert reason == "«Size» has no choice Blue; there are Small, Medium, Large."


def test_of_many_choices_some_are_named() -> None:
    many = Field("size", "Size", FieldKind.LIST, choices=tuple(map(str, range(12))))

    with pytest.raises(Invalid, match="there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"):
        accepted(many, "Blue")


def test_each_wrong_choice_of_several_is_told_with_its_place() -> None:
    assert refusal(FieldKind.MULTI, ["Small", "Larg", "Small"]) == [
        ("/custom/size/1", "«Size» has no choice Larg, did you mean Large?"),
        ("/custom/size/2", "«Size» takes each choice once; Small is there twice."),
    ]


@pytest.mark.parametrize(
    ("kind", "present", "sent"),
    [("list", "Tiny", "Tiny"), ("multi", ["Tiny", "Small"], ["Large", "Tiny"])],
)
def test_a_choice_that_is_no_longer_one_may_stay(kind: str, present: object, sent: object) -> None:
    assert accepted(field(FieldKind(kind)), sent, present) == sent


def test_a_choice_that_is_no_longer_one_cannot_be_taken_again() -> None:
    assert refusal(FieldKind.MULTI, ["Tiny"], ["Small"])


def test_a_name_is_escaped_in_its_pointer() -> None:
    with pytest.raises(Invalid) as caught:
        accepted(Field("a/b~c", "Odd", FieldKind.NUMBER), "x")

    assert caught.value.field == "/custom/a~1b~0c"


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_longer_is_of_the_kind_means_itself(kind: FieldKind) -> None:
    misfit = {"of": "another kind"}

    assert meaning(kind, misfit) is misfit
    assert meaning(kind, None) is None


@given(some.decimals(min_value=-(10**14), max_value=10**14, allow_nan=False, places=1))
def test_a_number_comes_out_as_it_went_in(number: Decimal) -> None:
    kept = accepted(field(FieldKind.NUMBER), str(number))

    assert meaning(FieldKind.NUMBER, kept) == number
    assert accepted(field(FieldKind.NUMBER), kept) == kept


@given(some.floats(min_value=-1e14, max_value=1e14).filter(lambda x: x == 0 or abs(x) > 1e-14))
def test_a_json_number_comes_out_as_it_went_in(number: float) -> None:
    assert accepted(field(FieldKind.NUMBER), number) == number


@given(some.decimals(min_value=-(10**15), max_value=10**15, places=2))
def test_money_comes_out_as_it_went_in(amount: Decimal) -> None:
    kept = accepted(field(FieldKind.MONEY), str(amount))

    assert meaning(FieldKind.MONEY, kept) == amount


@given(some.datetimes(timezones=some.timezones()).filter(lambda moment: 1 < moment.year < 9999))
def test_a_time_means_the_same_moment(moment: datetime) -> None:
    written = moment.isoformat()

    kept = accepted(field(FieldKind.DATETIME), written)

    assert kept.endswith("Z")
    assert meaning(FieldKind.DATETIME, kept) == datetime.fromisoformat(written)
