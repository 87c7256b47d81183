"""Mail that comes in over SMTP or LMTP: it is in the database before its sender hears so.

Behind a mail server of one's own: there is no sign-in, no encryption, and nothing is passed on.
"""

import asyncio
import re
import socket
from asyncio import BaseTransport, Protocol, Transport
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import cast

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session, syntax
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from models.database import Database
from models.errors import CrmError
from models.intake import Received, Reception, receive_mail
from models.mail_reading import IncomingMail, read_mail
from models.settings import MailProtocol, Settings

log = structlog.get_logger()

MOST_CONNECTIONS = 100
MOST_AT_ONCE = 4
"""Mails stored at a time; each needs a connection to the database, which others need too."""

MOST_HELD = 8
"""How many of the largest mails may be in memory; mails beyond are to come again."""

MOST_WAITING = MOST_CONNECTIONS
"""Mails that are here whole; of more, the senders have hung up."""

MOST_RECIPIENTS = 1000
LONGEST_LINE = 2048
"""Bytes of a line that is not part of a mail."""

READ_AT_ONCE = 2**16
WHATEVER_IS_THERE = 2**30
LONGEST_ANSWER = 400
OFTEN_ENOUGH = {"*": 1000, "RCPT": 20_000}
"""How often each may be said on one connection; then the sender is to open another."""

SILENCE = timedelta(minutes=5)
"""How long a sender may say nothing, or need for a mail."""

TURN = timedelta(minutes=1)
"""How long a mail waits for others to be stored."""

STOP_PATIENCE = timedelta(seconds=10)
"""How long answers may take to be sent when it stops, and after that, mails to be stored."""

LAST_PATIENCE = timedelta(seconds=5)
"""How long the database may take to drop what is given up."""

PATH = re.compile(r"\s*+(?:<(?:@[^:<>]*+:)?([^<>]*+)>|([^\s<>]++))\s*+([^<>]*+)")
"""An address as SMTP writes it, without the way it took, and what follows."""

NOBODY = "<>"
"""Who sends a bounce."""

ASCII_QUOTES = str.maketrans("«»", '""')
END_OF_LINE = b"\r\n"
END_OF_MAIL = b"\r\n.\r\n"
STOPPING = "421 4.3.2 The service stops; try again"
TOO_SLOW = "421 4.4.2 Nothing has come for too long; try again"
CROWDED = "421 4.3.2 Too many connections; try again"
BUSY = "452 4.3.1 Too busy; try again"
NOT_STORED_NOW = "451 4.3.0 It cannot be stored now; try again"
TOO_LARGE = "552 5.3.4 It is larger than what is taken"
NO_MAILBOX = "550 5.1.1 There is no such mailbox here, and nothing is passed on"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients; send to the others later"


class Listener:
    """Takes mail between `start` and `stop`; `port` is where."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.port = settings.inbound_mail_port
        self.held = 0
        self._database = database
        self._settings = settings
        self._at = Reception(url=settings.url, address=settings.mail_from)
        names = settings.inbound_mail_for.replace(" ", "").casefold().split(",")
        self._wanted = {name.removeprefix("@") for name in names if name}
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)
        self._storing: set[asyncio.Task[str]] = set()
        self._conversations: set[_Conversation] = set()
        self._all_gone = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def largest(self) -> int:
        return self._settings.largest_mail

    @property
    def under_way(self) -> int:
        """How many mails are here whole and not yet stored."""
        return len(self._storing)

    @property
    def connections(self) -> int:
        return len(self._conversations)

    @property
    def stops(self) -> bool:
        return self._server is None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._answers, self._settings.inbound_mail_host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more. Mails that are here whole are stored, and their senders answered.

        What takes longer than `STOP_PATIENCE` is given up: nobody was told that it is stored, so it
        comes again.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        for each in list(self._conversations):
            each.end()
        self._look_who_is_left()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_PATIENCE.total_seconds()):
                await self._all_gone.wait()
        for each in list(self._conversations):
            each.cut_off()
        await self._give_up_what_lasts()

    async def _give_up_what_lasts(self) -> None:
        if not self._storing:
            return
        _, lasting = await asyncio.wait(self._storing, timeout=STOP_PATIENCE.total_seconds())
        for each in lasting:
            each.cancel()
        if lasting:
            log.warning(
                "Mails could not be stored in time and are to come again", mails=len(lasting)
            )
            await asyncio.wait(lasting, timeout=LAST_PATIENCE.total_seconds())

    def _answers(self) -> Protocol:
        if len(self._conversations) >= MOST_CONNECTIONS:
            return _Refusal()
        spoken = self._settings.inbound_mail_protocol
        conversation = _Lmtp(self) if spoken is MailProtocol.LMTP else _Conversation(self)
        self._conversations.add(conversation)
        return conversation

    def gone(self, conversation: "_Conversation") -> None:
        self._conversations.discard(conversation)
        self._look_who_is_left()

    def _look_who_is_left(self) -> None:
        if self.stops and not self._conversations:
            self._all_gone.set()

    async def take(self, raw: bytes, sender: str) -> str:
        """Store a mail and return the answer, though the sender should hang up meanwhile.

        What then still waits counts as held, as what is still being sent does.
        """
        if len(self._storing) >= MOST_WAITING:
            return BUSY
        size = len(raw)

        def no_more(storing: asyncio.Task[str]) -> None:
            self._storing.discard(storing)
            self.held -= size

        storing = asyncio.create_task(self._stored_in_turn(raw, sender))
        self._storing.add(storing)
        self.held += size
        storing.add_done_callback(no_more)
        return await asyncio.shield(storing)

    async def _stored_in_turn(self, raw: bytes, sender: str) -> str:
        try:
            async with asyncio.timeout(TURN.total_seconds()):
                await self._turn.acquire()
        except TimeoutError:
            return BUSY
        try:
            mail = await asyncio.to_thread(read_mail, raw, sender)
            received = await self._store(raw, mail)
        except (CrmError, DBAPIError, NoConnection, OSError) as error:
            log.warning(
                "A mail could not be stored and is to come again", kind=type(error).__name__
            )
            return NOT_STORED_NOW
        except Exception:
            log.exception("The intake stumbled over a mail, which is to come again")
            return NOT_STORED_NOW
        finally:
            self._turn.release()
        return f"250 2.0.0 {' '.join(received.sentence.split())}"[:LONGEST_ANSWER]

    async def _store(self, raw: bytes, mail: IncomingMail) -> Received:
        return await self._database.tried(
            lambda session: receive_mail(session, raw, mail, self._at)
        )

    # What aiosmtpd asks of a handler.

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if not self._takes_for(address.casefold()):
            return NO_MAILBOX
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return TOO_MANY_RECIPIENTS
        # How many there are is all that counts; they could be megabytes.
        envelope.rcpt_tos.append("")
        return "250 2.1.5 OK"

    def _takes_for(self, address: str) -> bool:
        if address == NOBODY:
            return False
        named = {address, address.rpartition("@")[2]}
        return not self._wanted or bool(self._wanted & named) or address == "postmaster"

    async def handle_exception(self, error: Exception) -> str:
        log.error("A mail was not taken", exc_info=error)
        return NOT_STORED_NOW


class _Refusal(Protocol):
    """What those are told who are too many."""

    def connection_made(self, transport: BaseTransport) -> None:
        cast("Transport", transport).write(CROWDED.encode() + END_OF_LINE)
        transport.close()


class _Conversation(SMTP):
    """One connection over which mails come.

    What aiosmtpd reads of a mail has lines of a thousand bytes at most, and is read line by line;
    here they have any length, and a mail of nothing but line ends is read as fast as any other.
    """

    command_size_limit = LONGEST_LINE
    line_length_limit = READ_AT_ONCE

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._answering = False
        # Else that of the class, which counts on for all connections together.
        self.command_size_limits = defaultdict(lambda: LONGEST_LINE)
        super().__init__(
            listener,
            data_size_limit=listener.largest,
            enable_SMTPUTF8=True,
            hostname=socket.gethostname(),
            ident="Cuebook",
            timeout=SILENCE.total_seconds(),
            command_call_limit=OFTEN_ENOUGH,
            loop=asyncio.get_running_loop(),
        )

    def end(self) -> None:
        """Hang up, after the answer if one is due."""
        if not self._answering and self.transport is not None:
            self._writer.write(STOPPING.encode() + END_OF_LINE)
            self.transport.close()

    def _timeout_cb(self) -> None:
        # Of whoever does not read either, `close` would wait for ever.
        if self.transport is not None and not self.transport.is_closing():
            self._writer.write(TOO_SLOW.encode() + END_OF_LINE)
        self.cut_off()

    def cut_off(self) -> None:
        if self.transport is not None:
            cast("Transport", self.transport).abort()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._listener.gone(self)

    async def _handle_client(self) -> None:
        with suppress(ConnectionError):  # Somebody has hung up: nobody is left to be told.
            await super()._handle_client()

    async def push(self, status: str | bytes) -> None:
        if isinstance(status, str):
            status = status.translate(ASCII_QUOTES).encode("ascii", "replace")
        await super().push(status)
        # Whoever sends a thousand words at once lets others be heard between them.
        await asyncio.sleep(0)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        # That of aiosmtpd goes as deep as brackets do, until Python's stack ends.
        found = PATH.fullmatch(arg)
        return (None, None) if found is None else (found[1] or found[2] or NOBODY, found[3])

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        # aiosmtpd takes «²» for a digit, and stumbles.
        return super()._getparams(params) if all(map(str.isascii, params)) else None

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        assert self.envelope is not None  # noqa: S101 - as aiosmtpd says it.
        if await self.check_helo_needed():
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Say for whom it is first")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End it with a line that holds a dot alone")
        content = _Content(self._listener)
        try:
            refusal = await self._receive(content)
            self._answering = True
            self._reset_timeout()
            answer = refusal or await self._taken(content)
            await self.push("\r\n".join([answer] * self._answers_due))
        finally:
            self._answering = False
            content.drop()
        self.envelope = self._create_envelope()
        if self._listener.stops:
            self.end()

    @property
    def _sender(self) -> str:
        written = self.envelope.mail_from if self.envelope else None
        return "" if written in {None, NOBODY} else str(written)

    @property
    def _answers_due(self) -> int:
        return 1

    async def _receive(self, content: "_Content") -> str | None:
        """Read a mail to its end into `content`; return why it is not taken, if it is not."""
        refusal = None
        behind = None
        while behind is None:
            piece = await self._reader.read(WHATEVER_IS_THERE)
            if not piece:
                raise ConnectionResetError
            behind = content.add(piece)
            refusal = content.refusal or refusal
            if refusal is not None:
                content.drop(but=len(END_OF_MAIL))
        # Whoever does not wait for answers has sent the next words with it.
        if not self._reader.at_eof():
            self._reader.feed_data(behind)
        return refusal

    async def _taken(self, content: "_Content") -> str:
        raw = content.taken_out()
        if len(raw) > self._listener.largest:
            return TOO_LARGE
        return await self._listener.take(raw, self._sender)


class _Content:
    """A mail as it is sent; how much of it is in memory counts as held by the listener.

    The end of a line stands before it: so a mail of nothing ends as all others do.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._sent = bytearray(END_OF_LINE)
        self._size = 0
        listener.held += len(self._sent)

    def add(self, piece: bytes) -> bytes | None:
        """Add what has come; return what has come after the mail if this was its end."""
        known = len(self._sent)
        self._sent += piece
        self._size += len(piece)
        self._listener.held += len(piece)
        end = self._sent.find(END_OF_MAIL, max(0, known - len(END_OF_MAIL)))
        if end < 0:
            return None
        behind = bytes(self._sent[end + len(END_OF_MAIL) :])
        self._size -= len(behind)
        self._cut(slice(end + len(END_OF_LINE), None))
        return behind

    @property
    def refusal(self) -> str | None:
        """Why no more of it is to be in memory, if so."""
        # What is sent can be a third longer: before a dot that begins a line stands another.
        if self._size > self._listener.largest * 4 // 3 + len(END_OF_MAIL):
            return TOO_LARGE
        return BUSY if self._listener.held > MOST_HELD * self._listener.largest else None

    def drop(self, but: int = 0) -> None:
        """Keep nothing of it but so many of the last bytes."""
        self._cut(slice(max(0, len(self._sent) - but)))

    def taken_out(self) -> bytes:
        """Return the mail as it was written, and keep nothing of it."""
        written = self._sent.replace(b"\r\n.", END_OF_LINE)
        self.drop()
        return bytes(memoryview(written)[len(END_OF_LINE) :])

    def _cut(self, part: slice) -> None:
        known = len(self._sent)
        del self._sent[part]
        self._listener.held -= known - len(self._sent)


class _Lmtp(_Conversation, LMTP):
    """The same over LMTP, where each recipient gets an answer."""

    @property
    def _answers_due(self) -> int:
        return len(self.envelope.rcpt_tos) if self.envelope else 0


@asynccontextmanager
async def taking_mail(database: Database, settings: Settings) -> AsyncIterator[Listener]:
    """Take mail within the block."""
    listener = Listener(database, settings)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()
