"""Notify supervisor: who is above the responsible hears of it, or whoever else is chosen."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from models.clock import now
from models.crm_activity import CrmActivity
from models.database import Database
from models.delivery import Delivery
from models.department import Department
from models.installation import installation
from models.item_type import ItemType
from models.notification import Notification
from models.rule_run import RunState
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.mail import MailServer
from tests.fixtures.runner import Runner


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage that notifies with these params, besides a text."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "notify_supervisor", params={"text": "Late!"} | params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


@pytest.fixture
async def marta(database: Database) -> User:
    """The head of Sales."""
    marta = User(name="Marta")
    async with database.transaction() as session:
        session.add(Department(name="Sales", head=marta))
    return marta


@pytest.fixture
async def tom(database: Database, marta: User) -> User:
    """Works in Sales."""
    (sales,) = await all_of(database, Department)
    tom = User(name="Tom")
    async with database.transaction() as session:
        tom.department = await session.get_one(Department, sales.id)
        session.add(tom)
    return tom


async def test_the_supervisor_of_the_responsible_is_told_with_a_link_to_the_item(
    database: Database, runner: Runner, marta: User, tom: User
) -> None:
    entry = await entered(database, {"text": "{{ responsible.name }} is late."}, responsible=tom)

    run = await runner.do(entry.id)

    (notice,) = await all_of(database, Notification)
    assert (notice.recipient_id, notice.sender_id) == (marta.id, tom.id)
    assert notice.text == "Tom is late."
    assert (notice.item_id, notice.link) == (
        entry.item_id,
        f"http://crm.example/v1/deals/{entry.item_id}",
    )
    assert (notice.made_by_run_id, notice.read_at) == (run.id, None)
    assert (run.state, run.outcome) == (RunState.DONE, "Notified Marta.")


async def test_the_employee_can_be_told_instead(
    database: Database, runner: Runner, tom: User
) -> None:
    entry = await entered(database, {"recipients": [{"by": "responsible"}]}, responsible=tom)

    run = await runner.do(entry.id)

    (notice,) = await all_of(database, Notification)
    assert notice.recipient_id == tom.id
    assert run.outcome == "Notified Tom."


async def test_users_departments_and_supervisor_are_each_told_once(
    database: Database, runner: Runner, marta: User, tom: User
) -> None:
    eve = User(name="Eve")
    async with database.transaction() as session:
        session.add(eve)
    entry = await entered(
        database,
        {
            "recipients": [
                {"by": "user", "id": eve.id},
                {"by": "supervisor"},
                {"by": "department", "id": tom.department_id},
                {"by": "user", "id": marta.id},
            ]
        },
        responsible=tom,
    )

    run = await runner.do(entry.id)

    notices = await all_of(database, Notification)
    assert [notice.recipient_id for notice in notices] == [eve.id, marta.id, tom.id]
    assert run.outcome == "Notified Eve, Marta, Tom."


async def test_everybody_reads_it_in_their_own_language_and_zone(
    database: Database, runner: Runner, tom: User
) -> None:
    async with database.transaction() as session:
        (await installation(session)).locale = "pl_PL"
    hans = User(name="Hans", locale="de_DE", time_zone="Asia/Tokyo")
    plain = User(name="Plain")
    async with database.transaction() as session:
        session.add_all([hans, plain])
    entry = await entered(
        database,
        {
            "text": "{{ deal.amount | money }}, {{ deal.close_date | date }}",
            "recipients": [{"by": "user", "id": hans.id}, {"by": "user", "id": plain.id}],
        },
        amount=Decimal("1234.50"),
        currency="EUR",
        close_date=date(2027, 3, 1),
    )

    await runner.do(entry.id)

    german, polish = await all_of(database, Notification)
    assert german.text == "1.234,50\N{NO-BREAK SPACE}€, 01.03.2027"
    assert polish.text == "1\N{NO-BREAK SPACE}234,50\N{NO-BREAK SPACE}€, 1 mar 2027"


async def test_without_a_responsible_it_comes_from_the_automation(
    database: Database, runner: Runner, marta: User
) -> None:
    entry = await entered(database, {"recipients": [{"by": "user", "id": marta.id}]})

    await runner.do(entry.id)

    (notice,) = await all_of(database, Notification)
    assert notice.sender_id is None


async def test_nobody_responsible_fails_with_that_reason(
    database: Database, runner: Runner, marta: User
) -> None:
    entry = await entered(database, {})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Nobody is responsible for deal {entry.item_id}.",
    )


async def test_nobody_above_fails_with_that_reason(
    database: Database, runner: Runner, marta: User
) -> None:
    entry = await entered(database, {}, responsible=User(name="Lone"))

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "Nobody is above Lone, or they are all away.",
    )


async def test_when_one_of_the_recipients_cannot_be_found_nobody_is_told(
    database: Database, runner: Runner, marta: User, tom: User
) -> None:
    async with database.transaction() as session:
        (await session.get_one(User, marta.id)).absent_from = now()
    entry = await entered(
        database, {"recipients": [{"by": "responsible"}, {"by": "supervisor"}]}, responsible=tom
    )

    run = await runner.do(entry.id)

    assert run.outcome == "Nobody is above Tom, or they are all away."
    assert await all_of(database, Notification) == []


async def test_it_is_for_leads_too(
    database: Database, runner: Runner, marta: User, tom: User
) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, "notify_supervisor", params={"text": "{{ lead.title }}"})
        _, entry = await a_lead(session, incoming, responsible=tom)

    await runner.do(entry.id)

    (notice,) = await all_of(database, Notification)
    assert notice.text == "A call"
    assert notice.link == f"http://crm.example/v1/leads/{entry.item_id}"


async def test_they_get_it_by_email_too_in_their_language_with_a_link(
    database: Database, sending_runner: Runner, mail_server: MailServer, tom: User
) -> None:
    hans = User(name="Hans", email="hans@firm.example", locale="de_DE")
    async with database.transaction() as session:
        session.add(hans)
        tom = await session.get_one(User, tom.id)
        tom.email = "tom@firm.example"
    entry = await entered(
        database,
        {
            "text": "**Late** since\n{{ deal.close_date | date }}",
            "by_email": True,
            "recipients": [{"by": "user", "id": hans.id}],
        },
        responsible=tom,
        close_date=date(2027, 3, 1),
    )

    await sending_runner.do(entry.id)
    run = await sending_runner.do(entry.id)

    (mail,) = mail_server.arrived
    link = f"http://crm.example/v1/deals/{entry.item_id}"
    assert mail.message["To"] == "Hans <hans@firm.example>"
    assert mail.message["Reply-To"] == "Tom <tom@firm.example>"
    assert mail.message["Subject"] == "Lathe: **Late** since"
    assert mail.text == f"**Late** since\n01.03.2027\n\n{link}\n"
    assert "<p>**Late** since<br>01.03.2027<br><br>" in mail.html
    assert f'<a href="{link}"' in mail.html
    assert (run.state, run.outcome) == (
        RunState.DONE,
        "Notified Hans. E-mail to hans@firm.example. Sent to hans@firm.example.",
    )
    assert len(await all_of(database, Notification)) == 1
    assert await all_of(database, CrmActivity) == []


async def test_who_has_no_address_is_named_and_notified_all_the_same(
    database: Database, runner: Runner, marta: User, tom: User
) -> None:
    async with database.transaction() as session:
        (await session.get_one(User, marta.id)).email = "marta@firm.example"
    entry = await entered(
        database,
        {"by_email": True, "recipients": [{"by": "supervisor"}, {"by": "responsible"}]},
        responsible=tom,
    )

    await runner.do(entry.id)
    run = await runner.do(entry.id)

    (delivery,) = await all_of(database, Delivery)
    assert (delivery.recipient, delivery.user_id) == ("marta@firm.example", marta.id)
    assert len(await all_of(database, Notification)) == 2
    assert run.outcome == (
        "Notified Marta, Tom. E-mail to marta@firm.example. Tom has no e-mail address. "
        "Caught here, not sent to marta@firm.example."
    )


async def test_when_nobody_has_an_address_it_is_done_by_notifying(
    database: Database, runner: Runner, marta: User, tom: User
) -> None:
    entry = await entered(database, {"by_email": True}, responsible=tom)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        "Notified Marta. E-mail goes to nobody. Marta has no e-mail address.",
    )


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/text", "Field required"),
        ({"text": ""}, "/params/text", "String should have at least 1 character"),
        (
            {"text": "Late!", "recipients": []},
            "/params/recipients",
            "Input should have at least 1 item, not 0",
        ),
        (
            {"text": "{{ contract.name }}"},
            "/params/text",
            "line 1, column 4: unknown field contract.name, did you mean contact.name?",
        ),
        (
            {"text": "Late!", "recipients": [{"by": "department", "id": 42}]},
            "/params/recipients/0/id",
            "There is no department 42.",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "notify_supervisor", params) == {field: reason}
