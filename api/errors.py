"""What clients read when something is wrong: problems after RFC 9457, for every kind of error."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api.limits import TooManyRequests
from api.requests import request_id
from api.schemas import MOST_LEVELS
from models.errors import (
    ActionFailed,
    Conflict,
    CrmError,
    Invalid,
    InvalidRule,
    InvalidTrigger,
    LoopDetected,
    NotAllowed,
    NotFound,
    Problem,
)
from models.mistakes import at_the_root, pointer_to, reason, shortened
from models.near_misses import LONGEST_NAME

STATUS: Mapping[type[CrmError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    NotAllowed: HTTPStatus.FORBIDDEN,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidRule: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidTrigger: HTTPStatus.UNPROCESSABLE_ENTITY,
    LoopDetected: HTTPStatus.CONFLICT,
    ActionFailed: HTTPStatus.CONFLICT,
}


@dataclass(frozen=True)
class Kind:
    """What is true of every problem of a type; the type never changes, the words may."""

    title: str
    status: HTTPStatus
    meaning: str

    @property
    def name(self) -> str:
        return self.title.lower().replace(" ", "-")

    @property
    def type(self) -> str:
        return f"/problems/{self.name}"


KINDS: Mapping[str, Kind] = {
    kind.title: kind
    for kind in (
        Kind(
            "Bad request",
            HTTPStatus.BAD_REQUEST,
            "The body could not be read at all. Send JSON in UTF-8, as application/json.",
        ),
        Kind(
            "Unauthorized",
            HTTPStatus.UNAUTHORIZED,
            "The request came without a token, or with one that has expired, was revoked or never "
            "was. Send «Authorization: Bearer cue_…».",
        ),
        Kind(
            "Not allowed",
            HTTPStatus.FORBIDDEN,
            "Your role may not do this, or what you ask for is out of your reach. The detail says "
            "who may.",
        ),
        Kind(
            "Not found",
            HTTPStatus.NOT_FOUND,
            "There is no such thing, or no such path. What was deleted may be in the recycle bin.",
        ),
        Kind(
            "Method not allowed",
            HTTPStatus.METHOD_NOT_ALLOWED,
            "The path is right, but not for this method. The header Allow names those it has.",
        ),
        Kind(
            "Conflict",
            HTTPStatus.CONFLICT,
            "What you ask contradicts the present state: something is still in use, done already, "
            "or was changed at the same moment. Read it again before you decide.",
        ),
        Kind(
            "Loop detected",
            HTTPStatus.CONFLICT,
            "Rules and triggers move items in a circle. The detail shows the path, of a long one "
            "how it begins and ends.",
        ),
        Kind(
            "Action failed",
            HTTPStatus.CONFLICT,
            "An action of a rule met a fact that it cannot get around.",
        ),
        Kind(
            "Precondition failed",
            HTTPStatus.PRECONDITION_FAILED,
            "Somebody has changed it since you read it. Read it again, and send its new ETag as "
            "If-Match if you still want the change.",
        ),
        Kind(
            "Request entity too large",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "The body is longer than any request needs. Send less at once.",
        ),
        Kind(
            "Invalid",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Something you sent cannot be accepted. The errors name every field, and why; sending "
            "the same again cannot help.",
        ),
        Kind(
            "Invalid rule",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The rule could never run as it is written. The errors name every part, and why.",
        ),
        Kind(
            "Invalid trigger",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The trigger could never move an item as it is written. The errors name every part, "
            "and why.",
        ),
        Kind(
            "Precondition required",
            HTTPStatus.PRECONDITION_REQUIRED,
            "What people share is changed only by whoever has seen it: send the ETag of what you "
            "have read as If-Match, or * for any version.",
        ),
        Kind(
            "Too many requests",
            HTTPStatus.TOO_MANY_REQUESTS,
            "You have sent more requests than a while allows. Wait as long as Retry-After says; "
            "the headers RateLimit and RateLimit-Policy tell how much is left.",
        ),
        Kind(
            "Internal server error",
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "A fault of the product. It was logged under the request_id: tell support that. "
            "Nothing of the request was done.",
        ),
        Kind(
            "Service unavailable",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The database is too busy or away. Nothing of the request was done; try again when "
            "Retry-After says.",
        ),
    )
}
"""By title. `GET /problems/{name}` tells what each means."""

NOT_JSON = "json_invalid"

MOST_TOLD = 50
"""Wrong fields named in one answer."""

OVERTAKEN = {
    "23503",
    "23505",
    "SQLITE_CONSTRAINT_FOREIGNKEY",
    "SQLITE_CONSTRAINT_PRIMARYKEY",
    "SQLITE_CONSTRAINT_UNIQUE",
}
"""How the databases call what is there twice, or is gone though something points at it."""


class FieldProblem(BaseModel):
    """One thing that is wrong with what was sent."""

    field: str = Field(
        description="JSON pointer into the body, or a slash and the name of a parameter or header."
    )
    reason: str = Field(description="Why, and the nearest right name or value if there is one.")


class ProblemDocument(BaseModel):
    """A problem after RFC 9457; `type` never changes, the texts may."""

    type: str = Field(examples=["/problems/not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no deal 42."])
    errors: list[FieldProblem] = []
    request_id: str | None = Field(
        default=None, description="Also the header X-Request-Id, and in the log."
    )


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(
    title: str,
    detail: str,
    *,
    errors: Iterable[Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Return a problem of the kind with that title."""
    kind = KINDS[title]
    document = ProblemDocument(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=detail,
        errors=[FieldProblem(field=each.field, reason=each.reason) for each in errors],
        request_id=request_id(),
    )
    return ProblemResponse(document.model_dump(), kind.status, headers)


def overtaken() -> ProblemResponse:
    """Return what is told where somebody else was a moment faster."""
    return problem("Conflict", "Something this depends on was changed meanwhile. Look again.")


def too_many(error: TooManyRequests) -> ProblemResponse:
    """Return what is told to whoever sends more than a while allows."""
    return problem("Too many requests", str(error), headers={"Retry-After": str(error.wait)})


def handle_errors(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""
    for kind, handler in (
        (CrmError, _fact),
        (RequestValidationError, _unreadable),
        (TooManyRequests, _too_many),
        (HTTPException, _refused),
        (IntegrityError, _overtaken),
        (StaleDataError, _overtaken),
        (Exception, _fault),
    ):
        app.add_exception_handler(kind, handler)


async def _fact(_request: Request, error: Any) -> ProblemResponse:
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS)
    return problem(title_of(kind), error.message, errors=_problems_of(error))


def title_of(kind: type[CrmError]) -> str:
    """Return what a kind of fact is called: `NotFound` is "Not found"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).capitalize()


def _problems_of(error: CrmError) -> list[Problem]:
    if isinstance(error, Invalid):
        return list(error.problems)
    return [Problem(error.field, error.message)] if error.field else []


async def _unreadable(request: Request, error: Any) -> ProblemResponse:
    """Say which fields and why, never what was sent: it may be a secret."""
    found = at_the_root(error.errors())
    for each in found:
        if each["type"] == NOT_JSON:
            place = f"{each['ctx']['error']} at character {each['loc'][1]}"
            return problem("Bad request", f"The body is not JSON: {place}.")
    if isinstance(error.body, bytes):
        return problem("Bad request", "The body is not JSON: send it as application/json.")
    kind = _kind_of_body(request)
    # What several parts of an endpoint ask for is wrong once for each.
    told = dict.fromkeys(_problem(each, error.body, kind) for each in found[:MOST_TOLD])
    problems = list(told)
    said = "; ".join(f"{each.field}: {each.reason}".removeprefix(": ") for each in problems)
    return problem("Invalid", said, errors=problems)


def _kind_of_body(request: Request) -> Any:
    field = getattr(request.scope.get("route"), "body_field", None)
    return None if field is None else field.field_info.annotation


def _problem(error: ErrorDetails, body: object, kind: Any) -> Problem:
    where, *inside = error["loc"]
    if where != "body":
        return Problem(f"/{inside[0]}", reason(error, inside, None))
    if not inside and error["type"] == "missing":
        return Problem("", "This request needs a body: send JSON, {} at least.")
    pointer = pointer_to(error, inside, body)
    if error["type"] == "union_tag_invalid":
        pointer += "/" + str(error["ctx"]["discriminator"]).strip("'")
    return Problem(shortened(pointer), reason(error, inside, kind))


async def _too_many(_request: Request, error: Any) -> ProblemResponse:
    return too_many(error)


async def _refused(request: Request, error: Any) -> ProblemResponse:
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    detail = UNREAD.get(type(error.__cause__), str(error.detail))
    if "endpoint" not in request.scope and status is HTTPStatus.NOT_FOUND:
        detail = f"There is no such path{_path_meant(request)}"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        methods = _methods_of(request)
        headers["Allow"] = ", ".join(methods) or headers.get("Allow", "")
        detail = f"This path has {headers['Allow']}, not {shortened(request.method)}."
    return problem(TITLES[status], detail, headers=headers)


UNREAD: Mapping[type[BaseException] | None, str] = {
    RecursionError: f"The body is nested too deep: at most {MOST_LEVELS} levels are taken.",
    UnicodeDecodeError: "The body is not text in UTF-8.",
}
"""Why a body could not even be read, by what was met."""

TITLES = {kind.status: kind.title for kind in reversed(list(KINDS.values()))}
"""What a status is called that no kind of fact stands for."""

PARAMETER = re.compile(r"\{[^}]+\}")
LOOKS_LIKE_AN_ID = re.compile(r"(?<=/)\d+(?=/|$)")


def _path_meant(request: Request) -> str:
    """Return the question whether the most similar path was meant, if there is any, or a stop."""
    sent = LOOKS_LIKE_AN_ID.sub("{}", request.url.path)
    paths = (str(route.path_format) for route in documented(request.app.routes))
    known = {PARAMETER.sub("{}", path): path for path in paths}
    near = get_close_matches(sent, known, n=1) if len(sent) <= LONGEST_NAME else []
    return f", did you mean {known[near[0]]}?" if near else "."


def _methods_of(request: Request) -> list[str]:
    """Return the methods of all routes on a path."""
    return sorted(
        {
            method
            for route in documented(request.app.routes)
            if re.fullmatch(PARAMETER.sub("[^/]+", str(route.path_format)), request.url.path)
            for method in route.methods or ()
        }
    )


def documented(routes: Iterable[Any]) -> Iterator[RouteContext]:
    """Yield the routes that the document tells of; unlike the document, they are at hand."""
    for route in iter_route_contexts(list(routes)):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            yield route


async def _overtaken(_request: Request, error: Any) -> ProblemResponse:
    """Tell of what no check could see: somebody else was a moment faster."""
    if isinstance(error, IntegrityError) and not OVERTAKEN & _kinds_of(error):
        raise error
    return overtaken()


def _kinds_of(error: IntegrityError) -> set[object]:
    return {getattr(error.orig, name, None) for name in ("sqlstate", "sqlite_errorname")}


async def _fault(_request: Request, _error: Any) -> ProblemResponse:
    return problem(
        "Internal server error",
        f"Something went wrong here. It was logged as request {request_id()}; try again.",
    )
