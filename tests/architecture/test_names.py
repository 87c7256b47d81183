"""One word for one thing: names that are used for something else, or for nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

NEVER = {
    "assignee",
    "audit",
    "blacklist",
    "card",
    "command",
    "element",
    "entity",
    "event",
    "funnel",
    "job",
    "note",
    "owner",
    "plan",
    "queue",
    "robot",
    "transition",
    "visit",
}
"""Other words for what has one already: see ARCHITECTURE.md."""

EXEMPT = {"PlanActivity", "plan_activity"}
"""What rules keep for ever under the name that its users know."""

KEPT_BY_TRIGGERS = {"ActivityCompleted", "activity_completed"}
"""What triggers keep so: whoever hangs one up knows no other activities."""

BARE_ACTIVITY = re.compile(r"(?<!crm_)(?<!Crm)activit(y|ies)", re.IGNORECASE)

TEMPORALS_OWN = {
    ("models/agenda.py", "activity"),
    ("models/entering.py", "next_activity"),
    ("models/rule_edit.py", "next_activity"),
    ("models/rule_run.py", "next_activity"),
    ("models/stage_entry.py", "activity"),
    ("models/stage_entry.py", "next_activity"),
    ("models/telling.py", "next_activity"),
}
"""Where models name Temporal's activity, which is the only one without *crm* before it."""


OTHERS_OWN = {
    ("devserver.py", "command"),
    ("documents/child_process.py", "command"),
    ("inbound_mail.py", "command_size_limit"),
    ("inbound_mail.py", "command_size_limits"),
    ("relay.py", "TASK_QUEUE"),
    ("relay.py", "_task_queue"),
    ("relay.py", "task_queue"),
    ("worker.py", "command"),
    ("worker.py", "task_queue"),
    ("workflows/agenda.py", "task_queue"),
}
"""Where such a word is right: a command of the shell or of SMTP, a task queue of Temporal."""


def source(*places: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for place in places for path in ROOT.glob(place))


def parsed(place: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((ROOT / place).read_text()))


def identifiers(place: str) -> Iterator[str]:
    """Yield every name in a file, whether it is made there or used."""
    for node in parsed(place):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.arg(arg=name) | ast.keyword(arg=str() as name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name


def names_made(place: str) -> Iterator[str]:
    """Yield the names that a file gives to things; what libraries call theirs does not count."""
    for node in parsed(place):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words(name: str) -> set[str]:
    """Return the words of a name: `TaskPerson` and `task_person` have two."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@pytest.mark.parametrize(
    "place",
    source("models/*.py", "models/triggers/*.py", "api/*.py", "documents/*.py", "exchange/*.py"),
)
def test_a_bare_activity_is_temporals(place: str) -> None:
    names = {name for name in identifiers(place) if BARE_ACTIVITY.search(name)}
    found = {(place, name) for name in names - KEPT_BY_TRIGGERS}

    assert found <= TEMPORALS_OWN


def test_every_exception_is_still_needed() -> None:
    activities = {(place, name) for place, _ in TEMPORALS_OWN for name in identifiers(place)}
    others = {(place, name) for place, _ in OTHERS_OWN for name in names_made(place)}

    assert activities >= TEMPORALS_OWN
    assert others >= OTHERS_OWN


@pytest.mark.parametrize(
    "place",
    source(
        "*.py",
        "models/*.py",
        "models/triggers/*.py",
        "api/*.py",
        "documents/*.py",
        "exchange/*.py",
        "workflows/*.py",
        "activities/**/*.py",
    ),
)
def test_nothing_has_a_second_name(place: str) -> None:
    names = {name for name in [Path(place).stem, *names_made(place)] if words(name) & NEVER}
    found = {(place, name) for name in names - EXEMPT}

    assert found <= OTHERS_OWN


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("next_activity", True),
        ("activities", True),
        ("crm_activity", False),
        ("CrmActivity", False),
    ],
)
def test_a_crm_activity_is_not_bare(name: str, *, refused: bool) -> None:
    assert bool(BARE_ACTIVITY.search(name)) is refused
