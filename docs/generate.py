"""Write what can be read off the code: docs/rules.md, and the tables in the README."""

import json
from collections.abc import Iterable, Iterator, Mapping
from inspect import getdoc
from pathlib import Path
from textwrap import fill
from typing import Any

from pydantic.fields import FieldInfo

from activities.registry import ActionGroup, RuleAction, all_actions
from models.conditions import COMPARES_WITH, OPERATORS, OWN_LINKS, Operator
from models.custom_values import KINDS, WANTED
from models.field_definition import MOST_DEFINITIONS
from models.fields import Catalogue, Field, FieldKind
from models.item_type import ItemType
from models.settings import Settings, variable
from models.templates import OPTIONS, OWN_FILTERS
from models.timing import LONGEST_YEARS, Direction, Unit, WhenEmpty, WhenPast

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
the last day of February.
"""

TIMING = """## When a rule is due

`timing` of a rule has a `kind`. `at_once` is the default. `after_delay` has `amount` and `unit` of
a [delay](#a-delay) from entering the stage, or from the end of the rule above if it runs after
that. `around_date` follows a date of the item:

```json
{
  "kind": "around_date",
  "field": "deal.close_date",
  "direction": "before",
  "amount": 3,
  "unit": "days"
}
```
"""

AROUND_DATE = """`field` is any date or datetime of the item itself, custom fields included;
`direction` is {directions}, where `at` takes no amount. A date counts from 00:00 in the company's
time zone. If the moment is past when the rule starts counting, the run goes ahead at once, or is
skipped: `when_past` is {past}. While the field is empty the run waits until it is filled in, is
skipped, or goes ahead at once: `when_empty` is {empty}; the first of each is the default.

While a run waits it follows the field: when the date changes it waits for the new moment, by the
same choices, even if somebody has postponed it, and also if the item has left the stage and the
rule is kept. What is due already stays due. A rule after the previous one looks at the date when
that one has ended, and is never due before.
"""

TEXT = """### A text with fields

Liquid: `{{ deal.title }}`, `{{ deal.amount | money }}`, `{{ deal.close_date | date }}`. An empty
field renders as nothing. An unknown one is refused when the rule is saved. `POST
/v1/items/{item_id}/preview/text` shows what an item makes of a text, or all that is wrong with it.

Dates, numbers and money read as whoever reads the text writes them, in their time zone. A filter
may say otherwise: `{{ deal.created_at | datetime: "short", zone: "Asia/Tokyo", locale: "de" }}`. A
locale or time zone that does not exist is refused when the rule is saved.
"""

RESULTS = """### Results of rules above

What an action leaves is there for the rules below it on the stage, in texts and conditions:
`{{ results.create_task.title }}`. Where several rules above have that action, the last one that ran
counts. It is empty as long as none of them has run, or where it was skipped or failed. A rule that
names what no rule above it leaves is refused when it is saved.
"""

CUSTOM = """### Custom fields

`POST /v1/field-definitions` gives deals or leads a field of their own, at most {most} each. One
that is named `contract_no` is `deal.custom.contract_no` in texts, conditions and timing; its value
stands in `custom` of the deal, where null removes it.

A `user` is kept as an id, which conditions compare; a text that names `deal.custom.manager` has the
name, also as `deal.custom.manager.name` beside `deal.custom.manager.email`.

`GET /v1/deals?custom[contract_no]=A-1` finds deals by their custom fields, several at once where
all must hold. Numbers, money, dates and times have ranges, ends included:
`custom[due][from]=2027-01-01&custom[due][to]=2027-01-31`. A `multi` is found by each of its
choices.
"""

CONDITIONS = """## Conditions

A comparison is a field, an operator and a value; `{"all": […]}`, `{"any": […]}` and `{"not": …}`
put them together. A condition is met, not met, or unknown, where a field is gone or a value is not
of its kind. Unless it is met the run is skipped, and says which values decided. `POST
/v1/items/{item_id}/preview/conditions` shows what an item makes of them.

A value may be another field of the item: `{"field": "deal.amount", "operator": ">", "value":
{"field": "deal.custom.limit"}}`, also within a list. A date and a datetime compare as days in the
company's time zone. An empty field equals nothing, not even another empty one, contains nothing and
stands in no order.
"""

TAKES: Mapping[Operator, str] = {
    Operator.EQUAL: "a value",
    Operator.NOT_EQUAL: "a value; also `≠`",
    Operator.LESS: "a value",
    Operator.AT_MOST: "a value; also `≤`",
    Operator.GREATER: "a value",
    Operator.AT_LEAST: "a value; also `≥`",
    Operator.BETWEEN: "`[low, high]`, both included",
    Operator.IN: "a list; of several choices any must be in it",
    Operator.NOT_IN: "a list; of several choices none may be in it",
    Operator.CONTAINS: "a part of the text, in large or small letters; of several choices, one",
    Operator.STARTS_WITH: "the beginning of the text, in large or small letters",
    Operator.EMPTY: "nothing",
    Operator.NOT_EMPTY: "nothing",
    Operator.CHANGED: "nothing",
    Operator.MORE_AGO: "a [delay](#a-delay): before that long ago",
    Operator.LESS_AGO: "a delay: after that long ago, and not after now",
    Operator.MORE_AHEAD: "a delay: after that long from now",
    Operator.LESS_AHEAD: "a delay: before that long from now, and not before now",
}

VALUES = {FieldKind.TEXT: "a text", FieldKind.MULTI: WANTED[FieldKind.LIST]}
"""Where it is not what a custom field of that kind takes."""

SPANS = """`{{"field": "deal.close_date", "operator": "less than ahead", "value": {{"amount": 3,
"unit": "days"}}}}`: a datetime is counted from this moment, a date from today in the company's time
zone, and not in hours. What is exactly so long ago or ahead is neither more nor less. Now and today
are both ago and ahead.

`changed since entry` is met when somebody or something changed the field after the item entered
the stage, even if it was changed back. It follows the fields of the item itself that people fill
in, and {links}.
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
        TIMING,
        *map(_paragraph, AROUND_DATE.format(**_choices()).split("\n\n")),
        "## Shapes of parameters\n",
        "### A person\n",
        _paragraph(PERSON.format(others=_and(others))),
        "### A delay\n",
        _paragraph(DELAY.format(units=_and([f"`{unit}`" for unit in Unit]), years=LONGEST_YEARS)),
        TEXT,
        *_filters(),
        RESULTS,
        CONDITIONS,
        *_operators(),
        "## Fields\n",
        *_fields(),
    ]
    return "\n".join(parts)


def _choices() -> dict[str, str]:
    """Return what may be said of a rule around a date, the default first."""
    several = {"directions": Direction, "past": WhenPast, "empty": WhenEmpty}
    return {name: _or([f"`{each}`" for each in kind]) for name, kind in several.items()}


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
    if action.results:
        left = _and([f"`{each.path}` ({each.kind})" for each in action.results])
        lines += ["", f"Leaves in [`results.{action.code}`](#results-of-rules-above): {left}."]
    return "\n".join([*lines, ""])


def _filters() -> Iterator[str]:
    yield "| Filter | Options | |\n| --- | --- | --- |"
    for name, function in OWN_FILTERS.items():
        options = ", ".join(f"`{each}`" for each in sorted(OPTIONS[name]))
        yield _row((f"`{name}`", options, getdoc(function) or ""))
    yield ""


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
    yield "| Operator | Value |\n| --- | --- |"
    for operator in Operator:
        yield _row((f"`{operator}`", TAKES[operator]))
    yield ""
    links = _and([f"`{each}`" for each in sorted(OWN_LINKS)])
    yield from map(_paragraph, SPANS.format(links=links).split("\n\n"))
    yield "| Kind of field | Value | Or a field that is | Operators |\n| --- | --- | --- | --- |"
    for kind in FieldKind:
        known = ", ".join(f"`{each}`" for each in Operator if each in OPERATORS[kind])
        others = _or([each for each in FieldKind if each in COMPARES_WITH[kind]] or [""])
        yield _row((kind, VALUES.get(kind, WANTED.get(kind, "")), others, known))
    yield ""


def _fields() -> Iterator[str]:
    """Yield the catalogue, each field of an item once, under the type that has it."""
    for item_type in ItemType:
        yield f"### Of a {item_type}\n"
        custom = f"[Custom fields](#custom-fields) are `{item_type}.custom.<name>`."
        yield f"{custom} All are there under `item` too.\n"
        yield from _table_of(_under(item_type, item_type))
    yield from map(_paragraph, CUSTOM.format(most=MOST_DEFINITIONS).split("\n\n"))
    yield "| Kind | Takes |\n| --- | --- |"
    for kind in KINDS:
        yield _row((f"`{kind}`", WANTED[kind]))
    yield ""
    yield "### Of the people around it\n"
    own = (ItemType.DEAL.value, "item")
    people = {path.partition(".")[0] for path in Catalogue.of(ItemType.DEAL).fields} - {*own}
    for person in sorted(people):
        yield from _table_of(_under(ItemType.DEAL, person))


def _under(item_type: ItemType, root: str) -> Iterable[Field]:
    return [
        field
        for path, field in Catalogue.of(item_type).fields.items()
        if path.startswith(f"{root}.")
    ]


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


def _and(words: list[str], last_but: str = "and") -> str:
    *most, last = words
    return f"{', '.join(most)} {last_but} {last}" if most else last


def _or(words: list[str]) -> str:
    return _and(words, "or")


if __name__ == "__main__":
    write_all()
