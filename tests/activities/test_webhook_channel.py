"""How webhooks leave: what answers mean, and where they never go."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from ipaddress import ip_address

import pytest

from activities.answers import LONGEST_WAIT
from activities.channel import Refused, Sent, TryLater, Unclear
from activities.channels.webhook import Call, WebhookChannel
from activities.networks import AllowedNetworks, is_public, networks_in
from models.settings import Settings
from models.webhook import WebhookContent
from tests.fixtures.hooks import HERE, Receiver, said

pytestmark = pytest.mark.timeout(20)


def a_call(url: str, body: str = "{}") -> Call:
    return Call(WebhookContent(url=url, body=body), {"content-type": "application/json"})


@pytest.fixture
async def channel(neighbours: Settings) -> AsyncIterator[WebhookChannel]:
    channel = WebhookChannel(neighbours)
    yield channel
    await channel.close()


class Names:
    """Answers for names like a server of the Internet, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


async def test_it_is_posted_as_it_is(channel: WebhookChannel, receiver: Receiver) -> None:
    receiver.answers.append(said("200 OK", "thanks"))

    sent = await channel.send(a_call(receiver.url("/a%2Fb?c=%20d"), '{"ä":1}'))

    (asked,) = receiver.asked
    assert asked.line == "POST /a%2Fb?c=%20d HTTP/1.1"
    assert asked.headers["host"] == f"localhost:{receiver.port}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.body.decode() == '{"ä":1}'
    assert sent == Sent(
        "localhost answered 200.", answer="thanks", result={"status": 200, "answer": "thanks"}
    )


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
async def test_whatever_begins_with_2_has_arrived(
    channel: WebhookChannel, receiver: Receiver, status: str
) -> None:
    receiver.answers.append(said(status))

    sent = await channel.send(a_call(receiver.url()))

    assert sent.result["status"] == int(status[:3])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_named_and_not_followed(
    channel: WebhookChannel, receiver: Receiver, status: str
) -> None:
    receiver.answers.append(said(status, location=receiver.url("/elsewhere")))

    with pytest.raises(Refused) as caught:
        await channel.send(a_call(receiver.url()))

    assert caught.value.reason == (
        f"localhost answered {status[:3]} and points to {receiver.url('/elsewhere')}: "
        "redirects are not followed."
    )
    assert len(receiver.asked) == 1


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "410 Gone"]
)
async def test_a_refusal_is_told_in_the_words_of_the_server(
    channel: WebhookChannel, receiver: Receiver, status: str
) -> None:
    receiver.answers.append(said(status, "we do\r\nnot know you"))

    with pytest.raises(Refused) as caught:
        await channel.send(a_call(receiver.url()))

    assert caught.value.reason == f"localhost refused it: {status}: we do not know you"


@pytest.mark.parametrize(
    "status", ["408 Timeout", "425 Early", "429 Slow", "500 Oh", "502 Bad", "503 Down", "504 Late"]
)
async def test_a_server_that_is_down_or_busy_is_called_again_later(
    channel: WebhookChannel, receiver: Receiver, status: str
) -> None:
    receiver.answers.append(said(status, "closed"))

    with pytest.raises(TryLater) as caught:
        await channel.send(a_call(receiver.url()))

    assert not isinstance(caught.value, Unclear)
    assert str(caught.value) == f"localhost answered {status}: closed"


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("999999999", LONGEST_WAIT),
        ("9" * 30, timedelta()),
        ("soon", timedelta()),
        ("-5", timedelta()),
    ],
)
async def test_a_server_may_ask_for_patience(
    channel: WebhookChannel, receiver: Receiver, asked: str, wait: timedelta
) -> None:
    receiver.answers.append(said("429 Slow", retry_after=asked))

    with pytest.raises(TryLater) as caught:
        await channel.send(a_call(receiver.url()))

    assert caught.value.wait == wait


async def test_of_an_endless_answer_the_beginning_is_read(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.answers.append(said("200 OK", "x" * 300_000))

    sent = await channel.send(a_call(receiver.url()))

    assert sent.answer == "x" * 1000


async def test_what_no_database_holds_is_not_kept_of_an_answer(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.answers.append(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na\x00\xffb")

    sent = await channel.send(a_call(receiver.url()))

    assert sent.answer == "a\ufffd\ufffdb"


async def test_an_answer_that_breaks_off_or_never_ends_has_arrived_all_the_same(
    channel: WebhookChannel, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.answers.READING", 0.05)
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    receiver.answers.extend([half, half])

    broken_off = await channel.send(a_call(receiver.url()))
    receiver.let_go.clear()
    endless = await channel.send(a_call(receiver.url()))

    assert (broken_off.answer, endless.answer) == ("half", "half")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"220 mail.example ESMTP\r\n"])
async def test_without_an_answer_nobody_knows_whether_it_has_arrived(
    channel: WebhookChannel, receiver: Receiver, answer: bytes
) -> None:
    receiver.answers.append(answer)

    with pytest.raises(Unclear, match="localhost did not answer"):
        await channel.send(a_call(receiver.url()))

    assert len(receiver.asked) == 1


async def test_who_cannot_be_reached_has_certainly_got_nothing(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    nobody = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = nobody.sockets[0].getsockname()[1]
    nobody.close()
    await nobody.wait_closed()

    with pytest.raises(TryLater) as refused:
        await channel.send(a_call(f"http://127.0.0.1:{port}/"))
    with pytest.raises(TryLater) as nameless:
        await channel.send(a_call("http://nowhere.invalid/"))
    with pytest.raises(TryLater) as without_tls:
        await channel.send(a_call(receiver.url().replace("http:", "https:")))

    errors = [refused.value, nameless.value, without_tls.value]
    assert [isinstance(error, Unclear) for error in errors] == [False] * 3
    assert str(nameless.value).startswith("nowhere.invalid cannot be reached: ")


@pytest.mark.parametrize("host", ["hooks..example", "a" * 64 + ".example"])
async def test_a_name_that_no_host_can_have_is_refused(channel: WebhookChannel, host: str) -> None:
    with pytest.raises(Refused, match="can be no name of a host"):
        await channel.send(a_call(f"http://{host}/"))


async def test_proxies_of_the_environment_are_not_asked(
    channel: WebhookChannel, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    await channel.send(a_call(receiver.url()))

    assert len(receiver.asked) == 1


# Where webhooks never go.


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",  # noqa: S104 - where nothing is to listen
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[2001:db8::1]",
    ],
)
async def test_addresses_that_are_not_public_are_not_called(receiver: Receiver, host: str) -> None:
    channel = WebhookChannel(Settings())

    with pytest.raises(Refused) as caught:
        await channel.send(a_call(receiver.url(host=host)))

    await channel.close()
    assert "is no public address" in caught.value.reason
    assert "CUEBOOK_WEBHOOKS_MAY_REACH" in caught.value.reason
    assert receiver.asked == []


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::5"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


async def test_a_name_is_looked_up_once_and_called_where_it_was_found(
    neighbours: Settings, receiver: Receiver
) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    channel = WebhookChannel(neighbours, names)

    await channel.send(a_call(receiver.url(host="hooks.example")))
    with pytest.raises(Refused) as caught:
        await channel.send(a_call(receiver.url(host="hooks.example")))

    await channel.close()
    assert names.asked == ["hooks.example", "hooks.example"]
    assert [asked.headers["host"] for asked in receiver.asked] == [f"hooks.example:{receiver.port}"]
    assert caught.value.reason.startswith(
        "hooks.example stands for 10.0.0.1, which is no public address"
    )


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["8.8.8.8", "::ffff:10.1.1.1"]],
)
async def test_one_address_that_may_not_be_called_refuses_the_name(
    neighbours: Settings, receiver: Receiver, addresses: list[str]
) -> None:
    channel = WebhookChannel(neighbours, Names(addresses))

    with pytest.raises(Refused):
        await channel.send(a_call(receiver.url(host="hooks.example")))

    await channel.close()
    assert receiver.asked == []


async def test_of_several_addresses_another_is_tried_where_one_is_dead(
    neighbours: Settings, receiver: Receiver
) -> None:
    channel = WebhookChannel(neighbours, Names(["::1", "127.0.0.1"]))

    await channel.send(a_call(receiver.url(host="hooks.example")))

    await channel.close()
    assert len(receiver.asked) == 1


async def test_a_name_that_nobody_answers_for_is_given_up_in_time(neighbours: Settings) -> None:
    async def silence(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    hasty = neighbours.model_copy(update={"delivery_seconds": 0.1})
    channel = WebhookChannel(hasty, silence)

    with pytest.raises(TryLater) as caught:
        await channel.send(a_call("http://hooks.example/"))

    await channel.close()
    assert not isinstance(caught.value, Unclear)


@pytest.mark.parametrize("text", ["10.0.0.0", "::1", " 10.0.0.0/8 , fd00::/8,"])
def test_networks_are_written_with_commas(text: str) -> None:
    assert len(networks_in(text)) == text.strip(", ").count(",") + 1


@pytest.mark.parametrize("text", ["10.0.0.0/33", "intranet", "10.0.0.1/8"])
def test_a_setting_that_names_no_network_is_told_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("/")[0]):
        WebhookChannel(Settings(webhooks_may_reach=text))


async def test_nothing_but_connections_to_addresses_is_offered() -> None:
    reach = AllowedNetworks(networks_in(HERE))

    with pytest.raises(NotImplementedError):
        await reach.connect_unix_socket("/run/secret.sock")
