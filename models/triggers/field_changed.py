"""Field changed: something that is known of the item is otherwise now."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from models.conditions import NAMES_IN_HISTORY, OWN_LINKS, Comparison, Operator, check
from models.errors import Problem
from models.field_definition import catalogue_of
from models.field_writing import ITEM, WritableFields
from models.inputs import StoredText
from models.occasion import FieldsOccasion
from models.trigger_type import TriggerPlace, TriggerSettings, trigger_type

MOST_FIELDS = 50
LONGEST_PATH = 200
RESPONSIBLE = frozenset({"responsible"})
"""What another type watches: one change would move an item twice."""


class FieldChanged(TriggerSettings):
    """Which fields are watched."""

    fields: Annotated[
        tuple[Annotated[StoredText, Field(max_length=LONGEST_PATH)], ...],
        Field(min_length=1, max_length=MOST_FIELDS),
    ] = Field(
        title="Fields",
        description="Named as in conditions, or as rules set them.",
        examples=[["deal.amount", "deal.custom.contract_no"]],
    )

    async def problems(self, place: TriggerPlace) -> Sequence[Problem]:
        item_type = place.stage.pipeline.item_type
        catalogue = await catalogue_of(place.session, item_type)
        written = await WritableFields.of(place.session, ITEM, item_type)
        found = []
        for number, path in enumerate(self.fields):
            at = f"/fields/{number}"
            if path in self.fields[:number]:
                found.append(Problem(at, f"{path} is there twice"))
            elif _in_history(path) == RESPONSIBLE:
                why = f"{path} is watched by triggers of the type responsible_changed"
                found.append(Problem(at, why))
            elif written.find(path) is None:
                followed = Comparison(field=path, operator=Operator.CHANGED)
                found += [Problem(at, each.reason) for each in check(followed, catalogue)]
        return found

    def in_words(self) -> str | None:
        return ", ".join(self.fields)


@trigger_type(title="Field changed")
def field_changed(settings: FieldChanged, occasion: FieldsOccasion) -> str | None:
    """Move the item when one of its fields really changes, whoever changes it.

    What a new item begins with is no change, nor is a value that was there before. Who is
    responsible has a trigger of its own.
    """
    if any(occasion.fields & _in_history(path) for path in settings.fields):
        return None
    return f"It was {', '.join(sorted(occasion.fields))} that changed."


def _in_history(path: str) -> frozenset[str]:
    """Return how history calls changes of a field."""
    root, _, name = path.partition(".")
    if path in OWN_LINKS:
        return frozenset({root})
    if not name.startswith("custom."):
        name = name.removesuffix("_id").replace("_ids", "s")
    return NAMES_IN_HISTORY.get(name, frozenset({name}))
