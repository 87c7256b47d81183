"""A type of trigger is one file, a case of the tests, and a line of the documentation."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.trigger_type import TriggerType, all_trigger_types
from tests.models.test_trigger_types import CASES

ROOT = Path(__file__).parents[2]
CODES = sorted(all_trigger_types())


def codes_of(value: ast.expr, module: ast.Module) -> Iterator[str]:
    """Yield what an expression may be; one that does not say it in so many words is refused."""
    match value:
        case ast.Constant(value=str() as code):
            yield code
        case ast.IfExp():
            yield from codes_of(value.body, module)
            yield from codes_of(value.orelse, module)
        case ast.Name():
            given = [
                each.value
                for each in ast.walk(module)
                if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == value.id
            ]
            assert given, value.id
            for each in given:
                yield from codes_of(each, module)
        case _:
            raise AssertionError(ast.unparse(value))


def codes_that_occur(path: Path) -> Iterator[str]:
    """Yield the codes of all occasions that a file makes."""
    module = ast.parse(path.read_text())
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name.endswith("Occasion"):
                (code,) = (each.value for each in node.keywords if each.arg == "trigger")
                yield from codes_of(code, module)


@pytest.fixture
def kind(code: str) -> TriggerType[Any, Any]:
    return all_trigger_types()[code]


def test_each_file_is_a_type_and_each_type_a_file() -> None:
    files = {path.stem for path in (ROOT / "models" / "triggers").glob("[!_]*.py")}

    assert files == set(CODES)


def test_what_occurs_and_what_triggers_wait_for_is_the_same() -> None:
    occurring = {
        code
        for layer in ("activities", "api", "models")
        for path in (ROOT / layer).rglob("*.py")
        for code in codes_that_occur(path)
    }

    assert occurring == set(CODES)


def test_each_type_has_a_case() -> None:
    assert {case.code for case in CASES} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_type_is_called_like_its_file(kind: TriggerType[Any, Any], code: str) -> None:
    assert kind.code == code
    assert kind.why_not.__name__ == code
    assert kind.why_not.__module__ == f"models.triggers.{code}"


@pytest.mark.parametrize("code", CODES)
def test_a_type_can_be_shown(kind: TriggerType[Any, Any], code: str) -> None:
    assert kind.title, code
    assert kind.description.startswith("Move the "), code
    assert kind.items, code


@pytest.mark.parametrize("code", CODES)
def test_each_of_its_settings_has_a_title(kind: TriggerType[Any, Any], code: str) -> None:
    untitled = {name for name, field in kind.settings.model_fields.items() if not field.title}

    assert untitled == set(), code


@pytest.mark.parametrize("code", CODES)
def test_a_type_that_may_be_narrowed_down_is_tested_with_other_settings(
    kind: TriggerType[Any, Any], code: str
) -> None:
    tried = {
        name for case in CASES if case.code == code for each, _ in case.others for name in each
    }

    assert tried == kind.settings.model_fields.keys()


@pytest.mark.parametrize("code", CODES)
def test_a_type_is_documented(kind: TriggerType[Any, Any], code: str) -> None:
    page = (ROOT / "docs" / "triggers.md").read_text()

    assert f"### {kind.title}\n" in page
    assert f"\n`{code}`, for " in page
