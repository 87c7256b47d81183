"""The application as a whole: documented, and of one style."""

import inspect
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

import api
from api.app import RESOURCES

NO_RESOURCE = {"app", "dependencies", "errors", "health", "retries", "schemas"}


def routes() -> list[APIRoute]:
    return [
        route
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute)
    ]


async def test_the_documentation_can_be_read_without_a_token(stranger: httpx2.AsyncClient) -> None:
    docs = await stranger.get("/docs")
    document = await stranger.get("/v1/openapi.json")

    assert docs.status_code == 200
    assert document.json()["info"]["title"] == "Cuebook"


def test_every_resource_is_part_of_the_app() -> None:
    modules = {path.stem for path in Path(*api.__path__).glob("*.py")} - {"__init__"}

    assert {resource.__name__.removeprefix("api.") for resource in RESOURCES} == (
        modules - NO_RESOURCE
    )


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.methods}{route.path}")
def test_an_endpoint_is_short_documented_and_decides_nothing(route: APIRoute) -> None:
    source = inspect.getsource(route.endpoint)

    assert route.description
    assert " if " not in source.replace(route.description, "")
    assert len(source.split('"""')[-1].strip().splitlines()) <= 10


async def test_the_document_says_what_a_problem_looks_like(app: FastAPI) -> None:
    document = app.openapi()

    move = document["paths"]["/v1/items/{item_id}/move"]["post"]["responses"]
    assert {"200", "401", "404", "409", "422"} <= move.keys()
    assert move["409"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "errors",
    }
