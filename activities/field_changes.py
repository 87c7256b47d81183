"""Field changes: what rules that edit something have in common, whatever it is that they edit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, FiniteFloat, Strict, StrictBool, StrictInt, Tag

from activities.registry import ActionContext, ActionParams, Result, RulePlace
from models.base import find_named
from models.errors import ActionFailed, Invalid, Problem
from models.field_definition import catalogue_of
from models.field_writing import ITEM, Writable, WritableFields, refused_by_path
from models.fields import Catalogue, FieldKind
from models.item_date import ItemDate, When
from models.templates import Template
from models.timing import Delay
from models.user_choice import UserChoice

MOST_CHANGES = 50
MOST_VALUES = 50
LONGEST_PATH = 200

UTC = "UTC"

WITH_FIELDS = ("{{", "{%")
"""What a text with fields holds; without them it says the same for every item."""

TIMES = frozenset({FieldKind.DATE, FieldKind.DATETIME})

CHANGED = Result("changed", "How many fields were changed", FieldKind.NUMBER)

EDITED_BY = {"contact": "edit_contact", "company": "edit_company"}
"""Which action changes the fields of what stands before them; of all else it is `edit_item`."""

MOVED_BY = {
    "stage": "change_stage",
    "stage_id": "change_stage",
    "pipeline": "change_pipeline",
    "pipeline_id": "change_pipeline",
}


def _shape(value: object) -> str:
    match value:
        case str():
            return "text"
        case list() | tuple():
            return "several"
        case UserChoice():
            return "person"
        case Mapping() if "by" in value:
            return "person"
        case Mapping() | Delay():
            return "moment"
    return "plain"


Plain = StrictBool | StrictInt | Annotated[FiniteFloat, Strict()] | None

Value = Annotated[
    Annotated[Template, Tag("text")]
    | Annotated[tuple[StrictInt | Template, ...], Field(max_length=MOST_VALUES), Tag("several")]
    | Annotated[When, Tag("moment")]
    | Annotated[UserChoice, Tag("person")]
    | Annotated[Plain, Tag("plain")],
    Discriminator(_shape),
]


class FieldChange(ActionParams):
    """One field and its new value.

    The value is of the kind of the field, or a text with fields, which is read as that kind. Users
    can be told by what they are to the item, dates and times by when the rule runs or by another
    date. Where a field holds several values, each line of a text is one.
    """

    field: str = Field(
        title="Field",
        max_length=LONGEST_PATH,
        examples=["deal.amount", "deal.custom.contract_no", "contact.phones"],
    )
    value: Value = Field(default=None, title="Value", description="Nothing empties the field.")


class FieldChanges(ActionParams):
    """What is to be changed, how, and as whom."""

    changes: tuple[FieldChange, ...] = Field(
        title="Changes",
        min_length=1,
        max_length=MOST_CHANGES,
        description="Each names a field and its new value.",
    )
    append: bool = Field(
        default=False,
        title="Add to what is there",
        description="Of fields that hold several values; else the new ones replace them.",
    )
    changed_by: UserChoice | None = Field(
        default=None, title="Changed by", description="Automation, if not chosen."
    )

    root: ClassVar[str] = ITEM
    """What is edited: the item, or its `contact` or `company`."""

    async def problems(self, place: RulePlace) -> Sequence[Problem]:
        item_type = place.stage.pipeline.item_type
        fields = await WritableFields.of(place.session, self.root, item_type)
        catalogue = await catalogue_of(place.session, item_type)
        found, seen = [], set[str]()
        for number, change in enumerate(self.changes):
            at, field = f"/changes/{number}", fields.find(change.field)
            if field is None:
                found.append(Problem(f"{at}/field", unknown_field(change.field, fields, catalogue)))
            elif field.name in seen:
                found.append(Problem(f"{at}/field", f"{change.field} is there twice"))
            else:
                seen.add(field.name)
                wrong = await _wrong(change.value, field, catalogue, place)
                found += [Problem(f"{at}/value{each.field}", each.reason) for each in wrong]
        return found

    async def values(self, row: Any, context: ActionContext) -> dict[str, Any]:
        """Return the new values of a row by name, as edits take them, or fail saying why not."""
        fields = await WritableFields.of(context.session, self.root, context.item.type)
        values = {}
        for change in self.changes:
            field = fields.find(change.field)
            if field is None:
                raise ActionFailed(gone_field(change.field, fields))
            value = await _said(change.value, field, context)
            if self.append and isinstance(value, list):
                there = field.present(row) or []
                value = [*there, *(each for each in value if each not in there)]
            with refused_by_path(change.field):
                values[field.name] = field.read(value)
        return values


def changed_in_words(titles: Sequence[str], of: str = "") -> str:
    """Return the sentence that an edit of these fields leaves in history."""
    return f"Changed {', '.join(titles)}{of}." if titles else "Nothing changed."


async def _said(value: Any, field: Writable, context: ActionContext) -> object:
    """Return a value as JSON, the fields of the item filled in; one of several is a list."""
    match value:
        case str() | tuple():
            return _read(value, field, context.exact, context.home.time_zone)
        case Delay():
            moment = context.moment(value)
            return moment and field.of_moment(moment, context.home.time_zone)
        case UserChoice():
            return (await context.user(value)).id
    return _listed(value, field)


def _read(value: Any, field: Writable, fill: Callable[[str], str], zone: str) -> object:
    """Return what a text, or several, say for a field once they are filled in."""
    texts = value if isinstance(value, tuple) else (value,)
    lines = [fill(each) if isinstance(each, str) else str(each) for each in texts]
    return field.of_text("\n".join(lines), zone)


def _listed(value: object, field: Writable) -> object:
    """Return a plain value as a list, where the field holds several."""
    if not field.several:
        return value
    return [] if value is None else [value]


def unknown_field(path: str, fields: WritableFields, catalogue: Catalogue) -> str:
    """Say why a rule cannot set a field, and what would."""
    root, _, name = path.partition(".")
    own = root in {catalogue.item_type, ITEM}
    if own and name in MOVED_BY:
        return f"{path} is changed by the action {MOVED_BY[name]}"
    action = EDITED_BY.get(root, "edit_item" if own else None)
    if action is not None and action != EDITED_BY.get(fields.root, "edit_item"):
        return f"{path} is changed by the action {action}"
    if catalogue.find(path) is not None:
        instead = f"{name}s"  # All phones can be set, not the first alone.
        hint = f", but {fields.root}.{instead} can" if instead in fields.by_name else ""
        return f"{path} cannot be changed{hint}"
    return gone_field(path, fields)


def gone_field(path: str, fields: WritableFields) -> str:
    return f"unknown field {path}{fields.meant(path)}"


async def _wrong(
    value: Any, field: Writable, catalogue: Catalogue, place: RulePlace
) -> Sequence[Problem]:
    """Return what is wrong with a value for every item; pointers begin at the value."""
    if unsuited := _unsuited(value, field):
        return [Problem("", unsuited)]
    if isinstance(value, ItemDate):
        return value.problems(catalogue)
    if isinstance(value, Delay | UserChoice) or _varies(value):
        return []
    texts = isinstance(value, str | tuple)
    constant = _read(value, field, str, UTC) if texts else _listed(value, field)
    try:
        field.check(constant)
        await _must_be_there(constant, field, place)
    except Invalid as error:
        within = isinstance(value, tuple)
        return [Problem(each.field if within else "", each.reason) for each in error.problems]
    return []


def _unsuited(value: Any, field: Writable) -> str | None:
    """Say why a field cannot hold values of that shape, if it cannot."""
    match value:
        case UserChoice() if field.kind is not FieldKind.USER:
            return "this field holds no user"
        case Delay() if field.kind not in TIMES:
            return "this field holds no date or time"
        case tuple() if not field.several:
            return "this field holds one value, not a list"
    return None


def _varies(value: object) -> bool:
    texts = value if isinstance(value, tuple) else (value,)
    return any(mark in str(text) for text in texts for mark in WITH_FIELDS)


async def _must_be_there(value: Any, field: Writable, place: RulePlace) -> None:
    """Raise `Invalid` where an id names nothing, with pointers within the value."""
    if field.names is None or value is None:
        return
    for number, row_id in enumerate(value if field.several else [value]):
        at = f"/{number}" if field.several else ""
        await find_named(place.session, field.names, int(row_id), at, lock=False)
