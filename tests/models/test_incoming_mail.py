"""Reading mail: whatever has come, something can be said of it, soon."""

import re
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.fields import UNSTORABLE
from models.incoming_mail import (
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    MOST_ATTACHMENTS,
    MOST_RECIPIENTS,
    MOST_REFERENCES,
    Attachment,
    Automatic,
    IncomingMail,
    read_mail,
)
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


def of_header(name: str, value: bytes) -> IncomingMail:
    return read_mail(name.encode() + b": " + value + b"\n\n")


def of_body(kind: str, body: bytes, encoding: str = "8bit") -> IncomingMail:
    head = f"Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n"
    return read_mail(head.encode() + body)


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


@pytest.mark.parametrize(
    ("written", "sender", "name"),
    [
        (b"ann@firm.com", "ann@firm.com", ""),
        (b"<ann@firm.com>", "ann@firm.com", ""),
        (b"ann@firm.com (Ann (the boss) Lee)", "ann@firm.com", "Ann the boss Lee"),
        (b'"Lee, Ann" <ann@firm.com>', "ann@firm.com", "Lee, Ann"),
        (b'"Ann \\"Roof\\" Lee" <ann@firm.com>', "ann@firm.com", 'Ann "Roof" Lee'),
        (b'"\\"Roof\\"" <ann@firm.com>', "ann@firm.com", '"Roof"'),
        (b'"ann@firm.com" <ann@firm.com>', "ann@firm.com", ""),
        (b'"boss@bank.com" <ann@firm.com>', "ann@firm.com", "boss@bank.com"),
        (
            b"=?utf-8?q?boss=40bank=2Ecom_=3Cboss=40bank=2Ecom=3E?= <ann@firm.com>",
            "ann@firm.com",
            "boss@bank.com <boss@bank.com>",
        ),
        (
            b"=?utf-8?b?" + b64encode("Ann Lée <ann@firm.com>".encode()) + b"?=",
            "ann@firm.com",
            "Ann Lée",
        ),
        (b"=?iso-8859-1?Q?Ren=E9?= =?iso-8859-1?Q?e?= <ann@firm.com>", "ann@firm.com", "Renée"),
        ("Renée <ann@firm.com>".encode(), "ann@firm.com", "Renée"),
        ("Renée <ann@firm.com>".encode("latin-1"), "ann@firm.com", "Renée"),
        (b"ann@firm.com, bo@firm.com", "ann@firm.com", ""),
        (b"nobody, Bo <bo@firm.com>", "bo@firm.com", "Bo"),
        (b"office: Ann <ann@firm.com>, bo@firm.com;", "ann@firm.com", "Ann"),
        (b"Undisclosed:;", None, ""),
        (b"<@relay.com,@hub.com:ann@firm.com>", "ann@firm.com", ""),
        (b'"Ann <ann@firm.com>', "ann@firm.com", ""),
        (b"Ann [ann@firm.com]", "ann@firm.com", ""),
        (b"Ann Lee ann@firm.com", "ann@firm.com", ""),
        (b"\n ann@firm.com\n (Ann)", "ann@firm.com", "Ann"),
        ("ann@FIRM.пример.com".encode(), "ann@firm.пример.com", ""),
        (b"ann@xn--mller-kva.de", "ann@müller.de", ""),
        (b"Ann Lee", None, ""),
        (b"printer@localhost", None, ""),
        (b"ann@firm.com\0", "ann@firm.com", ""),
        (b"Ann <ann@firm.com.>", "ann@firm.com", "Ann"),
        (b"Ann <ann@firm.com.\0 \0>", "ann@firm.com", "Ann"),
        (b"ann\0@firm.com", None, ""),
        (b"ann@firm.com..", None, ""),
        (b"<<<<((((", None, ""),
        (b"@", None, ""),
        (b"", None, ""),
    ],
)
def test_the_sender_is_found_in_whatever_way_it_is_written(
    written: bytes, sender: str | None, name: str
) -> None:
    mail = of_header("From", written)

    assert (mail.sender, mail.sender_name) == (sender, name)


@pytest.mark.parametrize(
    ("head", "envelope", "sender"),
    [
        (b"From: ann@firm.com\nFrom: bo@firm.com", None, "ann@firm.com"),
        (b"Sender: ann@firm.com", None, "ann@firm.com"),
        (b"Return-Path: <ann@firm.com>", None, "ann@firm.com"),
        (b"Subject: Roof", "ann@firm.com", "ann@firm.com"),
        (b"From: nobody\nSender: ann@firm.com", "bo@firm.com", "ann@firm.com"),
        (b"From: ann@firm.com", "bo@firm.com", "ann@firm.com"),
        (b"from : ann@firm.com", None, "ann@firm.com"),
        (b"FROM:ann@firm.com", None, "ann@firm.com"),
        (b"From me Mon Aug 30 09:30:00 2027\nFrom: ann@firm.com", None, "ann@firm.com"),
        (b": nothing\nFrom: ann@firm.com", None, None),
        (b"From ann@firm.com", None, None),
    ],
)
def test_without_a_readable_from_others_name_the_sender(
    head: bytes, envelope: str | None, sender: str | None
) -> None:
    mail = read_mail(head + b"\n\nHello", envelope)

    assert mail.sender == sender


@pytest.mark.parametrize(
    ("head", "senders"),
    [
        (b"From: ann@firm.com, Bo <bo@firm.com>", ("ann@firm.com", "bo@firm.com")),
        (b"From: ann@firm.com\nFrom: bo@firm.com", ("ann@firm.com", "bo@firm.com")),
        (b"Sender: bo@firm.com\nFrom: ann@firm.com", ("ann@firm.com", "bo@firm.com")),
        (b"From: ann@firm.com\nSender: ann@firm.com.", ("ann@firm.com",)),
        (b"From: ann@firm.com\nReply-To: bo@firm.com", ("ann@firm.com",)),
        (b"From: nobody, ann@firm.com", ("ann@firm.com",)),
        (b"From: nobody", ()),
    ],
)
def test_all_who_are_named_as_senders_are_read(head: bytes, senders: tuple[str, ...]) -> None:
    assert read_mail(head + b"\n\nHello").senders == senders


def test_very_many_senders_are_read_soon() -> None:
    mail = read_mail(b"From: ann@firm.com\n" * 1000 + b"\nHello")

    assert mail.senders == ("ann@firm.com",)


def test_what_was_written_is_told_where_no_address_can_be_read_of_it() -> None:
    mail = of_header("From", b"=?utf-8?q?M=C3=BCller?= <at> home")

    assert (mail.sender, mail.sender_raw) == (None, "Müller <at> home")


@pytest.mark.parametrize(
    ("written", "subject"),
    [
        (b"A\n roof\n\tof tiles", "A roof of tiles"),
        (b"  spaces \t and tabs  ", "spaces and tabs"),
        (b"=?utf-8?Q?Caf=C3=A9_au_lait?=", "Café au lait"),
        (b"=?UTF-8?b?Q2Fmw6k=?=", "Café"),
        (b"=?utf-8?B?Q2Fmw6k?= without padding", "Café without padding"),
        (b"=?utf-8?b?Q2Fmww==?= =?utf-8?b?qQ==?=", "Café"),
        (b"=?utf-8?q?Caf=C3?=\n =?utf-8?q?=A9?=", "Café"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8*fr?q?Caf=C3=A9?=", "Café"),
        (b"=?utf-8?q?with spaces in it?=", "with spaces in it"),
        (b"=?koi8-r?B?8NLJ18XU?=", "Привет"),
        (b"=?windows-1252?q?=80_5?=", "€ 5"),
        (b"=?iso-8859-1?q?=80_5?=", "€ 5"),
        (b"=?ks_c_5601-1987?B?sKGzqg==?=", "가나"),
        (b"=?gb2312?B?xOO6ww==?=", "你好"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?nonsense?q?Caf=C3=A9?=", "Café"),
        (b"=?punycode?q?abc-?=", "abc-"),
        (b"=?utf-8?q?Caf=E9?=", "Caf\ufffd"),
        (b"=?utf-8?x?abc?=", "=?x-8?x?abc?=".replace("x-8", "utf-8")),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?=?=?=?", "=?=?=?=?"),
        ("Café".encode(), "Café"),
        ("Café".encode("latin-1"), "Café"),
        (b"a\0b\x1b[31mc", "ab[31mc"),
        (b"=?utf-8?q?a=0Ab=00c=0D=0ABcc:_x?=", "a bc Bcc: x"),
        (b"=?utf-7?q?+2AA-?=", "\ufffd"),
        (b"=?utf-16?b?//4=?=", ""),
        (b"x" * 1000, "x" * LONGEST_SUBJECT),
    ],
)
def test_subjects_are_one_line_of_text_whatever_they_are_written_in(
    written: bytes, subject: str
) -> None:
    mail = of_header("Subject", written)

    assert mail.subject == subject


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_a_subject_that_python_encodes_is_read_as_it_was(subject: str) -> None:
    encoded = Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n").encode()

    mail = of_header("Subject", encoded)

    assert mail.subject == re.sub(r"\s+", " ", subject).strip()


@pytest.mark.parametrize(
    ("kind", "encoding", "body", "text"),
    [
        ("text/plain; charset=utf-8", "8bit", "Größe".encode(), "Größe"),
        ("text/plain; charset=iso-8859-1", "8bit", "Größe".encode("latin-1"), "Größe"),
        ("text/plain; charset=us-ascii", "8bit", "Größe".encode(), "Größe"),
        ("text/plain; charset=us-ascii", "8bit", "Größe".encode("latin-1"), "Größe"),
        ("text/plain; charset=utf-8", "8bit", b"Gr\xf6\xdfe", "Gr\ufffd\ufffde"),
        ("text/plain; charset=koi8-r", "base64", b"8NLJ18XU", "Привет"),
        ("text/plain; charset=unheard-of", "8bit", "Größe".encode(), "Größe"),
        ("text/plain; charset=../../etc/passwd", "8bit", b"x", "x"),
        ('text/plain; charset="utf-8', "8bit", "ß".encode(), "ß"),
        ("text/plain; charset*0=ut; charset*1=f-8", "8bit", "ß".encode(), "ß"),
        ("text/plain; charset*=''utf%2D8", "8bit", "ß".encode(), "ß"),
        ("text/plain; charset=hex", "8bit", b"6162", "6162"),
        ("text/plain; charset=zlib", "8bit", b"x", "x"),
        ("text/plain; charset=idna", "8bit", b"xn--a", "xn--a"),
        ("text/plain; charset=utf-16", "base64", b64encode("ß".encode("utf-16")), "ß"),
        ("text/plain; charset=utf-7", "8bit", b"+2AA-x", "\ufffdx"),
        ("text/plain", "quoted-printable", b"a=3Db=\nc=ZZ=", "a=bc=ZZ"),
        ("text/plain", "base64", b"SGV!!! sbG8", "Hello"),
        ("text/plain", "base64", b"SGVsbG8=SGVsbG8=", "HelloHello"),
        ("text/plain", "base64", b"A", ""),
        ("text/plain", "x-unheard-of", b"Hello", "Hello"),
        ("text/plain", "8bit", b"a\0b\x07c\rd\x0be\xe2\x80\xa8f", "abc\nd\ne\nf"),
        ("text/plain", "8bit", b"a   \n\n\n\n\n  b", "a\n\n  b"),
        ("nonsense", "8bit", b"Hello", "Hello"),
        ("", "8bit", b"Hello", "Hello"),
        ("text/html", "8bit", b"<p>One &amp; two<p>Three<br>four", "One & two\n\nThree\nfour"),
        ("text/html", "8bit", b"<div>a</div>\n<div>b</div> <div>c</div>", "a\nb\nc"),
        ("text/html", "8bit", b"<table><tr><td>a<td>b</tr><tr><th>c</table>", "a b\nc"),
        ("text/html", "8bit", b"<style>p {}</style><SCRIPT>x<y</SCRIPT >seen", "seen"),
        ("text/html", "8bit", b"<!-- <p>no</p> --><a title='1 > 0' href=x>yes</a>", "yes"),
        (
            "text/html",
            "8bit",
            b"1 < 2 &lt;b&gt; &nbsp; &#8364; &#x110000; &bogus;",
            "1 < 2 <b> € � &bogus;",
        ),
        ("text/html", "8bit", b"<script>never closed", ""),
        ("text/html", "8bit", b"&#" + b"9" * 5000 + b";", "&#" + "9" * 5000 + ";"),
        ("text/html; charset=utf-8", "base64", b64encode("<b>ß</b>".encode()), "ß"),
        ("multipart/mixed", "8bit", b"no boundary", "no boundary"),
        ("multipart/mixed; boundary=x", "8bit", b"no part", "no part"),
        ("multipart/mixed; boundary=x", "8bit", b"--x\n\na\n--x\n\nb", "a\n\nb"),
        ("multipart/mixed; boundary=x", "8bit", b"--x\n\na\n--xy\n--x--\nafter", "a\n--xy"),
        ("multipart/mixed; boundary=x", "8bit", b"before\n--x  \n\na\n--x--", "a"),
        ("multipart/mixed; boundary=x", "8bit", b"--x\nno header here\n--x--", "no header here"),
        ("multipart/mixed; boundary=''; boundary=x", "8bit", b"--''\n\na", "a"),
    ],
)
def test_texts_are_read_whatever_they_are_said_to_be(
    kind: str, encoding: str, body: bytes, text: str
) -> None:
    mail = of_body(kind, body, encoding)

    assert mail.text == text


def test_a_text_that_is_too_long_ends_earlier_and_with_a_whole_character() -> None:
    mail = of_body("text/plain; charset=utf-8", "€".encode() * 100_000)

    assert mail.text == "€" * LONGEST_TEXT


@pytest.mark.parametrize(
    ("written", "sent_at"),
    [
        (b"Mon, 30 Aug 2027 09:30:00 +0200", datetime(2027, 8, 30, 7, 30, tzinfo=UTC)),
        (b"30 Aug 27 09:30 EST", datetime(2027, 8, 30, 14, 30, tzinfo=UTC)),
        (b"Mon, 30 Aug 2027 09:30:00", datetime(2027, 8, 30, 9, 30, tzinfo=UTC)),
        (b"Mon, 30 Aug 2027 09:30:00 -0000 (who knows)", datetime(2027, 8, 30, 9, 30, tzinfo=UTC)),
        (b"Mon, 31 Feb 2027 09:30:00 +0200", None),
        (b"Mon, 30 Aug 2027 09:30:00 +9999999999", None),
        (b"Mon, 30 Aug 1027 09:30:00 +0000", None),
        (b"Mon, 30 Aug 9999 23:59:59 -1200", None),
        (b"1 Jan 1970 00:00:00 +0000", None),
        (b"2027-08-30T09:30:00Z", None),
        (b"yesterday", None),
        (b", , , , ,", None),
        (b"9" * 50_000, None),
        (b"", None),
    ],
)
def test_dates_are_moments_and_nonsense_is_none(written: bytes, sent_at: datetime | None) -> None:
    mail = of_header("Date", written)

    assert mail.sent_at == sent_at


@pytest.mark.parametrize(
    ("written", "message_id"),
    [
        (b"<a@b>", "<a@b>"),
        (b" \n <a@b> ", "<a@b>"),
        (b"<a@ b\n\t.com>", "<a@b.com>"),
        (b"a@b", "<a@b>"),
        (b"<a>", "<a>"),
        (b"a", None),
        (b"<>", None),
        (b"<a@\0b>", "<a@b>"),
        (b"<" + b"x" * 900 + b">", None),
        (b"", None),
    ],
)
def test_ids_of_messages_are_read_in_one_form(written: bytes, message_id: str | None) -> None:
    mail = of_header("Message-ID", written)

    assert mail.message_id == message_id


def test_of_many_references_the_nearest_are_kept_and_the_beginning_of_the_thread() -> None:
    ids = [f"<{number}@x>" for number in range(200)]

    mail = read_mail(
        f"References: {' '.join(ids)}\nIn-Reply-To: your mail of {ids[7]}\n\n".encode()
    )

    assert mail.references[:3] == (ids[7], ids[199], ids[198])
    assert mail.references[-1] == ids[0]
    assert len(mail.references) == MOST_REFERENCES


@pytest.mark.parametrize(
    ("head", "envelope", "kind"),
    [
        ("Auto-Submitted: no", None, None),
        ("Auto-Submitted: auto-replied (vacation)", None, Automatic.REPLY),
        ("Auto-Submitted: auto-replied", "", Automatic.REPLY),
        ("Auto-Submitted: Auto-Generated; x=y", None, Automatic.REPLY),
        ("X-Autoreply: yes", None, Automatic.REPLY),
        ("Precedence: auto_reply", None, Automatic.REPLY),
        (
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=x",
            None,
            Automatic.REPLY,
        ),
        (
            "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
            None,
            Automatic.BOUNCE,
        ),
        ("From: Mail Delivery <MAILER-DAEMON@firm.com>", None, Automatic.BOUNCE),
        ("From: MAILER-DAEMON", None, Automatic.BOUNCE),
        ("Return-Path: <>", None, Automatic.BOUNCE),
        ("Subject: x", "", Automatic.BOUNCE),
        ("Subject: x", "ann@firm.com", None),
        ("Precedence: bulk", None, Automatic.LIST),
        ("Precedence: JUNK", None, Automatic.LIST),
        ("Precedence: first-class", None, None),
        ("List-Id: Roofs <roofs.firm.com>", None, Automatic.LIST),
    ],
)
def test_mail_that_nobody_wrote_to_us_is_told_apart(
    head: str, envelope: str | None, kind: Automatic | None
) -> None:
    mail = read_mail(f"{head}\n\nHello".encode(), envelope)

    assert mail.automatic is kind
    assert mail.is_automatic is (kind is not None)


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


def lines_run(raw: bytes) -> int:
    """Count the lines of our own that reading takes."""
    count = 0

    def note(frame: FrameType, what: str, _argument: Any) -> Any:
        nonlocal count
        count += what == "line"
        return note if frame.f_code.co_filename.endswith("incoming_mail.py") else None

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
    damaged = bytearray(raw)
    for at, length, put in damages:
        damaged[at : at + length] = put

    stands_up(bytes(damaged))


@given(st.sampled_from([PLAIN, ALTERNATIVES]), st.integers(0, 1200))
def test_a_mail_that_breaks_off_is_a_mail(raw: bytes, length: int) -> None:
    stands_up(raw[:length])


@settings(max_examples=30)
@given(st.emails())
def test_an_address_read_once_is_read_the_same_again(address: str) -> None:
    once = of_header("From", address.encode()).sender or ""

    assert of_header("From", once.encode()).sender == (once or None)


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
