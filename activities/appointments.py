"""Appointments: what actions share that put something into activities and a calendar."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from pydantic import BaseModel, ConfigDict, Field, model_validator
from whenever import Instant, Time, ZonedDateTime

from activities.registry import ActionContext, ActionParams, Result, RulePlace, as_title
from models import clock
from models.crm_activity import Colour, CrmActivity, CrmActivityKind
from models.crm_activity_edit import USUAL_REMINDERS, put_crm_activity, take_client
from models.errors import ActionFailed, Problem
from models.field_definition import catalogue_of
from models.fields import FieldKind
from models.item_date import ItemDate
from models.rule_run import own_field
from models.templates import Template
from models.timing import Delay, Unit
from models.user import User
from models.user_choice import UserChoice

NOON = "12:00"
MOST_DAYS = 36_500
MOST_REMINDERS = 10
EARLIEST_REMINDER = 366 * 24 * 60
"""Minutes."""

AN_HOUR = Delay(amount=1, unit=Unit.HOURS)

ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["09:30"])]
Minutes = Annotated[int, Field(ge=0, le=EARLIEST_REMINDER, strict=True)]


class Start(BaseModel):
    """So many days from today, or around a date of the item, at a clock time.

    Days are counted, and clocks read, where the responsible person is. A moment that is past stays
    as it is: what should have begun is overdue at once, and not forgotten.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"days": 2, "time": "09:30"},
                {
                    "date": {
                        "field": "deal.close_date",
                        "direction": "before",
                        "amount": 1,
                        "unit": "weeks",
                    },
                    "time": "15:00",
                },
            ]
        },
    )

    days: int = Field(
        default=0,
        ge=0,
        le=MOST_DAYS,
        strict=True,
        title="In how many days",
        description="0 is today, 1 tomorrow.",
    )
    date: ItemDate | None = Field(
        default=None, title="Around a date of the item", description="Instead of days from today."
    )
    time: ClockTime | None = Field(
        default=None,
        title="At what time",
        description="At 12:00, if not chosen, or at the time that the date has.",
    )

    @model_validator(mode="after")
    def _from_one_day(self) -> Self:
        if self.date is not None and self.days:
            raise ValueError("around a date of the item there are no days from today")
        return self

    def moment(self, context: ActionContext, zone: str) -> datetime:
        """Return when it starts, aware UTC; fails where the date of the item is empty.

        A clock time that does not exist moves on by the gap, of one that comes twice it is the
        first.
        """
        day = self._day(context, zone)
        if self.time is None and self._has_time(context):
            return day.to_instant().to_stdlib()
        at = Time.parse_iso(self.time or NOON)
        start = day.date().at(at).assume_tz(zone, disambiguation="compatible")
        return start.to_instant().to_stdlib()

    def _day(self, context: ActionContext, zone: str) -> ZonedDateTime:
        if self.date is None:
            return Instant(clock.now()).to_tz(zone).add(days=self.days)
        moment = self.date.moment(self._value(context), zone)
        if moment is None:
            name = self.date.name.removeprefix("custom.").replace("_", " ")
            item = context.item.called.capitalize()
            raise ActionFailed(f"{item} has no {name}, from which the start is counted.")
        return Instant(moment).to_tz(zone)

    def _value(self, context: ActionContext) -> object:
        return None if self.date is None else own_field(context.item, self.date.name)

    def _has_time(self, context: ActionContext) -> bool:
        """Tell whether it is counted from a moment, which has a clock time, and not from a day."""
        value = self._value(context)
        # Custom fields keep both as texts; a day has ten characters.
        return isinstance(value, datetime) or (
            isinstance(value, str) and len(value) > len(date.min.isoformat())
        )


class Appointment(ActionParams):
    """What people say of anything that is planned; each action has its own title for the first."""

    subject: Template = Field(title="Subject", min_length=1)
    description: Template | None = Field(default=None, title="Description")
    start: Start = Field(
        default=Start(), title="Start", description="Today at 12:00, if not chosen."
    )
    responsible: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Responsible person",
        description="The item's, if not chosen.",
    )
    important: bool = Field(default=False, title="Important")
    reminders: tuple[Minutes, ...] = Field(
        default=USUAL_REMINDERS,
        max_length=MOST_REMINDERS,
        title="Reminders",
        description="So many minutes before the start.",
    )
    colour: Colour | None = Field(default=None, title="Colour in the calendar")
    complete_on_stage_change: bool = Field(
        default=False, title="Complete automatically when the item changes stage"
    )

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        """Return why items of that pipeline have no such date."""
        if self.start.date is None:
            return ()
        catalogue = await catalogue_of(place.session, place.stage.pipeline.item_type)
        return [
            Problem(f"/start/date{problem.field}", problem.reason)
            for problem in self.start.date.problems(catalogue)
        ]


RESULTS = (
    Result("id", "ID", FieldKind.NUMBER),
    Result("subject", "Subject", FieldKind.TEXT),
    Result("responsible", "Responsible person", FieldKind.TEXT),
    Result("starts_at", "Start", FieldKind.DATETIME),
    Result("url", "Link", FieldKind.TEXT),
)
"""What each of these actions leaves for the rules below."""


async def appoint(
    params: Appointment,
    context: ActionContext,
    kind: CrmActivityKind,
    *,
    duration: Delay | None,
    place: Template | None = None,
) -> CrmActivity:
    """Put it into the activities of the item and the calendar of the responsible person."""
    responsible = await context.in_charge(params.responsible)
    zone = zone_of(responsible, context)
    starts_at = params.start.moment(context, zone)
    crm_activity = CrmActivity(
        kind=kind,
        subject=as_title(context.render(params.subject, reader=responsible)),
        description=params.description and context.render(params.description, reader=responsible),
        item=context.item,
        responsible=responsible,
        starts_at=starts_at,
        ends_at=_end(starts_at, duration, zone),
        place=place and (context.render(place, reader=responsible).strip() or None),
        important=params.important,
        colour=params.colour,
        complete_on_stage_change=params.complete_on_stage_change,
        reminders=[],
    )
    await take_client(context.session, crm_activity)
    await put_crm_activity(context.session, crm_activity, params.reminders, context.cause)
    context.leave(
        id=crm_activity.id,
        subject=crm_activity.subject,
        responsible=responsible and responsible.name,
        starts_at=starts_at,
        url=f"{context.url}/v1/crm-activities/{crm_activity.id}",
    )
    return crm_activity


def _end(starts_at: datetime, duration: Delay | None, zone: str) -> datetime | None:
    if duration is None:
        return None
    try:
        return duration.ends_at(starts_at, zone)
    except ValueError as error:  # Not in the years 1 to 9999.
        raise ActionFailed(f"It would end beyond the calendar, {duration.span} later.") from error


def zone_of(user: User | None, context: ActionContext) -> str:
    """Return the time zone where somebody is, else the company's."""
    return (user and user.time_zone) or context.home.time_zone


def in_words(moment: datetime, locale: str, zone: str) -> str:
    """Return a moment as people write it there, to the minute."""
    local = moment.astimezone(ZoneInfo(zone))
    day = format_date(local, "medium", locale=locale)
    return f"{day}, {format_time(local, 'short', tzinfo=local.tzinfo, locale=locale)}"


def said(crm_activity: CrmActivity, context: ActionContext) -> str:
    """Return the sentence for the history: what is planned, for whom and when."""
    responsible = crm_activity.responsible
    when = in_words(crm_activity.starts_at, context.home.locale, context.home.time_zone)
    whom = f" for {responsible.name}" if responsible else ""
    return f"Planned {crm_activity.called} «{crm_activity.subject}»{whom}: {when}."
