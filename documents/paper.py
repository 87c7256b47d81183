"""Read a DOCX as what is printed: pages, paragraphs, tables and pictures, in plain values.

What has no place on paper as we print it (boxes of text that float, drawings) keeps its words:
they come where they are anchored.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from docx import Document
from docx.opc.part import Part
from lxml import etree

from documents.lists import Label, Lists
from documents.markup import (
    DRAWING,
    PLACING,
    RELATION,
    VML,
    Node,
    attribute,
    chosen,
    emu,
    inside,
    is_on,
    name_of,
    twips,
    val,
    w,
    whole,
)
from documents.pieces import (
    PAGE_NUMBERS,
    SAFE_LINK,
    SIGNS,
    Value,
    WordField,
    picture_kind,
    sign,
    text_piece,
    vml_size,
)
from documents.shape import MOST_DEEP, Broken
from documents.styles import ParagraphLook, RunLook, Styles, TableLook
from documents.tables import Table

UNSEEN = {
    *("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sectPr", "tblPr", "tblGrid"),
    *("trPr", "tcPr", "sdtPr", "sdtEndPr", "annotationRef", "fldData", "rt"),
}
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
PLAIN = TableLook()
SMALLEST_PAGE = 72.0  # points
WIDEST_PAGE = 10_000.0


@dataclass
class _Line:
    """What is being read of a paragraph: pieces of its lines, and what comes after it."""

    style: str | None
    table: TableLook
    width: float
    mark: Node | None
    pieces: list[Value] = field(default_factory=list)
    blocks: list[Value] = field(default_factory=list)


class Paper:
    """One document, as it is printed."""

    def __init__(self, content: bytes, folder: Path) -> None:
        self._docx = Document(BytesIO(content))
        self._folder = folder
        self._main = self._docx.part
        styles = _root(_related(self._main, "styles"))
        self._styles = Styles(styles, _root(_related(self._main, "theme")))
        self._lists = Lists(_root(_related(self._main, "numbering")))
        self._settings = _root(_related(self._main, "settings"))
        self._part: Part = self._main
        self._notes = {kind: self._footnotes(kind) for kind in ("footnote", "endnote")}
        self._fields: list[WordField] = []
        self._pictures: dict[bytes, str] = {}
        self._depth = 0

    def read(self) -> Value:
        """Return the whole, as `paper.typ` prints it."""
        properties = self._docx.core_properties
        return {
            "title": properties.title or "",
            "author": properties.author or "",
            "language": (properties.language or "")[:2].lower() or "en",
            "tab": twips(val(self._settings, "defaultTabStop"), 36) or 36,
            "sections": list(_joined(self._sections())),
        }

    # Sections

    def _sections(self) -> Iterator[Value]:
        body = inside(_root(self._main), "body")
        waiting: list[Node] = []
        before: Value | None = None
        for node in chosen(body):
            ending = inside(node, "pPr", "sectPr") if node.tag == w("p") else None
            if node.tag == w("sectPr"):
                ending = node
            else:
                waiting.append(node)
            if ending is not None:
                before = self._section(ending, waiting, before)
                yield before
                waiting = []
        if waiting:
            yield self._section(None, waiting, before)

    def _section(self, given: Node | None, nodes: Sequence[Node], before: Value | None) -> Value:
        size, margin = inside(given, "pgSz"), inside(given, "pgMar")
        page = {
            "width": _within(twips(attribute(size, "w"), 595.3)),
            "height": _within(twips(attribute(size, "h"), 841.9)),
            **{
                name: abs(twips(attribute(margin, name), default))
                for name, default in (
                    *(("top", 72), ("bottom", 72), ("left", 72), ("right", 72)),
                    *(("header", 36), ("footer", 36)),
                )
            },
        }
        if page["left"] + page["right"] > page["width"] - 36:
            page["left"] = page["right"] = 36
        if page["top"] + page["bottom"] > page["height"] - 36:
            page["top"] = page["bottom"] = 36
        columns = min(max(whole(attribute(inside(given, "cols"), "num"), 1), 1), 6)
        gap = twips(attribute(inside(given, "cols"), "space"), 36)
        text = page["width"] - page["left"] - page["right"]
        width = max((text - gap * (columns - 1)) / columns, 36)
        continuous = val(given, "type") == "continuous"
        section = {
            **page,
            "columns": columns,
            "gap": gap,
            "wide": width,
            "joined": False,
            "continues": continuous and before is not None and _same_page(page, before),
            "start": attribute(inside(given, "pgNumType"), "start"),
            "first": is_on(inside(given, "titlePg")),
            "even": is_on(inside(self._settings, "evenAndOddHeaders")),
            **self._edges(given, text, before),
        }
        section["start"] = None if section["start"] is None else whole(section["start"])
        return {**section, "blocks": list(self._blocks(nodes, width, PLAIN))}

    def _edges(self, given: Node | None, width: float, before: Value | None) -> Value:
        """Return headers and footers; those that a section has not are those before it."""
        edges: Value = {"headers": {}, "footers": {}}
        if before is not None:
            edges = {name: dict(before[name]) for name in edges}
        for kind in ("header", "footer"):
            for each in () if given is None else given.findall(w(f"{kind}Reference")):
                part = self._main.related_parts.get(each.get(f"{RELATION}id"))
                if part is not None:
                    shown = attribute(each, "type") or "default"
                    edges[f"{kind}s"][shown] = self._of_part(part, width)
        return edges

    def _of_part(self, part: Part, width: float) -> list[Value]:
        before, fields = self._part, self._fields
        self._part, self._fields = part, []
        try:
            return list(self._blocks(chosen(_root(part)), width, PLAIN))
        finally:
            self._part, self._fields = before, fields

    def _footnotes(self, kind: str) -> dict[str | None, tuple[Part, Node]]:
        part = _related(self._main, f"{kind}s")
        tree = _root(part)
        if part is None or tree is None:
            return {}
        return {attribute(each, "id"): (part, each) for each in tree.findall(w(kind))}

    # Blocks

    def _blocks(
        self, nodes: Iterator[Node] | Sequence[Node], width: float, table: TableLook
    ) -> Iterator[Value]:
        self._depth += 1
        if self._depth > MOST_DEEP:
            raise Broken("it is nested too deeply")
        last: ParagraphLook | None = None
        last_style: str | None = None
        for node in nodes:
            match name_of(node):
                case "p":
                    look, blocks = self._paragraph(node, width, table)
                    style = val(node, "pPr", "pStyle")
                    near = last is not None and style == last_style
                    if blocks and blocks[0]["kind"] == "paragraph":
                        above = 0.0 if near and look.contextual else look.before
                        if last is not None and not (near and last.contextual):
                            above += last.after
                        blocks[0]["above"] = above
                    yield from blocks
                    last, last_style = look, style
                case "tbl":
                    yield self._table(node, width, table, 0.0 if last is None else last.after)
                    last = None
                case "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo":
                    yield from self._blocks(list(chosen(node)), width, table)
                case name if name not in UNSEEN and "".join(node.itertext()).strip():
                    line = _Line(None, table, width, None)
                    self._inline(node, line, None)
                    yield from self._lines(line, ParagraphLook(), None, RunLook(), 0)
        self._depth -= 1

    def _paragraph(
        self, node: Node, width: float, table: TableLook
    ) -> tuple[ParagraphLook, list[Value]]:
        said = inside(node, "pPr")
        style = val(said, "pStyle")
        look, label = self._look(said, table)
        mark = self._styles.run(inside(said, "rPr"), style, table)
        line = _Line(style, table, max(width - look.left - look.right, 10), None)
        for each in chosen(node):
            self._inline(each, line, None)
        shown = None if label is None else self._label(label, look, style, table)
        level = re.fullmatch(r"heading ([1-6])", self._styles.title(style))
        heading = int(level[1]) if level else 0
        blocks = list(self._lines(line, look, shown, mark, heading))
        if look.new_page:
            blocks.insert(0, {"kind": "break", "of": "page"})
        return look, [*blocks, *line.blocks]

    def _look(self, said: Node | None, table: TableLook) -> tuple[ParagraphLook, Label | None]:
        look = self._styles.paragraph(said, table)
        own = inside(said, "numPr")
        if own is not None:
            look.list_id = val(own, "numId") or look.list_id
            look.list_level = whole(val(own, "ilvl"), look.list_level)
        label = self._lists.next(look.list_id, look.list_level)
        if label is not None:
            look.overlay(label.paragraph)
            if own is None:
                for style in self._styles.chain(val(said, "pStyle"), "paragraph"):
                    look.indent(inside(style, "pPr", "ind"))
        look.overlay(said)
        return look, label

    def _label(
        self, label: Label, look: ParagraphLook, style: str | None, table: TableLook
    ) -> Value:
        run = self._styles.run(None, style, table, label.run)
        if re.search(r"symbol|wingdings|courier", run.font, re.IGNORECASE):  # of bullets
            run = replace(run, font=self._styles.run(None, style, table).font)
        return {
            **text_piece(label.text, replace(run, underline=False)),
            "hang": max(-look.first, 0),
            "after": label.after,
        }

    def _lines(
        self,
        line: _Line,
        look: ParagraphLook,
        label: Value | None,
        mark: RunLook,
        heading: int,
    ) -> Iterator[Value]:
        """Yield the paragraph; in parts, where a page ends within it."""
        parts: list[list[Value]] = [[]]
        for piece in line.pieces:
            if piece["kind"] == "break":
                parts.append([])
            else:
                parts[-1].append(piece)
        breaks = [piece for piece in line.pieces if piece["kind"] == "break"]
        for at, pieces in enumerate(parts):
            if at:
                yield breaks[at - 1]
            if not pieces and at == len(parts) - 1 and at:
                continue
            if not pieces and at == 0 and len(parts) > 1 and label is None:
                continue
            yield {
                "kind": "paragraph",
                "above": 0.0,
                "align": look.align,
                "left": look.left,
                "right": look.right,
                "first": look.first if at == 0 else 0,
                "line": look.line,
                "exactly": look.exactly,
                "least": look.at_least,
                "keep": look.keep_next,
                "fill": look.fill,
                "borders": look.borders,
                "tabs": [look.tabs[place] for place in sorted(look.tabs)],
                "width": line.width,
                "size": mark.size,
                "label": label if at == 0 else None,
                "heading": heading if pieces else 0,
                "pieces": pieces,
            }

    # Pieces of lines

    def _inline(self, node: Node, line: _Line, link: str | None) -> None:
        match name_of(node):
            case "r":
                self._run(node, line, link)
            case "hyperlink":
                self._inlines(node, line, self._target(node) or link)
            case "fldSimple":
                self._fields.append(WordField(attribute(node, "instr") or "", showing=True))
                self._number(line, RunLook())
                self._inlines(node, line, link)
                self._fields.pop()
            case "p" | "tbl":
                line.blocks += self._blocks([node], line.width, line.table)
            case name if name and name not in UNSEEN:
                self._inlines(node, line, link)
                if (node.text or "").strip():
                    line.pieces.append(text_piece(node.text, self._run_look(None, line)))

    def _inlines(self, node: Node, line: _Line, link: str | None) -> None:
        for each in chosen(node):
            self._inline(each, line, link)

    def _run_look(self, said: Node | None, line: _Line) -> RunLook:
        return self._styles.run(said, line.style, line.table)

    def _run(self, node: Node, line: _Line, link: str | None) -> None:
        look = self._run_look(inside(node, "rPr"), line)
        if look.hidden:
            return
        for each in chosen(node):
            self._in_run(each, line, look, link)

    def _in_run(self, node: Node, line: _Line, look: RunLook, link: str | None) -> None:
        name = name_of(node)
        if name == "fldChar":
            self._field(attribute(node, "fldCharType"), line, look)
        elif name == "instrText" and self._fields and not self._fields[-1].showing:
            self._fields[-1].code += node.text or ""
        elif name not in UNSEEN and not self._silent():
            self._seen(node, name, line, look, self._link(link))

    def _seen(self, node: Node, name: str, line: _Line, look: RunLook, link: str | None) -> None:
        match name:
            case "br":
                of = attribute(node, "type")
                ends = of in {"page", "column"}
                line.pieces.append({"kind": "break", "of": of} if ends else {"kind": "line"})
            case "footnoteReference" | "endnoteReference":
                self._footnote(name.removesuffix("Reference"), attribute(node, "id"), line)
            case "drawing" | "pict" | "object":
                self._drawing(node, line, link)
            case _ if name in {"t", "sym"} or name in SIGNS:
                self._signs(sign(node, name), line, look, link)
            case _:
                for each in chosen(node):
                    self._in_run(each, line, look, link)

    def _link(self, link: str | None) -> str | None:
        return link or next((each.link for each in self._fields if each.link), None)

    def _signs(self, text: str, line: _Line, look: RunLook, link: str | None) -> None:
        for part in re.split(r"(\t|\n)", text):
            if part == "\t":
                line.pieces.append({"kind": "tab"})
            elif part == "\n":
                line.pieces.append({"kind": "line"})
            elif part:
                line.pieces.append(text_piece(part, look, link))

    def _field(self, change: str | None, line: _Line, look: RunLook) -> None:
        if change == "begin":
            self._fields.append(WordField())
        elif change == "separate" and self._fields:
            self._fields[-1].showing = True
            self._number(line, look)
        elif change == "end" and self._fields:
            if not self._fields[-1].showing:
                self._number(line, look)
            self._fields.pop()

    def _number(self, line: _Line, look: RunLook) -> None:
        if kind := PAGE_NUMBERS.get(self._fields[-1].name):
            line.pieces.append({**text_piece("", look), "kind": kind})

    def _silent(self) -> bool:
        """Tell whether this is the code of a field, or what a page number was when saved."""
        return any(not each.showing or each.name in PAGE_NUMBERS for each in self._fields)

    def _target(self, node: Node) -> str | None:
        relation = self._part.rels.get(node.get(f"{RELATION}id") or "")
        if relation is None or not relation.is_external:
            return None
        return relation.target_ref if SAFE_LINK.match(relation.target_ref) else None

    def _footnote(self, kind: str, number_: str | None, line: _Line) -> None:
        if (found := self._notes[kind].get(number_)) is None:
            return
        part, node = found
        before, self._part = self._part, part
        blocks = list(self._blocks(list(chosen(node)), line.width, PLAIN))
        self._part = before
        line.pieces.append({"kind": "footnote", "blocks": blocks})

    # Pictures

    def _drawing(self, node: Node, line: _Line, link: str | None) -> None:
        extent = next(node.iter(f"{PLACING}extent"), None)
        width, height = (
            (emu(extent.get("cx")), emu(extent.get("cy"))) if extent is not None else (0, 0)
        )
        shape = next(node.iter(f"{VML}shape"), None)
        if extent is None and shape is not None:
            width, height = vml_size(shape.get("style") or "")
        about = next(node.iter(f"{PLACING}docPr"), None)
        said = "" if about is None else about.get("descr") or ""
        boxes = [each for each in node.iter(w("txbxContent")) if _outside(each)]
        for each in node.iter(f"{DRAWING}blip", f"{VML}imagedata"):
            if _outside(each):
                target = each.get(f"{RELATION}embed") or each.get(f"{RELATION}id")
                self._picture(target, width, height, said, line, link)
        for each in boxes:
            line.blocks += self._blocks(list(chosen(each)), line.width, line.table)
        for each in node.iter(f"{DRAWING}t"):
            if each.text:
                line.pieces.append(text_piece(each.text, self._run_look(None, line)))

    def _picture(
        self,
        target: str | None,
        width: float,
        height: float,
        said: str,
        line: _Line,
        link: str | None,
    ) -> None:
        part = self._part.related_parts.get(target)
        kind = None if part is None else picture_kind(part.blob)
        if part is None or kind is None:
            words = f"[{said}]" if said else "[…]"
            line.pieces.append(text_piece(words, self._run_look(None, line), link))
            return
        shrink = min(1.0, line.width / width) if width > 0 else 1.0
        piece = {
            "kind": "picture",
            "file": self._saved(part.blob, kind),
            "width": width * shrink or None,
            "height": height * shrink or None,
            "about": said,
            "link": link,
        }
        line.pieces.append(piece)

    def _saved(self, blob: bytes, kind: str) -> str:
        if blob not in self._pictures:
            name = f"picture-{len(self._pictures)}.{kind}"
            (self._folder / name).write_bytes(blob)
            self._pictures[blob] = name
        return self._pictures[blob]

    # Tables

    def _table(self, node: Node, width: float, table: TableLook, above: float) -> Value:
        made = Table(node, self._styles, width, table)
        return {**made.read(self._within_cell), "above": above}

    def _within_cell(self, nodes: Sequence[Node], width: float, table: TableLook) -> list[Value]:
        return list(self._blocks(nodes, width, table))


def _joined(sections: Iterator[Value]) -> Iterator[Value]:
    """Let sections that go on within a page be part of the one that began it."""
    begun: list[Value] = []
    for section in sections:
        if section["continues"] and begun:
            whole_page = begun[-1]
            if not whole_page["joined"]:
                whole_page["joined"] = True
                whole_page["blocks"] = [_columns(whole_page)]
            whole_page["blocks"].append(_columns(section))
            whole_page["columns"] = 1
        else:
            begun.append(section)
    yield from begun


def _columns(section: Value) -> Value:
    return {
        "kind": "columns",
        "count": section["columns"],
        "gap": section["gap"],
        "width": section["wide"],
        "blocks": section["blocks"],
    }


def _outside(node: Node) -> bool:
    """Tell whether a node of a drawing is in none of its boxes of text."""
    for each in node.iterancestors(w("txbxContent"), w("drawing"), w("pict"), w("object")):
        return bool(each.tag != w("txbxContent"))
    return True


def _root(part: Part | None) -> Node | None:
    """Return the tree of a part; docx reads some of them itself."""
    if part is None:
        return None
    tree = getattr(part, "element", None)
    return etree.fromstring(part.blob, PARSER) if tree is None else tree


def _related(part: Part, kind: str) -> Part | None:
    for each in part.rels.values():
        if each.reltype.endswith(f"/{kind}") and not each.is_external:
            found: Part = each.target_part
            return found
    return None


def _within(measure: float) -> float:
    return min(max(measure, SMALLEST_PAGE), WIDEST_PAGE)


def _same_page(page: Value, before: Value) -> bool:
    return all(before[name] == page[name] for name in page)
