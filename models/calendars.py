"""Calendars: when the company works and when each of its people, as rules count time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.installation import Installation, installation
from models.item import Item
from models.rule import RuleVersion
from models.timing import Clocks, Hours
from models.user import User
from models.working_time import USUAL_HOURS, Absence, Calendar, WorkingHours


@dataclass(frozen=True)
class Calendars:
    """The company's, and those of people who are responsible for items."""

    home: Installation
    people: Sequence[User] = ()

    def clocks(self, item: Item) -> Clocks:
        """Return by what rules count for an item."""
        responsible = self._people.get(item.responsible_id or 0)
        return Clocks(self.home.time_zone, self._company, responsible)

    @cached_property
    def _company(self) -> Calendar:
        home = self.home
        return Calendar(
            hours=_hours(home.working_hours) or USUAL_HOURS,
            zone=home.time_zone,
            country=home.holiday_country,
            days_off=frozenset(map(date.fromisoformat, home.days_off)),
        )

    @cached_property
    def _people(self) -> Mapping[int, Calendar]:
        return {user.id: self.of(user) for user in self.people}

    def with_hours(self, kept: Mapping[str, object] | None) -> Calendar:
        """Return the company's calendar with hours of their own, if these are any."""
        return replace(self._company, hours=_hours(kept) or self._company.hours)

    def of(self, user: User) -> Calendar:
        """Return when somebody works: what they have none of their own of is the company's."""
        company = self._company
        away = user.absent_from is not None or user.absent_until is not None
        return Calendar(
            hours=_hours(user.working_hours) or company.hours,
            zone=user.time_zone or company.zone,
            country=user.holiday_country or company.country,
            days_off=company.days_off,
            absence=Absence(user.absent_from, user.absent_until) if away else None,
        )


async def calendars_for(
    session: AsyncSession, items: Collection[Item], versions: Collection[RuleVersion]
) -> Calendars:
    """Return what is needed to time these rules for these items, which have been flushed.

    People are looked for only where a rule counts in their working time; of those who work here
    no longer, the company's counts.
    """
    home = await installation(session)
    wanted = {item.responsible_id for item in items if item.responsible_id is not None}
    if not wanted or not any(counts_on_people(version) for version in versions):
        return Calendars(home)
    people = await session.scalars(select(User).where(User.id.in_(wanted), User.active))
    return Calendars(home, people.all())


def counts_on_people(version: RuleVersion) -> bool:
    """Tell whether a rule counts in the working time of whoever is responsible."""
    return version.timing.get("working_hours") == Hours.RESPONSIBLE


def _hours(kept: Mapping[str, object] | None) -> WorkingHours | None:
    return None if kept is None else WorkingHours.model_validate(kept)
