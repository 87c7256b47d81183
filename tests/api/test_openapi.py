"""The OpenAPI document: valid, of one style, and nothing in it that a reader must guess.

The rules are those that linters for such documents recommend, and ours.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx2
from fastapi import FastAPI
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from api.app import create_app
from api.openapi import PROBLEM, TAGS, CuebookApi
from api.vocabulary import OF_ALL, OF_ONE
from models.database import Database
from tests.fixtures.api import SETTINGS, the_app
from tests.fixtures.database import on_one_database

VERBS = {
    "add",
    "cancel",
    "complete",
    "create",
    "deactivate",
    "delete",
    "end",
    "explain",
    "fire",
    "import",
    "judge",
    "list",
    "mark",
    "move",
    "pay",
    "postpone",
    "read",
    "receive",
    "release",
    "render",
    "reopen",
    "restore",
    "retry",
    "revoke",
    "run",
    "settle",
    "skip",
    "stream",
    "undo",
    "unpay",
    "update",
}
METHODS = {"list": "get", "read": "get", "create": "post", "update": "patch", "delete": "delete"}

DOCUMENT: Mapping[str, Any] = the_app().openapi()
COMPONENTS: Mapping[str, Any] = DOCUMENT["components"]
SCHEMAS: Mapping[str, Any] = COMPONENTS["schemas"]

HERE = "urn:document"


def anchored(part: Mapping[str, Any]) -> Any:
    """Return a part of the document that can stand alone: what it refers to is found."""
    return json.loads(json.dumps(part).replace('"#/components/', f'"{HERE}#/components/'))


REGISTRY: Registry[Any] = Registry().with_resource(
    HERE,
    Resource.from_contents(
        anchored({"components": {"schemas": SCHEMAS}}), default_specification=DRAFT202012
    ),
)


class Operation(NamedTuple):
    path: str
    method: str
    said: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.said["operationId"])

    @property
    def tag(self) -> str:
        return str(self.said["tags"][0])

    @property
    def parameters(self) -> list[Mapping[str, Any]]:
        return list(self.said.get("parameters", ()))

    @property
    def answers(self) -> Mapping[str, Any]:
        return {status: resolved(answer) for status, answer in self.said["responses"].items()}


class Content(NamedTuple):
    """A body of an operation or of one of its answers."""

    operation: Operation
    status: str
    media: str
    said: Mapping[str, Any]


OPERATIONS = [
    Operation(path, method, said)
    for path, methods in DOCUMENT["paths"].items()
    for method, said in methods.items()
]


def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    _, kind, name = part["$ref"].removeprefix("#/").split("/")
    found: Mapping[str, Any] = COMPONENTS[kind][name]
    return found


CONTENTS = [
    Content(operation, status, media, said)
    for operation in OPERATIONS
    for status, answer in [
        ("body", operation.said.get("requestBody", {})),
        *operation.answers.items(),
    ]
    for media, said in answer.get("content", {}).items()
]


def objects(part: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every JSON object in a part of the document, but for what examples show."""
    match part:
        case dict():
            yield part
            for name, each in part.items():
                yield from objects(each) if name != "examples" else ()
        case list():
            for each in part:
                yield from objects(each)


def wrong(schema: Mapping[str, Any], value: object) -> list[str]:
    """Return why a value is not what a schema of the document says."""
    validator = OAS31Validator(
        anchored(schema), registry=REGISTRY, format_checker=oas31_format_checker
    )
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def operation(name: str) -> Operation:
    [found] = [each for each in OPERATIONS if each.id == name]
    return found


def verb(each: Operation) -> str:
    return re.split("(?=[A-Z])", each.id)[0]


def test_it_is_valid() -> None:
    errors = [error.message for error in OpenAPIV31SpecValidator(dict(DOCUMENT)).iter_errors()]

    assert errors == []


async def test_it_is_served_to_anybody(stranger: httpx2.AsyncClient) -> None:
    answer = await stranger.get("/v1/openapi.json")

    assert answer.json() == DOCUMENT


@on_one_database
async def test_others_are_answered_while_it_is_made(database: Database) -> None:
    transport = httpx2.ASGITransport(create_app(database, SETTINGS))
    async with httpx2.AsyncClient(transport=transport, base_url="http://cuebook") as client:
        with CuebookApi.making:
            asked = asyncio.create_task(client.get("/v1/openapi.json"))
            await client.get("/health")
            answered_meanwhile = not asked.done()
        document = (await asked).json()

    assert answered_meanwhile
    assert document == DOCUMENT


def test_it_stays_what_it_is_when_asked_again(one_app: FastAPI) -> None:
    assert one_app.openapi() is one_app.openapi()


def test_it_introduces_itself() -> None:
    info = DOCUMENT["info"]

    assert {"title", "version", "summary", "contact", "license"} <= info.keys()
    assert "## Begin here" in info["description"]
    assert [server["url"] for server in DOCUMENT["servers"]] == ["/"]


def test_tags_tell_a_story_and_each_is_told_of() -> None:
    assert [tag["name"] for tag in DOCUMENT["tags"]] == list(TAGS)
    assert {tag for each in OPERATIONS for tag in each.said["tags"]} == TAGS.keys()
    assert [tag for tag in DOCUMENT["tags"] if not tag["description"].endswith(".")] == []


def test_each_operation_is_under_one_heading() -> None:
    assert [each.id for each in OPERATIONS if len(each.said["tags"]) != 1] == []


def test_each_operation_has_a_name_of_its_own() -> None:
    names = [each.id for each in OPERATIONS]

    assert sorted(names) == sorted(set(names))
    assert [name for name in names if not re.fullmatch("[a-z]+([A-Z][a-z]*)+", name)] == []


def test_names_begin_with_a_verb_that_suits_the_method() -> None:
    assert {verb(each) for each in OPERATIONS} <= VERBS
    assert [
        each.id for each in OPERATIONS if METHODS.get(verb(each), each.method) != each.method
    ] == []


def test_summaries_and_descriptions_are_sentences() -> None:
    assert [
        each.id for each in OPERATIONS if not re.fullmatch("[A-Z][a-z ]+", each.said["summary"])
    ] == []
    assert [
        each.id
        for each in OPERATIONS
        if not re.fullmatch(r"[A-Z].{10,}\.", each.said["description"], re.DOTALL)
    ] == []


def test_paths_are_of_one_style() -> None:
    part = r"(/([a-z0-9]+(-[a-z]+)*|\{[a-z]+(_[a-z]+)*\}))+(\.ics)?"

    assert [path for path in DOCUMENT["paths"] if not re.fullmatch(part, path)] == []


def test_parameters_are_described() -> None:
    assert [
        (each.id, parameter["name"])
        for each in OPERATIONS
        for parameter in each.parameters
        if not parameter.get("description")
    ] == []


def test_parameters_have_examples_as_their_schemas_say() -> None:
    assert [
        (each.id, parameter["name"], reason)
        for each in OPERATIONS
        for parameter in each.parameters
        if "example" in parameter
        for reason in wrong(parameter["schema"], parameter["example"])
    ] == []


def test_what_is_in_a_path_has_an_example() -> None:
    assert [
        each.id
        for each in OPERATIONS
        for parameter in each.parameters
        if parameter["in"] == "path" and "example" not in parameter
    ] == []


def test_all_but_health_problems_and_what_a_link_opens_needs_a_token() -> None:
    open_to_all = {"explainProblem", "readCalendar", "readHealth", "readSharedDocument"}

    assert {each.id for each in OPERATIONS if each.said["security"] == []} == open_to_all
    assert {each.id for each in OPERATIONS if "401" not in each.answers} == open_to_all
    assert COMPONENTS["securitySchemes"]["token"]["scheme"] == "bearer"


def test_every_answer_is_described_with_its_headers() -> None:
    answers = [
        (each.id, status, answer) for each in OPERATIONS for status, answer in each.answers.items()
    ]

    assert [(name, status) for name, status, answer in answers if not answer["description"]] == []
    assert [
        (name, status)
        for name, status, answer in answers
        if "X-Request-Id" not in answer["headers"]
    ] == []


def test_every_operation_can_succeed_and_be_refused() -> None:
    statuses = {each.id: {status[0] for status in each.answers} for each in OPERATIONS}

    assert [name for name, first in statuses.items() if "2" not in first] == []
    assert [name for name, first in statuses.items() if "4" not in first] == ["readHealth"]


def test_every_refusal_is_a_problem() -> None:
    assert {each.media for each in CONTENTS if each.status[0] == "4"} == {PROBLEM}
    assert {each.said["schema"]["$ref"] for each in CONTENTS if each.media == PROBLEM} == {
        "#/components/schemas/Problem"
    }


def test_every_body_and_answer_has_an_example() -> None:
    assert [
        (each.operation.id, each.status, each.media)
        for each in CONTENTS
        if not each.said["examples"] and (each.operation.id, each.status) != ("readHealth", "503")
    ] == []


def test_examples_are_as_their_schemas_say() -> None:
    assert [
        (each.operation.id, each.status, name, reason)
        for each in CONTENTS
        for name, example in each.said["examples"].items()
        for reason in wrong(each.said["schema"], example["value"])
    ] == []


def test_every_field_is_described() -> None:
    assert [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, said in schema.get("properties", {}).items()
        if not said.get("description")
    ] == []


def test_what_the_vocabulary_says_is_asked_for() -> None:
    fields = {
        f"{name}.{field}" for name in SCHEMAS for field in SCHEMAS[name].get("properties", ())
    }

    assert set(OF_ONE) - fields == set()
    assert set(OF_ALL) - {field.partition(".")[2] for field in fields} == set()


def test_small_examples_and_defaults_are_as_their_schemas_say() -> None:
    said = [
        (name, each, value)
        for name, schema in SCHEMAS.items()
        for each in objects(schema)
        for value in [*_examples(each), *([each["default"]] if "default" in each else ())]
    ]

    assert [(name, reason) for name, schema, value in said for reason in wrong(schema, value)] == []


def _examples(part: Mapping[str, Any]) -> list[object]:
    return part["examples"] if isinstance(part.get("examples"), list) else []


def test_what_is_told_apart_by_a_field_has_it() -> None:
    told_apart = [
        (each["discriminator"]["propertyName"], reference)
        for schema in SCHEMAS.values()
        for each in objects(schema)
        if isinstance(each.get("discriminator"), dict)
        for reference in each["discriminator"]["mapping"].values()
    ]

    assert told_apart
    assert [
        (field, reference)
        for field, reference in told_apart
        if field not in resolved({"$ref": reference})["required"]
    ] == []


def test_schemas_have_names_for_people() -> None:
    assert [name for name in SCHEMAS if not re.fullmatch("([A-Z][a-z]+)+", name)] == []


def test_nothing_is_left_that_nobody_refers_to() -> None:
    assert {each["$ref"] for each in objects(DOCUMENT) if "$ref" in each} == {
        f"#/components/{kind}/{name}"
        for kind in ("headers", "responses", "schemas")
        for name in COMPONENTS[kind]
    }


def test_a_move_may_be_refused_in_these_ways_and_no_others() -> None:
    assert " ".join(operation("moveItem").answers) == "200 400 401 403 404 409 412 413 422 429 503"


def test_a_list_may_be_refused_in_fewer() -> None:
    assert " ".join(operation("listDeals").answers) == "200 401 422 429"


def test_a_change_asks_for_the_version() -> None:
    update = operation("updateDeal")

    assert {"412", "428"} <= update.answers.keys()
    assert "ETag" in update.answers["200"]["headers"]
    assert "ETag" in update.answers["412"]["headers"]


def test_whoever_has_a_version_may_be_told_no_more() -> None:
    read = operation("readDeal")

    assert "304" in read.answers
    assert "If-None-Match" in {each["name"] for each in read.parameters}


def test_a_repeated_post_says_so() -> None:
    assert "Idempotency-Replayed" in operation("createDeal").answers["201"]["headers"]
    assert "Idempotency-Replayed" not in operation("readDeal").answers["200"]["headers"]


def test_lists_are_there_as_csv_too() -> None:
    lists = [each for each in OPERATIONS if verb(each) == "list"]

    assert [each.id for each in lists if "text/csv" not in each.answers["200"]["content"]] == []


def test_the_settings_of_each_action_are_told() -> None:
    params = SCHEMAS["ActionParams"]

    assert SCHEMAS["RuleCreate"]["properties"]["params"]["$ref"].endswith("/ActionParams")
    assert {"$ref": "#/components/schemas/CopyDealParams"} in params["anyOf"]
    assert "| `copy_deal` | `CopyDealParams` |" in params["description"]


def test_what_is_left_out_of_a_change_has_no_default() -> None:
    assert [
        (name, field)
        for name, schema in SCHEMAS.items()
        if name.endswith("Update")
        for field, said in schema["properties"].items()
        if "default" in said
    ] == []


async def test_the_page_asks_nobody_else_for_anything(stranger: httpx2.AsyncClient) -> None:
    page = await stranger.get("/docs")

    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) == 3
    assert [(await stranger.get(f"/{each}")).status_code for each in sources] == [200, 200, 200]
    assert "://" not in page.text
    assert '"validatorUrl": null' in page.text
