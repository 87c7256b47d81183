"""Headers of mail: senders, dates, ids and machines are told however they are written."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mail_headers import MOST_REFERENCES, Automatic
from models.mail_reading import read_mail
from tests.fixtures.read_mail import of_header


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
        (b"ann\0@firm.com", "ann@firm.com", ""),
        (b"ann@firm.com..", "ann@firm.com", ""),
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


@settings(max_examples=30)
@given(st.emails())
def test_an_address_read_once_is_read_the_same_again(address: str) -> None:
    once = of_header("From", address.encode()).sender or ""

    assert of_header("From", once.encode()).sender == (once or None)
