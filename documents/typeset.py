"""Print a filled DOCX: what `documents.paper` reads goes, as data, into our own Typst template.

Nothing that anybody wrote is ever part of the template: it is read from JSON.
"""

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import fontpkg_arimo
import typst

from documents.paper import Paper
from documents.shape import Broken

TEMPLATE = files("documents") / "paper.typ"
SANS = "Arimo"
SERIF = "Libertinus Serif"
MONO = "DejaVu Sans Mono"
STANDINS = ("Liberation Sans", "Liberation Serif", "DejaVu Sans")
LIKE_SERIF = re.compile(
    r"times|serif|roman|georgia|garamond|cambria|book|palatino|century|baskerville|tinos|antiqua",
    re.IGNORECASE,
)
LIKE_MONO = re.compile(r"courier|mono|consol|typewriter|menlo|code", re.IGNORECASE)
USUAL = (1.0, 1.0)
STANDING_IN = {"calibri": (0.92, 1.06), "aptos": (0.97, 1.05), "cambria": (1.02, 1.02)}
"""Of fonts that are not there: how large ours is set instead, and how high the lines are."""

SANS_SERIF = re.compile(r"sans", re.IGNORECASE)


def printed(docx: bytes) -> bytes:
    """Return the PDF of a document. What cannot be printed raises Broken."""
    folder = Path.cwd()
    paper = Paper(docx, folder).read()
    (folder / "paper.json").write_text(json.dumps(_with_fonts(paper)))
    (folder / "paper.typ").write_bytes(TEMPLATE.read_bytes())
    try:
        made = typst.Compiler(
            folder / "paper.typ", root=folder, font_paths=_fonts(), package_path=folder
        ).compile(format="pdf")
    except typst.TypstError as error:
        raise Broken(f"it cannot be printed: {error.message[:200]}") from error
    if not isinstance(made, bytes):
        raise Broken("it cannot be printed")
    return made


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(font_paths=[Path(fontpkg_arimo.ROOT) / "files"])


@cache
def _there() -> dict[str, str]:
    return {family.casefold(): family for family in _fonts().families()}


def _with_fonts(value: Any) -> Any:
    """Return the paper with the families that each font is looked for in."""
    match value:
        case {"font": str(font), "size": size}:
            families, (scale, height) = _families(font)
            return {**value, "font": families, "size": size * scale, "height": size * height}
        case dict():
            return {name: _with_fonts(part) for name, part in value.items()}
        case list():
            return [_with_fonts(part) for part in value]
    return value


@cache
def _families(font: str) -> tuple[list[str], tuple[float, float]]:
    others = [each for each in (SANS, SERIF, *STANDINS) if each.casefold() in _there()]
    if found := _there().get(font.casefold()):
        return [found, *others], USUAL
    if LIKE_MONO.search(font):
        return [MONO, *others], USUAL
    if LIKE_SERIF.search(font) and not SANS_SERIF.search(font):
        return [SERIF, *others], STANDING_IN.get(font.casefold(), USUAL)
    return [SANS, *others], STANDING_IN.get(font.casefold(), USUAL)
