"""What comes in while somebody changes the same items: nothing of it is lost or doubled."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.contact_point import email, phone
from models.crm_activity import CrmActivity, find_crm_activity
from models.entering import enter_stage
from models.history import HistoryEntry
from models.inbound import Inbound, InboundOutcome
from models.intake import Received
from models.item import Deal, Item, Lead, lock_item
from models.notification import Notification
from models.pipeline import Stage, find_stage
from models.user import User
from tests.factories import a_deal, a_pipeline
from tests.fixtures.database import on_postgres, somebody_waits
from tests.fixtures.office import ADDRESS, CLIENT, NUMBER, Office, a_mail, anna
from tests.fixtures.scene import until

pytestmark = on_postgres


async def move(session: AsyncSession, item: Item) -> None:
    """Move it to the other stage of its pipeline."""
    other = select(Stage.id).where(Stage.pipeline_id == item.pipeline_id, Stage.id != item.stage_id)
    stage = await find_stage(session, (await session.scalars(other)).one())
    await enter_stage(session, item, stage, CLIENT)


async def give_to_bob(session: AsyncSession, item: Item) -> None:
    bob = User(name="Bob")
    session.add(bob)
    await session.flush()
    item.responsible_id = bob.id


async def meanwhile(
    office: Office,
    item_id: int,
    change: Callable[[AsyncSession, Item], Awaitable[None]],
    coming_in: Coroutine[None, None, Received],
) -> Received:
    """Let something come in that has to wait until the item has been changed."""
    async with office.database.transaction() as session:
        item = await lock_item(session, item_id)
        received = asyncio.create_task(coming_in)
        await until(lambda: somebody_waits(office.database))
        await change(session, item)
    return await received


@pytest.fixture
async def deal(office: Office) -> Deal:
    """A deal of Anna's, for which Ann is responsible."""
    async with office.database.transaction() as session:
        first, _ = a_pipeline(session, "New", "Offer")
        contact = anna(email(ADDRESS), phone(NUMBER, region="DE"))
        deal, _ = await a_deal(session, first, contact=contact, responsible=User(name="Ann"))
    return deal


async def test_a_call_about_a_deal_that_is_being_moved_is_noted_for_it(
    office: Office, deal: Deal
) -> None:
    received = await meanwhile(office, deal.id, move, office.call())

    assert (received.outcome, received.item_ids) == (InboundOutcome.NOTED, [deal.id])


async def test_who_has_just_become_responsible_is_told_what_came_in(
    office: Office, deal: Deal
) -> None:
    received = await meanwhile(office, deal.id, give_to_bob, office.call())

    [bob] = await office.all(User, User.name == "Bob")
    [noted] = await office.all(CrmActivity, CrmActivity.id.in_(received.crm_activity_ids))
    [notification] = await office.all(Notification)
    assert noted.responsible_id == notification.recipient_id == bob.id


async def test_whose_lead_is_being_moved_becomes_no_second_one(office: Office) -> None:
    lead_id = (await office.mail(a_mail())).lead_id or 0

    received = await meanwhile(
        office, lead_id, move, office.mail(a_mail(message_id="<2@berg.example>"))
    )

    assert (received.outcome, received.item_ids) == (InboundOutcome.NOTED, [lead_id])
    assert await office.count(Lead) == 1


async def test_an_excluded_sender_who_answers_about_a_lead_that_is_being_moved_is_kept(
    office: Office,
) -> None:
    lead_id = (await office.mail(a_mail())).lead_id or 0
    await office.exclude(ADDRESS.lower())
    answer = a_mail(message_id="<2@berg.example>", In_Reply_To="<1@berg.example>")

    received = await meanwhile(office, lead_id, move, office.mail(answer))

    assert (received.outcome, received.item_ids) == (InboundOutcome.NOTED, [lead_id])
    assert await office.count(Inbound) == 2


async def test_a_recording_that_comes_while_the_client_is_put_right_is_told_of_the_right_one(
    office: Office,
) -> None:
    wrong, right = anna(phone(NUMBER, region="DE")), anna()
    await office.add(wrong, right)
    [noted_id] = (await office.call()).crm_activity_ids

    async with office.database.transaction() as session:
        noted = await session.get_one(CrmActivity, noted_id, with_for_update=True)
        told_again = asyncio.create_task(office.call(recording_url="https://pbx.example/1.mp3"))
        await until(lambda: somebody_waits(office.database))
        noted.contact_id = right.id
    await told_again

    [line] = await office.all(HistoryEntry, HistoryEntry.text.contains("later"))
    assert (line.subject_type, line.subject_id) == ("contact", right.id)


async def test_two_who_change_what_was_noted_for_a_client_alone_both_find_the_client(
    office: Office,
) -> None:
    wrong, right = anna(phone(NUMBER, region="DE")), anna()
    await office.add(wrong, right)
    [noted_id] = (await office.call()).crm_activity_ids

    async def told_in() -> int | None:
        async with office.database.transaction() as session:
            return (await find_crm_activity(session, noted_id, lock=True)).told_in.id

    async with office.database.transaction() as session:
        noted = await session.get_one(CrmActivity, noted_id, with_for_update=True)
        second = asyncio.create_task(told_in())
        await until(lambda: somebody_waits(office.database))
        noted.contact_id = right.id

    assert await second == right.id
