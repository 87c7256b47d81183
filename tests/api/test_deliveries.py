"""Deliveries over HTTP: what is sent, as it is sent, and what nobody knows to have arrived."""

import email
import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email import policy
from hashlib import sha256
from hmac import digest
from typing import Any

import httpx2
import pytest

from activities.registry import HIDDEN
from models.clock import now
from models.crm_activity import CrmActivity, CrmActivityKind
from models.database import Database
from models.delivery import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    Reaction,
    ReactionKind,
    doubt,
    find_delivery,
)
from models.history import HistoryEntry, HistoryKind
from models.rule import Rule, RuleVersion
from models.rule_run import RunState, skip
from models.settings import Settings, Uncertain
from models.stage_entry import lock_run
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, all_of, entered, rules_of
from tests.fixtures.api import SignIn, SmallCompany
from tests.fixtures.hooks import HERE, Receiver, said
from tests.fixtures.runner import Runner

A_SECOND = timedelta(seconds=1)
SECRET = "whsec_" + b64encode(b"a key of twenty-four byt").decode()
HOLDING = Settings(
    public_url="http://crm.example", webhooks_may_reach=HERE, uncertain_webhooks=Uncertain.HOLD
)


async def a_letter(database: Database, **given: Any) -> Delivery:
    """Let a rule have written a mail to Ann; columns that are given are set afterwards."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Won")
        rules_of(session, stage, {})
        deal, entry = await a_deal(session, stage, responsible=given.pop("responsible", None))
        letter = Delivery(
            kind=given.pop("kind", DeliveryKind.EMAIL),
            run_id=entry.runs[0].id,
            item=deal,
            recipient=given.pop("recipient", "ann@example.com"),
            subject="Thanks",
            content=given.pop(
                "content",
                {
                    "sent_from": "us@example.com",
                    "text": "Thanks!",
                    "html": '<p><a href="https://a.example">A</a></p>',
                    "links": ["https://a.example"],
                },
            ),
        )
        session.add(letter)
        await session.flush()
        for name, value in given.items():
            setattr(letter, name, value)
    return letter


async def read(client: httpx2.AsyncClient, letter: Delivery, rest: str = "") -> Any:
    return SmallCompany.made(await client.get(f"/v1/deliveries/{letter.id}{rest}"))


# Reading.


async def test_a_delivery_tells_how_far_it_is(api: httpx2.AsyncClient, database: Database) -> None:
    letter = await a_letter(database)

    shown = await read(api, letter)

    assert shown.pop("created_at")
    assert shown.pop("due_at")
    assert shown == {
        "id": letter.id,
        "kind": "email",
        "state": "waiting",
        "doubtful": False,
        "run_id": letter.run_id,
        "item_id": letter.item_id,
        "recipient": "ann@example.com",
        "subject": "Thanks",
        "key": str(letter.key),
        "contact_id": None,
        "company_id": None,
        "user_id": None,
        "crm_activity_id": None,
        "tries": 0,
        "failures": 0,
        "sending_at": None,
        "uncertain_at": None,
        "sent_at": None,
        "caught": False,
        "outcome": None,
        "answer": None,
        "error": None,
        "opened_at": None,
        "clicks": 0,
        "reactions": [],
    }


async def test_it_tells_who_has_opened_it(api: httpx2.AsyncClient, database: Database) -> None:
    letter, other = await a_letter(database), await a_letter(database)
    url = "https://a.example"
    async with database.transaction() as session:
        session.add(Reaction(delivery_id=letter.id, kind=ReactionKind.OPENED))
        session.add(Reaction(delivery_id=letter.id, kind=ReactionKind.CLICKED, url=url))

    shown, unread = await read(api, letter), await read(api, other)
    listed = (await api.get("/v1/deliveries")).json()["items"]

    first, *_ = shown["reactions"]
    assert [(each["kind"], each["url"]) for each in shown["reactions"]] == [
        ("opened", None),
        ("clicked", url),
    ]
    assert (shown["opened_at"], shown["clicks"]) == (first["created_at"], 1)
    assert (unread["opened_at"], unread["clicks"]) == (None, 0)
    assert [(each["id"], each["clicks"]) for each in listed] == [(other.id, 0), (letter.id, 1)]


@pytest.mark.parametrize(
    ("state", "ago", "doubtful"),
    [
        (DeliveryState.SENDING, timedelta(seconds=5), False),
        (DeliveryState.SENDING, timedelta(minutes=5), True),
        (DeliveryState.UNCERTAIN, timedelta(seconds=5), True),
        (DeliveryState.SENT, timedelta(minutes=5), False),
    ],
)
async def test_what_is_sending_for_too_long_is_doubtful(
    api: httpx2.AsyncClient,
    database: Database,
    state: DeliveryState,
    ago: timedelta,
    *,
    doubtful: bool,
) -> None:
    letter = await a_letter(database, state=state, sending_at=now() - ago)

    shown = await read(api, letter)

    assert (shown["state"], shown["doubtful"]) == (state, doubtful)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=sent", [0]),
        ("state=waiting", [1]),
        ("kind=email", [0]),
        ("kind=message", [1]),
        ("recipient=ann@example.com", [0]),
        ("recipient=Ann@example.com", []),
        ("caught=true", [0]),
        ("run_id={run}", [1]),
        ("item_id={item}", [1]),
        ("created_from=2020-01-01T00:00:00Z", [1, 0]),
        ("created_to=2020-01-01T00:00:00Z", []),
        ("sort=id", [0, 1]),
    ],
)
async def test_deliveries_are_found(
    api: httpx2.AsyncClient, database: Database, query: str, found: list[int]
) -> None:
    sent = await a_letter(database, state=DeliveryState.SENT, caught=True)
    message = await a_letter(database, kind=DeliveryKind.MESSAGE, recipient="+4930123456")
    place = {"run": message.run_id, "item": message.item_id}

    rows = SmallCompany.made(await api.get(f"/v1/deliveries?{query.format(**place)}"))["items"]

    assert [row["id"] for row in rows] == [[sent.id, message.id][each] for each in found]


async def test_agents_see_deliveries_of_items_within_their_reach(
    database: Database, sign_in: SignIn
) -> None:
    tom = User(name="Tom", role=Role.AGENT)
    mine, other = await a_letter(database, responsible=tom), await a_letter(database)
    client = await sign_in(tom)

    listed = (await client.get("/v1/deliveries")).json()["items"]
    refused = [
        await client.get(f"/v1/deliveries/{other.id}{rest}", headers={}) for rest in ("", "/raw")
    ]

    assert [row["id"] for row in listed] == [mine.id]
    assert [answer.status_code for answer in refused] == [403, 403]
    assert refused[0].json()["detail"].startswith(f"Delivery {other.id} is neither yours nor")


# As it leaves.


async def test_a_mail_can_be_read_as_it_leaves(api: httpx2.AsyncClient, database: Database) -> None:
    letter = await a_letter(database)

    answer = await api.get(f"/v1/deliveries/{letter.id}/raw")
    again = await api.get(f"/v1/deliveries/{letter.id}/raw")

    mail = email.message_from_bytes(answer.content, policy=policy.default)
    html = mail.get_body(["html"])
    assert answer.headers["content-type"] == "message/rfc822"
    assert again.content == answer.content
    assert (mail["to"], mail["subject"]) == ("ann@example.com", "Thanks")
    assert html is not None
    assert f'href="http://cuebook/v1/t/{letter.id}/0/' in html.get_content()


async def test_a_message_can_be_read_as_it_is_posted(
    api: httpx2.AsyncClient, database: Database
) -> None:
    content = {"channel": "sms", "text": "Grüße"}
    letter = await a_letter(database, kind=DeliveryKind.MESSAGE, recipient="+4930", content=content)

    raw = await read(api, letter, "/raw")

    told = {"id": str(letter.key), "channel": "sms", "to": "+4930", "text": "Grüße"}
    assert (raw["method"], raw["url"], raw["body"]) == ("POST", None, told)
    assert json.loads(raw["text"]) == told


async def test_a_document_leaves_nothing(api: httpx2.AsyncClient, database: Database) -> None:
    letter = await a_letter(database, kind=DeliveryKind.DOCUMENT)

    answer = await api.get(f"/v1/deliveries/{letter.id}/raw")

    assert answer.status_code == 404
    assert answer.json()["detail"] == f"Delivery {letter.id} is made here and leaves nothing."


Hook = Callable[..., Awaitable[int]]


@pytest.fixture
async def hook(database: Database, receiver: Receiver) -> Hook:
    async def hook(**params: Any) -> int:
        """Let a rule of a deal call the receiver, as far as its action; return the entry."""
        call = {"action": "call_webhook", "params": {"url": receiver.url(), **params}}
        entry = await entered(database, call, told=True)
        await Runner(database, HOLDING).do(entry.id, now() + A_SECOND)
        return entry.id

    return hook


async def test_a_webhook_can_be_read_as_it_was_sent_but_for_its_secret(
    api: httpx2.AsyncClient, database: Database, receiver: Receiver, hook: Hook
) -> None:
    entry_id = await hook(secret=SECRET)
    (letter,) = await all_of(database, Delivery)
    before = await read(api, letter, "/raw")
    await Runner(database, HOLDING).do(entry_id, now() + 2 * A_SECOND)

    after = await api.get(f"/v1/deliveries/{letter.id}/raw")

    (asked,) = receiver.asked
    raw = after.json()
    said_id, moment = raw["headers"]["webhook-id"], raw["headers"]["webhook-timestamp"]
    signed = digest(
        b64decode(SECRET.removeprefix("whsec_")),
        f"{said_id}.{moment}.{raw['text']}".encode(),
        sha256,
    )
    assert raw["headers"].items() <= asked.headers.items()
    assert raw["headers"]["webhook-signature"] == f"v1,{b64encode(signed).decode()}"
    assert (raw["text"].encode(), raw["body"]) == (asked.body, asked.json)
    assert (raw["method"], raw["url"]) == ("POST", receiver.url())
    assert "webhook-signature" not in before["headers"]
    assert SECRET.removeprefix("whsec_") not in after.text


# Settling.


@pytest.fixture
async def uncertain(database: Database, receiver: Receiver, hook: Hook) -> Delivery:
    """A call of which nobody knows whether it has arrived, and that is held."""
    receiver.answers.append(b"")
    entry_id = await hook()
    await Runner(database, HOLDING).do(entry_id, now() + 2 * A_SECOND)
    (letter,) = await all_of(database, Delivery)
    return letter


async def settled(api: httpx2.AsyncClient, letter: Delivery, *, arrived: bool) -> Any:
    path = f"/v1/deliveries/{letter.id}/settle"
    return SmallCompany.made(await api.post(path, json={"arrived": arrived}))


async def told(database: Database) -> list[tuple[str, int | None]]:
    lines = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.DELIVERY)
    return [(line.text, line.author_id) for line in lines[1:]]


async def test_what_has_arrived_is_sent_and_its_run_is_done(
    api: httpx2.AsyncClient, database: Database, uncertain: Delivery, admin: User
) -> None:
    held = (await api.get(f"/v1/runs/{uncertain.run_id}")).json()
    listed = (await api.get("/v1/deliveries?state=uncertain")).json()["items"]

    shown = await settled(api, uncertain, arrived=True)

    run = (await api.get(f"/v1/runs/{uncertain.run_id}")).json()
    said_so = "It has arrived, says Ada Admin."
    assert (held["state"], held["held_because"]) == (
        "held",
        "nobody knows whether it has arrived",
    )
    assert [row["id"] for row in listed] == [uncertain.id]
    assert (shown["state"], shown["outcome"], shown["doubtful"]) == ("sent", said_so, False)
    assert run["state"] == "done"
    assert run["outcome"].endswith(said_so)
    assert await told(database) == [
        (f"Delivery {uncertain.id} to {uncertain.recipient}: {said_so}", admin.id)
    ]


async def test_what_has_not_arrived_is_sent_again_with_the_same_key(
    api: httpx2.AsyncClient, database: Database, uncertain: Delivery, receiver: Receiver
) -> None:
    shown = await settled(api, uncertain, arrived=False)
    waiting = (await api.get(f"/v1/runs/{uncertain.run_id}")).json()

    run = await Runner(database, HOLDING).do(waiting["stage_entry_id"], now() + 3 * A_SECOND)

    first, second = receiver.asked
    assert (shown["state"], shown["doubtful"]) == ("waiting", False)
    assert (waiting["state"], waiting["held_because"]) == ("delivering", None)
    assert run.state is RunState.DONE
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(uncertain.key)


async def test_what_is_certain_is_not_to_be_settled(
    api: httpx2.AsyncClient, uncertain: Delivery
) -> None:
    await settled(api, uncertain, arrived=True)

    answer = await api.post(f"/v1/deliveries/{uncertain.id}/settle", json={"arrived": False})

    assert answer.status_code == 409
    assert answer.json()["detail"] == (
        f"Delivery {uncertain.id} is sent: only what is uncertain is to be settled."
    )


@pytest.mark.parametrize("body", [{}, {"arrived": None}, {"arrived": "yes"}, {"arrived": 1}])
async def test_who_settles_says_yes_or_no(
    api: httpx2.AsyncClient, database: Database, body: dict[str, Any]
) -> None:
    letter = await a_letter(database)

    answer = await api.post(f"/v1/deliveries/{letter.id}/settle", json=body)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["/arrived"]


@pytest.mark.parametrize(
    ("arrived", "state"), [(True, DeliveryState.SENT), (False, DeliveryState.FAILED)]
)
async def test_where_its_run_has_ended_nothing_is_sent_again(
    api: httpx2.AsyncClient,
    database: Database,
    uncertain: Delivery,
    admin: User,
    state: DeliveryState,
    *,
    arrived: bool,
) -> None:
    async with database.transaction() as session:
        await skip(session, await lock_run(session, uncertain.run_id), admin)
        doubt(await find_delivery(session, uncertain.id, lock=True), "no answer")

    shown = await settled(api, uncertain, arrived=arrived)

    run = (await api.get(f"/v1/runs/{uncertain.run_id}")).json()
    assert (shown["state"], run["state"]) == (state, "skipped")


async def test_a_mail_that_has_arrived_is_recorded_for_its_client(
    api: httpx2.AsyncClient, database: Database
) -> None:
    letter = await a_letter(database, state=DeliveryState.UNCERTAIN)

    shown = await settled(api, letter, arrived=True)

    (mail,) = await all_of(database, CrmActivity)
    assert (mail.kind, mail.subject, mail.description) == (
        CrmActivityKind.EMAIL,
        "Thanks",
        "Thanks!",
    )
    assert shown["crm_activity_id"] == mail.id
    assert mail.made_by_run_id == letter.run_id


# Secrets of rules.


async def a_rule(company: SmallCompany, **params: Any) -> Any:
    (stage,) = await company.pipeline("Won")
    params = {"url": "https://hooks.example/", "secret": SECRET, **params}
    return await company.rule(stage, title="Tell", action="call_webhook", params=params)


async def kept(database: Database) -> list[Any]:
    return [version.params.get("secret") for version in await all_of(database, RuleVersion)]


async def test_nobody_is_shown_the_secret_of_a_rule_again(
    api: httpx2.AsyncClient, company: SmallCompany, sign_in: SignIn, database: Database
) -> None:
    made = await a_rule(company)
    tom = User(name="Tom", role=Role.AGENT)
    await company.add(tom)
    client = await sign_in(tom)
    path = f"/v1/rules/{made['id']}"

    answers = [
        await each.get(where)
        for each in (api, client)
        for where in (path, f"/v1/stages/{made['stage_id']}/rules")
    ]
    changed = await api.patch(path, json={"title": "Tell them"})
    sheet = await api.get(f"/v1/stages/{made['stage_id']}/rules", headers={"Accept": "text/csv"})

    shown = [made, *(answer.json() for answer in answers), changed.json(), sheet.text]
    assert made["params"]["secret"] == HIDDEN
    assert SECRET not in json.dumps(shown)
    assert await kept(database) == [SECRET, SECRET]


async def test_the_secret_stays_where_it_comes_back_as_it_was_shown(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    made = await a_rule(company)
    path = f"/v1/rules/{made['id']}"

    same = await api.patch(path, json={"params": made["params"]})
    moved = await api.patch(
        path, json={"params": made["params"] | {"url": "https://other.example/"}}
    )
    renewed = await api.patch(path, json={"params": made["params"] | {"secret": "another"}})
    ended = await api.patch(path, json={"params": made["params"] | {"secret": None}})

    assert same.json()["text_version"] == 1
    assert moved.json()["params"]["secret"] == renewed.json()["params"]["secret"] == HIDDEN
    assert ended.json()["params"]["secret"] is None
    assert await kept(database) == [SECRET, SECRET, "another", None]


async def test_what_stands_for_a_secret_is_no_secret_of_a_new_rule(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database
) -> None:
    made = await a_rule(company)
    (stage,) = await company.pipeline("Lost")
    note = await company.rule(stage)
    call = {"action": "call_webhook", "params": made["params"]}

    answers = [
        await api.post(f"/v1/stages/{stage}/rules", json=call | {"title": "Tell"}),
        await api.patch(f"/v1/rules/{note['id']}", json=call),
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert [each["field"] for each in answers[0].json()["errors"]] == ["/params/secret"]
    assert len(await all_of(database, Rule)) == 2


async def test_a_refused_rule_does_not_repeat_the_secret(
    api: httpx2.AsyncClient, company: SmallCompany, caplog: pytest.LogCaptureFixture
) -> None:
    (stage,) = await company.pipeline("Won")
    params = {"url": "https://{{ x }}/", "secret": "whsec_hush hush", "body": "{"}
    rule = {"title": "Tell", "action": "call_webhook", "params": params}

    answer = await api.post(f"/v1/stages/{stage}/rules", json=rule)

    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["errors"]} == {
        "/params/url",
        "/params/secret",
        "/params/body",
    }
    assert "hush" not in answer.text + caplog.text


async def test_a_body_may_be_sent_as_json_or_as_text_that_says_json(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database, receiver: Receiver
) -> None:
    body = {"deal": "{{ deal.title }}", "n": [1, None, True]}

    as_json = await a_rule(company, body=body)
    as_text = await a_rule(company, body=json.dumps(body, indent=2))
    again = await api.patch(f"/v1/rules/{as_text['id']}", json={"params": as_text["params"]})

    assert as_json["params"]["body"] == as_text["params"]["body"] == body
    assert again.json()["text_version"] == 1


async def test_a_deal_that_is_moved_over_http_is_told_of(
    api: httpx2.AsyncClient, company: SmallCompany, database: Database, receiver: Receiver
) -> None:
    new, won = await company.pipeline("New", "Won")
    receiver.answers.append(said("200 OK", "noted"))
    params = {"url": receiver.url("/deals/{{ deal.id }}"), "secret": SECRET}
    await company.rule(won, title="Tell", action="call_webhook", params=params)
    deal = await company.deal(stage_id=new)
    await company.move(deal["id"], won)
    entry = (await api.get(f"/v1/stage-entries?item_id={deal['id']}&present=true")).json()
    entry_id = entry["items"][0]["id"]
    runner = Runner(database, HOLDING)

    await runner.do(entry_id, now() + A_SECOND)
    await runner.do(entry_id, now() + 2 * A_SECOND)

    (asked,) = receiver.asked
    (row,) = (await api.get(f"/v1/deliveries?item_id={deal['id']}")).json()["items"]
    assert asked.line == f"POST /deals/{deal['id']} HTTP/1.1"
    assert (row["kind"], row["state"], row["answer"]) == ("webhook", "sent", "noted")
