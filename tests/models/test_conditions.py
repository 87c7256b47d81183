import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.conditions import Condition, Conditions, Outcome, Verdict, check, evaluate
from models.errors import Problem
from models.item_type import ItemType

CONDITIONS: TypeAdapter[Condition] = TypeAdapter(Conditions)

MET, NOT_MET, UNKNOWN = Outcome

VALUES: dict[str, object] = {
    "deal.amount": Decimal("500.00"),
    "deal.title": "Roof for Müller",
    "deal.stage": "New",
    "deal.close_date": date(2026, 8, 31),
    "deal.created_at": datetime(2026, 8, 1, 9, tzinfo=UTC),
    "deal.comments": "",
    "deal.source": None,
    "deal.begin_date": None,
    "deal.products": [{"name": "Roof"}],
    "deal.id": 42,
    "deal.url": 7,
    "item.products": [],
    "lead.is_repeat": True,
}

YES = {"field": "deal.id", "operator": "=", "value": 42}
NO = {"field": "deal.id", "operator": "=", "value": 43}
WHO_KNOWS = {"field": "deal.custom.gone", "operator": "=", "value": "x"}


def parse(sent: object) -> Condition:
    return CONDITIONS.validate_python(sent)


def compare(field: str, operator: str, value: Any = None) -> Condition:
    return parse({"field": field, "operator": operator, "value": value})


def judge(sent: object) -> Verdict:
    return evaluate(parse(sent), VALUES)


def nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = YES
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("field", "operator", "value", "outcome"),
    [
        ("deal.amount", "=", 500, MET),
        ("deal.amount", "=", "500.0", MET),
        ("deal.amount", "!=", 500, NOT_MET),
        ("deal.amount", "<", 500.01, MET),
        ("deal.amount", "<=", 500, MET),
        ("deal.amount", ">", 500, NOT_MET),
        ("deal.amount", ">=", 500, MET),
        ("deal.amount", "between", [500, 600], MET),
        ("deal.amount", "between", [400, 500], MET),
        ("deal.amount", "between", [501, 600], NOT_MET),
        ("deal.amount", "in", [1, 500], MET),
        ("deal.amount", "not in", [1, 500], NOT_MET),
        ("deal.title", "=", "Roof for Müller", MET),
        ("deal.title", "=", "roof for müller", NOT_MET),
        ("deal.title", "contains", "MÜLLER", MET),
        ("deal.title", "contains", "Meier", NOT_MET),
        ("deal.title", "starts with", "rOOF", MET),
        ("deal.title", "starts with", "Müller", NOT_MET),
        ("deal.stage", "in", ["New", "Won"], MET),
        ("deal.stage", "not in", ["Won"], MET),
        ("deal.close_date", "=", "2026-08-31", MET),
        ("deal.close_date", "<", "2026-09-01", MET),
        ("deal.close_date", "between", ["2026-08-01", "2026-08-31"], MET),
        ("deal.created_at", "=", "2026-08-01T11:00+02:00", MET),
        ("deal.created_at", ">", "2026-08-01T11:00+01:00", NOT_MET),
        ("lead.is_repeat", "=", True, MET),
        ("lead.is_repeat", "!=", True, NOT_MET),
        ("deal.products", "empty", None, NOT_MET),
        ("deal.products", "not empty", None, MET),
        ("item.products", "empty", None, MET),
        ("deal.comments", "empty", None, MET),
        ("deal.source", "not empty", None, NOT_MET),
    ],
)
def test_a_field_is_compared_with_a_value(
    field: str, operator: str, value: object, outcome: Outcome
) -> None:
    assert evaluate(compare(field, operator, value), VALUES).outcome is outcome


@pytest.mark.parametrize("field", ["deal.source", "deal.comments"])
@pytest.mark.parametrize(
    ("operator", "value", "outcome"),
    [
        ("=", "x", NOT_MET),
        ("!=", "x", MET),
        ("in", ["x"], NOT_MET),
        ("not in", ["x"], MET),
        ("contains", "x", NOT_MET),
        ("starts with", "x", NOT_MET),
    ],
)
def test_an_empty_field_equals_nothing_and_contains_nothing(
    field: str, operator: str, value: object, outcome: Outcome
) -> None:
    assert evaluate(compare(field, operator, value), VALUES).outcome is outcome


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
def test_an_empty_field_stands_in_no_order(operator: str) -> None:
    condition = compare("deal.begin_date", operator, "2026-01-01")

    assert evaluate(condition, VALUES).outcome is NOT_MET


@pytest.mark.parametrize(
    ("field", "operator", "value", "reason"),
    [
        ("deal.custom.gone", "=", "x", "there is no such field"),
        ("deal.custom.gone", "empty", None, "there is no such field"),
        ("deal.weather", "=", "fine", "there is no such field"),
        ("deal.url", "=", "x", "7 is no text"),
        ("deal.amount", ">", "much", "much is no number"),
        ("deal.amount", ">", "nan", "nan is no number"),
        ("deal.amount", "=", True, "true is no number"),
        ("deal.close_date", "<", "2026-08-31T00:00Z", "is no date"),
        ("deal.created_at", "<", "2026-08-31", "is no time with its zone"),
        ("lead.is_repeat", "=", "yes", "yes is neither true nor false"),
        ("deal.title", "<", "x", "text fields have no operator <"),
    ],
)
def test_what_does_not_compare_is_unknown_and_says_why(
    field: str, operator: str, value: object, reason: str
) -> None:
    verdict = evaluate(compare(field, operator, value), VALUES)

    assert verdict.outcome is UNKNOWN
    assert reason in verdict.comparisons[0].reason


@pytest.mark.parametrize(
    ("field", "value", "actual"),
    [
        ("deal.close_date", "2026-08-31", datetime(2026, 8, 31, tzinfo=UTC)),
        ("deal.close_date", "2026-08-31", "soon"),
        ("deal.created_at", "2026-08-31T00:00Z", datetime(2026, 8, 31)),  # noqa: DTZ001 - the point
        ("deal.created_at", "2026-08-31T00:00Z", date(2026, 8, 31)),
        ("deal.amount", 1, "lots"),
        ("deal.amount", 1, object()),
        ("lead.is_repeat", True, 1),
    ],
)
def test_a_value_that_is_not_of_its_fields_kind_is_unknown(
    field: str, value: object, actual: object
) -> None:
    assert evaluate(compare(field, "=", value), {field: actual}).outcome is UNKNOWN


def test_rows_that_are_no_list_are_unknown() -> None:
    condition = compare("deal.products", "not empty")

    assert evaluate(condition, {"deal.products": "Roof"}).outcome is UNKNOWN


@pytest.mark.parametrize(
    ("tree", "outcome"),
    [
        ({"all": []}, MET),
        ({"all": [YES, YES]}, MET),
        ({"all": [YES, WHO_KNOWS]}, UNKNOWN),
        ({"all": [NO, WHO_KNOWS]}, NOT_MET),
        ({"any": [NO, NO]}, NOT_MET),
        ({"any": [NO, WHO_KNOWS]}, UNKNOWN),
        ({"any": [YES, WHO_KNOWS]}, MET),
        ({"not": YES}, NOT_MET),
        ({"not": NO}, MET),
        ({"not": WHO_KNOWS}, UNKNOWN),
        ({"not": {"any": [NO, {"not": YES}]}}, MET),
    ],
)
def test_all_any_and_not_know_three_outcomes(tree: object, outcome: Outcome) -> None:
    assert judge(tree).outcome is outcome


trees = st.recursive(
    st.sampled_from([YES, NO, WHO_KNOWS]),
    lambda parts: (
        st.lists(parts, min_size=1, max_size=3).map(lambda several: {"all": several})
        | st.lists(parts, min_size=1, max_size=3).map(lambda several: {"any": several})
        | parts.map(lambda part: {"not": part})
    ),
    max_leaves=10,
)


@given(tree=trees)
def test_not_twice_changes_nothing(tree: dict[str, object]) -> None:
    assert judge({"not": {"not": tree}}) == judge(tree)


@given(tree=trees)
def test_everything_is_traced_and_something_decides(tree: dict[str, object]) -> None:
    verdict = judge(tree)

    assert len(verdict.comparisons) == json.dumps(tree).count('"field"')
    assert any(compared.decided for compared in verdict.comparisons)


@given(tree=trees)
def test_conditions_and_verdicts_survive_json(tree: dict[str, object]) -> None:
    conditions = parse(tree)
    verdict = evaluate(conditions, VALUES)

    assert CONDITIONS.validate_json(CONDITIONS.dump_json(conditions)) == conditions
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_the_trace_holds_what_was_compared_with_what() -> None:
    verdict = judge({"all": [NO, {"field": "deal.amount", "operator": ">", "value": 1000}]})

    assert [compared.model_dump(mode="json") for compared in verdict.comparisons][1] == {
        "field": "deal.amount",
        "operator": ">",
        "expected": 1000,
        "actual": "500.00",
        "outcome": "not met",
        "reason": "",
        "decided": True,
        "negated": False,
    }


def test_a_long_text_is_cut_in_the_trace() -> None:
    condition = compare("deal.comments", "contains", "x")

    verdict = evaluate(condition, {"deal.comments": "y" * 10_000})

    assert verdict.comparisons[0].actual == "y" * 200 + "…"


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (
            {"all": [YES, {"field": "deal.amount", "operator": ">", "value": 1000}]},
            "deal.amount is 500.00, needed > 1000",
        ),
        (
            {"not": {"field": "deal.stage", "operator": "in", "value": ["New", "Won"]}},
            "deal.stage is New, needed not in New, Won",
        ),
        (
            {"field": "deal.amount", "operator": "between", "value": [1, 2]},
            "deal.amount is 500.00, needed between 1 and 2",
        ),
        (
            {"any": [NO, {"field": "deal.source", "operator": "not empty"}]},
            "deal.id is 42, needed = 43; deal.source is empty, needed not empty",
        ),
        (
            {"all": [YES, WHO_KNOWS]},
            "deal.custom.gone cannot be compared: there is no such field",
        ),
        ({"any": [NO] * 5}, "; ".join(["deal.id is 42, needed = 43"] * 3) + "; and 2 more"),
        (
            {"field": "lead.is_repeat", "operator": "=", "value": False},
            "lead.is_repeat is true, needed = false",
        ),
        ({"all": []}, "no conditions"),
    ],
)
def test_a_verdict_says_what_decided(tree: object, words: str) -> None:
    assert judge(tree).in_words() == words


def test_conditions_that_suit_the_item_have_no_problem() -> None:
    tree = {"all": [YES, WHO_KNOWS, {"not": {"field": "contact.email", "operator": "empty"}}]}

    assert check(parse(tree), ItemType.DEAL) == []


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (
            {"all": [YES, {"not": {"field": "contact.nmae", "operator": "empty"}}]},
            Problem("/all/1/not/field", "unknown field contact.nmae, did you mean contact.name?"),
        ),
        (
            {"any": [{"field": "deal.stage", "operator": ">", "value": "New"}]},
            Problem("/any/0/operator", "text fields such as deal.stage have no operator >"),
        ),
        (
            {"field": "deal.amount", "operator": ">", "value": "abc"},
            Problem("/value", "abc is no number"),
        ),
        (
            {"field": "deal.amount", "operator": "in", "value": [1, "abc"]},
            Problem("/value/1", "abc is no number"),
        ),
        (
            {"field": "deal.title", "operator": "=", "value": 5},
            Problem("/value", "5 is no text"),
        ),
        (
            {"field": "deal.title", "operator": "=", "value": ""},
            Problem("/value", "an empty text equals nothing; use the operator empty"),
        ),
        (
            {"field": "deal.close_date", "operator": "<", "value": "2026-08-31T09:00Z"},
            Problem("/value", "2026-08-31T09:00Z is no date such as 2026-12-31"),
        ),
        (
            {"field": "deal.created_at", "operator": "<", "value": "2026-08-31"},
            Problem(
                "/value",
                "2026-08-31 is no time with its zone such as 2026-12-31T09:00+01:00",
            ),
        ),
        (
            {"field": "deal.amount", "operator": "between", "value": [10, 5]},
            Problem("/value", "10 is above 5"),
        ),
        (
            {"field": "deal.products", "operator": "contains", "value": "Roof"},
            Problem("/operator", "list fields such as deal.products have no operator contains"),
        ),
    ],
)
def test_what_could_never_work_is_named_with_its_place(tree: object, problem: Problem) -> None:
    assert check(parse(tree), ItemType.DEAL) == [problem]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "a condition is one of all, any, not, or field with operator"),
        ([], "a condition is one of"),
        ("deal.amount > 5", "a condition is one of"),
        ({"all": [], "any": []}, "Extra inputs"),
        ({"any": []}, "at least 1 item"),
        ({"all": [{"and": []}]}, "a condition is one of"),
        ({**YES, "operator": "=="}, "Input should be '=', '!=', '<'"),
        ({**YES, "and": 1}, "Extra inputs"),
        ({**YES, "value": None}, "= needs a value"),
        ({**YES, "value": [42]}, "= needs one value"),
        ({**YES, "value": float("inf")}, "finite"),
        ({**YES, "operator": "in"}, "in needs a list"),
        ({**YES, "operator": "between"}, r"between needs \[low, high\]"),
        ({**YES, "operator": "between", "value": [1]}, r"between needs \[low, high\]"),
        ({**YES, "operator": "empty"}, "empty takes no value"),
        ({**YES, "operator": "in", "value": list(range(1001))}, "at most 1000 items"),
        ({"all": [YES] * 201}, "more than 200 comparisons"),
        ({"all": [{"all": []}] * 201}, "more than 200 comparisons"),
        (nested(21), "nested more than 20 levels deep"),
        (nested(100_000), "nested more than 20 levels deep"),
    ],
)
def test_what_is_no_condition_is_refused(sent: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(sent)


@pytest.mark.parametrize("tree", [nested(20), {"all": [YES] * 200}])
def test_conditions_up_to_the_limits_are_accepted(tree: object) -> None:
    assert judge(tree).outcome in {MET, NOT_MET}
