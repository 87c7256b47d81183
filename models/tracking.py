"""Tracking: who opened a mail, and which of its links were followed.

A link leads to us, signed, with its number; where it goes on to stands with the delivery alone, so
that nobody can make us send people anywhere else.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from html import escape, unescape
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.delivery import Delivery, DeliveryKind, Reaction, ReactionKind
from models.errors import NotFound
from models.history import HistoryKind, about_item
from models.installation import installation
from models.item import lock_item
from models.occasion import LinkOccasion, Occasion, occurred
from models.signing import is_signed, signature
from models.stage_entry import Cause

PATH = "/v1/t"

MOST_REACTIONS = 1000
"""To one mail that are kept; whoever opens it more often still gets where they want to."""

LINK = re.compile(r'(<a(?:\s+[\w:-]+="[^"]*")*?\s+href=")(https?://[^"]*)', re.IGNORECASE)
"""The address of a link, in HTML as nh3 writes it: quoted, and nothing else holds a quote."""

UNKNOWN = "There is no such link."


def links_in(html: str) -> list[str]:
    """Return where the links of a mail lead that can be tracked, each once, in order.

    A mail that is tracked keeps them as `links` of its delivery's content; one without is not.
    The HTML is what nh3 has cleaned.
    """
    return list(dict.fromkeys(unescape(found[2]) for found in LINK.finditer(html)))


def tracked(html: str, links: Sequence[str], delivery_id: int, *, key: str, url: str) -> str:
    """Return the HTML of a mail with its links leading by us, and a picture that tells of opening.

    `links` are those of its content, `key` is the installation's `signing_key`, `url` that of
    the settings. The same mail comes out the same each time, so it may be sent again.
    """
    numbers = {link: number for number, link in enumerate(links)}
    base = f"{url}{PATH}/{delivery_id}"

    def ours(found: re.Match[str]) -> str:
        number = numbers.get(unescape(found[2]))
        if number is None:
            return found[0]
        return found[1] + escape(f"{base}/{number}/{_sign(key, delivery_id, number)}")

    pixel = escape(f"{base}/{signature(key, ReactionKind.OPENED, delivery_id)}.gif")
    return LINK.sub(ours, html) + (
        f'<img src="{pixel}" width="1" height="1" alt="" style="border:0">'
    )


def _sign(key: str, delivery_id: int, number: int) -> str:
    return signature(key, ReactionKind.CLICKED, delivery_id, number)


async def opened_mail(session: AsyncSession, delivery_id: str, signed: str) -> Delivery:
    """Return the mail that a picture belongs to, or raise `NotFound`; all as its link says."""
    home = await installation(session)
    if not is_signed(home.signing_key, signed, ReactionKind.OPENED, delivery_id):
        raise NotFound(UNKNOWN)
    delivery, _ = await _tracked_mail(session, int(delivery_id))
    return delivery


async def followed_link(
    session: AsyncSession, delivery_id: str, number: str, signed: str
) -> tuple[Delivery, str]:
    """Return the mail that a link stands in and where it leads, or raise `NotFound`."""
    home = await installation(session)
    if not is_signed(home.signing_key, signed, ReactionKind.CLICKED, delivery_id, number):
        raise NotFound(UNKNOWN)
    delivery, links = await _tracked_mail(session, int(delivery_id))
    if int(number) >= len(links):
        raise NotFound(UNKNOWN)
    return delivery, links[int(number)]


async def _tracked_mail(session: AsyncSession, delivery_id: int) -> tuple[Delivery, list[str]]:
    delivery = await session.get(Delivery, delivery_id)
    links = None if delivery is None else delivery.content.get("links")
    if delivery is None or delivery.kind is not DeliveryKind.EMAIL or links is None:
        raise NotFound(UNKNOWN)
    return delivery, links


async def react(session: AsyncSession, delivery: Delivery, url: str | None = None) -> None:
    """Note that somebody has opened a mail, or followed this link of it.

    The item's history tells the first opening, and the first time for each link, and triggers
    hear of both.
    """
    kind = ReactionKind.OPENED if url is None else ReactionKind.CLICKED
    like_it = [Reaction.delivery_id == delivery.id, Reaction.kind == kind, Reaction.url == url]
    if not await _known(session, like_it):
        # One at a time, and in the order of locks: what follows may move the item.
        item = await lock_item(session, delivery.item_id)
        if not await _known(session, like_it):
            session.add(Reaction(delivery_id=delivery.id, kind=kind, url=url))
            await session.flush()
            line = about_item(item, HistoryKind.DELIVERY, _told(delivery, url))
            line.run_id = delivery.run_id
            session.add(line)
            occurred(session, _occasion(delivery, url))
            return
    if await _count(session, delivery) < MOST_REACTIONS:
        session.add(Reaction(delivery_id=delivery.id, kind=kind, url=url))


async def _known(session: AsyncSession, which: Collection[ColumnElement[bool]]) -> bool:
    return await session.scalar(select(Reaction.id).where(*which).limit(1)) is not None


async def _count(session: AsyncSession, delivery: Delivery) -> int:
    found = await session.scalar(
        select(func.count()).select_from(Reaction).where(Reaction.delivery_id == delivery.id)
    )
    return found or 0


def _occasion(delivery: Delivery, url: str | None) -> Occasion:
    about: dict[str, Any] = {
        "item_ids": (delivery.item_id,),
        "cause": Cause.client(),
        "text": _told(delivery, url).removesuffix("."),
    }
    if url is None:
        return Occasion(trigger="email_opened", **about)
    return LinkOccasion(trigger="link_clicked", url=url, **about)


def _told(delivery: Delivery, url: str | None) -> str:
    mail = f"«{delivery.subject}» to {delivery.recipient}"
    return f"{mail} was opened." if url is None else f"A link in {mail} was followed: {url}"


class Reactions(NamedTuple):
    """What is known of a mail's reader: when they first opened it, how often they clicked."""

    opened_at: datetime | None
    clicks: int


async def reactions_to(
    session: AsyncSession, delivery_ids: Collection[int]
) -> Mapping[int, Reactions]:
    """Return how deliveries were met; those that were not met at all are left out.

    Whoever follows a link has opened the mail, also where pictures are not shown.
    """
    clicks = func.count().filter(Reaction.kind == ReactionKind.CLICKED)
    found = await session.execute(
        select(Reaction.delivery_id, func.min(Reaction.created_at), clicks)
        .where(Reaction.delivery_id.in_(delivery_ids))
        .group_by(Reaction.delivery_id)
    )
    return {delivery_id: Reactions(opened_at, clicked) for delivery_id, opened_at, clicked in found}


async def reactions_of(session: AsyncSession, delivery: Delivery) -> Sequence[Reaction]:
    """Return the reactions to a delivery that were kept, the first one first."""
    found = await session.scalars(
        select(Reaction).where(Reaction.delivery_id == delivery.id).order_by(Reaction.id)
    )
    return found.all()
