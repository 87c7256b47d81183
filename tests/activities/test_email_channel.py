"""The channel of mail: what a server says decides what becomes of a letter."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which

import pytest

from activities.channel import Refused, TryLater, Unclear
from activities.channels.email import (
    MOST_CONNECTIONS,
    Letter,
    PostOffice,
    connecting,
)
from tests.fixtures.mail import MailServer

PATIENCE = 20.0
SOON = 0.3


def to(recipient: str, text: str = "Hello") -> Letter:
    mime = f"From: crm@firm.example\r\nTo: {recipient}\r\n\r\n{text}\r\n"
    return Letter("crm@firm.example", recipient, mime.encode())


ANN = to("ann@x.example")


@asynccontextmanager
async def opened(url: str, seconds: float = PATIENCE) -> AsyncIterator[PostOffice]:
    office = PostOffice(url, called="firm.example", seconds=seconds)
    yield office
    await office.close()


@pytest.fixture
async def office(mail_server: MailServer) -> AsyncIterator[PostOffice]:
    async with opened(mail_server.url) as office:
        yield office


async def test_the_answer_of_the_server_is_kept(
    office: PostOffice, mail_server: MailServer
) -> None:
    said = await office.send(ANN)

    (mail,) = mail_server.arrived
    assert said == "250 OK queued as 1"
    assert (mail.sender, mail.recipients) == ("crm@firm.example", ["ann@x.example"])
    assert mail.raw == ANN.mime


async def test_a_text_arrives_as_it_is_also_with_dots_at_the_beginning_of_lines(
    office: PostOffice, mail_server: MailServer
) -> None:
    letter = to("ann@x.example", ".\r\n..two\r\n.three\r\nQUIT")

    await office.send(letter)

    assert [mail.raw for mail in mail_server.arrived] == [letter.mime]


async def test_twenty_mails_need_one_connection(
    office: PostOffice, mail_server: MailServer
) -> None:
    for number in range(20):
        await office.send(to(f"{number}@x.example"))

    assert len(mail_server.arrived) == 20
    assert mail_server.connections == 1


async def test_many_at_once_share_a_few_connections(
    office: PostOffice, mail_server: MailServer
) -> None:
    await asyncio.gather(*(office.send(to(f"{number}@x.example")) for number in range(30)))

    assert len({mail.recipients[0] for mail in mail_server.arrived}) == 30
    assert mail_server.connections <= MOST_CONNECTIONS


@pytest.mark.parametrize("answer", ["550 5.1.1 No such user", "552 Mailbox full", "554 Spam"])
async def test_a_recipient_who_is_refused_is_refused_with_the_servers_words(
    office: PostOffice, mail_server: MailServer, answer: str
) -> None:
    mail_server.refused["bob@x.example"] = answer

    with pytest.raises(Refused) as caught:
        await office.send(to("bob@x.example"))
    await office.send(ANN)

    assert caught.value.message == f"bob@x.example refused it: {answer}"
    assert [mail.recipients for mail in mail_server.arrived] == [["ann@x.example"]]
    assert mail_server.connections == 1


async def test_what_is_no_address_reaches_nobody(
    office: PostOffice, mail_server: MailServer
) -> None:
    with pytest.raises(Refused, match="is no address"):
        await office.send(Letter("crm@firm.example", "ann@\ud800", ANN.mime))
    await office.send(ANN)

    assert [mail.recipients for mail in mail_server.arrived] == [["ann@x.example"]]


async def test_a_letter_that_is_refused_is_refused_with_the_servers_words(
    office: PostOffice, mail_server: MailServer
) -> None:
    mail_server.at_data = "554 5.7.1 We take this for spam"

    with pytest.raises(Refused) as caught:
        await office.send(ANN)
    mail_server.at_data = None
    await office.send(ANN)

    assert caught.value.message == "ann@x.example refused it: 554 5.7.1 We take this for spam"
    assert (len(mail_server.arrived), mail_server.connections) == (1, 1)


async def test_a_letter_that_is_too_big_is_refused(
    office: PostOffice, mail_server: MailServer
) -> None:
    mail_server.at_mail = "552 Too big"

    with pytest.raises(Refused):
        await office.send(ANN)


@pytest.mark.parametrize(
    "answer", ["450 Greylisted", "421 Too many", "530 5.7.0 Authentication required"]
)
async def test_what_the_recipient_cannot_help_is_tried_later(
    office: PostOffice, mail_server: MailServer, answer: str
) -> None:
    mail_server.refused["bob@x.example"] = answer

    with pytest.raises(TryLater) as caught:
        await office.send(to("bob@x.example"))
    await office.send(ANN)

    assert not isinstance(caught.value, Unclear)
    assert str(caught.value) == f"The mail server does not take it now: {answer}"
    assert len(mail_server.arrived) == 1


async def test_a_full_disk_is_tried_later(office: PostOffice, mail_server: MailServer) -> None:
    mail_server.at_data = "451 4.3.0 Disk full"

    with pytest.raises(TryLater, match=r"451 4\.3\.0 Disk full"):
        await office.send(ANN)


async def test_a_sender_who_may_not_send_is_our_own_fault_and_tried_later(
    office: PostOffice, mail_server: MailServer
) -> None:
    mail_server.at_mail = "550 crm@firm.example may not send here"

    with pytest.raises(TryLater, match="may not send here"):
        await office.send(ANN)


async def test_a_server_that_is_down_is_tried_later_and_found_again(
    office: PostOffice, mail_server: MailServer
) -> None:
    await office.send(ANN)
    await mail_server.stop()

    with pytest.raises(TryLater, match="The mail server cannot be reached: ") as caught:
        await office.send(ANN)
    await mail_server.start()
    await office.send(ANN)

    assert not isinstance(caught.value, Unclear)
    assert len(mail_server.arrived) == 2


async def test_a_connection_that_the_server_has_dropped_is_replaced_at_once(
    office: PostOffice, mail_server: MailServer
) -> None:
    await office.send(ANN)
    await mail_server.hang_up()

    await office.send(ANN)

    assert (len(mail_server.arrived), mail_server.connections) == (2, 2)


async def test_a_connection_of_which_the_server_has_had_enough_is_replaced_at_once(
    office: PostOffice, mail_server: MailServer
) -> None:
    mail_server.most_each = 2

    for _ in range(4):
        await office.send(ANN)

    assert (len(mail_server.arrived), mail_server.connections) == (4, 2)


async def test_a_connection_lost_after_the_letter_was_given_leaves_it_unclear(
    office: PostOffice, mail_server: MailServer
) -> None:
    mail_server.vanishes = True

    with pytest.raises(Unclear, match="the mail server had been given it"):
        await office.send(ANN)

    assert len(mail_server.arrived) == 1


@pytest.mark.parametrize("answer", ["What?", "\xff", "250-" + "y" * 100_000])
async def test_nonsense_after_the_letter_was_given_leaves_it_unclear(
    office: PostOffice, mail_server: MailServer, answer: str
) -> None:
    mail_server.at_data = answer

    with pytest.raises(Unclear, match="the mail server had been given it"):
        await office.send(ANN)
    mail_server.at_data = None
    await office.send(ANN)

    assert [len(mail_server.arrived), mail_server.connections] == [1, 2]


async def test_nonsense_before_the_letter_was_given_is_tried_later_on_another_connection(
    office: PostOffice, mail_server: MailServer
) -> None:
    mail_server.refused["bob@x.example"] = "What?"

    with pytest.raises(TryLater, match="does not take it now") as caught:
        await office.send(to("bob@x.example"))
    await office.send(ANN)

    assert not isinstance(caught.value, Unclear)
    assert [len(mail_server.arrived), mail_server.connections] == [1, 2]


async def test_silence_after_the_letter_was_given_leaves_it_unclear(
    mail_server: MailServer,
) -> None:
    mail_server.answers.clear()

    async with opened(mail_server.url, SOON) as office:
        with pytest.raises(Unclear, match="no answer in time"):
            await office.send(ANN)
        mail_server.answers.set()
        await office.send(ANN)

    assert [len(mail_server.arrived), mail_server.connections] == [2, 2]


async def test_silence_before_anything_was_given_is_tried_later() -> None:
    silent = await asyncio.start_server(_say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]

    async with opened(f"smtp://127.0.0.1:{port}", SOON) as office:
        with pytest.raises(TryLater, match="cannot be reached") as caught:
            await office.send(ANN)
    silent.close()

    assert not isinstance(caught.value, Unclear)


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_it_logs_in(mail_server: MailServer) -> None:
    mail_server.login = ("crm", "pa/ss@word")

    async with opened(f"smtp://crm:pa%2Fss%40word@127.0.0.1:{mail_server.port}") as office:
        await office.send(ANN)

    assert len(mail_server.arrived) == 1


async def test_a_wrong_password_is_no_fault_of_the_recipient(mail_server: MailServer) -> None:
    mail_server.login = ("crm", "right")

    async with opened(f"smtp://crm:wrong@127.0.0.1:{mail_server.port}") as office:
        with pytest.raises(TryLater, match=r"535 5\.7\.8 Authentication credentials invalid"):
            await office.send(ANN)

    assert mail_server.arrived == []


async def test_a_password_is_told_to_no_other_computer_without_tls(
    mail_server: MailServer,
) -> None:
    mail_server.login = ("crm", "secret")

    # 0.0.0.0 leads here too, but does not look like it.
    async with opened(f"smtp://crm:secret@0.0.0.0:{mail_server.port}") as office:
        with pytest.raises(TryLater, match="STARTTLS extension not supported"):
            await office.send(ANN)

    assert mail_server.arrived == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed but itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    openssl = which("openssl")
    assert openssl is not None
    asked = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail"]
    host = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(  # noqa: S603 - all of it is ours
        [openssl, *asked, *host, "-out", certificate, "-keyout", key],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture
def encrypted(mail_server: MailServer, certificate: tuple[Path, Path]) -> MailServer:
    """The mail server, which offers STARTTLS."""
    mail_server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    mail_server.tls.load_cert_chain(*certificate)
    return mail_server


async def test_tls_is_begun_where_it_is_offered(
    encrypted: MailServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    async with opened(encrypted.url) as office:
        await office.send(ANN)
        await office.send(ANN)

    assert [mail.encrypted for mail in encrypted.arrived] == [True, True]
    assert encrypted.connections == 1


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(encrypted: MailServer) -> None:
    async with opened(encrypted.url) as office:
        with pytest.raises(TryLater, match="certificate verify failed"):
            await office.send(ANN)

    assert encrypted.arrived == []


async def test_a_certificate_is_trusted_unseen_only_where_that_is_said(
    encrypted: MailServer,
) -> None:
    async with opened(f"{encrypted.url}?verify=no") as office:
        await office.send(ANN)

    assert [mail.encrypted for mail in encrypted.arrived] == [True]


async def test_an_address_in_another_script_needs_a_server_that_takes_such(
    mail_server: MailServer,
) -> None:
    async with opened(mail_server.url) as office:
        await office.send(to("jürgen@x.example"))
    mail_server.utf8 = False
    async with opened(mail_server.url) as office:
        with pytest.raises(Refused) as caught:
            await office.send(to("jürgen@x.example"))

    assert [mail.recipients for mail in mail_server.arrived] == [["jürgen@x.example"]]
    assert caught.value.message == (
        "The mail server takes no addresses such as jürgen@x.example (SMTPUTF8)."
    )


@pytest.mark.parametrize(
    ("url", "port", "starts_tls"),
    [
        ("smtp://mail.example", 25, None),
        ("smtp://crm:x@mail.example", 587, True),
        ("smtps://crm:x@mail.example", 465, None),
        ("smtp://crm:x@localhost:2525", 2525, None),
    ],
)
def test_ports_and_tls_are_the_usual_ones(url: str, port: int, starts_tls: object) -> None:
    options = connecting(url)

    assert (options["port"], options["start_tls"]) == (port, starts_tls)
