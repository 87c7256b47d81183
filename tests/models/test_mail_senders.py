"""Senders of mail: known in every spelling that mail allows, and in those that programs make up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.mail_reading import read_mail

SQ = "sq@spam.example"

SPELLINGS = [
    "'sq@spam.example'",
    "<'sq@spam.example'>",
    "\"'sq@spam.example'\" <'sq@spam.example'>",
    "Sq 'sq@spam.example'",
    "\u2018sq@spam.example\u2019",
    "\u201esq@spam.example\u201c",
    "\u00absq@spam.example\u00bb",
    "`sq@spam.example\u00b4",
    "{sq@spam.example}",
    "*sq@spam.example*",
    "'sq@spam.example.'",
    "'sq@spam.example'.",
    "' sq@spam.example '",
    "sq@spam.example\0'",
    "sq\x07@spam.ex\u200bample",
    "sq@spam.example!",
    "sq @ spam.example",
    "sq@ spam.example",
    "sq @spam.example",
    "<sq @ spam.example>",
    "<  sq\t@\t spam . example  >",
    "sq@spam . example",
    "sq@spam. example .",
    "Sq <sq @ spam.example>",
    "Sq sq @ spam.example",
    "sq (x) @spam.example",
    "sq (x) @ (y) spam (z) . (w) example (v)",
    "(x) sq(y)@spam.example",
    "<sq (x (y)) @spam.example>",
    '"sq"@spam.example',
    '<"sq"@spam.example>',
    '"Sq" <"s\\q"@spam.example>',
    "<sq\\@spam.example>",
    "sq\r\n @\r\n spam.example",
    f"sq{' ' * 400}@spam.example",
    f"<{' ' * 400}sq@spam.example{' ' * 400}>",
    f"'sq@spam.example{'!' * 400}'",
    "=?utf-8?q?'sq=40spam.example'?=",
    "=?utf-8?q?sq_=40_spam.example?=",
    "friends: sq @ spam.example, 'anna@berg.example';",
]


@pytest.mark.parametrize("written", SPELLINGS)
def test_a_sender_is_known_in_every_spelling(written: str) -> None:
    mail = read_mail(f"From: {written}\r\n\r\nBuy!\r\n".encode())

    assert mail.sender == SQ
    assert SQ in mail.senders


def test_an_address_in_quotes_is_nobodys_name() -> None:
    mail = read_mail(b"From: \"'sq@spam.example'\" <'SQ@spam.example'>\r\n\r\nBuy!\r\n")

    assert (mail.sender, mail.sender_name) == ("SQ@spam.example", "")


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        ("'anna@berg.example", "'anna@berg.example"),
        ("o'hara@berg.example", "o'hara@berg.example"),
        ("<'o'hara@berg.example'>", "o'hara@berg.example"),
        ("Dr. anna@berg.example", "anna@berg.example"),
        ("Anna Berg anna@berg.example", "anna@berg.example"),
        ("Anna @ Berg <anna@berg.example>", "anna@berg.example"),
        ("anna{x}@berg.example", "anna{x}@berg.example"),
        ("info@firma.de. Dr. Berg", "info@firma.de"),
        ("Anna Berg anna@berg.example. Sales", "anna@berg.example"),
        ("<anna@berg.example. Sales>", "anna@berg.example"),
        ("Support @ Booking.com noreply@booking.com", "noreply@booking.com"),
        ("Support @ Booking.com noreply@booking.com, Bo <bo@berg.example>", "noreply@booking.com"),
    ],
)
def test_nobody_is_taken_for_somebody_else(written: str, sender: str) -> None:
    assert read_mail(f"From: {written}\r\n\r\nHello\r\n".encode()).sender == sender


@pytest.mark.parametrize(
    ("written", "senders"),
    [
        ("info@firma.de. Dr. Berg", ("info@firma.de",)),
        (
            "Anna Berg anna@berg.example. Sales, Bo <bo@berg.example>",
            ("anna@berg.example", "bo@berg.example"),
        ),
    ],
)
def test_words_after_an_address_are_none_of_its_domain(
    written: str, senders: tuple[str, ...]
) -> None:
    assert read_mail(f"From: {written}\r\n\r\nHello\r\n".encode()).senders == senders


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
def test_what_tells_one_domain_from_another_is_not_left_out(joiner: str) -> None:
    mail = read_mail(f"From: sq@نامه{joiner}ای.com\r\n\r\nHello\r\n".encode())

    assert mail.sender != "sq@نامهای.com"
    assert mail.sender_raw == f"sq@نامه{joiner}ای.com"


def test_what_cannot_be_seen_at_the_end_is_none_of_the_domain() -> None:
    assert read_mail(f"From: {SQ}\u200d\r\n\r\nBuy!\r\n".encode()).sender == SQ


@pytest.mark.parametrize("written", ["a@b ", "a @ b ", "a@b,", "a @", "x\u200c@"])
def test_a_sender_is_looked_for_in_very_many_words_soon(written: str) -> None:
    mail = read_mail(f"From: {written * 20_000}\r\n\r\nBuy!\r\n".encode())

    assert mail.sender is None


@pytest.mark.parametrize("written", ["sq spam.example", "sq x @", "@ spam.example", "' @ '", "!"])
def test_what_names_nobody_is_not_made_an_address(written: str) -> None:
    mail = read_mail(f"From: {written}\r\n\r\nBuy!\r\n".encode())

    assert (mail.sender, mail.sender_raw) == (None, written)


pieces = st.lists(
    st.sampled_from(
        [*"'\"<>()@.,:;\\ !*", "sq", "spam", "example", "sq@spam.example", "\u2018", "\r\n "]
    ),
    max_size=20,
).map("".join)


@given(pieces)
def test_a_sender_that_was_read_reads_as_the_same(written: str) -> None:
    once = read_mail(f"From: {written}\r\n\r\n".encode()).sender or SQ

    assert read_mail(f"From: {once}\r\n\r\n".encode()).sender == once
    assert read_mail(f"From: <{once}>\r\n\r\n".encode()).sender == once
