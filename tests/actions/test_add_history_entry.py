"""Add history entry: a line of kind Information, and nothing on the timeline."""

from typing import Any

import pytest

from models.database import Database
from models.history import HistoryEntry, HistoryKind
from models.item_type import ItemType
from models.rule_run import RunState
from models.stage_entry import StageEntry
from models.timeline import TimelineComment, TimelineKind, timeline_of
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage that writes into the history with these params."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, params=params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def the_line(database: Database) -> HistoryEntry:
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.INFORMATION)
    return line


async def test_one_line_is_written_with_the_items_fields_and_place(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom")
    entry = await entered(
        database, {"text": "{{ deal.title }} waits for {{ responsible.name }}."}, responsible=tom
    )

    run = await runner.do(entry.id)

    line = await the_line(database)
    assert line.text == "Lathe waits for Tom."
    assert (line.subject_type, line.subject_id, line.item_id) == (
        "deal",
        entry.item_id,
        entry.item_id,
    )
    assert (line.stage_id, line.responsible_id) == (entry.stage_id, tom.id)
    assert (run.state, run.outcome) == (RunState.DONE, "Wrote a history entry.")


async def test_it_was_automation_unless_said_otherwise(database: Database, runner: Runner) -> None:
    entry = await entered(database, {"text": "Seen"})

    run = await runner.do(entry.id)

    line = await the_line(database)
    assert (line.author_id, line.rule_id, line.run_id) == (None, run.rule_id, run.id)


async def test_it_is_in_the_name_of_the_person_chosen_and_still_tells_the_rule(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom")
    entry = await entered(
        database, {"text": "Seen", "created_by": {"by": "responsible"}}, responsible=tom
    )

    run = await runner.do(entry.id)

    line = await the_line(database)
    assert (line.author_id, line.rule_id, line.run_id) == (tom.id, run.rule_id, run.id)


@pytest.mark.parametrize("by", ["creator", "responsible"])
async def test_it_is_also_in_the_name_of_somebody_of_the_item_who_has_left(
    database: Database, runner: Runner, by: str
) -> None:
    gil = User(name="Gil", active=False)
    entry = await entered(
        database, {"text": "Seen", "created_by": {"by": by}}, creator=gil, responsible=gil
    )

    run = await runner.do(entry.id)

    assert run.state is RunState.DONE
    assert (await the_line(database)).author_id == gil.id


async def test_nobody_to_write_it_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"text": "Seen", "created_by": {"by": "responsible"}})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Nobody is responsible for deal {entry.item_id}.",
    )
    assert await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.INFORMATION) == []


async def test_the_timeline_shows_the_run_and_no_comment(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"text": "Seen"})

    await runner.do(entry.id)

    async with database.reading() as session:
        rows, order = timeline_of(entry.item_id)
        shown = (await session.execute(rows.order_by(*order.by()))).all()
    assert [row.kind for row in shown] == [TimelineKind.RULE_RUN, TimelineKind.STAGE_ENTRY]
    assert await all_of(database, TimelineComment) == []


async def test_leads_have_a_history_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, params={"text": "{{ lead.title }} came in."})
        _, entry = await a_lead(session, incoming)

    await runner.do(entry.id)

    line = await the_line(database)
    assert (line.text, line.item_type) == ("A call came in.", ItemType.LEAD)


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/text", "Field required"),
        ({"text": ""}, "/params/text", "String should have at least 1 character"),
        (
            {"text": "By {{ responsible.nam }}"},
            "/params/text",
            "line 1, column 7: unknown field responsible.nam, did you mean responsible.name?",
        ),
        (
            {"text": "Seen", "created_by": {"by": "user", "id": 42}},
            "/params/created_by/id",
            "There is no user 42.",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "add_history_entry", params) == {field: reason}
