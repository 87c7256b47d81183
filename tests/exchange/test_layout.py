"""Layouts: which column is which field, and what is said of mistakes."""

import re
from pathlib import Path

import pytest

from exchange.kinds import Kind, fields_of
from exchange.layout import (
    BUILT_IN,
    Source,
    built_in,
    layout_for,
    parse_layout,
    read_layout,
    tables_in,
)
from exchange.lines import CannotLoad
from exchange.values import Bad
from tests.exchange.folders import sample, written

PAGE = (Path(__file__).parents[2] / "docs" / "loading.md").read_text()

COMPANIES = """
[[tables]]
kind = "companies"
file = "firms.csv"
fields = {{ name = {name} }}
"""


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_layout_can_be_read(name: str) -> None:
    assert built_in(name).tables


def test_the_layout_is_found_by_the_files(tmp_path: Path) -> None:
    opportunities = layout_for(sample(tmp_path / "one"))
    exported = layout_for(written(tmp_path / "two", deals="external_id\n"))

    assert opportunities == built_in("sales_opportunities")
    assert exported == built_in("cuebook")


def test_unknown_files_are_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(CannotLoad, match=r"accounts\.csv, products\.csv, .* say `--layout FILE`"):
        layout_for(written(tmp_path, customers="name\n"))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"column": "product"}, "Roof"),
        ({"value": "agent"}, "agent"),
        ({"text": "{product} for {account}"}, "Roof for"),
        ({"text": "{product}[ for {account}]"}, "Roof"),
        ({"text": "{product}[ in {town}]"}, "Roof in Rome"),
        ({"column": "revenue", "times": 1000000}, "1250000.00"),
        ({"column": "revenue", "values": {"1.25": "2"}, "times": 10}, "20"),
        ({"column": "account", "times": 1000000}, ""),
        ({"column": "day", "format": "%d.%m.%Y"}, "2027-08-31"),
    ],
    ids=str,
)
def test_a_field_is_made_of_columns(source: dict[str, object], text: str) -> None:
    cells = {
        "product": "Roof",
        "account": "",
        "town": "Rome",
        "revenue": "1.25",
        "day": "31.08.2027",
    }

    assert Source.model_validate(source).read(cells) == text


def test_a_cell_that_does_not_fit_its_source_is_bad() -> None:
    with pytest.raises(Bad, match="is not a number"):
        Source(column="a", times=10).read({"a": "much"})
    with pytest.raises(Bad, match="is not a date like"):
        Source(column="a", format="%d.%m.%Y").read({"a": "2027-08-31"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tables = 7", "tables: input should be a valid list"),
        ("[[tables", "is no TOML"),
        (
            COMPANIES.format(name='"name"').replace("companies", "company"),
            "there is no company, did you mean companies",
        ),
        (
            COMPANIES.format(name='"name"').replace("name =", "nmae ="),
            r"companies have no field nmae, did you mean name\?",
        ),
        (COMPANIES.format(name='"name"').replace("name =", "industry ="), "need the field name"),
        (
            '[[tables]]\nkind = "product_rows"\nfile = "a.csv"\nfields = { name = "name" }',
            "need one of the fields lead, deal, quote, invoice",
        ),
        (
            COMPANIES.format(name='{ colum = "name" }'),
            r"there is no setting colum, did you mean column\?",
        ),
        (
            COMPANIES.format(name='{ column = "name", value = "x" }'),
            "say one of column, text and value",
        ),
        ("x = " + "[" * 5000, "is no TOML"),
        ("x = " + "9" * 5000, "is no TOML"),
        (COMPANIES.format(name='""'), "name.column: string should have at least 1 character"),
        (
            COMPANIES.format(name='{ column = "name", format = "%Y%Y" }'),
            "name.format: it names a part of the date twice",
        ),
    ],
    ids=[
        *("kind", "toml", "table", "field", "required", "one of", "setting", "two"),
        *("deep", "digits", "column", "format"),
    ],
)
def test_a_mistake_in_a_layout_is_said_with_the_right_word(text: str, why: str) -> None:
    with pytest.raises(CannotLoad, match=why):
        parse_layout(text, "mine.toml")


def test_a_layout_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotLoad, match="cannot be read: No such file"):
        read_layout(tmp_path / "gone.toml")


def test_a_layout_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(COMPANIES.format(name='"name"'), encoding="utf-8-sig")

    assert len(read_layout(path).tables) == 1


def test_a_folder_whose_name_is_too_long_is_said() -> None:
    with pytest.raises(CannotLoad, match="cannot be read: File name too long"):
        layout_for(Path("x" * 5000))


def test_a_missing_file_or_column_is_said_with_the_nearest(tmp_path: Path) -> None:
    layout = parse_layout(COMPANIES.format(name='"firm"'), "mine.toml")

    with pytest.raises(CannotLoad, match=r"no file firms\.csv, did you mean firm\.csv\?"):
        tables_in(layout, written(tmp_path, firm="firm\n"))
    with pytest.raises(CannotLoad, match=r"firms\.csv has no column «firm», did you mean firms\?"):
        tables_in(layout, written(tmp_path, firms="firms\n"))


def test_columns_that_nobody_reads_are_told_once(tmp_path: Path) -> None:
    _, ignored = tables_in(
        built_in("sales_opportunities"),
        sample(tmp_path / "there", products="product,series,sales_price,colour\nRoof,,1,red\n"),
    )

    assert ignored == ["products.csv: colour"]


@pytest.mark.parametrize("kind", Kind)
def test_the_documentation_has_every_field(kind: Kind) -> None:
    lines = [line for line in PAGE.splitlines() if re.match(rf"\|.*\b{kind}\b.*\|.*\|", line)]

    assert set(fields_of(kind, "DE")) <= set(re.findall(r"\w+", " ".join(lines)))


def test_the_layout_of_the_documentation_can_be_read() -> None:
    [example] = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

    assert len(parse_layout(example, "example").tables) == 2


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_documentation_names_the_files_of_the_built_in_layouts(name: str) -> None:
    assert f"`exchange/layouts/{name}.toml`" in PAGE
