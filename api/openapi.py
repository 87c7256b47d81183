"""The OpenAPI document: what FastAPI reads off the code, completed until a client needs no more.

Which problems an operation may answer with follows from what its route asks for. Requests and
answers are shown as `docs/record.py` has recorded them.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from threading import Lock
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from activities.registry import all_actions
from api import vocabulary
from api.calendar import feed_behind
from api.dependencies import current_user, if_match, match_if_sent
from api.documents import shared_with
from api.errors import KINDS, TITLES, Kind, ProblemDocument, ProblemResponse, documented
from api.files import DocxAnswer, PdfAnswer
from api.languages import language
from api.requests import REQUEST_ID, Requests
from api.routing import REPLAYED, idempotent, known_parameters
from api.sheets import CSV
from models.base import LARGEST_ID
from models.trigger_type import all_trigger_types

HERE = files("api")
DESCRIPTION = HERE.joinpath("description.md").read_text()

JSON = "application/json"
PROBLEM = ProblemResponse.media_type

FILES = {CSV, DocxAnswer.media_type, PdfAnswer.media_type}

SCHEMAS = "#/components/schemas/"

PAGE = re.compile(r"Page_(\w+?)(?:Read)?_")
SENT, ANSWERED = "-Input", "-Output"
"""How FastAPI calls schemas of pages, and those that differ by direction."""

TAGS: Mapping[str, str] = {
    "deals": "What is being sold, to whom, for how much. A deal goes through the stages of one "
    "pipeline; moving it is an operation of *items*.",
    "leads": "Who may become a client. A lead that is tied to a contact or company is a *repeat "
    "lead*. Converted, it becomes a deal with contact and company.",
    "quotes": "What is offered to a client, for how much; its `close_date` is the last day on "
    "which it is valid.",
    "invoices": "What a client owes; the `close_date` is the last day on which it is to be paid. "
    "`pay` says that it was.",
    "items": "Leads, deals, quotes and invoices alike: moving them, what will happen to them (the "
    "agenda), what has happened (runs, timeline, history), and the recycle bin.",
    "pipelines": "The ways that items go, and the stages they stand in. Rules hang on stages.",
    "rules": "What is to be done when an item enters a stage: an action, its time, its conditions.",
    "triggers": "What moves items by itself to the stage that it hangs on: a task is completed, a "
    "mail comes in, an invoice is paid, another system calls. Each trigger that was considered is "
    "in the trigger log, with why it did or did not.",
    "previews": "What a text or conditions would come to for an item, while a rule is being "
    "written. They change nothing.",
    "runs": "One run is one rule for one stay of one item in a stage: what it waits for, or what "
    "became of it and why. Managers run it now, later, again, or not at all.",
    "deliveries": "What leaves the house for rules, or is caught here: mail, messages and calls of "
    "webhooks, just as they leave, with what became of them.",
    "tasks": "Work for people. Rules make tasks; people make and complete them.",
    "crm activities": "To-dos, calls and meetings for an item: planned, with reminders, or noted "
    "when they have happened.",
    "bookings": "Who and what is taken for an item, and when: nobody and nothing twice at a time. "
    "The booking field of the item says when the next one starts.",
    "resources": "What can be booked beside people: rooms, vehicles, tools.",
    "calendar": "What you have to do, in any calendar program, behind a link that is the key.",
    "document templates": "DOCX files with fields, from which rules make offers, contracts and "
    "letters; each file that was uploaded is kept as a version.",
    "documents": "What was made from a template for an item: DOCX and PDF, under a number, with a "
    "public link that tells when it was opened.",
    "feed": "What people and rules tell several people at once, who may say something to it.",
    "notifications": "What rules and the product itself tell people.",
    "contacts": "People outside the company: clients and who speaks for them.",
    "companies": "Firms outside the company.",
    "products": "What can be sold, with its price.",
    "custom fields": "Fields of your own on items of each type, typed; usable in texts, conditions "
    "and timing like any other.",
    "inbound": "Incoming contacts: mails, calls, messages and forms are handed in once, and become "
    "CRM activities of whom you know, or leads.",
    "exclusions": "The exceptions list: phones, addresses and mail domains that the CRM ignores.",
    "users": "The people who work here, what they may do, and who supervises them.",
    "departments": "The tree in which supervisors are found.",
    "tokens": "What opens this API: made for a person, shown once, revoked at any time.",
    "installation": "How the company counts time and money and writes numbers.",
    "health": "Whether it is well, for whoever watches it. Needs no token.",
    "problems": "What the `type` of a problem leads to. Needs no token.",
}
"""The headings of the document, in the order in which somebody new to it reads."""

HEADERS: Mapping[str, Mapping[str, Any]] = {
    REQUEST_ID: {
        "description": "The id of this request, in the log too: tell it when you ask for help. "
        "Send one of your own, and it is that.",
        "schema": {"type": "string", "examples": ["5f0c4f0e8f3b4c35a1b54f4d9ad0c6f1"]},
    },
    "RateLimit": {
        "description": "How many requests remain to you, and in how many seconds all are there "
        "again. Absent where limits are switched off.",
        "schema": {"type": "string", "examples": ['"users";r=2987;t=41']},
    },
    "RateLimit-Policy": {
        "description": "How many requests you may send in how many seconds.",
        "schema": {"type": "string", "examples": ['"users";q=3000;w=60']},
    },
    "ETag": {
        "description": "The version of what is shown. Send it as `If-Match` to change what you "
        "have seen, and as `If-None-Match` to be told only of something newer.",
        "schema": {"type": "string", "examples": ['"3"']},
    },
    REPLAYED: {
        "description": "`true` where this was done before, under the same `Idempotency-Key`, and "
        "is only told again.",
        "schema": {"type": "string", "const": "true"},
    },
    "Content-Disposition": {
        "description": "The name of the file, where CSV or a document was asked for.",
        "schema": {"type": "string", "examples": ['attachment; filename="deals.csv"']},
    },
    "Content-Language": {
        "description": "The language of titles and descriptions.",
        "schema": {"type": "string", "examples": ["pl"]},
    },
    "Vary": {
        "description": "`Accept-Language`: who asks for another language gets another answer.",
        "schema": {"type": "string", "examples": ["Accept-Language"]},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same request has a chance.",
        "schema": {"type": "string", "pattern": r"^\d+$", "examples": ["1"]},
    },
    "WWW-Authenticate": {
        "description": "What would be accepted, after RFC 6750.",
        "schema": {"type": "string", "examples": ["Bearer"]},
    },
}

OF_ALL = (REQUEST_ID,)
OF_USERS = (REQUEST_ID, "RateLimit", "RateLimit-Policy")
"""Headers of every answer: without a token, and with one."""

MEANINGS: Mapping[str, str] = {
    "200": "What was asked for.",
    "201": "It has been made, and this is it.",
    "204": "Done. There is nothing more to tell.",
    "304": "Whoever sent `If-None-Match` has this version already.",
}

PROBLEMS: Mapping[int, Kind] = {status.value: KINDS[title] for status, title in TITLES.items()}
"""The kind of problem that usually has a status."""

TOLD: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    412: ("ETag",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
"""Headers of problem answers, beside those of all."""


@dataclass(frozen=True)
class Operation:
    """One method of one path: its part of the document, what its route asks for, and answers."""

    method: str
    said: dict[str, Any]
    asked: frozenset[Callable[..., Any] | None]
    answered: Any

    @property
    def id(self) -> str:
        return str(self.said["operationId"])

    @property
    def changes(self) -> bool:
        return self.method != "get"

    @property
    def versioned(self) -> bool:
        return "version" in getattr(self.answered, "model_fields", ())

    @property
    def may_be_unchanged(self) -> bool:
        """Whether clients that have a version already are told no more than that."""
        return self.versioned and not self.changes and not getattr(self.answered, "live", False)

    @property
    def needs_token(self) -> bool:
        return current_user in self.asked

    @property
    def is_counted(self) -> bool:
        """Whether it is limited how often somebody may ask."""
        return self.needs_token or bool({feed_behind, shared_with} & self.asked)

    def has_path(self) -> bool:
        return any(each["in"] == "path" for each in self.said.get("parameters", ()))

    def problems(self) -> Iterator[int]:
        """Yield the statuses of the problems that anybody may meet here."""
        if "requestBody" in self.said:
            yield from (400, 413, 422)
        if self.needs_token:
            yield 401
        if self.is_counted:
            yield 429
        if self.has_path():
            yield 404
        if known_parameters in self.asked:
            yield 422
        if self.changes:
            yield from (409, 503)
        if match_if_sent in self.asked:
            yield 412
        if if_match in self.asked:
            yield from (412, 428)

    def headers(self) -> Iterator[str]:
        """Yield the names of the headers of what is answered when all is well."""
        yield from OF_USERS if self.is_counted else OF_ALL
        if self.versioned or "304" in self.said["responses"]:
            yield "ETag"
        if idempotent in self.asked:
            yield REPLAYED
        if language in self.asked:
            yield from ("Content-Language", "Vary")
        answers = self.said["responses"].values()
        if any(FILES & answer.get("content", {}).keys() for answer in answers):
            yield "Content-Disposition"


def operation_id(route: APIRoute) -> str:
    """Return what clients call an endpoint: `list_deals` is `listDeals`."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@cache
def recorded() -> Mapping[str, Any]:
    """Return what `docs/record.py` has recorded: by operation, and of all under `shared`."""
    kept: Mapping[str, Any] = json.loads(HERE.joinpath("examples.json").read_text())
    return kept


class CuebookApi(FastAPI):
    """Serves its document completed, and each request under an id, faults of its own included."""

    making = Lock()
    """Held while the document is made."""

    def setup(self) -> None:
        """Serve the document, made by a thread: that takes a second, in which others are served."""

        async def document(_request: Request) -> JSONResponse:
            return await asyncio.to_thread(lambda: JSONResponse(self.openapi()))

        self.add_route(str(self.openapi_url), document, include_in_schema=False)

    def build_middleware_stack(self) -> ASGIApp:
        return Requests(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        with self.making:
            known = self.openapi_schema
            document = super().openapi()
            return document if document is known else completed(document, self.routes)


def completed(document: dict[str, Any], routes: Iterable[Any]) -> dict[str, Any]:
    """Return the document, changed in place."""
    components = document["components"]
    components["schemas"] |= _schemas_of_problems()
    _offer_settings(components["schemas"])
    _rename(document)
    _tidy(document)
    components["headers"] = dict(HEADERS)
    components["responses"] = {_name_of(kind): _shared(status) for status, kind in PROBLEMS.items()}
    used = set()
    for operation in _operations(document, routes):
        used |= {*operation.said["tags"]}
        _complete(operation)
    document["tags"] = [
        {"name": name, "description": text} for name, text in TAGS.items() if name in used
    ]
    _prune(document)
    return document


def _operations(document: Mapping[str, Any], routes: Iterable[Any]) -> Iterator[Operation]:
    for context in documented(routes):
        for method in sorted(context.methods or ()):
            said = document["paths"][context.path_format][method.lower()]
            yield _operation(method.lower(), said, context)


def _operation(method: str, said: dict[str, Any], route: RouteContext) -> Operation:
    return Operation(method, said, frozenset(_calls(route.dependant)), route.response_model)


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from _calls(each)


def _complete(operation: Operation) -> None:
    said, kept = operation.said, recorded().get(operation.id, {})
    said["summary"] = re.sub(r"(?<!^)(?=[A-Z])", " ", operation.id).capitalize()
    if not operation.needs_token:
        said["security"] = []
    if operation.may_be_unchanged:
        said.setdefault("parameters", []).append(dict(IF_NONE_MATCH))
    for parameter in said.get("parameters", ()):
        _describe_parameter(parameter, kept.get("parameters", {}))
        if parameter["name"] == IF_MATCH and if_match in operation.asked:
            parameter["required"] = True
    if "requestBody" in said:
        for content in said["requestBody"]["content"].values():
            content["examples"] = kept.get("bodies", {})
    _complete_answers(operation, kept)


IF_MATCH = "If-Match"
IF_NONE_MATCH: Mapping[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of what you have; if it is still so, the answer is an empty 304.",
    "schema": {"type": "string", "examples": ['"3"']},
}


def _describe_parameter(parameter: dict[str, Any], examples: Mapping[str, Any]) -> None:
    name = parameter["name"]
    parameter["schema"] = _without_null(parameter["schema"])
    if "description" not in parameter and (meaning := _meaning_of(parameter)):
        parameter["description"] = meaning
    if name in examples and "examples" not in parameter:
        parameter["example"] = examples[name]


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: what may be left out cannot be sent as null."""
    rest = {name: each for name, each in schema.items() if name not in {"title", "anyOf"}}
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return rest | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


def _meaning_of(parameter: Mapping[str, Any]) -> str | None:
    name = parameter["name"]
    first, _, last = name.rpartition("_")
    what = _words(first)
    match parameter["in"], last:
        case "path", "id":
            return f"The id of the {what}."
        case "query", "id":
            return f"Only of this {what}."
        case "query", "from":
            return f"Only where {what} is this or later."
        case "query", "to":
            return f"Only where {what} is this or earlier."
    return vocabulary.OF_PARAMETERS.get(name)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _complete_answers(operation: Operation, kept: Mapping[str, Any]) -> None:
    answers, shown = operation.said["responses"], kept.get("answers", {})
    answers.pop("422", None)
    for status, answer in answers.items():
        answer["description"] = MEANINGS.get(status, answer["description"])
        answer["headers"] = _told(*operation.headers())
        for media, content in answer.get("content", {}).items():
            of_status = kept.get("sheets", {}) if media == CSV else shown.get(status, {})
            content["examples"] = _in_media(media, of_status)
    if operation.may_be_unchanged:
        headers = _told(*OF_USERS, "ETag")
        answers["304"] = {"description": MEANINGS["304"], "headers": headers}
    refused = {int(status) for status in shown if int(status) >= HTTPStatus.BAD_REQUEST}
    for status in {*operation.problems(), *refused} - {int(status) for status in answers}:
        answers[str(status)] = _problem(status, shown.get(str(status)))
    operation.said["responses"] = dict(sorted(answers.items()))


def _in_media(media: str, examples: Mapping[str, Any]) -> dict[str, Any]:
    """Return the examples of one kind of content: JSON, or the text of a file."""
    return {
        name: example
        for name, example in examples.items()
        if isinstance(example["value"], str) != (media == JSON)
    }


def _problem(status: int, examples: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a problem answer: with examples of its own, or the one that all share."""
    kind = PROBLEMS[status]
    if examples is None:
        return {"$ref": f"#/components/responses/{_name_of(kind)}"}
    return {
        "description": kind.meaning,
        "headers": _told(*OF_USERS, *TOLD.get(status, ())),
        "content": {PROBLEM: {"schema": {"$ref": f"{SCHEMAS}Problem"}, "examples": examples}},
    }


def _name_of(kind: Kind) -> str:
    return kind.title.title().replace(" ", "")


def _shared(status: int) -> dict[str, Any]:
    return _problem(status, recorded()["shared"].get(str(status), {}))


def _told(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _schemas_of_problems() -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema(ref_template=SCHEMAS + "{model}")
    return {**schema.pop("$defs"), "Problem": schema}


@dataclass(frozen=True)
class _Choice:
    """One of those whose settings are of a shape of their own: an action, a type of trigger."""

    code: str
    title: str
    settings: type[BaseModel]
    name: str


@dataclass(frozen=True)
class _Choices:
    """What `of` (a rule, a trigger) chooses by one field and sets in another."""

    name: str
    of: str
    chosen_by: str
    set_in: str
    catalogue: str
    offered: Sequence[_Choice]


def _offer_settings(schemas: dict[str, Any]) -> None:
    """Say what the settings of rules and triggers may be: those of one action, of one type."""
    actions = [
        _Choice(each.code, each.title, each.params, f"{each.params.__name__}Params")
        for each in all_actions().values()
    ]
    types = [
        _Choice(each.code, each.title, each.settings, f"{_pascal(each.code)}Settings")
        for each in all_trigger_types().values()
    ]
    _offer(schemas, _Choices("ActionParams", "rule", "action", "params", "/v1/actions", actions))
    _offer(
        schemas,
        _Choices("TriggerSettings", "trigger", "type", "settings", "/v1/trigger-types", types),
    )


def _offer(schemas: dict[str, Any], choices: _Choices) -> None:
    for each in choices.offered:
        schema = each.settings.model_json_schema(ref_template=SCHEMAS + "{model}")
        schema["description"] = f"Settings of `{each.code}`: {each.title.lower()}."
        schemas |= {**schema.pop("$defs", {}), each.name: schema}
    schemas[choices.name] = {
        "description": f"The settings of the {choices.of}'s {choices.chosen_by}; which has which, "
        f"`GET {choices.catalogue}` tells too, as JSON Schema with titles for a form.\n\n"
        f"| `{choices.chosen_by}` | `{choices.set_in}` |\n| --- | --- |\n"
        + "\n".join(f"| `{each.code}` | `{each.name}` |" for each in choices.offered),
        "anyOf": [{"$ref": SCHEMAS + each.name} for each in choices.offered],
    }
    for body in (f"{choices.of.title()}Create", f"{choices.of.title()}Update"):
        properties = schemas[body]["properties"]
        properties[choices.set_in] = {"$ref": SCHEMAS + choices.name}
        properties[choices.chosen_by]["enum"] = [each.code for each in choices.offered]


def _pascal(code: str) -> str:
    return "".join(part.capitalize() for part in code.split("_"))


def _tidy(document: dict[str, Any]) -> None:
    """Take out what a generator adds and nobody reads, and say what it cannot know."""
    schemas = document["components"]["schemas"]
    for part in [part for part in _objects(document) if isinstance(part.get("properties"), dict)]:
        for name, schema in part["properties"].items():
            if schema.get("title") == _words(name).title():
                del schema["title"]
    for name, schema in schemas.items():
        _describe_fields(name, schema.get("properties", {}))
        schema.pop("title", None)
        if name.endswith("Update"):
            for each in schema["properties"].values():
                each.pop("default", None)
    for part in _objects(document):
        _whole_numbers(part)
        _demand_discriminator(part, schemas)


def _describe_fields(name: str, fields: Mapping[str, Any]) -> None:
    known = vocabulary.OF_PAGES if name.endswith("Page") else vocabulary.OF_ALL
    for field, schema in fields.items():
        meaning = vocabulary.OF_ONE.get(f"{name}.{field}") or known.get(field)
        if "description" not in schema and meaning is not None:
            schema["description"] = meaning


def _prune(document: dict[str, Any]) -> None:
    """Leave out what nothing refers to, and what only that refers to."""
    components = document["components"]
    while True:
        used = {str(part["$ref"]) for part in _objects(document) if "$ref" in part}
        unused = [
            (kind, name)
            for kind in ("responses", "schemas", "headers")
            for name in components[kind]
            if f"#/components/{kind}/{name}" not in used
        ]
        if not unused:
            return
        for kind, name in unused:
            del components[kind][name]


def _whole_numbers(part: dict[str, Any]) -> None:
    """Write bounds of integers as integers: as a float the greatest would be out of bounds."""
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        bound = part.get(name)
        if isinstance(bound, float) and bound.is_integer():
            part[name] = min(int(bound), LARGEST_ID)


def _demand_discriminator(part: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Require what tells the kinds of something apart."""
    told_by = part.get("discriminator")
    if not isinstance(told_by, dict) or "mapping" not in told_by:
        return
    for reference in told_by["mapping"].values():
        schema = schemas[reference.removeprefix(SCHEMAS)]
        required = schema.setdefault("required", [])
        if told_by["propertyName"] not in required:
            required.insert(0, told_by["propertyName"])


def _rename(document: dict[str, Any]) -> None:
    """Give schemas names for people: `DealPage`; and what is sent and answered alike only one."""
    schemas = document["components"]["schemas"]
    names = {name: f"{page[1]}Page" for name in schemas if (page := PAGE.fullmatch(name))}
    for sent in [name for name in schemas if name.endswith(SENT)]:
        base, answered = sent.removesuffix(SENT), sent.removesuffix(SENT) + ANSWERED
        same = _text(schemas[sent], SENT) == _text(schemas[answered], ANSWERED)
        names |= {sent: base, answered: base if same else f"{base}Read"}
    for old, new in names.items():
        schemas[new] = schemas.pop(old)
    for part in _objects(document):
        name = str(part.get("$ref", "")).removeprefix(SCHEMAS)
        if name in names:
            part["$ref"] = SCHEMAS + names[name]


def _text(schema: Mapping[str, Any], direction: str) -> str:
    return json.dumps(schema).replace(direction, "")


def _objects(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in a part of the document."""
    if isinstance(part, dict):
        yield part
        for each in part.values():
            yield from _objects(each)
    elif isinstance(part, list):
        for each in part:
            yield from _objects(each)
