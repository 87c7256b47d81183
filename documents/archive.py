"""Look into an uploaded DOCX before anything is made of it."""

import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from posixpath import dirname, normpath
from zipfile import BadZipFile, LargeZipFile, ZipFile

from docx.image.exceptions import InvalidImageStreamError, UnexpectedEndOfFileError
from docx.image.exceptions import UnrecognizedImageError as UnknownPicture
from docx.image.image import Image
from lxml import etree

from documents.markup import WORD
from documents.shape import (
    LARGEST_PICTURE,
    LARGEST_TEMPLATE,
    LARGEST_UNPACKED,
    LARGEST_XML,
    MEGABYTE,
    MOST_PARTS,
)

OLE = b"\xd0\xcf\x11\xe0"
TYPES = "[Content_Types].xml"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TEMPLATE_OF_WORD = re.compile(r"wordprocessingml\.template\.main")
MACROS = re.compile(r"macroEnabled|vba(Project|Data)", re.IGNORECASE)
EMBEDDED = re.compile(r"oleObject|activeX|\.control\+|package\.embed", re.IGNORECASE)
EMBEDDED_PART = re.compile(r"(^|/)(embeddings|activeX)/", re.IGNORECASE)
FETCHING = re.compile(r"(?:^|\s)(DDE|DDEAUTO|INCLUDEPICTURE|INCLUDETEXT|IMPORT|LINK)\s")
LINKED = {
    "attachedTemplate": "a template kept elsewhere",
    "image": "a picture kept elsewhere",
    "oleObject": "an object kept elsewhere",
    "subDocument": "a document kept elsewhere",
    "frame": "a frame kept elsewhere",
}

UNREADABLE = (
    InvalidImageStreamError,
    UnexpectedEndOfFileError,
    UnknownPicture,
    IndexError,
    KeyError,
    ValueError,
    ZeroDivisionError,
)


class Refused(Exception):
    """A file that is no template, for this reason."""


def inspect(content: bytes) -> list[str]:
    """Return what is wrong with this file, without making anything of it."""
    try:
        return list(dict.fromkeys(_problems(_parts(content))))
    except Refused as refused:
        return [str(refused)]


def _parts(content: bytes) -> dict[str, bytes]:
    """Return the parts by name; a file that would not fit in memory is refused unread."""
    if len(content) > LARGEST_TEMPLATE:
        raise Refused(f"larger than {LARGEST_TEMPLATE // MEGABYTE} MB")
    if content.startswith(OLE):
        raise Refused("an old .doc, or protected by a password: save it as .docx without one")
    try:
        with ZipFile(BytesIO(content)) as file:
            entries = [each for each in file.infolist() if not each.is_dir()]
            if len(entries) > MOST_PARTS:
                raise Refused(f"more than {MOST_PARTS} parts")
            if sum(each.file_size for each in entries) > LARGEST_UNPACKED:
                raise Refused(f"larger than {LARGEST_UNPACKED // MEGABYTE} MB once unpacked")
            if len({each.filename for each in entries}) < len(entries):
                raise Refused("damaged: two parts have the same name")
            parts = {each.filename: file.read(each) for each in entries}
    except (BadZipFile, LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise Refused(f"no DOCX file, or a damaged one: {error}") from error
    except (ValueError, OSError, zlib.error) as error:
        raise Refused("no DOCX file, or a damaged one") from error
    return parts


def _problems(parts: dict[str, bytes]) -> Iterator[str]:
    if TYPES not in parts:
        raise Refused("no DOCX file: it does not say what it holds")
    trees = dict(_trees(parts))
    types = {each.get("ContentType", "") for each in trees[TYPES]}
    if any(MACROS.search(each) for each in (*types, *parts)):
        raise Refused("holds macros: save it as .docx without them")
    if MAIN not in types:
        template = any(TEMPLATE_OF_WORD.search(each) for each in types)
        raise Refused("a template of Word: save it as .docx" if template else "no Word document")
    if any(EMBEDDED.search(each) for each in types) or any(map(EMBEDDED_PART.search, parts)):
        yield "holds an embedded object (OLE or ActiveX): put in its text or a picture instead"
    for name, tree in trees.items():
        if name.endswith(".rels"):
            yield from _relations(name, tree, parts)
        elif fetching := _fetching(tree):
            yield f"{name}: the field {fetching} fetches something from outside"
    for name, part in parts.items():
        yield from _picture(name, part)


def _trees(parts: dict[str, bytes]) -> Iterator[tuple[str, etree._Element]]:
    for name, part in parts.items():
        if not name.endswith((".xml", ".rels")):
            continue
        if len(part) > LARGEST_XML:
            raise Refused(f"{name} is larger than {LARGEST_XML // MEGABYTE} MB")
        if b"<!DOCTYPE" in part or b"<!ENTITY" in part:
            raise Refused(f"{name} defines entities of its own")
        try:
            yield name, etree.fromstring(part, _parser())
        except etree.XMLSyntaxError as error:
            raise Refused(f"damaged: {name} cannot be read: {error}") from error


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _relations(name: str, tree: etree._Element, parts: dict[str, bytes]) -> Iterator[str]:
    folder = dirname(dirname(name))
    for each in tree:
        target = each.get("Target", "")
        kind = each.get("Type", "").rpartition("/")[2]
        if each.get("TargetMode") == "External":
            if kind != "hyperlink":
                what = LINKED.get(kind, "something kept elsewhere")
                yield f"needs {what}: {target[:200]}"
        elif kind == "aFChunk":
            yield f"holds another file within: {target[:200]}"
        elif _place(folder, target) not in parts and kind in {"officeDocument", "image"}:
            yield f"damaged: {_place(folder, target)[:200]} is missing"


def _place(folder: str, target: str) -> str:
    path = target if target.startswith("/") else f"/{folder}/{target}"
    return normpath(path).lstrip("/")


def _fetching(tree: etree._Element) -> str | None:
    """Return the name of a field that would make Word fetch or start something."""
    for paragraph in tree.iter(f"{WORD}p"):
        code = "".join(each.text or "" for each in paragraph.iter(f"{WORD}instrText"))
        code += " ".join(
            each.get(f"{WORD}instr", "") for each in paragraph.iter(f"{WORD}fldSimple")
        )
        if found := FETCHING.search(code):
            return found[1]
    return None


def _picture(name: str, part: bytes) -> Iterator[str]:
    if "/media/" not in name:
        return
    try:
        picture = Image.from_blob(part)
    except UNREADABLE:
        return  # drawings (EMF, SVG) have no pixels; what is none is not drawn either
    if picture.px_width * picture.px_height > LARGEST_PICTURE:
        yield (
            f"the picture {name.rpartition('/')[2]} has {picture.px_width} × {picture.px_height} "
            f"pixels: at most {LARGEST_PICTURE // 1_000_000} million are read"
        )
