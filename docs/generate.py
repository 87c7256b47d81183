"""Write what can be read off the code: docs/rules.md, and the tables in the README."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from pydantic.fields import FieldInfo

from activities.registry import ActionGroup, RuleAction, all_actions
from models.conditions import OPERATORS, Operator
from models.fields import Field, FieldKind, fields_of
from models.item_type import ItemType
from models.settings import Settings, variable
from models.timing import LONGEST_YEARS, Unit

ROOT = Path(__file__).parent.parent
RULES = ROOT / "docs" / "rules.md"
README = ROOT / "README.md"

NAMES = {"UserChoice": "[person](#a-person)", "Delay": "[delay](#a-delay)"}
"""How the page calls parameters that have a shape of their own."""

TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no"}

HEAD = """# Rules

A rule stands on a stage. When an item enters the stage, the rule waits for its time, checks its
conditions on the data of that moment, and runs its action. This page is written by `make docs`
from the code; `GET /v1/actions` serves the same as JSON Schema.

```json
{
  "title": "Repeat lead after six months",
  "action": "create_repeat_lead",
  "params": {"title": "Batteries for {{ contact.name }}?"},
  "timing": {"kind": "after_delay", "amount": 6, "unit": "months"},
  "conditions": {"field": "deal.amount", "operator": ">=", "value": 10000}
}
```

`POST /v1/stages/{stage_id}/rules` hangs it on the stage.
"""

PERSON = """`{{"by": "user", "id": 7}}` or `{{"by": "department", "id": 3}}` names
somebody; {others} find them through the item when the rule runs. Of a department the head is taken
where one person is needed, all who work there where several may be.
"""

DELAY = """`{{"amount": 6, "unit": "months"}}`, of {units}; at most {years} years.
Days and longer are counted on the calendar of the company's time zone: 31 August and 6 months is
the last day of February. As `timing` of a rule it has
`"kind": "after_delay"`; `{{"kind": "at_once"}}` is no delay.
"""

TEXT = """### A text with fields

Liquid: `{{ deal.title }}`, `{{ deal.amount | money }}`, `{{ deal.close_date | date }}`. An empty
field renders as nothing. An unknown one is refused when the rule is saved.
"""

CONDITIONS = """## Conditions

A comparison is a field, an operator and a value; `{"all": […]}`, `{"any": […]}` and `{"not": …}`
put them together. A condition is met, not met, or unknown, where a field is gone or a value is not
of its kind. Unless it is met the run is skipped, and says which values decided.
"""


def write_all() -> None:
    RULES.write_text(rules_page())
    README.write_text(with_tables(README.read_text()))


def rules_page() -> str:
    """Return docs/rules.md."""
    actions = all_actions().values()
    parts = [HEAD, "## Actions\n"]
    for group in ActionGroup:
        of_group = [_action(action) for action in actions if action.group is group]
        parts += [f"### {group.value}\n", *of_group]
    choices = {"user", "department"}
    schema = {name: part for each in actions for name, part in _definitions(each).items()}
    others = [f"`{by}`" for by in schema["UserBy"]["enum"] if by not in choices]
    parts += [
        "## Shapes of parameters\n",
        "### A person\n",
        _paragraph(PERSON.format(others=_and(others))),
        "### A delay\n",
        _paragraph(DELAY.format(units=_and([f"`{unit}`" for unit in Unit]), years=LONGEST_YEARS)),
        TEXT,
        CONDITIONS,
        *_operators(),
        "## Fields\n",
        *_fields(),
    ]
    return "\n".join(parts)


def with_tables(readme: str) -> str:
    """Return the README with its tables as the code has them now."""
    for name, rows in (("settings", _settings()), ("actions", _short_list())):
        start, end = f"<!-- {name}: written by `make docs` -->\n", f"<!-- end of {name} -->"
        first, last = readme.index(start) + len(start), readme.index(end)
        readme = readme[:first] + "\n".join(rows) + "\n" + readme[last:]
    return readme


def _action(action: RuleAction[Any]) -> str:
    lines = [
        f"#### {action.title}",
        "",
        f"`{action.code}`, for {_and([f'{each}s' for each in action.items])}.",
        "",
        action.description,
    ]
    if action.warning:
        lines += ["", f"> **Warning.** {action.warning}"]
    schema = action.params.model_json_schema()
    definitions = schema.get("$defs", {})
    required = schema.get("required", [])
    lines += ["", "| Parameter | Title | Type | Default | |", "| --- | --- | --- | --- | --- |"]
    for name, part in schema["properties"].items():
        default = "required" if name in required else _default(part.get("default"))
        kind = _type(part, definitions)
        cells = (f"`{name}`", part["title"], kind, default, part.get("description", ""))
        lines.append(_row(cells))
    return "\n".join([*lines, ""])


def _definitions(action: RuleAction[Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = action.params.model_json_schema().get("$defs", {})
    return found


def _type(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return a part of a JSON Schema in words."""
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return NAMES.get(name) or _type(definitions[name], definitions)
    if "anyOf" in part:
        [some] = [each for each in part["anyOf"] if each.get("type") != "null"]
        return _type(some, definitions)
    if "enum" in part:
        return ", ".join(f"`{each}`" for each in part["enum"])
    if part["type"] == "array":
        return f"list: {_type(part['items'], definitions)}"
    if part.get("format") == "template":
        return "[text with fields](#a-text-with-fields)"
    return TYPES[part["type"]]


def _default(value: object) -> str:
    if value is None:
        return ""
    return f"`{json.dumps(_without_nulls(value), ensure_ascii=False)}`"


def _without_nulls(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: each for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _operators() -> Iterator[str]:
    yield "| Kind of field | Operators |\n| --- | --- |"
    for kind in FieldKind:
        known = ", ".join(f"`{each}`" for each in Operator if each in OPERATORS[kind])
        yield _row((kind, known))
    yield ""


def _fields() -> Iterator[str]:
    """Yield the catalogue, each field of an item once, under the type that has it."""
    for item_type in ItemType:
        yield f"### Of a {item_type}\n"
        yield f"Custom fields are `{item_type}.custom.<name>`. All are there under `item` too.\n"
        yield from _table_of(_under(item_type, item_type))
    yield "### Of the people around it\n"
    own = (ItemType.DEAL.value, "item")
    people = {path.partition(".")[0] for path in fields_of(ItemType.DEAL)} - {*own}
    for person in sorted(people):
        yield from _table_of(_under(ItemType.DEAL, person))


def _under(item_type: ItemType, root: str) -> Iterable[Field]:
    return [field for path, field in fields_of(item_type).items() if path.startswith(f"{root}.")]


def _table_of(fields: Iterable[Field]) -> Iterator[str]:
    yield "| Field | Title | Kind |\n| --- | --- | --- |"
    for field in fields:
        columns = "".join(f" `{column.path}`" for column in field.columns)
        kind = f"{field.kind} of{columns}" if columns else field.kind
        yield _row((f"`{field.path}`", field.title, kind))
    yield ""


def _settings() -> Iterator[str]:
    yield "| Variable | Default | Meaning |\n| --- | --- | --- |"
    for name, field in Settings.model_fields.items():
        yield _row((f"`{variable(name)}`", _plain_default(field), field.description or ""))


def _plain_default(field: FieldInfo) -> str:
    return "" if field.default is None else f"`{str(field.default).lower()}`"


def _short_list() -> Iterator[str]:
    yield "| Action | For | Does |\n| --- | --- | --- |"
    for action in all_actions().values():
        first, *_ = action.description.partition("\n")
        link = f"[{action.title}](docs/rules.md#{action.title.lower().replace(' ', '-')})"
        yield _row((link, ", ".join(action.items), first))


def _paragraph(text: str) -> str:
    return fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _and(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


if __name__ == "__main__":
    write_all()
