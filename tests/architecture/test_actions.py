"""An action is one file and its test, and the documentation has it."""

from pathlib import Path
from typing import Any

import pytest

from activities.registry import RuleAction, all_actions

ROOT = Path(__file__).parents[2]
CODES = sorted(all_actions())


@pytest.fixture
def action(code: str) -> RuleAction[Any]:
    return all_actions()[code]


def test_each_file_is_an_action_and_each_action_a_file() -> None:
    files = {path.stem for path in (ROOT / "activities" / "actions").glob("[!_]*.py")}

    assert files == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_action_is_called_like_its_file(action: RuleAction[Any], code: str) -> None:
    assert action.code == code
    assert action.handler.__name__ == code
    assert action.handler.__module__ == f"activities.actions.{code}"
    assert action.params.__name__ == "".join(word.capitalize() for word in code.split("_"))


@pytest.mark.parametrize("code", CODES)
def test_an_action_can_be_shown(action: RuleAction[Any], code: str) -> None:
    assert action.title, code
    assert action.description, code
    assert action.items, code


@pytest.mark.parametrize("code", CODES)
def test_each_of_its_parameters_has_a_title(action: RuleAction[Any], code: str) -> None:
    untitled = {name for name, field in action.params.model_fields.items() if not field.title}

    assert untitled == set(), code


@pytest.mark.parametrize("code", CODES)
def test_an_action_has_a_test(code: str) -> None:
    test = ROOT / "tests" / "actions" / f"test_{code}.py"

    assert test.exists()
    assert "def test_" in test.read_text()


@pytest.mark.parametrize("code", CODES)
def test_an_action_is_documented(action: RuleAction[Any], code: str) -> None:
    page = (ROOT / "docs" / "rules.md").read_text()

    assert f"#### {action.title}\n" in page
    assert f"\n`{code}`, for " in page
