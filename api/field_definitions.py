"""Custom fields: what items hold beside their own fields, as the company wants it."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import AfterValidator, Field, WithJsonSchema

from api.dependencies import MANAGERS, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Filter, Id, Name, Page, Read, Version, Whole, Write
from models.custom_values import KINDS
from models.field_definition import (
    LONGEST_NAME,
    NAME,
    FieldDefinition,
    add_definition,
    change_definition,
    definitions_where,
    find_definition,
    remove_definition,
)
from models.fields import FieldKind
from models.item_type import ItemType

router = resource("custom fields", "/field-definitions")

MOST_CHOICES = 200
HIGHEST_POSITION = 10_000


def _can_be_custom(kind: FieldKind) -> FieldKind:
    if kind in KINDS:
        return kind
    raise ValueError(f"a custom field is one of {', '.join(KINDS)}")


Kind = Annotated[
    FieldKind,
    AfterValidator(_can_be_custom),
    WithJsonSchema({"type": "string", "enum": [str(kind) for kind in KINDS]}),
]
Position = Annotated[Whole, Field(ge=0, le=HIGHEST_POSITION)]
Choices = Annotated[
    list[Name], Field(max_length=MOST_CHOICES, description="Of a `list` or `multi`; each once.")
]


class FieldDefinitionRead(Read):
    """`name` is what the API, texts and conditions call it: `deal.custom.contract_no`."""

    id: int
    item_type: ItemType
    name: str
    title: str
    kind: FieldKind
    choices: list[str]
    position: int
    created_at: datetime
    version: Version


class FieldDefinitionCreate(Write):
    """Item type, name and kind are for ever."""

    item_type: ItemType
    name: Annotated[
        str,
        Field(
            max_length=LONGEST_NAME,
            examples=["contract_no"],
            json_schema_extra={"pattern": NAME},
        ),
    ]
    title: Name
    kind: Kind
    choices: Choices = []
    position: Position | None = Field(default=None, description="Below the others, if left out.")

    def definition(self) -> FieldDefinition:
        return FieldDefinition(**self.model_dump(exclude={"position"}))


class FieldDefinitionUpdate(Write):
    """What is left out stays as it is. Items keep a choice that is no longer one."""

    title: Name = ""
    choices: Choices = []
    position: Position = 0


class FieldDefinitionFilter(Filter):
    """Which custom fields to list."""

    item_type: ItemType | None = None


Sorted = Annotated[PageQuery, sorted_by("id", "position", "name", "title")]


async def _present(session: Session, field_definition_id: Id) -> FieldDefinition:
    return await find_definition(session, field_definition_id)


async def _locked(session: Session, field_definition_id: Id, match: IfMatch) -> FieldDefinition:
    return match.of(await find_definition(session, field_definition_id, lock=True))


PresentDefinition = Annotated[FieldDefinition, Depends(_present)]
LockedDefinition = Annotated[FieldDefinition, Depends(_locked)]


@router.get("")
async def list_field_definitions(
    session: ReadSession, where: Annotated[FieldDefinitionFilter, Query()], paging: Sorted
) -> Page[FieldDefinitionRead]:
    """Return custom fields, oldest first, if not said otherwise."""
    wanted = definitions_where(**where.asked())
    return await page_of(session, wanted, paging, FieldDefinitionRead)


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[MANAGERS])
async def create_field_definition(
    session: Session, new: FieldDefinitionCreate
) -> FieldDefinitionRead:
    """Give items of a type a custom field, of which each type has at most 100.

    What its values look like in `custom` of an item: `text` and `list` a text, `number` a number,
    `money` a text such as `"12.50"` in the currency of the item, `date` `"2027-12-31"`, `datetime`
    a time in UTC, `boolean` true or false, `user` the id of one, `multi` a list of texts.
    """
    definition = new.definition()
    await add_definition(session, definition, position=new.position)
    return FieldDefinitionRead.model_validate(definition)


@router.get("/{field_definition_id}")
async def read_field_definition(definition: PresentDefinition) -> FieldDefinitionRead:
    """Return a custom field."""
    return FieldDefinitionRead.model_validate(definition)


@router.patch("/{field_definition_id}", dependencies=[MANAGERS])
async def update_field_definition(
    session: Session, definition: LockedDefinition, sent: FieldDefinitionUpdate
) -> FieldDefinitionRead:
    """Change title, choices or position; for another name or kind, make another field."""
    await change_definition(session, definition, sent.changes())
    return FieldDefinitionRead.model_validate(definition)


@router.delete(
    "/{field_definition_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS]
)
async def delete_field_definition(session: Session, definition: LockedDefinition) -> None:
    """Delete a custom field; 409 while rules or triggers speak of it.

    Items keep their values and show them; they can be removed with null, and not changed.
    """
    await remove_definition(session, definition)
