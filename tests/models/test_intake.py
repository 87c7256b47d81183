"""What comes of mails, calls, messages and forms: a CRM activity, a lead, or nothing at all."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from models.contact_point import ContactPoint, email, phone
from models.crm_activity import (
    CrmActivity,
)
from models.database import Database
from models.errors import Conflict, Invalid
from models.exclusion import Exclusion, ExclusionKind
from models.history import HistoryEntry
from models.inbound import Inbound, InboundOutcome
from models.item import Deal, Lead
from models.mail import message_id
from models.notification import Notification
from models.occasion import waiting as occasions_of
from models.pipeline import Stage, StageKind
from models.rule_run import RuleRun
from models.stage_entry import CauseKind, StageEntry
from models.user import User
from tests.fixtures.database import counted
from tests.fixtures.office import (
    A_CALL,
    A_FORM,
    A_MESSAGE,
    ADDRESS,
    NUMBER,
    Office,
    a_mail,
    a_mail_of_ours,
    anna,
    changed,
    received_by,
)


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
    office: Office, waiting_run: RuleRun, kind: str, what: dict[str, Any], ended_by: str | None
) -> None:
    sent = {"mail": lambda: office.mail(a_mail(**what)), "call": lambda: office.call(**what)}
    sent |= {"message": lambda: office.message(**what), "form": lambda: office.form(**what)}

    received = await sent[kind]()

    [run] = await office.all(RuleRun)
    assert received.item_ids == [waiting_run.item_id]
    assert (run.result or {}).get("ended_by") == ended_by


@pytest.mark.parametrize(
    ("what", "triggers"),
    [
        (a_mail(), ["email_received"]),
        (a_mail(Auto_Submitted="auto-replied"), []),
        (a_mail("bob@else.example"), []),
        (A_CALL, ["incoming_call"]),
        (changed(A_CALL, {"answered": False}), ["missed_call"]),
        (changed(A_CALL, {"outgoing": True}), ["outgoing_call"]),
        (changed(A_CALL, {"phone": "030 7654321"}), []),
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


@pytest.mark.parametrize(
    ("sender", "ended_by", "triggers"),
    [
        ("anna@berg.example", None, []),
        ("colleague@berg.example", "client", ["email_received"]),
    ],
)
async def test_a_reply_of_an_excluded_sender_moves_nothing_and_one_of_a_colleague_does(
    office: Office, waiting_run: RuleRun, sender: str, ended_by: str | None, triggers: list[str]
) -> None:
    deal = (await office.all(Deal))[0]
    ours = message_id(await a_mail_of_ours(office, deal))
    await office.exclude("anna@berg.example")

    async with office.database.transaction() as session:
        received = await received_by(session, a_mail(sender, In_Reply_To=ours))
        occasions = [each.trigger for each in occasions_of(session)]

    [run] = await office.all(RuleRun, RuleRun.id == waiting_run.id)
    assert received.item_ids == [deal.id]
    assert ((run.result or {}).get("ended_by"), occasions) == (ended_by, triggers)


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
