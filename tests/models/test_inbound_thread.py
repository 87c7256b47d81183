"""Threads: answers to mails of ours, and to clients' own."""

import pytest
from sqlalchemy import select

from models.contact_point import email
from models.conversion import Offspring, Wish, convert_lead
from models.inbound import InboundOutcome
from models.item import Item, Lead, lock_item
from models.mail import message_id
from models.pipeline import Stage, StageKind
from models.rule_run import RuleRun
from models.stage_entry import StageEntry
from models.timeline import copy_timeline
from tests.factories import a_pipeline, a_rule
from tests.fixtures.office import ADDRESS, CLIENT, NOW, Office, a_mail, a_mail_of_ours, anna
from tests.fixtures.runner import Runner


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
