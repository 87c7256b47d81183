"""Bookings: what actions share that book something, or cancel what was booked, in a field."""

from collections.abc import Sequence

from pydantic import Field

from activities.field_changes import LONGEST_PATH
from activities.registry import ActionContext, ActionParams, RulePlace
from models.errors import ActionFailed, Problem
from models.field_definition import booking_fields_of
from models.field_writing import ITEM
from models.item_type import ItemType
from models.near_misses import did_you_mean


class InBookingField(ActionParams):
    """In which field of the item a booking stands."""

    field: str = Field(
        title="Booking field",
        max_length=LONGEST_PATH,
        description="A custom field of the item of the kind booking.",
        examples=["deal.custom.visit"],
    )

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        item_type = place.stage.pipeline.item_type
        known = await booking_fields_of(place.session, item_type)
        reason = _unknown(self.field, item_type, known)
        return [Problem("/field", reason)] if reason else []

    async def name(self, context: ActionContext) -> str:
        """Return the name of the field, or fail where the item has none such."""
        item_type = context.item.type
        known = await booking_fields_of(context.session, item_type)
        if reason := _unknown(self.field, item_type, known):
            raise ActionFailed(reason)
        return self.field.rpartition(".")[2]


def _unknown(path: str, item_type: ItemType, known: Sequence[str]) -> str | None:
    """Say why a path leads to no booking field, and which was perhaps meant."""
    root, _, name = path.partition(".custom.")
    if root in {item_type.value, ITEM} and name in known:
        return None
    paths = [f"{item_type}.custom.{each}" for each in known]
    return f"{path} is no booking field of {item_type}s{did_you_mean(path, paths)}"
