"""The numbers and bullets of lists, counted as Word does."""

from collections import defaultdict
from dataclasses import dataclass

from documents.markup import Node, attribute, inside, val, w, whole

LEVELS = 9
MOST = 100_000
BULLETS = {
    "\uf0b7": "•",
    "\uf0a7": "▪",
    "\uf0d8": "➢",
    "\uf0fc": "✓",
    "\uf076": "❖",
    "\uf02d": "–",
    "\uf0e0": "→",
    "o": "○",
}
ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


@dataclass(frozen=True)
class Label:
    """What stands before an entry of a list, and how it stands there."""

    text: str
    after: str
    paragraph: Node | None
    run: Node | None


class Lists:
    """Every list of a document; asking for a label counts on."""

    def __init__(self, tree: Node | None) -> None:
        every = () if tree is None else tree
        self._kinds = {
            attribute(each, "abstractNumId"): each for each in every if each.tag == w("abstractNum")
        }
        self._lists = {attribute(each, "numId"): each for each in every if each.tag == w("num")}
        self._counts: dict[str | None, list[int | None]] = defaultdict(lambda: [None] * LEVELS)
        self._begun: set[str] = set()

    def level(self, list_id: str | None, at: int) -> Node | None:
        """Return the `w:lvl` of a list."""
        given = self._lists.get(list_id)
        if given is None or not 0 <= at < LEVELS:
            return None
        for each in given.findall(w("lvlOverride")):
            if attribute(each, "ilvl") == str(at) and inside(each, "lvl") is not None:
                return inside(each, "lvl")
        kind = self._kinds.get(val(given, "abstractNumId"))
        for each in () if kind is None else kind.findall(w("lvl")):
            if attribute(each, "ilvl") == str(at):
                return each
        return None

    def next(self, list_id: str | None, at: int) -> Label | None:
        """Count the next entry of this list and level, and return what stands before it."""
        level = self.level(list_id, at)
        if level is None or list_id is None:
            return None
        counts = self._counts[val(self._lists[list_id], "abstractNumId")]
        self._begin(list_id, counts)
        before = counts[at]
        counts[at] = self._first(list_id, at) if before is None else before + 1
        counts[at + 1 :] = [None] * (LEVELS - at - 1)
        run = inside(level, "rPr")
        return Label(self._text(list_id, level, counts), _after(level), inside(level, "pPr"), run)

    def _begin(self, list_id: str, counts: list[int | None]) -> None:
        """Let a list count on from others of its kind, unless it says where it starts."""
        if list_id in self._begun:
            return
        self._begun.add(list_id)
        for each in self._lists[list_id].findall(w("lvlOverride")):
            at = whole(attribute(each, "ilvl"))
            if inside(each, "startOverride") is not None and 0 <= at < LEVELS:
                counts[at] = None

    def _first(self, list_id: str, at: int) -> int:
        for each in self._lists[list_id].findall(w("lvlOverride")):
            if attribute(each, "ilvl") == str(at) and (start := val(each, "startOverride")):
                return whole(start, 1)
        return whole(val(self.level(list_id, at), "start"), 1)

    def _text(self, list_id: str, level: Node, counts: list[int | None]) -> str:
        pattern = val(level, "lvlText") or ""
        if val(level, "numFmt") == "bullet":
            return "".join(_bullet(each) for each in pattern)
        for at in range(LEVELS):
            if f"%{at + 1}" in pattern:
                of = self.level(list_id, at)
                count = counts[at]
                shown = self._first(list_id, at) if count is None else count
                pattern = pattern.replace(f"%{at + 1}", written(shown, val(of, "numFmt")))
        return pattern


def _after(level: Node) -> str:
    return val(level, "suff") or "tab"


def _bullet(sign: str) -> str:
    private = "\ue000" <= sign <= "\uf8ff"
    return BULLETS.get(sign, "•" if private else sign)


def written(count: int, form: str | None) -> str:
    """Return a number as lists write it, such as 3, c or III."""
    count = min(max(count, 0), MOST)
    match form:
        case "none":
            text = ""
        case "lowerLetter" | "upperLetter" if count:
            letter = chr(ord("a") + (count - 1) % 26)
            text = letter * min((count - 1) // 26 + 1, 10)
        case "lowerRoman" | "upperRoman" if count:
            text = _roman(count)
        case "decimalZero":
            text = f"{count:02}"
        case "ordinal":
            text = f"{count}."
        case _:
            text = str(count)
    return text.upper() if (form or "").startswith("upper") else text


def _roman(count: int) -> str:
    text = ""
    for value, sign in ROMAN:
        text += sign * (count // value)
        count %= value
    return text
