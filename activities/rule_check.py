"""Whether a rule could run as it is written, told when it is saved."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from activities.registry import ActionParams, RuleAction, RulePlace, all_actions
from activities.results import RuleCatalogue, actions_above, mentions_results
from models.conditions import CONDITIONS
from models.conditions import check as check_conditions
from models.errors import InvalidRule, Problem
from models.field_definition import catalogue_of
from models.fields import Catalogue
from models.item_date import ItemDate
from models.mistakes import at_the_root, pointer_to, reason, shortened
from models.near_misses import did_you_mean
from models.rule_run import TIMING
from models.templates import check as check_template
from models.templates import templates_in
from models.timing import check as check_timing
from models.user_choice import choices_in, missing_people


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
        for problem in [
            *await missing_people(place.session, choices_in(read)),
            *await read.problems(place),
        ]
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
