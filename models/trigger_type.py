"""What a type of trigger is, what it may ask for, and the catalogue of all there are.

A file in `models/triggers/` that uses `trigger_type` is in the catalogue; nothing else is needed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import get_annotations, getdoc
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from models.catalogues import SelfFilled
from models.errors import Problem
from models.item_type import ItemType
from models.occasion import Occasion
from models.pipeline import Stage


class TriggerPlace(NamedTuple):
    """Where a trigger is being saved: types check their settings against it."""

    session: AsyncSession
    stage: Stage


class TriggerSettings(BaseModel):
    """The settings of a type of trigger: form, API schema and validation in one."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    async def problems(self, place: TriggerPlace) -> Sequence[Problem]:  # noqa: ARG002
        """Return what is wrong with them on that stage; pointers begin at the settings."""
        return ()

    def in_words(self) -> str | None:
        """Return what they narrow the type down to, for the name of the trigger, or None."""
        return None


Settings = TypeVar("Settings", bound=TriggerSettings)
What = TypeVar("What", bound=Occasion)
WhyNot = Callable[[Settings, What], str | None]
"""Says why an occasion is not meant by the settings, in one sentence; None where it is."""


@dataclass(frozen=True)
class TriggerType(Generic[Settings, What]):
    """One kind of thing that triggers wait for; `code` is its name everywhere."""

    code: str
    title: str
    description: str
    items: tuple[ItemType, ...]
    settings: type[Settings]
    why_not: WhyNot[Settings, What]

    def name_of(self, settings: Settings, say: Callable[[str], str] = str) -> str:
        """Return the name of a trigger that nobody has given one: title and setting.

        `say` says the title in a language.
        """
        title, narrowed = say(self.title), settings.in_words()
        return title if narrowed is None else f"{title}: {narrowed}"


def trigger_type(
    *, title: str, items: Iterable[ItemType] = tuple(ItemType)
) -> Callable[[WhyNot[Settings, What]], WhyNot[Settings, What]]:
    """Put a type into the catalogue under the name of its function, with the settings it takes.

    Its docstring says when such a trigger moves an item.
    """

    def register(why_not: WhyNot[Settings, What]) -> WhyNot[Settings, What]:
        kind = TriggerType(
            code=why_not.__name__,
            title=title,
            description=(getdoc(why_not) or "").strip(),
            items=tuple(items),
            settings=get_annotations(why_not)["settings"],
            why_not=why_not,
        )
        _types.add(kind.code, kind)
        return why_not

    return register


_types: SelfFilled[TriggerType[Any, Any]] = SelfFilled("models.triggers", what="types of trigger")


@cache
def all_trigger_types() -> dict[str, TriggerType[Any, Any]]:
    """Return every type by its code."""
    return _types.whole()
