"""Generate code: something to tell a client by, which nobody can guess."""

from collections.abc import Sequence
from enum import StrEnum
from secrets import choice
from string import ascii_lowercase, ascii_uppercase, digits

from pydantic import Field

from activities.field_changes import LONGEST_PATH, gone_field, unknown_field
from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    RulePlace,
    rule_action,
)
from models.errors import ActionFailed, Problem
from models.field_definition import catalogue_of
from models.field_writing import ITEM, Writable, WritableFields, as_sent
from models.fields import FieldKind
from models.item_edit import edit_item, find_whole
from models.item_type import ItemType
from models.unique_values import first_free

TRIES = 100


class Alphabet(StrEnum):
    """What a code is made of."""

    DIGITS = "digits"
    LOWER = "lower"
    UPPER = "upper"


CHARACTERS = {
    Alphabet.DIGITS: digits,
    Alphabet.LOWER: ascii_lowercase,
    Alphabet.UPPER: ascii_uppercase,
}


class GenerateCode(ActionParams):
    length: int = Field(
        default=5, ge=1, le=64, strict=True, title="Length", description="How many characters."
    )
    alphabets: tuple[Alphabet, ...] = Field(
        default=(Alphabet.DIGITS,),
        min_length=1,
        title="Made of",
        description="What the characters are taken from, each as likely.",
    )
    target: str | None = Field(
        default=None,
        title="Field",
        max_length=LONGEST_PATH,
        description="A text field of the item that gets the code; then no other item of the type "
        "has the same there.",
        examples=["deal.custom.pickup_code"],
    )

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        if self.target is None:
            return []
        item_type = place.stage.pipeline.item_type
        fields = await WritableFields.of(place.session, ITEM, item_type)
        field = fields.find(self.target)
        if field is None:
            catalogue = await catalogue_of(place.session, item_type)
            return [Problem("/target", unknown_field(self.target, fields, catalogue))]
        if field.kind is not FieldKind.TEXT or field.several:
            return [Problem("/target", f"{self.target} is no field of text")]
        return []

    def draw(self) -> str:
        """Return one code at random."""
        characters = "".join(CHARACTERS[each] for each in dict.fromkeys(self.alphabets))
        return "".join(choice(characters) for _ in range(self.length))


@rule_action(
    title="Generate code",
    group=ActionGroup.MANAGE_ITEMS,
    items=ItemType,
    results=[Result("code", "Code", FieldKind.TEXT, short="code")],
)
async def generate_code(params: GenerateCode, context: ActionContext) -> str:
    """Make a code that nobody can guess, for rules below and, if chosen, for a field of the item.

    In a field it is unique among items of the type, those in the recycle bin included.
    """
    if params.target is None:
        code = params.draw()
    else:
        code = await _unique(params, await _field(params.target, context), context)
    context.leave(code=code)
    return f"Generated {code}."


async def _field(path: str, context: ActionContext) -> Writable:
    fields = await WritableFields.of(context.session, ITEM, context.item.type)
    field = fields.find(path)
    if field is None:
        raise ActionFailed(gone_field(path, fields))
    return field


async def _unique(params: GenerateCode, field: Writable, context: ActionContext) -> str:
    """Write a code into the field that no other item has there, and return it."""
    item = await find_whole(context.session, context.item.id, type(context.item))
    codes = [params.draw() for _ in range(TRIES)]
    code = await first_free(context.session, item.type, field, codes)
    if code is None:
        raise ActionFailed(
            f"Found no free code in {TRIES} tries. Let it be longer, or made of more."
        )
    await edit_item(context.session, item, as_sent({field.name: code}), context.cause)
    return code
