"""Conditions on an item: a tree of all, any and not over comparisons of a field with a value.

Three outcomes, after Kleene: met, not met, and unknown where a field is gone or a value is not of
its kind. Everything is compared, also what no longer matters, so that the trace is whole.

Time counts from now: a moment from this moment, a day from today in the zone. What is exactly so
long ago is neither more nor less; now and today are both ago and ahead, what is still to come is
not ago at all. Days and longer are counted on the calendar: one month before 31 March is the last
of February, and a day before a clock change has the same clock time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, Protocol, Self
from zoneinfo import ZoneInfo

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
    TypeAdapter,
    model_validator,
)

from models.errors import Problem
from models.fields import Field as CrmField
from models.fields import FieldKind
from models.item_type import ItemType
from models.timing import ON_THE_CALENDAR, Delay, Unit

MOST_LEVELS = 20
MOST_COMPARISONS = 200
MOST_VALUES = 1000
MOST_FIELDS = 50
LARGEST_NUMBER = 10**30
LONGEST_TRACED = 200
MOST_TOLD = 3
MOST_PROBLEMS = 50


class Known(Protocol):
    """What conditions may ask of: the catalogue of items, or of something that has no item type."""

    @property
    def item_type(self) -> ItemType | None: ...

    def find(self, path: str) -> CrmField | None:
        """Return the field of that full path, or None if there is none such."""

    def unknown(self, path: str) -> str:
        """Say that there is no such field, and which was perhaps meant."""


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
    CHANGED = "changed since entry"
    MORE_AGO = "more than ago"
    LESS_AGO = "less than ago"
    MORE_AHEAD = "more than ahead"
    LESS_AHEAD = "less than ahead"


ALIASES = {"≠": Operator.NOT_EQUAL, "≤": Operator.AT_MOST, "≥": Operator.AT_LEAST}
"""Other spellings that are understood; kept and told is the operator's own."""

WITHOUT_VALUE = frozenset({Operator.EMPTY, Operator.NOT_EMPTY, Operator.CHANGED})
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

AGO = frozenset({Operator.MORE_AGO, Operator.LESS_AGO})
SPANS = AGO | {Operator.MORE_AHEAD, Operator.LESS_AHEAD}

OPERATORS: Mapping[FieldKind, frozenset[Operator]] = {
    FieldKind.TEXT: IDENTITY | WITH_SEVERAL | {Operator.CONTAINS, Operator.STARTS_WITH},
    FieldKind.NUMBER: IDENTITY | WITH_SEVERAL | ORDER,
    FieldKind.MONEY: IDENTITY | WITH_SEVERAL | ORDER,
    FieldKind.DATE: IDENTITY | WITH_SEVERAL | ORDER | SPANS,
    FieldKind.DATETIME: IDENTITY | ORDER | SPANS,
    FieldKind.BOOLEAN: IDENTITY,
    FieldKind.USER: IDENTITY | WITH_SEVERAL,
    FieldKind.LIST: IDENTITY | WITH_SEVERAL,
    FieldKind.MULTI: WITHOUT_VALUE | WITH_SEVERAL | {Operator.CONTAINS},
    FieldKind.ROWS: WITHOUT_VALUE,
}

TEXTS = frozenset({FieldKind.TEXT, FieldKind.LIST})
NUMBERS = frozenset({FieldKind.NUMBER, FieldKind.MONEY})
TIMES = frozenset({FieldKind.DATE, FieldKind.DATETIME})

COMPARES_WITH: Mapping[FieldKind, frozenset[FieldKind]] = {
    FieldKind.TEXT: TEXTS,
    FieldKind.NUMBER: NUMBERS,
    FieldKind.MONEY: NUMBERS,
    FieldKind.DATE: TIMES,
    FieldKind.DATETIME: TIMES,
    FieldKind.BOOLEAN: frozenset({FieldKind.BOOLEAN}),
    FieldKind.USER: frozenset({FieldKind.USER, FieldKind.NUMBER}),
    FieldKind.LIST: TEXTS,
    FieldKind.MULTI: TEXTS,
    FieldKind.ROWS: frozenset(),
}
"""Which fields may be the value beside a field; a date and a datetime compare as days."""

OWN_LINKS = frozenset({"responsible.id", "contact.id", "company.id"})
"""Which of the fields of people and clients are the item's own: who it is, not what they are."""

NOT_EDITED = frozenset({"id", "url", "stage", "pipeline", "created_at", "is_repeat"})

NAMES_IN_HISTORY: Mapping[str, frozenset[str]] = {
    "products": frozenset({"product_rows"}),
    "name": frozenset({"first_name", "last_name"}),
    "phone": frozenset({"phones"}),
    "email": frozenset({"emails"}),
}
"""How history calls fields of an item where it is not as the catalogue does."""

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[StrictInt, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Scalar = StrictBool | Whole | Finite | Annotated[StrictStr, Field(max_length=1000)]


class _Condition(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True
    )


class OtherField(_Condition):
    """A value that stands in another field of the item when the condition is judged."""

    field: str = Field(max_length=200)


def _shape_of_value(sent: object) -> str:
    match sent:
        case {"field": _} | OtherField():
            return "other"
        case {} | Delay():
            return "span"
        case list() | tuple():
            return "list"
    return "one"


One = Annotated[
    Annotated[Scalar, Tag("one")] | Annotated[OtherField, Tag("other")],
    Discriminator(
        _shape_of_value,
        custom_error_type="value",
        custom_error_message="a value in a list is a text, a number, true, false or a field",
    ),
]
Value = Annotated[
    Annotated[Scalar, Tag("one")]
    | Annotated[OtherField, Tag("other")]
    | Annotated[Delay, Tag("span")]
    | Annotated[tuple[One, ...], Field(max_length=MOST_VALUES), Tag("list")],
    Discriminator(_shape_of_value),
]


def _own_spelling(sent: object) -> object:
    return ALIASES.get(sent, sent) if isinstance(sent, str) else sent


class Comparison(_Condition):
    """One field beside one value: `{"field": "deal.amount", "operator": ">", "value": 1000}`.

    `between` takes `[low, high]`, both included; `in` and `not in` a list; `empty`, `not empty`
    and `changed since entry` nothing; `more than ago` and its like `{"amount": 3, "unit": "days"}`.
    A value may be another field of the item: `{"field": "deal.custom.limit"}`.
    """

    field: str = Field(max_length=200)
    operator: Annotated[Operator, BeforeValidator(_own_spelling)]
    value: Value | None = None

    @model_validator(mode="after")
    def _value_suits_operator(self) -> Self:
        several = isinstance(self.value, tuple)
        if self.operator in WITHOUT_VALUE:
            if self.value is not None:
                raise ValueError(f"{self.operator} takes no value")
        elif self.value is None:
            raise ValueError(f"{self.operator} needs a value")
        elif isinstance(self.value, Delay) is not (self.operator in SPANS):
            spans = self.operator in SPANS
            needed = "an amount and a unit" if spans else "no amount of time"
            raise ValueError(f"{self.operator} needs {needed}")
        elif self.operator is Operator.BETWEEN:
            if not isinstance(self.value, tuple) or len(self.value) != len(("low", "high")):
                raise ValueError("between needs [low, high]")
        elif several is not (self.operator in WITH_SEVERAL):
            raise ValueError(f"{self.operator} needs {'one value' if several else 'a list'}")
        if sum(isinstance(value, OtherField) for value in self.values()) > MOST_FIELDS:
            raise ValueError(f"a list holds at most {MOST_FIELDS} fields")
        return self

    def values(self) -> Sequence[Scalar | OtherField]:
        """Return what to compare with: none, one or several."""
        if self.value is None or isinstance(self.value, Delay):
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

CONDITIONS: TypeAdapter[Conditions] = TypeAdapter(Conditions)
"""Reads them from JSON as they are kept."""


class Outcome(StrEnum):
    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


class ValueOfField(BaseModel):
    """What stood in the other field that a condition names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    value: Scalar | None = None


class Limit(BaseModel):
    """Which day or moment an amount of time led to; None where the calendar has no such."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int
    unit: Unit
    value: str | None = None


Expected = Scalar | ValueOfField | Limit | tuple[Scalar | ValueOfField, ...]


class Compared(BaseModel):
    """What was compared with what; `decided` if the whole hung on it, `negated` within a not."""

    model_config = ConfigDict(frozen=True)

    field: str
    operator: Operator
    expected: Expected | None = None
    actual: Scalar | None = None
    outcome: Outcome
    reason: str = ""
    decided: bool = True
    negated: bool = False

    def in_words(self) -> str:
        """Return what was found and what was needed: `deal.amount is 500, needed > 1000`."""
        if self.outcome is Outcome.UNKNOWN:
            return f"{self.field} cannot be compared: {self.reason}"
        negation = "not " if self.negated else ""
        return f"{self.field} is {_or_empty(self.actual)}, needed {negation}{self._needed()}"

    def _needed(self) -> str:
        match self.expected:
            case None:
                return self.operator
            case Limit(amount=amount, unit=unit, value=value):
                more, than, where = self.operator.split()
                span = Delay.model_construct(amount=amount, unit=unit).span
                return f"{more} {than} {span} {where} ({_or_empty(value)})"
            case tuple(several):
                between = self.operator is Operator.BETWEEN
                values = (" and " if between else ", ").join(map(_needed_value, several))
                return f"{self.operator} {values}"
            case one:
                return f"{self.operator} {_needed_value(one)}"


def _needed_value(value: Scalar | ValueOfField) -> str:
    if isinstance(value, ValueOfField):
        return f"{value.field} ({_or_empty(value.value)})"
    return _said(value)


def _or_empty(value: Scalar | None) -> str:
    return "empty" if value is None else _said(value)


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


@dataclass(frozen=True)
class Circumstances:
    """When and where conditions are judged, and what changed since the item entered its stage.

    `now` is aware, days are those of the zone. `changed` holds fields as history names them
    (`amount`, `custom.size`); it matters only where `asks_for_changes`.
    """

    now: datetime
    zone: str
    changed: frozenset[str] = frozenset()

    @property
    def today(self) -> date:
        return self.day_of(self.now)

    def day_of(self, moment: date) -> date:
        """Return the day of a moment in the zone; a day is its own."""
        if not isinstance(moment, datetime):
            return moment
        try:
            return moment.astimezone(ZoneInfo(self.zone)).date()
        except OverflowError as error:
            raise _Unknown(f"{_said(moment)} is beyond the calendar") from error


def check(conditions: Condition, catalogue: Known) -> list[Problem]:
    """Return what could never work for items with these fields, the first 50 at most.

    Pointers begin at the conditions: `/all/0/field`.
    """
    return list(islice(_problems(conditions, catalogue, ""), MOST_PROBLEMS))


def asks_for_changes(conditions: Condition) -> bool:
    """Tell whether it matters what has changed since the item entered its stage."""
    match conditions:
        case Comparison(operator=operator):
            return operator is Operator.CHANGED
        case Not(part=part):
            return asks_for_changes(part)
        case All(parts=parts) | AnyOf(parts=parts):
            return any(map(asks_for_changes, parts))


def evaluate(
    conditions: Condition,
    values: Mapping[str, object],
    catalogue: Known,
    here: Circumstances,
) -> Verdict:
    """Compare with the values of an item by full path (`deal.amount`).

    A path that is missing, or whose value is not of the field's kind, is unknown. An empty field
    (None, no text, no rows) equals nothing, not even another empty one, contains nothing and
    stands in no order.
    """
    match conditions:
        case Comparison():
            compared = _compare(conditions, values, catalogue, here)
            return Verdict(outcome=compared.outcome, comparisons=(compared,))
        case Not(part=part):
            return _negated(evaluate(part, values, catalogue, here))
        case All(parts=parts):
            verdicts = [evaluate(part, values, catalogue, here) for part in parts]
            return _joined(verdicts, (Outcome.NOT_MET, Outcome.UNKNOWN, Outcome.MET))
        case AnyOf(parts=parts):
            verdicts = [evaluate(part, values, catalogue, here) for part in parts]
            return _joined(verdicts, (Outcome.MET, Outcome.UNKNOWN, Outcome.NOT_MET))


NEGATED = {
    Outcome.MET: Outcome.NOT_MET,
    Outcome.NOT_MET: Outcome.MET,
    Outcome.UNKNOWN: Outcome.UNKNOWN,
}


def _joined(verdicts: Sequence[Verdict], decisive: tuple[Outcome, Outcome, Outcome]) -> Verdict:
    """Return the first of the outcomes that any verdict has; it is they who decided."""
    outcomes = {verdict.outcome for verdict in verdicts}
    outcome = next((outcome for outcome in decisive if outcome in outcomes), decisive[-1])
    return Verdict(
        outcome=outcome,
        comparisons=tuple(
            compared
            if verdict.outcome is outcome or not compared.decided
            else compared.model_copy(update={"decided": False})
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


def _compare(
    comparison: Comparison,
    values: Mapping[str, object],
    catalogue: Known,
    here: Circumstances,
) -> Compared:
    try:
        holds = _holds(comparison, values, catalogue, here)
        outcome, reason = Outcome.MET if holds else Outcome.NOT_MET, ""
    except _Unknown as unknown:
        outcome, reason = Outcome.UNKNOWN, str(unknown)
    return Compared(
        field=comparison.field,
        operator=comparison.operator,
        expected=_expected(comparison, values, catalogue, here),
        actual=_traced(values.get(comparison.field)),
        outcome=outcome,
        reason=reason,
    )


def _expected(
    comparison: Comparison,
    values: Mapping[str, object],
    catalogue: Known,
    here: Circumstances,
) -> Expected | None:
    """Return the value with what stood in other fields, and the day or moment that a span meant."""

    def looked_up(value: Scalar | OtherField) -> Scalar | ValueOfField:
        if isinstance(value, OtherField):
            return ValueOfField(field=value.field, value=_traced(values.get(value.field)))
        return value

    match comparison.value:
        case Delay(amount=amount, unit=unit) as span:
            field = catalogue.find(comparison.field)
            try:
                limit = None if field is None else _limit(comparison.operator, span, field, here)
            except _Unknown:
                limit = None
            value = None if limit is None else limit.isoformat()
            return Limit(amount=amount, unit=unit, value=value)
        case tuple(several):
            return tuple(map(looked_up, several))
        case OtherField() as other:
            return looked_up(other)
        case value:
            return value


class _Unknown(Exception):
    """The field is gone, or a value is not of its kind."""


def _holds(
    comparison: Comparison,
    values: Mapping[str, object],
    catalogue: Known,
    here: Circumstances,
) -> bool:
    operator = comparison.operator
    field = _known(comparison.field, values, catalogue)
    if operator not in OPERATORS[field.kind]:
        raise _Unknown(f"{field.kind} fields have no operator {operator}")
    if operator is Operator.CHANGED:
        return not here.changed.isdisjoint(_followed(field, catalogue.item_type))
    wanted = [_operand(value, field, values, catalogue) for value in comparison.values()]
    actual = values[comparison.field]
    if _is_empty(actual):
        return operator in HOLD_FOR_EMPTY
    if isinstance(comparison.value, Delay):
        limit = _limit(operator, comparison.value, field, here)
        now = here.now if field.kind is FieldKind.DATETIME else here.today
        return HOLDS[operator](READ[field.kind](actual), limit, now)
    filled = [operand for operand in wanted if not _is_empty(operand.value)]
    if len(filled) < len(wanted) and operator not in WITH_SEVERAL:
        return operator in HOLD_FOR_EMPTY
    found, *read = [operand.read() for operand in (_Operand(field.kind, actual), *filled)]
    if field.kind in TIMES and any(operand.kind is not field.kind for operand in filled):
        found, *read = [here.day_of(each) for each in (found, *read)]
    holds = HOLDS_OF_SEVERAL if field.kind is FieldKind.MULTI else HOLDS
    return holds[operator](found, *read)


@dataclass(frozen=True)
class _Operand:
    kind: FieldKind
    value: object

    def read(self) -> Any:
        return READ[self.kind](self.value)


def _known(path: str, values: Mapping[str, object], catalogue: Known) -> CrmField:
    field = catalogue.find(path)
    if field is None or path not in values:
        raise _Unknown("there is no such field")
    return field


def _operand(
    value: Scalar | OtherField,
    field: CrmField,
    values: Mapping[str, object],
    catalogue: Known,
) -> _Operand:
    """Return what to compare with, yet to be read."""
    if not isinstance(value, OtherField):
        return _Operand(FieldKind.LIST if field.kind is FieldKind.MULTI else field.kind, value)
    if catalogue.find(value.field) is None or value.field not in values:
        raise _Unknown(f"there is no field {value.field}")
    other = _known(value.field, values, catalogue)
    if other.kind not in COMPARES_WITH[field.kind]:
        raise _Unknown(_do_not_compare(field, other))
    return _Operand(other.kind, values[value.field])


def _do_not_compare(field: CrmField, other: CrmField) -> str:
    return f"{other.path} is {other.kind}, which does not compare with {field.kind}"


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], ())


def _limit(operator: Operator, span: Delay, field: CrmField, here: Circumstances) -> date:
    """Return the day, or for datetimes the moment, that is so long ago or ahead."""
    ago = operator in AGO
    try:
        if field.kind is FieldKind.DATETIME:
            count = span.begins_at if ago else span.ends_at
            return count(here.now, here.zone)
        return (span.day_before if ago else span.day_after)(here.today)
    except (ValueError, OverflowError) as error:
        raise _Unknown(f"{span.span} from now: {error}") from error


def _followed(field: CrmField, item_type: ItemType | None) -> frozenset[str]:
    """Return how history calls changes of a field, or raise _Unknown where it keeps none."""
    root, _, name = field.path.partition(".")
    if field.path in OWN_LINKS:
        return frozenset({root})
    if root not in {"item", item_type} or "." in name.removeprefix("custom."):
        links = ", ".join(sorted(OWN_LINKS))
        raise _Unknown(f"only changes of the item's own fields are followed, and of {links}")
    if name in NOT_EDITED:
        raise _Unknown(f"{field.path} does not change while the item stays in its stage")
    return NAMES_IN_HISTORY.get(name, frozenset({name}))


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
    Operator.MORE_AGO: lambda found, limit, _now: found < limit,
    Operator.LESS_AGO: lambda found, limit, now: limit < found <= now,
    Operator.MORE_AHEAD: lambda found, limit, _now: found > limit,
    Operator.LESS_AHEAD: lambda found, limit, now: now <= found < limit,
}

HOLDS_OF_SEVERAL: Mapping[Operator, Callable[..., bool]] = {
    **HOLDS,
    Operator.IN: lambda found, *wanted: not found.isdisjoint(wanted),
    Operator.NOT_IN: lambda found, *wanted: found.isdisjoint(wanted),
    Operator.CONTAINS: lambda found, wanted: wanted in found,
}
"""Of several choices: that one is among them, that any of these is, that none is."""


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
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:
            raise _Unknown(f"{_said(value)} is beyond the calendar") from error
    raise _Unknown(f"{_said(value)} is no time with its zone such as 2026-12-31T09:00+01:00")


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Unknown(f"{_said(value)} is neither true nor false")
    return value


def _user(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Unknown(f"{_said(value)} is no id of a user")
    return value


def _choices(value: object) -> frozenset[str]:
    if not isinstance(value, list | tuple):
        raise _Unknown(f"{_said(value)} is no list")
    return frozenset(map(_text, value))


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
    FieldKind.USER: _user,
    FieldKind.LIST: _text,
    FieldKind.MULTI: _choices,
    FieldKind.ROWS: _rows,
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
        case int() if abs(value) > LARGEST_NUMBER:
            said = "a number too large"
        case list() | tuple() if all(isinstance(each, str) for each in value):
            said = ", ".join(value)
        case list() | tuple():
            said = f"{len(value)} rows"
        case _:
            said = str(value)
    return said if len(said) <= LONGEST_TRACED else f"{said[:LONGEST_TRACED]}…"


def _traced(value: object) -> Scalar | None:
    if value is None or (isinstance(value, int) and abs(value) <= LARGEST_NUMBER):
        return value
    return _said(value)


def _problems(condition: Condition, catalogue: Known, at: str) -> Iterator[Problem]:
    match condition:
        case Comparison():
            yield from _wrong(condition, catalogue, at)
        case Not(part=part):
            yield from _problems(part, catalogue, f"{at}/not")
        case All(parts=parts):
            for place, part in enumerate(parts):
                yield from _problems(part, catalogue, f"{at}/all/{place}")
        case AnyOf(parts=parts):
            for place, part in enumerate(parts):
                yield from _problems(part, catalogue, f"{at}/any/{place}")


def _wrong(comparison: Comparison, catalogue: Known, at: str) -> Iterator[Problem]:
    field = catalogue.find(comparison.field)
    if field is None:
        yield Problem(f"{at}/field", catalogue.unknown(comparison.field))
    elif comparison.operator not in OPERATORS[field.kind]:
        reason = f"{field.kind} fields such as {field.path} have no operator {comparison.operator}"
        yield Problem(f"{at}/operator", reason)
    elif comparison.operator is Operator.CHANGED:
        try:
            _followed(field, catalogue.item_type)
        except _Unknown as unknown:
            yield Problem(f"{at}/field", str(unknown))
    elif isinstance(comparison.value, Delay):
        yield from _wrong_span(comparison.operator, comparison.value, field, f"{at}/value")
    else:
        yield from _wrong_values(comparison, field, catalogue, f"{at}/value")


def _wrong_span(operator: Operator, span: Delay, field: CrmField, at: str) -> Iterator[Problem]:
    if field.kind is FieldKind.DATE and span.unit not in ON_THE_CALENDAR:
        yield Problem(f"{at}/unit", "between days there are days, weeks, months and years")
    if not span.amount and operator in {Operator.LESS_AGO, Operator.LESS_AHEAD}:
        yield Problem(f"{at}/amount", f"nothing is less than {span.span} from now")


def _wrong_values(
    comparison: Comparison, field: CrmField, catalogue: Known, at: str
) -> Iterator[Problem]:
    read = []
    for place, value in enumerate(comparison.values()):
        pointer = f"{at}/{place}" if isinstance(comparison.value, tuple) else at
        if isinstance(value, OtherField):
            yield from _wrong_other(value, field, catalogue, f"{pointer}/field")
            continue
        try:
            read.append(_operand(value, field, {}, catalogue).read())
        except _Unknown as error:
            yield Problem(pointer, str(error))
        else:
            yield from _wrong_text(value, field, pointer)
    if comparison.operator is Operator.BETWEEN and len(read) == len(comparison.values()):
        low, high = read
        if not HOLDS[Operator.AT_MOST](low, high):
            yield Problem(at, f"{_said(low)} is above {_said(high)}")


def _wrong_other(
    value: OtherField, field: CrmField, catalogue: Known, at: str
) -> Iterator[Problem]:
    other = catalogue.find(value.field)
    if other is None:
        yield Problem(at, catalogue.unknown(value.field))
    elif other.kind not in COMPARES_WITH[field.kind]:
        yield Problem(at, _do_not_compare(field, other))


def _wrong_text(value: Scalar, field: CrmField, at: str) -> Iterator[Problem]:
    if value == "":
        yield Problem(at, "an empty text equals nothing; use the operator empty")
    elif field.choices and value not in field.choices:
        meant = next(iter(get_close_matches(str(value), field.choices, n=1)), None)
        hint = f", did you mean {meant}?" if meant else ""
        yield Problem(at, f"{_said(value)} is no choice of {field.path}{hint}")
