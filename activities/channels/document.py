"""Documents: made outside any transaction, in a child process, each under the next number.

The number stands in the document, so it is taken only when that has been made. Somebody else may
have taken it meanwhile: then the document is made anew under the next one.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from activities.channel import NotYet, Refused, Sent
from activities.facts import facts_for_rule
from activities.steps import Place
from documents.making import DocumentFailed, Made, fill
from documents.pipe import AsItIs
from models import clock
from models.custom_values import meaning
from models.delivery import Delivery
from models.document import Document, DocumentContent, document_to_make, finish_document
from models.document_template import last_number, take_number, written_number
from models.facts import Asked
from models.fields import Catalogue, FieldKind
from models.settings import Settings
from models.stage_entry import Cause

AT_ONCE_AGAIN = timedelta(milliseconds=100)
"""When a document is made anew whose number somebody else has taken."""

OURS = 0.8
"""Of the time that a delivery has: what takes longer is refused, and not tried for a day."""

LONGEST_SETTLING = 3.0
"""Seconds that the next of a template waits until the one before has taken its number."""

MOST_IN_LINE = 3
"""Documents of one template that occupy a worker: one is made, the others wait for their turn."""

DELETED = "It was deleted before it was made."


@dataclass(frozen=True)
class Order:
    """All that a document is made of, but for its number: that is after `last_number`."""

    delivery_id: int
    template_id: int
    content: bytes
    values: Mapping[str, object]
    locale: str
    zone: str
    as_pdf: bool
    last_number: int
    number_format: str
    year: int


@dataclass(frozen=True)
class Numbered:
    """What was made, under a number that is still to be taken."""

    made: Made
    number: int
    number_text: str


@dataclass
class Turns:
    """Whose turn it is among the documents of one template that this process makes.

    `last` is the last number that is known to be taken, `settled` is set once the document that
    was made last has taken its own, or lost it. `in_line` are the deliveries that are made or wait
    for that, each until when it counts; whoever comes then is told to come later, `pace` after
    whoever was told so before.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    last: int = 0
    in_line: dict[int, float] = field(default_factory=dict)
    pace: timedelta = timedelta(seconds=1)
    promised: datetime = field(default_factory=clock.now)

    def line_up(self, delivery_id: int, seconds: float) -> None:
        """Let a delivery wait for its turn; raises `NotYet` where too many do."""
        now = time.monotonic()
        self.in_line = {each: until for each, until in self.in_line.items() if until > now}
        if len(self.in_line) >= MOST_IN_LINE and delivery_id not in self.in_line:
            self.promised = max(self.promised, clock.now()) + self.pace
            raise NotYet(self.promised)
        self.in_line[delivery_id] = now + seconds

    @asynccontextmanager
    async def turn(self, delivery_id: int) -> AsyncIterator[None]:
        """Wait for the turn of a delivery, which leaves the line afterwards."""
        try:
            async with self.lock:
                began = time.monotonic()
                yield
                self.pace = timedelta(seconds=time.monotonic() - began)
        finally:
            self.in_line.pop(delivery_id, None)

    async def next_after(self, last: int) -> int:
        """Return the number that is probably free; whoever asks has the lock."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SETTLING):
                await self.settled.wait()
        return max(last, self.last) + 1


def _free() -> Turns:
    turns = Turns()
    turns.settled.set()
    return turns


class DocumentChannel:
    """Makes documents; `url` begins the links in them."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url
        self._office = settings.office
        self._seconds = settings.delivery_seconds
        self._patience = settings.delivery_seconds * OURS
        self._turns: defaultdict[int, Turns] = defaultdict(_free)

    async def prepare(self, place: Place, delivery: Delivery) -> Order:
        """Gather the file, the facts of the item as they are now, and the last number.

        Raises `NotYet` where this process has enough to do with that template.
        """
        session, home, entry, run = place
        content = DocumentContent.model_validate(delivery.content)
        document = await document_to_make(session, content.document_id)
        if document is None:
            raise Refused(DELETED)
        version, template = document.template_version, document.template
        self._turns[template.id].line_up(delivery.id, self._seconds)
        facts = await facts_for_rule(
            session,
            entry,
            home,
            Asked(" ".join(version.fields)),
            url=self._url,
            runs=entry.runs[: entry.runs.index(run)],
        )
        today = clock.now().astimezone(ZoneInfo(home.time_zone)).date()
        return Order(
            delivery_id=delivery.id,
            template_id=template.id,
            content=version.content,
            values={
                **facts.values,
                "document.date": today,
                **_instead(document, facts.catalogue),
            },
            locale=home.locale,
            zone=home.time_zone,
            as_pdf=content.as_pdf,
            last_number=await last_number(session, template.id),
            number_format=template.number_format,
            year=today.year,
        )

    async def send(self, prepared: Order) -> Sent:
        """Make the document, after others of its template that this process is making."""
        turns = self._turns[prepared.template_id]
        async with turns.turn(prepared.delivery_id):
            number = await turns.next_after(prepared.last_number)
            number_text = written_number(prepared.number_format, number, prepared.year)
            try:
                made = await fill(
                    prepared.content,
                    {**prepared.values, "document.number": number_text},
                    locale=prepared.locale,
                    zone=prepared.zone,
                    pdf=prepared.as_pdf,
                    office=self._office,
                    patience=self._patience,
                )
            except DocumentFailed as failed:
                raise Refused(failed.reason) from failed
            turns.settled.clear()
        return Sent(
            outcome=f"Made under the number {number_text}.",
            result={"number": number_text},
            made=Numbered(made, number, number_text),
        )

    async def settle(self, place: Place, delivery: Delivery, sent: Sent) -> Sent:
        """Take the number and store the document; raises `NotYet` where the number was taken."""
        session, numbered = place.session, sent.made
        content = DocumentContent.model_validate(delivery.content)
        document = await session.get_one(Document, content.document_id)
        turns = self._turns[document.template_id]
        is_free = await take_number(session, document.template_id, numbered.number)
        turns.last = await last_number(session, document.template_id)
        turns.settled.set()
        if not is_free:
            raise NotYet(clock.now() + AT_ONCE_AGAIN)
        await finish_document(
            session,
            document,
            number=numbered.number,
            number_text=numbered.number_text,
            docx=numbered.made.docx,
            pdf=numbered.made.pdf,
            pages=numbered.made.pages,
            cause=Cause.rule(place.run),
        )
        return sent

    async def close(self) -> None:
        """Nothing is kept open."""


def _instead(document: Document, catalogue: Catalogue) -> dict[str, object]:
    """Return what stands instead of fields, under each name that a field of the item has."""
    roots = {document.item.type.value, "item"}
    said: dict[str, object] = {}
    for path, text in document.values.items():
        root, _, name = path.partition(".")
        names = [f"{each}.{name}" for each in roots] if root in roots else [path]
        field = catalogue.find(path)
        said |= dict.fromkeys(names, _read(text, FieldKind.DATE if field is None else field.kind))
    return said


def _read(text: str, kind: FieldKind) -> object:
    """Return what a text says of a kind of field; words for a number or a day stay words."""
    value = meaning(kind, text.strip())
    return AsItIs(text) if isinstance(value, str) else value
