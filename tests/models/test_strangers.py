"""Strangers: who is known again, who makes a lead, and who is told of it."""

from typing import Any

import pytest
from sqlalchemy import select

from models.base import LARGEST_ID
from models.contact_point import phone
from models.errors import Conflict
from models.exclusion import ExclusionKind
from models.inbound import Inbound, InboundOutcome
from models.item import Lead
from models.notification import Notification, mark_all_read
from models.pipeline import Stage
from models.user import Role, User
from tests.factories import a_rule
from tests.fixtures.office import NUMBER, Office, a_mail, anna

OTTO: dict[str, Any] = {"channel": "Telegram", "phone": NUMBER, "handle": "@Otto"}


@pytest.mark.parametrize(
    "again",
    [
        {"phone": None, "handle": "@otto"},
        {"phone": NUMBER, "handle": None},
        {"phone": "0049 171 9999999", "handle": "@OTTO"},
        {"phone": "no number", "handle": "@otto"},
    ],
    ids=str,
)
async def test_who_has_both_a_phone_and_a_handle_is_known_by_either(
    office: Office, again: dict[str, Any]
) -> None:
    first = await office.message(**OTTO)

    second = await office.message(**(OTTO | again), id="2")

    assert second.outcome is InboundOutcome.NOTED
    assert second.item_ids == [first.lead_id]
    assert await office.count(Lead) == 1


async def test_a_phone_that_is_told_later_belongs_to_the_handle(office: Office) -> None:
    first = await office.message(**(OTTO | {"phone": None}))

    second = await office.message(**OTTO, id="2")

    assert second.item_ids == [first.lead_id]


async def test_of_phone_and_handle_the_phone_of_a_client_comes_first(office: Office) -> None:
    await office.message(**(OTTO | {"phone": None}))
    deal = await office.deal(contact=anna(phone(NUMBER, region="DE")))

    received = await office.message(**OTTO, id="2")

    assert received.item_ids == [deal.id]


async def test_the_same_handle_elsewhere_is_somebody_else(office: Office) -> None:
    first = await office.message(**OTTO)

    other = await office.message(channel="SMS", phone=None, handle="@Otto")

    assert other.outcome is InboundOutcome.LEAD
    assert other.lead_id != first.lead_id


@pytest.mark.parametrize(
    "written", ["'sq@spam.example'", "sq @ spam.example", "sq (x) @spam.example"]
)
async def test_of_an_excluded_sender_nothing_is_kept_however_the_address_is_written(
    office: Office, written: str
) -> None:
    await office.exclude("sq@spam.example")

    received = await office.mail(a_mail(written))

    assert received.outcome is InboundOutcome.EXCLUDED
    assert await office.count(Inbound) == 0


@pytest.mark.parametrize(
    "written",
    ["491714444444", "sip:+491714444444@pbx.example", "<sips:0171-4444444@10.0.0.1;user=phone>"],
)
async def test_of_an_excluded_phone_nothing_is_kept_however_a_gateway_writes_it(
    office: Office, written: str
) -> None:
    await office.exclude("+491714444444", ExclusionKind.PHONE)

    called = await office.call(phone=written)
    wrote = await office.message(phone=written, channel="WhatsApp")

    assert (called.outcome, wrote.outcome) == (InboundOutcome.EXCLUDED, InboundOutcome.EXCLUDED)
    assert await office.count(Inbound) == 0


@pytest.mark.parametrize("number", ["204", "12", "112", "2041", "20411", "sip:204@pbx.example"])
async def test_a_number_too_short_for_anybody_outside_makes_no_lead(
    office: Office, number: str
) -> None:
    called = await office.call(phone=number)
    wrote = await office.message(phone=number)

    assert {called.outcome, wrote.outcome} == {InboundOutcome.UNKNOWN}
    assert {called.sentence, wrote.sentence} == {
        f"«{number}» is too short for a number of anybody outside: it makes no lead."
    }
    assert (await office.count(Inbound), await office.count(Lead)) == (2, 0)


async def test_a_client_who_has_a_short_number_is_known_by_it(office: Office) -> None:
    deal = await office.deal(contact=anna(phone("204", region="DE")))

    received = await office.call(phone="204")

    assert received.item_ids == [deal.id]


async def test_a_short_number_in_a_channel_where_they_have_a_handle_makes_a_lead(
    office: Office,
) -> None:
    received = await office.message(phone="204", handle="@otto")

    assert received.outcome is InboundOutcome.LEAD


async def test_a_short_number_in_a_form_makes_a_lead(office: Office) -> None:
    received = await office.form(phones=["204"], emails=[])

    assert received.outcome is InboundOutcome.LEAD


@pytest.mark.parametrize(
    "again",
    [
        {"emails": ["ANNA@Berg.Example"]},
        {"phones": ["+49 (0)30 123 45 67"]},
        {"phones": ["tel:+49301234567"], "emails": [" anna@BERG.example "]},
        {"code": "Contact "},
    ],
    ids=str,
)
async def test_a_form_handed_in_again_may_write_its_addresses_otherwise(
    office: Office, again: dict[str, Any]
) -> None:
    first = await office.form()

    second = await office.form(**again)

    assert (second.repeated, second.inbound_id) == (True, first.inbound_id)


@pytest.mark.parametrize(
    "other",
    [
        {"emails": ["bob@berg.example"]},
        {"emails": []},
        {"emails": ["anna@berg.example", "bob@berg.example"]},
        {"phones": ["030 7654321"]},
        {"phones": ["call me"]},
        {"comments": "No roof, please"},
    ],
    ids=str,
)
async def test_a_form_with_other_addresses_is_another(
    office: Office, other: dict[str, Any]
) -> None:
    await office.form()

    with pytest.raises(Conflict, match="was handed in before"):
        await office.form(**other)


async def test_of_a_lead_that_is_nobodys_administrators_are_told_until_they_have_read_it(
    office: Office,
) -> None:
    admin, other = User(name="Ada", role=Role.ADMIN), User(name="Adam", role=Role.ADMIN)
    away = User(name="Alma", role=Role.ADMIN, active=False)
    await office.add(admin, other, away, User(name="Max", role=Role.MANAGER))

    first = await office.mail(a_mail())
    await office.mail(a_mail("bob@else.example", message_id="<2@else.example>"))
    async with office.database.transaction() as session:
        await mark_all_read(session, admin, LARGEST_ID)
    third = await office.mail(a_mail("cy@else.example", "Hello", message_id="<3@else.example>"))

    told = [
        (each.recipient_id, each.item_id, each.text, each.link)
        for each in await office.all(Notification)
    ]
    leads = "http://crm.example/v1/leads?sort=-id"
    later = "You are told of others like it when you have read this."
    of_first = (
        f"Nobody is responsible for lead {first.lead_id} «The roof», which came in from Anna Berg. "
        f"{later}"
    )
    of_third = (
        f"Nobody is responsible for lead {third.lead_id} «Hello», which came in from "
        f"cy@else.example. {later}"
    )
    assert told == [
        (admin.id, first.lead_id, of_first, leads),
        (other.id, first.lead_id, of_first, leads),
        (admin.id, third.lead_id, of_third, leads),
    ]


async def test_where_a_rule_finds_somebody_responsible_for_leads_administrators_are_not_told(
    office: Office,
) -> None:
    await office.add(User(name="Ada", role=Role.ADMIN))
    async with office.database.transaction() as session:
        stage = await session.scalar(select(Stage).order_by(Stage.id).limit(1))
        assert stage is not None
        a_rule(session, stage, "change_responsible", params={"candidates": {"users": [1]}})

    await office.mail(a_mail())

    assert await office.count(Notification) == 0


async def test_of_a_lead_that_has_somebody_administrators_are_not_told(office: Office) -> None:
    seller = User(name="Sam")
    await office.add(User(name="Ada", role=Role.ADMIN), seller)

    await office.form(responsible_id=seller.id)

    assert [each.recipient_id for each in await office.all(Notification)] == [seller.id]
