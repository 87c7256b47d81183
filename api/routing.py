"""Routes: what is true of every answer. It carries its version; a repeated POST is answered again.

Both are done when the answer is made and the request's transaction is still open. A list becomes a
sheet for whoever wants one, and a parameter that nobody knows is refused everywhere.
"""

import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.dependencies import ANY_VERSION, CurrentUser, Session, tags_in
from api.languages import in_its_language
from api.schemas import Page
from api.sheets import DOCUMENTED, filled_sheet
from models.errors import Conflict, Invalid, Problem
from models.kept_answer import KeptAnswer, claim_key
from models.mistakes import shortened, unknown

REPLAYED = "Idempotency-Replayed"
"""The header that says: this was done before and is only told again."""

KEY_HEADER = "Idempotency-Key"
KEY = r"^[\x21-\x7e]{1,255}$"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _Repeated(Exception):
    """A request that has been answered before."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__(kept.key)
        self.kept = kept


async def idempotent(
    request: Request,
    session: Session,
    user: CurrentUser,
    key: Annotated[
        str | None,
        Header(
            alias=KEY_HEADER,
            pattern=KEY,
            description="Any text of your own, such as a UUID. The same request with the same key "
            "is done once: repeated within a week, it gets the same answer again. With another "
            "body the key is refused.",
        ),
    ] = None,
) -> None:
    """Claim the key of a POST, or find that it has been answered."""
    if key is None:
        return
    place = f"{request.method} {request.url.path}?{request.url.query}"
    fingerprint = sha256(b"\0".join([place.encode(), _plain(await request.body())])).hexdigest()
    kept, is_new = await claim_key(session, user, key, fingerprint)
    if is_new:
        request.state.kept_answer = kept
        return
    if kept.fingerprint != fingerprint:
        reason = "This key was sent with another request before; take a new one for each."
        raise Invalid(Problem(f"/{KEY_HEADER}", reason))
    raise _Repeated(kept)


def _plain(body: bytes) -> bytes:
    """Return a body as it would be without its writer's habits: spaces, and the order of names."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return body


async def known_parameters(request: Request) -> None:
    """Refuse a parameter that the route does not have: a filter with a slip would find too much."""
    route: Route = request.scope["route"]
    known = route.parameters
    wrong = [name for name in request.query_params if not route.takes(name)]
    if wrong:
        raise Invalid(
            *(
                Problem(f"/{shortened(name)}", unknown("parameter", name, known))
                for name in wrong[:MOST_TOLD]
            )
        )


MOST_TOLD = 10
"""Unknown parameters named in one answer."""


class Route(APIRoute):
    """Adds `ETag`, answers 304 to whoever has that version, and keeps the answers of POSTs.

    Response models have a `version` for their `ETag`, `shown_once` if they hold a secret, and are
    `live` if they show what changes without the version. What asks for a `Language` is a GET and
    has no version, which would be that of every language.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Sequence[str] = ("GET",),
        dependencies: Sequence[Dependency] = (),
        **rest: Any,
    ) -> None:
        added: list[Callable[..., Any]] = [known_parameters]
        if "POST" in methods:
            added.append(idempotent)
        asked = list(dependencies or ())
        present = {each.dependency for each in asked}
        asked += [Depends(each) for each in added if each not in present]
        super().__init__(path, endpoint, methods=list(methods), dependencies=asked, **rest)
        self.objects = frozenset(
            each["name"] for each in (self.openapi_extra or {}).get("parameters", ())
        )
        self.parameters = self.objects | set(_parameters(self.dependant))
        if self.is_list:
            self.responses = {HTTPStatus.OK.value: DOCUMENTED, **self.responses}

    def takes(self, name: str) -> bool:
        """Tell whether a query may have this parameter; only an object has brackets."""
        outer, bracket, _ = name.partition("[")
        return outer in (self.objects if bracket else self.parameters)

    @property
    def is_list(self) -> bool:
        return isinstance(self.response_model, type) and issubclass(self.response_model, Page)

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        versioned = "version" in getattr(self.response_model, "model_fields", ())
        shown_once = bool(getattr(self.response_model, "shown_once", False))
        live = bool(getattr(self.response_model, "live", False))

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
                _keep(request, response, shown_once=shown_once)
            except _Repeated as repeated:
                response = _again(repeated.kept)
            if sheet := filled_sheet(request):
                response = sheet.answer(request.url.path.rpartition("/")[2])
            elif versioned:
                response = _tagged(request, response, live=live)
            return in_its_language(request, response)

        return answer


def _parameters(dependant: Dependant) -> Iterator[str]:
    """Yield the names of all query parameters, also of those that stand in a model."""
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (each.alias or name for name, each in kind.model_fields.items())
        else:
            yield field.alias
    for each in dependant.dependencies:
        yield from _parameters(each)


def resource(tag: str, prefix: str = "") -> APIRouter:
    """Return the router of a resource, under that heading of the documentation."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=Route)


def _keep(request: Request, response: Response, *, shown_once: bool) -> None:
    kept: KeptAnswer | None = getattr(request.state, "kept_answer", None)
    if kept is not None:
        kept.status = response.status_code
        kept.body = None if shown_once else bytes(response.body).decode()


def _again(kept: KeptAnswer) -> Response:
    if kept.status is None or kept.body is None:
        raise Conflict("This was done before; its answer held a secret, which is shown only once.")
    return Response(kept.body, kept.status, {REPLAYED: "true"}, media_type="application/json")


def _tagged(request: Request, response: Response, *, live: bool) -> Response:
    """Give an answer that succeeded the version it shows; send nobody what they have already."""
    tag = f'"{json.loads(bytes(response.body))["version"]}"'
    known = tags_in(request.headers.get("If-None-Match", ""))
    if request.method == "GET" and not live and known & {tag, ANY_VERSION}:
        response = Response(status_code=HTTPStatus.NOT_MODIFIED)
    response.headers["ETag"] = tag
    return response
