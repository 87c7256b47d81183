"""What comes of mails, calls, messages and forms: a CRM activity, a lead, or nothing at all."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.base import Record
from models.clock import at
from models.company import Company
from models.contact import Contact
from models.contact_point import ContactPoint, email, phone
from models.conversion import Offspring, Wish, convert_lead
from models.crm_activity import (
    Completion,
    CrmActivity,
    CrmActivityDirection,
    CrmActivityKind,
    CrmActivityStatus,
)
from models.database import Database
from models.delivery import Delivery, DeliveryKind
from models.errors import Conflict, Invalid
from models.exclusion import Exclusion, ExclusionKind
from models.history import HistoryEntry, HistoryKind
from models.inbound import Inbound, InboundOutcome
from models.incoming import Call, Form, Message, of_form
from models.incoming_mail import read_mail
from models.intake import (
    Received,
    Reception,
    receive_call,
    receive_form,
    receive_mail,
    receive_message,
)
from models.item import Deal, Item, Lead, lock_item
from models.item_type import ItemType
from models.mail import message_id
from models.notification import Notification
from models.occasion import waiting as occasions_of
from models.pipeline import Stage, StageKind
from models.recycle_bin import delete_item
from models.rule import present
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, CauseKind, StageEntry
from models.timeline import copy_timeline
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, a_rule, a_trigger
from tests.fixtures.database import counted
from tests.fixtures.runner import Runner

NOW = datetime(2027, 8, 2, 9, 0, tzinfo=UTC)
HERE = Reception("http://crm.example", "crm@firm.example")
CLIENT = Cause.client()


def a_mail(
    sender: str = "Anna Berg <anna@berg.example>",
    subject: str = "The roof",
    message_id: str | None = "<1@berg.example>",
    text: str = "Does it hold?",
    **headers: str,
) -> bytes:
    """Return a message as it arrives; `In_Reply_To` and others are further headers."""
    head = {"From": sender, "Subject": subject, "Message-ID": message_id} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"{name}: {value}\r\n" for name, value in head.items() if value is not None]
    return f"{''.join(lines)}\r\n{text}\r\n".encode()


A_CALL = Call(
    id="1",
    phone="030 1234567",
    outgoing=False,
    answered=True,
    line="Berlin",
    started_at=NOW,
    seconds=90,
    recording_url=None,
    user=None,
)
A_MESSAGE = Message(
    id="1",
    channel="SMS",
    phone="+49 30 1234567",
    handle=None,
    name="",
    text="Call me back",
    sent_at=NOW,
)
A_FORM = Form(
    key="1",
    code="contact",
    name="Anna Berg",
    phones=["030 1234567"],
    emails=["anna@berg.example"],
    company="Roofs",
    comments="A new roof, please",
    custom={},
    source=None,
    utm={"source": "newsletter"},
    pages=["https://firm.example/roofs"],
    responsible=None,
    filled_in_at=NOW,
)


def _with(sent: Any, said: dict[str, Any]) -> Any:
    return type(sent)(**(vars(sent) | said))


async def received_by(session: AsyncSession, what: Any) -> Received:
    match what:
        case Call():
            return await receive_call(session, what, HERE)
        case Message():
            return await receive_message(session, what, HERE)
        case Form():
            return await receive_form(session, what, HERE)
    return await receive_mail(session, what, read_mail(what), HERE)


class Office:
    """Where things come in, and what can be seen of it afterwards."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def mail(self, raw: bytes) -> Received:
        return await self._receive(raw)

    async def call(self, **said: Any) -> Received:
        return await self._receive(_with(A_CALL, said))

    async def message(self, **said: Any) -> Received:
        return await self._receive(_with(A_MESSAGE, said))

    async def form(self, **said: Any) -> Received:
        return await self._receive(_with(A_FORM, said))

    async def _receive(self, what: Any) -> Received:
        async with self.database.transaction() as session:
            return await received_by(session, what)

    async def add(self, *rows: Record) -> None:
        async with self.database.transaction() as session:
            session.add_all(rows)

    async def all(self, kind: type[Any], *conditions: Any) -> Sequence[Any]:
        async with self.database.reading() as session:
            found = await session.scalars(select(kind).where(*conditions).order_by(kind.id))
            return found.all()

    async def count(self, kind: type[Any]) -> int:
        async with self.database.reading() as session:
            return await session.scalar(select(func.count()).select_from(kind)) or 0

    async def deal(self, **said: Any) -> Deal:
        """Make a deal that is under way."""
        async with self.database.transaction() as session:
            (stage,) = a_pipeline(session, "New")
            deal, _ = await a_deal(session, stage, **said)
        return deal

    async def exclude(self, value: str, kind: ExclusionKind = ExclusionKind.EMAIL) -> None:
        await self.add(Exclusion(kind=kind, value=value))

    async def bin(self, item: Item) -> None:
        async with self.database.transaction() as session:
            locked = await lock_item(session, item.id)
            await delete_item(session, locked, Cause.client())


@pytest.fixture
async def office(database: Database) -> Office:
    """The office, with a pipeline for leads."""
    office = Office(database)
    async with database.transaction() as session:
        a_pipeline(session, "New", "Called back", item_type=ItemType.LEAD)
    return office


def anna(*points: ContactPoint) -> Contact:
    return Contact(first_name="Anna", last_name="Berg", contact_points=list(points))


ADDRESS = "Anna@Berg.example"
NUMBER = "+49 30 1234567"


async def test_somebody_unknown_who_writes_becomes_a_lead_in_the_first_stage(
    office: Office,
) -> None:
    received = await office.mail(a_mail())

    [lead] = await office.all(Lead)
    [stage, _] = await office.all(Stage)
    assert received.outcome is InboundOutcome.LEAD
    assert (received.lead_id, received.item_ids) == (lead.id, [lead.id])
    assert lead.stage_id == stage.id
    assert (lead.title, lead.first_name, lead.last_name) == ("The roof", "Anna", "Berg")
    assert (lead.source, lead.contact_id, lead.responsible_id) == ("E-mail", None, None)
    assert [point.value for point in await office.all(ContactPoint)] == ["anna@berg.example"]
    [entry] = await office.all(StageEntry)
    assert (entry.cause, entry.cause_user_id) == (CauseKind.CLIENT, None)


async def test_the_rules_of_the_first_stage_start_for_a_lead_that_came_in(office: Office) -> None:
    async with office.database.transaction() as session:
        stage = await session.scalar(select(Stage).order_by(Stage.id).limit(1))
        assert stage is not None
        a_rule(session, stage)

    await office.mail(a_mail())

    [run] = await office.all(RuleRun)
    assert run.state is RunState.WAITING


async def test_what_came_in_is_a_completed_incoming_crm_activity(office: Office) -> None:
    received = await office.mail(a_mail(Date="Mon, 2 Aug 2021 09:00:00 +0000"))

    [noted] = await office.all(CrmActivity)
    assert received.crm_activity_ids == [noted.id]
    assert (noted.kind, noted.subject) == (CrmActivityKind.EMAIL, "The roof")
    assert (noted.description, noted.inbound_id) == ("Does it hold?", received.inbound_id)
    assert noted.direction is CrmActivityDirection.INCOMING
    assert noted.status is CrmActivityStatus.COMPLETED
    assert (noted.completion, noted.completed_by_id) == (Completion.CLIENT, None)
    assert noted.completed_at == datetime(2021, 8, 2, 9, tzinfo=UTC)
    assert noted.told_version == noted.agenda_version


async def test_a_mail_from_the_future_came_in_now(office: Office) -> None:
    with at(NOW):
        await office.mail(a_mail(Date="Mon, 2 Aug 2077 09:00:00 +0000"))

    [noted] = await office.all(CrmActivity)
    assert noted.completed_at == NOW


async def test_the_second_mail_of_somebody_unknown_finds_the_lead(office: Office) -> None:
    first = await office.mail(a_mail())

    second = await office.mail(a_mail("ANNA@BERG.EXAMPLE", message_id="<2@berg.example>"))

    assert second.outcome is InboundOutcome.NOTED
    assert second.item_ids == [first.lead_id]
    assert await office.count(Lead) == 1


async def test_a_lead_that_is_closed_does_not_hear_of_them_again(office: Office) -> None:
    first = await office.mail(a_mail())
    async with office.database.transaction() as session:
        stage = await session.scalar(select(Stage).order_by(Stage.id).limit(1))
        assert stage is not None
        stage.kind = StageKind.LOST

    second = await office.mail(a_mail(message_id="<2@berg.example>"))

    assert second.outcome is InboundOutcome.LEAD
    assert second.lead_id != first.lead_id


@pytest.mark.parametrize("message_id", ["<1@berg.example>", None, f"<{'long' * 100}@b.example>"])
async def test_the_same_mail_is_stored_once(office: Office, message_id: str | None) -> None:
    first = await office.mail(a_mail(message_id=message_id))

    again = await office.mail(a_mail(message_id=message_id))

    assert (again.repeated, again.is_new, first.repeated) == (True, False, False)
    assert (again.outcome, again.sentence) == (first.outcome, first.sentence)
    assert (again.lead_id, again.crm_activity_ids) == (first.lead_id, first.crm_activity_ids)
    assert (await office.count(Inbound), await office.count(CrmActivity)) == (1, 1)


async def test_a_mail_without_an_id_is_the_same_whatever_ends_its_lines(office: Office) -> None:
    mail = a_mail(message_id=None)
    await office.mail(mail)

    again = await office.mail(mail.replace(b"\r\n", b"\n"))

    assert again.repeated


async def test_a_copy_from_a_mailing_list_is_a_repetition(office: Office) -> None:
    await office.mail(a_mail())

    copy = await office.mail(a_mail(List_Id="<roofs.example>", text="Does it hold?\n-- \nRoofs"))

    assert copy.repeated


async def test_the_message_id_of_somebody_elses_mail_hides_nothing(office: Office) -> None:
    forged = await office.mail(a_mail("Sam <sam@prizes.example>"))

    real = await office.mail(a_mail())
    again = await office.mail(a_mail())

    assert (real.is_new, real.outcome) == (True, InboundOutcome.LEAD)
    assert (again.repeated, again.inbound_id) == (True, real.inbound_id)
    assert real.lead_id != forged.lead_id
    assert await office.count(Inbound) == 2


async def test_a_client_hears_of_it_in_each_open_item_of_theirs(office: Office) -> None:
    contact = anna(email(ADDRESS))
    own = await office.deal(contact=contact)
    as_further = await office.deal(further_contacts=[contact])
    lead = (await office.form(emails=["anna@berg.example"], phones=[])).item_ids
    gone = await office.deal(contact=contact)
    await office.bin(gone)

    received = await office.mail(a_mail())

    assert received.outcome is InboundOutcome.NOTED
    assert received.item_ids == [own.id, as_further.id]
    assert (received.contact_id, received.lead_id) == (contact.id, None)
    assert lead == [own.id, as_further.id]
    assert await office.count(Lead) == 0


async def test_a_company_is_known_by_its_own_address(office: Office) -> None:
    company = Company(name="Roofs", contact_points=[email(ADDRESS)])
    deal = await office.deal(company=company)

    received = await office.mail(a_mail())

    [noted] = await office.all(CrmActivity)
    assert received.item_ids == [deal.id]
    assert (received.company_id, received.contact_id) == (company.id, None)
    assert (noted.company_id, noted.contact_id) == (company.id, None)


async def test_of_very_many_items_the_newest_hear_of_it(office: Office) -> None:
    contact = anna(email(ADDRESS))
    async with office.database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        deals = [(await a_deal(session, stage, contact=contact))[0] for _ in range(22)]

    received = await office.mail(a_mail())

    assert received.item_ids == [deal.id for deal in deals[2:]]
    assert received.sentence.endswith("There are more: it was noted for the newest 20.")


async def test_of_a_client_with_nothing_open_it_stands_on_the_contact_alone(
    office: Office,
) -> None:
    seller = User(name="Sam", role=Role.AGENT)
    contact = anna(email(ADDRESS))
    won = await office.deal(contact=contact, responsible=seller)
    async with office.database.transaction() as session:
        stage = await session.get_one(Stage, won.stage_id)
        stage.kind = StageKind.WON

    received = await office.mail(a_mail())

    [noted] = await office.all(CrmActivity)
    assert received.outcome is InboundOutcome.NOTED
    assert received.sentence == "Noted for the contact alone, of whom nothing is open."
    assert (noted.item_id, noted.contact_id, noted.responsible_id) == (None, contact.id, seller.id)
    [line] = await office.all(HistoryEntry, HistoryEntry.kind == HistoryKind.EMAIL)
    assert (line.subject_type, line.subject_id, line.item_id) == ("contact", contact.id, None)
    [told] = await office.all(Notification)
    assert (told.recipient_id, told.item_id) == (seller.id, None)
    assert told.link == f"http://crm.example/v1/crm-activities/{noted.id}"


async def test_who_is_responsible_is_told_once(office: Office) -> None:
    seller, away = User(name="Sam"), User(name="Alma", active=False)
    contact = anna(email(ADDRESS))
    await office.deal(contact=contact, responsible=seller)
    await office.deal(contact=contact, responsible=away)
    newest = await office.deal(contact=contact, responsible=seller)

    await office.mail(a_mail())

    [told] = await office.all(Notification)
    assert (told.recipient_id, told.item_id) == (seller.id, newest.id)
    assert told.text == f"E-mail from Anna Berg: The roof (deal {newest.id})"
    assert told.link == f"http://crm.example/v1/deals/{newest.id}"


async def test_history_tells_of_it_as_the_clients_doing(office: Office) -> None:
    deal = await office.deal(contact=anna(email(ADDRESS)))

    await office.mail(a_mail())

    [noted] = await office.all(CrmActivity)
    [line] = await office.all(HistoryEntry, HistoryEntry.kind == HistoryKind.EMAIL)
    assert line.text == f"E-mail from Anna Berg: email {noted.id} «The roof»."
    assert (line.item_id, line.author_id, line.run_id) == (deal.id, None, None)


@pytest.fixture
async def waiting(office: Office, runner: Runner) -> RuleRun:
    """A deal of Anna's that waits for her."""
    three_days = {"until": {"amount": 3, "unit": "days"}}
    async with office.database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "wait", params=three_days)
        contact = anna(email(ADDRESS), phone(NUMBER, region="DE"))
        _, entry = await a_deal(session, stage, contact=contact)
    return await runner.do(entry.id, at=NOW)


@pytest.mark.parametrize(
    ("kind", "what", "ended_by"),
    [
        ("mail", {}, "client"),
        ("mail", {"Auto_Submitted": "auto-replied"}, None),
        ("mail", {"List_Id": "<news.berg.example>"}, None),
        ("call", {}, "client"),
        ("call", {"answered": False}, "client"),
        ("call", {"outgoing": True}, "person"),
        ("call", {"outgoing": True, "answered": False}, None),
        ("message", {}, "client"),
        ("form", {}, "client"),
    ],
    ids=str,
)
async def test_a_wait_ends_when_the_client_gets_in_touch_in_person(
    office: Office, waiting: RuleRun, kind: str, what: dict[str, Any], ended_by: str | None
) -> None:
    sent = {"mail": lambda: office.mail(a_mail(**what)), "call": lambda: office.call(**what)}
    sent |= {"message": lambda: office.message(**what), "form": lambda: office.form(**what)}

    received = await sent[kind]()

    [run] = await office.all(RuleRun)
    assert received.item_ids == [waiting.item_id]
    assert (run.result or {}).get("ended_by") == ended_by


@pytest.mark.parametrize(
    ("what", "triggers"),
    [
        (a_mail(), ["email_received"]),
        (a_mail(Auto_Submitted="auto-replied"), []),
        (a_mail("bob@else.example"), []),
        (A_CALL, ["incoming_call"]),
        (_with(A_CALL, {"answered": False}), ["missed_call"]),
        (_with(A_CALL, {"outgoing": True}), ["outgoing_call"]),
        (_with(A_CALL, {"phone": "030 7654321"}), []),
        (A_MESSAGE, ["message_received"]),
        (A_FORM, ["form_submitted"]),
    ],
    ids=str,
)
async def test_what_a_client_does_is_an_occasion_for_triggers_and_what_makes_a_lead_is_none(
    office: Office, what: Any, triggers: list[str]
) -> None:
    deal = await office.deal(contact=anna(email(ADDRESS), phone(NUMBER, region="DE")))

    async with office.database.transaction() as session:
        await received_by(session, what)
        occasions = list(occasions_of(session))

    assert [each.trigger for each in occasions] == triggers
    assert {each.item_ids for each in occasions} <= {(deal.id,)}


# Exceptions.


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ExclusionKind.EMAIL, "anna@berg.example"),
        (ExclusionKind.DOMAIN, "berg.example"),
    ],
)
async def test_of_an_excluded_sender_nothing_is_kept(
    office: Office, kind: ExclusionKind, value: str
) -> None:
    await office.deal(contact=anna(email(ADDRESS)))
    await office.exclude(value, kind)
    before = await office.count(HistoryEntry)

    received = await office.mail(a_mail("Anna <ANNA@Berg.Example>"))

    assert received.outcome is InboundOutcome.EXCLUDED
    assert (received.inbound_id, received.item_ids, received.is_new) == (None, [], False)
    assert received.sentence == "The sender is on the exceptions list: nothing of it was kept."
    kept = [await office.count(each) for each in (Inbound, CrmActivity, Lead, Notification)]
    assert kept == [0, 0, 0, 0]
    assert await office.count(HistoryEntry) == before


@pytest.mark.parametrize(
    "mail",
    [
        a_mail("Anna <anna@berg.example>, Sam <sam@prizes.example>"),
        a_mail("Anna <anna@berg.example>", Sender="sam@prizes.example."),
        a_mail("sam@prizes.example.\0"),
    ],
    ids=["of two", "on behalf", "misspelled"],
)
async def test_one_excluded_sender_is_enough(office: Office, mail: bytes) -> None:
    await office.exclude("sam@prizes.example")

    received = await office.mail(mail)

    assert received.outcome is InboundOutcome.EXCLUDED
    assert await office.count(Inbound) == 0


@pytest.mark.parametrize("spelling", ["+49 30 1234567", "030/12 345 67", "0049301234567"])
async def test_a_number_is_excluded_however_it_is_written(office: Office, spelling: str) -> None:
    await office.exclude("+49301234567", ExclusionKind.PHONE)

    calls = [
        await office.call(phone=spelling),
        await office.call(phone=spelling, outgoing=True),
        await office.message(phone=spelling),
    ]

    assert {each.outcome for each in calls} == {InboundOutcome.EXCLUDED}
    assert await office.count(Inbound) == 0


async def test_forms_are_never_blocked(office: Office) -> None:
    await office.exclude("anna@berg.example")

    received = await office.form()

    assert received.outcome is InboundOutcome.LEAD


async def test_who_is_taken_off_the_list_is_heard_again(office: Office) -> None:
    await office.exclude("anna@berg.example")
    await office.mail(a_mail())
    async with office.database.transaction() as session:
        [listed] = await session.scalars(select(Exclusion))
        await session.delete(listed)

    received = await office.mail(a_mail())

    assert received.outcome is InboundOutcome.LEAD


# Threads.


async def a_mail_of_ours(office: Office, item: Item) -> Delivery:
    """Let a rule have written to the client about an item."""
    async with office.database.transaction() as session:
        [entry] = await session.scalars(select(StageEntry).where(StageEntry.item_id == item.id))
        stage = await session.get_one(Stage, entry.stage_id)
        rule = a_rule(session, stage, "send_email")
        run = RuleRun(
            stage_entry=entry,
            item=await session.get_one(Item, item.id),
            rule=rule,
            version=present(rule),
            position=0,
            next_activity="send_email",
        )
        session.add(run)
        await session.flush()
        delivery = Delivery(
            kind=DeliveryKind.EMAIL,
            run_id=run.id,
            item=run.item,
            recipient="anna@berg.example",
            subject="Your roof",
            content={"sent_from": "crm@firm.example", "text": "", "html": ""},
        )
        session.add(delivery)
    return delivery


@pytest.mark.parametrize("header", ["In_Reply_To", "References"])
async def test_a_reply_to_a_mail_of_ours_goes_to_its_item_and_to_no_other(
    office: Office, header: str
) -> None:
    contact = anna(email(ADDRESS))
    deal = await office.deal(contact=contact)
    await office.deal(contact=contact)
    ours = message_id(await a_mail_of_ours(office, deal))

    received = await office.mail(a_mail(**{header: f"<0@nowhere.example> {ours}"}))

    assert received.item_ids == [deal.id]
    assert received.sentence == f"Noted for deal {deal.id}. It answers a mail about it."


async def test_a_reply_is_stored_from_an_excluded_address_too(office: Office) -> None:
    deal = await office.deal()
    ours = message_id(await a_mail_of_ours(office, deal))
    await office.exclude("anna@berg.example")

    received = await office.mail(a_mail(In_Reply_To=ours))

    assert (received.outcome, received.item_ids) == (InboundOutcome.NOTED, [deal.id])


@pytest.mark.parametrize(
    ("sender", "ended_by", "triggers"),
    [
        ("anna@berg.example", None, []),
        ("colleague@berg.example", "client", ["email_received"]),
    ],
)
async def test_a_reply_of_an_excluded_sender_moves_nothing_and_one_of_a_colleague_does(
    office: Office, waiting: RuleRun, sender: str, ended_by: str | None, triggers: list[str]
) -> None:
    deal = (await office.all(Deal))[0]
    ours = message_id(await a_mail_of_ours(office, deal))
    await office.exclude("anna@berg.example")

    async with office.database.transaction() as session:
        received = await received_by(session, a_mail(sender, In_Reply_To=ours))
        occasions = [each.trigger for each in occasions_of(session)]

    [run] = await office.all(RuleRun, RuleRun.id == waiting.id)
    assert received.item_ids == [deal.id]
    assert ((run.result or {}).get("ended_by"), occasions) == (ended_by, triggers)


async def test_a_reply_about_a_lead_that_was_converted_reaches_its_deal(
    office: Office, runner: Runner
) -> None:
    first = await office.mail(a_mail())
    async with office.database.transaction() as session:
        [_, won] = await session.scalars(select(Stage).order_by(Stage.id))
        won.kind = StageKind.WON
        (new,) = a_pipeline(session, "New")
        a_rule(session, new, "wait", params={"until": {"amount": 3, "unit": "days"}})
        await session.flush()
        lead = await lock_item(session, first.lead_id or 0)
        assert isinstance(lead, Lead)
        made = await convert_lead(session, lead, Wish(deal=Offspring("Roof", None, new)), CLIENT)
        assert made.deal is not None
    [entry] = await office.all(StageEntry, StageEntry.item_id == made.deal.id)
    await runner.do(entry.id, at=NOW)

    reply = a_mail("bob@else.example", message_id="<2@b>", In_Reply_To="<1@berg.example>")
    received = await office.mail(reply)

    [run] = await office.all(RuleRun)
    assert received.item_ids == [lead.id, made.deal.id]
    assert received.sentence == (
        f"Noted for lead {lead.id}, deal {made.deal.id}. It answers a mail about lead {lead.id}."
    )
    assert run.result["ended_by"] == "client"


async def test_a_reply_about_a_deal_that_is_won_is_for_what_is_open_of_the_sender(
    office: Office,
) -> None:
    contact = anna(email(ADDRESS))
    deal = await office.deal(contact=contact)
    ours = message_id(await a_mail_of_ours(office, deal))
    async with office.database.transaction() as session:
        (await session.get_one(Stage, deal.stage_id)).kind = StageKind.WON
    other = await office.deal(contact=contact)

    received = await office.mail(a_mail(In_Reply_To=ours))

    assert received.item_ids == [deal.id, other.id]


async def test_a_reply_about_an_item_that_is_gone_is_none(office: Office) -> None:
    deal = await office.deal()
    ours = message_id(await a_mail_of_ours(office, deal))
    await office.bin(deal)
    await office.exclude("anna@berg.example")

    received = await office.mail(a_mail(In_Reply_To=ours))

    assert received.outcome is InboundOutcome.EXCLUDED


async def test_an_answer_to_a_clients_own_mail_goes_to_the_same_item(office: Office) -> None:
    first = await office.mail(a_mail())

    received = await office.mail(
        a_mail("Bob <bob@else.example>", message_id="<2@b>", In_Reply_To="<1@berg.example>")
    )

    assert received.item_ids == [first.lead_id]
    assert received.contact_id is None


async def test_a_bounce_finds_the_mail_that_came_back(office: Office) -> None:
    deal = await office.deal()
    ours = message_id(await a_mail_of_ours(office, deal))

    received = await office.mail(
        a_mail(
            "MAILER-DAEMON@berg.example",
            subject="Undelivered",
            text=f"No such user.\r\n\r\nMessage-ID: {ours}\r\nSubject: Your roof",
        )
    )

    assert received.item_ids == [deal.id]
    assert received.sentence.endswith("Nobody has written it: it moves nothing.")


async def test_an_answer_goes_to_the_deal_written_to_and_not_to_its_copy(office: Office) -> None:
    deal, copy = await office.deal(contact=anna(email(ADDRESS))), await office.deal()
    await office.mail(a_mail())
    async with office.database.transaction() as session:
        items = [await session.get_one(Item, each.id) for each in (deal, copy)]
        copied = await copy_timeline(session, *items)

    received = await office.mail(a_mail(message_id="<2@b>", In_Reply_To="<1@berg.example>"))

    assert copied == 1
    assert received.item_ids == [deal.id]


# What makes no lead.


@pytest.mark.parametrize(
    ("mail", "outcome", "reason"),
    [
        (
            a_mail(Auto_Submitted="auto-replied"),
            InboundOutcome.AUTOMATIC,
            "Nobody has written it (automatic reply): it makes no lead.",
        ),
        (
            a_mail("mailer-daemon@berg.example"),
            InboundOutcome.AUTOMATIC,
            "Nobody has written it (bounce): it makes no lead.",
        ),
        (
            a_mail(List_Id="<news.berg.example>"),
            InboundOutcome.AUTOMATIC,
            "Nobody has written it (mailing list): it makes no lead.",
        ),
        (
            a_mail("Sam <SAM@firm.example>"),
            InboundOutcome.OURS,
            "It came from somebody who works here, or from our own address: it makes no lead.",
        ),
        (
            a_mail("CRM@firm.example"),
            InboundOutcome.OURS,
            "It came from somebody who works here, or from our own address: it makes no lead.",
        ),
        (
            a_mail("nobody at all"),
            InboundOutcome.UNREADABLE,
            "Nobody can tell who it came from: «nobody at all» is no address.",
        ),
        (b"", InboundOutcome.UNREADABLE, "Nobody can tell who it came from: it names no sender."),
    ],
    ids=lambda value: value.splitlines()[0].decode() if isinstance(value, bytes) and value else "",
)
async def test_such_mail_is_kept_and_makes_no_lead(
    office: Office, mail: bytes, outcome: InboundOutcome, reason: str
) -> None:
    await office.add(User(name="Sam", email="sam@firm.example"))

    received = await office.mail(mail)

    [kept] = await office.all(Inbound)
    assert (received.outcome, received.sentence, received.is_new) == (outcome, reason, True)
    assert (kept.outcome, kept.reason, kept.size) == (outcome, reason, len(mail))
    assert (await office.count(Lead), await office.count(CrmActivity)) == (0, 0)


async def test_what_is_kept_of_a_mail_is_what_arrived(office: Office) -> None:
    raw = a_mail(text="\udcff".encode("utf-8", "surrogateescape").decode("latin-1"))

    received = await office.mail(raw)

    async with office.database.reading() as session:
        kept = await session.scalar(select(Inbound.raw).where(Inbound.id == received.inbound_id))
    assert kept == raw


async def test_attached_files_are_named(office: Office) -> None:
    await office.mail(
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\n\r\nSee there.\r\n"
        b"--x\r\nContent-Type: application/pdf\r\n"
        b'Content-Disposition: attachment; filename="roof.pdf"\r\n\r\nPDF\r\n--x--\r\n'
    )

    [noted] = await office.all(CrmActivity)
    assert noted.description == "See there.\n\nAttached: roof.pdf (1 kB)"


# Calls.


async def test_a_caller_becomes_a_lead_and_whoever_talked_is_responsible(office: Office) -> None:
    sam = User(name="Sam")
    await office.add(sam)

    received = await office.call(user=sam)

    [lead] = await office.all(Lead)
    [noted] = await office.all(CrmActivity)
    assert received.lead_id == lead.id
    assert (lead.title, lead.source) == ("Call from 030 1234567", "Call")
    assert (lead.responsible_id, noted.responsible_id) == (sam.id, sam.id)
    assert (noted.phone, noted.description) == ("030 1234567", "Line: Berlin")
    assert await office.count(Notification) == 0


async def test_a_call_is_known_by_its_number_however_it_is_written(office: Office) -> None:
    deal = await office.deal(contact=anna(phone(NUMBER, region="DE")))

    received = await office.call(phone="0049 (30) 123 45-67")

    assert received.item_ids == [deal.id]


@pytest.mark.parametrize(
    ("said", "subject", "direction", "result"),
    [
        ({}, "Call from 030 1234567", CrmActivityDirection.INCOMING, None),
        (
            {"answered": False, "seconds": 0},
            "Missed call from 030 1234567",
            CrmActivityDirection.INCOMING,
            "missed",
        ),
        ({"outgoing": True}, "Call to 030 1234567", CrmActivityDirection.OUTGOING, None),
        (
            {"outgoing": True, "answered": False},
            "Call without an answer to 030 1234567",
            CrmActivityDirection.OUTGOING,
            "missed",
        ),
    ],
    ids=str,
)
async def test_a_call_is_noted_for_what_it_was(
    office: Office,
    said: dict[str, Any],
    subject: str,
    direction: CrmActivityDirection,
    result: str | None,
) -> None:
    await office.deal(contact=anna(phone(NUMBER, region="DE")))

    with at(NOW + timedelta(hours=1)):
        await office.call(**said)

    [noted] = await office.all(CrmActivity)
    assert (noted.subject, noted.direction, noted.result) == (subject, direction, result)
    assert (noted.kind, noted.starts_at) == (CrmActivityKind.CALL, NOW)
    assert noted.completed_at == NOW + timedelta(seconds=said.get("seconds", 90))


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        ({"phone": None}, InboundOutcome.UNREADABLE, "The number was hidden."),
        (
            {"phone": "anonymous"},
            InboundOutcome.UNREADABLE,
            "«anonymous» is no phone number.",
        ),
        (
            {"outgoing": True},
            InboundOutcome.UNKNOWN,
            "We called somebody unknown: that makes no lead.",
        ),
    ],
    ids=str,
)
async def test_such_a_call_is_kept_and_makes_no_lead(
    office: Office, said: dict[str, Any], outcome: InboundOutcome, reason: str
) -> None:
    received = await office.call(**said)

    assert (received.outcome, received.sentence, received.is_new) == (outcome, reason, True)
    assert await office.count(Lead) == 0


# Messages and forms.


async def test_who_writes_by_a_handle_again_is_known_by_it(office: Office) -> None:
    first = await office.message(phone=None, handle="@anna", name="Anna Berg")

    second = await office.message(phone=None, handle="@anna", id="2")
    elsewhere = await office.message(phone=None, handle="@anna", id="3", channel="Chat")

    assert second.item_ids == first.item_ids == [first.lead_id]
    assert elsewhere.outcome is InboundOutcome.LEAD


async def test_who_is_known_by_a_handle_alone_is_heard_in_the_deal_that_their_lead_became(
    office: Office, runner: Runner
) -> None:
    first = await office.message(phone=None, handle="@anna", name="Anna Berg")
    three_days = {"until": {"amount": 3, "unit": "days"}}
    async with office.database.transaction() as session:
        [_, won] = await session.scalars(select(Stage).order_by(Stage.id))
        won.kind = StageKind.WON
        new, answered = a_pipeline(session, "New", "Answered")
        a_rule(session, new, "wait", params=three_days)
        a_trigger(session, answered, "message_received")
        await session.flush()
        lead = await lock_item(session, first.lead_id or 0)
        wish = Wish(contact=True, company="Roofs", deal=Offspring("Roof", None, new))
        assert isinstance(lead, Lead)
        made = await convert_lead(session, lead, wish, Cause.client())
        assert made.deal is not None
    [entry] = await office.all(StageEntry, StageEntry.item_id == made.deal.id)
    await runner.do(entry.id, at=NOW)
    of_the_firm = await office.deal(company=made.company)

    second = await office.message(phone=None, handle="@anna", id="2")

    [run] = await office.all(RuleRun)
    [deal] = await office.all(Deal, Deal.id == made.deal.id)
    assert second.item_ids == [deal.id] != [of_the_firm.id]
    assert run.result["ended_by"] == "client"
    assert deal.stage_id == answered.id


async def test_no_two_channels_share_an_id_or_a_handle(office: Office) -> None:
    first = await office.message(channel="a:b", id="c", phone=None, handle="d:e")

    other = await office.message(channel="a", id="b:c", phone=None, handle="b:d:e")
    escaped = await office.message(channel="a%3Ab", id="c", phone=None, handle="d:e")

    assert [each.outcome for each in (first, other, escaped)] == [InboundOutcome.LEAD] * 3


async def test_a_handle_is_the_same_in_any_capitals(office: Office) -> None:
    first = await office.message(phone=None, handle="@Anna", channel="CHAT")

    second = await office.message(phone=None, handle="@anna", channel="chat", id="2")

    assert second.item_ids == [first.lead_id]


async def test_a_form_is_one_within_its_code(office: Office) -> None:
    await office.form()

    again = await office.form()
    other = await office.form(code="roofs")

    assert (again.repeated, other.repeated) == (True, False)


async def test_a_message_is_one_within_its_channel(office: Office) -> None:
    await office.message()

    again = await office.message()
    other = await office.message(channel="Chat")

    assert (again.repeated, other.repeated) == (True, False)
    [first, *_] = await office.all(CrmActivity)
    assert (first.kind, first.description) == (CrmActivityKind.MESSAGE, "Call me back")


async def test_a_lead_takes_what_stands_in_a_form(office: Office) -> None:
    sam = User(name="Sam")
    await office.add(sam)

    received = await office.form(responsible=sam)

    [lead] = await office.all(Lead)
    [noted] = await office.all(CrmActivity)
    assert received.lead_id == lead.id
    assert (lead.title, lead.source) == ("Form «contact» from Anna Berg", "Form")
    assert (lead.responsible_id, lead.first_name) == (sam.id, "Anna")
    assert lead.comments == "A new roof, please\nCompany: Roofs"
    assert noted.kind is CrmActivityKind.FORM
    assert noted.description.splitlines() == [
        "Name: Anna Berg",
        "Phones: 030 1234567",
        "E-mails: anna@berg.example",
        "Company: Roofs",
        "Comments: A new roof, please",
        "UTM: source newsletter",
        "Pages: https://firm.example/roofs",
    ]
    [told] = await office.all(Notification)
    assert told.recipient_id == sam.id


async def test_a_form_keeps_what_is_no_address(office: Office) -> None:
    await office.form(phones=["none of your business"], emails=["anna at home"])

    points = await office.all(ContactPoint)
    assert [(point.raw, point.value) for point in points] == [
        ("none of your business", None),
        ("anna at home", None),
    ]


def test_forms_with_what_nobody_can_read_do_not_wait_for_each_other() -> None:
    form = _with(A_FORM, {"phones": ["none of your business"], "emails": ["anna at home"]})

    assert of_form(form, "DE").names == ["inbound form contact:1"]
    assert of_form(A_FORM, "DE").names == [
        "inbound form contact:1",
        "inbound phone +49301234567",
        "inbound email anna@berg.example",
        "inbound from +49301234567",
    ]


async def test_a_form_with_a_custom_field_that_leads_lack_is_refused(office: Office) -> None:
    await office.deal(contact=anna(email(ADDRESS)))

    with pytest.raises(Invalid) as caught:
        await office.form(custom={"roof": "flat"})

    assert caught.value.field == "/custom/roof"
    assert await office.count(Inbound) == 0


async def test_without_a_pipeline_for_leads_nobody_becomes_one(database: Database) -> None:
    with pytest.raises(Conflict):
        await Office(database).mail(a_mail())

    assert await Office(database).count(Inbound) == 0


# At the same time.


async def test_two_copies_at_once_are_stored_once(office: Office) -> None:
    received = await asyncio.gather(*(office.mail(a_mail()) for _ in range(4)))

    assert sorted(each.repeated for each in received) == [False, True, True, True]
    assert len({each.inbound_id for each in received}) == 1
    assert await office.count(Lead) == 1


async def test_two_mails_at_once_of_somebody_new_make_one_lead(office: Office) -> None:
    mails = [a_mail(message_id=f"<{number}@berg.example>") for number in range(4)]

    received = await asyncio.gather(*(office.mail(each) for each in mails))

    [lead] = await office.all(Lead)
    assert {tuple(each.item_ids) for each in received} == {(lead.id,)}
    assert await office.count(CrmActivity) == 4


async def test_a_mail_of_somebody_unknown_takes_few_statements(office: Office) -> None:
    with counted(office.database) as said:
        await office.mail(a_mail())

    assert len(said) <= 20
