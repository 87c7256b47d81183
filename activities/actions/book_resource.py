"""Book a resource: a room, a crane, a fitter are taken for the item."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import Field, model_validator

from activities.appointments import AN_HOUR, Start
from activities.bookings import InBookingField
from activities.registry import ActionContext, ActionGroup, Result, RulePlace, as_title, rule_action
from models import clock
from models.availability import LONGEST_SEARCH, MOST_HELD, next_free_slot
from models.base import AGAINST_DELETION, find
from models.booking import Booked, Booking
from models.booking_edit import book, in_words
from models.errors import ActionFailed, NotFound, Problem
from models.field_definition import catalogue_of
from models.fields import FieldKind
from models.free_time import Span
from models.inputs import RowId
from models.item_type import ItemType
from models.resource import Resource
from models.templates import Template
from models.timing import Delay
from models.user_choice import UserChoice


class BookResource(InBookingField):
    service: Template = Field(title="Service", min_length=1, description="What it is booked for.")
    start: Start | None = Field(
        default=None,
        title="Start",
        description="Needed, unless it is the next free slot; that is looked for from here on.",
    )
    next_free_slot: bool = Field(
        default=False,
        title="Next free slot",
        description="The first time in which all of them work and are free.",
    )
    within_days: int = Field(
        default=30,
        ge=1,
        le=LONGEST_SEARCH.days,
        strict=True,
        title="Free slot within days",
        description="So many days a free slot is looked for.",
    )
    duration: Delay = Field(
        default=AN_HOUR, title="Duration", description="An hour, if not chosen."
    )
    resources: tuple[RowId, ...] = Field(
        default=(),
        max_length=MOST_HELD,
        title="Resources",
        description="Rooms, vehicles and whatever else can be booked.",
    )
    users: tuple[UserChoice, ...] = Field(
        default=(),
        max_length=MOST_HELD,
        title="People",
        description="Of a department, everybody who works there.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.resources and not self.users:
            raise ValueError("there must be at least one resource or person to book")
        if self.start is None and not self.next_free_slot:
            raise ValueError("there must be a start, or the next free slot is taken")
        if not self.duration.amount:
            raise ValueError("it must take some time")
        return self

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        found = list(await super().problems(place))
        if self.start is not None and self.start.date is not None:
            catalogue = await catalogue_of(place.session, place.stage.pipeline.item_type)
            found += [
                Problem(f"/start/date{problem.field}", problem.reason)
                for problem in self.start.date.problems(catalogue)
            ]
        for number, resource_id in enumerate(self.resources):
            try:
                await find(place.session, Resource, resource_id)
            except NotFound as error:
                found.append(Problem(f"/resources/{number}", error.message))
        return found

    def begins(self, context: ActionContext) -> datetime:
        """Return when it starts, or from when on a free slot is looked for, never in the past."""
        zone = context.home.time_zone
        if self.start is None:
            return clock.now()
        begins = self.start.moment(context, zone)
        return max(begins, clock.now()) if self.next_free_slot else begins

    def length(self, begins: datetime, zone: str) -> timedelta:
        try:
            return self.duration.ends_at(begins, zone) - begins
        except ValueError as error:  # Not in the years 1 to 9999.
            raise ActionFailed(
                f"It would end beyond the calendar, {self.duration.span} later."
            ) from error


@rule_action(
    title="Book a resource",
    group=ActionGroup.MANAGE_ITEMS,
    items=ItemType,
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("booked", "Who and what is booked", FieldKind.TEXT),
        Result("starts_at", "Start", FieldKind.DATETIME),
        Result("ends_at", "End", FieldKind.DATETIME),
        Result("url", "Link", FieldKind.TEXT),
    ],
)
async def book_resource(params: BookResource, context: ActionContext) -> str:
    """Book resources and people for the item, at a time or in the next free slot.

    Fails where one of them is booked already, naming that booking. Whoever is booked is notified.
    """
    field = await params.name(context)
    who = Booked(
        [
            await find(context.session, Resource, each, lock=AGAINST_DELETION)
            for each in dict.fromkeys(params.resources)
        ],
        await context.users(params.users, or_nobody=bool(params.resources)),
    )
    span = await _span(params, context, who)
    booking = Booking(
        item=context.item,
        field=field,
        service=as_title(context.render(params.service)),
        starts_at=span.starts_at,
        ends_at=span.ends_at,
        holds=[],
    )
    await book(context.session, booking, who, context.cause)
    context.leave(
        id=booking.id,
        booked=who.in_words,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        url=f"{context.url}/v1/bookings/{booking.id}",
    )
    return f"Booked {in_words(booking, context.home.time_zone)}."


async def _span(params: BookResource, context: ActionContext, who: Booked) -> Span:
    begins = params.begins(context)
    length = params.length(begins, context.home.time_zone)
    if not params.next_free_slot:
        return Span(begins, begins + length)
    within = Span(begins, begins + timedelta(days=params.within_days))
    slot = await next_free_slot(context.session, who, within, length)
    if slot is None:
        days = "day" if params.within_days == 1 else f"{params.within_days} days"
        raise ActionFailed(
            f"{who.in_words}: no free slot of {params.duration.span} within the next {days}."
        )
    return slot
