"""Deliveries: what leaves the house, or is caught here, and what became of it."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.dependencies import CurrentUser, ReadSession, Session, only
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Filter, Id, Moment, Page, Read, StoredText, Write, YesOrNo
from models.access import MANAGING
from models.delivery import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    ReactionKind,
    deliveries_where,
    find_delivery,
    is_overdue,
    reached_delivery,
)
from models.errors import NotFound
from models.mail import whole_mail
from models.message import as_posted
from models.settings import Settings
from models.settling import DeliveryOfRun, lock_with_run, settle
from models.tracking import Reactions, reactions_of, reactions_to
from models.webhook import WebhookContent, headers_sent

router = resource("deliveries", "/deliveries")

LONGEST_RECIPIENT = 2000

NONE = Reactions(None, 0)


class ReactionRead(Read):
    """What its reader did, and when."""

    kind: ReactionKind = Field(description="Whether it was opened, or a link in it followed.")
    url: str | None = Field(description="Where the link leads; null for opening.")
    created_at: datetime = Field(description="When that was.")


class DeliveryRead(Read):
    """Something that is sent for a rule run: one mail to one person, one call of a webhook.

    It goes on its way after the transaction of its run, and is tried again as long as the other
    side is down.
    """

    id: int
    kind: DeliveryKind
    state: DeliveryState = Field(description="How far it is; the last three are ends.")
    doubtful: bool = Field(
        description="Whether nobody knows if it has arrived: it is uncertain, or has been sending "
        "for longer than that may take."
    )
    run_id: int = Field(description="The rule run that waits for it.")
    item_id: int
    recipient: str = Field(
        description="An address, number or URL; of a document, what is made.",
        examples=["anna@example.com"],
    )
    subject: str = Field(description="What people read of it.")
    key: UUID = Field(
        description="The same however often it is sent: receivers know a repetition by it."
    )
    contact_id: int | None = Field(description="The person outside whom it is for.")
    company_id: int | None = Field(description="The firm which it is for.")
    user_id: int | None = Field(description="The user whom it is for.")
    crm_activity_id: int | None = Field(description="The CRM activity that it is recorded as.")
    due_at: datetime | None = Field(description="When it is tried next; null unless it waits.")
    tries: int = Field(description="How often sending it was begun.")
    failures: int = Field(description="How often the other side did not take it.")
    sending_at: datetime | None = Field(description="When sending it was last begun.")
    uncertain_at: datetime | None = Field(
        description="When it was first noticed that nobody knows whether it has arrived."
    )
    sent_at: datetime | None = Field(description="When it had been sent.")
    caught: bool = Field(description="Whether it was kept here instead of leaving the house.")
    outcome: str | None = Field(description="How it ended, in a sentence.")
    answer: str | None = Field(description="What the receiving server said.")
    error: str | None = Field(description="Why it was not taken last time.")
    opened_at: datetime | None = Field(
        description="When the mail was first opened, or a link in it followed; null where that is "
        "not tracked. Programs that look at mails count too."
    )
    clicks: int = Field(description="How often its links were followed.")
    created_at: datetime

    @classmethod
    def of(cls, delivery: Delivery, reactions: Reactions, limit: timedelta) -> Self:
        """Read a delivery; `limit` is how long sending may take."""
        named = {name: getattr(delivery, name, None) for name in cls.model_fields}
        is_sending = delivery.state is DeliveryState.SENDING
        doubtful = delivery.state is DeliveryState.UNCERTAIN or (
            is_sending and is_overdue(delivery, limit)
        )
        return cls.model_validate(named | reactions._asdict() | {"doubtful": doubtful})


class DeliveryWithReactions(DeliveryRead):
    """A delivery, and all that is known of its reader."""

    reactions: list[ReactionRead] = Field(description="The first thousand, oldest first.")


class RawCall(Read):
    """An HTTP request as it leaves; `text` is its body byte for byte, which is what is signed."""

    method: str = Field(description="Of HTTP.", examples=["POST"])
    url: str | None = Field(description="What is called; null where messages are caught here.")
    headers: dict[str, str] = Field(
        description="Those of ours; moment and signature are those of the last time, so they are "
        "there once it was sent. Never a secret.",
        examples=[{"content-type": "application/json"}],
    )
    body: dict[str, Any] = Field(description="The body as JSON.", examples=[{"type": "rule.run"}])
    text: str = Field(description="The body as it is sent.", examples=['{"type":"rule.run"}'])


class Mail(Response):
    media_type = "message/rfc822"


class Settlement(Write):
    arrived: YesOrNo = Field(description="Whether it has arrived; if not, it is sent again.")


class DeliveryFilter(Filter):
    """Which deliveries to list."""

    state: DeliveryState | None = None
    kind: DeliveryKind | None = None
    item_id: Id | None = None
    run_id: Id | None = Field(default=None, description="Of this rule run.")
    contact_id: Id | None = None
    company_id: Id | None = None
    recipient: Annotated[StoredText, Field(max_length=LONGEST_RECIPIENT)] | None = Field(
        default=None, description="Just this address, number or URL."
    )
    caught: bool | None = Field(default=None, description="Whether it was kept here.")
    created_from: Moment | None = None
    created_to: Moment | None = None


NewestFirst = Annotated[PageQuery, sorted_by("id", "due_at", "sent_at", usually="-id")]


async def _present(session: Session, user: CurrentUser, delivery_id: Id) -> Delivery:
    return await reached_delivery(session, user, await find_delivery(session, delivery_id))


async def _locked(session: Session, delivery_id: Id) -> DeliveryOfRun:
    return await lock_with_run(session, delivery_id)


async def _limit(request: Request) -> timedelta:
    settings: Settings = request.app.state.settings
    return timedelta(seconds=settings.delivery_seconds)


PresentDelivery = Annotated[Delivery, Depends(_present)]
LockedDelivery = Annotated[DeliveryOfRun, Depends(_locked)]
TimeLimit = Annotated[timedelta, Depends(_limit)]
MANAGERS = only(*MANAGING, to="settle what nobody knows to have arrived")


async def _shown(
    session: AsyncSession, limit: timedelta, deliveries: Sequence[Delivery]
) -> list[DeliveryRead]:
    known = await reactions_to(session, [delivery.id for delivery in deliveries])
    return [DeliveryRead.of(each, known.get(each.id, NONE), limit) for each in deliveries]


async def _whole(
    session: AsyncSession, limit: timedelta, delivery: Delivery
) -> DeliveryWithReactions:
    [shown] = await _shown(session, limit, [delivery])
    reactions = await reactions_of(session, delivery)
    return DeliveryWithReactions(
        **dict(shown), reactions=[ReactionRead.model_validate(each) for each in reactions]
    )


@router.get("")
async def list_deliveries(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[DeliveryFilter, Query()],
    limit: TimeLimit,
    paging: NewestFirst,
) -> Page[DeliveryRead]:
    """Return what is sent for items within your reach, newest first.

    `state=uncertain` is what somebody has to settle, `caught=true` what would have left the house
    if it was set up to.
    """
    wanted = deliveries_where(user, **where.asked())
    shown = partial(_shown, session, limit)
    return await page_of(session, wanted, paging, DeliveryRead, shown=shown)


@router.get("/{delivery_id}")
async def read_delivery(
    session: ReadSession, delivery: PresentDelivery, limit: TimeLimit
) -> DeliveryWithReactions:
    """Return a delivery: how far it is, or how it ended, and who has opened it."""
    return await _whole(session, limit, delivery)


@router.post("/{delivery_id}/settle", name="settle_delivery", dependencies=[MANAGERS])
async def settle_it(
    session: Session,
    user: CurrentUser,
    locked: LockedDelivery,
    said: Settlement,
    limit: TimeLimit,
) -> DeliveryWithReactions:
    """Say whether something has arrived of which nobody knows; its run goes on.

    What has not arrived is sent again at once, with the same `key`.
    """
    delivery = await settle(session, locked, arrived=said.arrived, by=user)
    return await _whole(session, limit, delivery)


# What leaves, as it leaves.


async def _mail(session: AsyncSession, delivery: Delivery, settings: Settings) -> Response:
    return Mail(await whole_mail(session, delivery, url=settings.url))


async def _message(_session: AsyncSession, delivery: Delivery, settings: Settings) -> Response:
    text = json.dumps(as_posted(delivery), ensure_ascii=False)
    return _call(settings.message_gateway_url, {"content-type": "application/json"}, text)


async def _webhook(session: AsyncSession, delivery: Delivery, _settings: Settings) -> Response:
    content = WebhookContent.model_validate(delivery.content)
    return _call(content.url, await headers_sent(session, delivery), content.body)


async def _document(_session: AsyncSession, delivery: Delivery, _settings: Settings) -> Response:
    raise NotFound(f"{delivery.called.capitalize()} is made here and leaves nothing.")


def _call(url: str | None, headers: Mapping[str, str], text: str) -> Response:
    call = RawCall(method="POST", url=url, headers=dict(headers), body=json.loads(text), text=text)
    return Response(call.model_dump_json(), media_type="application/json")


RAW: Mapping[DeliveryKind, Callable[[AsyncSession, Delivery, Settings], Awaitable[Response]]] = {
    DeliveryKind.EMAIL: _mail,
    DeliveryKind.MESSAGE: _message,
    DeliveryKind.WEBHOOK: _webhook,
    DeliveryKind.DOCUMENT: _document,
}


async def _raw(request: Request, session: ReadSession, delivery: PresentDelivery) -> Response:
    return await RAW[delivery.kind](session, delivery, request.app.state.settings)


@router.get(
    "/{delivery_id}/raw",
    name="read_raw_delivery",
    response_model=RawCall,
    responses={200: {"content": {Mail.media_type: {"schema": {"type": "string"}}}}},
)
async def read_raw(raw: Annotated[Response, Depends(_raw)]) -> Response:
    """Return what leaves the house for a delivery, just as it leaves.

    A mail is MIME, as `message/rfc822`: save it as `.eml`, and any mail program opens it. Of
    messages and webhooks it is the HTTP request, as JSON.
    """
    return raw
