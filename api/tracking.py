"""Tracking: where links and pictures in mails lead first. Without a token: they are signed."""

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.limits import Limits
from models.database import Database
from models.delivery import Delivery
from models.errors import NotFound
from models.tracking import PATH, followed_link, opened_mail, react

router = APIRouter(prefix=PATH, include_in_schema=False)

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""

UNSEEN = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Every opening is asked for, and where people go on to is not told what led them there."""


@asynccontextmanager
async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    """Read what a link leads to; whoever tries others is counted as a stranger."""
    limits: Limits = request.app.state.limits
    database: Database = request.app.state.database
    try:
        async with database.reading() as session:
            yield session
    except NotFound:
        await limits.count_stranger(request)
        raise


async def _react(request: Request, delivery: Delivery, url: str | None = None) -> None:
    """Count the reaction, in a transaction of its own; asking what is there is none."""
    limits: Limits = request.app.state.limits
    await limits.count_link(request, delivery.called)
    if request.method == "GET":
        database: Database = request.app.state.database
        async with database.transaction() as session:
            await react(session, delivery, url)


async def _followed(request: Request, delivery_id: str, number: str, signed: str) -> str:
    async with _reading(request) as session:
        delivery, url = await followed_link(session, delivery_id, number, signed)
    await _react(request, delivery, url)
    return url


async def _opened(request: Request, delivery_id: str, signed: str) -> None:
    async with _reading(request) as session:
        delivery = await opened_mail(session, delivery_id, signed)
    await _react(request, delivery)


@router.api_route("/{delivery_id}/{number}/{signed}", methods=["GET", "HEAD"])
async def follow_link(url: Annotated[str, Depends(_followed)]) -> Response:
    """Note that a link in a mail was followed, and lead on to where it leads."""
    return RedirectResponse(url, HTTPStatus.FOUND, UNSEEN)


@router.api_route(
    "/{delivery_id}/{signed}.gif", methods=["GET", "HEAD"], dependencies=[Depends(_opened)]
)
async def show_pixel() -> Response:
    """Note that a mail was opened, and show a picture that nobody sees."""
    return Response(PIXEL, media_type="image/gif", headers=UNSEEN)
