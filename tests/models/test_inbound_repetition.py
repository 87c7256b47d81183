"""Repetitions: what is handed in again is known, however it comes."""

import asyncio
from typing import Any

import pytest

from models.crm_activity import (
    CrmActivity,
    CrmActivityKind,
)
from models.errors import Conflict, Invalid
from models.field_definition import (
    FieldDefinition,
    add_definition,
    find_definition,
    remove_definition,
)
from models.fields import FieldKind
from models.inbound import Inbound, InboundOutcome
from models.item import Lead
from models.item_type import ItemType
from models.user import User
from tests.fixtures.office import (
    Office,
    a_mail,
)


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


async def test_no_two_channels_share_an_id_or_a_handle(office: Office) -> None:
    first = await office.message(channel="a:b", id="c", phone=None, handle="d:e")

    other = await office.message(channel="a", id="b:c", phone=None, handle="b:d:e")
    escaped = await office.message(channel="a%3Ab", id="c", phone=None, handle="d:e")

    assert [each.outcome for each in (first, other, escaped)] == [InboundOutcome.LEAD] * 3


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


async def test_two_copies_at_once_are_stored_once(office: Office) -> None:
    received = await asyncio.gather(*(office.mail(a_mail()) for _ in range(4)))

    assert sorted(each.repeated for each in received) == [False, True, True, True]
    assert len({each.inbound_id for each in received}) == 1
    assert await office.count(Lead) == 1


async def test_a_form_is_answered_alike_when_its_custom_field_is_gone(office: Office) -> None:
    colour = FieldDefinition(
        item_type=ItemType.LEAD, name="colour", title="Colour", kind=FieldKind.TEXT
    )
    async with office.database.transaction() as session:
        await add_definition(session, colour)
    first = await office.form(custom={"colour": "red"})
    async with office.database.transaction() as session:
        await remove_definition(session, await find_definition(session, colour.id, lock=True))

    again = await office.form(custom={"colour": "red"})

    [lead] = await office.all(Lead)
    assert (again.repeated, again.lead_id) == (True, first.lead_id)
    assert lead.custom == {"colour": "red"}


async def test_what_names_a_colleague_is_answered_alike_when_they_have_left(
    office: Office,
) -> None:
    sam = User(name="Sam")
    await office.add(sam)
    called = await office.call(user_id=sam.id)
    filled_in = await office.form(responsible_id=sam.id)
    async with office.database.transaction() as session:
        (await session.get_one(User, sam.id)).active = False

    called_again = await office.call(user_id=sam.id)
    filled_in_again = await office.form(responsible_id=sam.id)

    assert (called_again.repeated, called_again.inbound_id) == (True, called.inbound_id)
    assert (filled_in_again.repeated, filled_in_again.inbound_id) == (True, filled_in.inbound_id)
    with pytest.raises(Invalid) as caught:
        await office.call(user_id=sam.id, id="2")
    assert caught.value.field == "/user_id"


@pytest.mark.parametrize(
    "otherwise",
    [
        {"phone": "030 7654321"},
        {"outgoing": True},
        {"answered": False},
        {"line": "Hamburg"},
        {"seconds": 91},
        {"recording_url": "https://pbx.example/2"},
    ],
    ids=str,
)
async def test_a_call_of_which_something_else_was_told_is_another(
    office: Office, otherwise: dict[str, Any]
) -> None:
    await office.call(recording_url="https://pbx.example/1")

    with pytest.raises(Conflict) as caught:
        await office.call(**{"recording_url": "https://pbx.example/1"} | otherwise)

    assert caught.value.field == "/id"
    assert await office.count(Inbound) == 1
