"""Uploaded files: what is no template, or holds what none may hold, is refused with a reason."""

from collections.abc import Mapping
from io import BytesIO
from zipfile import ZIP_STORED, ZipFile

import pytest
from docx import Document

from documents.archive import inspect
from documents.shape import LARGEST_TEMPLATE, LARGEST_UNPACKED, LARGEST_XML, MOST_PARTS
from tests.fixtures.docx import docx_of, part_of, png_of, repacked, saved

TYPES = "[Content_Types].xml"
RELATIONS = "word/_rels/document.xml.rels"
BODY = "word/document.xml"
MAIN = b"wordprocessingml.document.main+xml"
OFFICE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"

PLAIN = docx_of("Dear {{ contact.name }}", header="head", footer="foot")


def with_picture(picture: bytes) -> bytes:
    document = Document()
    document.add_picture(BytesIO(png_of(2, 2)))
    return repacked(saved(document), {"word/media/image1.png": picture})


def changed(name: str, old: bytes, new: bytes) -> bytes:
    return repacked(PLAIN, {name: part_of(PLAIN, name).replace(old, new)})


def typed(part: str, kind: bytes) -> bytes:
    """Return a document with another part, of a kind that it declares."""
    declared = b'<Override PartName="/' + part.encode() + b'" ContentType="' + kind + b'"/></Types>'
    types = part_of(PLAIN, TYPES).replace(b"</Types>", declared)
    return repacked(PLAIN, {part: b"data", TYPES: types})


def related(kind: bytes, target: bytes, *, name: str = RELATIONS) -> bytes:
    """Return a document with a relation to something outside."""
    relation = b'<Relationship Id="rIdX" TargetMode="External" Type="' + OFFICE + kind
    relation += b'" Target="' + target + b'"/></Relationships>'
    return repacked(PLAIN, {name: part_of(PLAIN, name).replace(b"</Relationships>", relation)})


def with_field(code: bytes) -> bytes:
    run = b"<w:r><w:instrText>" + code + b"</w:instrText></w:r></w:p>"
    return changed(BODY, b"</w:p>", run)


def stored(parts: Mapping[str, bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


REFUSED = {
    "nothing": (b"", "no DOCX file, or a damaged one"),
    "text": (b"Dear customer", "no DOCX file, or a damaged one"),
    "half a file": (PLAIN[: len(PLAIN) // 2], "no DOCX file, or a damaged one"),
    "an old document": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "an old .doc, or prot"),
    "another archive": (stored({"a.txt": b"a"}), "no DOCX file: it does not say what it holds"),
    "a spreadsheet": (changed(TYPES, MAIN, b"spreadsheetml.sheet.main+xml"), "no Word document"),
    "a template of Word": (
        changed(TYPES, MAIN, b"wordprocessingml.template.main+xml"),
        "a template of Word: save it as .docx",
    ),
    "macros": (
        changed(
            TYPES,
            b"application/vnd.openxmlformats-officedocument." + MAIN,
            b"application/vnd.ms-word.document.macroEnabled.main+xml",
        ),
        "holds macros: save it as .docx without them",
    ),
    "macros in disguise": (
        typed("word/vbaProject.bin", b"application/vnd.ms-office.vbaProject"),
        "holds macros",
    ),
    "an undeclared macro": (repacked(PLAIN, {"word/VBAPROJECT.BIN": b"x"}), "holds macros"),
    "an OLE object": (
        typed("word/objects/o.bin", b"application/vnd.openxmlformats-officedocument.oleObject"),
        "holds an embedded object (OLE or ActiveX)",
    ),
    "an embedded file": (
        repacked(PLAIN, {"word/embeddings/sheet.xlsx": b"x"}),
        "holds an embedded object",
    ),
    "an ActiveX control": (
        repacked(PLAIN, {"word/activeX/activeX1.xml": b"<x/>"}),
        "holds an embedded object",
    ),
    "another file within": (
        changed(
            RELATIONS,
            b"</Relationships>",
            b'<Relationship Id="rIdX" Type="' + OFFICE + b'aFChunk" Target="a.html"/>'
            b"</Relationships>",
        ),
        "holds another file within: a.html",
    ),
    "a linked picture": (
        related(b"image", b"https://example.com/a.png"),
        "needs a picture kept elsewhere: https://example.com/a.png",
    ),
    "a remote template": (
        related(b"attachedTemplate", b"http://example.com/x.dotm"),
        "needs a template kept elsewhere: http://example.com/x.dotm",
    ),
    "an unknown link": (related(b"whatever", b"//host/share"), "needs something kept elsewhere"),
    "a field that starts programs": (
        with_field(b' DDEAUTO c:\\\\windows "x" '),
        "the field DDEAUTO fetches something from outside",
    ),
    "a field that fetches": (
        with_field(b' INCLUDEPICTURE "http://example.com/a.png" '),
        "the field INCLUDEPICTURE fetches something",
    ),
    "broken markup": (
        changed(BODY, b"</w:body>", b"</w:boody>"),
        "word/document.xml cannot be rea",
    ),
    "entities": (
        repacked(PLAIN, {BODY: b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>'}),
        "word/document.xml defines entities of its own",
    ),
    "no body": (repacked(PLAIN, {BODY: None}), "word/document.xml is missing"),
    "many parts": (
        repacked(PLAIN, {f"word/{number}.bin": b"" for number in range(MOST_PARTS)}),
        f"more than {MOST_PARTS} parts",
    ),
    "a zip bomb": (
        repacked(PLAIN, {f"word/{n}.bin": b"\0" * (LARGEST_UNPACKED // 4) for n in range(4)}),
        "larger than 100 MB once unpacked",
    ),
    "a lot of markup": (
        changed(BODY, b"Dear", b"x" * LARGEST_XML),
        "word/document.xml is larger than 20 MB",
    ),
    "a large file": (b"PK\3\4" + b"\0" * LARGEST_TEMPLATE, "larger than 10 MB"),
    "a huge picture": (
        with_picture(png_of(1, 1, claims=(30_000, 30_000))),
        "the picture image1.png has 30000 × 30000 pixels: at most 40 million are read",
    ),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_template_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    reasons = inspect(content)

    assert len(reasons) == 1
    assert reason in reasons[0]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        with_picture(png_of(400, 300)),
        with_picture(b"a drawing of a kind that we do not read"),
        related(b"hyperlink", b"https://example.com/IMPORT"),
        with_field(b' HYPERLINK "https://example.com" '),
        with_field(b" PAGE "),
    ],
    ids=["text", "picture", "drawing", "link", "link in a field", "page number"],
)
def test_what_belongs_into_a_template_is_accepted(content: bytes) -> None:
    assert inspect(content) == []


def test_each_thing_that_is_wrong_is_told() -> None:
    content = repacked(
        related(b"image", b"https://example.com/a.png"), {"word/embeddings/sheet.xlsx": b"x"}
    )

    assert len(inspect(content)) == 2


def test_a_part_that_unpacks_to_more_than_it_says_is_damage() -> None:
    lying = repacked(PLAIN, {"word/big.bin": b"\0" * 1_000_000}).replace(
        (1_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    )

    [reason] = inspect(lying)

    assert "damaged" in reason
