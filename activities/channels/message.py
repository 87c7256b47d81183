"""Messages leave by a gateway over HTTP; without one they are caught."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import httpx2

from activities.answers import OF_THE_MOMENT, beginning, quoted, wait_asked
from activities.channel import Refused, Sent, TryLater, Unclear
from activities.steps import Place
from models.crm_activity_edit import add_sent
from models.delivery import Delivery
from models.message import as_posted
from models.settings import Settings
from models.stage_entry import Cause

OF_US = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
"""What no recipient can help: somebody here has to give another token."""


class Post(NamedTuple):
    recipient: str
    body: Mapping[str, str]


class MessageChannel:
    """Posts messages, and notes what clients were sent as CRM activities."""

    def __init__(self, settings: Settings) -> None:
        self._gateway = settings.message_gateway_url
        self._token = settings.message_gateway_token
        self._seconds = settings.delivery_seconds * 0.9
        self._client: httpx2.AsyncClient | None = None

    async def prepare(self, place: Place, delivery: Delivery) -> Post:  # noqa: ARG002
        return Post(delivery.recipient, as_posted(delivery))

    async def send(self, prepared: Post) -> Sent:
        if self._gateway is None:
            return Sent(f"Caught here, not sent to {prepared.recipient}.", caught=True)
        try:
            async with self._http().stream("POST", self._gateway, json=prepared.body) as answer:
                return _judged(answer, await beginning(answer.aiter_raw()), prepared.recipient)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise TryLater(f"The gateway cannot be reached: {_why(error)}") from error
        except httpx2.TransportError as error:
            raise Unclear(f"the gateway had been given it: {_why(error)}") from error

    async def settle(self, place: Place, delivery: Delivery, sent: Sent) -> Sent:
        await add_sent(place.session, delivery, Cause.rule(place.run))
        return sent

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _http(self) -> httpx2.AsyncClient:
        """Return the client, made for the first message: to read certificates takes a while."""
        if self._client is None:
            token = self._token
            headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
            headers["Accept-Encoding"] = "identity"  # What is packed may be huge once unpacked.
            self._client = httpx2.AsyncClient(headers=headers, timeout=self._seconds)
        return self._client


def _judged(answer: httpx2.Response, words: str, recipient: str) -> Sent:
    """Return that the gateway has taken it, or raise what it says instead."""
    status = answer.status_code
    if answer.is_success:
        return Sent(f"Sent to {recipient}.", answer=words or f"{status}")
    said = quoted(f"{status} {answer.reason_phrase} {words}")
    if answer.is_client_error and status not in OF_THE_MOMENT | OF_US:
        raise Refused(f"The gateway refused it for {recipient}: {said}")
    raise TryLater(f"The gateway does not take it now: {said}", wait_asked(answer.headers))


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
