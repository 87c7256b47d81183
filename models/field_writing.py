"""Writing fields: which fields of items and clients rules can set, and what each takes.

They take what the API takes. Paths are as in texts and conditions, names as in the API:
`deal.amount`, `item.custom.contract_no`, `contact.phones`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from models.base import Record
from models.company import Company
from models.contact import Contact
from models.custom_values import accepted
from models.errors import ActionFailed, Invalid, Problem
from models.field_definition import custom_fields_of
from models.fields import Field, FieldKind
from models.inputs import (
    Count,
    Currency,
    Day,
    Emails,
    Id,
    Ids,
    LongText,
    Money,
    Name,
    Phones,
    ShortText,
    Year,
)
from models.item_type import ItemType
from models.mistakes import reason
from models.near_misses import did_you_mean
from models.seen import in_one_line
from models.user import User

WHOLE = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
TRUTH: Mapping[str, object] = {"true": True, "false": False}


@dataclass(frozen=True)
class Writable:
    """A field that can be set, named as edits name it; `kind` says how a text is read for it.

    `takes` is the type of its values. `several`: it holds a list. `required`: it is never empty.
    `names` is the table whose ids it holds, `custom` its definition where it is a custom field.
    """

    name: str
    kind: FieldKind
    takes: Any = None
    several: bool = False
    required: bool = False
    names: type[Record] | None = None
    custom: Field | None = None

    def present(self, row: Any) -> Any:
        """Return what an item or client holds now."""
        return getattr(row, self.name) if self.custom is None else row.custom.get(self.custom.path)

    def read(self, value: object) -> Any:
        """Return a value as edits take it, or raise `Invalid` with pointers within the value.

        Custom values are left to edits, which know what the item has already.
        """
        if value in (None, []):
            return self._empty()
        if self.custom is not None:
            return value
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise Invalid(
                *(
                    Problem(_pointer(each["loc"]), reason(each, each["loc"], self.takes))
                    for each in error.errors()
                )
            ) from error

    def check(self, value: object) -> None:
        """Raise `Invalid` where no item could hold a value, with pointers within the value."""
        known = self.read(value)
        if self.custom is None or known is None:
            return
        try:
            accepted(self.custom, known)
        except Invalid as error:
            raise Invalid(
                *(
                    Problem("".join(f"/{each}" for each in within), problem.reason)
                    for problem in error.problems
                    for within in [problem.field.split("/")[3:]]
                )
            ) from error

    def of_text(self, text: str, zone: str) -> object:
        """Return what a text says for this field, as JSON would; None if it says nothing.

        Of a field with several values each line is one. Days and times without a zone are those
        of the zone given. What cannot be read stays a text.
        """
        if self.several:
            return [self._one(line, zone) for line in text.splitlines() if line.strip()]
        return self._one(text, zone) if text.strip() else None

    def of_moment(self, moment: datetime, zone: str) -> str:
        """Return a moment as a date or time that this field could hold, or as neither."""
        local = moment.astimezone(ZoneInfo(zone))
        return (local.date() if self.kind is FieldKind.DATE else moment).isoformat()

    def _empty(self) -> object:
        if self.required:
            raise Invalid(Problem("", "this is never empty"))
        return [] if self.several and self.custom is None else None

    def _one(self, text: str, zone: str) -> object:
        if self.kind is FieldKind.TEXT:
            return in_one_line(text) if self.takes is Name else text
        word = text.strip()
        match self.kind:
            case FieldKind.NUMBER | FieldKind.USER if WHOLE.fullmatch(word):
                return int(word)
            case FieldKind.BOOLEAN:
                return TRUTH.get(word, word)
            case FieldKind.DATE | FieldKind.DATETIME:
                return self._moment(word, zone)
        return word

    def _moment(self, word: str, zone: str) -> str:
        try:
            moment = datetime.fromisoformat(word)
        except ValueError:
            return word
        if self.kind is FieldKind.DATETIME and moment.tzinfo is None:
            return moment.replace(tzinfo=ZoneInfo(zone)).isoformat()
        if self.kind is FieldKind.DATE and moment.tzinfo is not None:
            with suppress(OverflowError):  # Not in the years 1 to 9999.
                return self.of_moment(moment, zone)
        return word

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.takes)


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join(f"/{each}" for each in location if isinstance(each, int))


REACHED_AT = (
    Writable("phones", FieldKind.TEXT, Phones, several=True),
    Writable("emails", FieldKind.TEXT, Emails, several=True),
)

OF_ITEMS = (
    Writable("title", FieldKind.TEXT, Name, required=True),
    Writable("responsible_id", FieldKind.USER, Id, names=User),
    Writable("contact_id", FieldKind.NUMBER, Id, names=Contact),
    Writable("further_contact_ids", FieldKind.NUMBER, Ids, several=True, names=Contact),
    Writable("company_id", FieldKind.NUMBER, Id, names=Company),
    Writable("amount", FieldKind.MONEY, Money),
    Writable("currency", FieldKind.LIST, Currency),
    Writable("begin_date", FieldKind.DATE, Day),
    Writable("close_date", FieldKind.DATE, Day),
    Writable("source", FieldKind.TEXT, ShortText),
    Writable("comments", FieldKind.TEXT, LongText),
)

OF_LEADS = (
    Writable("first_name", FieldKind.TEXT, Name),
    Writable("last_name", FieldKind.TEXT, Name),
    *REACHED_AT,
)

OF_CONTACTS = (
    Writable("first_name", FieldKind.TEXT, Name),
    Writable("last_name", FieldKind.TEXT, Name),
    Writable("position", FieldKind.TEXT, Name),
    Writable("comments", FieldKind.TEXT, LongText),
    Writable("company_id", FieldKind.NUMBER, Id, names=Company),
    *REACHED_AT,
)

OF_COMPANIES = (
    Writable("name", FieldKind.TEXT, Name, required=True),
    Writable("industry", FieldKind.TEXT, ShortText),
    Writable("address", FieldKind.TEXT, ShortText),
    Writable("founded_year", FieldKind.NUMBER, Year),
    Writable("employees", FieldKind.NUMBER, Count),
    Writable("annual_revenue", FieldKind.MONEY, Money),
    Writable("parent_id", FieldKind.NUMBER, Id, names=Company),
    Writable("comments", FieldKind.TEXT, LongText),
    *REACHED_AT,
)

OF_CLIENTS = {"contact": OF_CONTACTS, "company": OF_COMPANIES}

ITEM = "item"
"""What stands before the fields of items of every type."""


@dataclass(frozen=True)
class WritableFields:
    """The fields that can be set of one thing, by name; `root` stands before them in paths."""

    root: str
    by_name: Mapping[str, Writable]

    @classmethod
    async def of(cls, session: AsyncSession, root: str, item_type: ItemType) -> Self:
        """Return those of items of a type (root `item`), or of their `contact` or `company`."""
        if root in OF_CLIENTS:
            return cls(root, {field.name: field for field in OF_CLIENTS[root]})
        own = (*OF_ITEMS, *(OF_LEADS if item_type is ItemType.LEAD else ()))
        custom = await custom_fields_of(session, item_type)
        written = [each for each in custom.values() if each.kind is not FieldKind.BOOKING]
        every = (*own, *map(_custom, written))
        return cls(item_type.value, {field.name: field for field in every})

    def find(self, path: str) -> Writable | None:
        """Return the field of that path, or None; items have their type as root, or `item`."""
        root, _, name = path.partition(".")
        here = root == self.root or (root == ITEM and self.root not in OF_CLIENTS)
        return self.by_name.get(name) if here else None

    def meant(self, path: str) -> str:
        """Ask whether the most similar path was meant, if any is alike."""
        return did_you_mean(path, [f"{self.root}.{name}" for name in self.by_name])


def _custom(field: Field) -> Writable:
    return Writable(
        f"custom.{field.path}",
        field.kind,
        several=field.kind is FieldKind.MULTI,
        names=User if field.kind is FieldKind.USER else None,
        custom=field,
    )


def as_sent(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the names of their fields as edits take them, custom ones put together."""
    own = {name: value for name, value in values.items() if not name.startswith("custom.")}
    custom = {
        name.removeprefix("custom."): value for name, value in values.items() if name not in own
    }
    return own | ({"custom": custom} if custom else {})


@contextmanager
def refused_by_path(root: str) -> Iterator[None]:
    """Tell what is refused as the failure of an action, each field by its path.

    `root` is what pointers begin at: `deal`, or a field of it.
    """
    try:
        yield
    except Invalid as error:
        told = [f"{_path(root, problem.field)}: {problem.reason}" for problem in error.problems]
        raise ActionFailed("; ".join(told)) from error


def _path(root: str, pointer: str) -> str:
    """Return the path of a field: `/custom/contract_no` of a deal is `deal.custom.contract_no`."""
    names = [each for each in pointer.split("/") if each and not each.isdecimal()]
    return ".".join([root, *names])
