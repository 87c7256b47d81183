"""Tables of a DOCX: their grid, what is merged in it, and the lines around it."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from documents.markup import (
    Node,
    attribute,
    chosen,
    colour,
    inside,
    is_on,
    number,
    twips,
    val,
    w,
    whole,
)
from documents.pieces import Value
from documents.styles import Styles, TableLook, borders

Read = Callable[[Sequence[Node], float, TableLook], list[Value]]

MOST_COLUMNS = 100
PADDING = {"left": 5.4, "right": 5.4, "top": 0.0, "bottom": 0.0}
SIDES = ("top", "bottom", "left", "right")
VERTICAL = {"center": "middle", "bottom": "bottom"}
NO_LINE = {"width": 0.0, "colour": None, "dash": None}


class Table:
    """One table, before it is read."""

    def __init__(self, node: Node, styles: Styles, width: float, outer: TableLook) -> None:
        self._node = node
        self._outer = outer
        self._said = inside(node, "tblPr")
        self._chain = styles.chain(val(self._said, "tblStyle"), "table")
        self._rows = list(_rows(node))
        self._cells = [list(_cells(row)) for row in self._rows]
        self._columns = self._measured(width)

    def read(self, read: Read) -> Value:
        """Return the table as it is printed; `read` reads what is in a cell of a given width."""
        cells = [cell for at, row in enumerate(self._rows) for cell in self._row(at, row, read)]
        heads = 0
        while heads < len(self._rows) - 1 and is_on(inside(self._rows[heads], "trPr", "tblHeader")):
            heads += 1
        return {
            "kind": "table",
            "columns": self._columns,
            "align": {"center": "center", "right": "right", "end": "right"}.get(
                val(self._said, "jc") or "", "left"
            ),
            "indent": twips(attribute(inside(self._said, "tblInd"), "w")),
            "heads": heads,
            "rows": len(self._rows),
            "heights": [_height(row) for row in self._rows],
            "cells": cells,
        }

    def _measured(self, width: float) -> list[float]:
        """Return the widths of the columns: as the cells say, else as the grid does."""
        grid = [twips(attribute(each, "w")) for each in self._grid()]
        count = max([len(grid), *(self._span_of(at) for at in range(len(self._rows)))], default=1)
        count = min(max(count, 1), MOST_COLUMNS)
        columns = (grid + [0.0] * count)[:count]
        for at, cells in enumerate(self._cells):
            place = _skipped(self._rows[at], "gridBefore")
            for cell in cells:
                span = _span(cell)
                said = inside(cell, "tcPr", "tcW")
                if span == 1 and place < count and attribute(said, "type") in {"dxa", None}:
                    columns[place] = twips(attribute(said, "w")) or columns[place]
                place += span
        known = [each for each in columns if each > 0]
        usual = sum(known) / len(known) if known else width / count
        columns = [each if each > 0 else usual for each in columns]
        wanted = self._wanted(width, sum(columns))
        return [each * wanted / sum(columns) for each in columns]

    def _wanted(self, width: float, total: float) -> float:
        said = inside(self._said, "tblW")
        measure = attribute(said, "w")
        if attribute(said, "type") == "pct" and measure is not None:
            share = number(measure) / (100 if measure.endswith("%") else 5000)
            return width * min(max(share, 0.05), 1)
        return min(total, width)

    def _grid(self) -> list[Node]:
        grid = inside(self._node, "tblGrid")
        return [] if grid is None else grid.findall(w("gridCol"))

    def _span_of(self, at: int) -> int:
        row = self._rows[at]
        return _skipped(row, "gridBefore") + sum(map(_span, self._cells[at]))

    @cached_property
    def _lines(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for style in self._chain:
            found |= borders(inside(style, "tblPr", "tblBorders"))
        return found | borders(inside(self._said, "tblBorders"))

    @cached_property
    def _padding(self) -> dict[str, float]:
        found = dict(PADDING)
        for said in (*(inside(style, "tblPr") for style in self._chain), self._said):
            found |= _margins(inside(said, "tblCellMar"))
        return found

    def _row(self, at: int, row: Node, read: Read) -> list[Value]:
        place = _skipped(row, "gridBefore")
        count = len(self._columns)
        cells = [_empty(at, 0, min(place, count))] if place else []
        for cell in self._cells[at]:
            span = min(_span(cell), count - place)
            if span < 1:  # beyond the grid: its words join those of the last cell
                cells[-1]["blocks"] += read(list(chosen(cell)), cells[-1]["width"], self._outer)
            elif not _continues(cell):
                cells.append(self._cell((at, place, span), cell, read))
            place += max(span, 0)
        if place < count:
            cells.append(_empty(at, place, count - place))
        return cells

    def _cell(self, where: tuple[int, int, int], cell: Node, read: Read) -> Value:
        at, place, span = where
        lines = self._lines
        said = inside(cell, "tcPr")
        down = self._down(at, place, cell)
        wanted = self._wanted_parts(at, place, span)
        parts = self._parts(wanted)
        own: dict[str, Value] = {}
        fill = None
        for part in parts:
            own |= borders(inside(part, "tcPr", "tcBorders"), SIDES)
            fill = _fill(inside(part, "tcPr", "shd"), fill)
        own |= borders(inside(said, "tcBorders"), SIDES)
        fill = _fill(inside(said, "shd"), fill)
        inset = self._padding | _margins(inside(said, "tcMar"))
        width = sum(self._columns[place : place + span])
        look = TableLook(
            key=(self._outer.key, val(self._said, "tblStyle"), *wanted),
            run=[*self._outer.run, *self._within("rPr"), *(inside(each, "rPr") for each in parts)],
            paragraph=[
                *self._outer.paragraph,
                *self._within("pPr"),
                *(inside(each, "pPr") for each in parts),
            ],
        )
        edges = {
            "top": lines.get("top" if at == 0 else "insideH", NO_LINE),
            "bottom": lines.get("bottom" if at + down >= len(self._rows) else "insideH", NO_LINE),
            "left": lines.get("left" if place == 0 else "insideV", NO_LINE),
            "right": lines.get(
                "right" if place + span >= len(self._columns) else "insideV", NO_LINE
            ),
        }
        wide = max(width - inset["left"] - inset["right"], 5)
        return {
            "row": at,
            "column": place,
            "across": span,
            "down": down,
            "fill": fill,
            "lines": edges | own,
            "inset": inset,
            "vertical": VERTICAL.get(val(said, "vAlign") or "", "top"),
            "width": wide,
            "blocks": read(list(chosen(cell)), wide, look),
        }

    def _within(self, name: str) -> list[Node]:
        return [inside(style, name) for style in self._chain]

    def _wanted_parts(self, at: int, place: int, span: int) -> list[str]:
        """Return what the style calls this row and column, weakest first."""
        look = inside(self._said, "tblLook")
        flags = _flags(attribute(look, "val"))
        wanted = []
        first_row = _flag(look, "firstRow", flags & 0x20)
        first_column = _flag(look, "firstColumn", flags & 0x80)
        if not _flag(look, "noHBand", flags & 0x200):
            wanted.append("band1Horz" if (at - first_row) % 2 == 0 else "band2Horz")
        if not _flag(look, "noVBand", flags & 0x400):
            wanted.append("band1Vert" if (place - first_column) % 2 == 0 else "band2Vert")
        if first_column and place == 0:
            wanted.append("firstCol")
        if _flag(look, "lastColumn", flags & 0x100) and place + span >= len(self._columns):
            wanted.append("lastCol")
        if first_row and at == 0:
            wanted.append("firstRow")
        if _flag(look, "lastRow", flags & 0x40) and at == len(self._rows) - 1:
            wanted.append("lastRow")
        return wanted

    def _parts(self, wanted: list[str]) -> list[Node]:
        """Return what the style says of these rows and columns in particular."""
        return [
            part
            for name in wanted
            for style in self._chain
            for part in style.findall(w("tblStylePr"))
            if attribute(part, "type") == name
        ]

    def _down(self, at: int, place: int, cell: Node) -> int:
        """Return over how many rows a cell reaches."""
        merge = inside(cell, "tcPr", "vMerge")
        if merge is None:
            return 1
        down = 1
        while at + down < len(self._rows) and self._goes_on(at + down, place):
            down += 1
        return down

    def _goes_on(self, at: int, place: int) -> bool:
        here = _skipped(self._rows[at], "gridBefore")
        for cell in self._cells[at]:
            if here == place:
                return _continues(cell)
            here += _span(cell)
        return False


def _flags(text: str | None) -> int:
    try:
        return int(text or "0", 16)
    except ValueError:
        return 0


def _flag(look: Node | None, name: str, otherwise: int) -> bool:
    said = attribute(look, name)
    return bool(otherwise) if said is None else said in {"1", "true", "on"}


def _rows(node: Node) -> Iterator[Node]:
    for each in chosen(node):
        if each.tag == w("tr"):
            if inside(each, "trPr", "del") is None:
                yield each
        elif each.tag in {w("sdt"), w("sdtContent"), w("ins"), w("customXml")}:
            yield from _rows(each)


def _cells(row: Node) -> Iterator[Node]:
    for each in chosen(row):
        if each.tag == w("tc"):
            yield each
        elif each.tag in {w("sdt"), w("sdtContent"), w("customXml")}:
            yield from _cells(each)


def _span(cell: Node) -> int:
    return min(max(whole(val(cell, "tcPr", "gridSpan"), 1), 1), MOST_COLUMNS)


def _skipped(row: Node, name: str) -> int:
    return min(max(whole(val(row, "trPr", name)), 0), MOST_COLUMNS)


def _continues(cell: Node) -> bool:
    merge = inside(cell, "tcPr", "vMerge")
    return merge is not None and attribute(merge, "val") in {None, "continue"}


def _height(row: Node) -> float:
    return min(twips(val(row, "trPr", "trHeight")), 700)


def _margins(said: Node | None) -> dict[str, float]:
    found = {}
    for side, tags in (
        *(("left", ("left", "start")), ("right", ("right", "end"))),
        *(("top", ("top",)), ("bottom", ("bottom",))),
    ):
        for tag in tags:
            if (measure := attribute(inside(said, tag), "w")) is not None:
                found[side] = min(max(twips(measure), 0), 100)
    return found


def _fill(said: Node | None, otherwise: str | None) -> str | None:
    return otherwise if said is None else colour(attribute(said, "fill"))


def _empty(at: int, place: int, span: int) -> Value:
    return {
        "row": at,
        "column": place,
        "across": span,
        "down": 1,
        "fill": None,
        "lines": dict.fromkeys(SIDES, NO_LINE),
        "inset": dict.fromkeys(SIDES, 0.0),
        "vertical": "top",
        "width": 1.0,
        "blocks": [],
    }
