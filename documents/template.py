"""DOCX templates with fields, in Jinja, and how they are filled.

Word cuts what people type into pieces at will; docxtpl puts fields together again. Filters are
written as in other texts (`| date: "dd.MM.yyyy"`) or as Jinja has them (`| date("dd.MM.yyyy")`).
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from html import unescape
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from docx.opc.oxml import parse_xml
from docxtpl import DocxTemplate
from jinja2 import TemplateError, Undefined
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from documents.filters import filters, written
from documents.shape import LONGEST_EXCERPT, LONGEST_REASON, Broken
from models.formats import Reader, locale_named

PARAGRAPH = re.compile(r"<w:p[ >].*?</w:p>", re.DOTALL)
TEXT = re.compile(r"<w:t(?: [^>]*)?>([^<]*)</w:t>")


class _Filters(Extension):
    """Lets a filter have its arguments as in other texts: after a colon."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        open_at: list[int] = []
        depth = 0
        before: list[Token] = []
        for token in stream:
            ends = token.type in {"pipe", "variable_end", "block_end", "rparen"}
            if open_at and depth == open_at[-1] and ends:
                open_at.pop()
                yield Token(token.lineno, "rparen", ")")
            depth += {"lparen": 1, "lbracket": 1, "rparen": -1, "rbracket": -1}.get(token.type, 0)
            named = [each.type for each in before[-2:]]
            if token.type == "colon" and named == ["pipe", "name"]:
                open_at.append(depth)
                yield Token(token.lineno, "lparen", "(")
            elif token.type == "colon" and open_at and named[-1:] == ["name"]:
                yield Token(token.lineno, "assign", "=")
            else:
                yield token
            before = [*before[-1:], token]


class _Environment(ImmutableSandboxedEnvironment):
    """Fields, loops and conditions: neither functions nor the insides of a value."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, reader: Reader) -> None:
        super().__init__(
            autoescape=True,
            undefined=StrictUndefined,
            extensions=[_Filters],
            finalize=partial(written, reader=reader),
        )
        self.globals = {}
        self.filters = filters(reader)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext):
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if obj is None or isinstance(obj, Undefined):
            return obj  # who is not there has no name either
        if isinstance(obj, Mapping | list) and not isinstance(argument, slice):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(f"unknown field {argument}")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with amounts as people do: exactly, and an empty field is 0."""
        if operator == "**":
            raise TypeError("powers are not offered")
        return super().call_binop(context, operator, _amount(left), _amount(right))


def _amount(value: Any) -> Any:
    match value:
        case None:
            return Decimal(0)
        case bool():
            pass
        case int() | float() | Decimal():
            return Decimal(str(value))
    raise TypeError("only numbers can be calculated with; texts are joined by ~")


class _Several(dict[str, Any]):
    """Fields that have paths in common; a value may have fields of its own, as users have."""

    value: object = None
    lenient = False

    def __missing__(self, name: str) -> object:
        if self.lenient:
            return None
        raise KeyError(name)

    def __str__(self) -> str:
        written = self.get("name") if self.get("name") is not None else self.value
        return "" if written is None else str(written)


class TemplateFile(DocxTemplate):  # type: ignore[misc] # docxtpl has no types
    """A DOCX whose every text with fields is seen once."""

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield what a text is, for people, and its XML."""
        self.init_docx()
        yield "text", self.get_xml()
        for name, uri in (("header", self.HEADER_URI), ("footer", self.FOOTER_URI)):
            for _, part in self.get_headers_footers(uri):
                yield name, self.xml_to_string(parse_xml(part.blob))
        for part in self.docx.part.package.iter_parts():
            if part.content_type.endswith("wordprocessingml.footnotes+xml"):
                yield "footnotes", part.blob.decode()
        yield "properties", "\n".join(self._properties())

    def lined(self, xml: str) -> str:
        """Return a text as it is given to Jinja: each paragraph in lines of its own."""
        return re.sub(r"<w:p([ >])", r"\n<w:p\1", self.patch_xml(xml))

    def _properties(self) -> Iterator[str]:
        about = self.docx.core_properties
        yield from (about.author, about.comments, about.identifier, about.language)
        yield from (about.subject, about.title)

    def render_properties(self, context: dict[str, Any], jinja_env: Any = None) -> None:
        """Fill in title and subject, which are no XML: nothing in them is escaped."""
        super().render_properties(context, jinja_env.overlay(autoescape=False))


def filled(content: bytes, values: Mapping[str, object], *, locale: str, zone: str) -> bytes:
    """Return the DOCX with its fields filled in; values are keyed by full path."""
    currency = values.get("item.currency")
    reader = Reader(
        locale_named(locale), ZoneInfo(zone), currency if isinstance(currency, str) else None
    )
    template = TemplateFile(BytesIO(content))
    for part, xml in template.texts():
        for reason in unended(part, xml):
            raise Broken(reason)
    try:
        template.render(_tree(values), environment_for(reader), autoescape=True)
    except TemplateError as error:
        raise Broken(told(error)) from error
    except ArithmeticError as error:
        raise Broken("a calculation has no result, as if divided by 0") from error
    except (LookupError, TypeError, ValueError) as error:
        raise Broken(str(error)[:LONGEST_REASON]) from error
    file = BytesIO()
    template.save(file)
    return file.getvalue()


def unended(part: str, xml: str) -> Iterator[str]:
    """Yield the paragraphs in which what is begun for Jinja does not end.

    They are looked for first: reading them takes docxtpl quadratic time.
    """
    for paragraph in PARAGRAPH.findall(xml):
        text = "".join(TEXT.findall(paragraph))
        for begin, end in (("{{", "}}"), ("{%", "%}"), ("{#", "#}")):
            if text.count(begin) > text.count(end):
                yield f"{part}, at «{excerpt(text)}»: {begin} without {end}"


def excerpt(text: str) -> str:
    """Return the beginning of a text that holds XML's entities, for people."""
    text = unescape(text)
    return text if len(text) <= LONGEST_EXCERPT else f"{text[: LONGEST_EXCERPT - 1]}…"


def environment_for(reader: Reader) -> _Environment:
    """Return what reads and fills templates for this reader."""
    return _Environment(reader)


def told(error: TemplateError) -> str:
    """Return why a template cannot be read or filled, to end a sentence."""
    message = (error.message or type(error).__name__).rstrip(".")
    return (message[:1].lower() + message[1:])[:LONGEST_REASON]


def _tree(values: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in sorted(values):  # a value before the fields that it has of its own
        *groups, name = path.split(".")
        place = tree
        for group in groups:
            inner = place.get(group)
            if not isinstance(inner, _Several):
                inner = _Several()
                inner.value = place.get(group)
                place[group] = inner
            place = inner
        place[name] = values[path]
    for root in tree.values():
        if isinstance(root, _Several):
            custom = root.setdefault("custom", _Several())
            custom.lenient = True
    return tree
