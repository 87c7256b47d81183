"""The catalogue of actions: what rules can do, and which settings each has."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from activities.registry import ActionGroup, RuleAction, all_actions
from api.paging import Paging, page_among
from api.routing import resource
from api.schemas import Page, Read
from models.fields import FieldKind
from models.item_type import ItemType

router = resource("rules", "/actions")


class ResultRead(Read):
    """Something that it leaves for the rules below it: `results.<code>.<name>`."""

    name: str = Field(validation_alias="path")
    title: str
    kind: FieldKind


class ActionRead(Read):
    code: str
    title: str
    description: str
    group: ActionGroup
    items: list[ItemType] = Field(description="Whose stages may have such a rule.")
    warning: str | None = Field(description="To be shown before it is chosen.")
    params: dict[str, Any] = Field(
        description="JSON Schema of the settings, whole: it refers to nothing else."
    )
    results: list[ResultRead] = Field(description="What rules below it can speak of.")

    @classmethod
    def of(cls, action: RuleAction[Any]) -> Self:
        return cls(
            code=action.code,
            title=action.title,
            description=action.description,
            group=action.group,
            items=list(action.items),
            warning=action.warning,
            params=_whole(action.params.model_json_schema()),
            results=[ResultRead.model_validate(each) for each in action.results],
        )


def _whole(schema: Any, definitions: Mapping[str, Any] | None = None) -> Any:
    """Return a JSON Schema with its definitions in the places that refer to them."""
    if isinstance(schema, list):
        return [_whole(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    known = schema.get("$defs", {}) if definitions is None else definitions
    meant = known.get(str(schema.get("$ref", "")).rpartition("/")[2], {})
    parts = {**meant, **schema}
    return {name: _whole(parts[name], known) for name in parts if name not in {"$ref", "$defs"}}


@router.get("")
async def list_actions(paging: Paging) -> Page[ActionRead]:
    """Return every action that a rule can have.

    With the settings of each as JSON Schema, and a warning where it destroys something.
    """
    return page_among([ActionRead.of(action) for action in all_actions().values()], paging, "code")
