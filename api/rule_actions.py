"""The catalogue of actions: what rules can do, and which settings each has."""

from functools import cache, partial
from typing import Any, Self

from pydantic import Field

from activities.registry import ActionGroup, Result, RuleAction, all_actions
from api.forms import Say, flowing, form_of
from api.languages import Language
from api.paging import Paging, page_among
from api.routing import resource
from api.schemas import Page, Read
from models.fields import FieldKind
from models.item_type import ItemType
from models.languages import translated

router = resource("rules", "/actions")


class ResultRead(Read):
    """Something that it leaves for the rules below it: `results.<code>.<name>`."""

    name: str
    title: str
    kind: FieldKind
    short: str | None = Field(description="A shorter path for it.", examples=["wait.ended_by"])

    @classmethod
    def of(cls, result: Result, say: Say) -> Self:
        title = say(result.title)
        return cls(name=result.path, title=title, kind=result.kind, short=result.short)


class ActionRead(Read):
    code: str
    title: str
    description: str
    group: ActionGroup = Field(description="The same in every language.")
    group_title: str = Field(description="The heading under which it is shown.")
    also_in: list[ActionGroup] = Field(description="Groups in which people look for it too.")
    items: list[ItemType] = Field(description="Whose stages may have such a rule.")
    warning: str | None = Field(description="To be shown before it is chosen.")
    params: dict[str, Any] = Field(
        description="JSON Schema of the settings, whole: it refers to nothing else."
    )
    results: list[ResultRead] = Field(description="What rules below it can speak of.")

    @classmethod
    def of(cls, action: RuleAction[Any], say: Say) -> Self:
        return cls(
            code=action.code,
            title=say(action.title),
            description=say(flowing(action.description)),
            group=action.group,
            group_title=say(action.group),
            also_in=list(action.also_in),
            items=list(action.items),
            warning=action.warning and say(action.warning),
            params=form_of(action.params, say),
            results=[ResultRead.of(each, say) for each in action.results],
        )


@cache
def _told(action: RuleAction[Any], language: str) -> ActionRead:
    """Return an action in a language; to write its schema takes a millisecond."""
    return ActionRead.of(action, partial(translated, locale=language))


@router.get("")
async def list_actions(language: Language, paging: Paging) -> Page[ActionRead]:
    """Return every action that a rule can have.

    With the settings of each as JSON Schema, and a warning where it destroys something. Titles,
    descriptions, warnings and the texts that are proposed are in the language that is asked for.
    """
    actions = [_told(action, language) for action in all_actions().values()]
    return page_among(actions, paging, "code", ActionRead)
