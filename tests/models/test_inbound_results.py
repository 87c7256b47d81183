"""What is made of what comes in: leads, and completed CRM activities."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models.clock import at
from models.contact_point import ContactPoint, email, phone
from models.crm_activity import (
    Completion,
    CrmActivity,
    CrmActivityDirection,
    CrmActivityKind,
    CrmActivityStatus,
)
from models.history import HistoryEntry, HistoryKind
from models.inbound import Inbound, InboundOutcome
from models.item import Lead
from models.notification import Notification
from models.pipeline import Stage, StageKind
from models.rule_run import RuleRun, RunState
from models.user import Role, User
from tests.factories import a_rule
from tests.fixtures.office import ADDRESS, NOW, NUMBER, Office, a_mail, anna

A_RECORDING = "https://pbx.example/recordings/1"


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


async def test_history_tells_of_it_as_the_clients_doing(office: Office) -> None:
    deal = await office.deal(contact=anna(email(ADDRESS)))

    await office.mail(a_mail())

    [noted] = await office.all(CrmActivity)
    [line] = await office.all(HistoryEntry, HistoryEntry.kind == HistoryKind.EMAIL)
    assert line.text == f"E-mail from Anna Berg: email {noted.id} «The roof»."
    assert (line.item_id, line.author_id, line.run_id) == (deal.id, None, None)


async def test_attached_files_are_named(office: Office) -> None:
    await office.mail(
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\n\r\nSee there.\r\n"
        b"--x\r\nContent-Type: application/pdf\r\n"
        b'Content-Disposition: attachment; filename="roof.pdf"\r\n\r\nPDF\r\n--x--\r\n'
    )

    [noted] = await office.all(CrmActivity)
    assert noted.description == "See there.\n\nAttached: roof.pdf (1 kB)"


async def test_a_caller_becomes_a_lead_and_whoever_talked_is_responsible(office: Office) -> None:
    sam = User(name="Sam")
    await office.add(sam)

    received = await office.call(user_id=sam.id)

    [lead] = await office.all(Lead)
    [noted] = await office.all(CrmActivity)
    assert received.lead_id == lead.id
    assert (lead.title, lead.source) == ("Call from 030 1234567", "Call")
    assert (lead.responsible_id, noted.responsible_id) == (sam.id, sam.id)
    assert (noted.phone, noted.description) == ("030 1234567", "Line: Berlin")
    assert await office.count(Notification) == 0


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


async def test_a_lead_takes_what_stands_in_a_form(office: Office) -> None:
    sam = User(name="Sam")
    await office.add(sam)

    received = await office.form(responsible_id=sam.id)

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


async def test_recording_and_duration_of_a_call_may_be_told_when_it_is_handed_in_again(
    office: Office,
) -> None:
    deal = await office.deal(contact=anna(phone(NUMBER, region="DE")))
    with at(NOW + timedelta(hours=1)):
        first = await office.call(seconds=0)

        again = await office.call(seconds=95, recording_url=A_RECORDING)
        once_more = await office.call(seconds=95, recording_url=A_RECORDING)
        as_at_first = await office.call(seconds=0)

    [kept] = await office.all(Inbound)
    [noted] = await office.all(CrmActivity)
    repeated = [each.repeated for each in (first, again, once_more, as_at_first)]
    assert repeated == [False, True, True, True]
    assert again.crm_activity_ids == first.crm_activity_ids == [noted.id]
    assert (kept.content["seconds"], kept.content["recording_url"]) == (95, A_RECORDING)
    assert noted.description == f"Line: Berlin\nRecording: {A_RECORDING}"
    ended_at = NOW + timedelta(seconds=95)
    assert (noted.starts_at, noted.ends_at, noted.completed_at) == (NOW, ended_at, ended_at)
    [*_, came_in, learnt] = await office.all(HistoryEntry, HistoryEntry.item_id == deal.id)
    called = f"call {noted.id} «Call from 030 1234567»"
    assert (came_in.kind, learnt.kind) == (HistoryKind.CALL, HistoryKind.CRM_ACTIVITY)
    assert came_in.text == f"Call from 030 1234567: {called}."
    assert learnt.text == f"Learnt the recording and the duration of {called} later."


async def test_what_people_have_changed_meanwhile_stays_when_the_recording_is_told(
    office: Office,
) -> None:
    await office.deal(contact=anna(phone(NUMBER, region="DE")))
    until = NOW + timedelta(minutes=10)
    with at(NOW + timedelta(hours=1)):
        await office.call(seconds=0)
        async with office.database.transaction() as session:
            [noted] = await session.scalars(select(CrmActivity))
            noted.description, noted.ends_at = "Wants a roof", until

        await office.call(seconds=95, recording_url=A_RECORDING)

    [noted] = await office.all(CrmActivity)
    assert noted.description == f"Wants a roof\nRecording: {A_RECORDING}"
    assert (noted.ends_at, noted.completed_at) == (until, NOW)


async def test_the_recording_of_a_call_reaches_whatever_it_was_noted_for(office: Office) -> None:
    contact = anna(phone(NUMBER, region="DE"))
    deals = [await office.deal(contact=contact) for _ in range(3)]
    await office.call()
    [deleted, *_] = await office.all(CrmActivity)
    async with office.database.transaction() as session:
        (await session.get_one(CrmActivity, deleted.id)).deleted_at = NOW
    await office.bin(deals[1])

    await office.call(recording_url=A_RECORDING)

    noted = await office.all(CrmActivity)
    assert [A_RECORDING in str(each.description) for each in noted] == [False, True, True]


async def test_the_recording_of_a_call_that_is_nobodys_is_kept_with_it(office: Office) -> None:
    await office.call(phone=None)

    again = await office.call(phone=None, recording_url=A_RECORDING)

    [kept] = await office.all(Inbound)
    assert (again.repeated, again.outcome) == (True, InboundOutcome.UNREADABLE)
    assert kept.content["recording_url"] == A_RECORDING


async def test_the_recording_of_a_call_of_a_client_with_nothing_open_is_told_in_their_history(
    office: Office,
) -> None:
    contact = anna(phone(NUMBER, region="DE"))
    await office.add(contact)
    await office.call()

    await office.call(recording_url=A_RECORDING)

    [*_, line] = await office.all(HistoryEntry, HistoryEntry.subject_type == "contact")
    assert line.subject_id == contact.id
    assert line.text.startswith("Learnt the recording of call ")
