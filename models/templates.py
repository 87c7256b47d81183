"""Texts with fields, in Liquid: checked when a rule is saved, rendered when it runs.

Managers write these texts, so rendering has limits. Output and nested loops have Liquid's own; all
else that could take long or grow (filters, loops, assignments, long values) draws on a budget.
"""

import re
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from typing import Annotated, Any, TextIO, cast
from zoneinfo import ZoneInfo

from liquid import BoundTemplate, Environment, Node, RenderContext, TokenStream
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.arguments import KeywordArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import IntegerLiteral, RangeLiteral, StringLiteral
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.case_tag import CaseNode, CaseTag, MultiExpressionBlockNode
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.exceptions import (
    FilterError,
    LiquidError,
    LiquidSyntaxError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    ResourceLimitError,
)
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from liquid.token import TOKEN_CONTENT, TOKEN_ILLEGAL, TOKEN_OUTPUT, Token
from liquid.undefined import StrictDefaultUndefined
from liquid.utils import ReadOnlyChainMap
from pydantic import AfterValidator, BaseModel, WithJsonSchema
from pydantic_core import PydanticCustomError

from models.errors import ActionFailed
from models.fields import UNSTORABLE, Catalogue, Field, FieldKind
from models.formats import (
    OWN_FILTERS,
    OWN_OPTIONS,
    READER_OPTIONS,
    Reader,
    as_datetime,
    locale_named,
)
from models.item_type import ItemType
from models.near_misses import did_you_mean

LONGEST_TEMPLATE = 20_000  # characters
LONGEST_OUTPUT = 200_000  # bytes
LONGEST_STRING = 100_000
LONGEST_LIST = 1_000
LONGEST_REASON = 200
WIDEST_INTEGER = 256  # bits
MOST_RAWS = 100
MOST_TURNS = 10_000
MOST_REASONS = 20  # and those of the tag where they get more
DEEPEST_EXPRESSION = 50
WORK = 500_000

TAGS = frozenset({"if", "unless", "case", "for", "assign", "comment"})  # raw is the lexer's

# Python's HTML parser, behind strip_html, takes quadratic time on malformed input.
WITHOUT_FILTERS = frozenset({"strip_html", "safe"})

# Liquid's lexer takes quadratic time on these, and on many raw blocks that never end.
UNREADABLE = re.compile(r"\s{200}|\{{100}|\({50}")
RAW = re.compile(r"\{%-?\s*(?:raw|doc)\b")

LIMITS: Mapping[type[LiquidError], str] = {
    LoopIterationLimitError: f"the loops take more than {MOST_TURNS} turns",
    LiquidError: "too long or too deep an expression",  # what Liquid did not expect while reading
    OutputStreamLimitError: f"the text gets longer than {LONGEST_OUTPUT} bytes",
}


class TemplateText(str):
    """A text that was found to be a readable template."""

    __slots__ = ()


def as_template(text: str) -> TemplateText:
    """Return a text that can be read as a template, or raise `BrokenTemplate`."""
    _compiled(text)
    return TemplateText(text)


def _readable(text: str) -> TemplateText:
    try:
        return as_template(text)
    except BrokenTemplate as error:
        raise PydanticCustomError("template", "{reason}", {"reason": str(error)}) from error


Template = Annotated[
    str,
    AfterValidator(_readable),
    WithJsonSchema({"type": "string", "format": "template", "maxLength": LONGEST_TEMPLATE}),
]
"""A parameter that is a text with fields; validated, it is a `TemplateText`.

Models with defaults of this type need `validate_default=True`.
"""


class BrokenTemplate(ValueError):
    """A text that Liquid cannot read, or that goes beyond what is allowed; says where and why."""


def templates_in(value: object, at: str = "") -> Iterator[tuple[str, TemplateText]]:
    """Yield the texts with fields anywhere in a validated model, each with its JSON pointer."""
    match value:
        case TemplateText():
            yield at, value
        case BaseModel():
            for name, part in value:
                yield from templates_in(part, f"{at}/{name}")
        case Mapping():
            for name, part in value.items():
                yield from templates_in(part, f"{at}/{name}")
        case list() | tuple():
            for place, part in enumerate(value):
                yield from templates_in(part, f"{at}/{place}")


def check(text: str, catalogue: Catalogue) -> list[str]:
    """Return why this text could not be rendered with these fields, with line and column."""
    try:
        template = _compiled(text)
    except BrokenTemplate as error:
        return [str(error)]
    checking = _Checking(text, catalogue, RenderContext(template))
    checking.nodes(template.nodes, ChainMap({}))
    return checking.reasons


def render(
    text: str,
    values: Mapping[str, object],
    *,
    locale: str,
    zone: str,
    exact: bool = False,
    escape: Callable[[str], str] = str,
) -> str:
    """Return the text with its fields filled in, for a reader of that locale and time zone.

    `exact` is for a machine that reads it: dates and times as ISO 8601, one line for each value
    of several, as long as no filter says otherwise. What is filled in goes through `escape`, the
    text around it does not.

    Values are keyed by full path (`deal.title`); None and custom fields that are not there read
    as nothing. Times are aware, a list of rows is a list of mappings. What cannot be rendered, or
    not within the limits, raises ActionFailed.
    """
    currency = cast("str | None", values.get("item.currency"))
    reader = _Reader(locale_named(locale), ZoneInfo(zone), currency, exact, escape)
    try:
        template = _compiled(text)
        context = _Context(template, _tree(values), reader)
        output = context.get_buffer()
        template.render_with_context(context, output)
    except BrokenTemplate as error:
        raise ActionFailed(f"The text cannot be read: {error}") from error
    except LiquidError as error:
        raise ActionFailed(f"The text cannot be rendered: {_told(error, text)}") from error
    except (ArithmeticError, RecursionError) as error:
        raise ActionFailed(f"The text cannot be rendered: {error}") from error
    rendered = output.getvalue()
    if UNSTORABLE.search(rendered):
        raise ActionFailed("The text cannot be rendered: it holds U+0000 or half a character.")
    return rendered


@dataclass(frozen=True)
class _Reader(Reader):
    """Who reads, and what is done to what they read."""

    exact: bool = False
    escape: Callable[[str], str] = str


class _Context(RenderContext):
    """One rendering: the fields, the reader, and how much work may still be done."""

    def __init__(
        self, template: BoundTemplate, fields: Mapping[str, object], reader: _Reader
    ) -> None:
        super().__init__(template, globals=fields)
        # Without Liquid's `now` and `today`, which know neither our clock nor the reader's zone.
        self.scope = ReadOnlyChainMap(self.locals, self.globals)
        self.reader = reader
        self._work_left = WORK

    def spend(self, work: int) -> None:
        self._work_left -= work
        if self._work_left < 0:
            raise ResourceLimitError("the text is too much work", token=None)

    def get(self, path: list[object], **options: Any) -> object:
        value = super().get(path, **options)
        self.spend(1 + _weight(value) // 10)
        return value

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        return partial(super().filter(name, token), self)

    def assign(self, key: str, val: Any) -> None:
        self.spend(_weight(val))
        super().assign(key, val)


def _weight(value: object) -> int:
    """Return how much a value weighs; one that is too big to be handled is refused."""
    if type(value) is StrictDefaultUndefined:  # isinstance would poke it, and it raises
        return 1
    match value:
        case str():
            if len(value) > LONGEST_STRING:
                raise ResourceLimitError(f"over {LONGEST_STRING} characters in a value", token=None)
            return len(value)
        case list() | tuple():
            if len(value) > LONGEST_LIST:
                raise ResourceLimitError(f"over {LONGEST_LIST} values in a list", token=None)
            weight = len(value) + sum(len(part) for part in value if isinstance(part, str))
            if weight > LONGEST_STRING:
                raise ResourceLimitError(f"over {LONGEST_STRING} characters in a list", token=None)
            return weight
        case int():
            if value.bit_length() > WIDEST_INTEGER:
                raise ResourceLimitError("a number grows too large", token=None)
    return 1


class _Loop(ForNode):
    """A loop whose every turn costs as much as its body is long."""

    __slots__ = ("cost",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cost = 10 + len(str(self.block)) // 4

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        rows = self.expression.iterable.evaluate(context)
        turns = len(rows) if isinstance(rows, Sequence) else 1
        cast("_Context", context).spend(self.cost * turns)
        return super().render_to_output(context, buffer)


class _LoopTag(ForTag):
    node_class = _Loop


class _When(MultiExpressionBlockNode):
    """Rendered once, however many of its values match: else nesting multiplies the work."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        matches = any(self.expression.evaluate(context))
        return self.block.render(context, buffer) if matches else -1


class _CaseTag(CaseTag):
    def parse(self, stream: TokenStream) -> Node:
        node = cast("CaseNode", super().parse(stream))
        node.blocks = [
            _When(block.token, block.block, block.expression)
            if isinstance(block, MultiExpressionBlockNode)
            else block
            for block in node.blocks
        ]
        return node


class _FieldNode(OutputNode):
    """Dates and times read as the reader writes them, also without a filter."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        reader = cast("_Context", context).reader
        match value:
            case date():
                value = value.isoformat() if reader.exact else as_datetime(value, reader=reader)
            case [*several] if all(isinstance(each, str) for each in several):
                value = ("\n" if reader.exact else ", ").join(map(str, several))
        return buffer.write(reader.escape(to_liquid_string(value, autoescape=False)))


class _FieldTag(Output):
    node_class = _FieldNode


# The options of Liquid's own filters that are none of ours are meant for us: a template must not
# replace its environment, nor the reader.
OPTIONS: Mapping[str, frozenset[str]] = {"default": frozenset({"allow_false"}), **OWN_OPTIONS}
"""What each filter takes by name."""

NUMERIC_FILTERS = frozenset(
    {
        *("abs", "at_least", "at_most", "ceil", "divided_by", "floor", "minus", "modulo"),
        *("plus", "round", "sum", "times"),
    }
)

ROW_FILTERS = frozenset({"compact", "reject", "reverse", "sort", "sort_natural", "uniq", "where"})

GROWTH: Mapping[str, Callable[..., int]] = {
    "join": lambda rows, separator=" ": len(rows) * len(str(separator)),
    "replace": lambda text, old, new="": str(text).count(str(old)) * len(str(new)),
    "sum": lambda rows, *_: 5 * len(rows),
    "uniq": lambda rows, *_: len(rows) ** 2 // 10,
}
"""What filters may take beyond the size of what they are given, told before they do."""


def _guarded(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """Let a filter work within the budget of the context it is given, and fail as Liquid does."""
    own = name in OWN_FILTERS
    prepared = _as_number if name in NUMERIC_FILTERS else _as_it_is
    growth = GROWTH.get(name, _no_growth)
    allowed = OPTIONS.get(name, frozenset())

    def guarded(context: _Context, /, *given: object, **options: object) -> object:
        context.spend(10 + sum(map(_weight, (*given, *options.values()))))
        if unknown := options.keys() - allowed:
            wrong = min(unknown)
            meant = did_you_mean(wrong, allowed)
            raise FilterError(f"{name}: unknown option {wrong}{meant}", token=None)
        try:
            context.spend(growth(*given))
            if own:
                options = {"reader": context.reader.elsewhere(**options)}
            result = function(*map(prepared, given), **options)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise FilterError(f"{name}: {error}", token=None) from error
        context.spend(_weight(result))
        return result

    return guarded


def _no_growth(*_given: object) -> int:
    return 0


def _as_it_is(value: object) -> object:
    return value


def _as_number(value: object) -> object:
    """Return numbers as Liquid counts them: to its filters, a Decimal is zero."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list():
            return [_as_number(part) for part in value]
        case dict():
            return {name: _as_number(part) for name, part in value.items()}
    return value


class _Environment(Environment):
    loop_iteration_limit = MOST_TURNS
    output_stream_limit = LONGEST_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        kept = TAGS | {TOKEN_CONTENT, TOKEN_OUTPUT, TOKEN_ILLEGAL}
        self.tags = {name: tag for name, tag in self.tags.items() if name in kept}
        for tag in (_LoopTag, _CaseTag, _FieldTag):
            self.add_tag(tag)
        self.filters = {
            name: _guarded(name, self._bound(function))
            for name, function in {**self.filters, **OWN_FILTERS}.items()
            if name not in WITHOUT_FILTERS
        }

    def _bound(self, function: Callable[..., object]) -> Callable[..., object]:
        needs_us = getattr(function, "with_environment", False)
        return partial(function, environment=self) if needs_us else function

    def error(
        self,
        exc: type[LiquidError] | LiquidError,
        msg: str | None = None,
        token: Token | None = None,
    ) -> None:
        # The end of an expression has no place of its own: take that of the tag around it.
        if isinstance(exc, LiquidError) and exc.token and exc.token.start_index < 0 and token:
            exc.token = token
        super().error(exc, msg, token)


ENVIRONMENT = _Environment(undefined=StrictDefaultUndefined)


@lru_cache(maxsize=256)
def _compiled(text: str) -> BoundTemplate:
    if len(text) > LONGEST_TEMPLATE:
        raise BrokenTemplate(f"longer than {LONGEST_TEMPLATE} characters")
    if found := UNREADABLE.search(text):
        raise BrokenTemplate(f"{_place(text, found.start())}: too many blanks or brackets in a row")
    if len(RAW.findall(text)) > MOST_RAWS:
        raise BrokenTemplate(f"more than {MOST_RAWS} raw blocks")
    try:
        template = ENVIRONMENT.from_string(text)
        for expression in _expressions(template.nodes, RenderContext(template)):
            _refuse_wide_range(expression)
    except LiquidError as error:
        raise BrokenTemplate(_told(error, text)) from error
    return template


def _expressions(nodes: Iterable[Node], context: RenderContext) -> Iterator[Expression]:
    for node in nodes:
        for expression in node.expressions():
            yield from _within(expression)
        yield from _expressions(node.children(context, include_partials=False), context)


def _within(expression: Expression, depth: int = 1) -> Iterator[Expression]:
    if depth > DEEPEST_EXPRESSION:
        raise LiquidSyntaxError("too long an expression", token=expression.token)
    yield expression
    for part in expression.children():
        yield from _within(part, depth + 1)


def _refuse_wide_range(expression: Expression) -> None:
    """Refuse what would count for ever before any limit is looked at."""
    match expression:
        case RangeLiteral(start=IntegerLiteral(value=start), stop=IntegerLiteral(value=stop)):
            if stop - start < LONGEST_LIST:
                return
        case RangeLiteral():
            pass
        case _:
            return
    raise LiquidSyntaxError(
        f"a range goes from number to number and holds at most {LONGEST_LIST}",
        token=expression.token,
    )


class _WithFields(dict[str, Any]):
    """A value that has fields of its own: a user is written by name and compares by id."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self._value = value

    def __str__(self) -> str:
        written = self._value if self.get("name") is None else self["name"]
        return "" if written is None else str(written)

    def __liquid__(self) -> object:
        return self._value


def _tree(values: Mapping[str, object]) -> dict[str, Any]:
    """Return values keyed by full path as mappings within mappings."""
    tree: dict[str, Any] = {}
    for path in sorted(values):  # a value before the fields that it has of its own
        *groups, name = path.split(".")
        place = tree
        for group in groups:
            inner = place.setdefault(group, {})
            if not isinstance(inner, dict):
                inner = place[group] = _WithFields(inner)
            place = inner
        place[name] = values[path]
    for root in tree.keys() & {"item", *ItemType}:
        tree[root]["custom"] = defaultdict(lambda: None, tree[root].get("custom", {}))
    return tree


def _told(error: LiquidError, text: str) -> str:
    reason = str(LIMITS.get(type(error), error.message))[:LONGEST_REASON]
    if error.token is None:
        return reason
    index = error.token.start_index
    return f"{_place(text, index if index >= 0 else len(text))}: {reason}"


def _place(text: str, index: int) -> str:
    line = text.count("\n", 0, index) + 1
    column = index - text.rfind("\n", 0, index)
    return f"line {line}, column {column}"


# A field, a row of columns, or anything at all.
_Known = Field | tuple[Field, ...] | None

TURN = tuple(
    Field(name, name, FieldKind.NUMBER)
    for name in ("first", "index", "index0", "last", "length", "rindex", "rindex0")
)


class _UnknownField(Exception):
    """A path leads nowhere; the message says so."""


class _Checking:
    """Walks a template in the order written, with the names that `assign` and `for` bring."""

    def __init__(self, text: str, catalogue: Catalogue, context: RenderContext) -> None:
        self._reasons: list[tuple[int, str]] = []
        self._text = text
        self._catalogue = catalogue
        self._context = context

    @property
    def reasons(self) -> list[str]:
        """Say what is wrong, in the order of the text."""
        return [f"{_place(self._text, at)}: {reason}" for at, reason in sorted(self._reasons)]

    def nodes(self, nodes: Iterable[Node], scope: ChainMap[str, _Known]) -> None:
        for node in nodes:
            if len(self._reasons) > MOST_REASONS:
                return
            for expression in node.expressions():
                self._expression(expression, scope)
            inner = scope
            if isinstance(node, OutputNode):
                self._output(node.expression, scope)
            elif isinstance(node, AssignNode):
                scope.maps[-1][node.name] = self._known(node.expression, scope)
            elif isinstance(node, ForNode):
                rows = self._known(node.expression.iterable, scope)
                row = rows.columns or None if isinstance(rows, Field) else None
                inner = scope.new_child({node.expression.identifier: row, "forloop": TURN})
            self.nodes(node.children(self._context, include_partials=False), inner)

    def _expression(self, expression: Expression, scope: ChainMap[str, _Known]) -> None:
        if isinstance(expression, Path):
            try:
                self._resolve(expression, scope)
            except _UnknownField as unknown:
                self._tell(str(unknown), expression.token.start_index)
        elif isinstance(expression, FilteredExpression):
            for used in expression.filters or ():
                self._filter(used)
        for part in expression.children():
            self._expression(part, scope)

    def _filter(self, used: Filter) -> None:
        if used.name not in ENVIRONMENT.filters:
            meant = did_you_mean(used.name, ENVIRONMENT.filters)
            self._tell(f"unknown filter {used.name}{meant}", used.token.start_index)
            return
        allowed = OPTIONS.get(used.name, frozenset())
        for option in used.args:
            if not isinstance(option, KeywordArgument):
                continue
            if option.name not in allowed:
                meant = did_you_mean(option.name, allowed)
                reason = f"{used.name}: unknown option {option.name}{meant}"
                self._tell(reason, option.token.start_index)
            elif option.name in READER_OPTIONS and isinstance(option.value, StringLiteral):
                try:
                    READER_OPTIONS[option.name](option.value.value)
                except ValueError as error:
                    self._tell(f"{used.name}: {error}", option.token.start_index)

    def _output(self, expression: Expression, scope: ChainMap[str, _Known]) -> None:
        match self._known(expression, scope):
            case tuple() | Field(kind=FieldKind.ROWS):
                reason = f"{expression} is no text; loop over the rows and name a column"
                self._tell(reason, expression.token.start_index)

    def _tell(self, reason: str, index: int) -> None:
        self._reasons.append((index, reason[:LONGEST_REASON]))

    def _known(self, expression: Expression, scope: ChainMap[str, _Known]) -> _Known:
        if isinstance(expression, FilteredExpression):
            kept = all(used.name in ROW_FILTERS for used in expression.filters or ())
            return self._known(expression.left, scope) if kept else None
        try:
            return self._resolve(expression, scope) if isinstance(expression, Path) else None
        except _UnknownField:
            return None

    def _resolve(self, path: Path, scope: ChainMap[str, _Known]) -> _Known:
        root, *rest = path.path
        if isinstance(root, str) and root in scope:
            known = scope[root]
        else:
            width = 2 if rest[:1] == ["custom"] or root == "results" else 1
            known = self._field(path, [root, *rest[:width]])
            rest = rest[width:]
        for segment in rest:
            known = self._of_its_own(known, segment, path) or _inside(known, segment, path)
        return known

    def _of_its_own(self, known: _Known, segment: object, path: Path) -> Field | None:
        """Return the field that a field itself has, as users have names."""
        if not isinstance(known, Field):
            return None
        field = self._catalogue.find(f"{known.path}.{segment}")
        if field is None and known.kind is FieldKind.USER:
            raise _UnknownField(self._catalogue.unknown(str(path)))
        return field

    def _field(self, path: Path, segments: Sequence[object]) -> Field:
        name = ".".join(map(str, segments))
        field = self._catalogue.find(name)
        if field is not None and name.count(".") == len(segments) - 1:
            return field
        fields = self._catalogue.fields
        if example := next((known for known in fields if known.startswith(f"{name}.")), None):
            raise _UnknownField(f"{name} holds several fields, name one such as {example}")
        raise _UnknownField(self._catalogue.unknown(str(path)))


def _inside(known: _Known, segment: object, path: Path) -> _Known:
    """Return what a segment of a path leads to; from anything, to anything."""
    match known, segment:
        case None, _:
            return None
        case Field(kind=FieldKind.ROWS), int() | "first" | "last":
            return known.columns
        case Field(kind=FieldKind.ROWS | FieldKind.TEXT | FieldKind.LIST | FieldKind.MULTI), "size":
            return None
        case Field(kind=FieldKind.MULTI), int() | "first" | "last":
            return None
        case tuple(), str():
            columns = {column.path: column for column in known}
            if segment in columns:
                return columns[segment]
            row = str(path).rpartition(".")[0]
            meant = did_you_mean(str(path), [f"{row}.{column}" for column in columns])
            raise _UnknownField(f"unknown field {path}{meant}")
    raise _UnknownField(f"unknown field {path}")
