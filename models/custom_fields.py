"""Custom fields of items: what is sent is checked against the definitions, and changes are told."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.base import in_order
from models.custom_values import accepted, meaning, pointer_of
from models.errors import Invalid, Problem
from models.field_definition import custom_fields_of
from models.fields import Field, FieldKind
from models.item import Item
from models.item_type import ItemType
from models.mistakes import shortened, unknown
from models.user import User


async def with_custom(session: AsyncSession, item: Item, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return all custom values of an item, with those sent in place of its own.

    None removes a value, also one whose definition is gone. What an item has already is accepted
    as it is. Raises `Invalid` with every field that is wrong.
    """
    fields = await custom_fields_of(session, item.type)
    values = dict(item.custom)
    problems: list[Problem] = []
    for name, value in sent.items():
        present = item.custom.get(name)
        booked = name in fields and fields[name].kind is FieldKind.BOOKING and present is not None
        if value is None and not booked and (name in fields or name in item.custom):
            values.pop(name, None)
        elif name in fields:
            try:
                values[name] = accepted(fields[name], value, present)
            except Invalid as error:
                problems += error.problems
        elif present is None or (type(present), present) != (type(value), value):
            problems.append(unknown_custom_field(name, fields))
    problems += await _missing_users(session, fields, item.custom, values)
    if problems:
        raise Invalid(*problems)
    return values


async def in_common(session: AsyncSession, item: Item, item_type: ItemType) -> dict[str, Any]:
    """Return the custom values of an item that items of another type can hold as well.

    These have a field of the same name and kind, which takes the value.
    """
    own, theirs = [await custom_fields_of(session, each) for each in (item.type, item_type)]
    values = {}
    for name, value in item.custom.items():
        if name in own and name in theirs and own[name].kind is theirs[name].kind:
            with suppress(Invalid):
                values[name] = accepted(theirs[name], value)
    return values


@dataclass(frozen=True)
class CustomChange:
    """A custom field that has changed; its values are as kept, a user's name for the id."""

    name: str
    title: str
    old: object
    new: object


async def custom_changes(
    session: AsyncSession, item_type: ItemType, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[CustomChange]:
    """Return what differs between two states of an item's custom values, for people to read."""
    fields = await custom_fields_of(session, item_type)
    names = [name for name in sorted(old.keys() | new.keys()) if not _same(old, new, name)]
    told_old, told_new = dict(old), dict(new)
    people = await users_in(
        session, [*user_ids(fields, old).values(), *user_ids(fields, new).values()]
    )
    for told in (told_old, told_new):
        told |= {
            name: people[user_id].name
            for name, user_id in user_ids(fields, told).items()
            if user_id in people
        }
    return [
        CustomChange(
            name,
            fields[name].title if name in fields else name,
            told_old.get(name),
            told_new.get(name),
        )
        for name in names
    ]


async def users_in(session: AsyncSession, ids: Iterable[int]) -> dict[int, User]:
    """Return these users by id; those that are not there are left out."""
    wanted = in_order(ids)
    if not wanted:
        return {}
    found = await session.scalars(select(User).where(User.id.in_(wanted)))
    return {user.id: user for user in found}


def _same(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> bool:
    # True equals 1, yet they are two things to whoever reads them.
    return repr(old.get(name)) == repr(new.get(name))


def user_ids(fields: Mapping[str, Field], values: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of the users that custom values hold, by name of the field."""
    return {
        name: user_id
        for name, field in fields.items()
        if field.kind is FieldKind.USER
        and isinstance(user_id := meaning(field.kind, values.get(name)), int)
    }


async def _missing_users(
    session: AsyncSession,
    fields: Mapping[str, Field],
    present: Mapping[str, Any],
    new: Mapping[str, Any],
) -> list[Problem]:
    """Say who of the users that are new in an item is not there, or not active any more."""
    users = user_ids(fields, new)
    chosen = {name: each for name, each in users.items() if present.get(name) != each}
    known = await users_in(session, chosen.values())
    problems = []
    for name, user_id in chosen.items():
        if user_id not in known:
            problems.append(Problem(pointer_of(name), f"There is no user {user_id}."))
        elif not known[user_id].active:
            problems.append(Problem(pointer_of(name), f"User {user_id} is not active any more."))
    return problems


def unknown_custom_field(name: str, fields: Mapping[str, Field]) -> Problem:
    """Say that no custom field is called so, and which was perhaps meant."""
    return Problem(pointer_of(shortened(name)), unknown("custom field", name, fields))
