"""Create document: the item in a template, under the next number, as DOCX and PDF."""

from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO

import pytest
from pypdf import PdfReader
from sqlalchemy.orm import undefer

from documents.checking import check
from models.contact import Contact
from models.database import Database
from models.document import Document, DocumentState
from models.document_template import remove_template, templates_where
from models.fields import Catalogue
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.item_type import ItemType
from models.product_row import ProductRow
from models.rule_run import RunState
from models.timeline import timeline_of
from sample_company import FIELDS_OF_OFFER, sample_offer
from tests.factories import a_deal, a_pipeline, all_of, entered, refused, rules_of
from tests.fixtures.documents import FIELDS, a_template, done, the_document, wanted
from tests.fixtures.docx import docx_of, product_table, text_of
from tests.fixtures.runner import Runner

MORNING = datetime(2027, 12, 31, 23, 30, tzinfo=UTC)

WHOLE = (undefer(Document.docx), undefer(Document.pdf))


async def text_made(database: Database) -> str:
    """Return the text of the one document that there is."""
    [document] = await all_of(database, Document, options=WHOLE)
    return text_of(document.docx or b"")


async def test_a_document_says_what_the_item_is(database: Database, runner: Runner) -> None:
    content = docx_of(
        "{{ deal.title }} for {{ contact.name }}: {{ deal.amount | money }}",
        table=product_table("{{ row.name }}", "{{ row.quantity | number }}"),
    )
    fields = ("deal.title", "contact.name", "deal.amount", "deal.products")
    template = await a_template(database, content, fields)
    params = {"template": template.id, "as_pdf": False}
    async with database.transaction() as session:
        [new] = a_pipeline(session, "New")
        rules_of(session, new, {"action": "create_document", "params": params})
        _, entry = await a_deal(
            session,
            new,
            contact=Contact(first_name="Anna"),
            amount=Decimal(1850),
            product_rows=[ProductRow(name="Tile", price=Decimal(2), quantity=Decimal(925))],
        )

    run = await done(runner, entry)

    assert run.state is RunState.DONE
    assert await text_made(database) == "Lathe for Anna: €1,850.00\nTile\n925"


async def test_the_run_tells_the_number_and_leaves_the_link_to_the_rules_below(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database, number_format="C-{year}-{number:04}")
    note = "{{ results.create_document.number }} {{ results.create_document.url }}"
    entry = await entered(
        database,
        {"action": "create_document", "params": {"template": template.id, "as_pdf": False}},
        {"action": "add_history_entry", "params": {"text": note}, "after_previous": True},
    )

    await runner.do(entry.id, at=MORNING)
    run = await runner.do(entry.id, at=MORNING)
    await runner.do(entry.id, at=MORNING)

    document = await the_document(database)
    assert run.outcome == "Document «Offer». Made under the number C-2027-0001."
    assert (document.number, document.number_text) == (1, "C-2027-0001")
    assert document.made_by_run_id == run.id
    [line] = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.INFORMATION)
    number, link = line.text.split()
    assert number == "C-2027-0001"
    assert link.startswith(f"http://crm.example/v1/d/{document.id}/")


async def test_day_and_year_are_those_of_the_company(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = "Europe/Berlin"
    content = docx_of("{{ document.number }} of {{ document.date | date }}")
    template = await a_template(
        database, content, ("document.number",), number_format="{number}/{year}"
    )
    entry = await wanted(database, template)

    await runner.do(entry.id, at=MORNING)
    await runner.do(entry.id, at=MORNING)

    assert await text_made(database) == "1/2028 of Jan 1, 2028"


async def test_a_pdf_is_made_of_it_unless_the_rule_wants_none(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database)

    await done(runner, await wanted(database, template, as_pdf=True))
    await done(runner, await wanted(database, template, as_pdf=False))

    first, second = await all_of(database, Document, options=WHOLE)
    assert first.pdf is not None
    assert "Offer 1 for Lathe" in PdfReader(BytesIO(first.pdf)).pages[0].extract_text()
    assert (first.pages, first.pdf_size) == (1, len(first.pdf))
    assert (second.pages, second.pdf_size, second.pdf) == (None, None, None)


async def test_values_stand_instead_of_fields_under_each_of_their_names(
    database: Database, runner: Runner
) -> None:
    content = docx_of("{{ deal.title }}, {{ item.title }}, {{ deal.amount | money }}")
    template = await a_template(database, content, ("deal.title", "item.title", "deal.amount"))
    values = [
        {"field": "item.title", "text": "Our offer for {{ deal.title }}"},
        {"field": "deal.amount", "text": "on request"},
    ]

    await done(runner, await wanted(database, template, values=values))

    said = "Our offer for Lathe"
    assert await text_made(database) == f"{said}, {said}, on request"
    assert (await the_document(database)).values == {
        "item.title": said,
        "deal.amount": "on request",
    }


@pytest.mark.parametrize(
    ("title", "called"),
    [(None, "Offer"), ("Contract with {{ deal.title }}", "Contract with Lathe")],
)
async def test_a_document_is_called_as_the_rule_says_or_like_its_template(
    database: Database, runner: Runner, title: str | None, called: str
) -> None:
    template = await a_template(database)

    await done(runner, await wanted(database, template, title=title))

    assert (await the_document(database)).title == called


async def test_a_document_is_made_of_the_file_that_was_newest_when_the_rule_ran(
    database: Database, runner: Runner
) -> None:
    template = await a_template(database)
    entry = await wanted(database, template)
    await runner.do(entry.id)
    async with database.transaction() as session:
        again = await session.scalar(templates_where(id=template.id))
        assert again is not None
        again.name = "Contract"
        remove_template(again)

    run = await runner.do(entry.id)

    assert run.state is RunState.DONE
    assert await text_made(database) == "Offer 1 for Lathe"


async def test_without_its_template_the_run_fails(database: Database, runner: Runner) -> None:
    template = await a_template(database)
    entry = await wanted(database, template)
    async with database.transaction() as session:
        again = await session.scalar(templates_where(id=template.id))
        assert again is not None
        remove_template(again)

    run = await runner.do(entry.id)

    assert run.state is RunState.FAILED
    assert run.outcome == f"There is no document template {template.id}."
    assert await all_of(database, Document) == []


async def test_a_template_that_cannot_be_filled_fails_the_run_and_takes_no_number(
    database: Database, runner: Runner
) -> None:
    endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}"
    template = await a_template(database, docx_of(endless))

    run = await done(runner, await wanted(database, template))

    document = await the_document(database)
    assert run.state is RunState.FAILED
    assert run.outcome is not None
    assert run.outcome.startswith("Document «Offer». ")
    assert (document.number, document.made_at) == (None, None)
    async with database.reading() as session:
        [again] = await session.scalars(templates_where())
    assert again.last_number == 0


@pytest.mark.parametrize(("on_timeline", "kinds"), [(True, 1), (False, 0)])
async def test_a_document_is_attached_to_the_timeline_where_the_rule_says_so(
    database: Database, runner: Runner, *, on_timeline: bool, kinds: int
) -> None:
    template = await a_template(database)
    entry = await wanted(database, template, on_timeline=on_timeline)
    await done(runner, entry)

    async with database.reading() as session:
        rows = await session.execute(timeline_of(entry.item_id)[0])

    shown = [(row.title, row.text) for row in rows if row.kind == "document"]
    assert shown == [("Offer", "1")] * kinds


async def test_history_tells_that_a_document_was_made(database: Database, runner: Runner) -> None:
    template = await a_template(database)
    entry = await wanted(database, template)
    run = await done(runner, entry)

    [line] = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.DOCUMENT)

    assert (line.text, line.item_id, line.run_id) == ("«Offer 1» was made.", entry.item_id, run.id)


async def test_it_is_being_made_until_it_is_there(database: Database, runner: Runner) -> None:
    template = await a_template(database)
    entry = await wanted(database, template)

    await runner.do(entry.id)
    making = await all_of(database, Document, Document.state == DocumentState.MAKING)
    await runner.do(entry.id)
    ready = await all_of(database, Document, Document.state == DocumentState.READY)

    assert (len(making), len(ready)) == (1, 1)


async def test_the_template_of_the_sample_company_is_in_order() -> None:
    checked = await check(sample_offer(), Catalogue.of(ItemType.DEAL))

    assert checked.fields == FIELDS_OF_OFFER


async def test_a_rule_whose_template_or_values_are_wrong_is_not_saved(database: Database) -> None:
    offer = await a_template(database, name="Offer", item_type=ItemType.LEAD, fields=FIELDS)
    async with database.transaction() as session:
        [new] = a_pipeline(session, "New")
    values = [
        {"field": "deal.titel", "text": "x"},
        {"field": "document.number", "text": "x"},
        {"field": "deal.products", "text": "x"},
        {"field": "document.date", "text": "{{ deal.nam }}"},
    ]

    gone = await refused(database, new, "create_document", {"template": 4711})
    wrong = await refused(
        database, new, "create_document", {"template": offer.id, "values": values}
    )

    assert gone == {"/params/template": "There is no document template 4711."}
    assert wrong.pop("/params/values/3/text").startswith("line 1, column 4: unknown field deal.nam")
    assert wrong == {
        "/params/template": "«Offer» is for leads, not for deals.",
        "/params/values/0/field": "unknown field deal.titel, did you mean deal.title?",
        "/params/values/1/field": "the number comes from the template",
        "/params/values/2/field": "deal.products holds rows, which no text can stand for",
    }
