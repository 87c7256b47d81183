"""Field definitions: the custom fields that items of a type have beside their own."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, Text, UniqueConstraint, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, joinedload, mapped_column

from models.base import Base, EnumText, Record, Versioned, assign, having
from models.client import the_first
from models.custom_values import WITH_CHOICES
from models.errors import Conflict, Invalid, NotFound, Problem
from models.fields import Catalogue, Field, FieldKind
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage
from models.rule import Rule, RuleVersion, present
from models.trigger import Trigger, triggers_where

MOST_DEFINITIONS = 100
"""Custom fields that items of one type can have."""

CUSTOM = "custom"
"""What stands before the name of a custom field wherever one is mentioned."""

LONGEST_NAME = 64
NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class FieldDefinition(Record, Versioned, Base, kw_only=True):
    """`name` is an identifier (`deal.custom.contract_no`); `choices` are texts.

    Item type, name and kind are for ever: values and rules stand on them.
    """

    __tablename__ = "field_definitions"
    __table_args__ = (UniqueConstraint("item_type", "name"), Record.options)

    item_type: Mapped[ItemType] = mapped_column(EnumText(ItemType))
    name: Mapped[str]
    title: Mapped[str]
    kind: Mapped[FieldKind] = mapped_column(EnumText(FieldKind))
    choices: Mapped[list[Any]] = mapped_column(default_factory=list)
    position: Mapped[int] = mapped_column(default=0)


async def catalogue_of(
    session: AsyncSession, item_type: ItemType, *, wanted: str = CUSTOM
) -> Catalogue:
    """Return every field that items of this type offer, custom ones included.

    `wanted` is any text that mentions the names of all fields that matter: where none is custom,
    nothing is read.
    """
    if CUSTOM not in wanted:
        return Catalogue.of(item_type)
    custom = await custom_fields_of(session, item_type)
    return Catalogue.of(item_type, custom.values())


async def custom_fields_of(session: AsyncSession, item_type: ItemType) -> Mapping[str, Field]:
    """Return the custom fields of items of this type by name, in order; their paths are names."""
    defined = await session.scalars(
        select(FieldDefinition)
        .where(FieldDefinition.item_type == item_type)
        .order_by(FieldDefinition.position, FieldDefinition.id)
    )
    return {
        each.name: Field(each.name, each.title, each.kind, choices=tuple(each.choices))
        for each in defined
    }


async def booking_fields_of(session: AsyncSession, item_type: ItemType) -> Sequence[str]:
    """Return the names of those custom fields that bookings fill, in order."""
    fields = await custom_fields_of(session, item_type)
    return [name for name, field in fields.items() if field.kind is FieldKind.BOOKING]


def definitions_where(**values: object) -> Select[FieldDefinition]:
    """Return the definitions that have these values, None meaning any."""
    return having(select(FieldDefinition), **values)


async def find_definition(
    session: AsyncSession, definition_id: int, *, lock: bool = False
) -> FieldDefinition:
    """Return a definition, or raise `NotFound`."""
    definition = await session.get(
        FieldDefinition, definition_id, with_for_update=lock or None, populate_existing=lock
    )
    if definition is None:
        raise NotFound(f"There is no custom field {definition_id}.")
    return definition


async def add_definition(
    session: AsyncSession, definition: FieldDefinition, *, position: int | None = None
) -> None:
    """Give items one more custom field, by default below the others of their type."""
    item_type, name = definition.item_type, definition.name
    if len(name) > LONGEST_NAME or not re.fullmatch(NAME, name):
        reason = "A name is made of letters a to z, digits and _, such as contract_no."
        raise Invalid(Problem("/name", reason))
    _must_suit(definition.kind, definition.choices)
    others = list(await session.scalars(definitions_where(item_type=item_type)))
    if known := next((each for each in others if each.name == name), None):
        reason = f"There is a custom field {name} of {item_type}s already: {known.id}."
        raise Conflict(reason, field="/name")
    if len(others) >= MOST_DEFINITIONS:
        raise Conflict(f"There are {len(others)} custom fields of {item_type}s, no more can be.")
    below = max((each.position for each in others), default=-1) + 1
    definition.position = below if position is None else position
    session.add(definition)
    await session.flush()


async def change_definition(
    session: AsyncSession, definition: FieldDefinition, changes: Mapping[str, Any]
) -> None:
    """Change title, choices or position; items keep a choice that is no longer one."""
    _must_suit(definition.kind, changes.get("choices", definition.choices))
    assign(definition, changes)
    await session.flush()


async def remove_definition(session: AsyncSession, definition: FieldDefinition) -> None:
    """Delete a locked definition that no rule or trigger speaks of; items keep their values."""
    uses = [*await _rules_on(session, definition), *await _triggers_on(session, definition)]
    if uses:
        raise Conflict(
            f"Custom field {definition.name} of {definition.item_type}s is still used: "
            f"{the_first(uses)}."
        )
    await session.delete(definition)
    await session.flush()


def _must_suit(kind: FieldKind, choices: Sequence[str]) -> None:
    """Refuse choices where there can be none, and their lack where there must be some."""
    if kind not in WITH_CHOICES:
        problems = [Problem("/choices", f"A {kind} has no choices.")] if choices else []
    elif not choices:
        problems = [Problem("/choices", f"A {kind} needs at least one choice.")]
    else:
        problems = [
            Problem(f"/choices/{place}", f"{choice} is there twice.")
            for place, choice in enumerate(choices)
            if choice in choices[:place]
        ]
    if problems:
        raise Invalid(*problems)


async def _rules_on(session: AsyncSession, definition: FieldDefinition) -> list[str]:
    """Return the rules whose present version speaks of a custom field, in words."""
    texts = (RuleVersion.params, RuleVersion.conditions, RuleVersion.timing)
    rules = await session.scalars(
        select(Rule)
        .join(Rule.version)
        .join(Rule.stage)
        .join(Stage.pipeline)
        .where(
            Pipeline.item_type == definition.item_type,
            Rule.deleted_at.is_(None),
            or_(*(cast(text, Text).contains(CUSTOM) for text in texts)),
        )
        .options(joinedload(Rule.version))
        .order_by(Rule.id)
    )
    mention = _mention_of(definition)
    return [
        f"rule {rule.id} «{present(rule).title}»"
        for rule in rules
        if any(map(mention.search, _texts_in(_said_by(present(rule)))))
    ]


async def _triggers_on(session: AsyncSession, definition: FieldDefinition) -> list[str]:
    """Return the triggers that speak of a custom field, in words."""
    triggers = await session.scalars(
        triggers_where()
        .join(Trigger.stage)
        .join(Stage.pipeline)
        .where(
            Pipeline.item_type == definition.item_type,
            or_(
                *(
                    cast(text, Text).contains(CUSTOM)
                    for text in (Trigger.settings, Trigger.conditions)
                )
            ),
        )
        .order_by(Trigger.id)
    )
    mention = _mention_of(definition)
    return [
        trigger.called
        for trigger in triggers
        if any(map(mention.search, _texts_in([trigger.settings, trigger.conditions])))
    ]


def _mention_of(definition: FieldDefinition) -> re.Pattern[str]:
    """Return what finds a custom field in the texts of rules and triggers."""
    name = rf"(\.\s*|\[\s*['\"])\s*{definition.name}(?!\w)"
    return re.compile(rf"\b{CUSTOM}(['\"]\s*\])?\s*{name}", re.ASCII)


def _said_by(version: RuleVersion) -> list[Any]:
    return [version.params, version.conditions, version.timing]


def _texts_in(value: object) -> Iterator[str]:
    """Yield every text anywhere in JSON."""
    match value:
        case str():
            yield value
        case Mapping():
            for part in value.values():
                yield from _texts_in(part)
        case list():
            for part in value:
                yield from _texts_in(part)
