"""The HTTP application: every resource under /v1, its errors and its documentation."""

from typing import Any

from fastapi import Depends, FastAPI

from api import (
    companies,
    contacts,
    deals,
    departments,
    exclusions,
    health,
    installation,
    items,
    leads,
    notifications,
    pipelines,
    recycle_bin,
    rule_actions,
    rules,
    runs,
    stage_entries,
    stages,
    tasks,
    users,
)
from api.dependencies import current_user
from api.errors import PROBLEMS, document_problems, handle_errors
from api.retries import Retries
from models.database import Database
from models.settings import Settings

RESOURCES = (
    leads,
    deals,
    items,
    pipelines,
    stages,
    rules,
    rule_actions,
    stage_entries,
    runs,
    contacts,
    companies,
    tasks,
    exclusions,
    recycle_bin,
    notifications,
    users,
    departments,
    installation,
)
"""Everything that needs a token, in the order of the documentation."""

DESCRIPTION = """
Items (leads and deals) stand in the stages of pipelines. A rule on a stage waits out its delay and
runs its action for every item that enters. See what will happen with an item: `/agenda`; what
happened: `/runs`, `/timeline` and `/history`.

Send `Authorization: Bearer cue_…`. Errors are problems after RFC 9457. Lists come in pages: send
the `next` of one as the `after` of the next.
"""


class CuebookApi(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return document_problems(super().openapi())


def create_app(database: Database, settings: Settings) -> FastAPI:
    """Return the application on a migrated database."""
    app = CuebookApi(
        title="Cuebook",
        version="1",
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        redoc_url=None,
        # OpenTelemetry is for who sets it up; its logs would hold what clients sent.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.database = database
    app.state.settings = settings
    handle_errors(app)
    app.add_middleware(Retries)
    app.include_router(health.router, include_in_schema=False)
    app.include_router(health.router, prefix="/v1")
    for resource in RESOURCES:
        app.include_router(
            resource.router,
            prefix="/v1",
            dependencies=[Depends(current_user)],
            responses=PROBLEMS,
        )
    return app
