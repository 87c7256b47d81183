"""Texts of mail: subjects and bodies are read whatever they are written in."""

import re
from base64 import b64encode
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.mail_reading import (
    LONGEST_SUBJECT,
)
from models.mail_text import LONGEST_TEXT
from tests.fixtures.read_mail import of_body, of_header


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
