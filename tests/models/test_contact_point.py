"""Phones and addresses: as written, and as compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    ],
)
def test_a_phone_is_compared_with_its_country(
    raw: str, region: str, value: str, extension: str | None
) -> None:
    point = phone(raw, region=region)

    assert (point.kind, point.raw) == (ContactPointKind.PHONE, raw)
    assert (point.value, point.extension) == (value, extension)


@pytest.mark.parametrize("raw", ["", "call me", "1", "anna@example.com", "9" * 17, "1" * 30])
def test_what_holds_no_number_is_no_phone(raw: str) -> None:
    with pytest.raises(Invalid) as caught:
        phone(raw, region="DE", field="/phones/2")

    assert caught.value.field == "/phones/2"
    assert caught.value.problems[0].reason == f"«{raw}» is not a phone number."


@given(st.integers(10**6, 10**9).map(str), st.sampled_from(["DE", "PL", "US", "IT", "GB"]))
def test_a_phone_read_twice_is_the_same(raw: str, region: str) -> None:
    once = phone(raw, region=region).value or ""

    assert phone(once, region="FR").value == once


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
