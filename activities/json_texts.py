"""JSON whose texts may hold fields: read when a rule is saved, filled in when it runs.

It stays JSON whatever the fields hold, as each text is filled in on its own.
"""

import json
from collections.abc import Callable
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from models.fields import UNSTORABLE
from models.templates import LONGEST_TEMPLATE, BrokenTemplate, as_template

MOST_LEVELS = 20
LONGEST_NAME = 200
"""Characters of a name within an object."""


def _parsed(sent: object) -> object:
    """Return what JSON text says; what is no text is meant as it is."""
    if not isinstance(sent, str):
        return sent
    try:
        return json.loads(sent)
    except (ValueError, RecursionError) as error:
        reason = f"this is not JSON: {error}"
        raise PydanticCustomError("json", "{reason}", {"reason": reason}) from error


def _readable(value: object) -> Any:
    if not isinstance(value, dict):
        raise PydanticCustomError("json", "JSON with fields is an object, in braces")
    try:
        read = _read(value, "")
        length = len(json.dumps(read))
    except ValueError as error:
        raise PydanticCustomError("json", "{reason}", {"reason": str(error)}) from error
    if length > LONGEST_TEMPLATE:
        raise PydanticCustomError(
            "json", "JSON with fields has at most {most} characters", {"most": LONGEST_TEMPLATE}
        )
    return read


def _read(value: object, at: str) -> Any:
    """Return JSON with its texts as templates; raises ValueError with the place of what is wrong.

    `at` is the pointer of the value within the whole.
    """
    if at.count("/") > MOST_LEVELS:
        raise ValueError(f"JSON with fields has at most {MOST_LEVELS} levels")
    match value:
        case dict():
            return {_name(name): _read(part, f"{at}/{name}") for name, part in value.items()}
        case list():
            return [_read(part, f"{at}/{place}") for place, part in enumerate(value)]
        case str():
            try:
                return as_template(_storable(value))
            except BrokenTemplate as error:
                raise ValueError(f"in {at}, {error}") from error
        case float() if not isfinite(value):
            raise ValueError(f"in {at} stands no number that JSON knows")
    return value


def _name(name: str) -> str:
    if len(name) > LONGEST_NAME or "/" in name or "~" in name:
        raise ValueError(f"a name has at most {LONGEST_NAME} characters, and neither / nor ~")
    return _storable(name)


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("a text holds U+0000 or half a character, which cannot be stored")
    return text


JsonTexts = Annotated[
    Any,
    BeforeValidator(_parsed),
    AfterValidator(_readable),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "string"}]}),
]
"""A parameter that is a JSON object, or text that says one; its texts are `TemplateText`s."""


def filled(value: object, fill: Callable[[str], str]) -> object:
    """Return JSON with every text in it filled in; names stay as they are."""
    match value:
        case dict():
            return {name: filled(part, fill) for name, part in value.items()}
        case list():
            return [filled(part, fill) for part in value]
        case str():
            return fill(value)
    return value
