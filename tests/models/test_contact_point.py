"""Phones and addresses: as written, and as compared."""

from collections.abc import Callable

import idna
import phonenumbers
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, format_number

from models.contact import Contact
from models.contact_point import ContactPoint, ContactPointKind, email, phone, replace_points
from models.errors import Invalid


@pytest.mark.parametrize(
    ("raw", "region", "value", "extension"),
    [
        ("600 100 200", "PL", "+48600100200", None),
        ("600 100 200", "DE", "+49600100200", None),
        ("+48 600-100-200", "DE", "+48600100200", None),
        ("0048 600 100 200", "PL", "+48600100200", None),
        ("(030) 1234567", "DE", "+49301234567", None),
        ("030 1234567 ext. 5", "DE", "+49301234567", "5"),
        ("030/1234567x99", "DE", "+49301234567", "99"),
        ("tel:+49-30-1234567;ext=5;npdi", "DE", "+49301234567", "5"),
        ("tel:030-1234567;phone-context=+49", "PL", "+49301234567", None),
        ("sip:+49301234567@pbx.example", "PL", "+49301234567", None),
        ("SIPS:+49-30-1234567;ext=5:secret@[::1]:5061;user=phone", "PL", "+49301234567", "5"),
        (
            '"Anna Berg 2" <sip:%2B49301234567@pbx.example;transport=tcp>;tag=7',
            "PL",
            "+49301234567",
            None,
        ),
        ("sip:030-1234567;phone-context=+49@pbx.example", "PL", "+49301234567", None),
        ("sip:+49301234567", "PL", "+49301234567", None),
        ("sip:0301234567@10.0.0.1", "DE", "+49301234567", None),
    ],
)
def test_a_phone_is_compared_with_its_country(
    raw: str, region: str, value: str, extension: str | None
) -> None:
    point = phone(raw, region=region)

    assert (point.kind, point.raw) == (ContactPointKind.PHONE, raw)
    assert (point.value, point.extension) == (value, extension)


@pytest.mark.parametrize(
    ("raw", "region", "value"),
    [
        ("491714444444", "DE", "+491714444444"),
        ("(49) 171 / 4444444 ext. 7", "DE", "+491714444444"),
        ("493012345678", "DE", "+493012345678"),
        ("491714444444", "PL", "+491714444444"),
        ("491714444444", "US", "+491714444444"),
        ("491714444444", "SG", "+491714444444"),
        ("48600100200", "PL", "+48600100200"),
        ("1 (650) 253-0000", "DE", "+16502530000"),
        ("48600100200", "DE", "+48600100200"),
        ("sip:33612345678@pbx.example", "DE", "+33612345678"),
        ("48 600 100 200", "DE", "+48600100200"),
        ("4520123456", "PL", "+4520123456"),
        ("468123456", "SE", "+468123456"),
        ("49171 4444444", "DE", "+491714444444"),
    ],
)
def test_a_phone_with_its_country_in_front_needs_no_plus(raw: str, region: str, value: str) -> None:
    assert phone(raw, region=region).value == value


@pytest.mark.parametrize(
    ("raw", "region", "value"),
    [
        ("0491714444", "DE", "+49491714444"),
        ("30 1234567", "DE", "+49301234567"),
        ("15123456789", "DE", "+4915123456789"),
        ("600 100 200", "DE", "+49600100200"),
        ("29 821 23 45", "PL", "+48298212345"),
        ("29 821 23 45 ext. 5", "PL", "+48298212345"),
        ("659-876-5432", "US", "+16598765432"),
        ("393 1234567", "IT", "+393931234567"),
        ("9198765432", "IN", "+919198765432"),
        ("123", "DE", "+49123"),
        ("299221234", "FR", "+33299221234"),
        ("298551234", "FR", "+33298551234"),
        ("298765432", "AU", "+61298765432"),
        ("299 412 345", "NL", "+31299412345"),
        ("241 2345678", "IN", "+912412345678"),
        ("2412345678", "IN", "+912412345678"),
        ("479 245 1234", "IN", "+914792451234"),
        ("6582 256123", "IN", "+916582256123"),
        ("(47467) 2-12-34", "RU", "+74746721234"),
        ("791 86123456", "CN", "+8679186123456"),
        ("3361 2345678", "DE", "+4933612345678"),
        ("4921 12345", "DE", "+49492112345"),
    ],
)
def test_a_phone_as_it_is_written_at_home_is_one_of_the_country(
    raw: str, region: str, value: str
) -> None:
    assert phone(raw, region=region).value == value


@pytest.mark.parametrize(
    ("raw", "region", "value"),
    [
        ("431-2345", "US", "+14312345"),
        ("352-9931", "US", "+13529931"),
        ("4312-3456", "AR", "+5443123456"),
        ("4933-7296", "AR", "+5449337296"),
        ("9876 5432", "AU", "+6198765432"),
        ("431 2345", "GB", "+444312345"),
    ],
)
def test_a_local_number_without_its_area_is_of_no_other_country(
    raw: str, region: str, value: str
) -> None:
    assert phone(raw, region=region).value == value


@pytest.mark.parametrize(
    ("raw", "region", "value", "extension"),
    [
        ("Tel: 030 1234567 ext. 45", "DE", "+49301234567", "45"),
        ("tel: +49 30 1234567 x45", "PL", "+49301234567", "45"),
        ("Tel: 1-800-FLOWERS", "US", "+18003569377", None),
        ("tel:+1-800-FLOWERS", "US", "+18003569377", None),
    ],
)
def test_a_phone_may_hold_words(raw: str, region: str, value: str, extension: str | None) -> None:
    point = phone(raw, region=region)

    assert (point.value, point.extension) == (value, extension)


@pytest.mark.parametrize(
    "raw",
    [
        *("", "call me", "1", "anna@example.com", "9" * 17, "1" * 30),
        *("sip:anna@pbx.example", "sip:anna204@pbx.example", "sip:192.168.1.1", "tel:", "sip:@"),
    ],
)
def test_what_holds_no_number_is_no_phone(raw: str) -> None:
    with pytest.raises(Invalid) as caught:
        phone(raw, region="DE", field="/phones/2")

    assert caught.value.field == "/phones/2"
    assert caught.value.problems[0].reason == f"«{raw}» is not a phone number."


COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)

regions = st.sampled_from(COUNTRIES)
pieces = st.text("0123456789+-()/. ", min_size=5, max_size=20)
typed = st.builds(
    str.format, st.sampled_from(["0{}12", "{}12", "sip:{}12@pbx.example", "tel:{}12"]), pieces
)
"""What people type, and phone systems tell; each holds digits."""


def readable(raw: str, region: str) -> str:
    """Return the value of a phone; what is none is not the subject."""
    try:
        return phone(raw, region=region).value or ""
    except Invalid:
        reject()


@given(typed, regions, regions)
def test_a_phone_read_twice_is_the_same(raw: str, region: str, elsewhere: str) -> None:
    once = readable(raw, region)

    assert phone(once, region=elsewhere).value == once


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("00066659", "CX"),
        ("8 80 555 73280", "LT"),
        ("040 8633737", "JE"),
        ("1 1 5965038", "MH"),
        ("000844 756-5598", "HR"),
    ],
)
def test_a_phone_with_more_prefixes_than_it_needs_is_the_same_when_read_again(
    raw: str, region: str
) -> None:
    once = phone(raw, region=region).value or ""

    assert phone(once, region=region).value == once


NUMBERS = [
    (region, found)
    for region in COUNTRIES
    for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.VOIP)
    if (found := phonenumbers.example_number_for_type(region, kind)) is not None
]
"""Real numbers of every country, and where each is one of the country's own."""

SPELLINGS: list[Callable[[str, PhoneNumber], str]] = [
    lambda _, number: format_number(number, PhoneNumberFormat.INTERNATIONAL),
    lambda _, number: format_number(number, PhoneNumberFormat.RFC3966),
    lambda _, number: format_number(number, PhoneNumberFormat.NATIONAL),
    lambda _, number: format_number(number, PhoneNumberFormat.INTERNATIONAL).replace(" ", "-"),
    lambda _, number: format_number(number, PhoneNumberFormat.INTERNATIONAL).replace(" ", "/"),
    lambda _, number: f" {format_number(number, PhoneNumberFormat.E164)} ",
    lambda _, number: f"{format_number(number, PhoneNumberFormat.INTERNATIONAL)} ext. 12",
    lambda region, number: phonenumbers.format_out_of_country_calling_number(number, region),
    lambda _, number: format_number(number, PhoneNumberFormat.E164).removeprefix("+"),
    lambda _, number: f"sip:{format_number(number, PhoneNumberFormat.E164)}@pbx.example:5060",
    lambda _, number: (
        f"<sips:{format_number(number, PhoneNumberFormat.E164)[1:]}@[::1];user=phone>"
    ),
]
"""How people write them who are at home there."""


@given(st.sampled_from(NUMBERS), st.sampled_from(SPELLINGS), regions)
def test_another_spelling_of_a_number_is_the_same_number(
    known: tuple[str, PhoneNumber], spelling: Callable[[str, PhoneNumber], str], elsewhere: str
) -> None:
    region, number = known
    value = format_number(number, PhoneNumberFormat.E164)

    assert phone(spelling(region, number), region=region).value == value
    assert phone(value, region=elsewhere).value == value


names = st.from_regex(r"[a-zA-Z0-9äöüßéłżПриветΣς_+-]{1,12}(\.[a-zA-Z0-9]{1,8})?", fullmatch=True)
hosts = st.sampled_from(
    [
        "example.com",
        "Firm.EXAMPLE",
        "müller.de",
        "xn--mller-kva.de",
        "straße.de",
        "δοκιμή.gr",
        "中国.cn",
    ]
)


@given(names, hosts, st.sampled_from(["", " ", "\n", "\t"]))
def test_an_address_read_twice_is_the_same(name: str, host: str, around: str) -> None:
    once = email(f"{around}{name}@{host}{around}").value or ""

    assert email(once).value == once


@given(names, hosts)
def test_of_a_domain_no_spelling_counts(name: str, host: str) -> None:
    value = email(f"{name}@{host}").value
    ascii_host = idna.encode(host.lower(), uts46=True).decode()

    assert email(f"{name}@{ascii_host.upper()}").value == value
    assert email(f"{name}@{host.lower()}").value == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("Anna@Example.COM", "Anna@example.com"),
        (" anna@example.com\n", "anna@example.com"),
        ("anna@xn--mller-kva.de", "anna@müller.de"),
    ],
)
def test_an_address_is_compared_in_its_normal_form(raw: str, value: str) -> None:
    point = email(raw)

    assert (point.kind, point.raw, point.value) == (ContactPointKind.EMAIL, raw, value)


@pytest.mark.parametrize("raw", ["", "anna", "anna@", "anna@localhost", "Anna <anna@example.com>"])
def test_what_nobody_could_write_to_is_no_address(raw: str) -> None:
    with pytest.raises(Invalid, match="is not an e-mail address") as caught:
        email(raw, field="/emails/0")

    assert caught.value.field == "/emails/0"


def test_phones_are_replaced_and_addresses_stay() -> None:
    anna = Contact(contact_points=[phone("030 11111", region="DE"), email("anna@example.com")])

    replace_points(anna, phones=["030 22222"], emails=None, region="DE")

    assert (anna.phones, anna.emails) == (["030 22222"], ["anna@example.com"])


def test_what_could_never_be_read_may_stay_but_not_come() -> None:
    unread = ContactPoint(kind=ContactPointKind.PHONE, raw="ask Eva", value=None)
    anna = Contact(contact_points=[unread])

    replace_points(anna, phones=["030 22222", "ask Eva"], emails=[], region="DE")

    assert anna.phones == ["030 22222", "ask Eva"]
    with pytest.raises(Invalid, match="ask Max"):
        replace_points(anna, phones=["ask Max"], emails=[], region="DE")
