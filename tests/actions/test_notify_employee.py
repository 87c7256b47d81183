"""Notify employee: whoever is responsible hears of it, or whoever else is chosen."""

from typing import Any

import pytest

from models.database import Database
from models.department import Department
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
        a_rule(session, stage, "notify_employee", params={"text": "Look!"} | params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def test_the_responsible_is_told_by_the_automation_with_a_link_to_the_item(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom", locale="de")
    entry = await entered(
        database, {"text": "{{ deal.title }}, {{ responsible.name }}"}, responsible=tom
    )

    run = await runner.do(entry.id)

    (notice,) = await all_of(database, Notification)
    assert (notice.recipient_id, notice.sender_id, notice.text) == (tom.id, None, "Lathe, Tom")
    assert (notice.item_id, notice.link) == (
        entry.item_id,
        f"http://crm.example/v1/deals/{entry.item_id}",
    )
    assert (run.state, run.outcome) == (RunState.DONE, "Notified Tom.")
    assert run.result == {"recipients": "Tom", "count": 1}


async def test_it_comes_by_email_too_where_that_is_wanted(
    database: Database, sending_runner: Runner, mail_server: MailServer
) -> None:
    tom = User(name="Tom", email="tom@firm.example")
    entry = await entered(database, {"text": "Look at it!", "by_email": True}, responsible=tom)

    await sending_runner.do(entry.id)
    run = await sending_runner.do(entry.id)

    (mail,) = mail_server.arrived
    assert (mail.message["From"], mail.message["Reply-To"]) == ("crm@firm.example", None)
    assert mail.message["Subject"] == "Lathe: Look at it!"
    assert mail.text.startswith("Look at it!\n\nhttp://crm.example/v1/deals/")
    assert run.outcome == ("Notified Tom. E-mail to tom@firm.example. Sent to tom@firm.example.")
    assert len(await all_of(database, Notification)) == 1


@pytest.mark.parametrize("by", ["user", "responsible"])
async def test_nobody_is_told_who_does_not_work_here_any_more(
    database: Database, runner: Runner, by: str
) -> None:
    tom = User(name="Tom", active=False)
    async with database.transaction() as session:
        session.add(tom)
    named = {"user": {"id": tom.id}}.get(by, {})
    entry = await entered(database, {"recipients": [{"by": by} | named]}, responsible=tom)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"User {tom.id} does not work here any more.",
    )
    assert await all_of(database, Notification) == []


@pytest.mark.parametrize("left", ["creator", "responsible"])
async def test_that_one_of_them_has_left_keeps_nothing_from_the_others(
    database: Database, runner: Runner, left: str
) -> None:
    tom = User(name="Tom")
    people = {"creator": tom, "responsible": tom} | {left: User(name="Gil", active=False)}
    recipients = [{"by": "creator"}, {"by": "responsible"}]
    entry = await entered(database, {"recipients": recipients}, **people)

    run = await runner.do(entry.id)

    (notice,) = await all_of(database, Notification)
    assert notice.recipient_id == tom.id
    assert (run.state, run.outcome) == (RunState.DONE, "Notified Tom.")


async def test_others_are_told_instead_each_once(database: Database, runner: Runner) -> None:
    eve = User(name="Eve", department=Department(name="Sales"))
    async with database.transaction() as session:
        session.add(eve)
    sales = {"by": "department", "id": eve.department_id}
    entry = await entered(
        database,
        {"recipients": [{"by": "user", "id": eve.id}, sales]},
        responsible=User(name="Tom"),
    )

    run = await runner.do(entry.id)

    assert [each.recipient_id for each in await all_of(database, Notification)] == [eve.id]
    assert run.outcome == "Notified Eve."


async def test_nobody_responsible_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Nobody is responsible for deal {entry.item_id}.",
    )


async def test_it_is_for_leads_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, "notify_employee", params={"text": "{{ lead.title }}"})
        _, entry = await a_lead(session, incoming, responsible=User(name="Tom"))

    await runner.do(entry.id)

    (notice,) = await all_of(database, Notification)
    assert notice.text == "A call"


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/text", "Field required"),
        (
            {"text": "{{ deal.titel }}"},
            "/params/text",
            "line 1, column 4: unknown field deal.titel, did you mean deal.title?",
        ),
        (
            {"text": "Look!", "recipients": [{"by": "user", "id": 42}]},
            "/params/recipients/0/id",
            "There is no user 42.",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "notify_employee", params) == {field: reason}
