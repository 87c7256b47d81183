"""Send a message: by SMS or a messenger, to the phone of the client."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from models.contact import Contact
from models.contact_point import phone
from models.crm_activity import Completion, CrmActivity, CrmActivityKind, CrmActivityStatus
from models.database import Database
from models.delivery import LONGEST_WORDS, Delivery
from models.exclusion import Exclusion, ExclusionKind
from models.item_type import ItemType
from models.rule_run import RuleRun, RunState
from models.settings import Settings
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.mail import Answer, HttpServer
from tests.fixtures.runner import Runner

ANN = "+4930901820"


def ann(*numbers: str) -> Contact:
    points = [phone(number, region="DE") for number in numbers]
    return Contact(first_name="Ann", contact_points=points)


async def entered(
    database: Database, params: dict[str, Any] | None = None, **deal: Any
) -> StageEntry:
    """Let a deal enter a stage that sends a message with these params."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Won")
        text = {"text": "Thank you,\n{{ contact.name }}!"}
        a_rule(session, stage, "send_message", params=text | (params or {}))
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def sent(runner: Runner, entry: StageEntry) -> RuleRun:
    await runner.do(entry.id)
    return await runner.do(entry.id)


async def test_the_gateway_is_posted_id_channel_number_and_text(
    database: Database, sending_runner: Runner, gateway: HttpServer
) -> None:
    gateway.answers.append(Answer(202, '{"queued": 7}'))
    entry = await entered(database, contact=ann("030 901820", "0171 5550100"))

    run = await sent(sending_runner, entry)

    (asked,) = gateway.asked
    (delivery,) = await all_of(database, Delivery)
    assert (asked.method, asked.path) == ("POST", "/messages")
    assert asked.json == {
        "id": str(delivery.key),
        "channel": "sms",
        "to": ANN,
        "text": "Thank you,\nAnn!",
    }
    assert delivery.answer == '{"queued": 7}'
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Message «Thank you, Ann!» by sms to {ANN}. Sent to {ANN}.",
    )
    assert run.result == {"recipients": ANN, "count": 1, "subject": "Thank you, Ann!"}


async def test_it_is_noted_as_a_completed_crm_activity(
    database: Database, sending_runner: Runner
) -> None:
    tom, contact = User(name="Tom"), ann(ANN)
    entry = await entered(database, contact=contact, responsible=tom)

    run = await sent(sending_runner, entry)

    (noted,) = await all_of(database, CrmActivity)
    (delivery,) = await all_of(database, Delivery)
    assert (noted.kind, noted.status) == (CrmActivityKind.MESSAGE, CrmActivityStatus.COMPLETED)
    assert (noted.subject, noted.description) == ("Thank you, Ann!", "Thank you,\nAnn!")
    assert (noted.contact_id, noted.responsible_id) == (contact.id, tom.id)
    assert (noted.phone, noted.completion) == (ANN, Completion.RULE)
    assert (noted.made_by_run_id, delivery.crm_activity_id) == (run.id, noted.id)


async def test_the_token_goes_with_it_and_any_messenger_can_be_named(
    database: Database, gateway: HttpServer
) -> None:
    settings = Settings(message_gateway_url=gateway.url, message_gateway_token=SecretStr("secret"))
    entry = await entered(database, {"channel": "whatsapp"}, contact=ann(ANN))

    await sent(Runner(database, settings), entry)

    (asked,) = gateway.asked
    assert asked.headers["authorization"] == "Bearer secret"
    assert asked.json["channel"] == "whatsapp"


async def test_without_a_gateway_it_is_caught_here(database: Database, runner: Runner) -> None:
    entry = await entered(database, contact=ann(ANN))

    run = await sent(runner, entry)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.caught
    assert run.outcome == (
        f"Message «Thank you, Ann!» by sms to {ANN}. Caught here, not sent to {ANN}."
    )


@pytest.mark.parametrize("status", [400, 404])
async def test_what_the_gateway_refuses_has_failed_with_its_words(
    database: Database, sending_runner: Runner, gateway: HttpServer, status: int
) -> None:
    gateway.answers.append(Answer(status, "No such number"))
    entry = await entered(database, contact=ann(ANN))

    run = await sent(sending_runner, entry)

    assert run.state is RunState.FAILED
    assert f"The gateway refused it for {ANN}: {status}" in str(run.outcome)
    assert str(run.outcome).endswith("No such number")
    assert await all_of(database, CrmActivity) == []


@pytest.mark.parametrize("status", [302, 401, 429, 503])
async def test_what_the_gateway_cannot_take_now_is_sent_later_with_the_same_id(
    database: Database, sending_runner: Runner, gateway: HttpServer, status: int
) -> None:
    gateway.answers.append(Answer(status))
    entry = await entered(database, contact=ann(ANN))

    waiting = await sent(sending_runner, entry)
    done = await sending_runner.do(entry.id)

    first, second = gateway.asked
    assert waiting.state is RunState.RETRYING
    assert f"The gateway does not take it now: {status}" in str(waiting.fault)
    assert first.json == second.json
    assert done.state is RunState.DONE


async def test_it_waits_as_long_as_the_gateway_asks(
    database: Database, sending_runner: Runner, gateway: HttpServer
) -> None:
    gateway.answers.append(Answer(429, "", {"Retry-After": "3600"}))
    entry = await entered(database, contact=ann(ANN))

    run = await sent(sending_runner, entry)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.sending_at is not None
    assert run.due_at is not None
    assert run.due_at - delivery.sending_at >= timedelta(hours=1)


async def test_a_gateway_that_is_down_is_tried_again(
    database: Database, sending_runner: Runner, gateway: HttpServer
) -> None:
    await gateway.stop()
    entry = await entered(database, contact=ann(ANN))
    waiting = await sent(sending_runner, entry)
    await gateway.start()

    run = await sending_runner.do(entry.id)

    assert waiting.state is RunState.RETRYING
    assert str(waiting.fault).startswith("The gateway cannot be reached: ")
    assert run.state is RunState.DONE
    assert len(gateway.asked) == 1


async def test_an_answer_that_does_not_come_leaves_it_uncertain(
    database: Database, sending_runner: Runner, gateway: HttpServer
) -> None:
    gateway.answers.append(None)
    entry = await entered(database, contact=ann(ANN))

    await sent(sending_runner, entry)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.uncertain_at is not None
    assert "the gateway had been given it" in str(delivery.error)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("Thanks", {"Content-Length": "100"}),
        ("Thanks", {"Content-Encoding": "gzip"}),
        ("Thanks" + " " * 1_000_000, {}),
    ],
)
async def test_what_the_gateway_has_taken_has_arrived_however_it_ends_its_answer(
    database: Database,
    sending_runner: Runner,
    gateway: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    headers: dict[str, str],
) -> None:
    monkeypatch.setattr("activities.answers.READING", 0.5)
    gateway.answers.append(Answer(202, body, headers))
    entry = await entered(database, contact=ann(ANN))

    run = await sent(sending_runner, entry)

    (delivery,) = await all_of(database, Delivery)
    (asked,) = gateway.asked
    assert run.state is RunState.DONE
    assert str(delivery.answer).startswith("Thanks")
    assert len(str(delivery.answer)) <= LONGEST_WORDS
    assert asked.headers["accept-encoding"] == "identity"


async def test_a_lead_is_called_at_its_own_number(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New", item_type=ItemType.LEAD)
        a_rule(session, stage, "send_message", params={"text": "Hello!"})
        _, entry = await a_lead(session, stage, contact_points=[phone(ANN, region="DE")])

    await runner.do(entry.id)

    (delivery,) = await all_of(database, Delivery)
    assert delivery.recipient == ANN


async def test_numbers_on_the_exceptions_list_can_be_left_out(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"skip_excluded": True}, contact=ann(ANN))
    async with database.transaction() as session:
        session.add(Exclusion(kind=ExclusionKind.PHONE, value=ANN))

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Message «Thank you, Ann!» by sms goes to nobody. {ANN} is on the exceptions list.",
    )


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "Contact {contact} «Ann» has no phone number."),
        ({"to": [{"by": "user", "user": {"by": "responsible"}}]}, "Tom has no phone number."),
    ],
)
async def test_without_a_number_it_fails_with_the_reason(
    database: Database, runner: Runner, params: dict[str, Any], reason: str
) -> None:
    contact = ann()
    entry = await entered(database, params, contact=contact, responsible=User(name="Tom"))

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, reason.format(contact=contact.id))


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({"text": ""}, "/params/text", "String should have at least 1 character"),
        (
            {"channel": "SMS!"},
            "/params/channel",
            "String should match pattern '^[a-z][a-z0-9_.-]{0,49}$'",
        ),
        (
            {"to": [{"by": "address", "address": "ann@x.example"}]},
            "/params/to/0/address",
            "«ann@x.example» is not a phone number.",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "send_message", {"text": "Hi"} | params) == {
        field: reason
    }
