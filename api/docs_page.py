"""The page /docs: Swagger UI served from here, so that it works without the internet."""

from importlib.resources import files
from typing import Any

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

ASSETS = files(fastapi_offline) / "static"

LOOKS: dict[str, Any] = {
    "validatorUrl": None,  # Else the page shows the document to somebody outside.
    "docExpansion": "none",
    "defaultModelsExpandDepth": 0,
    "displayRequestDuration": True,
    "filter": True,
    "tryItOutEnabled": True,
}


def add_docs_page(app: FastAPI) -> None:
    """Serve the page; its addresses are relative, so that a proxy may put it anywhere."""
    page = get_swagger_ui_html(
        title=f"{app.title} API",
        openapi_url=str(app.openapi_url).removeprefix("/"),
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon.png",
        swagger_ui_parameters=LOOKS,
    )

    async def docs(_request: Request) -> HTMLResponse:
        return page

    app.add_route("/docs", docs, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=str(ASSETS)))
