"""Printed documents: all that a DOCX says is on paper, as text, where and how it stood."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from docx import Document
from docx.document import Document as Docx
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.text import WD_BREAK, WD_TAB_ALIGNMENT, WD_TAB_LEADER
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Cm, Pt
from docx.text.paragraph import Paragraph
from pypdf import PageObject, PdfReader

from documents.typeset import printed
from tests.fixtures.docx import docx_of, png_of, saved

Print = Callable[[Docx], list[PageObject]]

HYPERLINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
HOSTILE = [
    '#import "@preview/x:1.0.0": *',
    '#read("/etc/passwd")',
    '#panic("x")',
    '"quoted" and \\"escaped\\" \\ \\u{41} \\n',
    "= no heading, *not bold*, _not italic_, `code`, $x^2$",
    "@nobody <label> // comment /* too */ [content] {code} #x ~ --- ... https://example.com",
    "<w:t>&amp; </w:t> {{ deal.title }} {% if x %}",
]


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Print:
    """Prints a document, as in a folder of its own, and returns its pages."""
    monkeypatch.chdir(tmp_path)

    def of(document: Docx) -> list[PageObject]:
        return list(PdfReader(BytesIO(printed(saved(document)))).pages)

    return of


def words(page: PageObject) -> str:
    """Return the text of a page, with single blanks."""
    return " ".join(page.extract_text().split())


def places(page: PageObject) -> dict[str, tuple[float, float]]:
    """Return where texts begin, in points from the left and from the bottom."""
    found: dict[str, tuple[float, float]] = {}

    def seen(text: str, page_at: list[float], at: list[float], *_: object) -> None:
        if text.strip():
            x = at[4] * page_at[0] + at[5] * page_at[2] + page_at[4]
            y = at[4] * page_at[1] + at[5] * page_at[3] + page_at[5]
            found.setdefault(text.strip(), (x, y))

    page.extract_text(visitor_text=seen)
    return found


def fonts(page: PageObject) -> set[str]:
    """Return the names of the fonts on a page."""
    resources: Any = page["/Resources"]
    return {
        str(font.get_object()["/BaseFont"]).rpartition("+")[2]
        for font in resources["/Font"].values()
    }


def field(paragraph: Paragraph, code: str, shown: str) -> None:
    """Add one of Word's own fields, such as the number of the page."""
    for kind, text in (("begin", ""), ("", code), ("separate", ""), ("shown", shown), ("end", "")):
        run = paragraph.add_run(shown if kind == "shown" else "")
        if kind in {"begin", "separate", "end"}:
            change = OxmlElement("w:fldChar")
            change.set(qn("w:fldCharType"), kind)
            run._r.append(change)  # noqa: SLF001 - docx has no other way
        elif not kind:
            instruction = OxmlElement("w:instrText")
            instruction.text = text
            run._r.append(instruction)  # noqa: SLF001


@pytest.mark.parametrize("text", HOSTILE)
def test_what_looks_like_a_program_is_printed_as_it_is(pages: Print, text: str) -> None:
    document = Document(BytesIO(docx_of(text, table=[[text]], header=text)))

    [page] = pages(document)

    assert words(page).count(" ".join(text.split())) == 3


def test_letters_of_many_languages_are_printed_and_can_be_searched(pages: Print) -> None:
    text = "Zażółć gęślą jaźń, Größe, façade, Привет, Ωμέγα, 100 € – „tak” №"

    [page] = pages(Document(BytesIO(docx_of(text))))

    assert words(page) == text


def test_bold_italic_and_kinds_of_letters_look_so(pages: Print) -> None:
    document = Document()
    for name, bold in (("Arial", True), ("Times New Roman", False), ("Courier New", False)):
        run = document.add_paragraph().add_run(f"In {name}")
        run.font.name, run.bold = name, bold
    document.add_paragraph().add_run("slanted").italic = True

    [page] = pages(document)

    assert {font.split("-")[0] for font in fonts(page)} >= {"DejaVuSansMono", "LibertinusSerif"}
    assert any("Italic" in font for font in fonts(page))


def test_headings_become_the_outline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document = Document()
    document.add_heading("Parties", 1)
    document.add_heading("The seller", 2)

    outline: Any = PdfReader(BytesIO(printed(saved(document)))).outline

    assert outline[0]["/Title"] == "Parties"
    assert outline[1][0]["/Title"] == "The seller"


def test_lists_are_numbered_and_indented(pages: Print) -> None:
    document = Document()
    for text, style in (
        ("First", "List Number"),
        ("Second", "List Number"),
        ("Point", "List Bullet"),
        ("Deeper", "List Bullet 2"),
    ):
        document.add_paragraph(text, style=style)

    [page] = pages(document)

    assert words(page) == "1. First 2. Second • Point • Deeper"
    assert places(page)["Deeper"][0] > places(page)["Point"][0]


def test_tabs_lead_to_their_stops(pages: Print) -> None:
    document = Document()
    [section] = document.sections
    section.left_margin = Cm(2)
    paragraph = document.add_paragraph("Left\tMiddle\tEnd")
    paragraph.paragraph_format.tab_stops.add_tab_stop(Cm(5))
    paragraph.paragraph_format.tab_stops.add_tab_stop(
        Cm(12), WD_TAB_ALIGNMENT.RIGHT, WD_TAB_LEADER.DOTS
    )

    [page] = pages(document)

    assert places(page)["Middle"][0] == pytest.approx(Cm(7).pt, abs=1)
    assert Cm(12).pt < places(page)["End"][0] < Cm(14).pt
    assert "....." in page.extract_text()


def test_cells_stand_in_their_columns_and_merged_ones_across(pages: Print) -> None:
    document = Document()
    table = document.add_table(3, 3, style="Table Grid")
    table.cell(0, 0).merge(table.cell(0, 1)).text = "across"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "down"
    for row, place in ((0, 2), (1, 1), (1, 2), (2, 1), (2, 2)):
        table.cell(row, place).text = f"r{row}c{place}"
    table.cell(2, 2).add_table(1, 1).cell(0, 0).text = "within"

    [page] = pages(document)

    at = places(page)
    assert at["across"][0] == at["down"][0]
    assert at["r1c1"][0] == at["r2c1"][0] > at["down"][0]
    assert at["r0c2"][0] == at["r1c2"][0] == at["r2c2"][0] > at["r1c1"][0]
    assert at["across"][1] > at["r1c1"][1] > at["r2c1"][1]
    assert at["within"][1] < at["r2c2"][1]


def test_the_head_of_a_long_table_is_repeated(pages: Print) -> None:
    document = Document()
    table = document.add_table(100, 1)
    head = table.rows[0]._tr  # noqa: SLF001
    head.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    table.cell(0, 0).text = "Product"
    for number in range(1, 100):
        table.cell(number, 0).text = f"Bike {number}"

    first, second, *_ = pages(document)

    assert words(first).startswith("Product Bike 1 Bike 2")
    assert words(second).startswith("Product Bike ")
    assert "Bike 1 " not in words(second)


def test_headers_and_footers_count_the_pages(pages: Print) -> None:
    document = Document(BytesIO(docx_of(header="Head", footer="Page ")))
    [section] = document.sections
    section.different_first_page_header_footer = True
    section.first_page_header.paragraphs[0].text = "Cover"
    field(section.footer.paragraphs[0], " PAGE ", "9")
    section.footer.paragraphs[0].add_run(" of ")
    field(section.footer.paragraphs[0], " NUMPAGES ", "9")
    document.add_paragraph("one").add_run().add_break(WD_BREAK.PAGE)
    document.add_paragraph("two")

    first, second = pages(document)

    assert words(first) == "Cover one"
    assert words(second) == "Head two Page 2 of 2"


def test_a_tall_header_pushes_the_text_down(pages: Print) -> None:
    document = Document(BytesIO(docx_of("text")))
    header = document.sections[0].header.paragraphs[0]
    header.add_run().add_picture(BytesIO(png_of(4, 4)), height=Cm(5))

    [page] = pages(document)

    assert len(page.images) == 1
    assert places(page)["text"][1] < float(page.mediabox.height) - Cm(5).pt


def test_pages_have_the_size_and_margins_of_their_section(pages: Print) -> None:
    document = Document(BytesIO(docx_of("upright")))
    wide = document.add_section(WD_SECTION.NEW_PAGE)
    wide.orientation = WD_ORIENT.LANDSCAPE
    wide.page_width, wide.page_height, wide.left_margin = Cm(29.7), Cm(21), Cm(7)
    document.add_paragraph("across")

    upright, across = pages(document)

    assert upright.mediabox.height > upright.mediabox.width
    assert float(across.mediabox.width) == pytest.approx(Cm(29.7).pt, abs=1)
    assert places(across)["across"][0] == pytest.approx(Cm(7).pt, abs=1)


def test_columns_stand_beside_each_other(pages: Print) -> None:
    document = Document(BytesIO(docx_of("Title")))
    columns = document.add_section(WD_SECTION.CONTINUOUS)
    columns._sectPr.find(qn("w:cols")).set(qn("w:num"), "2")  # noqa: SLF001
    for number in range(8):
        document.add_paragraph(f"Paragraph{number}")

    [page] = pages(document)

    at = places(page)
    assert at["Title"][1] > at["Paragraph0"][1]
    assert at["Paragraph7"][0] > at["Paragraph0"][0] + 100


def test_links_lead_where_they_did(pages: Print) -> None:
    document = Document()
    paragraph = document.add_paragraph("See ")
    for target in ("https://example.com/terms", "file:///etc/passwd"):
        relation = document.part.relate_to(target, HYPERLINK, is_external=True)
        link = parse_xml(
            f'<w:hyperlink {nsdecls("w", "r")} r:id="{relation}"><w:r><w:t>our terms </w:t></w:r>'
            "</w:hyperlink>"
        )
        paragraph._p.append(link)  # noqa: SLF001

    [page] = pages(document)

    links: Any = page["/Annots"]
    targets = [each.get_object()["/A"]["/URI"] for each in links]
    assert targets == ["https://example.com/terms"]
    assert words(page) == "See our terms our terms"


BOX = """<w:r {ns} xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"
xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"
xmlns:v="urn:schemas-microsoft-com:vml"><mc:AlternateContent><mc:Choice Requires="wps">
<w:drawing><wp:anchor><a:graphic><a:graphicData><wps:wsp><wps:txbx><w:txbxContent><w:p><w:r>
<w:t>in the box</w:t></w:r></w:p></w:txbxContent></wps:txbx></wps:wsp></a:graphicData></a:graphic>
</wp:anchor></w:drawing></mc:Choice><mc:Fallback><w:pict><v:shape><v:textbox><w:txbxContent><w:p>
<w:r><w:t>in the box</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict></mc:Fallback>
</mc:AlternateContent></w:r>"""
STRANGE = {
    "a box of text": (BOX.format(ns=nsdecls("w", "wp", "a")), "in the box"),
    "a tracked insertion": ("<w:ins><w:r><w:t>new</w:t></w:r></w:ins>", "new"),
    "a tracked deletion": ("<w:del><w:r><w:delText>old</w:delText></w:r></w:del>", ""),
    "a control of a form": (
        "<w:sdt><w:sdtPr/><w:sdtContent><w:r><w:t>chosen</w:t></w:r></w:sdtContent></w:sdt>",
        "chosen",
    ),
    "a formula": (
        (
            '<m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math">'
            "<m:r><m:t>a=b</m:t></m:r></m:oMath>"
        ),
        "a=b",
    ),
    "a field with its result": (
        '<w:fldSimple w:instr=" DATE "><w:r><w:t>today</w:t></w:r></w:fldSimple>',
        "today",
    ),
    "hidden text": ("<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>", ""),
    "signs": (
        '<w:r><w:sym w:font="Wingdings" w:char="F0FC"/><w:noBreakHyphen/><w:t>x</w:t></w:r>',
        "✓\u2011x",
    ),
    "a picture of a kind that is not printed": (
        (
            f'<w:r><w:drawing><wp:inline {nsdecls("wp", "a", "r")}><wp:extent cx="9" cy="9"/>'
            '<wp:docPr id="1" name="p" descr="A bike"/><a:blip r:embed="none"/></wp:inline>'
            "</w:drawing></w:r>"
        ),
        "[A bike]",
    ),
}


@pytest.mark.parametrize(("markup", "told"), STRANGE.values(), ids=STRANGE.keys())
def test_the_words_of_what_is_rare_are_there_once(pages: Print, markup: str, told: str) -> None:
    document = Document(BytesIO(docx_of("before")))
    named = markup.replace(">", f" {nsdecls('w')}>", 1) if "xmlns:w=" not in markup else markup
    before = document.paragraphs[0]._p  # noqa: SLF001
    before.append(parse_xml(named.replace("/ xmlns", " xmlns")))
    document.add_paragraph("after")

    [page] = pages(document)

    assert words(page).replace(" ", "") == f"before{told}after".replace(" ", "")


def test_a_page_may_end_within_a_paragraph(pages: Print) -> None:
    document = Document()
    paragraph = document.add_paragraph("first")
    paragraph.add_run().add_break(WD_BREAK.PAGE)
    paragraph.add_run("second")

    assert [words(page) for page in pages(document)] == ["first", "second"]


def test_spaces_and_lines_are_as_high_as_they_say(pages: Print) -> None:
    document = Document()
    for text in ("one", "two", "three"):
        paragraph = document.add_paragraph(text)
        paragraph.paragraph_format.space_before = Pt(30)
        paragraph.paragraph_format.space_after = Pt(10)
        paragraph.paragraph_format.line_spacing = Pt(20)

    [page] = pages(document)

    at = places(page)
    assert at["one"][1] - at["two"][1] == pytest.approx(60, abs=0.5)
    assert at["two"][1] - at["three"][1] == pytest.approx(60, abs=0.5)


def test_the_same_document_is_printed_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = docx_of("Contract")

    assert printed(content) == printed(content)
