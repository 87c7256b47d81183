import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.errors import ActionFailed
from models.fields import Catalogue, FieldKind
from models.fields import Field as CrmField
from models.item_type import ItemType
from models.templates import Template, TemplateText, check, render, templates_in

DEAL = Catalogue.of(ItemType.DEAL, [CrmField("contract_no", "Contract", FieldKind.TEXT)])

TEMPLATE: TypeAdapter[str] = TypeAdapter(Template)

ROWS = [
    {"name": "Roof", "price": Decimal("1000.50"), "quantity": 1, "total": Decimal("1000.50")},
    {"name": "Gutter", "price": Decimal(20), "quantity": 2, "total": Decimal(40)},
]

VALUES: dict[str, object] = {
    "deal.id": 42,
    "deal.title": "Roof",
    "deal.amount": Decimal("1234.50"),
    "deal.source": None,
    "deal.close_date": date(2026, 8, 31),
    "deal.created_at": datetime(2026, 7, 1, 8, 5, tzinfo=UTC),
    "deal.products": ROWS,
    "deal.custom.contract_no": "C-7",
    "item.currency": "EUR",
    "item.title": "Roof",
    "contact.name": "Anna",
    "contact.email": None,
}

LONG = "x" * 9000

ATTACKS = {
    "a billion turns": "{% for i in (1..1000000000) %}{% endfor %}",
    "a thousand cubed": "{% for i in (1..1000) %}" * 3 + "{% endfor %}" * 3,
    "a range backwards": "{% for i in (1..300000000) reversed %}{% endfor %}",
    "the end of a range": "{% for i in (1..2000000000) offset: 1999999999 %}{% endfor %}",
    "a range of a field": "{% for i in (1..deal.amount) %}{% endfor %}",
    "a text within a range": "{% if (1..1000000000) contains 'a' %}{% endif %}",
    "a range joined": "{{ (1..1000000000) | join: 'x' }}",
    "a range reversed": "{{ (1..300000000) | reverse }}",
    "doubling": "{% assign a = 'x' %}" + "{% assign a = a | append: a %}" * 40,
    "replacing": f"{{{{ '{LONG}' | replace: '', '{LONG}' }}}}",
    "joining": f"{{{{ '{'a ' * 400}' | split: ' ' | join: '{LONG}' }}}}",
    "big integers": "{% assign a = 9999999999 %}" + "{% assign a = a | times: a %}" * 40,
    "list filters in loops": "{% for i in (1..1000) %}{% assign a = deal.products "
    "| sort: 'price' | reverse | map: 'name' | sort | uniq | reverse | compact | sort_natural %}"
    "{% endfor %}",
    "empty bodies": "{% for i in (1..1000) %}" + "{{deal.source}}" * 1300 + "{% endfor %}",
    "assigning in loops": "{% for i in (1..1000) %}"
    + "".join(f"{{%assign a{i}=1%}}" for i in range(800))
    + "{% endfor %}",
    "braces": "{" * 20_000,
    "blanks": "{{" + " " * 19_000,
    "brackets": "{{ a" + "[a" * 4000 + "]" * 4000 + "}}",
    "endless conditions": "{% if a" + " and a" * 3000 + " %}{% endif %}",
    "deep blocks": "{% if true %}" * 40 + "{% endif %}" * 40,
    "unclosed raws": "{%raw%}" * 2800,
    "parentheses": "{{ " + "(" * 9000 + " }}",
    "a great exponent": "{{ '1e999999999' | number }}",
    "an endless format": "{{ deal.close_date | date: '" + "y" * 9000 + "' }}",
    "much output": "{{ deal.comments }}" * 10,
    "the inside of Python": "{{ deal.title.__class__.__mro__ }}",
    "the globals of Python": "{{ deal.title.__globals__ }}",
    "another environment": "{{ 'a' | escape: environment: 5 }}",
    "another context": "{{ 5 | money: context: 5 }}",
    "another reader": "{{ 5 | money: reader: 5 }}",
    "an endless locale": f"{{{{ 5 | money: locale: '{LONG}' }}}}",
    "an endless zone": f"{{{{ deal.created_at | date: zone: '{LONG}' }}}}",
    "many locales": "{{ 5 | money: locale: 'xx' }}" * 600,
    "many zones": "{{ deal.created_at | date: zone: 'Mars/Olympus' }}" * 380,
    "too long": "x" * 20_001,
}


class Letter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    subject: Template = Field(default="{{ deal.title }}, repeat", title="Subject")
    lines: list[Template] = []
    footer: Template | None = None
    place: str = "{{ broken"


class Post(BaseModel):
    letters: tuple[Letter, ...]
    headers: dict[str, Template]


def rendered(
    text: str,
    values: Mapping[str, object] = VALUES,
    *,
    locale: str = "en",
    zone: str = "Europe/Warsaw",
) -> str:
    return render(text, values, locale=locale, zone=zone)


def plain(text: str) -> str:
    """Return the text with CLDR's special spaces made ordinary."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ deal.title }} for {{ contact.name }}", "Roof for Anna"),
        ("{{ item.title }} {{ deal.id }}", "Roof 42"),
        ("[{{ deal.source }}{{ contact.email | upcase }}]", "[]"),
        ("[{{ deal.source | money }}{{ deal.source | number }}{{ deal.source | date }}]", "[]"),
        ("{{ deal.source | default: 'web' }}", "web"),
        ("{{ deal.weather | default: 'fine' }}", "fine"),
        ("{{ deal.custom.contract_no }}[{{ deal.custom.never_filled }}]", "C-7[]"),
        ("[{{ item.custom.never_filled }}]", "[]"),
        ("{{ deal.amount }}", "1234.50"),
        ("{{ deal.amount | times: 2 | plus: 1 | money }}", "€2,470.00"),
        ("{{ deal.amount | money: 'USD' }}", "$1,234.50"),
        ("{{ deal.amount | append: ' EUR' }}", "1234.50 EUR"),
        ("{% if deal.amount > 1000 %}big{% else %}small{% endif %}", "big"),
        ("{% unless deal.source %}none{% endunless %}", "none"),
        ("{% case deal.title %}{% when 'Roof', 'Roof' %}R{% else %}?{% endcase %}", "R"),
        ("{% for p in deal.products %}{{ forloop.index }}{{ p.name }}{% endfor %}", "1Roof2Gutter"),
        ("{{ deal.products | sum: 'total' | money }}", "€1,040.50"),
        ("{{ deal.products | map: 'name' | join: ', ' }}", "Roof, Gutter"),
        ("{{ deal.products.first.name }} of {{ deal.products.size }}", "Roof of 2"),
        ("{% for i in (1..3) %}{{ i }}{% endfor %}", "123"),
        ("{% comment %}{{ x }}{% endcomment %}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ deal.close_date | date: 'dd.MM.yyyy' }}", "31.08.2026"),
        ("{{ '2026-08-31' | date: 'short' }}", "8/31/26"),
        ("{{ '2026-08-31T22:30:00Z' | date: 'short' }}", "9/1/26"),
        ("{{ deal.close_date | datetime: 'short' }}", "8/31/26"),
        ("Zażółć «gęślą» jaźń 🙂", "Zażółć «gęślą» jaźń 🙂"),
        ("", ""),
    ],
)
def test_fields_are_filled_in(text: str, result: str) -> None:
    assert rendered(text) == result


@pytest.mark.parametrize(
    ("locale", "result"),
    [
        ("en", "€1,234.50 | 1,234.5 | Aug 31, 2026 | Jul 1, 2026, 10:05:00 AM"),
        ("es", "1.234,50 € | 1.234,5 | 31 ago 2026 | 1 jul 2026, 10:05:00"),
        ("pl", "1 234,50 € | 1 234,5 | 31 sie 2026 | 1 lip 2026, 10:05:00"),
        ("de", "1.234,50 € | 1.234,5 | 31.08.2026 | 01.07.2026, 10:05:00"),
        ("fr", "1 234,50 € | 1 234,5 | 31 août 2026 | 1 juil. 2026, 10:05:00"),
    ],
)
def test_money_numbers_and_dates_read_as_the_reader_writes_them(locale: str, result: str) -> None:
    text = (
        "{{ deal.amount | money }} | {{ deal.amount | number }} "
        "| {{ deal.close_date | date }} | {{ deal.created_at | datetime }}"
    )

    assert plain(rendered(text, locale=locale)) == result


NB, NNB = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("locale", "results"),
    [
        ("en", ["€1,234,567.50", "-1,234.5"]),
        ("es", [f"1.234.567,50{NB}€", "-1.234,5"]),
        ("pl", [f"1{NB}234{NB}567,50{NB}€", f"-1{NB}234,5"]),
        ("de", [f"1.234.567,50{NB}€", "-1.234,5"]),
        ("fr", [f"1{NNB}234{NNB}567,50{NB}€", f"-1{NNB}234,5"]),
    ],
)
def test_no_number_breaks_at_the_end_of_a_line(locale: str, results: list[str]) -> None:
    text = "{{ 1234567.5 | money: 'EUR' }}|{{ -1234.5 | number }}"

    assert rendered(text, locale=locale).split("|") == results


@pytest.mark.parametrize(
    ("locale", "results"),
    [
        ("en", ["August 31, 2026", "Monday, August 31, 2026", "August 2026", "March 1, 2026"]),
        (
            "es",
            [
                "31 de agosto de 2026",
                "lunes, 31 de agosto de 2026",
                "agosto 2026",
                "1 de marzo de 2026",
            ],
        ),
        (
            "pl",
            ["31 sierpnia 2026", "poniedziałek, 31 sierpnia 2026", "sierpień 2026", "1 marca 2026"],
        ),
        ("de", ["31. August 2026", "Montag, 31. August 2026", "August 2026", "1. März 2026"]),
        ("fr", ["31 août 2026", "lundi 31 août 2026", "août 2026", "1 mars 2026"]),
    ],
)
def test_a_month_has_the_form_that_its_place_demands(locale: str, results: list[str]) -> None:
    text = (
        "{{ deal.close_date | date: 'long' }}|{{ deal.close_date | date: 'full' }}"
        "|{{ deal.close_date | date: 'LLLL y' }}|{{ '2026-03-01' | date: 'long' }}"
    )

    assert rendered(text, locale=locale).split("|") == results


@pytest.mark.parametrize(
    ("locale", "result"),
    [
        ("en", f"7/1/26, 1:05{NNB}PM"),
        ("es", "1/7/26, 13:05"),
        ("pl", "1.07.2026, 13:05"),
        ("de", "01.07.26, 13:05"),
        ("fr", "01/07/2026 13:05"),
    ],
)
def test_a_clock_has_the_hours_of_its_country(locale: str, result: str) -> None:
    text = "{{ '2026-07-01T11:05:00Z' | datetime: 'short' }}"

    assert rendered(text, locale=locale) == result


def test_dates_and_times_are_localised_without_a_filter_too() -> None:
    text = "{{ deal.close_date }}, {{ deal.created_at }}"

    assert rendered(text, locale="de") == "31.08.2026, 01.07.2026, 10:05:00"


@pytest.mark.parametrize(
    ("zone", "result"),
    [("Europe/Warsaw", "10:05"), ("America/New_York", "04:05"), ("Asia/Kathmandu", "13:50")],
)
def test_times_are_those_of_the_readers_zone(zone: str, result: str) -> None:
    assert rendered("{{ deal.created_at | datetime: 'HH:mm' }}", zone=zone) == result


def test_the_day_is_that_of_the_readers_zone() -> None:
    values = {"deal.created_at": datetime(2026, 8, 31, 22, 30, tzinfo=UTC)}

    assert rendered("{{ deal.created_at | date: 'short' }}", values, locale="de") == "01.09.26"


def test_without_a_currency_money_is_a_number() -> None:
    assert rendered("{{ deal.amount | money }}", {"deal.amount": Decimal("1234.5")}) == "1,234.5"


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_attacks_are_refused_within_seconds(text: str) -> None:
    values = VALUES | {"deal.products": ROWS * 500, "deal.comments": "y" * 90_000}
    started = time.process_time()

    with pytest.raises(ActionFailed, match="cannot be"):
        rendered(text, values)

    assert time.process_time() - started < 3


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_attacks_are_checked_within_seconds(text: str) -> None:
    started = time.process_time()

    check(text, DEAL)

    assert time.process_time() - started < 3


def test_a_case_renders_once_however_many_values_match() -> None:
    text = "{% case 1 %}{% when 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 %}" * 25 + "x" + "{% endcase %}" * 25

    assert rendered(text) == "x"


def test_a_letter_with_many_products_is_within_the_limits() -> None:
    row = "{{ p.name }}: {{ p.quantity | number }} x {{ p.price | money }} = {{ p.total | money }}"
    text = "{% for p in deal.products %}" + row + "\n{% endfor %}"

    letter = rendered(text, VALUES | {"deal.products": ROWS * 250})

    assert letter.count("\n") == 500


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Dear {{ contact.nmae }}", "line 1, column 9: contact.nmae is undefined"),
        ("a\n{{ deal.title | upcas }}", "line 2, column 17: unknown filter 'upcas'"),
        ("{{ deal.title | money }}", "line 1, column 1: money: Roof is no number"),
        ("{{ deal.amount | money: 'Euro' }}", "money: Euro is no currency such as EUR"),
        ("{{ deal.title | date }}", "date: Invalid isoformat string: 'Roof'"),
        ("{{ 1 | divided_by: 0 }}", "divided_by: can't divide by 0"),
        ("{{ '/w==' | base64_decode }}", "base64_decode: 'utf-8' codec"),
        ("{{ deal.title | replace }}", "replace: "),
        ("{% if deal.title > 5 %}{% endif %}", "not supported between"),
        ("{{ now }}", "'now' is undefined"),
        ("{{ deal.title", "expected '}}', found end of file"),
        ("{% for p in deal.products %}", "line 1, column 29: expected tag endfor"),
        ("{{ }}", "line 1, column 3: expected a primitive expression"),
        ("{% capture x %}{% endcapture %}", "unexpected tag 'capture'"),
        ("{% include 'x' %}", "unexpected tag 'include'"),
    ],
)
def test_what_cannot_be_rendered_fails_the_action_and_says_why(text: str, reason: str) -> None:
    with pytest.raises(ActionFailed) as failed:
        rendered(text)

    assert reason in failed.value.message


def test_a_reason_stays_short() -> None:
    with pytest.raises(ActionFailed) as failed:
        rendered("{{ deal.title | money }}", {"deal.title": "x" * 50_000})

    assert len(failed.value.message) < 300


@pytest.mark.parametrize(
    "text",
    [
        "{{ deal.title }}, {{ item.url }}, {{ deal.custom.contract_no }}",
        "{{ deal['title'] }} {{ deal.title.size }}",
        "{% for p in deal.products %}{{ p.price | money }}{{ forloop.last }}{% endfor %}",
        "{{ deal.products.first.name }} {{ deal.products[0].total }} {{ deal.products.size }}",
        "{% assign d = deal.products | sort: 'price' %}{% for p in d %}{{ p.price }}{% endfor %}",
        "{% assign names = deal.products | map: 'name' %}{{ names | join: ', ' }}",
        "{% for i in (1..3) %}{{ i }}{% endfor %}",
        "{% raw %}{{ deal.titel }}{% endraw %}",
    ],
)
def test_a_text_with_real_fields_is_accepted(text: str) -> None:
    assert check(text, DEAL) == []


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (
            "Dear\n{{ contact.nmae | upcas }}",
            [
                "line 2, column 4: unknown field contact.nmae, did you mean contact.name?",
                "line 2, column 19: unknown filter upcas, did you mean upcase?",
            ],
        ),
        (
            "{% for p in deal.products %}{{ p.prise }}{% endfor %}{{ p.total }}",
            [
                "line 1, column 32: unknown field p.prise, did you mean p.price?",
                "line 1, column 57: unknown field p.total",
            ],
        ),
        (
            "{% for p in deal.products %}{{ forloop.indx }}{% endfor %}",
            ["line 1, column 32: unknown field forloop.indx, did you mean forloop.index?"],
        ),
        (
            "{% assign rows = deal.products | reverse %}{% for p in rows %}{{ p.sum }}{% endfor %}",
            ["line 1, column 66: unknown field p.sum"],
        ),
        (
            "{% if deal.amunt > 5 %}{% endif %}",
            ["line 1, column 7: unknown field deal.amunt, did you mean deal.amount?"],
        ),
        (
            "{% case deal.titl %}{% when contact.nam %}{% endcase %}",
            [
                "line 1, column 9: unknown field deal.titl, did you mean deal.title?",
                "line 1, column 29: unknown field contact.nam, did you mean contact.name?",
            ],
        ),
        (
            "{{ 'a' | append: deal.tile }}",
            ["line 1, column 18: unknown field deal.tile, did you mean deal.title?"],
        ),
        ("{{ deal }}", ["line 1, column 4: deal holds several fields, name one such as deal.id"]),
        ("{{ now }}", ["line 1, column 4: unknown field now"]),
        ("{{ results.x }}", ["line 1, column 4: unknown field results.x"]),
        ("{{ deal.title.foo }}", ["line 1, column 4: unknown field deal.title.foo"]),
        ("{{ deal['custom.x'] }}", ["line 1, column 4: unknown field deal['custom.x']"]),
        (
            "{{ deal[contact.name] }}",
            [
                "line 1, column 4: unknown field deal[contact.name], did you mean contact.name?",
            ],
        ),
        (
            "{{ deal.products }}",
            [
                "line 1, column 4: deal.products is no text; loop over the rows and name a column",
            ],
        ),
        ("{{ deal.title", ["line 1, column 1: expected '}}', found end of file"]),
    ],
)
def test_what_is_wrong_with_a_text_is_named_with_its_place(text: str, reasons: list[str]) -> None:
    assert check(text, DEAL) == reasons


def test_a_lead_has_no_fields_of_a_deal() -> None:
    assert check("{{ deal.title }}", Catalogue.of(ItemType.LEAD)) == [
        "line 1, column 4: unknown field deal.title, did you mean lead.title?"
    ]


def test_a_thousand_mistakes_are_not_all_told() -> None:
    assert len(check("{{ deal.titel }}" * 1000, DEAL)) < 30


pieces = st.lists(
    st.sampled_from(
        [
            *("{{ ", " }}", "{% if ", "{% for p in ", "{% assign a = ", " %}", "{% endif %}"),
            *("{% endfor %}", "{% case ", "{% when ", "{% endcase %}", "{% else %}", "{% raw %}"),
            *("deal.title", "deal.products", "deal.amount", "deal.created_at", "p.price", "a"),
            *("deal.source", "nil", "(1..3)", "1e9", "-5", "'x'", "[0]", ".first", ".size"),
            *(" | ", ": ", ", ", "money", "date", "upcase", "join", "sum", "round", "replace"),
            *(
                " and ",
                " contains ",
                " == ",
                " < ",
                " limit: ",
                " locale: ",
                " zone: ",
                "'UTC'",
                "\n",
                "{",
                "}",
                "é",
            ),
        ]
    ),
    max_size=12,
)


@given(pieces.map("".join))
def test_whatever_is_written_is_told_or_rendered(text: str) -> None:
    reasons = check(text, DEAL)

    try:
        result = rendered(text)
    except ActionFailed as failed:
        result = failed.message

    assert all(reasons)
    assert isinstance(result, str)


def test_a_default_is_a_plain_text_and_is_validated() -> None:
    letter = Letter()

    assert letter.subject == "{{ deal.title }}, repeat"
    assert isinstance(letter.subject, TemplateText)
    assert not isinstance(letter.place, TemplateText)


def test_the_texts_of_a_model_are_found_wherever_they_are() -> None:
    letter = Letter(subject="a", lines=["b", "c"], footer="d")
    post = Post(letters=(letter,), headers={"to": "e"})

    assert list(templates_in(post)) == [
        ("/letters/0/subject", "a"),
        ("/letters/0/lines/0", "b"),
        ("/letters/0/lines/1", "c"),
        ("/letters/0/footer", "d"),
        ("/headers/to", "e"),
    ]


def test_a_model_with_texts_survives_json() -> None:
    letter = Letter(subject="{{ deal.id }}", lines=["x"])

    again = Letter.model_validate_json(letter.model_dump_json())

    assert again == letter
    assert isinstance(again.subject, TemplateText)


def test_the_form_of_a_model_shows_which_texts_take_fields() -> None:
    properties = Letter.model_json_schema()["properties"]

    assert properties["subject"] == {
        "type": "string",
        "format": "template",
        "maxLength": 20_000,
        "default": "{{ deal.title }}, repeat",
        "title": "Subject",
    }
    assert "format" not in properties["place"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Dear\n{% if %}", "line 2, column 4: missing expression"),
        ("x" * 20_001, "longer than 20000 characters"),
        (5, "valid string"),
    ],
)
def test_an_unreadable_text_is_refused_with_its_place(text: object, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TEMPLATE.validate_python(text)

    assert reason in refused.value.errors()[0]["msg"]


OPTIONS = {
    '{{ deal.amount | money: locale: "de_DE" }}': "1.234,50 €",
    '{{ deal.amount | money: "USD", locale: "pl-PL" }}': "1 234,50 USD",
    '{{ deal.amount | number: locale: "fr" }}': "1 234,5",
    '{{ deal.close_date | date: locale: "de" }}': "31.08.2026",
    '{{ deal.created_at | date: "short", zone: "Pacific/Auckland", locale: "de" }}': "01.07.26",
    '{{ deal.created_at | datetime: "short", zone: "Asia/Tokyo", locale: "de" }}': (
        "01.07.26, 17:05"
    ),
    '{{ deal.created_at | datetime: "HH:mm", zone: "America/New_York" }}': "04:05",
    "{{ deal.created_at | datetime: 'HH:mm', zone: nil }}": "10:05",
    '{% assign z = "Asia/Tokyo" %}{{ deal.created_at | datetime: "HH:mm", zone: z }}': "17:05",
    "{{ false | default: 'x', allow_false: true }}": "false",
}


@pytest.mark.parametrize(("text", "result"), OPTIONS.items())
def test_a_filter_may_say_locale_and_zone_instead_of_the_reader(text: str, result: str) -> None:
    assert check(text, DEAL) == []
    assert plain(rendered(text)) == result


def test_a_filter_leaves_the_reader_as_they_are_for_what_follows() -> None:
    text = '{{ deal.amount | money: locale: "de" }} {{ deal.amount | money }}'

    assert plain(rendered(text)) == "1.234,50 € €1,234.50"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '{{ deal.amount | money: locale: "de_DX" }}',
            "line 1, column 25: money: unknown locale de_DX, did you mean de_DE?",
        ),
        ('{{ 5 | number: locale: "" }}', "line 1, column 16: number: unknown locale (empty)"),
        (
            '{{ deal.created_at | datetime: "short", zone: "Asia/Tokio" }}',
            "line 1, column 41: datetime: unknown time zone Asia/Tokio, did you mean Asia/Tokyo?",
        ),
        (
            "{{ deal.created_at | date: zone: '../../etc/passwd' }}",
            "line 1, column 28: date: unknown time zone ../../etc/passwd",
        ),
        (
            "{{ 5 | money: lokale: 'de' }}",
            "line 1, column 15: money: unknown option lokale, did you mean locale?",
        ),
        ("{{ 5 | number: zone: 'UTC' }}", "line 1, column 16: number: unknown option zone"),
        ("{{ 5 | money: reader: 5 }}", "line 1, column 15: money: unknown option reader"),
        ("{{ 'a' | upcase: locale: 'de' }}", "line 1, column 18: upcase: unknown option locale"),
        (
            "{{ 'a' | upcase: allow_false: true }}",
            "line 1, column 18: upcase: unknown option allow_false",
        ),
    ],
)
def test_an_unknown_locale_zone_or_option_is_refused_before_and_fails_after(
    text: str, reason: str
) -> None:
    assert check(text, DEAL) == [reason]
    with pytest.raises(ActionFailed) as failed:
        rendered(text)
    assert failed.value.message.endswith(reason.removeprefix("line 1, ").partition(": ")[2])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ deal.created_at | date: zone: deal.title }}", "date: unknown time zone Roof"),
        ("{{ deal.amount | money: locale: deal.title }}", "money: unknown locale Roof"),
        ("{{ deal.amount | money: locale: 5 }}", "money: 5 is no locale such as de_DE"),
        ("{{ deal.amount | money: locale: deal.products }}", "is no locale such"),
        ("{{ deal.created_at | date: zone: deal.comments }}", "date: unknown time zone xxx"),
        ("{{ deal.amount | money: locale: deal.comments }}", "money: unknown locale xxx"),
        ("{{ deal.created_at | date: 'short', 'Asia/Tokyo' }}", "date: "),
        ("{{ deal.amount | money: 'EUR', 'de' }}", "money: "),
    ],
)
def test_a_locale_or_zone_that_is_none_when_the_text_is_rendered_fails_the_action(
    text: str, reason: str
) -> None:
    with pytest.raises(ActionFailed) as failed:
        rendered(text, VALUES | {"deal.comments": "x" * 50_000})

    assert reason in failed.value.message
    assert len(failed.value.message) < 300


@pytest.mark.parametrize("text", ["{{ 'AA==' | base64_decode }}", "{{ '%00' | url_decode }}"])
def test_a_text_that_no_database_could_store_fails_the_action(text: str) -> None:
    with pytest.raises(ActionFailed, match=r"U\+0000"):
        rendered(text)


FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize("moment", [FIRST, LAST])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_time_at_the_end_of_the_calendar_is_told_or_fails_the_action(
    moment: datetime, zone: str
) -> None:
    values = {"deal.created_at": moment}
    text = f"{{{{ deal.created_at | datetime: zone: '{zone}' }}}}{{{{ deal.created_at }}}}"

    try:
        result = rendered(text, values)
    except ActionFailed as failed:
        result = failed.message

    assert result


PEOPLE = Catalogue.of(
    ItemType.DEAL,
    [
        CrmField("engineer", "Engineer", FieldKind.USER),
        CrmField("colours", "Colours", FieldKind.MULTI, choices=("red", "blue")),
        CrmField("size", "Size", FieldKind.LIST, choices=("S", "M")),
    ],
)

OF_PEOPLE: dict[str, object] = {
    "deal.custom.engineer": 7,
    "deal.custom.engineer.name": "Ann",
    "deal.custom.engineer.email": None,
    "deal.custom.colours": ["red", "blue"],
    "deal.custom.size": "M",
    "responsible.id": 7,
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ deal.custom.engineer }}", "Ann"),
        ("{{ deal.custom.engineer.name }}[{{ deal.custom.engineer.email }}]", "Ann[]"),
        ("{{ deal.custom.engineer | upcase | append: '!' }}", "ANN!"),
        ("{% if deal.custom.engineer == responsible.id %}same{% endif %}", "same"),
        ("{{ deal.custom.colours }}", "red, blue"),
        ("{{ deal.custom.colours.first }} of {{ deal.custom.colours.size }}", "red of 2"),
        ("{% for each in deal.custom.colours %}{{ each }};{% endfor %}", "red;blue;"),
        ("{% if deal.custom.colours contains 'red' %}red{% endif %}", "red"),
        ("{{ deal.custom.size }}{{ deal.custom.size.size }}", "M1"),
    ],
)
def test_users_and_choices_are_told_as_people_would(text: str, result: str) -> None:
    assert check(text, PEOPLE) == []
    assert rendered(text, OF_PEOPLE) == result


def test_a_user_who_is_not_chosen_reads_as_nothing() -> None:
    values = OF_PEOPLE | {"deal.custom.engineer": None, "deal.custom.engineer.name": None}

    assert rendered("[{{ deal.custom.engineer }}]", values) == "[]"
    assert rendered("{{ deal.custom.engineer | default: 'nobody' }}", values) == "nobody"


def test_what_a_user_does_not_tell_is_refused() -> None:
    [reason] = check("{{ deal.custom.engineer.emial }}", PEOPLE)

    assert reason.endswith("did you mean deal.custom.engineer.email?")


def test_a_format_of_another_language_is_refused() -> None:
    text = "{{ deal.created_at | date: '%Y' }}"

    with pytest.raises(ActionFailed, match="written like dd"):
        render(text, {"deal.created_at": FIRST}, locale="en", zone="UTC")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ deal.close_date }} {{ deal.created_at }}", "2026-08-31 2026-07-01T08:05:00+00:00"),
        ("{{ deal.amount }}", "1234.50"),
        ("{{ deal.products | map: 'name' }}", "Roof\nGutter"),
        ("{{ deal.source }}", ""),
        ("{{ deal.close_date | date: 'dd.MM.yyyy' }}", "31.08.2026"),
    ],
)
def test_for_a_machine_dates_are_exact_and_each_of_several_values_has_a_line(
    text: str, result: str
) -> None:
    assert render(text, VALUES, locale="de", zone="Europe/Berlin", exact=True) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("/{{ deal.title }}/", "/LATHE/"),
        ("a{% if deal.title %}b{{ deal.title | append: 'c' }}{% endif %}", "abLATHEC"),
        ("{% assign x = deal.title %}{{ x }}x", "LATHEx"),
        ("{% for p in deal.product_rows %}p{{ p.name }}{% endfor %}p", "pLATHEpGREASEp"),
    ],
)
def test_only_what_is_filled_in_is_escaped(text: str, result: str) -> None:
    rows = [{"name": "Lathe"}, {"name": "Grease"}]
    values = {"deal.title": "Lathe", "deal.product_rows": rows}

    assert render(text, values, locale="en", zone="UTC", escape=str.upper) == result
