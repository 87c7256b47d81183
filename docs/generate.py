"""Write what can be read off the code: two pages, tables in the README, translations."""

import json
from collections.abc import Iterable, Iterator, Mapping
from inspect import getdoc
from pathlib import Path
from textwrap import fill
from typing import Any

from babel import Locale
from pydantic.fields import FieldInfo

from activities.registry import ActionGroup, Result, RuleAction, all_actions
from api.rule_actions import ActionRead
from docs import translations
from models.conditions import COMPARES_WITH, OPERATORS, OWN_LINKS, Operator
from models.custom_values import KINDS, WANTED
from models.field_definition import MOST_DEFINITIONS
from models.fields import Catalogue, Field, FieldKind
from models.formats import OWN_FILTERS, OWN_OPTIONS
from models.item_type import ItemType
from models.languages import LANGUAGES, SOURCE
from models.settings import Settings, variable
from models.task_fields import TASK_FIELDS
from models.timing import (
    LONGEST_YEARS,
    MOST_SPREAD,
    Direction,
    Hours,
    Unit,
    WhenEmpty,
    WhenPast,
)
from models.trigger_type import TriggerType, all_trigger_types
from models.working_time import LONGEST_COUNT

ROOT = Path(__file__).parent.parent
RULES = ROOT / "docs" / "rules.md"
TRIGGERS = ROOT / "docs" / "triggers.md"
README = ROOT / "README.md"

NAMES = {
    "UserChoice": "[person](#a-person)",
    "Delay": "[delay](#a-delay)",
    "ItemDate": "[date of the item](#a-date-of-the-item)",
    "Start": "[start](#a-start)",
    "FieldChange": "[change of a field](#a-change-of-a-field)",
    "RecipientChoice": "[recipient](#a-recipient)",
}
"""How the page calls parameters that have a shape of their own."""

TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "object": "JSON",
}

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

SPOKEN = """What this page says of actions and fields is there in {languages} too: `Accept-Language`
asks for it. Texts are filled in as their reader writes dates, numbers and money; words that an
action puts into data, such as the one for a copy, are in the company's language.
"""

PERSON = """`{{"by": "user", "id": 7}}` or `{{"by": "department", "id": 3}}` names
somebody; {others} find them through the item when the rule runs. Of a department the head is taken
where one person is needed, all who work there where several may be.
"""

DELAY = """`{{"amount": 6, "unit": "months"}}`, of {units}; at most {years} years.
Days and longer are counted on the calendar of the company's time zone: 31 August and 6 months is
the last day of February.
"""

ITEM_DATE = """`{"field": "deal.close_date", "direction": "before", "amount": 3, "unit": "days"}`
follows a date or datetime of the item itself, custom fields included; `direction` is that of a rule
[around a date](#when-a-rule-is-due). It is looked at once, when the rule runs.
"""

START = """`{"days": 2, "time": "09:30"}` is the day after tomorrow, `{}` today at noon. `{"date":
{"field": "deal.close_date", "direction": "before", "amount": 1, "unit": "weeks"}, "time": "15:00"}`
is around a date of the item; without `time` it is that of the date, or noon where it has none. Days
are counted, and clocks read, where the responsible person is. A start that is past stays as it is:
what should have begun is overdue at once.
"""

RECIPIENT = (
    'Whom a mail or message goes to: `{"by": "client"}`, who is reached at the primary contact, '
    "else at another contact, else at the company, and a lead at its own address first; "
    '`{"by": "contacts"}`, all contacts of the item; '
    '`{"by": "user", "user": {"by": "supervisor"}}`, a [person](#a-person) or department; or '
    '`{"by": "address", "address": "{{ deal.custom.office }}, info@firm.example"}`, as it is '
    "typed. Of each the first address counts, and everybody is written to once."
)

FIELD_CHANGE = """`{"field": "deal.amount", "value": "{{ deal.amount | times: 2 }}"}`: a value of
the kind of the field, or a [text with fields](#a-text-with-fields) that reads as one. A user may
also be a [person](#a-person), a date or time a [delay](#a-delay) from the moment at which the rule
runs, or a [date of the item](#a-date-of-the-item). Where a field holds several values, it is a
list, or a text with one in each line; null empties the field. What no item could hold is refused
when the rule is saved.
"""

TIMING = """## When a rule is due

`timing` of a rule has a `kind`. `at_once` is the default. `after_delay` has `amount` and `unit` of
a [delay](#a-delay) from entering the stage, or from the end of the rule above if it runs after
that, and nothing is due before. `around_date` follows a date of the item:

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

CLOCK = """### Clock and working time

Every kind of timing may say more: `{"kind": "after_delay", "amount": 2, "unit": "days",
"clock_time": "09:00", "working_hours": "company"}`.

`clock_time` is the time of the day that comes out. Where that is before the rule starts counting it
is the next one; of a date of the item the day is decisive, and the moment is then past. `time_zone`
is where days are counted and the clock is read: by default where the working time is counted, else
where the company is.

`working_hours` is {hours}: those of the company, or of whoever is responsible for the item, in
their time zone and with the holidays of their country; what a person has none of their own of, and
the days off, are the company's. Seconds, minutes and hours are then counted in working time only,
days are working days, weeks and longer are those of the calendar. Counting begins at the first
working moment: one working day after a Saturday is Tuesday. What comes out is moved on to the next
working moment, before a date of the item back to the one before: one day before 15 April, if that
is a day off, is 13 April. A date alone counts from the beginning of its working day. Who is away
does not work meanwhile; while nobody knows until when, or nobody is responsible, the company's time
counts. What is further than {years} years is counted without it.

A new responsible person moves what waits for their working time, unless somebody has postponed it.
Other changes of hours, holidays and time zones move nothing by themselves: `cuebook retime` does.

`spread_minutes` lets the runs of many items be due within so many minutes after that, each at its
own moment, which never changes: at most {spread}.
"""

ORDER = """### One after the other

Rules that are due at the same moment run top-down. With `after_previous` a rule starts counting
when the one above it has ended, whatever came of that; with `stop_on_failure` too, it is skipped
where that has failed, and so are those below it which say the same.
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

`POST /v1/field-definitions` gives items of a type fields of their own, at most {most} each. One
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


TRIGGER_HEAD = """# Triggers

A trigger hangs on the stage that it moves items **to**. When what it waits for happens to an item,
it moves the item there, and the rules of that stage start. This page is written by `make docs` from
the code; `GET /v1/trigger-types` serves the same as JSON Schema.

```json
{
  "type": "task_status",
  "settings": {
    "status": "completed",
    "filter": {"field": "task.title", "operator": "contains", "value": "invoice"}
  },
  "conditions": {"field": "deal.amount", "operator": ">", "value": 0}
}
```

`POST /v1/stages/{stage_id}/triggers` hangs it on the stage.

## Which trigger moves an item

When something happens, the triggers of that type are considered that hang on stages of the pipeline
in which the item stands at that moment. They are tried in the order of their stages, on one stage
from above. A trigger moves an item forward; one that says `allow_moving_back` also to an earlier
stage. The first whose settings and `conditions` fit moves the item, and the others do not: an item
moves once for each thing that happens. Rules of stages that are passed over do not run. Several
things may happen at once, such as a new amount and a new responsible person in one change: they
are taken one after another.

All of it is one transaction with what happened: there is never the one without the other. What a
move brings about in turn, such as a call that completes itself when its item leaves the stage, is
considered after it. Where triggers and rules move an item in a circle, the move is refused, and
administrators are told.

The stage is changed as `moves_as` says: by default as whoever is responsible; as somebody else,
named as [in rules](rules.md#a-person); or, where it is null, as automation. Timeline and history
say which trigger it was. `GET /v1/items/{item_id}/trigger-log` tells of every trigger that was
considered why it moved the item or did not, with the values that were compared.

`conditions` are those [of rules](rules.md#conditions); they see the item as it is after what
happened. Results of rules are not for triggers. A pause of the automation holds rules, not
triggers: the item moves, and the rules of its new stage wait.

## Types
"""

TASK_FILTER = """## Fields of a task

What the `filter` of *Watch task status* may compare, put together as in
[conditions](rules.md#conditions).
"""


def write_all() -> None:
    translations.write_all()
    RULES.write_text(rules_page())
    TRIGGERS.write_text(triggers_page())
    README.write_text(with_tables(README.read_text()))


def rules_page() -> str:
    """Return docs/rules.md."""
    actions = all_actions().values()
    names = [str(Locale(each).get_language_name(SOURCE)) for each in LANGUAGES if each != SOURCE]
    parts = [HEAD, _paragraph(SPOKEN.format(languages=_and(names))), "## Actions\n"]
    for group in ActionGroup:
        of_group = [_action(action) for action in actions if action.group is group]
        parts += [f"### {group.value}\n", *of_group]
    choices = {"user", "department"}
    schema = {name: part for each in actions for name, part in _definitions(each).items()}
    others = [f"`{by}`" for by in schema["UserBy"]["enum"] if by not in choices]
    parts += [
        TIMING,
        *map(_paragraph, AROUND_DATE.format(**_choices()).split("\n\n")),
        *_clock(),
        *map(_block, ORDER.split("\n\n")),
        "## Shapes of parameters\n",
        "### A person\n",
        _paragraph(PERSON.format(others=_and(others))),
        "### A delay\n",
        _paragraph(DELAY.format(units=_and([f"`{unit}`" for unit in Unit]), years=LONGEST_YEARS)),
        "### A date of the item\n",
        _paragraph(ITEM_DATE),
        "### A start\n",
        _paragraph(START),
        "### A change of a field\n",
        _paragraph(FIELD_CHANGE),
        "### A recipient\n",
        _paragraph(RECIPIENT),
        TEXT,
        *_filters(),
        RESULTS,
        CONDITIONS,
        *_operators(),
        "## Fields\n",
        *_fields(),
    ]
    return "\n".join(parts)


def triggers_page() -> str:
    """Return docs/triggers.md."""
    parts = [TRIGGER_HEAD, *map(_trigger_type, all_trigger_types().values()), TASK_FILTER]
    return "\n".join([*parts, *_table_of(TASK_FIELDS)])


def _trigger_type(kind: TriggerType[Any, Any]) -> str:
    lines = [
        f"### {kind.title}",
        "",
        f"`{kind.code}`, for {_and([f'{each}s' for each in kind.items])}.",
        "",
        kind.description,
    ]
    schema = kind.settings.model_json_schema()
    if properties := schema.get("properties", {}):
        titles = {name: part.get("title", "") for name, part in properties.items()}
        lines += ["", *_parameters("Setting", schema, titles)]
    return "\n".join([*lines, ""])


def _clock() -> Iterator[str]:
    said = {
        "hours": _or([f"`{each}`" for each in Hours]),
        "years": str(round(LONGEST_COUNT.days / 365)),
        "spread": str(MOST_SPREAD),
    }
    for block in CLOCK.split("\n\n"):
        text = block
        for name, value in said.items():
            text = text.replace(f"{{{name}}}", value)
        yield _block(text)


def _block(text: str) -> str:
    """Return a heading as it is, anything else as a paragraph."""
    return f"{text.strip()}\n" if text.startswith("#") else _paragraph(text)


def _choices() -> dict[str, str]:
    """Return what may be said of a rule around a date, the default first."""
    several = {"directions": Direction, "past": WhenPast, "empty": WhenEmpty}
    return {name: _or([f"`{each}`" for each in kind]) for name, kind in several.items()}


def with_tables(readme: str) -> str:
    """Return the README with its tables as the code has them now."""
    tables = (("settings", _settings()), ("actions", _actions()), ("triggers", _trigger_types()))
    for name, rows in tables:
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
    if action.also_in:
        lines += ["", f"People look for it under {_and(list(action.also_in))} too."]
    if action.warning:
        lines += ["", f"> **Warning.** {action.warning}"]
    form = ActionRead.of(action, str).params["properties"]
    titles = {name: part["title"] for name, part in form.items()}
    lines += ["", *_parameters("Parameter", action.params.model_json_schema(), titles)]
    if action.results:
        left = _and([_result(each) for each in action.results])
        lines += ["", f"Leaves in [`results.{action.code}`](#results-of-rules-above): {left}."]
    return "\n".join([*lines, ""])


def _parameters(called: str, schema: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield the table of a model's fields."""
    definitions = schema.get("$defs", {})
    required = schema.get("required", [])
    yield f"| {called} | Title | Type | Default | |"
    yield "| --- | --- | --- | --- | --- |"
    for name, part in schema["properties"].items():
        default = "required" if name in required else _default(part.get("default"))
        kind = _type(part, definitions)
        yield _row((f"`{name}`", titles[name], kind, default, part.get("description", "")))


def _result(result: Result) -> str:
    also = f", also `{result.short}`" if result.short else ""
    return f"`{result.path}` ({result.kind}{also})"


def _filters() -> Iterator[str]:
    yield "| Filter | Options | |\n| --- | --- | --- |"
    for name, function in OWN_FILTERS.items():
        options = ", ".join(f"`{each}`" for each in sorted(OWN_OPTIONS[name]))
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
    if several := part.get("anyOf") or part.get("oneOf"):
        return _or([_type(each, definitions) for each in several if each.get("type") != "null"])
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
    for kind in OPERATORS:
        known = ", ".join(f"`{each}`" for each in Operator if each in OPERATORS[kind])
        others = _or([each for each in OPERATORS if each in COMPARES_WITH[kind]] or [""])
        yield _row((kind, VALUES.get(kind, WANTED.get(kind, "")), others, known))
    yield ""


def _fields() -> Iterator[str]:
    """Yield the catalogue, each field of an item once, under the type that has it."""
    for item_type in ItemType:
        article = "an" if item_type is ItemType.INVOICE else "a"
        yield f"### Of {article} {item_type}\n"
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


def _actions() -> Iterator[str]:
    yield "| Action | For | Does |\n| --- | --- | --- |"
    for action in all_actions().values():
        first, *_ = action.description.partition("\n")
        link = f"[{action.title}](docs/rules.md#{action.title.lower().replace(' ', '-')})"
        yield _row((link, ", ".join(action.items), first))


def _trigger_types() -> Iterator[str]:
    yield "| Trigger | For | Does |\n| --- | --- | --- |"
    for kind in all_trigger_types().values():
        first, *_ = kind.description.partition("\n")
        anchor = kind.title.lower().replace(" ", "-")
        yield _row((f"[{kind.title}](docs/triggers.md#{anchor})", ", ".join(kind.items), first))


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
