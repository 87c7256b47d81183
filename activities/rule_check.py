"""Whether a rule could run as it is written, told when it is saved."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import select

from activities.registry import (
    ActionParams,
    RuleAction,
    RulePlace,
    UserBy,
    UserChoice,
    all_actions,
)
from activities.results import RuleCatalogue, actions_above, mentions_results
from models.conditions import Conditions
from models.conditions import check as check_conditions
from models.department import Department
from models.errors import InvalidRule, Problem
from models.field_definition import catalogue_of
from models.fields import Catalogue
from models.item_date import ItemDate
from models.mistakes import at_the_root, reason, shortened
from models.near_misses import did_you_mean
from models.rule_run import TIMING
from models.templates import check as check_template
from models.templates import templates_in
from models.timing import check as check_timing
from models.user import User

CONDITIONS: TypeAdapter[Conditions] = TypeAdapter(Conditions)

NAMED = {UserBy.USER: User.id, UserBy.DEPARTMENT: Department.id}
"""Choices that name somebody by id, who must be there."""


async def check_rule(
    place: RulePlace,
    *,
    action: str,
    params: Mapping[str, Any],
    conditions: Mapping[str, Any] | None,
    timing: Mapping[str, Any] | None = None,
) -> ActionParams:
    """Return the params as the action reads them; raises `InvalidRule` with all that is wrong.

    Checks the action and its items, its params, each field in a text or condition, the date it is
    timed around (None is at once), and that the people, stages and pipelines that are named exist.
    Pointers begin at the rule.
    """
    chosen = _action(place, action)
    try:
        read: ActionParams = chosen.params.model_validate(params)
    except ValidationError as error:
        wrong = [_problem(each, chosen.params, params) for each in at_the_root(error.errors())]
        raise InvalidRule(*wrong) from error
    catalogue = await _catalogue(place, f"{params} {conditions}")
    found = [
        Problem(f"/params{pointer}", reason)
        for pointer, text in templates_in(read)
        for reason in check_template(text, catalogue)
    ]
    found += [
        Problem(f"/params/{name}{problem.field}", problem.reason)
        for name, date in read
        if isinstance(date, ItemDate)
        for problem in date.problems(catalogue)
    ]
    if conditions is not None:
        found += [
            Problem(f"/conditions{problem.field}", problem.reason)
            for problem in check_conditions(CONDITIONS.validate_python(conditions), catalogue)
        ]
    if timing is not None:
        found += [
            Problem(f"/timing{problem.field}", problem.reason)
            for problem in check_timing(TIMING.validate_python(timing), catalogue)
        ]
    found += [
        Problem(f"/params{problem.field}", problem.reason)
        for problem in [*await _missing_people(place, read), *await read.problems(place)]
    ]
    if found:
        raise InvalidRule(*found)
    return read


def _action(place: RulePlace, code: str) -> RuleAction[Any]:
    action = all_actions().get(code)
    if action is None:
        known = ", ".join(all_actions())
        hint = did_you_mean(code, all_actions()) or "."
        why = f"There is no action {shortened(code)}{hint} There are {known}."
        raise InvalidRule(Problem("/action", why))
    item_type = place.stage.pipeline.item_type
    if item_type not in action.items:
        raise InvalidRule(
            Problem("/action", f"«{action.title}» is not for {item_type}s, whose stage this is.")
        )
    return action


async def _catalogue(place: RulePlace, text: str) -> Catalogue:
    """Return the fields that a rule at that place can speak of, if it mentions them."""
    catalogue = await catalogue_of(place.session, place.stage.pipeline.item_type)
    if not mentions_results(text):
        return catalogue
    return RuleCatalogue.after(catalogue, await actions_above(place))


def _problem(error: ErrorDetails, kind: type[ActionParams], params: Mapping[str, Any]) -> Problem:
    why = reason(error, error["loc"], kind)
    return Problem(f"/params{pointer_to(error, error['loc'], params)}", why)


def pointer_to(error: ErrorDetails, location: Sequence[int | str], sent: object) -> str:
    """Return the JSON pointer of an error's location, without pydantic's names of alternatives.

    `location` begins within what was sent. Its last segment is kept if it names a missing field.
    """
    pointer, here = "", sent
    for place, segment in enumerate(location):
        if isinstance(here, Mapping) and segment in here:
            here = here[str(segment)]
        elif isinstance(here, Sequence) and isinstance(segment, int) and segment < len(here):
            here = here[segment]
        elif not (error["type"] == "missing" and place == len(location) - 1):
            continue
        pointer += "/" + str(segment).replace("~", "~0").replace("/", "~1")
    return pointer


async def _missing_people(place: RulePlace, params: ActionParams) -> Sequence[Problem]:
    problems = []
    for pointer, choice in _choices_in(params):
        if choice.by in NAMED and not await place.session.scalar(
            select(NAMED[choice.by]).where(NAMED[choice.by] == choice.id)
        ):
            problems.append(Problem(f"{pointer}/id", f"There is no {choice.by} {choice.id}."))
    return problems


def _choices_in(value: object, at: str = "") -> Iterator[tuple[str, UserChoice]]:
    """Yield every choice of a person in the params with its JSON pointer."""
    if isinstance(value, UserChoice):
        yield at, value
    elif isinstance(value, ActionParams):
        for name in type(value).model_fields:
            yield from _choices_in(getattr(value, name), f"{at}/{name}")
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _choices_in(each, f"{at}/{index}")
