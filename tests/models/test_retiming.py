"""Re-timing: what waits around a date of its item follows it, and nothing else does."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.database import Database
from models.entering import enter_stage
from models.field_definition import FieldDefinition
from models.fields import FieldKind
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.item import Deal
from models.item_edit import edit_item, find_whole
from models.item_type import ItemType
from models.pipeline import find_stage
from models.retiming_all import retimed
from models.rule_run import (
    Hold,
    RuleRun,
    RunState,
    finish_run,
    hold_run,
    postpone,
    record_fault,
    release_all,
    retry,
    run_now,
)
from models.stage_entry import Cause, StageEntry, find_run, lock_entry
from models.user import User
from tests.factories import IN_AN_HOUR, a_deal, a_pipeline, all_of, rules_of
from tests.fixtures.database import counted

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
A_DAY = timedelta(days=1)
APRIL, MAY, JUNE = (date(2027, month, 10) for month in (4, 5, 6))
PAST = date(2027, 2, 1)


def around(field: str = "deal.close_date", **said: Any) -> dict[str, Any]:
    """Three days before the date, unless said otherwise."""
    before = {"direction": "before", "amount": 3, "unit": "days"}
    return {"timing": {"kind": "around_date", "field": field, **before, **said}}


def due(day: date) -> datetime:
    """When a rule three days before that date is due."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - 3 * A_DAY


AFTER = {"after_previous": True}
LATER = {"timing": IN_AN_HOUR}


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still at noon."""
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)


@pytest.fixture(autouse=True)
async def renewal(database: Database) -> None:
    """Deals have a custom date of that name, and a custom text."""
    async with database.transaction() as session:
        for name, kind in {"renewal": FieldKind.DATE, "hint": FieldKind.TEXT}.items():
            session.add(
                FieldDefinition(
                    item_type=ItemType.DEAL, name=name, title=name.title(), kind=kind, choices=[]
                )
            )


async def entered(database: Database, *rules: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter the first of two stages, which has these rules; Temporal knows it."""
    async with database.transaction() as session:
        first, _ = a_pipeline(session, "New", "Won")
        rules_of(session, first, *rules)
        _, entry = await a_deal(session, first, **deal)
        entry.told_version = entry.agenda_version
    return entry


async def edit(database: Database, entry: StageEntry, **sent: Any) -> None:
    async with database.transaction() as session:
        await edit_in(session, entry, **sent)


async def edit_in(session: AsyncSession, entry: StageEntry, **sent: Any) -> None:
    deal = await find_whole(session, entry.item_id, Deal, lock=True)
    await edit_item(session, deal, sent, await by_ann(session))


async def by_ann(session: AsyncSession) -> Cause:
    return Cause.person((await session.scalars(select(User))).one())


async def move(database: Database, entry: StageEntry, by: int) -> StageEntry:
    """Let the deal enter the stage so many places from that of the entry."""
    async with database.transaction() as session:
        deal = await find_whole(session, entry.item_id, Deal, lock=True)
        stage = await find_stage(session, entry.stage_id + by)
        entered = await enter_stage(session, deal, stage, await by_ann(session))
    assert entered is not None
    return entered


async def locked(session: AsyncSession, entry: StageEntry) -> list[RuleRun]:
    found = await lock_entry(session, entry.id)
    assert found is not None
    return found.runs


async def runs_of(database: Database, entry: StageEntry) -> list[RuleRun]:
    return await all_of(database, RuleRun, RuleRun.stage_entry_id == entry.id)


async def dues(database: Database, entry: StageEntry) -> list[datetime | None]:
    return [run.due_at for run in await runs_of(database, entry)]


async def versions(database: Database, entry: StageEntry) -> tuple[int, int]:
    """Return the agenda's version and the one that was told."""
    async with database.reading() as session:
        after = await session.get_one(StageEntry, entry.id)
    return after.agenda_version, after.told_version


async def waits_for(database: Database, run_id: int) -> str | None:
    async with database.reading() as session:
        return (await find_run(session, run_id)).waits_for


async def test_a_run_waits_for_its_moment_before_the_date(database: Database) -> None:
    entry = await entered(database, around(), around("item.created_at"), close_date=APRIL)

    assert await dues(database, entry) == [due(APRIL), NOON]
    assert await versions(database, entry) == (1, 1)


async def test_a_date_that_moves_takes_its_runs_along_and_temporal_is_to_be_told(
    database: Database,
) -> None:
    entry = await entered(database, around(), LATER, close_date=APRIL)

    await edit(database, entry, close_date=MAY)

    assert await dues(database, entry) == [due(MAY), NOON + timedelta(hours=1)]
    assert await versions(database, entry) == (2, 1)


@pytest.mark.parametrize("root", ["deal", "item"])
async def test_a_custom_date_is_followed_too(database: Database, root: str) -> None:
    rule = around(f"{root}.custom.renewal")
    entry = await entered(database, rule, custom={"renewal": "2027-04-10"})
    before = await dues(database, entry)

    await edit(database, entry, custom={"renewal": "2027-05-10"})

    assert before == [due(APRIL)]
    assert await dues(database, entry) == [due(MAY)]


async def test_while_the_date_is_empty_it_waits_for_it_and_says_so(database: Database) -> None:
    entry = await entered(database, around(), around("deal.custom.renewal"))
    first, second = await runs_of(database, entry)

    told = [await waits_for(database, run.id) for run in (first, second)]

    assert await dues(database, entry) == [None, None]
    assert told == ["close_date to be filled in", "custom.renewal to be filled in"]


async def test_a_date_that_is_emptied_lets_it_wait_until_it_is_filled_in_again(
    database: Database,
) -> None:
    entry = await entered(database, around(), close_date=APRIL)

    await edit(database, entry, close_date=None)
    emptied = await dues(database, entry)
    await edit(database, entry, close_date=MAY)

    assert emptied == [None]
    assert await dues(database, entry) == [due(MAY)]
    assert await versions(database, entry) == (3, 1)


async def test_a_date_moved_into_the_past_makes_it_due_at_once(database: Database) -> None:
    entry = await entered(database, around(), close_date=APRIL)

    await edit(database, entry, close_date=PAST)

    assert await dues(database, entry) == [NOON]


async def test_a_run_whose_moment_was_past_at_the_beginning_is_due_at_once(
    database: Database,
) -> None:
    entry = await entered(database, around(), close_date=PAST)

    assert await dues(database, entry) == [NOON]


@pytest.mark.parametrize(
    ("said", "deal", "reason"),
    [
        (
            {"when_past": "skip"},
            {"close_date": PAST},
            "close date 1 February 2027 − 3 days was past",
        ),
        ({"when_empty": "skip"}, {}, "close date is empty"),
    ],
)
async def test_a_rule_may_skip_what_is_past_or_empty_as_soon_as_the_item_enters(
    database: Database, said: dict[str, str], deal: dict[str, Any], reason: str
) -> None:
    entry = await entered(database, around(**said), LATER | AFTER, **deal)

    first, second = await runs_of(database, entry)
    assert (first.state, first.outcome) == (RunState.SKIPPED, reason)
    assert second.due_at == NOON + timedelta(hours=1)
    assert await versions(database, entry) == (1, 1)


@pytest.mark.parametrize(
    ("said", "new", "reason"),
    [
        ({"when_past": "skip"}, PAST, "close date 1 February 2027 − 3 days was past"),
        ({"when_empty": "skip"}, None, "close date is empty"),
    ],
)
async def test_an_edit_skips_what_is_past_or_empty_then_and_history_says_who_did(
    database: Database, said: dict[str, str], new: date | None, reason: str
) -> None:
    entry = await entered(database, around(**said), close_date=APRIL)

    await edit(database, entry, close_date=new)

    (run,) = await runs_of(database, entry)
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.RULE_RUN)
    (ann,) = await all_of(database, User)
    assert (run.state, run.outcome, run.due_at) == (RunState.SKIPPED, reason, due(APRIL))
    assert (line.text, line.author_id) == (f"«add_history_entry» skipped: {reason}", ann.id)
    assert await versions(database, entry) == (2, 1)


async def test_an_empty_date_may_let_it_run_at_once(database: Database) -> None:
    entry = await entered(database, around(when_empty="run"))

    assert await dues(database, entry) == [NOON]


async def test_skipping_goes_on_down_the_rules_that_wait_for_one_another(
    database: Database,
) -> None:
    skipping = around(when_empty="skip")
    entry = await entered(
        database, skipping, *[skipping | AFTER] * 300, LATER | AFTER, skipping | AFTER
    )

    *skipped, last, below = await runs_of(database, entry)

    assert {run.state for run in skipped} == {RunState.SKIPPED}
    assert (last.state, last.due_at) == (RunState.WAITING, NOON + timedelta(hours=1))
    assert (below.state, below.due_at) == (RunState.WAITING, None)


async def test_a_rule_that_has_run_once_is_skipped_for_that_reason_and_once_only(
    database: Database,
) -> None:
    skipping = around(when_empty="skip")
    once = skipping | AFTER | {"once_per_item": True}
    entry = await entered(database, skipping, once, LATER | AFTER, close_date=APRIL)
    async with database.transaction() as session:
        await finish_run(session, (await locked(session, entry))[1], RunState.DONE, "Once.")
    await move(database, entry, +1)
    await edit(database, entry, close_date=None)

    again = await move(database, entry, 0)

    first, second, third = await runs_of(database, again)
    lines = await all_of(database, HistoryEntry, HistoryEntry.run_id.in_([first.id, second.id]))
    assert first.outcome == "close date is empty"
    assert second.outcome == "It runs once per item, and has."
    assert third.due_at == NOON + timedelta(hours=1)
    assert {line.run_id for line in lines} == {first.id, second.id}
    assert len(lines) == 2


async def test_leaving_drops_a_run_also_where_its_rule_would_skip_it(database: Database) -> None:
    entry = await entered(database, LATER, around(when_empty="skip") | AFTER)

    await move(database, entry, +1)

    assert {run.outcome for run in await runs_of(database, entry)} == {"left the stage"}


async def test_a_run_that_was_kept_follows_the_date_also_when_the_item_has_left(
    database: Database,
) -> None:
    rule = around() | {"keep_when_item_leaves": True}
    entry = await entered(database, rule, around(), close_date=APRIL)
    await move(database, entry, +1)

    await edit(database, entry, close_date=MAY)

    kept, left = await runs_of(database, entry)
    assert (kept.state, kept.due_at) == (RunState.WAITING, due(MAY))
    assert (left.state, left.due_at) == (RunState.DROPPED, due(APRIL))


async def test_a_held_run_stays_held_and_has_the_new_time_when_it_goes_on(
    database: Database,
) -> None:
    entry = await entered(database, around(), close_date=APRIL)
    async with database.transaction() as session:
        [run] = await locked(session, entry)
        hold_run(session, run, Hold.PAUSED)

    with clock.at(due(APRIL) + A_DAY):
        await edit(database, entry, close_date=MAY)
    (held,) = await runs_of(database, entry)
    async with database.transaction() as session:
        await release_all(session, Hold.PAUSED)

    (released,) = await runs_of(database, entry)
    assert (held.state, held.due_at) == (RunState.HELD, due(MAY))
    assert (released.state, released.due_at) == (RunState.WAITING, due(MAY))


async def test_a_run_that_was_postponed_by_hand_follows_a_new_date(database: Database) -> None:
    entry = await entered(database, around(), close_date=APRIL)
    async with database.transaction() as session:
        [run] = await locked(session, entry)
        postpone(session, run, NOON + 200 * A_DAY)

    await edit(database, entry, close_date=MAY)

    assert await dues(database, entry) == [due(MAY)]


async def test_a_run_that_waits_for_a_date_can_be_postponed_or_run_now(database: Database) -> None:
    entry = await entered(database, around(), around())

    async with database.transaction() as session:
        [first, second] = await locked(session, entry)
        postpone(session, first, NOON + A_DAY)
        run_now(session, second)

    assert await dues(database, entry) == [NOON + A_DAY, NOON]


async def test_what_is_due_already_stays_due(database: Database) -> None:
    entry = await entered(database, around(), around(), close_date=APRIL)
    async with database.transaction() as session:
        [_, second] = await locked(session, entry)
        run_now(session, second)

    with clock.at(due(APRIL)):
        await edit(database, entry, close_date=MAY)

    assert await dues(database, entry) == [due(APRIL), NOON]
    assert await versions(database, entry) == (2, 1)


async def test_a_run_that_is_tried_again_after_a_fault_is_left_alone(database: Database) -> None:
    entry = await entered(database, around(), close_date=APRIL)
    async with database.transaction() as session:
        [run] = await locked(session, entry)
        record_fault(session, run)

    await edit(database, entry, close_date=MAY)

    (run,) = await runs_of(database, entry)
    assert (run.state, run.due_at) == (RunState.RETRYING, NOON + timedelta(minutes=1))


@pytest.mark.parametrize("state", [RunState.DONE, RunState.FAILED, RunState.DROPPED])
async def test_a_run_that_has_ended_does_not_follow(database: Database, state: RunState) -> None:
    entry = await entered(database, around(), close_date=APRIL)
    async with database.transaction() as session:
        [run] = await locked(session, entry)
        await finish_run(session, run, state, "It is over.")

    await edit(database, entry, close_date=MAY)

    (ended,) = await runs_of(database, entry)
    assert (ended.state, ended.due_at) == (state, due(APRIL))
    assert await versions(database, entry) == (2, 1)


async def test_a_run_after_another_looks_at_the_date_when_that_one_has_ended(
    database: Database,
) -> None:
    entry = await entered(database, LATER | {"title": "Call"}, around() | AFTER, close_date=APRIL)
    first, second = await runs_of(database, entry)

    await edit(database, entry, close_date=MAY)
    waiting = await dues(database, entry)
    told = await waits_for(database, second.id)
    async with database.transaction() as session:
        await finish_run(session, (await locked(session, entry))[0], RunState.DONE, "Called.")
    counted = await dues(database, entry)
    await edit(database, entry, close_date=JUNE)

    assert waiting == [NOON + timedelta(hours=1), None]
    assert told == f"the end of «Call» (run {first.id})"
    assert counted[1] == due(MAY)
    assert (await dues(database, entry))[1] == due(JUNE)


async def test_a_run_after_another_waits_for_the_date_once_that_one_has_ended(
    database: Database,
) -> None:
    entry = await entered(database, LATER, around() | AFTER)

    async with database.transaction() as session:
        await finish_run(session, (await locked(session, entry))[0], RunState.FAILED, "No.")
    _, second = await runs_of(database, entry)
    told = await waits_for(database, second.id)
    async with database.transaction() as session:
        retry(session, (await locked(session, entry))[0])
    await edit(database, entry, close_date=MAY)

    assert told == "close_date to be filled in"
    assert (await dues(database, entry))[1] is None
    async with database.transaction() as session:
        await finish_run(session, (await locked(session, entry))[0], RunState.DONE, "Yes.")
    assert (await dues(database, entry))[1] == due(MAY)


async def test_the_run_that_edits_is_not_retimed_by_its_own_edit(database: Database) -> None:
    entry = await entered(database, around(when_past="skip"), around(), close_date=APRIL)

    async with database.transaction() as session:
        [first, _] = await locked(session, entry)
        deal = await find_whole(session, entry.item_id, Deal)
        await edit_item(session, deal, {"close_date": PAST}, Cause.rule(first))
        await finish_run(session, first, RunState.DONE, "Moved the date.")

    first, second = await runs_of(database, entry)
    assert (first.state, first.due_at) == (RunState.DONE, due(APRIL))
    assert second.due_at == NOON


async def test_other_dates_and_the_same_date_again_change_nothing(database: Database) -> None:
    entry = await entered(database, around(), close_date=APRIL, custom={"renewal": "2027-04-10"})

    await edit(database, entry, close_date=APRIL, begin_date=PAST, custom={"renewal": "2027-05-10"})

    assert await dues(database, entry) == [due(APRIL)]
    assert await versions(database, entry) == (1, 1)


async def test_a_date_that_leaves_the_moment_as_it_was_changes_nothing(database: Database) -> None:
    monthly = around(amount=1, unit="months")
    entry = await entered(database, monthly, close_date=date(2027, 5, 30))

    await edit(database, entry, close_date=date(2027, 5, 31))

    assert await dues(database, entry) == [datetime(2027, 4, 30, tzinfo=UTC)]
    assert await versions(database, entry) == (1, 1)


async def test_a_date_counts_from_midnight_of_the_company(database: Database) -> None:
    async with database.transaction() as session:
        home = await installation(session)
        home.time_zone = "America/Sao_Paulo"

    entry = await entered(database, around(), close_date=APRIL)

    assert await dues(database, entry) == [due(APRIL) + timedelta(hours=3)]


class Statements:
    """What was asked of the rule runs while an item was edited."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine.sync_engine
        self.about_runs: list[str] = []

    def __enter__(self) -> list[str]:
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self.about_runs

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, *called: Any) -> None:
        statement = called[2]
        self.about_runs += [statement] if "rule_runs" in statement else []


async def test_an_edit_of_anything_but_a_date_asks_for_no_runs(database: Database) -> None:
    entry = await entered(database, around(), close_date=APRIL)

    with Statements(database) as about_runs:
        await edit(database, entry, title="2027-05-10", custom={"hint": "Call in May."})

    assert about_runs == []


async def test_a_date_that_no_rule_follows_costs_one_query(database: Database) -> None:
    entry = await entered(database, LATER, around("deal.begin_date"))

    with Statements(database) as about_runs:
        await edit(database, entry, close_date=MAY, custom={"renewal": "2027-05-10"})

    assert len(about_runs) == 1


WORKED = {"kind": "after_delay", "amount": 2, "unit": "hours", "working_hours": "responsible"}
HERS: dict[str, Any] = {"timing": WORKED}
OURS: dict[str, Any] = {"timing": WORKED | {"working_hours": "company"}}
IN_TOKYO = datetime(2027, 3, 2, 2, tzinfo=UTC)
"""Eleven o'clock there: two hours after work begins, and at home it is night."""


async def yuki(database: Database) -> User:
    async with database.transaction() as session:
        user = User(name="Yuki", time_zone="Asia/Tokyo")
        session.add(user)
    return user


async def handed_over(database: Database, entry: StageEntry) -> None:
    user = await yuki(database)
    async with database.transaction() as session:
        deal = await find_whole(session, entry.item_id, Deal, lock=True)
        ann = (await session.scalars(select(User).order_by(User.id))).first()
        assert ann is not None
        await edit_item(session, deal, {"responsible_id": user.id}, Cause.person(ann))


async def all_retimed(database: Database, *, dry: bool = False) -> list[str]:
    found = [changed async for _, changed in retimed(database, dry=dry)]
    return [each.in_words() for several in found for each in several]


async def works_from(database: Database, hour: int) -> None:
    async with database.transaction() as session:
        home = await installation(session)
        day = [[f"{hour:02}:00", "18:00"]]
        home.working_hours = dict.fromkeys(["mon", "tue", "wed", "thu", "fri"], day)


async def test_hours_are_those_of_whoever_is_responsible_when_it_begins(
    database: Database,
) -> None:
    user = await yuki(database)

    entry = await entered(database, HERS, responsible=user)

    assert await dues(database, entry) == [IN_TOKYO]


async def test_of_who_works_here_no_longer_the_hours_of_the_company_count(
    database: Database,
) -> None:
    user = await yuki(database)
    async with database.transaction() as session:
        (await session.get_one(User, user.id)).active = False

    async with database.transaction() as session:
        first, _ = a_pipeline(session, "New", "Won")
        rules_of(session, first, HERS)
        gone = await session.get_one(User, user.id)
        _, entry = await a_deal(session, first, responsible=gone)

    assert await dues(database, entry) == [NOON + timedelta(hours=2)]


async def test_who_is_responsible_now_moves_what_waits_for_their_hours(
    database: Database,
) -> None:
    entry = await entered(database, HERS, OURS)

    await handed_over(database, entry)

    hers, ours = await runs_of(database, entry)
    assert (hers.due_at, ours.due_at) == (IN_TOKYO, NOON + timedelta(hours=2))


async def test_what_was_postponed_by_hand_stays_when_the_responsible_changes(
    database: Database,
) -> None:
    entry = await entered(database, HERS)
    async with database.transaction() as session:
        [run] = await locked(session, entry)
        postpone(session, run, NOON + A_DAY)

    await handed_over(database, entry)

    assert await dues(database, entry) == [NOON + A_DAY]


async def test_a_date_moves_also_what_was_postponed_by_hand(database: Database) -> None:
    entry = await entered(database, around(), close_date=APRIL)
    async with database.transaction() as session:
        [run] = await locked(session, entry)
        postpone(session, run, NOON + A_DAY)

    await edit(database, entry, close_date=MAY)

    [run] = await runs_of(database, entry)
    assert (run.due_at, run.by_hand) == (due(MAY), False)


async def test_retiming_all_says_what_is_due_at_another_time_and_only_once(
    database: Database,
) -> None:
    entry = await entered(
        database, OURS | {"title": "Call"}, LATER | {"title": "Write"}, around(), close_date=APRIL
    )
    await works_from(database, 13)

    told = await all_retimed(database)
    again = await all_retimed(database)

    assert told == [f"deal {entry.item_id} «Call»: 2027-03-01 14:00 → 15:00 UTC"]
    assert again == []
    first, *_ = await runs_of(database, entry)
    assert first.due_at == NOON + timedelta(hours=3)


async def test_retiming_all_can_only_look(database: Database) -> None:
    entry = await entered(database, OURS)
    await works_from(database, 13)

    told = await all_retimed(database, dry=True)

    assert len(told) == 1
    assert await dues(database, entry) == [NOON + timedelta(hours=2)]


async def test_retiming_all_counts_from_the_end_of_the_run_above(database: Database) -> None:
    entry = await entered(database, LATER, OURS | AFTER)
    with clock.at(NOON + timedelta(hours=1)):
        async with database.transaction() as session:
            run, _ = await locked(session, entry)
            await finish_run(session, run, RunState.DONE, "Done.")
    await works_from(database, 14)

    await all_retimed(database)

    _, below = await runs_of(database, entry)
    assert below.due_at == NOON + timedelta(hours=4)


async def test_retiming_all_leaves_what_somebody_has_postponed(database: Database) -> None:
    entry = await entered(database, OURS)
    async with database.transaction() as session:
        [run] = await locked(session, entry)
        postpone(session, run, NOON + A_DAY)
    await works_from(database, 13)

    assert await all_retimed(database) == []


async def test_retiming_all_asks_for_the_people_of_many_items_once(database: Database) -> None:
    await entered(database, HERS, OURS, responsible=await yuki(database))
    await entered(database, HERS, OURS, responsible=await yuki(database))
    await works_from(database, 13)

    with counted(database) as asked:
        told = await all_retimed(database)

    assert len(told) == 4
    assert len([each for each in asked if "FROM users" in each]) == 1


async def lives_in(database: Database, zone: str) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = zone


async def test_what_would_have_been_due_by_now_is_due_now(database: Database) -> None:
    await lives_in(database, "America/New_York")
    entry = await entered(database, OURS | {"title": "Call"})
    await lives_in(database, "UTC")

    with clock.at(NOON + timedelta(hours=3)):
        told = await all_retimed(database)

    assert told == [f"deal {entry.item_id} «Call»: 2027-03-01 16:00 → 15:00 UTC"]
    assert await dues(database, entry) == [NOON + timedelta(hours=3)]


async def test_spread_runs_are_due_each_at_its_own_time(database: Database) -> None:
    spread = {"timing": {"kind": "at_once", "spread_minutes": 60}}

    entry = await entered(database, spread, spread)

    first, second = await dues(database, entry)
    assert first is not None
    assert second is not None
    assert first != second
    assert NOON <= min(first, second) <= max(first, second) < NOON + timedelta(hours=1)
