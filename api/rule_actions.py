"""The catalogue of actions: what rules can do, and which settings each has."""

from typing import Any, Self

from fastapi import APIRouter
from pydantic import Field

from activities.registry import ActionGroup, RuleAction, all_actions
from api.schemas import Page, Read
from models.item_type import ItemType

router = APIRouter(prefix="/actions", tags=["rules"])


class ActionRead(Read):
    code: str
    title: str
    description: str
    group: ActionGroup
    items: list[ItemType] = Field(description="Whose stages may have such a rule.")
    warning: str | None = Field(description="To be shown before it is chosen.")
    params: dict[str, Any] = Field(description="JSON Schema of the settings.")

    @classmethod
    def of(cls, action: RuleAction[Any]) -> Self:
        return cls(
            code=action.code,
            title=action.title,
            description=action.description,
            group=action.group,
            items=list(action.items),
            warning=action.warning,
            params=action.params.model_json_schema(),
        )


@router.get("")
async def list_actions() -> Page[ActionRead]:
    """Return every action that a rule can have."""
    return Page(items=[ActionRead.of(action) for action in all_actions().values()])
