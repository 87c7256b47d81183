"""Documents are filled and printed; what cannot be, says why."""

import asyncio
import stat
from io import BytesIO
from pathlib import Path

import pytest
from docx import Document
from docx.enum.text import WD_BREAK
from pypdf import PdfReader

from documents.making import DocumentFailed, Made, fill
from documents.shape import LARGEST_TEMPLATE, MOST_PAGES
from tests.documents.values import POLAND, VALUES
from tests.fixtures.docx import docx_of, product_table, saved, text_of

OFFER = docx_of(
    "Offer {{ document.number }} for {{ contact.name }}",
    table=product_table("{{ row.name }}", "{{ row.total | money }}"),
)


def text_in(pdf: bytes | None) -> str:
    assert pdf is not None
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


@pytest.fixture(scope="module")
async def offer() -> Made:
    return await fill(OFFER, VALUES, **POLAND, pdf=True)


def test_the_document_says_what_was_filled_in(offer: Made) -> None:
    assert "Offer V-2026/7 for Łukasz Żółć" in text_of(offer.docx)


def test_the_pdf_says_the_same(offer: Made) -> None:
    told = text_in(offer.pdf)

    assert "Offer V-2026/7 for Łukasz Żółć" in told
    assert "Bike no. 3 & bell" in told
    assert "3\xa0703,50\xa0zł" in told
    assert offer.pages == 1


async def test_without_pdf_there_is_none() -> None:
    made = await fill(OFFER, VALUES, **POLAND, pdf=False)

    assert made.pdf is None
    assert made.pages is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "{% for i in range(10**9) %}x{% endfor %}",
            r"The document cannot be made: powers are not offered\.",
        ),
        (
            "{% set x='xxxxxxxxxxxxxxxx' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
            r"Making the document takes more than 768 MB of memory\.",
        ),
        ("{{ deal.titel }}", r"The document cannot be made: unknown field titel\."),
        ("{{ deal.title", r"The document cannot be made: .* \{\{ without \}\}\."),
    ],
    ids=["endless loop", "doubling", "unknown field", "unended"],
)
async def test_a_bomb_or_a_broken_template_says_why_it_failed(text: str, reason: str) -> None:
    with pytest.raises(DocumentFailed, match=reason):
        await fill(docx_of(text), VALUES, **POLAND, pdf=True)


async def test_two_hundred_pages_are_made() -> None:
    made = await fill(
        docx_of(*["Lorem ipsum dolor sit amet. " * 80] * 340), VALUES, **POLAND, pdf=True
    )

    assert made.pages is not None
    assert made.pages >= 200
    assert made.pages == len(PdfReader(BytesIO(made.pdf or b"")).pages)


async def test_a_document_without_end_is_refused() -> None:
    many = {**VALUES, "deal.products": [{"name": "x"}] * (MOST_PAGES + 1)}
    pages = Document()
    pages.add_paragraph("{%p for p in deal.products %}")
    pages.add_paragraph("{{ p.name }}").add_run().add_break(WD_BREAK.PAGE)
    pages.add_paragraph("{%p endfor %}")

    with pytest.raises(DocumentFailed, match=f"gets longer than {MOST_PAGES} pages"):
        await fill(saved(pages), many, **POLAND, pdf=True)


async def test_a_template_that_is_too_large_is_not_even_read() -> None:
    with pytest.raises(DocumentFailed, match="The template is larger than 10 MB"):
        await fill(b"\0" * (LARGEST_TEMPLATE + 1), VALUES, **POLAND, pdf=False)


async def test_several_documents_can_be_asked_for_at_once() -> None:
    made = await asyncio.gather(*(fill(OFFER, VALUES, **POLAND, pdf=False) for _ in range(4)))

    assert {text_of(each.docx) for each in made} == {text_of(made[0].docx)}


# LibreOffice is another program: this one takes its place and speaks as it does.

OFFICE = """#!/bin/sh
case "$*" in *--headless*--convert-to\\ pdf*--outdir*document.docx) ;; *) exit 7 ;; esac
for last in "$@"; do :; done
test -s "$last" || exit 8
{does}
"""
PRINTS = 'printf "%%PDF-1.7 /Count 3 made of " > document.pdf; head -c 2 "$last" >> document.pdf'


@pytest.fixture
def office(tmp_path: Path, does: str) -> Path:
    program = tmp_path / "soffice"
    program.write_text(OFFICE.replace("{does}", does))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.parametrize("does", [PRINTS], ids=["prints"])
async def test_libreoffice_makes_the_pdf_where_there_is_one(office: Path) -> None:
    made = await fill(OFFER, VALUES, **POLAND, pdf=True, office=office)

    assert made.pdf == b"%PDF-1.7 /Count 3 made of PK"
    assert made.pages == 3


@pytest.mark.parametrize(
    ("does", "reason"),
    [("exit 0", "LibreOffice made none"), ("exit 1", "ended without a result")],
    ids=["nothing", "failure"],
)
async def test_libreoffice_that_makes_none_is_told(office: Path, reason: str) -> None:
    with pytest.raises(DocumentFailed, match=reason):
        await fill(OFFER, VALUES, **POLAND, pdf=True, office=office)


async def test_libreoffice_that_is_not_there_is_told() -> None:
    with pytest.raises(DocumentFailed, match="there is no program /nowhere/soffice"):
        await fill(OFFER, VALUES, **POLAND, pdf=True, office=Path("/nowhere/soffice"))
