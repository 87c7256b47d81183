"""The catalogue of types of trigger: what moves items by itself, and the settings each takes."""

from functools import cache, partial
from typing import Any, Self

from pydantic import Field

from api.forms import Say, flowing, form_of
from api.languages import Language
from api.paging import Paging, page_among
from api.routing import resource
from api.schemas import Page, Read
from models.item_type import ItemType
from models.languages import translated
from models.trigger_type import TriggerType, all_trigger_types

router = resource("triggers", "/trigger-types")


class TriggerTypeRead(Read):
    code: str = Field(description="What a trigger names as its `type`.")
    title: str = Field(description="How a form calls it.")
    description: str = Field(description="When such a trigger moves an item.")
    items: list[ItemType] = Field(description="Whose stages may have such a trigger.")
    settings: dict[str, Any] = Field(
        description="JSON Schema of the settings, whole: it refers to nothing else."
    )

    @classmethod
    def of(cls, kind: TriggerType[Any, Any], say: Say) -> Self:
        return cls(
            code=kind.code,
            title=say(kind.title),
            description=say(flowing(kind.description)),
            items=list(kind.items),
            settings=form_of(kind.settings, say),
        )


@cache
def _told(kind: TriggerType[Any, Any], language: str) -> TriggerTypeRead:
    """Return a type in a language; to write its schema takes a millisecond."""
    return TriggerTypeRead.of(kind, partial(translated, locale=language))


@router.get("")
async def list_trigger_types(language: Language, paging: Paging) -> Page[TriggerTypeRead]:
    """Return every type that a trigger can have: everything that may move items by itself.

    With the settings of each as JSON Schema, defaults included. Titles and descriptions are in the
    language that is asked for.
    """
    types = [_told(kind, language) for kind in all_trigger_types().values()]
    return page_among(types, paging, "code", TriggerTypeRead)
