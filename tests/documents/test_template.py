"""DOCX templates: fields are filled in as in other texts, wherever Word has put them."""

from io import BytesIO

import pytest
from docx import Document

from documents.filters import FILTERS
from documents.pipe import AsItIs
from documents.shape import Broken
from documents.template import filled
from models.templates import render
from tests.documents.values import POLAND, VALUES
from tests.fixtures.docx import docx_of, part_of, product_table, repacked, saved, text_of

AS_IN_MAILS = {
    "{{ deal.title }}",
    "{{ deal.amount }}",
    "{{ deal.close_date }}",
    "{{ deal.created_at }}",
    "{{ deal.source }}",
    "{{ deal.custom.tags }}",
    "{{ deal.custom.signed }}",
    "{{ deal.custom.gone }}",
    "{{ deal.custom.manager }}",
    "{{ deal.custom.manager.name }}",
    "{{ company.name }}",
    "{{ item.custom.contract_no }}",
    "{{ deal.amount | money }}",
    '{{ deal.amount | money: "EUR" }}',
    '{{ deal.amount | money: "EUR", locale: "de_DE" }}',
    "{{ deal.source | money }}",
    "{{ deal.amount | number }}",
    '{{ deal.amount | number: locale: "en_US" }}',
    "{{ deal.close_date | date }}",
    '{{ deal.close_date | date: "long" }}',
    '{{ deal.close_date | date: "EEEE, dd.MM.yyyy" }}',
    '{{ deal.close_date | date: "full", locale: "de" }}',
    "{{ deal.created_at | date }}",
    "{{ deal.created_at | datetime }}",
    '{{ deal.created_at | datetime: "short", zone: "America/New_York" }}',
    "{{ deal.title | upcase }}",
    "{{ deal.title | downcase }}",
    "{{ deal.custom.contract_no | downcase | capitalize }}",
    '{{ deal.source | default: "none" }}',
    '{{ deal.title | default: "none" }}',
    '{{ deal.custom.contract_no | append: "!" | prepend: "No. " }}',
    '{{ deal.custom.contract_no | replace: "C", "D" | strip }}',
    '{{ deal.custom.tags | join: " / " }}',
    "{{ deal.custom.tags | first }}",
    "{{ deal.custom.tags | last }}",
    "{{ deal.custom.tags | size }}",
    "{{ deal.amount | round }}",
    '{% if deal.close_date %}by {{ deal.close_date | date: "short" }}{% endif %}',
    "{% for tag in deal.custom.tags %}{{ tag | upcase }};{% endfor %}",
}


@pytest.fixture(scope="module")
def as_in_mails() -> dict[str, str]:
    """Each of these texts as a document has it."""
    texts = sorted(AS_IN_MAILS)
    made = filled(docx_of(*texts), VALUES, **POLAND)
    return dict(zip(texts, text_of(made).split("\n"), strict=True))


@pytest.mark.parametrize("text", sorted(AS_IN_MAILS))
def test_a_field_reads_as_in_mails(as_in_mails: dict[str, str], text: str) -> None:
    assert as_in_mails[text] == render(text, VALUES, **POLAND)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ('{{ deal.amount | money("EUR") }}', "12\xa0345,50\xa0€"),
        ("{{ deal.custom.contract_no | upper | lower }}", "c-7"),
        ("{{ ' x ' | trim }}{{ deal.custom.tags | length }}", "x2"),
        ("{{ (deal.amount * 1.23) | money }}", "15\xa0184,96\xa0zł"),
        ("{{ deal.amount * 2 + deal.id }}", "24691.00"),
        ("{{ deal.custom.contract_no ~ '/' ~ document.number }}", "C-7/V-2026/7"),
        ("{% set n = deal.products | length %}{{ n }}", "3"),
        ("{{ deal.products[0].name }}", "Bike no. 1 & bell"),
        ("{{ document.date | date('short') }}", "22.11.2026"),
    ],
)
def test_a_field_may_be_written_as_in_jinja(text: str, reads: str) -> None:
    assert text_of(filled(docx_of(text), VALUES, **POLAND)) == reads


def test_every_filter_is_tried() -> None:
    tried = "\n".join(AS_IN_MAILS) + "upper lower trim length"

    assert [name for name in FILTERS if name not in tried] == []


def test_a_field_that_word_has_cut_into_pieces_is_one() -> None:
    made = filled(docx_of(["Dear {", "{ contact", ".na", "me }", "},"]), VALUES, **POLAND)

    assert text_of(made) == "Dear Łukasz Żółć,"


def test_a_row_of_a_table_is_repeated_for_each_product() -> None:
    table = product_table("{{ row.name }}", "{{ row.total | money }}")

    made = filled(docx_of(table=table), VALUES, **POLAND)

    [products] = Document(BytesIO(made)).tables
    assert [[cell.text for cell in row.cells] for row in products.rows] == [
        ["Bike no. 1 & bell", "1\xa0234,50\xa0zł"],
        ["Bike no. 2 & bell", "2\xa0469,00\xa0zł"],
        ["Bike no. 3 & bell", "3\xa0703,50\xa0zł"],
    ]


def test_header_footer_and_title_are_filled_too() -> None:
    document = Document(BytesIO(docx_of(header="{{ deal.title }}", footer="{{ deal.title }}")))
    document.core_properties.title = "{{ deal.title }}"

    made = Document(BytesIO(filled(saved(document), VALUES, **POLAND)))

    [section] = made.sections
    assert section.header.paragraphs[0].text == VALUES["deal.title"]
    assert section.footer.paragraphs[0].text == VALUES["deal.title"]
    assert made.core_properties.title == VALUES["deal.title"]


def test_lines_stay_lines_and_what_cannot_be_written_is_left_out() -> None:
    values = {**VALUES, "deal.comments": "a\r\nb\x07\x00c\ud800\td"}

    made = filled(docx_of("{{ deal.comments }}"), values, **POLAND)

    assert text_of(made) == "a\nbc\td"


def test_what_a_person_wrote_instead_stands_as_it_is() -> None:
    values = {**VALUES, "deal.close_date": AsItIs("next spring")}

    made = filled(docx_of("{{ deal.close_date | date: 'long' }}"), values, **POLAND)

    assert text_of(made) == "next spring"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ deal.titel }}", "unknown field titel"),
        ("{{ bogus }}", "'bogus' is undefined"),
        ("{{ deal.title.__class__ }}", "unknown field __class__"),
        ("{{ deal.products.append }}", "unknown field append"),
        ("{{ deal.keys }}", "unknown field keys"),
        ("{{ deal.title | shout }}", "no filter named 'shout'"),
        ("{{ deal.title | money }}", "is no number"),
        ("{{ deal.amount | money: 'euro' }}", "euro is no currency such as EUR"),
        ("{{ deal.amount | money: zone: 'UTC' }}", "money: unknown option zone"),
        ("{{ deal.title * 3 }}", "only numbers can be calculated with"),
        ("{{ 2 ** 3 }}", "powers are not offered"),
        ("{{ 1 / 0 }}", "a calculation has no result"),
        ("{% include 'other' %}", "no loader"),
        ("{% for i in range(9) %}{% endfor %}", "'range' is undefined"),
        ("{{ deal.title", "text, at «{{ deal.title»: {{ without }}"),
    ],
)
def test_what_cannot_be_filled_says_why(text: str, reason: str) -> None:
    with pytest.raises(Broken) as raised:
        filled(docx_of(text), VALUES, **POLAND)

    assert reason in str(raised.value)


def test_footnotes_are_filled() -> None:
    document = docx_of("text")
    notes = (
        b'<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        b'<w:footnote w:id="1"><w:p><w:r><w:t>{{ contact.name }}</w:t></w:r></w:p></w:footnote>'
        b"</w:footnotes>"
    )
    kind = b"application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    relation = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    types = part_of(document, "[Content_Types].xml")
    relations = part_of(document, "word/_rels/document.xml.rels")
    with_notes = repacked(
        document,
        {
            "word/footnotes.xml": notes,
            "[Content_Types].xml": types.replace(
                b"</Types>",
                b'<Override PartName="/word/footnotes.xml" ContentType="' + kind + b'"/></Types>',
            ),
            "word/_rels/document.xml.rels": relations.replace(
                b"</Relationships>",
                b'<Relationship Id="rIdF" Target="footnotes.xml" Type="' + relation + b'"/>'
                b"</Relationships>",
            ),
        },
    )

    made = filled(with_notes, VALUES, **POLAND)

    assert "Łukasz Żółć" in part_of(made, "word/footnotes.xml").decode()
