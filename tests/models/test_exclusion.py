"""The exceptions list: in which form its values are compared."""

from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.provisional import domains

from models.contact_point import ContactPoint, email, phone
from models.database import Database
from models.errors import Invalid
from models.excluding import exclude
from models.exclusion import (
    Exclusion,
    ExclusionKind,
    excluded_among,
    exclusions_of,
    read_value,
)

LETTERS = st.characters(categories=["Lu", "Ll", "Lt", "Lo", "Nd"])
ACCENTS = st.sampled_from(["", "\u0301", "\u0308"])
local_parts = st.builds(str.__add__, st.text(LETTERS, min_size=1, max_size=10), ACCENTS)
ascii_parts = st.text(ascii_letters + digits, min_size=1, max_size=10)
hosts = domains(max_length=60).filter(lambda name: not name.endswith(".arpa"))


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (ExclusionKind.PHONE, "030 1234567", "+49301234567"),
        (ExclusionKind.PHONE, "+48 600 100 200 ext. 5", "+48600100200"),
        (ExclusionKind.EMAIL, " Anna@Example.COM ", "anna@example.com"),
        (ExclusionKind.EMAIL, "STRASSE@example.com", "strasse@example.com"),
        (ExclusionKind.EMAIL, "straße@example.com", "strasse@example.com"),
        (ExclusionKind.EMAIL, "ᲂ\u0308@example.com", "ӧ@example.com"),
        (ExclusionKind.EMAIL, "Anna@Straße.de", "anna@straße.de"),
        (ExclusionKind.EMAIL, "anna@xn--mller-kva.de", "anna@müller.de"),
        (ExclusionKind.DOMAIN, "@Firm.com", "firm.com"),
        (ExclusionKind.DOMAIN, " *@firm.com. ", "firm.com"),
        (ExclusionKind.DOMAIN, "Müller.de", "xn--mller-kva.de"),
    ],
)
def test_a_value_is_compared_in_one_form(kind: ExclusionKind, raw: str, value: str) -> None:
    assert read_value(kind, raw, region="DE") == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (ExclusionKind.PHONE, "call me"),
        (ExclusionKind.EMAIL, "anna"),
        (ExclusionKind.DOMAIN, "anna@firm.com"),
        (ExclusionKind.DOMAIN, "localhost"),
        (ExclusionKind.DOMAIN, "*.firm.com"),
        (ExclusionKind.DOMAIN, "firm.com.."),
        (ExclusionKind.DOMAIN, ""),
    ],
)
def test_what_is_no_such_value_is_refused(kind: ExclusionKind, raw: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_value(kind, raw, region="DE")

    assert caught.value.field == "/value"


@given(st.integers(10**6, 10**9).map(str), st.sampled_from(["DE", "PL", "US", "IT"]))
def test_a_phone_compared_twice_is_the_same(raw: str, region: str) -> None:
    once = read_value(ExclusionKind.PHONE, raw, region=region)

    assert read_value(ExclusionKind.PHONE, once, region=region) == once


@given(local_parts, hosts)
def test_an_address_compared_twice_is_the_same(local: str, host: str) -> None:
    once = read_value(ExclusionKind.EMAIL, f"{local}@{host}", region="DE")

    assert read_value(ExclusionKind.EMAIL, once, region="DE") == once


@given(ascii_parts, hosts)
def test_an_address_is_compared_alike_in_capitals_and_not(local: str, host: str) -> None:
    address = f"{local}@{host}"

    small = read_value(ExclusionKind.EMAIL, address.lower(), region="DE")

    assert read_value(ExclusionKind.EMAIL, address.upper(), region="DE") == small


@given(hosts)
def test_a_domain_compared_twice_is_the_same(host: str) -> None:
    once = read_value(ExclusionKind.DOMAIN, host, region="DE")

    assert read_value(ExclusionKind.DOMAIN, once, region="DE") == once


async def listed(database: Database, kind: ExclusionKind, raw: str) -> Exclusion:
    """Put a value on the list."""
    value = read_value(kind, raw, region="DE")
    exclusion = Exclusion(kind=kind, value=value)
    async with database.transaction() as session:
        session.add(exclusion)
    return exclusion


SPELLINGS = [
    (ExclusionKind.PHONE, "030 1234567", phone("+49 (0)30 123-4567", region="US")),
    (ExclusionKind.PHONE, "+48 600 100 200", phone("600100200", region="PL")),
    (ExclusionKind.EMAIL, "Anna@Müller.de", email("ANNA@xn--mller-kva.de")),
    (ExclusionKind.DOMAIN, "@MÜLLER.de", email("anna@müller.DE")),
    (ExclusionKind.DOMAIN, "firm.com.", email("anna@Firm.com")),
]


@pytest.mark.parametrize(("kind", "raw", "who"), SPELLINGS)
async def test_whoever_is_listed_is_found_in_any_spelling(
    database: Database, kind: ExclusionKind, raw: str, who: ContactPoint
) -> None:
    entry = await listed(database, kind, raw)

    async with database.reading() as session:
        found = await exclusions_of(session, [who.value or ""])

    assert {value: each.id for value, each in found.items()} == {who.value: entry.id}


@pytest.mark.parametrize(
    ("kind", "raw", "who"),
    [
        (ExclusionKind.DOMAIN, "firm.com", email("anna@mail.firm.com")),
        (ExclusionKind.DOMAIN, "mail.firm.com", email("anna@firm.com")),
        (ExclusionKind.DOMAIN, "firm.com", email("anna@myfirm.com")),
        (ExclusionKind.DOMAIN, "strasse.de", email("anna@straße.de")),
        (ExclusionKind.EMAIL, "anna@firm.com", email("anna.b@firm.com")),
        (ExclusionKind.PHONE, "030 1234567", phone("030 12345678", region="DE")),
    ],
)
async def test_nobody_else_is_found(
    database: Database, kind: ExclusionKind, raw: str, who: ContactPoint
) -> None:
    await listed(database, kind, raw)

    async with database.reading() as session:
        assert await excluded_among(session, [who.value or ""]) == set()


async def test_an_address_of_its_own_comes_before_its_domain(database: Database) -> None:
    await listed(database, ExclusionKind.DOMAIN, "firm.com")
    own = await listed(database, ExclusionKind.EMAIL, "anna@firm.com")

    async with database.reading() as session:
        found = await exclusions_of(session, ["anna@firm.com"])

    assert found["anna@firm.com"].id == own.id


async def test_what_is_listed_already_is_not_listed_again(database: Database) -> None:
    async with database.transaction() as session:
        await exclude(session, [email("Anna@example.com")], comment="Spam")

    async with database.transaction() as session:
        new = await exclude(
            session,
            [email("anna@EXAMPLE.com"), *two_of("030 1234567"), unreadable()],
            comment="Spam",
        )

    assert [(each.kind, each.value) for each in new] == [(ExclusionKind.PHONE, "+49301234567")]


def two_of(number: str) -> list[ContactPoint]:
    return [phone(number, region="DE"), phone(f"0049 {number}", region="DE")]


def unreadable() -> ContactPoint:
    point = phone("030 7654321", region="DE")
    point.value = None
    return point
