"""Delete item: it goes into the recycle bin, its clients stay, and it can come back."""

from typing import Any

from models.contact import Contact
from models.database import Database
from models.history import HistoryEntry, HistoryKind
from models.item import Item, lock_item
from models.item_type import ItemType
from models.recycle_bin import restore_item
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, StageEntry
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_lead, a_pipeline, all_of, rules_of
from tests.fixtures.runner import Runner

DELETE: dict[str, Any] = {"action": "delete_item", "title": "Away with it", "params": {}}
LATER = {"timing": IN_AN_HOUR}
KEPT = {"timing": IN_AN_HOUR, "keep_when_item_leaves": True}


async def test_the_item_is_in_the_bin_its_client_is_not_and_history_says_which_rule_did_it(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        rules_of(session, stage, DELETE)
        deal, entry = await a_deal(session, stage, contact=Contact(first_name="Anna"))

    run = await runner.do(entry.id)

    (gone,) = await all_of(database, Item)
    assert (gone.deleted_at is not None, gone.deleted_by_run_id) == (True, run.id)
    (anna,) = await all_of(database, Contact)
    assert anna.deleted_at is None
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.DELETED)
    assert (line.text, line.author_id) == (f"Deleted deal {deal.id}.", None)
    assert (line.rule_id, line.run_id) == (run.rule_id, run.id)
    assert (run.state, run.outcome) == (RunState.DONE, f"Deleted deal {deal.id}.")


async def test_what_its_rules_had_still_to_do_is_dropped_also_what_was_to_be_kept(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        rules_of(session, stage, DELETE, LATER, KEPT)
        _, entry = await a_deal(session, stage)

    await runner.do(entry.id)

    assert [run.state for run in await all_of(database, RuleRun)] == [
        RunState.DONE,
        RunState.DROPPED,
        RunState.DROPPED,
    ]
    assert (await runner.agenda(entry.id)).items == ()


async def test_restored_it_says_which_rule_had_deleted_it_and_is_not_deleted_again(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        rules_of(session, stage, DELETE)
        deal, entry = await a_deal(session, stage)
    await runner.do(entry.id)

    async with database.transaction() as session:
        rita = User(name="Rita")
        session.add(rita)
        await restore_item(session, await lock_item(session, deal.id), Cause.restore(rita))

    (back,) = await all_of(database, Item)
    assert (back.deleted_at, back.deleted_by_run_id) == (None, None)
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.RESTORED)
    assert line.text == "Restored to «New». The rule «Away with it» had deleted it."
    _, again = await all_of(database, StageEntry)
    assert (await runner.agenda(again.id)).items == ()


async def test_it_is_for_leads_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Junk", item_type=ItemType.LEAD)
        rules_of(session, stage, DELETE)
        lead, entry = await a_lead(session, stage)

    run = await runner.do(entry.id)

    assert run.outcome == f"Deleted lead {lead.id}."
