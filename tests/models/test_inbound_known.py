"""Whose it is: clients, and what is open for them."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import select

from models.client import find_client
from models.company import Company
from models.contact import Contact
from models.contact_point import email, phone
from models.conversion import Offspring, Wish, convert_lead
from models.crm_activity import CrmActivity
from models.inbound import InboundOutcome
from models.item import Deal, Lead, lock_item
from models.pipeline import Stage, StageKind
from models.recycle_bin import delete_client
from models.rule_run import RuleRun
from models.stage_entry import Cause, StageEntry
from tests.factories import a_deal, a_pipeline, a_rule, a_trigger
from tests.fixtures.database import on_postgres, somebody_waits
from tests.fixtures.office import ADDRESS, CLIENT, NOW, NUMBER, Office, a_mail, anna
from tests.fixtures.runner import Runner
from tests.fixtures.scene import until


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


async def test_of_many_with_the_same_address_it_is_the_oldest_who_has_written(
    office: Office,
) -> None:
    many = [anna(email(ADDRESS)) for _ in range(9)]
    await office.add(*many)

    received = [await office.mail(a_mail(message_id=f"<{n}@berg.example>")) for n in range(3)]

    assert [each.contact_id for each in received] == [many[0].id] * 3


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


async def test_a_call_is_known_by_its_number_however_it_is_written(office: Office) -> None:
    deal = await office.deal(contact=anna(phone(NUMBER, region="DE")))

    received = await office.call(phone="0049 (30) 123 45-67")

    assert received.item_ids == [deal.id]


async def test_who_writes_by_a_handle_again_is_known_by_it(office: Office) -> None:
    first = await office.message(phone=None, handle="@anna", name="Anna Berg")

    second = await office.message(phone=None, handle="@anna", id="2")
    elsewhere = await office.message(phone=None, handle="@anna", id="3", channel="Chat")

    assert second.item_ids == first.item_ids == [first.lead_id]
    assert elsewhere.outcome is InboundOutcome.LEAD


@pytest.mark.parametrize("client", [Contact, partial(Company, name="Roofs")], ids=["anna", "firm"])
async def test_a_client_of_whom_nothing_is_open_is_known_by_the_handle_too(
    office: Office, client: Callable[..., Contact | Company]
) -> None:
    await office.add(client(contact_points=[phone(NUMBER, region="DE")]))
    first = await office.message(handle="@anna")

    second = await office.message(phone=None, handle="@anna", id="2")

    assert (first.outcome, second.outcome) == (InboundOutcome.NOTED, InboundOutcome.NOTED)
    assert await office.count(Lead) == 0
    one, other = await office.all(CrmActivity)
    assert (one.contact_id, one.company_id) == (other.contact_id, other.company_id) != (None, None)


async def test_who_was_known_by_the_handle_and_is_deleted_makes_a_lead(office: Office) -> None:
    contact = anna(phone(NUMBER, region="DE"))
    await office.add(contact)
    await office.message(handle="@anna")
    async with office.database.transaction() as session:
        found = await find_client(session, Contact, contact.id, lock=True)
        delete_client(session, found, Cause.client())

    second = await office.message(phone=None, handle="@anna", id="2")

    assert second.outcome is InboundOutcome.LEAD


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


async def test_a_handle_is_the_same_in_any_capitals(office: Office) -> None:
    first = await office.message(phone=None, handle="@Anna", channel="CHAT")

    second = await office.message(phone=None, handle="@anna", channel="chat", id="2")

    assert second.item_ids == [first.lead_id]


@on_postgres
async def test_of_two_with_the_same_address_one_may_be_deleted_meanwhile(office: Office) -> None:
    gone, other = anna(email(ADDRESS)), anna(email(ADDRESS))
    await office.add(gone, other)

    async with office.database.transaction() as session:
        found = await find_client(session, Contact, gone.id, lock=True)
        coming_in = asyncio.create_task(office.mail(a_mail()))
        await until(lambda: somebody_waits(office.database))
        delete_client(session, found, CLIENT)
    received = await coming_in

    assert (received.outcome, received.contact_id) == (InboundOutcome.NOTED, other.id)
