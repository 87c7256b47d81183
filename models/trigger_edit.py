"""Saving triggers: one that could never move an item as it is written is refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.base import assign
from models.conditions import CONDITIONS
from models.conditions import check as check_conditions
from models.errors import InvalidTrigger, Problem
from models.field_definition import catalogue_of
from models.fields import Catalogue
from models.installation import installation
from models.languages import translated
from models.mistakes import at_the_root, pointer_to, reason, shortened
from models.near_misses import did_you_mean
from models.pipeline import Stage
from models.trigger import TOP_DOWN, Trigger, lock_triggers_on, triggers_where
from models.trigger_type import TriggerPlace, TriggerSettings, TriggerType, all_trigger_types
from models.user_choice import UserChoice, choices_in, missing_people

LONGEST_NAME = 200
"""Characters, as of any name."""

SAID = ("type", "settings", "conditions", "moves_as", "allow_moving_back")
"""What is checked when it changes; name, place and switch are as people like."""


async def add_trigger(session: AsyncSession, stage: Stage, sent: Mapping[str, Any]) -> Trigger:
    """Hang a trigger on a stage with all fields given as JSON, or raise `InvalidTrigger`.

    Without a name it is called by its type and its settings, without a position it is below the
    others.
    """
    await lock_triggers_on(session, stage.id)
    said = {name: sent[name] for name in SAID}
    settings = await _checked(TriggerPlace(session, stage), said)
    trigger = Trigger(
        stage=stage,
        name=sent["name"] or await _usual_name(session, said["type"], settings),
        enabled=sent["enabled"],
        **said | {"settings": settings.model_dump(mode="json")},
    )
    await _place(session, trigger, sent["position"])
    session.add(trigger)
    await session.flush()
    return trigger


async def _place(session: AsyncSession, trigger: Trigger, position: int | None) -> None:
    """Let a trigger stand there among those of its stage, counted from 0, or below them all.

    They are locked.
    """
    there = await session.scalars(
        triggers_where(stage_id=trigger.stage.id).order_by(*TOP_DOWN.by())
    )
    others = [each for each in there if each is not trigger]
    others.insert(len(others) if position is None else position, trigger)
    for number, each in enumerate(others):
        each.position = number


async def change_trigger(session: AsyncSession, trigger: Trigger, sent: Mapping[str, Any]) -> None:
    """Change those fields of a locked trigger that were sent, as JSON, or raise `InvalidTrigger`.

    A name that nobody has given follows the settings; None gives it back to them. Name, place and
    switch can be changed also where the rest would no longer be accepted.
    """
    changes = dict(sent)
    said = {name: getattr(trigger, name) for name in SAID}
    unnamed = trigger.name == await _name_so_far(session, trigger)
    if said.keys() & changes:
        said |= {name: changes[name] for name in SAID if name in changes}
        settings = await _checked(TriggerPlace(session, trigger.stage), said)
        changes |= {"settings": settings.model_dump(mode="json")}
        unnamed = unnamed and "name" not in changes
        if unnamed or not changes.get("name", True):
            changes["name"] = await _usual_name(session, said["type"], settings)
    elif not changes.get("name", True):
        changes["name"] = await _name_so_far(session, trigger) or trigger.name
    if "position" in changes:
        await _place(session, trigger, changes.pop("position"))
    assign(trigger, changes)
    await session.flush()


def delete_trigger(trigger: Trigger) -> None:
    """Take a locked trigger off its stage; what it has moved, and why, stays known."""
    trigger.deleted_at = clock.now()


async def _usual_name(session: AsyncSession, code: str, settings: TriggerSettings) -> str:
    """Return the name of a trigger that nobody has named, in the language of the company."""
    home = await installation(session)
    name = all_trigger_types()[code].name_of(settings, lambda title: translated(title, home.locale))
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


async def _name_so_far(session: AsyncSession, trigger: Trigger) -> str | None:
    """Return what it would be called without a name, None if its settings cannot be read now."""
    kind = all_trigger_types().get(trigger.type)
    if kind is None:
        return None
    try:
        settings: TriggerSettings = kind.settings.model_validate(trigger.settings)
    except ValidationError:
        return None
    return await _usual_name(session, trigger.type, settings)


async def _checked(place: TriggerPlace, said: Mapping[str, Any]) -> TriggerSettings:
    """Return the settings as the type reads them; raises `InvalidTrigger` with all that is wrong.

    Pointers begin at the trigger.
    """
    kind, found = _type(place, said["type"])
    settings: TriggerSettings | None = None
    if kind is not None:
        try:
            settings = kind.settings.model_validate(said["settings"])
        except ValidationError as error:
            found += [
                _problem(each, kind.settings, said["settings"])
                for each in at_the_root(error.errors())
            ]
        else:
            found += [
                Problem(f"/settings{problem.field}", problem.reason)
                for problem in [
                    *await missing_people(place.session, choices_in(settings)),
                    *await settings.problems(place),
                ]
            ]
    found += await _wrong_conditions(place, said["conditions"])
    if said["moves_as"] is not None:
        moves_as = UserChoice.model_validate(said["moves_as"])
        found += await missing_people(place.session, choices_in(moves_as, "/moves_as"))
    if not said["allow_moving_back"]:
        found += await _nothing_before(place)
    if found or settings is None:
        raise InvalidTrigger(*found)
    return settings


def _type(place: TriggerPlace, code: str) -> tuple[TriggerType[Any, Any] | None, list[Problem]]:
    kind = all_trigger_types().get(code)
    if kind is None:
        known = ", ".join(all_trigger_types())
        hint = did_you_mean(code, all_trigger_types()) or "."
        why = f"There is no type of trigger {shortened(code)}{hint} There are {known}."
        return None, [Problem("/type", why)]
    item_type = place.stage.pipeline.item_type
    if item_type not in kind.items:
        why = f"«{kind.title}» is not for {item_type}s, whose stage this is."
        return kind, [Problem("/type", why)]
    return kind, []


def _problem(
    error: ErrorDetails, kind: type[TriggerSettings], settings: Mapping[str, Any]
) -> Problem:
    why = reason(error, error["loc"], kind)
    return Problem(f"/settings{pointer_to(error, error['loc'], settings)}", why)


class _WithoutResults(Catalogue):
    """The fields of an item, and why those are none that rules leave for rules."""

    def unknown(self, path: str) -> str:
        if path.partition(".")[0] == "results":
            return f"{path} is left by a rule for the rules below it; triggers know no results"
        return super().unknown(path)


async def _wrong_conditions(
    place: TriggerPlace, conditions: Mapping[str, Any] | None
) -> Sequence[Problem]:
    if conditions is None:
        return ()
    fields = await catalogue_of(
        place.session, place.stage.pipeline.item_type, wanted=str(conditions)
    )
    catalogue = _WithoutResults(fields.item_type, fields.fields)
    return [
        Problem(f"/conditions{problem.field}", problem.reason)
        for problem in check_conditions(CONDITIONS.validate_python(conditions), catalogue)
    ]


async def _nothing_before(place: TriggerPlace) -> Sequence[Problem]:
    """Return what is wrong with a trigger from the first stage, which never moves items back."""
    stage = place.stage
    first = await place.session.scalar(
        select(Stage.id)
        .where(Stage.pipeline_id == stage.pipeline_id, Stage.deleted_at.is_(None))
        .order_by(Stage.position, Stage.id)
        .limit(1)
    )
    if first != stage.id:
        return ()
    why = (
        f"«{stage.name}» is the first stage of its pipeline, so that this could never move an "
        "item there. Let it move items back, or hang it on a later stage."
    )
    return [Problem("/allow_moving_back", why)]
