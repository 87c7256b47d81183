"""Reading mail: whatever has come, something can be said of it, soon."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.fields import UNSTORABLE
from models.mail_headers import MOST_RECIPIENTS
from models.mail_reading import MOST_ATTACHMENTS, Attachment, IncomingMail, read_mail
from models.mail_text import LONGEST_TEXT
from tests.fixtures.hostile_mail import HOSTILE, nested

PLAIN = b"""\
From: Ann Lee <Ann.Lee@Firm.Example.COM>
To: Sales <sales@ours.example.com>, "Bo, the boss" <bo@ours.example.com>
Cc: sales@ours.example.com, team: cy@ours.example.com, dee@ours.example.com;
Reply-To: office@firm.example.com
Subject: A roof
Date: Mon, 30 Aug 2027 09:30:00 +0200
Message-ID: <17@firm.example.com>
In-Reply-To: <3@ours.example.com>
References: <1@ours.example.com> <2@ours.example.com> <3@ours.example.com>

Hello,

how much is a roof?
"""

ALTERNATIVES = b"""\
From: ann@firm.example.com
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: multipart/alternative; boundary=outer-inner

--outer-inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

How much is a r=C3=B6=C3=B6f?
--outer-inner
Content-Type: text/html

<p>How much is a <b>roof</b>?</p>
--outer-inner--
--outer
Content-Type: image/png; name="roof.png"
Content-Transfer-Encoding: base64

YWJjZA==
--outer
Content-Type: application/pdf
Content-Disposition: attachment; filename*0*=utf-8''R%C3%B6of%20; filename*1="of ours.pdf"

12345678
--outer--
"""


def stands_up(raw: bytes) -> IncomingMail:
    """Read a mail and see that all of it can be stored."""
    mail = read_mail(raw)
    files = [each for file in mail.attachments for each in (file.name, file.media_type)]
    addresses = [mail.sender or "", mail.reply_to or "", *mail.recipients]
    ids = [mail.message_id or "", *mail.references]
    lines = [mail.sender_name, mail.sender_raw, mail.subject, *files, *addresses, *ids]
    assert not any(UNSTORABLE.search(each) or "\n" in each for each in lines)
    assert not UNSTORABLE.search(mail.text)
    assert max(map(len, lines)) <= 1000
    assert len(mail.text) <= LONGEST_TEXT
    assert mail.sent_at is None or mail.sent_at.tzinfo is UTC
    return mail


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_an_ordinary_mail_is_read_whatever_ends_its_lines(line_end: bytes) -> None:
    mail = read_mail(PLAIN.replace(b"\n", line_end))

    assert mail == IncomingMail(
        sender="Ann.Lee@firm.example.com",
        sender_name="Ann Lee",
        sender_raw="Ann.Lee@Firm.Example.COM",
        senders=("Ann.Lee@firm.example.com",),
        recipients=(
            "sales@ours.example.com",
            "bo@ours.example.com",
            "cy@ours.example.com",
            "dee@ours.example.com",
        ),
        reply_to="office@firm.example.com",
        subject="A roof",
        text="Hello,\n\nhow much is a roof?",
        message_id="<17@firm.example.com>",
        references=("<3@ours.example.com>", "<2@ours.example.com>", "<1@ours.example.com>"),
        sent_at=datetime(2027, 8, 30, 7, 30, tzinfo=UTC),
        automatic=None,
        attachments=(),
    )
    assert not mail.is_automatic


def test_the_text_is_the_plain_one_and_files_are_told_by_name_kind_and_size() -> None:
    mail = read_mail(ALTERNATIVES)

    assert mail.text == "How much is a rööf?"
    assert mail.attachments == (
        Attachment("roof.png", "image/png", 4),
        Attachment("Röof of ours.pdf", "application/pdf", 8),
    )


def test_what_python_writes_is_read_as_it_was_meant() -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Jürgen Müller <jm@müller.de>"
    message["To"] = ", ".join(f"Nº {number} <n{number}@firm.com>" for number in range(20))
    message["Subject"] = "Ein sehr langer Betreff über Ärger, Öfen, Übel und vieles mehr " * 2
    message.set_content("Schöne Grüße\n\n-- \nJürgen\n", cte="base64")
    message.add_alternative("<p>Schöne Grüße</p>", subtype="html")
    message.add_attachment(bytes(1000), maintype="image", subtype="png", filename="Öfen.png")

    mail = stands_up(message.as_bytes())

    assert (mail.sender, mail.sender_name) == ("jm@müller.de", "Jürgen Müller")
    assert mail.recipients == tuple(f"n{number}@firm.com" for number in range(20))
    assert mail.subject == str(message["Subject"]).strip()
    assert mail.text == "Schöne Grüße\n\n--\nJürgen"
    assert mail.attachments == (Attachment("Öfen.png", "image/png", 1000),)


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_mail_is_read_as_far_as_it_goes(raw: bytes) -> None:
    mail = stands_up(raw)

    assert mail.sender in {None, "ann@firm.com"}
    assert len(mail.recipients) <= MOST_RECIPIENTS
    assert len(mail.attachments) <= MOST_ATTACHMENTS


GROWING: dict[str, Callable[[int], bytes]] = {
    "text": lambda size: b"From: a@b.com\n\n" + b"word " * size,
    "headers": lambda size: b"a: b\n" * size,
    "folds": lambda size: b"Subject: a" + b"\n b" * size,
    "recipients": lambda size: b"To: " + b"a@b.com, " * size,
    "remarks": lambda size: b"From: " + b"()" * size,
    "quotes": lambda size: b"From: " + b'\\"' * size,
    "words": lambda size: b"Subject: " + b"=?a?q?" * size,
    "ids": lambda size: b"References: " + b"<" * size,
    "parameters": lambda size: b"Content-Type: a/b" + b";a=" * size,
    "levels": nested,
    "parts": lambda size: b"Content-Type: multipart/x; boundary=b\n\n" + b"--b\na:b\n\n" * size,
    "nearly parts": lambda size: b"Content-Type: multipart/x; boundary=b\n\n" + b"--bb\n" * size,
    "tags": lambda size: b"Content-Type: text/html\n\n" + b"<a '" * size,
    "blocks": lambda size: b"Content-Type: text/html\n\n" + b"<div>" * size,
    "remarks in markup": lambda size: b"Content-Type: text/html\n\n" + b"<!--" * size,
}


@pytest.mark.parametrize("grown", GROWING.values(), ids=GROWING.keys())
def test_twice_the_mail_is_at_most_twice_the_work(grown: Callable[[int], bytes]) -> None:
    once, twice = lines_run(grown(1000)), lines_run(grown(2000))

    assert twice <= 2.1 * once


OURS = {"mail_headers.py", "mail_reading.py", "mail_text.py"}


def lines_run(raw: bytes) -> int:
    """Count the lines of our own that reading takes."""
    count = 0

    def note(frame: FrameType, what: str, _argument: Any) -> Any:
        nonlocal count
        count += what == "line"
        return note if Path(frame.f_code.co_filename).name in OURS else None

    before = sys.gettrace()
    sys.settrace(note)
    try:
        read_mail(raw)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.timeout(20)
@pytest.mark.parametrize("grown", GROWING.values(), ids=GROWING.keys())
def test_megabytes_of_anything_are_read_in_seconds(grown: Callable[[int], bytes]) -> None:
    stands_up(grown(200_000))


@given(st.binary(max_size=2000))
@example(b"From: =?\xff?q?=\xff?=\n\n")
def test_any_bytes_are_a_mail(raw: bytes) -> None:
    stands_up(raw)


PIECES = st.one_of(
    st.sampled_from(
        [
            *(line + b"\n" for line in [*PLAIN.split(b"\n"), *ALTERNATIVES.split(b"\n")]),
            *(
                b"\n",
                b"\r",
                b"\0",
                b"\xff",
                b" ",
                b"=",
                b"?=",
                b"=?utf-7?b?",
                b"(",
                b'"',
                b"<",
                b";",
            ),
            *(b"--outer\n", b"--outer--\n", b"Content-Type: ", b"; charset=utf-16", b"*0*=''%"),
            *(b"Content-Transfer-Encoding: base64\n", b"From: ", b"Date: ", b"\n\n", b"\xc3\xa9"),
            *(b"<script>", b"<!--", b"-->", b"&#", b"message/rfc822\n\n", b"text/html\n\n"),
        ]
    ),
    st.binary(max_size=10),
)


@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_pieces_of_mails_in_any_order_are_a_mail(raw: bytes) -> None:
    stands_up(raw)


@given(
    st.sampled_from([PLAIN, ALTERNATIVES]),
    st.lists(
        st.tuples(st.integers(0, 1200), st.integers(0, 40), st.binary(max_size=8)), max_size=6
    ),
)
def test_damaged_mails_are_mails(raw: bytes, damages: list[tuple[int, int, bytes]]) -> None:
    stands_up(damaged(raw, damages))


def damaged(raw: bytes, damages: list[tuple[int, int, bytes]]) -> bytes:
    """Return a mail with these bytes put in place of so many, one after another."""
    left = bytearray(raw)
    for at, length, put in damages:
        left[at : at + length] = put
    return bytes(left)


@given(st.sampled_from([PLAIN, ALTERNATIVES]), st.integers(0, 1200))
def test_a_mail_that_breaks_off_is_a_mail(raw: bytes, length: int) -> None:
    stands_up(raw[:length])


def messages_of_python() -> list[Path]:
    """Return the mails with which Python tests its own reader, where they are installed."""
    found = find_spec("test") and find_spec("test.test_email")
    return sorted(Path(str(found.origin)).with_name("data").iterdir()) if found else []


def test_the_mails_of_python_are_found_where_its_tests_are_installed() -> None:
    installed = find_spec("test") is not None and find_spec("test.test_email") is not None

    assert bool(messages_of_python()) is installed


@pytest.mark.parametrize("path", messages_of_python(), ids=lambda path: path.name)
def test_what_python_tests_its_own_reader_with_is_a_mail(path: Path) -> None:
    stands_up(path.read_bytes())
