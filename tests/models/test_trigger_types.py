"""Types of triggers: what each waits for really happens, and only what its settings say counts."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from models.booking import Booked, Booking, lock_bookings_of
from models.booking_edit import book, cancel_booking, rebook
from models.contact import Contact
from models.contact_point import email, phone
from models.conversion import Wish, convert_lead
from models.crm_activity import CrmActivity, CrmActivityKind, CrmActivityStatus
from models.crm_activity_edit import add_crm_activity, add_sent, complete_crm_activity
from models.database import Database
from models.delivery import Delivery, DeliveryKind
from models.document import Document, finish_document, keep_view
from models.document_template import DocumentTemplate, find_template
from models.entering import create_item, enter_stage
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.incoming import Call, Form, Message
from models.intake import Reception, receive_call, receive_form, receive_mail, receive_message
from models.invoice import pay, take_back_payment
from models.item import Deal, Invoice, Item, Lead, lock_item
from models.item_edit import add_item, edit_item, find_whole
from models.item_type import ItemType
from models.mail_reading import read_mail
from models.pipeline import Stage, StageKind, find_stage
from models.recycle_bin import delete_item, restore_item
from models.resource import Resource
from models.stage_entry import Cause, lock_run
from models.task import Task, set_status
from models.task_fields import TaskStatus
from models.tracking import react
from models.trigger import Trigger, TriggerCheck, TriggerOutcome
from models.trigger_call import call_triggers
from models.trigger_type import TriggerPlace, all_trigger_types
from models.user import Role, User
from tests.factories import IN_AN_HOUR, a_deal, a_pipeline, a_rule, a_trigger, all_of, planned
from tests.fixtures.database import on_one_database
from tests.fixtures.documents import a_template

NOW = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
HERE = Reception("http://crm.example", "crm@firm.example")
NUMBER = "+49 30 1234567"
LINK = "https://shop.example/offers/7"

A_CALL = Call(
    id="1",
    phone=NUMBER,
    outgoing=False,
    answered=True,
    line="+49 (30) 99-0",
    started_at=NOW,
    seconds=90,
    recording_url=None,
    user_id=None,
)


class Shop:
    """A deal of Anna's in the first stage, and what can happen to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.template = DocumentTemplate(name="Offer", item_type=ItemType.DEAL)
        self.ann = User(name="Ann", role=Role.MANAGER)
        self.crane = Resource(name="Crane")
        self.deal = Deal(title="Roof")
        self.rule_run_id = 0
        self.new: Stage
        self.won: Stage
        self.archive: Stage
        self.unpaid: Stage
        self.paid: Stage

    async def open(self) -> None:
        self.template = await a_template(self.database)
        async with self.database.transaction() as session:
            session.add_all([self.ann, self.crane])
            for name, kind in (("visit", FieldKind.BOOKING), ("size", FieldKind.NUMBER)):
                field = FieldDefinition(
                    item_type=ItemType.DEAL, name=name, title=name.capitalize(), kind=kind
                )
                await add_definition(session, field)
            self.unpaid, self.paid = a_pipeline(
                session, "Unpaid", "Paid", item_type=ItemType.INVOICE
            )
            self.paid.kind = StageKind.WON
            self.new, self.won, self.archive = a_pipeline(session, "New", "Won", "Archive")
            a_rule(session, self.new, timing=IN_AN_HOUR)
            points = [phone(NUMBER, region="DE"), email("anna@berg.example")]
            anna = Contact(first_name="Anna", contact_points=points)
            self.deal, entry = await a_deal(session, self.new, contact=anna)
        self.rule_run_id = entry.runs[0].id

    @property
    def person(self) -> Cause:
        return Cause.person(self.ann)

    async def hang(self, code: str, settings: dict[str, Any]) -> None:
        async with self.database.transaction() as session:
            won = await find_stage(session, self.won.id)
            a_trigger(session, won, code, settings=settings)

    async def stands(self) -> str:
        (deal,) = await all_of(self.database, Deal, Deal.id == self.deal.id)
        return {each.id: each.name for each in (self.new, self.won, self.archive)}[deal.stage_id]

    async def edit(self, **sent: Any) -> None:
        async with self.database.transaction() as session:
            deal = await find_whole(session, self.deal.id, Deal, lock=True)
            await edit_item(session, deal, sent, self.person)

    async def responsible(self) -> None:
        await self.edit(responsible_id=self.ann.id)

    async def amount(self) -> None:
        await self.edit(amount=Decimal(500))

    async def task(self) -> None:
        async with self.database.transaction() as session:
            deal = await lock_item(session, self.deal.id)
            task = Task(title="Prepare the invoice", item=deal, people=[], further_items=[])
            session.add(task)
            await session.flush()
            await set_status(session, task, TaskStatus.COMPLETED, self.person)

    async def mail_in(self) -> None:
        raw = b"From: anna@berg.example\r\nMessage-ID: <1@berg.example>\r\n\r\nHello\r\n"
        async with self.database.transaction() as session:
            await receive_mail(session, raw, read_mail(raw), HERE)

    async def call(self, **said: Any) -> None:
        async with self.database.transaction() as session:
            await receive_call(session, Call(**(vars(A_CALL) | said)), HERE)

    async def call_somewhere(self) -> None:
        await self.call(line=None)

    async def missed(self) -> None:
        await self.call(answered=False)

    async def call_out(self) -> None:
        await self.call(outgoing=True)

    async def message(self, channel: str = "SMS") -> None:
        message = Message(
            id="1", channel=channel, phone=NUMBER, handle=None, name="", text="Hello", sent_at=NOW
        )
        async with self.database.transaction() as session:
            await receive_message(session, message, HERE)

    async def form(self, code: str = "Contact") -> None:
        form = Form(
            key="1",
            code=code,
            name="Anna",
            phones=[NUMBER],
            emails=[],
            company=None,
            comments=None,
            custom={},
            source=None,
            utm={},
            pages=[],
            responsible_id=None,
            filled_in_at=NOW,
        )
        async with self.database.transaction() as session:
            await receive_form(session, form, HERE)

    async def delivery(self, session: AsyncSession, **said: Any) -> Delivery:
        run = await lock_run(session, self.rule_run_id)
        content = {"links": [LINK], "text": "Hello", "sender_id": None}
        about = {"kind": DeliveryKind.EMAIL, "recipient": "anna@berg.example", "subject": "Offer"}
        delivery = Delivery(run_id=run.id, item=run.item, content=content, **(about | said))
        session.add(delivery)
        await session.flush()
        return delivery

    async def sent(self, **said: Any) -> None:
        async with self.database.transaction() as session:
            delivery = await self.delivery(session, **said)
            run = await lock_run(session, self.rule_run_id)
            await add_sent(session, delivery, Cause.rule(run))

    async def opened(self) -> None:
        async with self.database.transaction() as session:
            await react(session, await self.delivery(session))

    async def followed(self) -> None:
        async with self.database.transaction() as session:
            await react(session, await self.delivery(session), LINK)

    async def invoice(self) -> Invoice:
        async with self.database.transaction() as session:
            unpaid = await find_stage(session, self.unpaid.id)
            deal = await lock_item(session, self.deal.id)
            invoice = Invoice(title="Roof", source_item=deal)
            await create_item(session, invoice, unpaid, self.person)
        return invoice

    async def pay(self) -> None:
        invoice = await self.invoice()
        async with self.database.transaction() as session:
            await pay(session, await find_whole_invoice(session, invoice), self.person)

    async def document(self) -> Document:
        async with self.database.transaction() as session:
            template = await find_template(session, self.template.id)
            document = Document(
                title="Offer",
                template=template,
                template_version=template.versions[-1],
                item=await lock_item(session, self.deal.id),
                values={},
            )
            session.add(document)
            await session.flush()
            await finish_document(
                session,
                document,
                number=1,
                number_text="1",
                docx=b"",
                pdf=None,
                pages=None,
                cause=Cause.rule(await lock_run(session, self.rule_run_id)),
            )
        return document

    async def made(self) -> None:
        await self.document()

    async def viewed(self) -> None:
        await self.view(await self.document())

    async def view(self, document: Document) -> None:
        async with self.database.transaction() as session:
            found = await session.get_one(Document, document.id)
            found.item = await lock_item(session, self.deal.id)
            await keep_view(session, found)

    async def book(self, **said: Any) -> Booking:
        async with self.database.transaction() as session:
            booking = Booking(
                item=await lock_item(session, self.deal.id),
                field="visit",
                service="Survey",
                starts_at=NOW.replace(year=2100),
                ends_at=NOW.replace(year=2100, hour=10),
                holds=[],
                **said,
            )
            who = Booked([await session.get_one(Resource, self.crane.id)], [])
            await book(session, booking, who, self.person)
        return booking

    async def booked(self) -> None:
        await self.book()

    async def plan(self, **said: Any) -> CrmActivity:
        async with self.database.transaction() as session:
            deal = await lock_item(session, self.deal.id)
            return await planned(session, deal, NOW, kind=CrmActivityKind.CALL, **said)

    async def complete(self) -> None:
        call = await self.plan()
        async with self.database.transaction() as session:
            deal = await lock_item(session, self.deal.id)
            found = await session.get_one(CrmActivity, call.id)
            found.item = deal
            await complete_crm_activity(session, found, self.person)

    async def note(self, kind: CrmActivityKind = CrmActivityKind.CALL) -> None:
        sent = {
            "item_id": self.deal.id,
            "kind": kind,
            "subject": "Offer",
            "status": CrmActivityStatus.COMPLETED,
        }
        async with self.database.transaction() as session:
            await add_crm_activity(session, await session.get_one(User, self.ann.id), sent)

    async def webhook(self) -> None:
        async with self.database.transaction() as session:
            deal = await lock_item(session, self.deal.id)
            await call_triggers(session, deal, "paid-in-shop", self.ann)


async def find_whole_invoice(session: AsyncSession, invoice: Item) -> Invoice:
    found = await find_whole(session, invoice.id, Invoice, lock=True)
    assert isinstance(found, Invoice)
    return found


@pytest.fixture
async def shop(database: Database) -> Shop:
    shop = Shop(database)
    await shop.open()
    return shop


class Case(NamedTuple):
    """A type whose trigger moves the deal by this deed, and not with other settings: why not."""

    code: str
    deed: Callable[[Shop], Awaitable[None]]
    settings: dict[str, Any]
    others: tuple[tuple[dict[str, Any], str], ...] = ()


def titled(word: str) -> dict[str, Any]:
    return {"field": "task.title", "operator": "contains", "value": word}


NOT_BONN = "The call was on the line +49 (30) 99-0, not Bonn."
NOBODY_KNOWS_THE_LINE = "Nobody knows on which line the call was."
OTHER_TEMPLATE = "The document is of template 7, not 1000000."

CASES = [
    Case("task_status", Shop.task, {}),
    Case(
        "task_status",
        Shop.task,
        {"status": "completed", "filter": titled("Invoice")},
        (
            ({"status": "deferred"}, "The task is completed, not deferred."),
            (
                {"status": "completed", "filter": titled("roof")},
                "task.title is Prepare the invoice, needed contains roof.",
            ),
            (
                {"filter": {"field": "task.gone", "operator": "empty"}},
                "task.gone cannot be compared: there is no such field.",
            ),
            (
                {"filter": {"field": "task.deadline_at", "operator": "not empty"}},
                "task.deadline_at is empty, needed not empty.",
            ),
        ),
    ),
    Case(
        "field_changed",
        Shop.amount,
        {"fields": ["deal.source", "deal.amount"]},
        (({"fields": ["deal.source", "responsible.id"]}, "It was amount that changed."),),
    ),
    Case("responsible_changed", Shop.responsible, {}),
    Case("email_received", Shop.mail_in, {}),
    Case("email_sent", Shop.sent, {}),
    Case("email_opened", Shop.opened, {}),
    Case("link_clicked", Shop.followed, {}),
    Case(
        "link_clicked",
        Shop.followed,
        {"prefix": "https://SHOP.example/offers"},
        (
            (
                {"prefix": "https://shop.example/other"},
                f"The link {LINK} does not begin with https://shop.example/other.",
            ),
        ),
    ),
    Case("incoming_call", Shop.call, {"line": "+4930990"}, (({"line": "Bonn"}, NOT_BONN),)),
    Case("incoming_call", Shop.call_somewhere, {}, (({"line": "Bonn"}, NOBODY_KNOWS_THE_LINE),)),
    Case("missed_call", Shop.missed, {}, (({"line": "Bonn"}, NOT_BONN),)),
    Case("outgoing_call", Shop.call_out, {}, (({"line": "Bonn"}, NOT_BONN),)),
    Case(
        "message_received",
        Shop.message,
        {"channel": "sms"},
        (({"channel": "Post"}, "The message came through SMS, not Post."),),
    ),
    Case(
        "form_submitted",
        Shop.form,
        {"form": "contact"},
        (({"form": "order"}, "The form was Contact, not order."),),
    ),
    Case("invoice_paid", Shop.pay, {}),
    Case("document_created", Shop.made, {}, (({"template": 1_000_000}, OTHER_TEMPLATE),)),
    Case("document_viewed", Shop.viewed, {}, (({"template": 1_000_000}, OTHER_TEMPLATE),)),
    Case("booking_made", Shop.booked, {}),
    Case(
        "activity_completed",
        Shop.complete,
        {"kind": "call"},
        (({"kind": "meeting"}, "It was a call, not a meeting."),),
    ),
    Case("activity_completed", Shop.note, {}),
    Case(
        "webhook",
        Shop.webhook,
        {"code": "paid-in-shop"},
        (({"code": "other"}, "The code was paid-in-shop, not other."),),
    ),
]

OTHERS = [(case, *other) for case in CASES for other in case.others]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
async def test_it_moves_the_item_when_it_happens(shop: Shop, case: Case) -> None:
    await shop.hang(case.code, case.settings)

    await case.deed(shop)

    assert await shop.stands() == "Won"


@on_one_database
@pytest.mark.parametrize(
    ("case", "settings", "reason"), OTHERS, ids=lambda each: getattr(each, "code", "")
)
async def test_it_does_not_where_the_settings_say_otherwise(
    shop: Shop, case: Case, settings: dict[str, Any], reason: str
) -> None:
    await shop.hang(case.code, settings)

    await case.deed(shop)

    assert await shop.stands() == "New"
    (check,) = await all_of(shop.database, TriggerCheck)
    told = check.reason.replace(f"template {shop.template.id},", "template 7,")
    assert (check.outcome, told) == (TriggerOutcome.OTHER_SETTINGS, reason)


async def considered(shop: Shop) -> list[str]:
    return [each.what_happened for each in await all_of(shop.database, TriggerCheck)]


@on_one_database
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("+49 30 99", "030 99"),
        ("030/99", "+493099"),
        ("0049 30 99", "+49 (30) 99"),
        ("berlin-mitte", "Berlin Mitte"),
        ("12", "12"),
        ("*7", "* 7"),
    ],
)
async def test_a_line_is_known_by_its_number_in_any_spelling_or_by_its_name(
    shop: Shop, line: str, told: str
) -> None:
    await shop.hang("incoming_call", {"line": line})

    await shop.call(line=told)

    assert await shop.stands() == "Won"


@pytest.mark.parametrize(("line", "told"), [("Sales 12", "Office 12"), ("*12", "12")])
async def test_names_of_lines_with_the_same_number_in_them_are_different(
    shop: Shop, line: str, told: str
) -> None:
    await shop.hang("incoming_call", {"line": line})

    await shop.call(line=told)

    assert await shop.stands() == "New"


@pytest.mark.parametrize("written", ["Web  Chat", "web\u00a0chat", "Web \u2009Chat"], ids=ascii)
async def test_a_channel_is_the_same_with_other_spaces(shop: Shop, written: str) -> None:
    await shop.hang("message_received", {"channel": written})

    await shop.message(channel="Web Chat")

    assert await shop.stands() == "Won"


@pytest.mark.parametrize("written", ["call\u00a0 back", "\u202bcall\tback\u202c"], ids=ascii)
async def test_a_form_is_the_same_with_other_spaces(shop: Shop, written: str) -> None:
    await shop.hang("form_submitted", {"form": written})

    await shop.form(code="Call back")

    assert await shop.stands() == "Won"


# Fields.


@on_one_database
@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (["deal.custom.size"], {"custom": {"size": 7}}),
        (["item.custom.size"], {"custom": {"size": 7}}),
        (["deal.contact_id"], {"contact_id": None}),
        (["contact.id"], {"contact_id": None}),
        (["deal.products"], {"product_rows": [{"name": "Tile", "price": Decimal(1)}]}),
    ],
)
async def test_fields_are_watched_under_each_of_their_names(
    shop: Shop, fields: list[str], sent: dict[str, Any]
) -> None:
    await shop.hang("field_changed", {"fields": fields})

    await shop.edit(**sent)

    assert await shop.stands() == "Won"


async def test_a_field_that_stays_as_it_is_has_not_changed(shop: Shop) -> None:
    await shop.amount()
    await shop.hang("field_changed", {"fields": ["deal.amount"]})
    await shop.hang("responsible_changed", {})

    await shop.edit(amount=Decimal("500.00"), responsible_id=None)

    assert await considered(shop) == []


async def test_what_a_new_item_begins_with_is_no_change(shop: Shop) -> None:
    await shop.hang("field_changed", {"fields": ["deal.amount"]})
    await shop.hang("responsible_changed", {})

    async with shop.database.transaction() as session:
        await add_item(session, Deal, {"title": "Roof", "amount": Decimal(7)}, shop.ann)

    assert await considered(shop) == []


async def test_a_booking_changes_its_field_and_so_does_cancelling_it(shop: Shop) -> None:
    await shop.hang("field_changed", {"fields": ["deal.custom.visit"]})
    async with shop.database.transaction() as session:
        trigger = await session.get_one(Trigger, (await all_of(shop.database, Trigger))[0].id)
        trigger.conditions = {"field": "deal.custom.visit", "operator": "empty"}
    booking = await shop.book()
    before = await shop.stands()

    async with shop.database.transaction() as session:
        deal = await lock_item(session, shop.deal.id)
        [found] = await lock_bookings_of(session, deal)
        await cancel_booking(session, found, shop.person)

    assert found.id == booking.id
    assert (before, await shop.stands()) == ("New", "Won")


async def test_a_lead_that_is_converted_has_its_client_changed(database: Database) -> None:
    ann = User(name="Ann")
    async with database.transaction() as session:
        session.add(ann)
        new, later = a_pipeline(session, "New", "Later", item_type=ItemType.LEAD)
        fields = ["lead.contact_id", "lead.converted_at"]
        a_trigger(session, later, "field_changed", settings={"fields": fields})
        lead = Lead(title="A call", first_name="Anna", contact_points=[])
        await create_item(session, lead, new, Cause.person(ann))

    async with database.transaction() as session:
        found = await find_whole(session, lead.id, Lead, lock=True)
        assert isinstance(found, Lead)
        await convert_lead(session, found, Wish(contact=True), Cause.person(ann))

    told = [each.what_happened for each in await all_of(database, TriggerCheck)]
    assert told == [f"Contact of lead {lead.id} changed", f"Converted at of lead {lead.id} changed"]
    assert found.stage_id == later.id


async def test_a_lead_that_a_person_converts_leaves_nothing_to_be_done_without_a_result(
    database: Database,
) -> None:
    ann = User(name="Ann")
    async with database.transaction() as session:
        session.add(ann)
        new, later = a_pipeline(session, "New", "Later", item_type=ItemType.LEAD)
        a_trigger(session, later, "task_status", settings={"status": "completed"})
        lead = Lead(title="A call", first_name="Anna", contact_points=[])
        await create_item(session, lead, new, Cause.person(ann))
        task = Task(title="Ask her", item=lead, result_required=True, people=[], further_items=[])
        session.add(task)

    async with database.transaction() as session:
        found = await find_whole(session, lead.id, Lead, lock=True)
        assert isinstance(found, Lead)
        converted = await convert_lead(session, found, Wish(contact=True), Cause.person(ann))

    assert converted.sentences[-1] == "Completed 1 task or activity."
    (done,) = await all_of(database, Task)
    assert done.status is TaskStatus.COMPLETED
    assert found.stage_id == later.id


# Mails.


async def test_mails_to_people_who_work_here_and_messages_are_no_mails_sent(shop: Shop) -> None:
    await shop.hang("email_sent", {})

    await shop.sent(user_id=shop.ann.id)
    await shop.sent(kind=DeliveryKind.MESSAGE, recipient=NUMBER)

    assert await considered(shop) == []


async def reacted(shop: Shop, mail: Delivery, *urls: str | None) -> None:
    for url in urls:
        async with shop.database.transaction() as session:
            await react(session, await session.get_one(Delivery, mail.id), url)


async def test_opening_a_mail_and_each_of_its_links_count_once(shop: Shop) -> None:
    await shop.hang("email_opened", {})
    await shop.hang("link_clicked", {})
    async with shop.database.transaction() as session:
        mail = await shop.delivery(session)

    await reacted(shop, mail, None, LINK, None, LINK, "https://shop.example")

    assert await considered(shop) == [
        "«Offer» to anna@berg.example was opened",
        f"A link in «Offer» to anna@berg.example was followed: {LINK}",
        "A link in «Offer» to anna@berg.example was followed: https://shop.example",
    ]


async def test_the_run_that_sent_a_mail_has_brought_it_about(shop: Shop) -> None:
    await shop.hang("email_sent", {})

    await shop.sent()

    (check,) = await all_of(shop.database, TriggerCheck)
    assert check.cause_run_id == shop.rule_run_id


# Invoices.


async def test_moving_an_invoice_to_a_won_stage_pays_it_and_moves_its_deal(shop: Shop) -> None:
    await shop.hang("invoice_paid", {})
    invoice = await shop.invoice()

    async with shop.database.transaction() as session:
        found = await lock_item(session, invoice.id)
        paid = await find_stage(session, shop.paid.id)
        await enter_stage(session, found, paid, shop.person)

    assert await shop.stands() == "Won"
    assert await considered(shop) == [f"Invoice {invoice.id} «Roof» is paid"]


async def test_taking_a_payment_back_or_paying_for_nothing_moves_nothing(shop: Shop) -> None:
    async with shop.database.transaction() as session:
        await session.delete(await find_stage(session, shop.paid.id))
    await shop.pay()
    await shop.hang("invoice_paid", {})
    async with shop.database.transaction() as session:
        unpaid = await find_stage(session, shop.unpaid.id)
        alone = Invoice(title="Alone")
        await create_item(session, alone, unpaid, shop.person)
    (paid, _) = await all_of(shop.database, Invoice)

    async with shop.database.transaction() as session:
        await take_back_payment(session, await find_whole_invoice(session, paid), shop.person)
        await pay(session, await find_whole_invoice(session, alone), shop.person)

    assert await considered(shop) == []


# Documents and bookings.


async def test_a_document_is_viewed_for_the_first_time_once(shop: Shop) -> None:
    await shop.hang("document_viewed", {})
    document = await shop.document()

    await shop.view(document)
    await shop.view(document)

    assert await considered(shop) == ["«Offer 1» was opened through its public link"]


async def test_what_is_booked_again_for_a_copy_is_no_booking_made(shop: Shop) -> None:
    await shop.book()
    await shop.hang("booking_made", {})
    await shop.hang("field_changed", {"fields": ["deal.custom.visit"]})

    async with shop.database.transaction() as session:
        source = await lock_item(session, shop.deal.id)
        copy = Deal(title="Roof (Copy)")
        await create_item(session, copy, await find_stage(session, shop.new.id), shop.person)
        await session.refresh(copy)
        copy.creator = shop.ann
        told = await rebook(session, source, copy, shop.person)

    assert len(told) == 1
    assert await considered(shop) == []


async def test_restoring_an_item_makes_no_bookings(shop: Shop) -> None:
    await shop.book()
    await shop.hang("booking_made", {})
    await shop.hang("field_changed", {"fields": ["deal.custom.visit"]})

    async with shop.database.transaction() as session:
        deal = await lock_item(session, shop.deal.id)
        await delete_item(session, deal, shop.person)
        await restore_item(session, deal, Cause.restore(shop.ann))

    assert await considered(shop) == []


# CRM activities.


async def test_what_completes_itself_as_a_person_moves_the_item_moves_it_on(shop: Shop) -> None:
    call = await shop.plan(complete_on_stage_change=True)
    async with shop.database.transaction() as session:
        archive = await find_stage(session, shop.archive.id)
        a_trigger(session, archive, "activity_completed")

    async with shop.database.transaction() as session:
        deal = await lock_item(session, shop.deal.id)
        won = await find_stage(session, shop.won.id)
        await enter_stage(session, deal, won, shop.person)

    assert await shop.stands() == "Archive"
    assert await considered(shop) == [f"Call {call.id} «Offer» is completed"]


@pytest.mark.parametrize("kind", [CrmActivityKind.EMAIL, CrmActivityKind.MESSAGE])
async def test_mails_and_messages_that_are_noted_are_no_activities(
    shop: Shop, kind: CrmActivityKind
) -> None:
    await shop.hang("activity_completed", {})
    await shop.hang("email_sent", {})

    await shop.note(kind)

    assert await considered(shop) == []


async def test_a_call_that_comes_in_is_no_activity_that_is_completed(shop: Shop) -> None:
    await shop.hang("activity_completed", {})
    await shop.hang("missed_call", {})

    await shop.call()

    assert await considered(shop) == []


# Settings.


async def wrong(shop: Shop, code: str, settings: dict[str, Any]) -> dict[str, str]:
    """Check settings as they are checked when a trigger is saved."""
    if settings.get("template") == "that of leads":
        template = await a_template(shop.database, name="For leads", item_type=ItemType.LEAD)
        settings = {"template": template.id}
    read = all_trigger_types()[code].settings.model_validate(settings)
    async with shop.database.transaction() as session:
        place = TriggerPlace(session, await find_stage(session, shop.won.id))
        return {each.field: each.reason for each in await read.problems(place)}


@on_one_database
@pytest.mark.parametrize(
    ("code", "settings", "problems"),
    [
        (
            "field_changed",
            {"fields": ["deal.amuont", "deal.amount", "deal.amount", "contact.name", "deal.url"]},
            {
                "/fields/0": "unknown field deal.amuont, did you mean deal.amount?",
                "/fields/2": "deal.amount is there twice",
                "/fields/3": "only changes of the item's own fields are followed, and of "
                "company.id, contact.id, responsible.id",
                "/fields/4": "deal.url does not change while the item stays in its stage",
            },
        ),
        ("field_changed", {"fields": ["deal.custom.visit", "deal.further_contact_ids"]}, {}),
        (
            "task_status",
            {"filter": {"all": [titled("x"), {"field": "task.titel", "operator": "empty"}]}},
            {"/filter/all/1/field": "unknown field task.titel, did you mean task.title?"},
        ),
        (
            "task_status",
            {"filter": {"field": "task.title", "operator": "changed since entry"}},
            {
                "/filter/field": "only changes of the item's own fields are followed, and of "
                "company.id, contact.id, responsible.id"
            },
        ),
        (
            "document_created",
            {"template": 1_000_000},
            {"/template": "There is no document template 1000000."},
        ),
        (
            "document_viewed",
            {"template": "that of leads"},
            {"/template": "«For leads» is for leads, not for deals."},
        ),
    ],
)
async def test_settings_that_could_never_fit_are_refused(
    shop: Shop, code: str, settings: dict[str, Any], problems: dict[str, str]
) -> None:
    assert await wrong(shop, code, settings) == problems


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("field_changed", {}),
        ("field_changed", {"fields": []}),
        ("webhook", {}),
        ("webhook", {"code": "two words"}),
        ("link_clicked", {"prefix": ""}),
        ("activity_completed", {"kind": "email"}),
        ("task_status", {"status": "done"}),
        ("responsible_changed", {"line": "1"}),
    ],
)
def test_settings_that_are_none_are_refused(code: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        all_trigger_types()[code].settings.model_validate(settings)


@pytest.mark.parametrize(
    ("code", "settings", "name"),
    [
        ("task_status", {"status": "completed"}, "Watch task status: completed"),
        ("task_status", {}, "Watch task status"),
        (
            "field_changed",
            {"fields": ["deal.amount", "deal.source"]},
            "Field changed: deal.amount, deal.source",
        ),
        ("invoice_paid", {}, "Invoice is paid"),
        ("missed_call", {"line": "Berlin"}, "Missed call: Berlin"),
        ("link_clicked", {"prefix": LINK}, f"Link in an e-mail followed: {LINK}"),
        ("form_submitted", {"form": "contact"}, "Web form filled in: contact"),
        ("message_received", {"channel": "SMS"}, "Message received: SMS"),
        ("document_viewed", {"template": 7}, "Document viewed: template 7"),
        ("activity_completed", {"kind": "to-do"}, "Activity completed: to-do"),
        ("webhook", {"code": "paid"}, "Webhook: paid"),
    ],
)
def test_a_trigger_is_called_by_its_type_and_its_settings(
    code: str, settings: dict[str, Any], name: str
) -> None:
    kind = all_trigger_types()[code]

    assert kind.name_of(kind.settings.model_validate(settings)) == name
