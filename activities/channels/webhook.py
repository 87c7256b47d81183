"""Webhooks leave by HTTP: posted once, no redirect followed, to addresses that may be reached."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import httpx2
from httpcore2 import (
    URL,
    AsyncConnectionPool,
    ConnectError,
    ConnectTimeout,
    NetworkError,
    ProtocolError,
    TimeoutException,
    default_ssl_context,
)

from activities.answers import OF_THE_MOMENT, beginning, quoted, wait_asked
from activities.channel import Refused, Sent, TryLater, Unclear
from activities.networks import AllowedNetworks, Resolve, networks_in, resolved
from activities.steps import Place
from models import clock
from models.delivery import LONGEST_WORDS, Delivery
from models.settings import Settings
from models.webhook import WebhookContent, headers_of, secret_in

MOST_AT_ONCE = 100
"""Connections of a worker; how much leaves in a second is limited elsewhere."""


class Call(NamedTuple):
    content: WebhookContent
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """What a server said: status, what it calls it, its headers, and how its words begin."""

    status: int
    reason: str
    headers: httpx2.Headers
    words: str

    @property
    def in_words(self) -> str:
        """The status, and the beginning of what was said, in one line."""
        said = quoted(self.words)
        status = f"{self.status} {self.reason}".strip()
        return f"{status}: {said}" if said else status


class WebhookChannel:
    """Posts JSON. Each call has a connection of its own; proxies of the environment are not asked.

    `resolve` tells the addresses behind a name.
    """

    def __init__(self, settings: Settings, resolve: Resolve = resolved) -> None:
        self._networks = AllowedNetworks(networks_in(settings.webhooks_may_reach), resolve)
        self._patience = settings.delivery_seconds / 3
        self._opened: AsyncConnectionPool | None = None

    async def prepare(self, place: Place, delivery: Delivery) -> Call:
        content = WebhookContent.model_validate(delivery.content)
        secret = secret_in(place.run.version.params)
        return Call(content, headers_of(content, delivery.key, clock.now(), secret))

    async def send(self, prepared: Call) -> Sent:
        url = httpx2.URL(prepared.content.url)
        try:
            answer = await self._post(url, prepared)
        except (ConnectError, ConnectTimeout) as error:
            raise TryLater(f"{url.host} cannot be reached: {error}") from error
        except (TimeoutException, NetworkError, ProtocolError) as error:
            words = str(error) or type(error).__name__
            raise Unclear(f"{url.host} did not answer: {words}") from error
        return _judged(url.host, answer)

    async def settle(self, place: Place, delivery: Delivery, sent: Sent) -> Sent:  # noqa: ARG002
        return sent

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()

    def _pool(self) -> AsyncConnectionPool:
        """Return the pool, opened for the first call: to read certificates takes a while."""
        if self._opened is None:
            self._opened = AsyncConnectionPool(
                ssl_context=default_ssl_context(),
                max_connections=MOST_AT_ONCE,
                max_keepalive_connections=0,
                network_backend=self._networks,
            )
        return self._opened

    async def _post(self, url: httpx2.URL, call: Call) -> Answer:
        where = URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        async with self._pool().stream(
            "POST",
            where,
            headers=list(call.headers.items()),
            content=call.content.body.encode(),
            extensions={"timeout": {"connect": self._patience}},
        ) as response:
            return Answer(
                response.status,
                response.extensions.get("reason_phrase", b"").decode("ascii", "replace"),
                httpx2.Headers(response.headers),
                await beginning(response.aiter_stream()),
            )


def _judged(host: str, answer: Answer) -> Sent:
    """Return that it has arrived, or raise what the answer means instead."""
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        left = {"status": status, "answer": answer.words}
        return Sent(f"{host} answered {status}.", answer=answer.words, result=left)
    if status < HTTPStatus.BAD_REQUEST:
        elsewhere = answer.headers.get("location", "nowhere")[:LONGEST_WORDS]
        raise Refused(
            f"{host} answered {status} and points to {elsewhere}: redirects are not followed."
        )
    if status in OF_THE_MOMENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TryLater(f"{host} answered {answer.in_words}", wait_asked(answer.headers))
    raise Refused(f"{host} refused it: {answer.in_words}")
