"""The pieces of a line: text as it looks, signs, page numbers, and which pictures can be shown."""

import re
from dataclasses import dataclass
from typing import Any

from documents.markup import Node, attribute, number
from documents.styles import RunLook

Value = dict[str, Any]

PICTURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"RIFF": "webp",
}
PAGE_NUMBERS = {"PAGE": "page", "NUMPAGES": "pages", "SECTIONPAGES": "pages"}
SAFE_LINK = re.compile(r"(https?|mailto|tel):", re.IGNORECASE)
SIGNS = {
    "tab": "\t",
    "ptab": "\t",
    "cr": "\n",
    "noBreakHyphen": "\u2011",
    "softHyphen": "\u00ad",
}
MARKS = {"\uf0fe": "☒", "\uf0a8": "☐", "\uf0fc": "✓", "\uf0e0": "→", "\uf0b7": "•"}


@dataclass
class WordField:
    """A field of Word's that is being read: its code, then what it showed last."""

    code: str = ""
    showing: bool = False

    @property
    def name(self) -> str:
        return (self.code.split() or [""])[0].upper()

    @property
    def link(self) -> str | None:
        found = re.match(r'\s*HYPERLINK\s+"([^"]*)"', self.code)
        return found[1] if found and SAFE_LINK.match(found[1]) else None


def text_piece(text: str, look: RunLook, link: str | None = None) -> Value:
    """Return letters that look like that, as `paper.typ` prints them."""
    return {
        "kind": "text",
        "text": text.upper() if look.caps else text,
        "font": look.font,
        "size": look.size,
        "bold": look.bold,
        "italic": look.italic,
        "underline": look.underline,
        "strike": look.strike,
        "small": look.small,
        "colour": look.colour,
        "highlight": look.highlight,
        "raised": look.raised,
        "link": link,
    }


def sign(node: Node, name: str) -> str:
    """Return the text of a `w:t`, or of a sign that has a name of its own."""
    if name == "sym":
        try:
            shown = chr(int(attribute(node, "char") or "", 16))
        except (ValueError, OverflowError):
            return ""
        private = "\ue000" <= shown <= "\uf8ff"
        return MARKS.get(shown, "•" if private else shown)
    return SIGNS.get(name) or (node.text or "").replace("\n", " ")


def picture_kind(blob: bytes) -> str | None:
    """Return the kind of a picture that can be printed; None for any other."""
    return next((kind for magic, kind in PICTURES.items() if blob.startswith(magic)), None)


def vml_size(style: str) -> tuple[float, float]:
    """Return width and height, in points, that an old drawing says in its style."""
    sizes = dict(part.split(":", 1) for part in style.split(";") if ":" in part)
    return number(sizes.get("width")), number(sizes.get("height"))
