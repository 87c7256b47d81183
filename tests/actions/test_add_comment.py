"""Add comment: a rule says something on the timeline."""

from typing import Any

import pytest

from models.contact import Contact
from models.database import Database
from models.rule_run import RunState
from models.stage_entry import StageEntry
from models.timeline import TimelineComment
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "add_comment", params=params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def test_the_comment_is_signed_by_the_responsible_and_remembers_its_run(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom")
    params = {"text": "{{ contact.name }} wants {{ deal.title }}"}
    entry = await entered(database, params, responsible=tom, contact=Contact(first_name="Anna"))

    run = await runner.do(entry.id)

    (comment,) = await all_of(database, TimelineComment)
    assert comment.text == "Anna wants Lathe"
    assert (comment.item_id, comment.author_id, comment.made_by_run_id) == (
        entry.item_id,
        tom.id,
        run.id,
    )
    assert not comment.from_client
    assert (run.state, run.outcome) == (RunState.DONE, "Added a comment.")
    assert run.result == {"id": comment.id, "text": "Anna wants Lathe"}


async def test_the_author_is_whoever_is_chosen(database: Database, runner: Runner) -> None:
    tom, eve = User(name="Tom"), User(name="Eve")
    params = {"text": "Hello", "author": {"by": "creator"}}
    entry = await entered(database, params, responsible=tom, creator=eve)

    await runner.do(entry.id)

    (comment,) = await all_of(database, TimelineComment)
    assert comment.author_id == eve.id


async def test_where_nobody_is_responsible_it_is_automation(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"text": "Hello"})

    await runner.do(entry.id)

    (comment,) = await all_of(database, TimelineComment)
    assert comment.author_id is None


async def test_a_comment_of_empty_fields_only_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"text": " {{ contact.name }} "})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "The text is empty, now that its fields are filled in.",
    )
    assert await all_of(database, TimelineComment) == []


async def test_a_comment_longer_than_people_may_write_is_cut(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"text": "{{ deal.title }}" * 200}, title="x" * 200)

    await runner.do(entry.id)

    (comment,) = await all_of(database, TimelineComment)
    assert comment.text == "x" * 19_999 + "…"


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/text", "Field required"),
        (
            {"text": "{{ deal.ammount }}"},
            "/params/text",
            "line 1, column 4: unknown field deal.ammount, did you mean deal.amount?",
        ),
    ],
)
async def test_a_comment_that_could_not_be_written_is_refused(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "add_comment", params) == {field: reason}
