"""Entering a stage: the one function that begins a stay, and all that comes of it."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from models import clock
from models.agenda import workflow_id
from models.database import Database
from models.entering import ENTRIES_COUNT_FOR, MOST_ENTRIES, MOST_LINKS, create_item, enter_stage
from models.errors import Conflict, Invalid, LoopDetected
from models.history import HistoryEntry, HistoryKind
from models.item import Deal, Item, lock_item
from models.item_type import ItemType
from models.pipeline import Stage, find_stage
from models.rule_run import OPEN, Hold, RuleRun, RunState, finish_run, hold_run
from models.stage_entry import Cause, CauseKind, StageEntry, lock_entry, lock_run, runs_where
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_lead, a_pipeline, all_of, rules_of

KEPT = {"timing": IN_AN_HOUR, "keep_when_item_leaves": True}
AFTER = {"after_previous": True}
AN_HOUR = timedelta(hours=1)
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still."""
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)


@pytest.fixture
async def way(database: Database) -> list[Stage]:
    """Three stages of a pipeline."""
    async with database.transaction() as session:
        return a_pipeline(session, "New", "Offer", "Won")


async def hang(database: Database, stage: Stage, *rules: dict[str, Any]) -> None:
    async with database.transaction() as session:
        rules_of(session, await find_stage(session, stage.id), *rules)


async def entered(database: Database, stage: Stage, *rules: dict[str, Any]) -> StageEntry:
    """Let a new deal enter the stage, on which these rules hang from now on."""
    await hang(database, stage, *rules)
    async with database.transaction() as session:
        _, entry = await a_deal(session, await find_stage(session, stage.id))
    return entry


async def moved(
    database: Database, item_id: int, stage: Stage, *, new_pipeline: bool = False
) -> StageEntry | None:
    """Let a person move an item to a stage."""
    async with database.transaction() as session:
        return await by_hand(session, item_id, stage, new_pipeline=new_pipeline)


async def by_hand(
    session: AsyncSession, item_id: int, stage: Stage, *, new_pipeline: bool = False
) -> StageEntry | None:
    person = User(name="Ann")
    session.add(person)
    item = await lock_item(session, item_id)
    target = await find_stage(session, stage.id)
    cause = Cause.person(person)
    return await enter_stage(session, item, target, cause, new_pipeline=new_pipeline)


async def moved_by_rule(database: Database, run_id: int, stage: Stage) -> StageEntry | None:
    """Let a run move its item to a stage, as an action would."""
    async with database.transaction() as session:
        run = await lock_run(session, run_id)
        target = await find_stage(session, stage.id)
        return await enter_stage(session, run.item, target, Cause.rule(run))


async def runs_of(database: Database, entry: StageEntry | None) -> list[RuleRun]:
    assert entry is not None
    return await all_of(
        database,
        RuleRun,
        RuleRun.stage_entry_id == entry.id,
        options=(selectinload(RuleRun.version),),
    )


async def states(database: Database, entry: StageEntry | None) -> list[str]:
    return [run.state.value for run in await runs_of(database, entry)]


async def the_item(database: Database) -> Item:
    (item,) = await all_of(database, Item)
    return item


async def lines(database: Database, kind: HistoryKind) -> list[HistoryEntry]:
    return await all_of(database, HistoryEntry, HistoryEntry.kind == kind)


async def test_a_new_item_stands_in_its_stage_and_the_rules_there_wait(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"title": "First"}, {"timing": IN_AN_HOUR})

    item = await the_item(database)
    assert (item.stage_id, item.pipeline_id) == (way[0].id, way[0].pipeline_id)
    assert (entry.cause, entry.root_id, entry.depth) == (CauseKind.PERSON, None, 0)
    now, later = await runs_of(database, entry)
    assert now.state is later.state is RunState.WAITING
    assert (now.due_at, later.due_at) == (entry.entered_at, entry.entered_at + AN_HOUR)
    assert (now.version.title, now.next_activity) == ("First", "add_history_entry")


async def test_a_new_entry_is_at_version_one_and_nothing_of_it_was_told(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {}, {})

    assert (entry.agenda_version, entry.told_version) == (1, 0)


async def test_a_stage_without_rules_is_entered_too(database: Database, way: list[Stage]) -> None:
    entry = await entered(database, way[0])

    assert await runs_of(database, entry) == []
    assert entry.workflow_id == workflow_id(ItemType.DEAL, entry.item_id, entry.id)


async def test_rules_switched_off_or_deleted_do_not_wait(
    database: Database, way: list[Stage]
) -> None:
    async with database.transaction() as session:
        off, deleted, _ = rules_of(
            session, await find_stage(session, way[0].id), {}, {}, {"title": "Here"}
        )
        off.enabled = False
        deleted.deleted_at = clock.now()

    entry = await entered(database, way[0])

    assert [run.version.title for run in await runs_of(database, entry)] == ["Here"]


async def test_the_same_stage_again_changes_nothing(database: Database, way: list[Stage]) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR})
    before = await the_item(database)

    again = await moved(database, entry.item_id, way[0])

    assert again is None
    assert len(await all_of(database, StageEntry)) == 1
    assert (await the_item(database)).version == before.version
    assert await states(database, entry) == ["waiting"]


async def test_another_stage_ends_the_stay_and_drops_what_has_not_run(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR}, {"timing": IN_AN_HOUR})

    there = await moved(database, entry.item_id, way[1])

    assert there is not None
    (left, _) = await all_of(database, StageEntry)
    assert left.left_at == there.entered_at
    runs = await runs_of(database, entry)
    assert [(run.state, run.outcome) for run in runs] == [
        (RunState.DROPPED, "left the stage"),
        (RunState.DROPPED, "left the stage"),
    ]
    assert left.agenda_version > 1


async def test_what_was_held_is_dropped_too(database: Database, way: list[Stage]) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR})
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        hold_run(session, locked.runs[0], Hold.PAUSED)

    await moved(database, entry.item_id, way[1])

    (run,) = await runs_of(database, entry)
    assert (run.state, run.held_because) == (RunState.DROPPED, None)


async def test_leaving_with_nothing_open_does_not_raise_the_version(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0])

    await moved(database, entry.item_id, way[1])

    left, _ = await all_of(database, StageEntry)
    assert left.agenda_version == 1


async def test_coming_back_starts_from_zero(database: Database, way: list[Stage]) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR})
    await moved(database, entry.item_id, way[1])

    back = await moved(database, entry.item_id, way[0])

    assert back is not None
    (run,) = await runs_of(database, back)
    assert (run.state, run.due_at) == (RunState.WAITING, back.entered_at + AN_HOUR)


async def test_rules_that_are_kept_survive_leaving_and_stay_on_the_agenda(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR}, KEPT)

    await moved(database, entry.item_id, way[1])

    assert await states(database, entry) == ["dropped", "waiting"]
    async with database.reading() as session:
        (open_one,) = await session.scalars(
            runs_where(RuleRun.item_id == entry.item_id, RuleRun.state.in_(OPEN))
        )
    assert open_one.stage_entry_id == entry.id


async def test_a_kept_rule_after_a_dropped_one_starts_counting_when_the_item_leaves(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR}, KEPT | AFTER)
    (_, waiting) = await runs_of(database, entry)

    there = await moved(database, entry.item_id, way[1])

    assert waiting.due_at is None
    assert there is not None
    (dropped, kept) = await runs_of(database, entry)
    assert (dropped.state, kept.state) == (RunState.DROPPED, RunState.WAITING)
    assert kept.due_at == there.entered_at + AN_HOUR


async def test_a_rule_after_the_previous_one_waits_without_a_time(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"title": "First"}, {"title": "Second"} | AFTER)

    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        first, second = locked.runs
        told = second.waits_for

    assert second.due_at is None
    assert told == f"the end of «First» (run {first.id})"


async def test_the_first_rule_waits_for_none_even_if_it_says_after_the_previous(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], AFTER)

    (run,) = await runs_of(database, entry)
    assert run.due_at == entry.entered_at


async def test_a_rule_that_runs_once_per_item_is_skipped_after_it_has_run(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"once_per_item": True})
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        await finish_run(session, locked.runs[0], RunState.DONE, "So it was.")
    await moved(database, entry.item_id, way[1])

    back = await moved(database, entry.item_id, way[0])

    (run,) = await runs_of(database, back)
    assert (run.state, run.outcome) == (RunState.SKIPPED, "It runs once per item, and has.")
    assert back is not None
    assert back.agenda_version == 1


async def test_a_rule_that_was_dropped_before_it_ran_may_run_once_still(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"once_per_item": True, "timing": IN_AN_HOUR})
    await moved(database, entry.item_id, way[1])

    back = await moved(database, entry.item_id, way[0])

    assert await states(database, back) == ["waiting"]


async def test_a_kept_rule_that_still_waits_from_last_time_does_not_wait_twice(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], KEPT | {"once_per_item": True})
    await moved(database, entry.item_id, way[1])

    back = await moved(database, entry.item_id, way[0])

    assert await states(database, entry) == ["waiting"]
    assert await states(database, back) == ["skipped"]


async def test_other_items_are_no_reason_to_skip_what_runs_once_per_item(
    database: Database, way: list[Stage]
) -> None:
    await entered(database, way[0], {"once_per_item": True})

    other = await entered(database, way[0])

    assert await states(database, other) == ["waiting"]


async def test_the_rule_after_one_that_runs_once_starts_counting_at_once(
    database: Database, way: list[Stage]
) -> None:
    once = {"once_per_item": True}
    entry = await entered(database, way[0], once, once | AFTER, {"timing": IN_AN_HOUR} | AFTER)
    async with database.transaction() as session:
        locked = await lock_entry(session, entry.id)
        assert locked is not None
        await finish_run(session, locked.runs[0], RunState.DONE, "So it was.")
        await finish_run(session, locked.runs[1], RunState.DONE, "And that too.")
    await moved(database, entry.item_id, way[1])

    back = await moved(database, entry.item_id, way[0])

    assert back is not None
    first, second, third = await runs_of(database, back)
    assert (first.state, second.state) == (RunState.SKIPPED, RunState.SKIPPED)
    assert (third.state, third.due_at) == (RunState.WAITING, back.entered_at + AN_HOUR)


async def test_a_stage_of_another_pipeline_is_refused(database: Database, way: list[Stage]) -> None:
    entry = await entered(database, way[0])
    async with database.transaction() as session:
        (planning,) = a_pipeline(session, "Planning")

    with pytest.raises(Invalid) as caught:
        await moved(database, entry.item_id, planning)

    assert caught.value.problems[0].field == "/stage_id"
    assert caught.value.problems[0].reason == (
        f"Stage {planning.id} «Planning» belongs to pipeline {planning.pipeline_id} «Sales»; "
        f"deal {entry.item_id} is in pipeline {way[0].pipeline_id}."
    )


async def test_a_stage_of_another_pipeline_is_entered_where_that_is_meant(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0])
    async with database.transaction() as session:
        (planning,) = a_pipeline(session, "Planning")

    await moved(database, entry.item_id, planning, new_pipeline=True)

    item = await the_item(database)
    assert (item.stage_id, item.pipeline_id) == (planning.id, planning.pipeline_id)


@pytest.mark.parametrize("new_pipeline", [False, True])
async def test_a_deal_cannot_stand_in_a_stage_of_leads(
    database: Database, way: list[Stage], *, new_pipeline: bool
) -> None:
    entry = await entered(database, way[0])
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)

    with pytest.raises(Invalid, match=f"Stage {incoming.id} «Incoming» is for leads."):
        await moved(database, entry.item_id, incoming, new_pipeline=new_pipeline)


async def test_a_lead_cannot_begin_in_a_stage_of_deals(
    database: Database, way: list[Stage]
) -> None:
    async with database.transaction() as session:
        with pytest.raises(Invalid, match="is for deals"):
            await a_lead(session, await find_stage(session, way[0].id))


async def test_what_is_in_the_recycle_bin_moves_nowhere(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0])
    async with database.transaction() as session:
        (await lock_item(session, entry.item_id)).deleted_at = clock.now()

    with pytest.raises(Conflict, match=f"^Deal {entry.item_id} is in the recycle bin.$"):
        await moved(database, entry.item_id, way[1])


async def test_restoring_enters_the_same_stage_anew_without_running_its_rules(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"title": "Greet"})

    async with database.transaction() as session:
        person = User(name="Rita")
        session.add(person)
        item = await lock_item(session, entry.item_id)
        stage = await find_stage(session, way[0].id)
        restored = await enter_stage(session, item, stage, Cause.restore(person))

    assert restored is not None
    assert (restored.cause, restored.cause_user_id) == (CauseKind.RESTORE, person.id)
    assert (restored.root_id, restored.depth) == (None, 0)
    assert await runs_of(database, restored) == []


async def test_creation_move_and_restoration_are_told_in_history_with_their_author(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0])
    there = await moved(database, entry.item_id, way[1])

    (created,) = await lines(database, HistoryKind.CREATED)
    assert (created.text, created.author_id) == ("Created in «New».", entry.cause_user_id)
    (move,) = await lines(database, HistoryKind.STAGE_CHANGED)
    assert there is not None
    assert (move.text, move.author_id) == ("Moved from «New» to «Offer».", there.cause_user_id)
    assert (move.field, move.old, move.new) == ("stage", "New", "Offer")
    assert (move.item_id, move.stage_id) == (entry.item_id, way[1].id)


async def test_a_move_by_a_rule_is_told_with_rule_and_run_and_no_author(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR})
    (run,) = await runs_of(database, entry)

    await moved_by_rule(database, run.id, way[1])

    (move,) = await lines(database, HistoryKind.STAGE_CHANGED)
    assert (move.author_id, move.rule_id, move.run_id) == (None, run.rule_id, run.id)


async def test_each_dropped_run_is_told_in_history_by_whom(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR, "title": "Remind"})

    there = await moved(database, entry.item_id, way[1])

    (line,) = await lines(database, HistoryKind.RULE_RUN)
    assert there is not None
    assert (line.text, line.author_id) == (
        "«Remind» dropped: left the stage",
        there.cause_user_id,
    )


async def test_the_run_that_moves_the_item_is_not_dropped_by_its_own_move(
    database: Database, way: list[Stage]
) -> None:
    entry = await entered(database, way[0], {"timing": IN_AN_HOUR}, {"timing": IN_AN_HOUR})
    (mover, _) = await runs_of(database, entry)

    await moved_by_rule(database, mover.id, way[1])

    assert await states(database, entry) == ["waiting", "dropped"]


async def test_an_entry_knows_the_root_of_its_chain_and_how_far_it_is(
    database: Database, way: list[Stage]
) -> None:
    later = {"timing": IN_AN_HOUR}
    await hang(database, way[1], later)
    first = await entered(database, way[0], later)
    second = await moved_by_rule(database, (await runs_of(database, first))[0].id, way[1])
    (run,) = await runs_of(database, second)

    third = await moved_by_rule(database, run.id, way[2])

    assert second is not None
    assert third is not None
    assert (second.root_id, second.depth) == (first.id, 1)
    assert (third.root_id, third.depth) == (first.id, 2)
    assert (third.cause, third.cause_run_id) == (CauseKind.RULE, run.id)


async def test_a_person_begins_a_new_chain(database: Database, way: list[Stage]) -> None:
    first = await entered(database, way[0], {"timing": IN_AN_HOUR})
    await moved_by_rule(database, (await runs_of(database, first))[0].id, way[1])

    third = await moved(database, first.item_id, way[2])

    assert third is not None
    assert (third.root_id, third.depth) == (None, 0)


async def test_a_chain_deeper_than_allowed_is_stopped_and_the_way_is_told(
    database: Database, way: list[Stage]
) -> None:
    first = await entered(database, way[0], {"timing": IN_AN_HOUR})
    await hang(database, way[1], {"timing": IN_AN_HOUR})
    second = await moved_by_rule(database, (await runs_of(database, first))[0].id, way[1])
    (run,) = await runs_of(database, second)
    async with database.transaction() as session:
        await session.execute(
            update(StageEntry).where(StageEntry.id == run.stage_entry_id).values(depth=MOST_LINKS)
        )

    with pytest.raises(LoopDetected) as caught:
        await moved_by_rule(database, run.id, way[2])

    deal = f"deal {first.item_id}"
    assert caught.value.message == f"loop: {deal} in «New» → {deal} in «Offer»"


@pytest.mark.parametrize(
    ("links", "told"),
    [
        (8, "New → New → New → New → New → New → New → New → Offer"),
        (
            40,
            (
                "New → New → New → New → … 33 more … → New → New → New → Offer; "
                "all of it is in /v1/stage-entries/{}/causes"
            ),
        ),
    ],
)
async def test_of_a_long_circle_beginning_and_end_are_told_and_where_all_of_it_is(
    database: Database, way: list[Stage], links: int, told: str
) -> None:
    last = await entered(database, way[1], {"timing": IN_AN_HOUR})
    await led_to(database, way[0], last, links)
    (run,) = await runs_of(database, last)

    with pytest.raises(LoopDetected) as caught:
        await moved_by_rule(database, run.id, way[2])

    path = re.sub(r"deal \d+ in «(\w+)»", r"\1", caught.value.message.removeprefix("loop: "))
    assert path == told.format(last.id)


async def led_to(database: Database, stage: Stage, last: StageEntry, links: int) -> None:
    """Let so many entries, each the cause of the next, have led to the last that is allowed."""
    async with database.transaction() as session:
        person = User(name="Ann")
        session.add(person)
        there = await find_stage(session, stage.id)
        chain = [
            await create_item(session, Deal(title="Copy"), there, Cause.person(person))
            for _ in range(links)
        ]
        chain.append(await session.get_one(StageEntry, last.id))
        for depth, (parent, entry) in enumerate(pairwise(chain), start=1):
            entry.root_id, entry.parent_id, entry.depth = chain[0].id, parent.id, depth
        chain[-1].depth = MOST_LINKS


async def opened(database: Database, way: list[Stage], root: StageEntry, count: int) -> None:
    """Let a root have opened so many entries, as if rules had made as many deals."""
    async with database.transaction() as session:
        person = User(name="Ann")
        session.add(person)
        stage = await find_stage(session, way[0].id)
        for _ in range(count):
            entry = await create_item(session, Deal(title="Copy"), stage, Cause.person(person))
            entry.root_id = root.id


async def test_one_root_opens_no_more_entries_in_a_day_than_allowed(
    database: Database, way: list[Stage]
) -> None:
    first = await entered(database, way[1], {"timing": IN_AN_HOUR})
    (run,) = await runs_of(database, first)
    await opened(database, way, first, MOST_ENTRIES)

    with pytest.raises(LoopDetected, match=f"^loop: deal {first.item_id} in «Offer»$"):
        await moved_by_rule(database, run.id, way[2])


async def test_the_last_entry_that_is_allowed_is_opened(
    database: Database, way: list[Stage]
) -> None:
    first = await entered(database, way[1], {"timing": IN_AN_HOUR})
    (run,) = await runs_of(database, first)
    await opened(database, way, first, MOST_ENTRIES - 1)

    entry = await moved_by_rule(database, run.id, way[2])

    assert entry is not None


async def test_entries_of_days_ago_no_longer_count(database: Database, way: list[Stage]) -> None:
    first = await entered(database, way[1], {"timing": IN_AN_HOUR})
    (run,) = await runs_of(database, first)
    await opened(database, way, first, MOST_ENTRIES)

    with clock.at(clock.now() + ENTRIES_COUNT_FOR):
        entry = await moved_by_rule(database, run.id, way[2])

    assert entry is not None
