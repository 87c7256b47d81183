"""WordprocessingML in short: names, measures and switches."""

from collections.abc import Iterator
from typing import Any

Node = Any
"""A node of lxml's tree."""

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
PLACING = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
VML = "{urn:schemas-microsoft-com:vml}"

OFF = {"0", "false", "off", "none"}


def w(name: str) -> str:
    return f"{WORD}{name}"


def name_of(node: Node) -> str:
    """Return the name of a node of Word's own, or all of a foreign one's; empty for comments."""
    return str(node.tag).removeprefix(WORD) if isinstance(node.tag, str) else ""


def inside(node: Node | None, *names: str) -> Node | None:
    """Return the first node along these names, or None."""
    for name in names:
        if node is None:
            return None
        node = node.find(w(name))
    return node


def attribute(node: Node | None, name: str) -> str | None:
    return None if node is None else node.get(w(name))


def val(node: Node | None, *names: str) -> str | None:
    """Return the `w:val` of the first node along these names."""
    return attribute(inside(node, *names), "val")


def number(text: str | None, default: float = 0) -> float:
    """Return a measure as it is written; 0 (or `default`) where there is none, or nonsense."""
    try:
        value = float((text or "").removesuffix("pt").removesuffix("%"))
    except ValueError:
        return default
    return value if abs(value) < 1_000_000 else default  # noqa: PLR2004


def whole(text: str | None, default: int = 0) -> int:
    return int(number(text, default))


def twips(text: str | None, default: float = 0) -> float:
    """Return twentieths of a point as points."""
    return number(text, default * 20) / 20


def emu(text: str | None) -> float:
    """Return English metric units as points."""
    return whole_emu / 12700 if (whole_emu := _long(text)) else 0


def _long(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0


def is_on(node: Node | None) -> bool:
    """Tell whether a switch (`<w:b/>`) is there and not turned off."""
    return node is not None and attribute(node, "val") not in OFF


def colour(text: str | None) -> str | None:
    """Return `RRGGBB`; None for automatic, and for what is no colour."""
    if text is None or len(text) != 6:  # noqa: PLR2004
        return None
    return text.upper() if all(each in "0123456789abcdefABCDEF" for each in text) else None


def chosen(nodes: Node) -> Iterator[Node]:
    """Yield the nodes within, where there are two ways to read something the simpler one."""
    for node in nodes:
        if node.tag == f"{COMPATIBLE}AlternateContent":
            ways = [*node.findall(f"{COMPATIBLE}Choice"), *node.findall(f"{COMPATIBLE}Fallback")]
            for way in ways[:1]:
                yield from chosen(way)
        else:
            yield node
