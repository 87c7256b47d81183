"""What every resource's schemas share: how rows are read, bodies checked, lists cut into pages."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.fields import UNSTORABLE
from models.inputs import (
    LONGEST_TEXT,
    MOST_IN_A_LIST,
    Count,
    Currency,
    Day,
    Emails,
    Id,
    Ids,
    LongText,
    Moment,
    Money,
    Name,
    Phones,
    Quantity,
    ShortText,
    StoredText,
    Whole,
    Year,
)
from models.mistakes import INSIDE, below

__all__ = [
    "AS_WRITTEN",
    "MOST_IN_A_LIST",
    "Count",
    "Currency",
    "Custom",
    "Day",
    "EmailText",
    "Emails",
    "Filter",
    "Id",
    "Ids",
    "LongText",
    "Moment",
    "Money",
    "Name",
    "Page",
    "PhoneText",
    "Phones",
    "Quantity",
    "Read",
    "SearchText",
    "ShortText",
    "StoredText",
    "Version",
    "Whole",
    "Write",
    "Year",
    "YesOrNo",
]

MOST_CUSTOM_VALUES = 200
MOST_LEVELS = 100


class Read(BaseModel):
    """What a client is shown of a row."""

    model_config = ConfigDict(from_attributes=True)


class Write(BaseModel):
    """What a client sends: a field that nobody knows is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _can_be_stored(cls, sent: object) -> object:
        level = [sent]
        for _ in range(MOST_LEVELS):
            if any(map(_is_unstorable, level)):
                raise PydanticCustomError(
                    "unstorable",
                    "a text holds U+0000 or half a character, which cannot be stored",
                    {INSIDE: next(_unstorable(sent))},
                )
            level = [inner for part in level for inner in _parts(part)]
        if level:
            raise ValueError(f"this is nested more than {MOST_LEVELS} levels deep")
        return sent

    def changes(self) -> dict[str, Any]:
        """Return what was sent and nothing else, as validated; a field left out is no change."""
        return self.model_dump(include=self.model_fields_set)


def _parts(sent: object) -> Iterable[object]:
    match sent:
        case Mapping():
            return [*sent, *sent.values()]
        case list():
            return sent
    return ()


def _is_unstorable(part: object) -> bool:
    return isinstance(part, str) and UNSTORABLE.search(part) is not None


def _unstorable(sent: object) -> Iterator[str]:
    """Yield where texts are that cannot be stored, those that are less deep first.

    A name that cannot be stored cannot be told either: there it is what has the name.
    """
    level = [("", sent)]
    while level:
        for at, part in level:
            names = part if isinstance(part, Mapping) else ()
            if any(map(_is_unstorable, [part, *names])):
                yield at
        level = [inner for at, part in level for inner in _parts_below(at, part)]


def _parts_below(at: str, sent: object) -> Iterable[tuple[str, object]]:
    match sent:
        case Mapping():
            return [(below(at, name), part) for name, part in sent.items()]
        case list():
            return [(below(at, place), part) for place, part in enumerate(sent)]
    return ()


Shown = TypeVar("Shown")


class Filter(BaseModel):
    """Which rows of a list are wanted; nothing means all. Ends of a range are within it."""

    def asked(self) -> dict[str, Any]:
        """Return what was sent, by name."""
        return self.model_dump(exclude_none=True)


class Page(Read, Generic[Shown]):
    """A part of a list. `next` is the `after` of the part that follows; null at the end."""

    items: list[Shown]
    next: str | None = None


Version = Annotated[int, Field(description="Counts changes; it is the `ETag`.", examples=[3])]
YesOrNo = Annotated[bool, Strict()]
SearchText = Annotated[
    StoredText, Field(min_length=1, max_length=200, description="Somewhere in it, in any capitals.")
]

AS_WRITTEN = (
    "However it is written, as `tel:` or `sip:` too. Digits without a plus are a number of the "
    "company's country, unless they begin with its own code, make sense only with the code of "
    "another country in front, or are with it a mobile, and without it at most a landline: so "
    "gateways and messengers write them."
)
PhoneText = Annotated[
    StoredText, Field(max_length=100, description=AS_WRITTEN, examples=["030 12345"])
]
EmailText = Annotated[StoredText, Field(max_length=320, description="In any capitals.")]

CustomValue = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": LONGEST_TEXT},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "array", "items": {"type": "string"}},
                {"type": "null"},
            ]
        }
    ),
]
Custom = Annotated[
    dict[str, CustomValue],
    Field(
        max_length=MOST_CUSTOM_VALUES,
        description="Values by name, of the kinds that `/v1/field-definitions` say.",
        examples=[{"contract_no": "A-1", "deposit": "12.50", "roof": ["north", "south"]}],
    ),
]
