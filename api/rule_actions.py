"""The catalogue of actions: what rules can do, and which settings each has."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Self

from pydantic import Field

from activities.registry import ActionGroup, Result, RuleAction, all_actions
from api.languages import Language
from api.paging import Paging, page_among
from api.routing import resource
from api.schemas import Page, Read
from models.fields import FieldKind
from models.item_type import ItemType
from models.languages import translated

router = resource("rules", "/actions")

Say = Callable[[str], str]
"""Says words of the product in the language of whoever reads them."""


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
            description=say(_flowing(action.description)),
            group=action.group,
            group_title=say(action.group),
            also_in=list(action.also_in),
            items=list(action.items),
            warning=action.warning and say(action.warning),
            params=_form(action.params.model_json_schema(), say),
            results=[ResultRead.of(each, say) for each in action.results],
        )


NAMES = frozenset({"properties", "patternProperties"})
VALUES = frozenset({"const", "default", "enum", "examples"})
WORDS = frozenset({"title", "description"})
"""Of JSON Schema: what holds schemas by name, what holds no schema, and what people read."""


def _form(schema: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Return the JSON Schema of a model with its words said, and each definition where it is used.

    Only fields keep their titles: those of models are names of classes. A field has that of its
    class where it has no other; pydantic leaves out a title that is the same.
    """
    definitions = schema.get("$defs", {})

    def whole(part: Any, *, is_field: bool = False) -> Any:
        if isinstance(part, list):
            return [whole(each) for each in part]
        if not isinstance(part, dict):
            return part
        meant = definitions.get(str(part.get("$ref", "")).rpartition("/")[2], {})
        said = {**(meant if is_field else _untitled(meant)), **part}
        return {name: of(name, said) for name in said if name not in {"$ref", "$defs"}}

    def of(name: str, said: Mapping[str, Any]) -> Any:
        value = said[name]
        if name in NAMES:
            return {each: whole(part, is_field=True) for each, part in value.items()}
        if name in WORDS:
            return say(_flowing(value))
        if name == "default" and isinstance(value, str) and _is_text(said):
            return say(value)
        return value if name in VALUES else whole(value)

    form: dict[str, Any] = whole(_untitled(schema))
    return form


def _flowing(text: str) -> str:
    """Return a text without the line breaks of the code, but for those between paragraphs."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _is_text(schema: Mapping[str, Any]) -> bool:
    """Tell whether it is a text with fields, which people may have left empty."""
    return any(each.get("format") == "template" for each in (schema, *schema.get("anyOf", ())))


def _untitled(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in schema.items() if name != "title"}


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
    return page_among(actions, paging, "code")
