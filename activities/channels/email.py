"""Mail leaves by SMTP, over connections that are kept; without a server it is caught."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPStatus,
)

from activities.answers import storable
from activities.channel import NotYet, Refused, Sent, TryLater, Unclear
from activities.steps import Place
from models import clock
from models.crm_activity_edit import add_sent
from models.delivery import Delivery
from models.document import Document, DocumentState, documents_named
from models.mail import content_of, in_ascii, whole_mail
from models.settings import Settings
from models.stage_entry import Cause

MOST_CONNECTIONS = 5
"""To the mail server at a time; few servers take many more of one client."""

LONGEST_IDLE = 30.0
"""Seconds after which a connection is not used again: its server may have forgotten it."""

PARTING = 1.0
"""Seconds that taking leave of a server may take."""

OURS = 0.9
"""Of the time that a delivery has: then we know how far it has come, and say so."""

UNTIL_MADE = timedelta(seconds=2)
"""How soon a mail is looked at again whose attachment is being made."""

PERMANENT = 500
TOO_BIG = 552

NOT_ALLOWED_IN = frozenset({530, 534, 535, 538})
"""What servers say to who has to log in first, or could not: no recipient can help it."""

PORTS = {"smtp": 25, "smtps": 465}
WITH_LOGIN = 587


class Letter(NamedTuple):
    """A message in its envelope; what stands before the @ may be UTF-8."""

    sender: str
    recipient: str
    mime: bytes


class EmailChannel:
    """Sends mail, and notes what clients were sent as CRM activities."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url
        self._post_office: PostOffice | None = None
        if settings.smtp_url is not None:
            self._post_office = PostOffice(
                settings.smtp_url.get_secret_value(),
                called=in_ascii(settings.mail_from).rpartition("@")[2],
                seconds=settings.delivery_seconds * OURS,
            )

    async def prepare(self, place: Place, delivery: Delivery) -> Letter:
        """Put the mail together; it waits for documents that are still being made."""
        for document in await documents_named(place.session, content_of(delivery).attachments):
            _must_be_there(document)
        return Letter(
            in_ascii(content_of(delivery).sent_from),
            in_ascii(delivery.recipient),
            await whole_mail(place.session, delivery, url=self._url),
        )

    async def send(self, prepared: Letter) -> Sent:
        if self._post_office is None:
            return Sent(f"Caught here, not sent to {prepared.recipient}.", caught=True)
        said = await self._post_office.send(prepared)
        return Sent(f"Sent to {prepared.recipient}.", answer=said)

    async def settle(self, place: Place, delivery: Delivery, sent: Sent) -> Sent:
        await add_sent(place.session, delivery, Cause.rule(place.run))
        return sent

    async def close(self) -> None:
        if self._post_office is not None:
            await self._post_office.close()


def _must_be_there(document: Document) -> None:
    if document.deleted_at is not None:
        raise Refused(f"The attachment «{document.title}» was deleted.")
    if document.state is DocumentState.MAKING:
        raise NotYet(clock.now() + UNTIL_MADE)
    if document.state is DocumentState.FAILED:
        raise Refused(f"The attachment «{document.title}» could not be made: {document.failure}")


class PostOffice:
    """Gives letters to one mail server, each within so many seconds.

    `url` is smtp://user:password@host:587 or smtps://…; `?verify=no` trusts any certificate. TLS
    is begun where it is offered; without it nobody but this computer is told the password.
    `called` is the name by which we greet.
    """

    def __init__(self, url: str, *, called: str, seconds: float) -> None:
        self._options = connecting(url) | {"local_hostname": called, "timeout": seconds}
        self._seconds = seconds
        self._idle: list[tuple[SMTP, float]] = []
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)

    async def send(self, letter: Letter) -> str:
        """Return what the server said to a letter; raises `Refused`, `TryLater` or `Unclear`."""
        begun = asyncio.Event()
        try:
            async with asyncio.timeout(self._seconds), self._turns:
                return await self._send(letter, begun)
        except SMTPResponseException as error:
            if begun.is_set() and _is_nonsense(error):
                words = _readable(error.message)
                raise Unclear(f"the mail server had been given it: {words}") from error
            raise _verdict(error, letter) from error
        except (SMTPException, OSError) as error:  # Those of TLS and of time are an OSError.
            words = _readable(str(error)) or "no answer in time"
            if begun.is_set():
                raise Unclear(f"the mail server had been given it: {words}") from error
            raise TryLater(f"The mail server cannot be reached: {words}") from error
        except ValueError as error:
            raise Refused(f"{_readable(letter.recipient)} is no address.") from error

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for smtp, _ in idle:
            with suppress(SMTPException, TimeoutError):
                await smtp.quit(timeout=PARTING)
            smtp.close()

    async def _send(self, letter: Letter, begun: asyncio.Event) -> str:
        while (smtp := self._next_idle()) is not None:
            try:
                async with self._keeping(smtp):
                    return await _hand_over(smtp, letter, begun)
            except SMTPException:
                if begun.is_set() or smtp.is_connected:
                    raise
                # The server has had enough of that connection, not of the letter.
        smtp = SMTP(**self._options)
        async with self._keeping(smtp):
            await smtp.connect()
            return await _hand_over(smtp, letter, begun)

    @asynccontextmanager
    async def _keeping(self, smtp: SMTP) -> AsyncIterator[None]:
        """Keep a connection for the next letter, also where the server has refused this one."""
        is_good = False
        try:
            yield
            is_good = True
        except (SMTPResponseException, Refused) as error:
            is_good = not _is_nonsense(error) and await _is_ready(smtp)
            raise
        finally:
            if is_good:
                self._keep(smtp)
            else:
                smtp.close()

    def _keep(self, smtp: SMTP) -> None:
        self._idle.append((smtp, time.monotonic()))

    def _next_idle(self) -> SMTP | None:
        """Return the connection that was used last, as long as it is likely to be good."""
        while self._idle:
            smtp, since = self._idle.pop()
            if smtp.is_connected and time.monotonic() - since <= LONGEST_IDLE:
                return smtp
            smtp.close()
        return None


async def _hand_over(smtp: SMTP, letter: Letter, begun: asyncio.Event) -> str:
    """Give a letter to a server and return what it said; from DATA on it may be on its way."""
    options = [f"SIZE={len(letter.mime)}"] if smtp.supports_extension("size") else []
    encoding = "ascii"
    if not f"{letter.sender}{letter.recipient}".isascii():
        if not smtp.supports_extension("smtputf8"):
            raise Refused(
                f"The mail server takes no addresses such as {letter.recipient} (SMTPUTF8)."
            )
        options += ["SMTPUTF8", "BODY=8BITMIME"]
        encoding = "utf-8"
    await smtp.mail(letter.sender, options=options, encoding=encoding)
    await smtp.rcpt(letter.recipient, encoding=encoding)
    begun.set()
    answer = await smtp.data(letter.mime)
    return _readable(f"{answer.code} {answer.message}")


async def _is_ready(smtp: SMTP) -> bool:
    """Tell whether a server that has refused something is ready for another letter."""
    with suppress(SMTPException):
        await smtp.rset()
        return True
    return False


def _is_nonsense(error: Exception) -> bool:
    """Tell whether what a server said is no answer at all."""
    nonsense = SMTPStatus.invalid_response
    return isinstance(error, SMTPResponseException) and error.code == nonsense


def _verdict(error: SMTPResponseException, letter: Letter) -> Refused | TryLater:
    """Return what a server's answer means: only of the recipient and the letter it is final."""
    words = _readable(f"{error.code} {error.message}")
    final = error.code >= PERMANENT and error.code not in NOT_ALLOWED_IN
    of_the_letter = isinstance(error, SMTPRecipientRefused | SMTPDataError)
    if final and (of_the_letter or error.code == TOO_BIG):
        return Refused(f"{letter.recipient} refused it: {words}")
    return TryLater(f"The mail server does not take it now: {words}")


def _readable(words: str) -> str:
    """Return a server's words in one line, without what no database takes."""
    return storable(" ".join(words.split()))


def connecting(url: str) -> dict[str, Any]:
    """Return how to connect to the mail server of this address."""
    address = urlsplit(url)
    host = address.hostname or ""
    secure = address.scheme == "smtps"
    user, password = [each and unquote(each) for each in (address.username, address.password)]
    usual = PORTS[address.scheme] if secure or not user else WITH_LOGIN
    return {
        "hostname": host,
        "port": address.port or usual,
        "username": user or None,
        "password": password or None,
        "use_tls": secure,
        "start_tls": True if user and not secure and not _is_here(host) else None,
        "validate_certs": parse_qs(address.query).get("verify") != ["no"],
    }


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
