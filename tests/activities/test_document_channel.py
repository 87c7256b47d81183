"""The channel of documents: numbers without gaps, whoever makes documents at the same time."""

import asyncio
from collections.abc import Sequence
from itertools import cycle

import pytest
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from activities.channels.document import DocumentChannel
from activities.delivery import DeliveryActivities
from models.agenda import Agenda, Step
from models.clock import now
from models.database import Database
from models.delivery import Delivery, DeliveryKind, DeliveryState
from models.document import Document, DocumentState, remove_document
from models.document_template import (
    DocumentTemplate,
    TemplateFile,
    add_version,
    find_template,
    last_number,
    take_number,
)
from models.rule_run import RunState, retry
from models.settings import Settings
from models.stage_entry import StageEntry, lock_run
from models.user import User
from tests.factories import a_deal, a_pipeline, all_of, rules_of
from tests.fixtures.documents import FIELDS, OFFER, a_template, done, the_document, wanted
from tests.fixtures.runner import Runner, called

MANY = 8

NO_DOCX = b"something else"


async def many_wanted(
    database: Database, runner: Runner, template: DocumentTemplate, count: int
) -> list[StageEntry]:
    """Let so many deals want a document of a template; their actions have been done."""
    params = {"template": template.id, "as_pdf": False}
    async with database.transaction() as session:
        [new] = a_pipeline(session, "New")
        rules_of(session, new, {"action": "create_document", "params": params})
        entries = [(await a_deal(session, new))[1] for _ in range(count)]
    for entry in entries:
        await runner.do(entry.id)
    return entries


class Press:
    """A worker process, as far as documents matter."""

    def __init__(self, runner: Runner) -> None:
        settings = Settings()
        self._channel = DocumentChannel(settings)
        self._runner = runner
        self.offers = 0
        self._deliveries = DeliveryActivities(
            runner.database, settings, {DeliveryKind.DOCUMENT: self._channel}
        )

    async def make(self, entry: StageEntry) -> None:
        """Offer what an entry has to make when it is due, as often as it takes."""
        while (agenda := await self._runner.agenda(entry.id)).items:
            await self._offer(agenda)

    async def _offer(self, agenda: Agenda) -> None:
        [item] = agenda.items
        await asyncio.sleep((item.due_at - now()).total_seconds())
        self.offers += 1
        step = Step(database_id=agenda.database_id, entry_id=agenda.entry_id, item=item)
        await called(self._deliveries.all(), item.activity, step, None)


async def numbers(database: Database) -> list[int]:
    return sorted(document.number or 0 for document in await all_of(database, Document))


async def tries(database: Database) -> int:
    return sum(each.tries for each in await all_of(database, Delivery))


async def make_all(entries: Sequence[StageEntry], *presses: Press) -> None:
    """Make all at once, each press its share."""
    await asyncio.gather(
        *(press.make(entry) for press, entry in zip(cycle(presses), entries, strict=False))
    )


async def test_many_documents_at_once_are_numbered_without_gaps_and_none_is_made_twice(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database)
    entries = await many_wanted(database, runner, template, MANY)

    press = Press(runner)
    await make_all(entries, press)

    assert await numbers(database) == list(range(1, MANY + 1))
    assert await tries(database) == MANY
    assert press.offers <= 4 * MANY


async def test_processes_that_make_documents_of_one_template_leave_no_gap_either(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database)
    entries = await many_wanted(database, runner, template, 4)

    await make_all(entries, Press(runner), Press(runner))

    assert await numbers(database) == [1, 2, 3, 4]


async def test_a_document_whose_number_was_taken_meanwhile_is_made_anew_under_the_next(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database)
    [entry] = await many_wanted(database, runner, template, 1)
    taken = asyncio.Event()

    async def pause(point: str) -> None:
        if point == "send/mark" and not taken.is_set():
            taken.set()
            async with database.transaction() as session:
                await take_number(session, template.id, 1)

    channel = DocumentChannel(Settings())
    deliveries = DeliveryActivities(database, Settings(), {DeliveryKind.DOCUMENT: channel}, pause)
    step = await runner.step(entry.id)
    agenda: Agenda = await called(deliveries.all(), step.item.activity, step, None)
    [again] = agenda.items
    waiting = (await the_document(database)).state
    await called(deliveries.all(), again.activity, step.model_copy(update={"item": again}), None)

    document = await the_document(database)
    assert (waiting, document.state, document.number) == (
        DocumentState.MAKING,
        DocumentState.READY,
        2,
    )


async def test_a_failed_document_takes_no_number_and_holds_up_no_other(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database, NO_DOCX)
    [failing] = await many_wanted(database, runner, template, 1)
    press = Press(runner)

    await make_all([failing], press)
    async with database.transaction() as session:
        again = await find_template(session, template.id, lock=True)
        await add_version(session, again, TemplateFile(OFFER, "offer.docx", FIELDS), None)
        before = await last_number(session, template.id)
    await make_all(await many_wanted(database, runner, template, 2), press)

    ready = await all_of(database, Document, Document.state == DocumentState.READY)
    assert before == 0
    assert sorted(each.number or 0 for each in ready) == [1, 2]


async def test_each_template_counts_for_itself(database: Database, runner: Runner) -> None:
    entries = [await wanted(database, await a_template(database, name=name)) for name in ("A", "B")]

    _ = [await done(runner, entry) for entry in entries]

    assert await numbers(database) == [1, 1]


async def test_a_document_that_was_deleted_before_it_was_made_is_not_made(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database)
    entry = await wanted(database, template)
    await runner.do(entry.id)
    async with database.transaction() as session:
        document = await session.get_one(Document, (await the_document(database)).id)
        await session.refresh(document, ["item"])
        ann = User(name="Ann")
        session.add(ann)
        await session.flush()
        remove_document(session, document, ann)

    run = await runner.do(entry.id)

    assert run.state is RunState.FAILED
    assert run.outcome == "Document «Offer». It was deleted before it was made."


async def test_a_failed_run_that_is_tried_again_makes_another_document(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database, NO_DOCX)
    entry = await wanted(database, template)
    failed = await done(runner, entry)
    async with database.transaction() as session:
        again = await find_template(session, template.id, lock=True)
        await add_version(session, again, TemplateFile(OFFER, "offer.docx", FIELDS), None)
        retry(session, await lock_run(session, failed.id))

    run = await done(runner, entry)

    first, second = await all_of(database, Document, options=(joinedload(Document.delivery),))
    assert run.state is RunState.DONE
    assert (first.state, second.state) == (DocumentState.FAILED, DocumentState.READY)
    assert (first.number, second.number) == (None, 1)


@pytest.mark.parametrize("state", [DeliveryState.DROPPED, DeliveryState.FAILED])
async def test_a_document_whose_delivery_has_ended_will_never_be_made(
    database: Database, runner: Runner, state: DeliveryState
) -> None:
    entry = await wanted(database, await a_template(database))
    await runner.do(entry.id)
    async with database.transaction() as session:
        [delivery] = await session.scalars(select(Delivery))
        delivery.state = state

    failed = await all_of(database, Document, Document.state == DocumentState.FAILED)

    assert len(failed) == 1
