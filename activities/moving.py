"""Moving: what rules that move the item have in common, and the circles that they must not make."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from activities.registry import ActionParams, RulePlace, all_actions
from models.errors import Conflict, CrmError, Invalid, Problem
from models.pipeline import Stage
from models.rule import RuleVersion, present, rules_of
from models.rule_run import TIMING
from models.timing import AtOnce


class Moving(ActionParams):
    """Params of an action that lets the item enter another stage."""

    async def target(self, session: AsyncSession, own: Stage) -> Stage:
        """Return where items go from the rule's own stage.

        Raises `Invalid` for what cannot be chosen there, `Conflict` where a pipeline lacks a stage.
        """
        raise NotImplementedError

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        try:
            target = await self.target(place.session, place.stage)
        except Invalid as error:
            return error.problems
        except Conflict as error:
            return [Problem("/pipeline", error.message)]
        if place.unhindered and (way := await _way_back(place, target)):
            stages = " → ".join(f"«{stage.name}»" for stage in way)
            return [Problem("/stage", f"Rules would move items in a circle at once: {stages}.")]
        return []


async def _way_back(place: RulePlace, target: Stage) -> Sequence[Stage]:
    """Return the way on which rules lead items back to the rule's own stage at once, if they do."""
    way = [place.stage, target]
    while way[-1].id != place.stage.id:
        following = await _next_stop(place, way[-1])
        if following is None or following.id in {stage.id for stage in way[1:]}:
            return []
        way.append(following)
    return way


async def _next_stop(place: RulePlace, stage: Stage) -> Stage | None:
    """Return where the first rule that does so moves every item on at once."""
    for rule in await rules_of(place.session, stage.id, enabled_only=True):
        moving = _moves_at_once(present(rule))
        if moving is not None and rule.id != place.rule_id:
            try:
                return await moving.target(place.session, stage)
            except CrmError:
                return None
    return None


def _moves_at_once(version: RuleVersion) -> Moving | None:
    action = all_actions().get(version.action)
    hindered = version.conditions or version.once_per_item or version.after_previous
    if action is None or hindered or TIMING.validate_python(version.timing) != AtOnce():
        return None
    params = action.params.model_validate(version.params)
    return params if isinstance(params, Moving) else None
