"""Which fields a template mentions and where, and what in it is not offered."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateSyntaxError, nodes

from documents.filters import FILTERS
from documents.shape import LONGEST_REASON, MOST_REASONS
from documents.template import TemplateFile, environment_for, excerpt, told, unended
from models.formats import Reader, locale_named
from models.near_misses import did_you_mean

OFFERED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign),
    nodes.Expr,
    nodes.Helper,
)
"""What a template is made of; macros, blocks and other files it has not."""

NOT_OFFERED = (nodes.Call, nodes.NSRef)
KEEPING = {"first", "last"}
"""Filters that lead from rows to one of them."""

Scope = dict[str, str | None]
"""The names that loops and `set` bring, and what they stand for: None for anything."""


def uses(content: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """Return which fields a template mentions and where, and what in it cannot be read."""
    environment = environment_for(Reader(locale_named("en"), ZoneInfo("UTC"), None))
    found: list[dict[str, Any]] = []
    reasons: list[str] = []
    template = TemplateFile(BytesIO(content))
    for part, xml in template.texts():
        if open_ended := list(unended(part, xml)):
            reasons += open_ended
            continue
        text = template.lined(xml)
        where = partial(_where, part, text.split("\n"))
        try:
            tree = environment.parse(text)
        except TemplateSyntaxError as error:
            reasons.append(f"{where(error.lineno)}: {told(error)}")
            continue
        walk = _Walk(where)
        walk.every([tree], {})
        found += walk.found
        reasons += walk.reasons
    return found, list(dict.fromkeys(reasons))[:MOST_REASONS]


class _Walk:
    """Goes through a template in the order written, with the names that loops and `set` bring."""

    def __init__(self, where: Callable[[int], str]) -> None:
        self.found: list[dict[str, Any]] = []
        self.reasons: list[str] = []
        self._where = where

    def every(self, several: Iterable[nodes.Node], scope: Scope) -> None:
        for node in several:
            self._node(node, scope)

    def _node(self, node: nodes.Node, scope: Scope) -> None:
        match node:
            case nodes.For():
                rows = self._rows(node.iter, scope)
                inner = {**scope, "loop": None, **dict.fromkeys(_names(node.target), rows)}
                self.every([*node.body, *([node.test] if node.test else [])], inner)
                self.every(node.else_, scope)
            case nodes.Assign():
                self._node(node.node, scope)
                scope |= dict.fromkeys(_names(node.target), self._path(node.node, scope))
            case nodes.Output():
                for each in node.nodes:
                    self._value(each, scope, way="printed")
            case nodes.Expr() if not isinstance(node, NOT_OFFERED):
                self._value(node, scope, way="asked")
            case _ if isinstance(node, OFFERED) and not isinstance(node, NOT_OFFERED):
                self.every(node.iter_child_nodes(), scope)
            case _:
                self._tell(node, f"{_called(node)} are not offered")

    def _rows(self, node: nodes.Node, scope: Scope) -> str | None:
        """Return whose rows are gone through, as the path of a row."""
        self._value(node, scope, way="looped")
        path = self._path(node, scope)
        return None if path is None else f"{path}[]"

    def _value(self, node: nodes.Node, scope: Scope, *, way: str) -> None:
        if isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Name):
            path = self._path(node, scope)
            if path is not None:
                where = self._where(node.lineno)
                name = _written_path(node) or path
                self.found.append({"path": path, "name": name, "where": where, "way": way})
            for part in node.iter_child_nodes():
                if not isinstance(part, nodes.Getattr | nodes.Getitem | nodes.Name):
                    self._node(part, scope)
            return
        if isinstance(node, nodes.Filter):
            if node.name not in FILTERS:
                meant = did_you_mean(node.name, FILTERS)
                self._tell(node, f"unknown filter {node.name}{meant}")
            way = "asked"
        if isinstance(node, NOT_OFFERED):
            self._tell(node, f"{_called(node)} are not offered")
            return
        for part in node.iter_child_nodes():
            self._value(part, scope, way=way if isinstance(part, nodes.Expr) else "asked")

    def _path(self, node: nodes.Node | None, scope: Scope) -> str | None:
        """Return the full path that an expression stands for; None if it may be anything."""
        match node:
            case nodes.Name(name=name):
                return scope.get(name) if name in scope else name
            case (
                nodes.Getattr(node=inner, attr=str() as name)
                | nodes.Getitem(node=inner, arg=nodes.Const(value=str() as name))
            ):
                path = self._path(inner, scope)
                return None if path is None else f"{path}.{name}"
            case nodes.Getitem(node=inner, arg=nodes.Const(value=int())):
                path = self._path(inner, scope)
                return None if path is None else f"{path}[]"
            case nodes.Filter(node=inner, name=name) if name in KEEPING:
                path = self._path(inner, scope)
                return None if path is None else f"{path}[]"
        return None

    def _tell(self, node: nodes.Node, reason: str) -> None:
        self.reasons.append(f"{self._where(node.lineno)}: {reason}"[:LONGEST_REASON])


def _names(target: nodes.Node) -> list[str]:
    return [each.name for each in target.find_all(nodes.Name)] + (
        [target.name] if isinstance(target, nodes.Name) else []
    )


def _written_path(node: nodes.Node | None) -> str:
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.Getattr(node=inner, attr=name):
            return f"{_written_path(inner)}.{name}"
        case nodes.Getitem(node=inner, arg=nodes.Const(value=value)):
            return f"{_written_path(inner)}.{value}"
    return ""


def _called(node: nodes.Node) -> str:
    match node:
        case nodes.Call():
            return "functions"
        case nodes.Macro() | nodes.CallBlock():
            return "macros"
        case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
            return "other files"
    return f"{type(node).__name__.lower()} tags"


def _where(part: str, lines: list[str], number: int) -> str:
    """Say where in the document a line is: its part, and how the paragraph reads."""
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    text = " ".join(re.sub(r"<[^>]+>", " ", line).split())
    return f"{part}, at «{excerpt(text)}»" if text else part
