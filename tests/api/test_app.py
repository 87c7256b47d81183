"""The application as a whole: documented, and of one style."""

import inspect
from pathlib import Path

import httpx2
import pytest
from fastapi.routing import APIRoute

import api
from api.app import BY_THEMSELVES, RESOURCES

NO_RESOURCE = {
    "app",
    "dependencies",
    "docs_page",
    "errors",
    "files",
    "forms",
    "health",
    "inbound_mails",
    "item_resource",
    "languages",
    "limits",
    "openapi",
    "paging",
    "problems",
    "requests",
    "retries",
    "routing",
    "schemas",
    "sheets",
    "streams",
    "tracking",
    "vocabulary",
}


def routes() -> list[APIRoute]:
    return [
        route
        for router in (*(resource.router for resource in RESOURCES), *BY_THEMSELVES.values())
        for route in router.routes
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
    code = inspect.getsource(route.endpoint).split('"""')[-1]

    assert route.description
    assert " if " not in code
    assert len(code.strip().splitlines()) <= 10
