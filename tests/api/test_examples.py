"""Every example of the document is sent to the company that `make run` loads, and is right."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from activities.registry import all_actions
from api.app import create_app
from docs.examples import EXAMPLES
from docs.record import KEPT, SETTINGS, Fresh, Operation, Recorder
from models.conditions import All, AnyOf, Comparison, Not
from models.database import Database
from models.timing import AfterDelay, AroundDate, AtOnce

SHOWN = json.loads(KEPT.read_text())
BODIES = [body["value"] for body in SHOWN["createRule"]["bodies"].values()]


def parts(conditions: Any) -> Iterator[Any]:
    """Yield conditions and what they are made of."""
    yield conditions
    for name in ("all", "any", "not"):
        below = conditions.get(name, [])
        for part in below if isinstance(below, list) else [below]:
            yield from parts(part)


@pytest.mark.timeout(180)
async def test_what_is_shown_is_what_is_answered(sqlite_company: Fresh) -> None:
    app = create_app(Database("sqlite+aiosqlite:///nowhere.db"), SETTINGS)

    recorded = await Recorder(app, sqlite_company).record()

    assert recorded == SHOWN, "`make docs` records anew what has changed"


def test_every_operation_is_shown(one_app: FastAPI) -> None:
    assert EXAMPLES.keys() == Operation.all_of(one_app.openapi()).keys()


def test_what_is_refused_says_so() -> None:
    answers = [
        (name, status, example["summary"])
        for name, kept in SHOWN.items()
        if name != "shared"
        for status, examples in kept["answers"].items()
        for example in examples.values()
    ]

    assert [
        (name, title)
        for name, status, title in answers
        if title.startswith("Refused: ") is not (status[0] == "4")
    ] == []


def test_every_action_is_shown_in_a_rule() -> None:
    assert {body["action"] for body in BODIES} == all_actions().keys()


def test_every_kind_of_timing_is_shown() -> None:
    shown = {AtOnce().kind, *(body["timing"]["kind"] for body in BODIES if "timing" in body)}

    kinds = {kind.model_fields["kind"].default for kind in (AtOnce, AfterDelay, AroundDate)}
    assert shown == kinds


def test_every_kind_of_condition_is_shown() -> None:
    conditions = [body["conditions"] for body in BODIES if "conditions" in body]
    shown = {name for each in conditions for part in parts(each) for name in part}

    kinds = {next(iter(kind.model_fields.values())).alias for kind in (All, AnyOf, Not)}
    assert shown == {*kinds, *Comparison.model_fields}
