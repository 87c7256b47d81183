import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.conditions import (
    Circumstances,
    Compared,
    Condition,
    Conditions,
    Operator,
    Outcome,
    Verdict,
    asks_for_changes,
    check,
    evaluate,
)
from models.errors import Problem
from models.fields import Catalogue, FieldKind
from models.fields import Field as CrmField
from models.item_type import ItemType

DEAL = Catalogue.of(ItemType.DEAL)
LEAD = Catalogue.of(ItemType.LEAD)
BOTH = Catalogue(ItemType.DEAL, {**LEAD.fields, **DEAL.fields})

NOW = datetime(2026, 8, 31, 12, tzinfo=UTC)
HERE = Circumstances(NOW, "Europe/Warsaw")

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
    return evaluate(parse(sent), VALUES, BOTH, HERE)


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
    assert evaluate(compare(field, operator, value), VALUES, BOTH, HERE).outcome is outcome


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
    assert evaluate(compare(field, operator, value), VALUES, BOTH, HERE).outcome is outcome


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
def test_an_empty_field_stands_in_no_order(operator: str) -> None:
    condition = compare("deal.begin_date", operator, "2026-01-01")

    assert evaluate(condition, VALUES, BOTH, HERE).outcome is NOT_MET


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
    verdict = evaluate(compare(field, operator, value), VALUES, BOTH, HERE)

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
    assert evaluate(compare(field, "=", value), {field: actual}, BOTH, HERE).outcome is UNKNOWN


def test_rows_that_are_no_list_are_unknown() -> None:
    condition = compare("deal.products", "not empty")

    assert evaluate(condition, {"deal.products": "Roof"}, BOTH, HERE).outcome is UNKNOWN


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
    verdict = evaluate(conditions, VALUES, BOTH, HERE)

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

    verdict = evaluate(condition, {"deal.comments": "y" * 10_000}, BOTH, HERE)

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
    tree = {"all": [YES, {"not": {"field": "contact.email", "operator": "empty"}}]}

    assert check(parse(tree), DEAL) == []


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
            Problem("/operator", "rows fields such as deal.products have no operator contains"),
        ),
    ],
)
def test_what_could_never_work_is_named_with_its_place(tree: object, problem: Problem) -> None:
    assert check(parse(tree), DEAL) == [problem]


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


FIELDS = Catalogue.of(
    ItemType.DEAL,
    [
        CrmField("limit", "Limit", FieldKind.MONEY),
        CrmField("score", "Score", FieldKind.NUMBER),
        CrmField("fitting_at", "Fitting", FieldKind.DATETIME),
        CrmField("renewal", "Renewal", FieldKind.DATE),
        CrmField("engineer", "Engineer", FieldKind.USER),
        CrmField("size", "Size", FieldKind.LIST, choices=("S", "M", "Large")),
        CrmField("colours", "Colours", FieldKind.MULTI, choices=("red", "blue", "green")),
        CrmField("nickname", "Nickname", FieldKind.TEXT),
        CrmField("urgent", "Urgent", FieldKind.BOOLEAN),
    ],
)

FILLED: dict[str, object] = {
    "deal.amount": Decimal("500.00"),
    "deal.title": "Roof for M",
    "deal.close_date": date(2026, 9, 1),
    "deal.created_at": datetime(2026, 8, 31, 22, 30, tzinfo=UTC),
    "deal.products": [],
    "deal.custom.limit": "400.00",
    "deal.custom.score": 500,
    "deal.custom.fitting_at": "2026-08-31T22:30:00Z",
    "deal.custom.renewal": "2026-09-01",
    "deal.custom.engineer": 7,
    "deal.custom.size": "M",
    "deal.custom.colours": ["red", "blue"],
    "deal.custom.nickname": None,
    "deal.custom.urgent": True,
    "responsible.id": 7,
    "responsible.name": "Ann",
    "contact.id": 3,
}


def told(field: str, operator: str, value: Any = None, **here: Any) -> Compared:
    """Judge one comparison of the filled deal, at noon of 31 August in UTC unless said else."""
    circumstances = replace(HERE, **here)
    verdict = evaluate(compare(field, operator, value), FILLED, FIELDS, circumstances)
    [compared] = verdict.comparisons
    return compared


def other(name: str) -> dict[str, str]:
    return {"field": name}


@pytest.mark.parametrize(
    ("field", "operator", "value", "outcome"),
    [
        ("deal.custom.engineer", "=", 7, MET),
        ("deal.custom.engineer", "!=", 7, NOT_MET),
        ("deal.custom.engineer", "in", [5, 7], MET),
        ("deal.custom.engineer", "not in", [5, 6], MET),
        ("deal.custom.engineer", "not empty", None, MET),
        ("deal.custom.size", "=", "M", MET),
        ("deal.custom.size", "in", ["S", "M"], MET),
        ("deal.custom.size", "not in", ["S", "M"], NOT_MET),
        ("deal.custom.size", "empty", None, NOT_MET),
        ("deal.custom.colours", "contains", "red", MET),
        ("deal.custom.colours", "contains", "green", NOT_MET),
        ("deal.custom.colours", "contains", "re", NOT_MET),
        ("deal.custom.colours", "in", ["green", "blue"], MET),
        ("deal.custom.colours", "in", ["green"], NOT_MET),
        ("deal.custom.colours", "not in", ["green"], MET),
        ("deal.custom.colours", "not in", ["green", "red"], NOT_MET),
        ("deal.custom.colours", "empty", None, NOT_MET),
        ("deal.custom.urgent", "=", True, MET),
    ],
)
def test_users_and_choices_are_compared(
    field: str, operator: str, value: object, outcome: Outcome
) -> None:
    assert told(field, operator, value).outcome is outcome


def test_several_choices_of_which_none_is_chosen_are_empty() -> None:
    values: dict[str, object] = {"deal.custom.colours": []}

    empty = evaluate(compare("deal.custom.colours", "empty"), values, FIELDS, HERE)
    none_of = evaluate(compare("deal.custom.colours", "not in", ["red"]), values, FIELDS, HERE)

    assert (empty.outcome, none_of.outcome) == (MET, MET)


@pytest.mark.parametrize(("typed", "kept"), [("≠", "!="), ("≤", "<="), ("≥", ">=")])
def test_signs_of_mathematics_are_understood_and_kept_in_ascii(typed: str, kept: str) -> None:
    condition = compare("deal.amount", typed, 5)

    assert CONDITIONS.dump_python(condition)["operator"] == kept


@pytest.mark.parametrize(
    ("field", "operator", "value", "outcome"),
    [
        ("deal.amount", ">", other("deal.custom.limit"), MET),
        ("deal.amount", "=", other("deal.custom.score"), MET),
        ("deal.custom.score", "<=", other("deal.amount"), MET),
        ("deal.amount", "between", [other("deal.custom.limit"), 600], MET),
        ("deal.amount", "between", [501, other("deal.custom.score")], NOT_MET),
        ("deal.amount", "in", [1, other("deal.custom.score")], MET),
        ("deal.amount", "not in", [other("deal.custom.limit"), 1], MET),
        ("deal.title", "contains", other("deal.custom.size"), MET),
        ("deal.custom.size", "!=", other("deal.title"), MET),
        ("deal.custom.engineer", "=", other("responsible.id"), MET),
        ("deal.custom.colours", "contains", other("deal.custom.size"), NOT_MET),
        ("deal.close_date", "=", other("deal.custom.renewal"), MET),
        ("deal.close_date", "=", other("deal.created_at"), MET),
        ("deal.created_at", "=", other("deal.close_date"), MET),
        ("deal.created_at", "between", [other("deal.close_date"), "2026-09-01T00:00Z"], MET),
        ("deal.created_at", "=", other("deal.custom.fitting_at"), MET),
        ("deal.created_at", "<", other("deal.close_date"), NOT_MET),
    ],
)
def test_a_field_is_compared_with_another_field(
    field: str, operator: str, value: object, outcome: Outcome
) -> None:
    assert told(field, operator, value).outcome is outcome


@pytest.mark.parametrize(
    ("operator", "outcome"),
    [("=", NOT_MET), ("!=", MET), ("contains", NOT_MET), ("starts with", NOT_MET)],
)
def test_another_field_that_is_empty_equals_nothing(operator: str, outcome: Outcome) -> None:
    assert told("deal.title", operator, other("deal.custom.nickname")).outcome is outcome


@pytest.mark.parametrize(("operator", "outcome"), [("in", NOT_MET), ("not in", MET)])
def test_another_field_that_is_empty_is_not_among_several(operator: str, outcome: Outcome) -> None:
    assert told("deal.title", operator, [other("deal.custom.nickname"), "x"]).outcome is outcome


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("deal.amount", other("deal.custom.gone"), "there is no field deal.custom.gone"),
        ("deal.custom.nickname", other("deal.custom.gone"), "there is no field deal.custom.gone"),
        ("deal.amount", other("deal.title"), "deal.title is text, which does not compare"),
        ("deal.title", other("deal.products"), "deal.products is rows, which does not compare"),
        ("deal.custom.urgent", other("deal.custom.score"), "does not compare with boolean"),
    ],
)
def test_another_field_that_is_gone_or_does_not_compare_is_unknown(
    field: str, value: object, reason: str
) -> None:
    compared = told(field, "=", value)

    assert compared.outcome is UNKNOWN
    assert reason in compared.reason


def test_the_trace_holds_the_other_field_and_its_value() -> None:
    compared = told("deal.amount", "between", [other("deal.custom.limit"), 450])

    assert compared.model_dump(mode="json")["expected"] == [
        {"field": "deal.custom.limit", "value": "400.00"},
        450,
    ]
    assert compared.in_words() == (
        "deal.amount is 500.00, needed between deal.custom.limit (400.00) and 450"
    )


def span(amount: int, unit: str = "days") -> dict[str, object]:
    return {"amount": amount, "unit": unit}


@pytest.mark.parametrize(
    ("days", "more_ago", "less_ago", "less_ahead", "more_ahead"),
    [
        (-4, True, False, False, False),
        (-3, False, False, False, False),
        (-2, False, True, False, False),
        (0, False, True, True, False),
        (2, False, False, True, False),
        (3, False, False, False, False),
        (4, False, False, False, True),
    ],
)
def test_a_day_is_counted_from_today(
    days: int, *, more_ago: bool, less_ago: bool, less_ahead: bool, more_ahead: bool
) -> None:
    values = {"deal.close_date": date(2026, 8, 31) + timedelta(days)}

    found = [
        evaluate(compare("deal.close_date", operator, span(3)), values, FIELDS, HERE).outcome is MET
        for operator in ("more than ago", "less than ago", "less than ahead", "more than ahead")
    ]

    assert found == [more_ago, less_ago, less_ahead, more_ahead]


@pytest.mark.parametrize(
    ("seconds", "more_ago", "less_ago", "less_ahead", "more_ahead"),
    [
        (-3601, True, False, False, False),
        (-3600, False, False, False, False),
        (-3599, False, True, False, False),
        (0, False, True, True, False),
        (3599, False, False, True, False),
        (3600, False, False, False, False),
        (3601, False, False, False, True),
    ],
)
def test_a_moment_is_counted_from_now(
    seconds: int, *, more_ago: bool, less_ago: bool, less_ahead: bool, more_ahead: bool
) -> None:
    values = {"deal.created_at": NOW + timedelta(seconds=seconds)}

    found = [
        evaluate(
            compare("deal.created_at", operator, span(1, "hours")), values, FIELDS, HERE
        ).outcome
        is MET
        for operator in ("more than ago", "less than ago", "less than ahead", "more than ahead")
    ]

    assert found == [more_ago, less_ago, less_ahead, more_ahead]


def test_today_is_that_of_the_zone() -> None:
    late = datetime(2026, 8, 31, 22, 30, tzinfo=UTC)

    in_warsaw = told("deal.close_date", "less than ago", span(1), now=late)
    in_utc = told("deal.close_date", "less than ago", span(1), now=late, zone="UTC")

    assert (in_warsaw.outcome, in_utc.outcome) == (MET, NOT_MET)


@pytest.mark.parametrize(
    ("now", "amount", "unit", "limit"),
    [
        ("2026-03-30T10:00+02:00", 1, "days", "2026-03-29T08:00:00+00:00"),
        ("2026-03-29T10:00+02:00", 1, "days", "2026-03-28T09:00:00+00:00"),
        ("2026-03-30T02:30+02:00", 1, "days", "2026-03-29T01:30:00+00:00"),
        ("2026-10-26T02:30+01:00", 1, "days", "2026-10-25T00:30:00+00:00"),
        ("2026-03-29T10:00+02:00", 24, "hours", "2026-03-28T08:00:00+00:00"),
        ("2026-03-31T12:00+02:00", 1, "months", "2026-02-28T11:00:00+00:00"),
        ("2028-02-29T12:00+01:00", 1, "years", "2027-02-28T11:00:00+00:00"),
    ],
)
def test_calendar_units_are_counted_in_the_zone_across_clock_changes(
    now: str, amount: int, unit: str, limit: str
) -> None:
    moment = datetime.fromisoformat(now)

    compared = told("deal.created_at", "more than ago", span(amount, unit), now=moment)

    assert compared.model_dump(mode="json")["expected"] == span(amount, unit) | {"value": limit}


def test_a_month_before_the_last_of_march_is_the_last_of_february() -> None:
    march = datetime(2027, 3, 31, 12, tzinfo=UTC)

    compared = told("deal.close_date", "more than ago", span(1, "months"), now=march)

    assert compared.in_words() == (
        "deal.close_date is 2026-09-01, needed more than 1 month ago (2027-02-28)"
    )


@pytest.mark.parametrize(
    "operator", ["more than ago", "less than ago", "more than ahead", "less than ahead"]
)
@pytest.mark.parametrize("field", ["deal.close_date", "deal.created_at"])
def test_an_empty_date_is_neither_past_nor_to_come(operator: str, field: str) -> None:
    condition = compare(field, operator, span(3))

    assert evaluate(condition, {field: None}, FIELDS, HERE).outcome is NOT_MET


@pytest.mark.parametrize(
    ("field", "operator", "now"),
    [
        ("deal.close_date", "more than ahead", datetime(9999, 12, 30, tzinfo=UTC)),
        ("deal.created_at", "more than ahead", datetime(9999, 12, 30, tzinfo=UTC)),
        ("deal.close_date", "more than ago", datetime(1, 1, 2, tzinfo=UTC)),
        ("deal.created_at", "more than ago", datetime(1, 1, 2, tzinfo=UTC)),
    ],
)
def test_what_is_beyond_the_calendar_is_unknown(field: str, operator: str, now: datetime) -> None:
    compared = told(field, operator, span(1000, "years"), now=now)

    assert compared.outcome is UNKNOWN
    assert "1000 years from now" in compared.reason


def test_hours_between_days_are_unknown() -> None:
    assert told("deal.close_date", "more than ago", span(5, "hours")).outcome is UNKNOWN


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_moment_at_the_end_of_time_has_a_day_or_is_unknown(moment: str, zone: str) -> None:
    values = FILLED | {"deal.custom.fitting_at": moment}
    condition = compare("deal.close_date", "=", other("deal.custom.fitting_at"))

    outcome = evaluate(condition, values, FIELDS, Circumstances(NOW, zone)).outcome

    assert outcome in {NOT_MET, UNKNOWN}


@pytest.mark.parametrize(
    ("field", "changed", "outcome"),
    [
        ("deal.amount", {"amount"}, MET),
        ("item.amount", {"amount"}, MET),
        ("deal.amount", {"title"}, NOT_MET),
        ("deal.amount", set(), NOT_MET),
        ("deal.custom.size", {"custom.size"}, MET),
        ("deal.custom.size", {"custom.score"}, NOT_MET),
        ("deal.products", {"product_rows"}, MET),
        ("responsible.id", {"responsible"}, MET),
        ("contact.id", {"contact"}, MET),
        ("contact.name", {"contact"}, UNKNOWN),
    ],
)
def test_a_field_has_changed_since_the_item_entered_or_not(
    field: str, changed: set[str], outcome: Outcome
) -> None:
    values = FILLED | {"item.amount": None, "contact.name": None}
    circumstances = replace(HERE, changed=frozenset(changed))

    verdict = evaluate(compare(field, "changed since entry"), values, FIELDS, circumstances)

    assert verdict.outcome is outcome


@pytest.mark.parametrize(
    ("field", "changed"),
    [("lead.name", "last_name"), ("lead.phone", "phones"), ("lead.email", "emails")],
)
def test_what_history_calls_otherwise_is_followed_too(field: str, changed: str) -> None:
    circumstances = replace(HERE, changed=frozenset({changed}))

    verdict = evaluate(compare(field, "changed since entry"), {field: None}, LEAD, circumstances)

    assert verdict.outcome is MET


def test_what_did_not_change_is_said_in_words() -> None:
    assert told("deal.amount", "changed since entry").in_words() == (
        "deal.amount is 500.00, needed changed since entry"
    )


CHANGED = {"field": "deal.amount", "operator": "changed since entry"}


@pytest.mark.parametrize(
    ("tree", "asked"),
    [
        (CHANGED, True),
        ({"all": [YES, {"any": [{"not": CHANGED}]}]}, True),
        ({"all": [YES, {"not": NO}]}, False),
    ],
)
def test_whether_changes_matter_is_known_beforehand(tree: object, *, asked: bool) -> None:
    assert asks_for_changes(parse(tree)) is asked


NOT_OWN = (
    "only changes of the item's own fields are followed, and of "
    "company.id, contact.id, responsible.id"
)
NEAR_DAYS = "between days there are days, weeks, months and years"


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (
            compare("deal.amount", ">", other("deal.custom.limt")),
            Problem(
                "/value/field",
                "unknown field deal.custom.limt, did you mean deal.custom.limit?",
            ),
        ),
        (
            compare("deal.amount", "between", [1, other("deal.title")]),
            Problem("/value/1/field", "deal.title is text, which does not compare with money"),
        ),
        (compare("contact.name", "changed since entry"), Problem("/field", NOT_OWN)),
        (compare("creator.id", "changed since entry"), Problem("/field", NOT_OWN)),
        (
            compare("deal.created_at", "changed since entry"),
            Problem("/field", "deal.created_at does not change while the item stays in its stage"),
        ),
        (
            compare("deal.custom.engineer.name", "changed since entry"),
            Problem("/field", NOT_OWN),
        ),
        (
            compare("deal.close_date", "more than ago", span(3, "hours")),
            Problem("/value/unit", NEAR_DAYS),
        ),
        (
            compare("deal.created_at", "less than ago", span(0)),
            Problem("/value/amount", "nothing is less than 0 days from now"),
        ),
        (
            compare("deal.amount", "more than ago", span(3)),
            Problem("/operator", "money fields such as deal.amount have no operator more than ago"),
        ),
        (
            compare("deal.custom.size", "=", "Larg"),
            Problem("/value", "Larg is no choice of deal.custom.size, did you mean Large?"),
        ),
        (
            compare("deal.custom.colours", "in", ["red", "bleu"]),
            Problem("/value/1", "bleu is no choice of deal.custom.colours, did you mean blue?"),
        ),
        (
            compare("deal.custom.colours", "contains", 5),
            Problem("/value", "5 is no text"),
        ),
        (
            compare("deal.custom.engineer", "=", "Ann"),
            Problem("/value", "Ann is no id of a user"),
        ),
    ],
)
def test_what_could_never_hold_is_named_with_its_place(tree: Any, problem: Problem) -> None:
    assert check(tree, FIELDS) == [problem]


@pytest.mark.parametrize(
    "condition",
    [
        compare("deal.amount", "between", [other("deal.custom.limit"), 5]),
        compare("deal.created_at", "more than ago", span(0, "seconds")),
        compare("deal.created_at", "less than ahead", span(36, "hours")),
        compare("responsible.id", "changed since entry"),
        compare("deal.custom.size", "changed since entry"),
        compare("deal.custom.engineer", "=", other("responsible.id")),
        compare("deal.close_date", "<", other("deal.created_at")),
    ],
)
def test_what_may_hold_has_no_problem(condition: Any) -> None:
    assert check(condition, FIELDS) == []


@pytest.mark.parametrize(
    ("value", "operator", "message"),
    [
        (span(3), ">", "> needs no amount of time"),
        (5, "more than ago", "more than ago needs an amount and a unit"),
        (other("deal.amount"), "more than ago", "more than ago needs an amount and a unit"),
        (span(-1), "more than ago", "greater than or equal to 0"),
        (span(3, "moons"), "more than ago", "Input should be 'seconds'"),
        (span(10**9, "years"), "more than ago", "at most 1000 years"),
        (span(10**4000), "more than ago", "at most"),
        ({"amount": 3}, "more than ago", "Field required"),
        ({}, "=", "Field required"),
        ({"field": "x", "more": 1}, "=", "Extra inputs"),
        ({"field": "x" * 201}, "=", "at most 200 characters"),
        ([span(3)], "in", "a value in a list is a text"),
        ([[1]], "in", "a value in a list is a text"),
        ([1], "changed since entry", "changed since entry takes no value"),
        (10**4000, "=", "less than or equal to"),
        (float("nan"), "=", "finite"),
        ([other("deal.amount")] * 1001, "in", "at most 1000 items"),
        ([other("deal.amount")] * 51, "in", "a list holds at most 50 fields"),
    ],
)
def test_a_value_that_suits_no_operator_is_refused(
    value: object, operator: str, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        compare("deal.amount", operator, value)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.decimals()
    | st.dates()
    | st.datetimes()
    | st.sampled_from([10**400, "1e999999", "9999-12-31", "0001-01-01T00:00+14:00", object()]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts),
    max_leaves=4,
)


SEVERAL = [other("deal.custom.size"), other("deal.amount")]
AGES = span(1000, "years")
VALUE_FOR = {
    Operator.IN: SEVERAL,
    Operator.NOT_IN: SEVERAL,
    Operator.BETWEEN: [other("deal.close_date"), other("deal.created_at")],
    Operator.MORE_AGO: AGES,
    Operator.LESS_AGO: AGES,
    Operator.MORE_AHEAD: AGES,
    Operator.LESS_AHEAD: AGES,
    Operator.EMPTY: None,
    Operator.NOT_EMPTY: None,
    Operator.CHANGED: None,
}


@given(
    found=anything,
    wanted=anything,
    field=st.sampled_from(sorted(path for path in FILLED if path.startswith("deal."))),
    operator=st.sampled_from([*Operator]),
)
def test_whatever_stands_in_a_field_is_judged_and_can_be_kept(
    found: object, wanted: object, field: str, operator: Operator
) -> None:
    values = dict.fromkeys(FILLED, wanted) | {field: found}
    value = VALUE_FOR.get(operator, other("deal.amount"))

    verdict = evaluate(compare(field, operator, value), values, FIELDS, HERE)

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert verdict.in_words()


def test_of_very_many_mistakes_the_first_are_told() -> None:
    unknown = [{"field": f"deal.nope{place}"} for place in range(50)]
    part = {"field": "deal.title", "operator": "in", "value": unknown}
    conditions = CONDITIONS.validate_python({"all": [part] * 200})

    problems = check(conditions, DEAL)

    assert [each.field for each in problems] == [
        f"/all/0/value/{place}/field" for place in range(50)
    ]
