"""Results: what the action of a rule leaves for the texts and conditions of the rules below it.

`results.create_task.id` is the id of the task that the last such rule above has made during the
same stay in the stage; it is empty where none of them has run.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any, Self

from pydantic_core import to_jsonable_python

from activities.registry import Result, RuleAction, RulePlace, all_actions
from models.base import LARGEST_ID
from models.custom_values import meaning
from models.fields import Catalogue, Field
from models.item_type import ItemType
from models.rule import present, rules_of
from models.rule_run import RuleRun, RunState

ROOT = "results"

LONGEST_KEPT = 1000
"""Characters of a text that are kept; the rest is where the action put it."""


@dataclass(frozen=True)
class Offered(Field):
    """A result under a full path or a short one, its name in the run, and who leaves it."""

    name: str = ""
    left_by: str = ""


def offered(item_type: ItemType) -> Mapping[str, Offered]:
    """Return every result of the actions for items of this type, by full path and short one."""
    return {
        path: Offered(
            path,
            f"{action.title}: {field.title}",
            field.kind,
            choices=field.choices,
            name=field.path,
            left_by=action.code,
        )
        for action in all_actions().values()
        if item_type in action.items
        for field in action.results
        for path in _paths(action, field)
    }


def _paths(action: RuleAction[Any], result: Result) -> list[str]:
    path = f"{ROOT}.{action.code}.{result.path}"
    return [path] if result.short is None else [path, result.short]


@dataclass(frozen=True)
class RuleCatalogue(Catalogue):
    """The fields of an item with the results that a rule can speak of.

    `absent` are the results of actions that no rule above it has.
    """

    absent: Mapping[str, Offered]

    @classmethod
    def after(cls, catalogue: Catalogue, codes: Collection[str] | None = None) -> Self:
        """Return the fields and the results of these actions, None meaning all."""
        results = offered(catalogue.item_type)
        there = {
            path: field
            for path, field in results.items()
            if codes is None or field.left_by in codes
        }
        absent = {path: field for path, field in results.items() if path not in there}
        fields = MappingProxyType({**catalogue.fields, **there})
        return cls(catalogue.item_type, fields, absent)

    def nearest(self, path: str) -> str | None:
        """Return the real path that is most like this one, also of a result that is absent."""
        return next(iter(get_close_matches(path, [*self.fields, *self.absent], n=1)), None)

    def unknown(self, path: str) -> str:
        """Say that there is no such field, or that nothing above leaves it."""
        if path not in self.absent:
            return super().unknown(path)
        code = self.absent[path].left_by
        return f"{path} is empty: no rule above this one uses the action {code}"


def mentions_results(text: str) -> bool:
    """Tell whether a text, a rule as JSON for example, may speak of results at all."""
    return any(root in text for root in _roots())


@cache
def _roots() -> frozenset[str]:
    short = {
        result.short.partition(".")[0]
        for action in all_actions().values()
        for result in action.results
        if result.short
    }
    return frozenset({ROOT, *short})


async def actions_above(place: RulePlace) -> frozenset[str]:
    """Return the actions of the rules that run before a rule at that place."""
    rules = await rules_of(place.session, place.stage.id, enabled_only=True)
    if place.position is not None:
        here = (place.position, place.rule_id or LARGEST_ID)
        rules = [rule for rule in rules if (rule.position, rule.id) < here]
    return frozenset(present(rule).action for rule in rules if rule.id != place.rule_id)


def as_kept(action: RuleAction[Any], left: Mapping[str, object]) -> dict[str, Any] | None:
    """Return what an action has left as JSON, long texts cut; it must have declared all of it."""
    if undeclared := left.keys() - {field.path for field in action.results}:
        raise LookupError(f"{action.code} leaves {min(undeclared)}, which it does not declare.")
    return to_jsonable_python({name: _cut(value) for name, value in left.items()}) or None


def _cut(value: object) -> object:
    if isinstance(value, str) and len(value) > LONGEST_KEPT:
        return f"{value[:LONGEST_KEPT]}…"
    return value


def values_of(runs: Iterable[RuleRun], item_type: ItemType) -> Mapping[str, object]:
    """Return every result by full path: of the last of these runs whose action is done, else None.

    One that has begun and stays open counts: the task is there, though it is not completed.
    """
    left = {
        run.version.action: run.result or {}
        for run in runs
        if run.state is RunState.DONE or run.began_at is not None
    }
    return {
        path: meaning(field.kind, left.get(field.left_by, {}).get(field.name))
        for path, field in offered(item_type).items()
    }
