"""Requests: each has an id, which its answer, its log lines and its problems say."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

REQUEST_ID = "X-Request-Id"

OF_THE_CLIENT = re.compile(r"[\x21-\x7e]{1,100}")

NOTHING_ANSWERED = 499
"""Logged where the client has hung up before there was an answer."""


class Requests:
    """Stands around everything else, faults included, and writes one line for each request.

    The line holds no values that were sent: the route, and not the path or the query.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if OF_THE_CLIENT.fullmatch(sent) else uuid4().hex
        state = scope.setdefault("state", {})
        status = NOTHING_ANSWERED

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(state.get("headers", {}))
                headers[REQUEST_ID] = request_id
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, marked)
        finally:
            log.info(
                "Answered",
                method=scope["method"],
                route=state.get("route"),
                status=int(status),
                ms=round((time.perf_counter() - begun) * 1000, 1),
            )


def request_id() -> str | None:
    """Return the id of the request under way."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found
