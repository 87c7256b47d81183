"""A template is checked when it is uploaded: every problem is named, with its place."""

import pytest

from documents.checking import Checked, check
from documents.shape import DOCUMENT_FIELDS, LARGEST_TEMPLATE
from documents.template import excerpt
from documents.uses import uses
from models.errors import Invalid
from models.fields import Field, FieldKind
from tests.documents.values import CATALOGUE
from tests.fixtures.docx import docx_of, product_table

GOOD = docx_of(
    ["Contract {{ docu", "ment.number }}"],
    "{% if deal.close_date %}{{ deal.close_date | date: 'long' }}{% endif %}",
    "{% set who = contact.name %}{{ who | upper }} {{ deal.custom.manager.name }}",
    "{% for tag in deal.custom.tags %}{{ loop.index }}. {{ tag }}{% endfor %}",
    "{{ deal.products[0].name }} {{ deal.products | length }} {{ 1 + 1 }}",
    table=product_table("{{ row.name }}", "{{ row.quantity | number }}", "{{ row.total | money }}"),
    header="{{ company.name }}",
    footer="{{ document.date | date }}",
)

WRONG = {
    "{{ deal.titel }}": "unknown field deal.titel, did you mean deal.title?",
    "{{ deal.custom.contractno }}": (
        "unknown field deal.custom.contractno, did you mean deal.custom.contract_no?"
    ),
    "{{ document.nummer }}": "unknown field document.nummer, did you mean document.number?",
    "{{ bogus }}": "unknown field bogus",
    "{{ deal }}": "deal holds several fields, name one such as deal.id",
    "{{ deal.products }}": "deal.products is no text; loop over the rows and name a column",
    "{% for row in deal.products %}{{ row.pric }}{% endfor %}": (
        "unknown field row.pric, did you mean row.price?"
    ),
    "{% for r in deal.products %}{{ r }}{% endfor %}": "r is a row: name one of its columns",
    "{% for x in deal.title %}{{ x }}{% endfor %}": (
        "deal.title holds one value, there is nothing to loop over"
    ),
    "{% if deal.sum > 1 %}x{% endif %}": "unknown field deal.sum",
    "{{ deal.title | uper }}": "unknown filter uper, did you mean upper?",
    "{{ range(3) }}": "functions are not offered",
    "{{ deal.title.upper() }}": "functions are not offered",
    "{% macro x() %}{% endmacro %}": "macros are not offered",
    "{% include 'x' %}": "other files are not offered",
    "{{ deal.products[0].nam }}": "unknown field deal.products.0.nam",
    "{{ deal.title.first }}": "unknown field deal.title.first",
}


async def test_a_template_in_order_tells_its_fields() -> None:
    checked = await check(GOOD, CATALOGUE)

    assert set(checked.fields) == {
        "document.number",
        "deal.close_date",
        "contact.name",
        "deal.custom.manager.name",
        "deal.custom.tags",
        "deal.products",
        "company.name",
        "document.date",
    }


@pytest.fixture(scope="module")
async def problems() -> str:
    """All that is told of the wrong texts."""
    with pytest.raises(Invalid) as raised:
        await check(docx_of("Dear customer,", *WRONG), CATALOGUE)
    return raised.value.reason


@pytest.mark.parametrize(("text", "reason"), WRONG.items())
def test_what_is_wrong_is_named_with_its_place(problems: str, text: str, reason: str) -> None:
    assert f"text, at «{excerpt(text)}»: {reason}" in problems


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ deal.title", "text, at «{{ deal.title»: {{ without }}"),
        ("{% if deal.title", "text, at «{% if deal.title»: {% without %}"),
        ("{% if deal.title %}", "unexpected end of template"),
        ("{% endfor %}", "text, at «{% endfor %}»: encountered unknown tag 'endfor'"),
        ("{{ deal.title ) }}", "text, at «{{ deal.title ) }}»: unexpected ')'"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, reason: str) -> None:
    found, [told] = uses(docx_of("Dear customer,", text))

    assert found == []
    assert reason in told


async def test_all_that_is_wrong_is_told_at_once_with_where() -> None:
    content = docx_of(
        "{{ deal.titel }}", header="No. {{ documet.number }}", footer="{{ range(1) }}"
    )

    with pytest.raises(Invalid) as raised:
        await check(content, CATALOGUE, pointer="/file")

    assert {problem.field for problem in raised.value.problems} == {"/file"}
    assert sorted(problem.reason for problem in raised.value.problems) == [
        "footer, at «{{ range(1) }}»: functions are not offered",
        (
            "header, at «No. {{ documet.number }}»: unknown field documet.number, "
            "did you mean document.number?"
        ),
        "text, at «{{ deal.titel }}»: unknown field deal.titel, did you mean deal.title?",
    ]


async def test_fields_given_besides_are_known() -> None:
    rows = Field("invoice.rows", "Rows", FieldKind.ROWS, (Field("sum", "Sum", FieldKind.MONEY),))
    content = docx_of("{% for row in invoice.rows %}{{ row.sum | money }}{% endfor %}")

    checked = await check(content, CATALOGUE, extra=[*DOCUMENT_FIELDS, rows])

    assert isinstance(checked, Checked)
    assert checked.fields == ("invoice.rows",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no file at all", "no DOCX file, or a damaged one"),
        (b"\0" * (LARGEST_TEMPLATE + 1), "larger than 10 MB"),
        (docx_of("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}"), "nested too deeply"),
    ],
    ids=["no file", "large", "deep"],
)
async def test_a_file_that_cannot_be_read_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Invalid) as raised:
        await check(content, CATALOGUE, pointer="/content")

    assert raised.value.field == "/content"
    assert reason in raised.value.reason
