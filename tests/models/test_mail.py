"""Mail: the message that leaves is the same each time, and says what it was given to say."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.delivery import Delivery, DeliveryKind
from models.document import DocumentFile
from models.item import Deal
from models.mail import EmailContent, Tracking, in_one_line, message_id, mime_of
from models.markdown import as_mere_text, html_of, html_of_plain

KEY = UUID("12345678-1234-5678-1234-567812345678")
AUGUST = datetime(2027, 8, 2, 9, 30, tzinfo=UTC)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
NAME = TEXT.filter(in_one_line)
LINE = TEXT.map(in_one_line)


def a_mail(recipient: str = "ann@x.example", subject: str = "Thanks", **content: Any) -> Delivery:
    said = EmailContent(
        **{"sent_from": "crm@firm.example", "text": "Hello", "html": "<p>Hello</p>"} | content
    )
    delivery = Delivery(
        kind=DeliveryKind.EMAIL,
        run_id=1,
        item=Deal(title="Lathe"),
        recipient=recipient,
        subject=subject,
        content=said.model_dump(mode="json"),
    )
    delivery.id, delivery.key, delivery.created_at = 7, KEY, AUGUST
    return delivery


def read(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def decoded(raw: bytes, header: str) -> str:
    """Return a header as RFC 2047 wants it read: nothing stands between two encoded words."""
    unfolded = (message_from_bytes(raw)[header] or "").replace("\r\n", "")
    return str(make_header(decode_header(unfolded)))


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_mail_says_who_writes_to_whom_about_what() -> None:
    message = read(
        mime_of(
            a_mail(
                sender_name="Tom",
                reply_to="tom@firm.example",
                to_name="Ann",
                references=["<1@firm.example>", "<2@firm.example>"],
            )
        )
    )

    assert dict(message.items()) == {
        "From": "Tom <crm@firm.example>",
        "Reply-To": "Tom <tom@firm.example>",
        "To": "Ann <ann@x.example>",
        "Subject": "Thanks",
        "Date": "Mon, 02 Aug 2027 09:30:00 +0000",
        "Message-ID": f"<{KEY}@firm.example>",
        "In-Reply-To": "<2@firm.example>",
        "References": "<1@firm.example> <2@firm.example>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative; boundary="=_text_{KEY.hex}"',
    }
    assert body(message, "plain") == "Hello\n"
    assert "<body>\n<p>Hello</p>\n</body>" in body(message, "html")


def test_nobody_named_is_nobody_in_the_headers() -> None:
    message = read(mime_of(a_mail()))

    assert (message["From"], message["To"]) == ("crm@firm.example", "ann@x.example")
    assert "Reply-To" not in message
    assert "References" not in message


def test_attachments_come_with_their_names_after_the_text() -> None:
    contract = DocumentFile("Vertrag «Süd», 7.pdf", "application/pdf", b"%PDF-1.7\n\x00\xff\r\n")

    message = read(mime_of(a_mail(), [contract]))

    (file,) = message.iter_attachments()
    assert file.get_filename() == contract.name
    assert file.get_content_type() == "application/pdf"
    assert file.get_content() == contract.content
    assert body(message, "plain") == "Hello\n"


@given(TEXT, NAME, NAME, TEXT)
def test_whatever_is_written_in_headers_and_text_arrives(
    subject: str, sender: str, to: str, text: str
) -> None:
    raw = mime_of(
        a_mail(subject=subject, sender_name=sender, to_name=to, text=text),
    )

    message = read(raw)
    assert decoded(raw, "Subject") == in_one_line(subject)
    assert decoded(raw, "From") == f"{in_one_line(sender)[:100].strip()} <crm@firm.example>"
    assert decoded(raw, "To") == f"{in_one_line(to)[:100].strip()} <ann@x.example>"
    assert body(message, "plain").split() == text.split()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@given(TEXT)
def test_nothing_written_can_add_a_header(text: str) -> None:
    usual = read(mime_of(a_mail(sender_name="Tom", to_name="Ann"))).keys()

    raw = mime_of(a_mail(subject=f"Re:{text}\r\nBcc: eve@x.example", sender_name=f"T{text}\nX: y"))

    assert set(read(raw).keys()) <= set(usual)
    assert read(raw).defects == []


@given(LINE, st.binary(max_size=500))
def test_any_file_under_any_name_arrives(name: str, content: bytes) -> None:
    file = DocumentFile(f"{name}.pdf", "application/pdf", content)

    (arrived,) = read(mime_of(a_mail(), [file])).iter_attachments()

    assert arrived.get_filename() == in_one_line(file.name)
    assert arrived.get_content() == content


@given(TEXT, st.binary(max_size=100))
def test_the_same_delivery_is_the_same_message_each_time(text: str, content: bytes) -> None:
    file = DocumentFile("a.pdf", "application/pdf", content)

    first, second = [mime_of(a_mail(text=text, subject=text), [file]) for _ in range(2)]

    assert first == second


@pytest.mark.parametrize(
    ("address", "header"),
    [
        ("info@straße.example", "info@xn--strae-oqa.example"),
        ("jürgen@x.example", "jürgen@x.example"),
        ("“x”@żółw.example", "“x”@xn--w-uga1v8h.example"),
    ],
)
def test_domains_of_other_scripts_travel_in_ascii(address: str, header: str) -> None:
    raw = mime_of(a_mail(address, sent_from="crm@müller.example"))

    assert f"To: {header}\r\n".encode() in raw
    assert b"From: crm@xn--mller-kva.example\r\n" in raw


def test_the_id_of_a_message_is_that_of_its_delivery() -> None:
    assert message_id(a_mail(sent_from="crm@müller.example")) == f"<{KEY}@xn--mller-kva.example>"


def test_links_lead_by_us_only_where_they_are_tracked() -> None:
    tracking = Tracking("key", "http://crm.example")
    html = '<p><a href="https://shop.example/a">Shop</a></p>'

    plain = body(read(mime_of(a_mail(html=html), (), tracking)), "html")
    tracked = a_mail(html=html, links=["https://shop.example/a"])
    led = body(read(mime_of(tracked, (), tracking)), "html")

    assert 'href="https://shop.example/a"' in plain
    assert "shop.example" not in led
    assert led.count("http://crm.example/v1/t/7/") == 2


@given(TEXT)
def test_a_value_that_is_filled_in_is_never_markup(value: str) -> None:
    html = html_of(f"Dear {as_mere_text(value)}!")

    assert set(_tags(html)) <= {"p", "br"}


@pytest.mark.parametrize(
    ("value", "html"),
    [
        ("*Ann* _B_ `c` ~~d~~", "*Ann* _B_ `c` ~~d~~"),
        ("[x](http://evil.example)", "[x](http://evil.example)"),
        ("<b>Ann</b> &lt;", "&lt;b&gt;Ann&lt;/b&gt; &amp;lt;"),
        ("a|b # c", "a|b # c"),
        ("two\n\n    lines\r\n- x", "two<br>\n<br>\nlines<br>\n- x"),
        ("    code", "code"),
        ("1. One", "1. One"),
    ],
)
def test_a_value_reads_as_it_is_written(value: str, html: str) -> None:
    assert html_of(as_mere_text(value)) == f"<p>{html}</p>\n"


def test_a_value_can_be_where_a_link_leads() -> None:
    address = as_mere_text("https://x.example/a_b?c=1&d=(2)")

    assert html_of(f"[here]({address})") == (
        '<p><a href="https://x.example/a_b?c=1&amp;d=(2)" rel="noopener noreferrer">here</a></p>\n'
    )


def test_markdown_is_made_into_html_that_does_nothing() -> None:
    html = html_of(
        "# Hi\nThanks,\n**Tom**\n\n<script>alert(1)</script>\n[a](javascript:alert(1))\n\n"
        "| a |\n|---|\n| 1 |"
    )

    assert "<h1>Hi</h1>\n<p>Thanks,<br>\n<strong>Tom</strong></p>" in html
    assert "<table>" in html
    assert "<script" not in html
    assert "href" not in html


def test_a_text_without_markup_shows_as_it_is_and_its_links_lead() -> None:
    html = html_of_plain("**Late**! <b>\nhttp://x.example/1?a=1&b=2 now")

    assert html == (
        "<p>**Late**! &lt;b&gt;<br>"
        '<a href="http://x.example/1?a=1&amp;b=2" rel="noopener noreferrer">'
        "http://x.example/1?a=1&amp;b=2</a> now</p>"
    )


def _tags(html: str) -> list[str]:
    return [part.split(">")[0].split(" ")[0] for part in html.replace("</", "<").split("<")[1:]]
