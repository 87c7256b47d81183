"""Outgoing webhook: another program is told, and can tell that it was us."""

import hashlib
import json
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

import pytest

from activities.registry import HIDDEN, with_secrets, without_secrets
from models.clock import now
from models.contact import Contact
from models.database import Database
from models.delivery import Delivery, DeliveryKind, DeliveryState
from models.errors import InvalidRule
from models.history import HistoryEntry
from models.pipeline import Stage
from models.rule_run import FAULT_PAUSES, RuleRun, RunState
from models.settings import Settings
from models.stage_entry import StageEntry
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused, rules_of
from tests.fixtures.database import on_one_database
from tests.fixtures.hooks import Receiver, said
from tests.fixtures.runner import Runner

A_SECOND = timedelta(seconds=1)
SECRET = "whsec_" + b64encode(b"a key of twenty-four byt").decode()


@pytest.fixture
def caller(database: Database, neighbours: Settings) -> Runner:
    return Runner(database, neighbours)


async def a_hook(
    database: Database, url: str, *below: dict[str, Any], title: str = "Lathe", **params: Any
) -> StageEntry:
    """Let a deal enter a stage whose rule calls this URL."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Closed won")
        call = {"title": "Tell", "action": "call_webhook", "params": {"url": url, **params}}
        rules_of(session, stage, call, *below)
        anna = Contact(first_name="Anna", last_name="O'Neil & Söhne")
        _, entry = await a_deal(session, stage, title=title, contact=anna)
    return entry


async def called(caller: Runner, entry: StageEntry) -> RuleRun:
    """Do the action, then call the webhook once."""
    at = now() + A_SECOND
    await caller.do(entry.id, at)
    return await caller.do(entry.id, at + A_SECOND)


# What is sent.


async def test_without_a_body_it_tells_of_item_stage_rule_and_run(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    entry = await a_hook(database, receiver.url())

    run = await called(caller, entry)

    (asked,) = receiver.asked
    assert asked.line == "POST /hook HTTP/1.1"
    told = asked.json
    assert (told["type"], told["data"]["item"]) == (
        "rule.run",
        {
            "id": entry.item_id,
            "type": "deal",
            "title": "Lathe",
            "url": f"http://crm.example/v1/deals/{entry.item_id}",
        },
    )
    assert told["data"]["pipeline"]["name"] == "Sales"
    assert told["data"]["stage"] == {"id": entry.stage_id, "name": "Closed won"}
    assert told["data"]["stage_entry"]["id"] == entry.id
    assert told["data"]["rule"] == {"id": run.rule_id, "title": "Tell"}
    assert told["data"]["run"] == {"id": run.id}


async def test_the_run_says_where_it_was_sent_and_what_came_of_it(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    receiver.answers.append(said("201 Created", '{"ticket": 7}'))
    entry = await a_hook(database, receiver.url("/hook?token=x"))

    run = await called(caller, entry)

    (delivery,) = await all_of(database, Delivery)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Webhook to {receiver.url()}. localhost answered 201.",
    )
    assert run.result == {"status": 201, "answer": '{"ticket": 7}'}
    assert (delivery.kind, delivery.state) == (DeliveryKind.WEBHOOK, DeliveryState.SENT)
    assert (delivery.recipient, delivery.answer) == (
        receiver.url("/hook?token=x"),
        '{"ticket": 7}',
    )


async def test_rules_below_know_the_answer(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    receiver.answers.append(said("200 OK", "ticket 7"))
    text = "{{ results.call_webhook.status }}: {{ results.call_webhook.answer }}"
    below = {"action": "add_history_entry", "params": {"text": text}, "after_previous": True}
    entry = await a_hook(database, receiver.url(), below)
    await called(caller, entry)

    await caller.do(entry.id, now() + 3 * A_SECOND)

    lines = [line.text for line in await all_of(database, HistoryEntry)]
    assert "200: ticket 7" in lines


async def test_fields_stay_within_their_place_of_the_url(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    url = receiver.url("/{{ deal.title }}/x?who={{ contact.name }}&id={{ deal.id }}")
    entry = await a_hook(database, url, title="../a?b#c d/%41")

    await called(caller, entry)

    (asked,) = receiver.asked
    assert asked.line == (
        "POST /..%2Fa%3Fb%23c%20d%2F%2541/x"
        f"?who=Anna%20O%27Neil%20%26%20S%C3%B6hne&id={entry.item_id} HTTP/1.1"
    )


async def test_a_field_of_dots_leads_nowhere_else(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    entry = await a_hook(database, receiver.url("/deals/{{ deal.title }}/done"), title="..")

    await called(caller, entry)

    assert receiver.asked[0].line == "POST /deals/%2E%2E/done HTTP/1.1"


async def test_whatever_fields_hold_the_body_stays_json(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    title = 'He said "no",\n{"a": 1} \\ \u2028'
    body = {
        "deal": {"title": "«{{ deal.title }}»", "big": "{% if deal.amount %}yes{% endif %}"},
        "people": ["{{ contact.name }}"],
        "n": 1.5,
        "flag": True,
        "none": None,
    }
    entry = await a_hook(database, receiver.url(), title=title, body=body)

    await called(caller, entry)

    assert receiver.asked[0].json == {
        "deal": {"title": f"«{title}»", "big": ""},
        "people": ["Anna O'Neil & Söhne"],
        "n": 1.5,
        "flag": True,
        "none": None,
    }


# Signed.


def independent_hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 as RFC 2104 writes it, without the library that signs."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (SECRET, b"a key of twenty-four byt"),
        ("just a text, ä", "just a text, ä".encode()),
    ],
)
async def test_the_receiver_can_verify_the_signature(
    database: Database, caller: Runner, receiver: Receiver, secret: str, key: bytes
) -> None:
    entry = await a_hook(database, receiver.url(), secret=secret, body={"t": "{{ contact.name }}"})

    await called(caller, entry)

    (asked,) = receiver.asked
    (delivery,) = await all_of(database, Delivery)
    said_id, moment = asked.headers["webhook-id"], asked.headers["webhook-timestamp"]
    version, _, signature = asked.headers["webhook-signature"].partition(",")
    signed = said_id.encode() + b"." + moment.encode() + b"." + asked.body
    assert (version, b64decode(signature)) == ("v1", independent_hmac(key, signed))
    assert said_id == str(delivery.key)
    assert abs(int(moment) - now().timestamp()) < 60


async def test_without_a_secret_there_is_an_id_and_no_signature(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    entry = await a_hook(database, receiver.url())

    await called(caller, entry)

    (asked,) = receiver.asked
    assert asked.headers["webhook-id"]
    assert "webhook-signature" not in asked.headers


async def test_sent_again_it_has_the_same_id_and_body_and_a_new_moment(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    receiver.answers.append(said("503 Down"))
    entry = await a_hook(database, receiver.url(), secret=SECRET)
    waiting = await called(caller, entry)

    done = await caller.do(entry.id, now() + 2 * FAULT_PAUSES[0])

    first, second = receiver.asked
    assert (waiting.state, done.state) == (RunState.RETRYING, RunState.DONE)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert int(first.headers["webhook-timestamp"]) < int(second.headers["webhook-timestamp"])
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_it_waits_as_long_as_the_receiver_asks_for(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    receiver.answers.append(said("429 Slow down", retry_after="7200"))
    entry = await a_hook(database, receiver.url())

    run = await called(caller, entry)

    (delivery,) = await all_of(database, Delivery)
    assert run.state is RunState.RETRYING
    assert delivery.sending_at is not None
    assert delivery.due_at == delivery.sending_at + timedelta(hours=2)


# Refused.


async def test_a_refusal_fails_the_run_at_once_with_the_words_of_the_receiver(
    database: Database, caller: Runner, receiver: Receiver
) -> None:
    receiver.answers.append(said("410 Gone", "this hook was deleted"))
    entry = await a_hook(database, receiver.url())

    run = await called(caller, entry)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Webhook to {receiver.url()}. localhost refused it: 410 Gone: this hook was deleted",
    )


async def test_an_address_that_is_not_public_fails_the_run(
    database: Database, runner: Runner, receiver: Receiver
) -> None:
    entry = await a_hook(database, receiver.url())

    run = await called(runner, entry)

    assert run.state is RunState.FAILED
    assert "is no public address" in str(run.outcome)
    assert receiver.asked == []


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"url": "http://h.example/{{ contact.name }}"}, "The URL gets longer than 2000"),
        ({"url": "http://h.example/", "body": {"a": "{{ contact.name }}"}}, "The body gets longer"),
    ],
)
async def test_what_gets_too_long_fails_with_that_reason(
    database: Database,
    caller: Runner,
    monkeypatch: pytest.MonkeyPatch,
    params: dict[str, Any],
    reason: str,
) -> None:
    monkeypatch.setattr("activities.actions.call_webhook.LONGEST_BODY", 20)
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Closed won")
        a_rule(session, stage, "call_webhook", params=params)
        _, entry = await a_deal(session, stage, contact=Contact(first_name="x" * 3000))

    run = await caller.do(entry.id, now() + A_SECOND)

    assert run.state is RunState.FAILED
    assert str(run.outcome).startswith(reason)


# When it is saved.


@pytest.fixture
async def won(database: Database) -> Stage:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Closed won")
    return stage


@on_one_database
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("hooks.example/x", "begins with https"),
        ("ftp://hooks.example/x", "begins with https"),
        ("file:///etc/passwd", "begins with https"),
        ("https://{{ contact.name }}/x", "the host is fixed"),
        ("https://hooks.{{ contact.name }}.example/x", "the host is fixed"),
        ("https://{% if deal.id %}a{% endif %}.example/", "the host is fixed"),
        ("{{ deal.title }}", "begins with https"),
        ("https://ada:secret@hooks.example/", "do not belong here"),
        ("https://", "no such host"),
        ("https:///x", "no such host"),
        ("https://hooks.example:0/", "its port is none"),
        ("https://hooks.example:99999/", "its port is none"),
        ("https://hooks.example:x/", "its port is none"),
        ("https://hooks example/", "no such host"),
        ("https://[::1/", "no such host"),
        ("https://" + "ä" * 70 + ".example/", "this host is none"),
        ("https://" + "a" * 64 + ".example/", "this host is none"),
        ("https://hooks..example/", "this host is none"),
        ("https://hooks.example/\r\nX-Evil: 1", "cannot be printed"),
        ("https://hooks.example/#top", "no #"),
        ("https://hooks.example/{{ deal.nmae }}", "unknown field deal.nmae"),
        ("https://hooks.example/{{ deal.title", "line 1"),
        ("https://hooks.example/" + "x" * 2000, "at most 2000"),
    ],
)
async def test_a_url_that_could_lead_anywhere_is_refused(
    database: Database, won: Stage, url: str, reason: str
) -> None:
    problems = await refused(database, won, "call_webhook", {"url": url})

    assert list(problems) == ["/params/url"]
    assert reason in problems["/params/url"]


@on_one_database
@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ("{", "/params/body", "this is not JSON"),
        ('{"a": {{ deal.id }}}', "/params/body", "this is not JSON"),
        ("[1]", "/params/body", "an object"),
        ("7", "/params/body", "an object"),
        ('{"a": NaN}', "/params/body", "no number"),
        ('{"a": 1e400}', "/params/body", "no number"),
        ('{"a": "\\u0000"}', "/params/body", "U+0000"),
        ('{"a/b": 1}', "/params/body", "neither / nor ~"),
        ("[" * 3000, "/params/body", "this is not JSON"),
        ('{"a":' * 30 + "1" + "}" * 30, "/params/body", "at most 20 levels"),
        ({"a": {"b": ["{{ deal.title"]}}, "/params/body", "in /a/b/0, line 1"),
        ({"a": {"b": ["{{ deal.nmae }}"]}}, "/params/body/a/b/0", "unknown field deal.nmae"),
        ({"a": ["x" * 9000] * 3}, "/params/body", "at most 20000 characters"),
    ],
)
async def test_a_body_that_could_not_be_json_is_refused(
    database: Database, won: Stage, body: object, field: str, reason: str
) -> None:
    params = {"url": "https://hooks.example/", "body": body}

    problems = await refused(database, won, "call_webhook", params)

    assert list(problems) == [field]
    assert reason in problems[field]


@on_one_database
@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64", "x" * 501])
async def test_a_secret_that_is_none_is_refused_and_not_repeated(
    database: Database, won: Stage, secret: str
) -> None:
    params = {"url": "https://hooks.example/", "secret": secret}

    problems = await refused(database, won, "call_webhook", params)

    assert list(problems) == ["/params/secret"]
    assert "not base64" not in problems["/params/secret"]


# Secret.


def test_settings_are_shown_without_secrets_and_taken_back_with_them() -> None:
    kept = {"url": "https://hooks.example/", "secret": SECRET, "body": None}

    shown = without_secrets("call_webhook", kept)
    same = with_secrets("call_webhook", shown, kept)
    other = with_secrets("call_webhook", shown | {"secret": "other"}, kept)
    none = with_secrets("call_webhook", shown | {"secret": None}, kept)

    assert shown == kept | {"secret": HIDDEN}
    assert same == kept
    assert (other["secret"], none["secret"]) == ("other", None)


def test_settings_without_a_secret_hide_nothing() -> None:
    kept = {"url": "https://hooks.example/", "secret": None}

    assert without_secrets("call_webhook", kept) == kept
    assert without_secrets("create_task", {"secret": "x"}) == {"secret": "x"}
    assert without_secrets("of_old", {"secret": "x"}) == {"secret": "x"}


def test_where_there_was_no_secret_none_stays_as_it_is() -> None:
    with pytest.raises(InvalidRule) as caught:
        with_secrets("call_webhook", {"secret": HIDDEN}, {"secret": None})

    assert [problem.field for problem in caught.value.problems] == ["/params/secret"]


async def test_the_secret_stands_in_nothing_that_is_kept_of_a_delivery_and_its_run(
    database: Database, caller: Runner, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers.extend([b"", said("400 Bad")])
    entry = await a_hook(database, receiver.url(), secret=SECRET)
    await called(caller, entry)
    await caller.do(entry.id, now() + 2 * FAULT_PAUSES[0])

    (delivery,) = await all_of(database, Delivery)
    runs = await all_of(database, RuleRun)
    history = await all_of(database, HistoryEntry)

    kept = [vars(row) for row in (delivery, *runs, *history)]
    assert delivery.state is DeliveryState.FAILED
    assert SECRET.removeprefix("whsec_") not in json.dumps(kept, default=repr) + caplog.text
