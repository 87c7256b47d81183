"""Conditions on an item: a tree of all, any and not over comparisons of a field with a value.

Three outcomes, after Kleene: met, not met, and unknown where a field is gone or a value is not of
its kind. Everything is compared, also what no longer matters, so that the trace is whole.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from models.errors import Problem
from models.fields import FieldKind, find_field, find_field_of_any, unknown_field
from models.item_type import ItemType

MOST_LEVELS = 20
MOST_COMPARISONS = 200
MOST_VALUES = 1000
LONGEST_TRACED = 200
MOST_TOLD = 3


class Operator(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    BETWEEN = "between"
    IN = "in"
    NOT_IN = "not in"
    CONTAINS = "contains"
    STARTS_WITH = "starts with"
    EMPTY = "empty"
    NOT_EMPTY = "not empty"


WITHOUT_VALUE = frozenset({Operator.EMPTY, Operator.NOT_EMPTY})
WITH_SEVERAL = frozenset({Operator.IN, Operator.NOT_IN})
IDENTITY = frozenset({Operator.EQUAL, Operator.NOT_EQUAL}) | WITHOUT_VALUE
ORDER = frozenset(
    {
        Operator.LESS,
        Operator.AT_MOST,
        Operator.GREATER,
        Operator.AT_LEAST,
        Operator.BETWEEN,
    }
)

OPERATORS: Mapping[FieldKind, frozenset[Operator]] = {
    FieldKind.TEXT: IDENTITY | WITH_SEVERAL | {Operator.CONTAINS, Operator.STARTS_WITH},
    FieldKind.NUMBER: IDENTITY | WITH_SEVERAL | ORDER,
    FieldKind.MONEY: IDENTITY | WITH_SEVERAL | ORDER,
    FieldKind.DATE: IDENTITY | WITH_SEVERAL | ORDER,
    FieldKind.DATETIME: IDENTITY | ORDER,
    FieldKind.BOOLEAN: IDENTITY,
    FieldKind.LIST: WITHOUT_VALUE,
}

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Scalar = StrictBool | StrictInt | Finite | Annotated[StrictStr, Field(max_length=1000)]
Value = Scalar | Annotated[tuple[Scalar, ...], Field(max_length=MOST_VALUES)]


class _Condition(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True
    )


class Comparison(_Condition):
    """One field beside one value: `{"field": "deal.amount", "operator": ">", "value": 1000}`.

    `between` takes `[low, high]`, both included; `in` and `not in` a list; `empty` and
    `not empty` nothing.
    """

    field: str = Field(max_length=200)
    operator: Operator
    value: Value | None = None

    @model_validator(mode="after")
    def _value_suits_operator(self) -> Self:
        several = isinstance(self.value, tuple)
        if self.operator in WITHOUT_VALUE:
            if self.value is not None:
                raise ValueError(f"{self.operator} takes no value")
        elif self.value is None:
            raise ValueError(f"{self.operator} needs a value")
        elif self.operator is Operator.BETWEEN:
            if not isinstance(self.value, tuple) or len(self.value) != len(("low", "high")):
                raise ValueError("between needs [low, high]")
        elif several is not (self.operator in WITH_SEVERAL):
            raise ValueError(f"{self.operator} needs {'one value' if several else 'a list'}")
        return self

    def values(self) -> Sequence[Scalar]:
        """Return what to compare with: none, one or several."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)


class All(_Condition):
    """Met when every part is met; also when there is none."""

    parts: "tuple[Condition, ...]" = Field(alias="all")


class AnyOf(_Condition):
    """Met when at least one part is met."""

    parts: "tuple[Condition, ...]" = Field(alias="any", min_length=1)


class Not(_Condition):
    """Met when its part is not met; of the unknown it knows nothing either."""

    part: "Condition" = Field(alias="not")


def _shape(sent: object) -> str | None:
    match sent:
        case {"all": _} | All():
            return "all"
        case {"any": _} | AnyOf():
            return "any"
        case {"not": _} | Not():
            return "not"
        case {"field": _} | Comparison():
            return "comparison"
    return None


Condition = Annotated[
    Annotated[All, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")]
    | Annotated[Comparison, Tag("comparison")],
    Discriminator(
        _shape,
        custom_error_type="condition",
        custom_error_message="a condition is one of all, any, not, or field with operator",
    ),
]


def _measured(sent: object) -> object:
    """Pass on what was sent unless it is too deep or too big to be looked at."""
    leaves = 0
    level = [sent]
    for _ in range(MOST_LEVELS):
        parts = [list(_raw_parts(condition)) for condition in level]
        leaves += parts.count([])
        if leaves > MOST_COMPARISONS:
            raise ValueError(f"conditions hold more than {MOST_COMPARISONS} comparisons")
        level = [part for several in parts for part in several]
    if level:
        raise ValueError(f"conditions are nested more than {MOST_LEVELS} levels deep")
    return sent


def _raw_parts(sent: object) -> Iterator[object]:
    match sent:
        case {"all": list(parts)} | {"any": list(parts)}:
            yield from parts
        case {"not": part}:
            yield part


Conditions = Annotated[Condition, BeforeValidator(_measured)]
"""What models and endpoints take: a condition of at most 20 levels and 200 comparisons."""


class Outcome(StrEnum):
    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


class Compared(BaseModel):
    """What was compared with what; `decided` if the whole hung on it, `negated` within a not."""

    model_config = ConfigDict(frozen=True)

    field: str
    operator: Operator
    expected: Value | None = None
    actual: Scalar | None = None
    outcome: Outcome
    reason: str = ""
    decided: bool = True
    negated: bool = False

    def in_words(self) -> str:
        """Return what was found and what was needed: `deal.amount is 500, needed > 1000`."""
        if self.outcome is Outcome.UNKNOWN:
            return f"{self.field} cannot be compared: {self.reason}"
        actual = "empty" if self.actual is None else _said(self.actual)
        needed = " ".join(
            filter(None, ("not" if self.negated else "", self.operator, self._value()))
        )
        return f"{self.field} is {actual}, needed {needed}"

    def _value(self) -> str:
        if not isinstance(self.expected, tuple):
            return "" if self.expected is None else _said(self.expected)
        between = self.operator is Operator.BETWEEN
        return (" and " if between else ", ").join(map(_said, self.expected))


class Verdict(BaseModel):
    """The outcome and, in the order written, every comparison behind it. Plain JSON when dumped."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    comparisons: tuple[Compared, ...] = ()

    def in_words(self) -> str:
        """Return in one sentence what decided."""
        decided = [compared.in_words() for compared in self.comparisons if compared.decided]
        told, more = decided[:MOST_TOLD], len(decided[MOST_TOLD:])
        return "; ".join(told) + (f"; and {more} more" if more else "") or "no conditions"


def check(conditions: Condition, item_type: ItemType) -> list[Problem]:
    """Return all that could never work for items of this type.

    Pointers begin at the conditions: `/all/0/field`.
    """
    return list(_problems(conditions, item_type, ""))


def evaluate(conditions: Condition, values: Mapping[str, object]) -> Verdict:
    """Compare with the values of an item by full path (`deal.amount`).

    A path that is missing, or whose value is not of the field's kind, is unknown. An empty field
    (None, no text, no rows) equals nothing, contains nothing and stands in no order.
    """
    match conditions:
        case Comparison():
            compared = _compare(conditions, values)
            return Verdict(outcome=compared.outcome, comparisons=(compared,))
        case Not(part=part):
            return _negated(evaluate(part, values))
        case All(parts=parts):
            return _conjunction([evaluate(part, values) for part in parts])
        case AnyOf(parts=parts):
            return _negated(_conjunction([_negated(evaluate(part, values)) for part in parts]))


NEGATED = {
    Outcome.MET: Outcome.NOT_MET,
    Outcome.NOT_MET: Outcome.MET,
    Outcome.UNKNOWN: Outcome.UNKNOWN,
}


def _conjunction(verdicts: Sequence[Verdict]) -> Verdict:
    outcomes = {verdict.outcome for verdict in verdicts}
    decisive = (Outcome.NOT_MET, Outcome.UNKNOWN, Outcome.MET)
    outcome = next((outcome for outcome in decisive if outcome in outcomes), Outcome.MET)
    return Verdict(
        outcome=outcome,
        comparisons=tuple(
            compared.model_copy(update={"decided": compared.decided and verdict.outcome is outcome})
            for verdict in verdicts
            for compared in verdict.comparisons
        ),
    )


def _negated(verdict: Verdict) -> Verdict:
    return Verdict(
        outcome=NEGATED[verdict.outcome],
        comparisons=tuple(
            compared.model_copy(update={"negated": not compared.negated})
            for compared in verdict.comparisons
        ),
    )


def _compare(comparison: Comparison, values: Mapping[str, object]) -> Compared:
    actual = values.get(comparison.field)
    try:
        outcome = Outcome.MET if _holds(comparison, values) else Outcome.NOT_MET
        reason = ""
    except _Unknown as unknown:
        outcome, reason = Outcome.UNKNOWN, str(unknown)
    return Compared(
        field=comparison.field,
        operator=comparison.operator,
        expected=comparison.value,
        actual=_traced(actual),
        outcome=outcome,
        reason=reason,
    )


class _Unknown(Exception):
    """The field is gone, or a value is not of its kind."""


def _holds(comparison: Comparison, values: Mapping[str, object]) -> bool:
    field = find_field_of_any(comparison.field)
    if field is None or comparison.field not in values:
        raise _Unknown("there is no such field")
    if comparison.operator not in OPERATORS[field.kind]:
        raise _Unknown(f"{field.kind} fields have no operator {comparison.operator}")
    actual = values[comparison.field]
    if actual is None or actual in ("", [], ()):
        return comparison.operator in HOLD_FOR_EMPTY
    read = READ[field.kind]
    return HOLDS[comparison.operator](read(actual), *map(read, comparison.values()))


HOLD_FOR_EMPTY = frozenset({Operator.NOT_EQUAL, Operator.NOT_IN, Operator.EMPTY})

HOLDS: Mapping[Operator, Callable[..., bool]] = {
    Operator.EQUAL: lambda found, wanted: found == wanted,
    Operator.NOT_EQUAL: lambda found, wanted: found != wanted,
    Operator.LESS: lambda found, wanted: found < wanted,
    Operator.AT_MOST: lambda found, wanted: found <= wanted,
    Operator.GREATER: lambda found, wanted: found > wanted,
    Operator.AT_LEAST: lambda found, wanted: found >= wanted,
    Operator.BETWEEN: lambda found, low, high: low <= found <= high,
    Operator.IN: lambda found, *wanted: found in wanted,
    Operator.NOT_IN: lambda found, *wanted: found not in wanted,
    Operator.CONTAINS: lambda found, wanted: wanted.casefold() in found.casefold(),
    Operator.STARTS_WITH: lambda found, wanted: found.casefold().startswith(wanted.casefold()),
    Operator.EMPTY: lambda _found: False,
    Operator.NOT_EMPTY: lambda _found: True,
}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unknown(f"{_said(value)} is no text")
    return value


def _number(value: object) -> Decimal:
    if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
        try:
            number = Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            number = Decimal("nan")
        if number.is_finite():
            return number
    raise _Unknown(f"{_said(value)} is no number")


def _date(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise _Unknown(f"{_said(value)} is no date such as 2026-12-31")


def _datetime(value: object) -> datetime:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if isinstance(moment, datetime) and moment.utcoffset() is not None:
        return moment
    raise _Unknown(f"{_said(value)} is no time with its zone such as 2026-12-31T09:00+01:00")


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Unknown(f"{_said(value)} is neither true nor false")
    return value


def _rows(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise _Unknown(f"{_said(value)} is no list")
    return value


READ: Mapping[FieldKind, Callable[[object], object]] = {
    FieldKind.TEXT: _text,
    FieldKind.NUMBER: _number,
    FieldKind.MONEY: _number,
    FieldKind.DATE: _date,
    FieldKind.DATETIME: _datetime,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.LIST: _rows,
}


def _said(value: object) -> str:
    """Return a value as people read it, cut where it gets long."""
    match value:
        case bool():
            said = str(value).lower()
        case Decimal():
            said = f"{value:f}" if abs(value.adjusted()) < LONGEST_TRACED else str(value)
        case date():
            said = value.isoformat()
        case list() | tuple():
            said = f"{len(value)} rows"
        case _:
            said = str(value)
    return said if len(said) <= LONGEST_TRACED else f"{said[:LONGEST_TRACED]}…"


def _traced(value: object) -> Scalar | None:
    return value if value is None or isinstance(value, bool | int) else _said(value)


def _problems(condition: Condition, item_type: ItemType, at: str) -> Iterator[Problem]:
    match condition:
        case Comparison():
            yield from _wrong(condition, item_type, at)
        case Not(part=part):
            yield from _problems(part, item_type, f"{at}/not")
        case All(parts=parts):
            for place, part in enumerate(parts):
                yield from _problems(part, item_type, f"{at}/all/{place}")
        case AnyOf(parts=parts):
            for place, part in enumerate(parts):
                yield from _problems(part, item_type, f"{at}/any/{place}")


def _wrong(comparison: Comparison, item_type: ItemType, at: str) -> Iterator[Problem]:
    field = find_field(item_type, comparison.field)
    if field is None:
        yield Problem(f"{at}/field", unknown_field(item_type, comparison.field))
    elif comparison.operator not in OPERATORS[field.kind]:
        reason = f"{field.kind} fields such as {field.path} have no operator {comparison.operator}"
        yield Problem(f"{at}/operator", reason)
    else:
        yield from _wrong_values(comparison, field.kind, f"{at}/value")


def _wrong_values(comparison: Comparison, kind: FieldKind, at: str) -> Iterator[Problem]:
    read = []
    for place, value in enumerate(comparison.values()):
        pointer = f"{at}/{place}" if isinstance(comparison.value, tuple) else at
        try:
            read.append(READ[kind](value))
        except _Unknown as error:
            yield Problem(pointer, str(error))
        if value == "":
            yield Problem(pointer, "an empty text equals nothing; use the operator empty")
    if comparison.operator is Operator.BETWEEN and len(read) == len(comparison.values()):
        low, high = read
        if not HOLDS[Operator.AT_MOST](low, high):
            yield Problem(at, f"{_said(low)} is above {_said(high)}")
