"""The HTTP application: every resource under /v1, its errors and its documentation."""

from fastapi import Depends, FastAPI

from api import (
    bookings,
    calendar,
    companies,
    contacts,
    crm_activities,
    deals,
    deliveries,
    departments,
    document_templates,
    documents,
    exclusion_preview,
    exclusions,
    feed_posts,
    field_definitions,
    fields,
    health,
    history,
    inbound,
    inbound_mails,
    installation,
    invoices,
    items,
    leads,
    notifications,
    pipelines,
    previews,
    problems,
    products,
    quotes,
    recycle_bin,
    resources,
    rule_actions,
    rules,
    runs,
    stage_entries,
    stages,
    tasks,
    tokens,
    tracking,
    trigger_types,
    triggers,
    users,
)
from api.dependencies import current_user
from api.docs_page import add_docs_page
from api.errors import handle_errors
from api.limits import Limits
from api.openapi import DESCRIPTION, CuebookApi, operation_id
from api.retries import Retries
from api.streams import Streams
from models.database import Database
from models.settings import Settings

RESOURCES = (
    leads,
    deals,
    quotes,
    invoices,
    items,
    field_definitions,
    pipelines,
    stages,
    rules,
    rule_actions,
    triggers,
    trigger_types,
    fields,
    previews,
    exclusion_preview,
    stage_entries,
    runs,
    deliveries,
    history,
    contacts,
    companies,
    products,
    tasks,
    crm_activities,
    bookings,
    resources,
    calendar,
    document_templates,
    documents,
    feed_posts,
    inbound,
    exclusions,
    recycle_bin,
    notifications,
    users,
    departments,
    tokens,
    installation,
)
"""Everything that needs a token, in the order of the documentation."""

BY_THEMSELVES = {
    document_templates: document_templates.uploads,
    inbound: inbound_mails.router,
    exclusions: exclusions.lists,
}
"""Routes of these that ask who is asking by themselves, before a transaction begins."""


def create_app(database: Database, settings: Settings) -> FastAPI:
    """Return the application on a migrated database."""
    app = CuebookApi(
        title="Cuebook",
        version="1",
        summary="Leads, deals, quotes and invoices in the stages of pipelines, and rules that act "
        "when they enter.",
        description=DESCRIPTION,
        contact={"name": "Whoever runs this installation"},
        license_info={"name": "Proprietary"},
        servers=[{"url": "/", "description": "This installation"}],
        generate_unique_id_function=operation_id,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        # OpenTelemetry is for who sets it up; its logs would hold what clients sent.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    put_to_work(app, database, settings)
    handle_errors(app)
    app.add_middleware(Retries)
    app.include_router(health.router, include_in_schema=False)
    app.include_router(problems.router)
    app.include_router(health.router, prefix="/v1")
    app.include_router(calendar.feeds, prefix="/v1")
    app.include_router(documents.public)
    app.include_router(tracking.router)
    for resource in RESOURCES:
        app.include_router(
            resource.router,
            prefix="/v1",
            dependencies=[Depends(current_user)],
        )
        if resource in BY_THEMSELVES:
            app.include_router(BY_THEMSELVES[resource], prefix="/v1")
    add_docs_page(app)
    return app


def put_to_work(app: FastAPI, database: Database, settings: Settings) -> None:
    """Let the app answer from this database, as if nobody had asked it anything yet."""
    app.state.database = database
    app.state.settings = settings
    app.state.limits = Limits(settings)
    app.state.streams = Streams()
