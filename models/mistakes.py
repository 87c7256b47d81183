"""Mistakes: why something sent is refused, in words, and what was probably meant.

Nothing of what was sent is repeated but the beginning of a name that nobody knows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails
from typing_extensions import TypeAliasType

from models.near_misses import LONGEST_NAME, did_you_mean

QUOTED = re.compile(r"'([^']*)'")

UNPRINTABLE = re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters."""

A_MOMENT = "a moment like 2027-08-31T09:00:00Z or 2027-08-31T11:00:00+02:00"

CHOICES = {"enum": "expected", "literal_error": "expected", "union_tag_invalid": "expected_tags"}
"""Which of pydantic's errors list what would have been right, and where."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that there is no such thing: "unknown field nmae, did you mean name?"."""
    return f"unknown {what} {shortened(name)}{did_you_mean(name, known)}"


def shortened(name: str) -> str:
    """Return so much of a name as is repeated, without what cannot be shown."""
    shown = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", name[:LONGEST_NAME])
    return shown if len(name) <= LONGEST_NAME else f"{shown}…"


def reason(error: ErrorDetails, location: Sequence[int | str], kind: Any) -> str:
    """Return why pydantic refuses something sent; `kind` is the type that was to be read.

    `location` is the error's, beginning within what was sent.
    """
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return unknown("field", str(location[-1]), names_at(kind, location[:-1]))
        case "enum" | "literal_error" | "union_tag_invalid" as choice:
            choices = QUOTED.findall(str(context.get(CHOICES[choice], "")))
            sent = context.get("tag", error["input"])
            hint = did_you_mean(sent, choices) if isinstance(sent, str) else ""
            return f"Input should be {_one_of(choices)}{hint}" if choices else error["msg"]
        case "too_short" | "too_long" as length:
            return _wrong_length(length, context, error["input"])
        case "timezone_aware":
            return f"this lacks its time zone: write {A_MOMENT}"
    return error["msg"].removeprefix("Value error, ")


def _wrong_length(kind: str, context: Mapping[str, Any], sent: object) -> str:
    """Say how long a text or a list may be, as pydantic does of a text that nothing else checks."""
    bound, limit = {
        "too_short": ("at least", context.get("min_length")),
        "too_long": ("at most", context.get("max_length")),
    }[kind]
    plural = "" if limit == 1 else "s"
    if isinstance(sent, str):
        return f"String should have {bound} {limit} character{plural}"
    return f"Input should have {bound} {limit} item{plural}, not {context.get('actual_length')}"


def pointer_to(error: ErrorDetails, location: Sequence[int | str], sent: object) -> str:
    """Return the JSON pointer of an error's location, without pydantic's names of alternatives.

    `location` begins within what was sent. Its last segment is kept if it names a missing field.
    """
    pointer, here = "", sent
    for place, segment in enumerate(location):
        if isinstance(here, Mapping) and segment in here:
            here = here[str(segment)]
        elif isinstance(here, Sequence) and isinstance(segment, int) and segment < len(here):
            here = here[segment]
        elif not (error["type"] == "missing" and place == len(location) - 1):
            continue
        pointer = below(pointer, segment)
    return pointer + str(error.get("ctx", {}).get(INSIDE, ""))


INSIDE = "inside"
"""In the context of an error: the pointer of what is wrong within what it speaks of."""


def below(pointer: str, segment: int | str) -> str:
    """Return the JSON pointer of a part of what another points to."""
    return f"{pointer}/" + str(segment).replace("~", "~0").replace("/", "~1")


def at_the_root(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors without those that say only that a list lacks what was refused in it."""
    around = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [each for each in errors if each["type"] != "too_short" or each["loc"] not in around]


def names_at(kind: Any, location: Sequence[int | str]) -> set[str]:
    """Return the names of the fields that a place within a type can have."""
    models = list(_models_in(kind, set()))
    for segment in location:
        fields = [each.model_fields[segment] for each in models if segment in each.model_fields]
        if fields:
            models = [found for each in fields for found in _models_in(each.annotation, set())]
        else:
            # The number of a row, or pydantic's name of one alternative among several.
            models = [each for each in models if _goes_by(each, segment)] or models
    return {name for model in models for name in model.model_fields}


def _models_in(kind: Any, seen: set[int]) -> Iterator[type[BaseModel]]:
    if id(kind) in seen:
        return
    seen.add(id(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif isinstance(kind, TypeAliasType):
        yield from _models_in(kind.__value__, seen)
    for part in get_args(kind):
        yield from _models_in(part, seen)


def _goes_by(model: type[BaseModel], name: int | str) -> bool:
    tags = [
        tag
        for field in model.model_fields.values()
        for tag in (field.default, *get_args(field.annotation))
    ]
    return name in {model.__name__, *(tag for tag in tags if isinstance(tag, str))}


def _one_of(choices: Sequence[str]) -> str:
    *most, last = [f"'{each}'" for each in choices]
    return f"{', '.join(most)} or {last}" if most else last
