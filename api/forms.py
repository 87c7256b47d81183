"""Forms: the settings of actions and of types of trigger as JSON Schema that needs nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

Say = Callable[[str], str]
"""Says words of the product in the language of whoever reads them."""

NAMES = frozenset({"properties", "patternProperties"})
VALUES = frozenset({"const", "default", "enum", "examples"})
WORDS = frozenset({"title", "description"})
"""Of JSON Schema: what holds schemas by name, what holds no schema, and what people read."""


def form_of(settings: type[BaseModel], say: Say) -> dict[str, Any]:
    """Return the JSON Schema of a model with its words said, and each definition where it is used.

    Only fields keep their titles: those of models are names of classes. A field has that of its
    class where it has no other; pydantic leaves out a title that is the same. What holds itself, as
    conditions do, stays a definition, and has no words: forms ask for it in a way of their own.
    """
    schema = settings.model_json_schema()
    definitions = schema.get("$defs", {})
    led_to = {name: _within(definitions[name], definitions) for name in definitions}
    circular = {name for name in definitions if name in led_to[name]}
    wordless = circular.union(*(led_to[name] for name in circular))

    def whole(part: Any, *, is_field: bool = False, worded: bool = True) -> Any:
        if isinstance(part, list):
            return [whole(each, worded=worded) for each in part]
        if not isinstance(part, dict):
            return part
        referred = _referred(part)
        if referred in circular:
            return {"$ref": part["$ref"]}
        meant = definitions.get(referred, {})
        said = {**(meant if is_field else _untitled(meant)), **part}
        worded = worded and referred not in wordless
        left_out = {"$ref", "$defs"} if worded else {"$ref", "$defs", "discriminator", *WORDS}
        return {name: of(name, said, worded=worded) for name in said if name not in left_out}

    def of(name: str, said: Mapping[str, Any], *, worded: bool) -> Any:
        value = said[name]
        if name in NAMES:
            return {each: whole(part, is_field=True, worded=worded) for each, part in value.items()}
        if name in WORDS:
            return say(flowing(value))
        if name == "default" and isinstance(value, str) and _is_text(said):
            return say(value)
        return value if name in VALUES else whole(value, worded=worded)

    form: dict[str, Any] = whole(_untitled(schema))
    if circular:
        form["$defs"] = {name: whole(definitions[name], worded=False) for name in sorted(circular)}
    return form


def _referred(part: Mapping[str, Any]) -> str:
    return str(part.get("$ref", "")).rpartition("/")[2]


def _within(
    part: object, definitions: Mapping[str, Any], seen: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Return the names of the definitions that a schema leads to, beside those seen already."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if not isinstance(part, dict):
        return seen
    name = _referred(part)
    if name in definitions and name not in seen:
        seen = _within(definitions[name], definitions, seen | {name})
    for each in part.values():
        seen = _within(each, definitions, seen)
    return seen


def flowing(text: str) -> str:
    """Return a text without the line breaks of the code, but for those between paragraphs."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _is_text(schema: Mapping[str, Any]) -> bool:
    """Tell whether it is a text with fields, which people may have left empty."""
    return any(each.get("format") == "template" for each in (schema, *schema.get("anyOf", ())))


def _untitled(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in schema.items() if name != "title"}
