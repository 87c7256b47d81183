"""Requests that only lost a race run again, so that clients need not know of races."""

from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.status import HTTP_413_CONTENT_TOO_LARGE
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ProblemResponse, problem
from documents.shape import LARGEST_TEMPLATE
from models.locking import TRIES, lost_a_race
from models.settings import Settings

LONGEST_BODY = 2**20
"""Bytes; a request is kept whole in memory to be run again."""

LONGEST_FILES = {"/v1/document-templates": LARGEST_TEMPLATE}
"""And of files that are posted to these paths, or below."""

MAILS = "/v1/inbound/emails"
"""Where a body may be as large as the settings say."""


class Body:
    """The body of a request: it is read once, and can be given to the app again and again."""

    def __init__(self, receive: Receive, longest: int) -> None:
        self._receive = receive
        self._longest = longest
        self._whole: bytes | None = None

    async def read(self) -> bytes:
        """Return it, or refuse with 413 what is too long; raises `ClientDisconnect`."""
        if self._whole is None:
            self._whole = await self._read()
        return self._whole

    async def _read(self) -> bytes:
        body = bytearray()
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._longest:
                reason = f"A body has at most {self._longest} bytes."
                raise HTTPException(HTTP_413_CONTENT_TOO_LARGE, reason)
            more = message.get("more_body", False)
        return bytes(body)

    def channel(self) -> Receive:
        """Return what gives the body, then whatever comes."""
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await self._receive()
            given = True
            return {"type": "http.request", "body": await self.read(), "more_body": False}

        return replay


class Retries:
    """Runs a request up to three times while the database ends it for the sake of another.

    A body is here before the request runs; a file, which may be large, is read when the endpoint
    asks for it, which looks first who sends it. Stands outside the exception handlers, where errors
    of the database are still errors.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        longest_file = _longest_file(scope)
        body = Body(receive, longest_file or LONGEST_BODY)
        with suppress(ClientDisconnect):  # Nobody is left to be answered.
            try:
                if longest_file is None:
                    await body.read()
            except HTTPException as refusal:
                answer = problem("Request entity too large", refusal.detail)
                await answer(scope, receive, send)
            else:
                await self._run(scope, body, send)

    async def _run(self, scope: Scope, body: Body, send: Send) -> None:
        for _ in range(TRIES):
            if await self._answered(scope, body.channel(), send):
                return
        await too_busy()(scope, body.channel(), send)

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


def _longest_file(scope: Scope) -> int | None:
    """Return how many bytes a file that is sent there may have; None where none is sent."""
    path: str = scope["path"]
    if scope["method"] != "POST":
        return None
    if path == MAILS:
        settings: Settings = scope["app"].state.settings
        return settings.largest_mail
    found = [each for each in LONGEST_FILES if path == each or path.startswith(f"{each}/")]
    return LONGEST_FILES[found[0]] if found else None
