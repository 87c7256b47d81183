"""What clients read when something is wrong: problems after RFC 9457, for every kind of error."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from activities.rule_check import pointer_to
from models.errors import (
    ActionFailed,
    Conflict,
    CrmError,
    Invalid,
    InvalidRule,
    LoopDetected,
    NotAllowed,
    NotFound,
    Problem,
)

STATUS: Mapping[type[CrmError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    NotAllowed: HTTPStatus.FORBIDDEN,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidRule: HTTPStatus.UNPROCESSABLE_ENTITY,
    LoopDetected: HTTPStatus.CONFLICT,
    ActionFailed: HTTPStatus.CONFLICT,
}

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

    field: str = Field(description="JSON pointer into the body, or the name of a parameter.")
    reason: str


class ProblemDocument(BaseModel):
    """A problem after RFC 9457; `type` never changes, the texts may."""

    type: str = Field(examples=["/problems/not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no deal 42."])
    errors: list[FieldProblem] = []


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


SCHEMA = "#/components/schemas/Problem"
_DOCUMENTED: dict[str, Any] = {
    "content": {ProblemResponse.media_type: {"schema": {"$ref": SCHEMA}}}
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    HTTPStatus.UNAUTHORIZED.value: {"description": "No valid token", **_DOCUMENTED},
    HTTPStatus.NOT_FOUND.value: {"description": "There is no such thing", **_DOCUMENTED},
    HTTPStatus.CONFLICT.value: {"description": "Contradicts the present state", **_DOCUMENTED},
    HTTPStatus.UNPROCESSABLE_ENTITY.value: {"description": "Cannot be accepted", **_DOCUMENTED},
    "default": {"description": "Any other problem", **_DOCUMENTED},
}
"""What every endpoint may answer beside its result, for the OpenAPI document."""


def document_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Put the schema that `PROBLEMS` speak of into an OpenAPI document."""
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= schema.pop("$defs") | {"Problem": schema}
    return document


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "",
    errors: Iterable[Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Return a problem; its kind is that of the status unless said otherwise ("Not found")."""
    title = kind or HTTPStatus(status).phrase.capitalize()
    document = ProblemDocument(
        type=f"/problems/{title.lower().replace(' ', '-')}",
        title=title,
        status=status,
        detail=detail,
        errors=[FieldProblem(field=each.field, reason=each.reason) for each in errors],
    )
    return ProblemResponse(document.model_dump(), status, headers)


def handle_errors(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""
    for kind, handler in (
        (CrmError, _fact),
        (RequestValidationError, _unreadable),
        (HTTPException, _refused),
        (IntegrityError, _overtaken),
        (StaleDataError, _overtaken),
        (Exception, _fault),
    ):
        app.add_exception_handler(kind, handler)


async def _fact(_request: Request, error: Any) -> ProblemResponse:
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS)
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).capitalize()
    return problem(STATUS[kind], error.message, kind=words, errors=_problems_of(error))


def _problems_of(error: CrmError) -> list[Problem]:
    if isinstance(error, Invalid):
        return list(error.problems)
    return [Problem(error.field, error.message)] if error.field else []


async def _unreadable(_request: Request, error: Any) -> ProblemResponse:
    """Say which fields and why, never what was sent: it may be a secret."""
    found = error.errors()
    for each in found:
        if each["type"] == NOT_JSON:
            place = f"{each['ctx']['error']} at character {each['loc'][1]}"
            return problem(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {place}.")
    if isinstance(error.body, bytes):
        return problem(HTTPStatus.BAD_REQUEST, "The body is not JSON: send it as application/json.")
    problems = [_problem(each, error.body) for each in found[:MOST_TOLD]]
    said = "; ".join(f"{each.field}: {each.reason}" for each in problems)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said, kind="Invalid", errors=problems)


def _problem(error: ErrorDetails, body: object) -> Problem:
    where, *inside = error["loc"]
    pointer = pointer_to(error, inside, body) if where == "body" else f"/{inside[0]}"
    return Problem(pointer, error["msg"].removeprefix("Value error, "))


async def _refused(_request: Request, error: Any) -> ProblemResponse:
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _overtaken(_request: Request, error: Any) -> ProblemResponse:
    """Tell of what no check could see: somebody else was a moment faster."""
    if isinstance(error, IntegrityError) and not OVERTAKEN & _kinds_of(error):
        raise error
    return problem(
        HTTPStatus.CONFLICT, "Something this depends on was changed meanwhile. Look again."
    )


def _kinds_of(error: IntegrityError) -> set[object]:
    return {getattr(error.orig, name, None) for name in ("sqlstate", "sqlite_errorname")}


async def _fault(_request: Request, _error: Any) -> ProblemResponse:
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here. It was logged; try again."
    )
