"""How paragraphs and runs look: Word's defaults, styles on styles, and what is said there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from documents.markup import Node, attribute, colour, inside, is_on, number, twips, val, w

HIGHLIGHTS = {
    "yellow": "FFFF00",
    "green": "00FF00",
    "cyan": "00FFFF",
    "magenta": "FF00FF",
    "blue": "0000FF",
    "red": "FF0000",
    "darkBlue": "000080",
    "darkCyan": "008080",
    "darkGreen": "008000",
    "darkMagenta": "800080",
    "darkRed": "800000",
    "darkYellow": "808000",
    "darkGray": "808080",
    "lightGray": "C0C0C0",
    "black": "000000",
}
ALIGNMENTS = {
    "center": "center",
    "right": "right",
    "end": "right",
    "both": "justify",
    "distribute": "justify",
}
SWITCHES = {
    "b": "bold",
    "i": "italic",
    "caps": "caps",
    "smallCaps": "small",
    "vanish": "hidden",
    "strike": "strike",
    "dstrike": "strike",
}
DEEPEST = 20


@dataclass
class RunLook:
    """How letters look; sizes are points."""

    font: str = ""
    size: float = 10
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    caps: bool = False
    small: bool = False
    hidden: bool = False
    colour: str | None = None
    highlight: str | None = None
    raised: str | None = None

    def overlay(self, node: Node | None, fonts: "Fonts") -> None:
        """Take over what a `w:rPr` says."""
        if node is None:
            return
        for tag, name in SWITCHES.items():
            if (switch := inside(node, tag)) is not None:
                setattr(self, name, is_on(switch))
        if (given := inside(node, "u")) is not None:
            self.underline = is_on(given)
        if (given := inside(node, "rFonts")) is not None:
            self.font = fonts.named(given) or self.font
        if size := number(val(node, "sz")) / 2:
            self.size = min(max(size, 1), 400)
        self._colours(node)
        if (given := inside(node, "vertAlign")) is not None:
            raised = attribute(given, "val")
            self.raised = {"superscript": "super", "subscript": "sub"}.get(raised or "")

    def _colours(self, node: Node) -> None:
        if (given := inside(node, "color")) is not None:
            self.colour = colour(attribute(given, "val"))
        if (given := inside(node, "highlight")) is not None:
            self.highlight = HIGHLIGHTS.get(attribute(given, "val") or "")
        if (given := inside(node, "shd")) is not None:
            self.highlight = colour(attribute(given, "fill")) or self.highlight


@dataclass
class ParagraphLook:
    """How a paragraph stands; measures are points."""

    align: str = "left"
    left: float = 0
    right: float = 0
    first: float = 0
    before: float = 0
    after: float = 0
    line: float = 1
    exactly: float = 0
    at_least: float = 0
    contextual: bool = False
    keep_next: bool = False
    new_page: bool = False
    fill: str | None = None
    borders: dict[str, dict[str, Any]] = field(default_factory=dict)
    tabs: dict[float, dict[str, Any]] = field(default_factory=dict)
    list_id: str | None = None
    list_level: int = 0

    def overlay(self, node: Node | None) -> None:
        """Take over what a `w:pPr` says."""
        if node is None:
            return
        if (align := val(node, "jc")) is not None:
            self.align = ALIGNMENTS.get(align, "left")
        self.indent(inside(node, "ind"))
        self._space(inside(node, "spacing"))
        for tag, name in (
            ("contextualSpacing", "contextual"),
            ("keepNext", "keep_next"),
            ("pageBreakBefore", "new_page"),
        ):
            if (switch := inside(node, tag)) is not None:
                setattr(self, name, is_on(switch))
        if (given := inside(node, "shd")) is not None:
            self.fill = colour(attribute(given, "fill"))
        if (given := inside(node, "pBdr")) is not None:
            self.borders = {**self.borders, **borders(given)}
        if (given := inside(node, "tabs")) is not None:
            self._tabs(given)
        if (given := inside(node, "numPr")) is not None:
            self.list_id = val(given, "numId") or self.list_id
            self.list_level = int(number(val(given, "ilvl"), self.list_level))

    def indent(self, given: Node | None) -> None:
        """Take over what a `w:ind` says."""
        if given is None:
            return
        for name, tags in (("left", ("left", "start")), ("right", ("right", "end"))):
            for tag in tags:
                if (said := attribute(given, tag)) is not None:
                    setattr(self, name, twips(said))
        if (said := attribute(given, "firstLine")) is not None:
            self.first = twips(said)
        if (said := attribute(given, "hanging")) is not None:
            self.first = -twips(said)

    def _space(self, given: Node | None) -> None:
        if given is None:
            return
        for name in ("before", "after"):
            if attribute(given, f"{name}Autospacing") in {"1", "true", "on"}:
                setattr(self, name, 14.0)
            elif (said := attribute(given, name)) is not None:
                setattr(self, name, max(twips(said), 0))
        if (said := attribute(given, "line")) is not None:
            self.line, self.exactly, self.at_least = 1, 0, 0
            match attribute(given, "lineRule"):
                case "exact":
                    self.exactly = twips(said)
                case "atLeast":
                    self.at_least = twips(said)
                case _:
                    self.line = number(said, 240) / 240 or 1

    def _tabs(self, given: Node) -> None:
        for each in given.findall(w("tab")):
            place = twips(attribute(each, "pos"))
            kind = attribute(each, "val") or "left"
            if kind == "clear":
                self.tabs.pop(place, None)
            elif kind != "bar":
                leader = attribute(each, "leader") or "none"
                self.tabs[place] = {"at": place, "kind": kind, "leader": leader}


@dataclass
class TableLook:
    """What the style of a table says of the cell at hand; what has the same key says the same."""

    key: tuple[Any, ...] = ()
    run: list[Node] = field(default_factory=list)
    paragraph: list[Node] = field(default_factory=list)


class Fonts:
    """What Word calls by its role in the theme, by name."""

    def __init__(self, theme: Node | None) -> None:
        self._theme = {} if theme is None else dict(_theme_fonts(theme))

    def named(self, given: Node) -> str | None:
        for name in ("ascii", "hAnsi"):
            role = attribute(given, f"{name}Theme") or ""
            if found := self._theme.get(role[:5]) or attribute(given, name):
                return found
        return None


def _theme_fonts(theme: Node) -> Iterable[tuple[str, str]]:
    for role in ("major", "minor"):
        for each in theme.iter("{*}" + f"{role}Font"):
            latin = each.find("{*}latin")
            if latin is not None and latin.get("typeface"):
                yield role, latin.get("typeface")


class Styles:
    """The styles of a document, by id."""

    def __init__(self, tree: Node | None, theme: Node | None) -> None:
        self.fonts = Fonts(theme)
        self._paragraphs: dict[tuple[Any, ...], ParagraphLook] = {}
        self._runs: dict[tuple[Any, ...], RunLook] = {}
        self._tree = tree
        self._styles = (
            {}
            if tree is None
            else {attribute(each, "styleId"): each for each in tree.findall(w("style"))}
        )

    @cached_property
    def _defaults(self) -> dict[str, str | None]:
        return {
            attribute(each, "type") or "": attribute(each, "styleId")
            for each in self._styles.values()
            if attribute(each, "default") in {"1", "true", "on"}
        }

    def chain(self, style: str | None, kind: str) -> list[Node]:
        """Return a style and those it stands on, these first."""
        found: list[Node] = []
        named = style if style in self._styles else self._defaults.get(kind)
        while named in self._styles and len(found) < DEEPEST:
            found.append(self._styles[named])
            named = val(self._styles[named], "basedOn")
        return found[::-1]

    def title(self, style: str | None) -> str:
        return (val(self._styles.get(style), "name") or "").lower()

    def paragraph(self, node: Node | None, table: TableLook) -> ParagraphLook:
        """Return the look of a paragraph of the style that this `w:pPr` names."""
        style = val(node, "pStyle")
        if (style, table.key) not in self._paragraphs:
            look = ParagraphLook()
            look.overlay(inside(self._tree, "docDefaults", "pPrDefault", "pPr"))
            for said in table.paragraph:
                look.overlay(said)
            for each in self.chain(style, "paragraph"):
                look.overlay(inside(each, "pPr"))
            self._paragraphs[style, table.key] = look
        look = self._paragraphs[style, table.key]
        return replace(look, tabs=dict(look.tabs))

    def run(
        self, node: Node | None, paragraph: str | None, table: TableLook, *more: Node | None
    ) -> RunLook:
        """Return the look of a run with this `w:rPr` in a paragraph of that style."""
        if (paragraph, table.key) not in self._runs:
            look = RunLook()
            look.overlay(inside(self._tree, "docDefaults", "rPrDefault", "rPr"), self.fonts)
            for said in table.run:
                look.overlay(said, self.fonts)
            for style in self.chain(paragraph, "paragraph"):
                look.overlay(inside(style, "rPr"), self.fonts)
            self._runs[paragraph, table.key] = look
        look = replace(self._runs[paragraph, table.key])
        for said in more:
            look.overlay(said, self.fonts)
        if (own := val(node, "rStyle")) is not None:
            for style in self.chain(own, "character"):
                look.overlay(inside(style, "rPr"), self.fonts)
        look.overlay(node, self.fonts)
        return look


def borders(given: Node | None, names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the lines of a `w:pBdr`, `w:tblBorders` or `w:tcBorders`; none is a width of 0."""
    lines = {}
    for each in () if given is None else given:
        side = str(each.tag).removeprefix(w("")).replace("start", "left").replace("end", "right")
        style = attribute(each, "val") or "none"
        width = 0.0 if style in {"none", "nil"} else max(number(attribute(each, "sz"), 4) / 8, 0.25)
        lines[side] = {
            "width": min(width, 12),
            "colour": colour(attribute(each, "color")),
            "dash": {"dashed": "dashed", "dotted": "dotted"}.get(style),
        }
    return {side: line for side, line in lines.items() if not names or side in names}
