"""Requests that only lost a race run again, so that clients need not know of races."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ProblemResponse, problem
from documents.shape import LARGEST_TEMPLATE
from models.locking import TRIES, lost_a_race
from models.settings import Settings

LONGEST_BODY = 2**20
"""Bytes; a request is kept whole in memory to be run again."""

LONGEST_FILES = {"/v1/document-templates": LARGEST_TEMPLATE}
"""And of files that are uploaded below these paths."""

MAILS = "/v1/inbound/emails"
"""Where a body may be as large as the settings say."""


class Retries:
    """Runs a request up to three times while the database ends it for the sake of another.

    Stands outside the exception handlers, where errors of the database are still errors.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        longest = _longest(scope)
        try:
            body = await _whole(receive, longest)
        except ClientDisconnect:
            return
        if len(body) > longest:
            answer = problem("Request entity too large", f"A body has at most {longest} bytes.")
            await answer(scope, receive, send)
            return
        for _ in range(TRIES):
            if await self._answered(scope, _again(body, receive), send):
                return
        await too_busy()(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Run the request; False if it lost a race before it answered anything."""
        begun = False
        inner = dict(scope)

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(inner, receive, noting)
        except Exception as error:
            if begun or not lost_a_race(error):
                raise
            return False
        finally:
            scope.setdefault("state", {})["route"] = _template(inner)
        return True


def _template(scope: Scope) -> str | None:
    """Return the path of the route that was found, with the names of its parameters."""
    route: str | None = getattr(scope.get("route"), "path", None)
    if route is None:
        return None
    before = scope["path"].split("/")[: -route.count("/")]
    return "/".join(before) + route


def too_busy() -> ProblemResponse:
    """Return what is told where every try lost a race."""
    return problem(
        "Service unavailable",
        "Others keep changing the same thing at this moment. Try again.",
        headers={"Retry-After": "1"},
    )


def _longest(scope: Scope) -> int:
    """Return how many bytes a body that is sent there may have."""
    path: str = scope["path"]
    if path == MAILS:
        settings: Settings = scope["app"].state.settings
        return settings.largest_mail
    found = [each for each in LONGEST_FILES if path == each or path.startswith(f"{each}/")]
    return LONGEST_FILES[found[0]] if found else LONGEST_BODY


async def _whole(receive: Receive, longest: int) -> bytes:
    """Return the body, or as much of it as shows that it is too long."""
    body = bytearray()
    more = True
    while more and len(body) <= longest:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body once more, then whatever comes."""
    kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return kept.pop() if kept else await receive()

    return replay
