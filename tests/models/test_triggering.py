"""Triggering: which trigger moves an item when something happens to it, and why no other does."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.clock import now
from models.crm_activity import CrmActivity
from models.database import Database
from models.entering import MOST_LINKS, create_item
from models.errors import Conflict
from models.history import HistoryEntry, HistoryKind
from models.item import Deal, Item, lock_item
from models.item_edit import edit_item, find_whole
from models.item_move import Asked, MoveOutcome, move_items
from models.notification import Notification
from models.occasion import WebhookOccasion, in_savepoint, occurred, waiting
from models.pipeline import Stage, find_stage
from models.recycle_bin import delete_item
from models.rule_run import RuleRun, RunState, finish_run
from models.stage_entry import Cause, CauseKind, StageEntry, lock_entry
from models.trigger import Trigger, TriggerCheck, TriggerOutcome
from models.triggering import fire_triggers
from models.user import Role, User
from tests.factories import BROKEN, a_pipeline, a_rule, a_trigger, all_of, planned
from tests.fixtures.database import counted, on_one_database
from tests.fixtures.runner import Runner

GO = {"code": "go"}
STOP = {"code": "stop"}
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


class Way:
    """A deal in the second of four stages, and what happens to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ann = User(name="Ann")
        self.manager = User(name="Meg", role=Role.MANAGER)
        self.stages: dict[str, Stage] = {}
        self.deal = Deal(title="Lathe")
        self.hung = 0

    async def begin(self) -> None:
        async with self.database.transaction() as session:
            session.add_all([self.ann, self.manager])
            stages = a_pipeline(session, "New", "Offer", "Invoice", "Won")
            self.stages = {each.name: each for each in stages}
            await session.flush()
            await self.create(session, self.deal, "Offer")

    async def create(self, session: AsyncSession, deal: Deal, stage: str) -> StageEntry:
        there = await find_stage(session, self.stages[stage].id)
        return await create_item(session, deal, there, Cause.person(self.ann))

    async def hang(self, stage: str, code: str = "webhook", **rest: Any) -> Trigger:
        """Hang a trigger on a stage, below those before; it is called like its stage."""
        self.hung += 1
        said = {"name": stage, "position": self.hung, **rest}
        async with self.database.transaction() as session:
            return a_trigger(
                session, await find_stage(session, self.stages[stage].id), code, **said
            )

    async def rule(self, stage: str, **said: Any) -> None:
        async with self.database.transaction() as session:
            a_rule(session, await find_stage(session, self.stages[stage].id), **said)

    def occasion(self, code: str = "go", *items: Item) -> WebhookOccasion:
        ids = tuple(item.id for item in items or [self.deal])
        return WebhookOccasion(
            trigger="webhook",
            item_ids=ids,
            cause=Cause.client(),
            text=f"The shop says {code}",
            code=code,
        )

    async def happens(self, *codes: str) -> None:
        async with self.database.transaction() as session:
            for code in codes or ["go"]:
                occurred(session, self.occasion(code))

    async def stands(self, item: Item | None = None) -> str:
        (found,) = await all_of(self.database, Item, Item.id == (item or self.deal).id)
        return {each.id: name for name, each in self.stages.items()}[found.stage_id]

    async def checks(self) -> list[TriggerCheck]:
        return await all_of(self.database, TriggerCheck)

    async def told(self) -> list[tuple[str, str]]:
        """Return what came of each trigger that was considered, by the stages they hang on."""
        hung = {each.id: each.stage_id for each in await all_of(self.database, Trigger)}
        names = {each.id: name for name, each in self.stages.items()}
        return [(names[hung[each.trigger_id]], each.outcome) for each in await self.checks()]

    async def entries(self) -> list[StageEntry]:
        return await all_of(self.database, StageEntry, StageEntry.item_id == self.deal.id)

    async def edit(self, **sent: Any) -> None:
        async with self.database.transaction() as session:
            deal = await find_whole(session, self.deal.id, Deal, lock=True)
            await edit_item(session, deal, sent, Cause.person(self.ann))


@pytest.fixture
async def way(database: Database) -> Way:
    way = Way(database)
    await way.begin()
    return way


# Which of several.


async def test_a_trigger_moves_the_item_to_the_stage_it_hangs_on(way: Way) -> None:
    trigger = await way.hang("Won")

    await way.happens()

    assert await way.stands() == "Won"
    (check,) = await way.checks()
    first, second = await way.entries()
    assert (check.outcome, check.trigger_id, check.stage_entry_id) == (
        TriggerOutcome.MOVED,
        trigger.id,
        second.id,
    )
    assert check.what_happened == "The shop says go"
    assert check.reason == "Moved to «Won»."
    assert first.left_at is not None
    assert (second.cause, second.cause_trigger_id) == (CauseKind.TRIGGER, trigger.id)


async def test_the_earlier_stage_wins_whoever_was_hung_first(way: Way) -> None:
    await way.hang("Won")
    await way.hang("Invoice")

    await way.happens()

    assert await way.stands() == "Invoice"
    assert await way.told() == [("Invoice", "moved"), ("Won", "another was first")]
    first, second = await way.checks()
    assert second.reason == f"Trigger {first.trigger_id} «Invoice» has moved it."


async def test_on_one_stage_they_are_tried_from_above(way: Way) -> None:
    below = await way.hang("Won", position=7)
    above = await way.hang("Won", position=3)

    await way.happens()

    assert [each.trigger_id for each in await way.checks()] == [above.id, below.id]


async def test_a_trigger_on_the_stage_of_the_item_or_before_it_does_nothing(way: Way) -> None:
    await way.hang("New")
    await way.hang("Offer")

    await way.happens()

    assert await way.stands() == "Offer"
    assert await way.told() == [("New", "would move back"), ("Offer", "stands there")]


async def test_one_that_is_allowed_to_moves_back_and_comes_before_later_stages(way: Way) -> None:
    await way.hang("Won")
    await way.hang("New", allow_moving_back=True)

    await way.happens()

    assert await way.stands() == "New"
    assert await way.told() == [("New", "moved"), ("Won", "another was first")]


@pytest.mark.parametrize(
    ("codes", "stage"), [(["go", "stop"], "Won"), (["stop", "go"], "Won"), (["go"], "Invoice")]
)
async def test_what_happens_is_considered_in_its_order(
    way: Way, codes: list[str], stage: str
) -> None:
    await way.hang("Invoice", settings=GO)
    await way.hang("Won", settings=STOP)

    await way.happens(*codes)

    assert await way.stands() == stage
    told = [each.what_happened for each in await way.checks()]
    assert list(dict.fromkeys(told)) == [f"The shop says {code}" for code in codes]


async def test_the_second_occasion_finds_the_item_where_the_first_has_moved_it(way: Way) -> None:
    await way.hang("Invoice", settings=GO)
    await way.hang("Won", settings=STOP)

    await way.happens("stop", "go")

    assert await way.told() == [
        ("Invoice", "other settings"),
        ("Won", "moved"),
        ("Invoice", "would move back"),
        ("Won", "stands there"),
    ]


async def test_an_item_moves_once_for_each_occasion_though_it_is_named_twice(way: Way) -> None:
    await way.hang("Invoice")
    await way.hang("Won")

    async with way.database.transaction() as session:
        occurred(session, way.occasion("go", way.deal, way.deal))

    assert await way.stands() == "Invoice"
    assert len({each.occasion for each in await way.checks()}) == 1


async def test_every_item_of_an_occasion_is_moved(way: Way) -> None:
    await way.hang("Won")
    other = Deal(title="Drill")
    async with way.database.transaction() as session:
        await way.create(session, other, "New")

    async with way.database.transaction() as session:
        occurred(session, way.occasion("go", other, way.deal))

    assert [await way.stands(each) for each in (way.deal, other)] == ["Won", "Won"]
    assert [each.item_id for each in await way.checks()] == [way.deal.id, other.id]


# Which are considered at all.


@pytest.mark.parametrize("but", [{"enabled": False}, {"code": "email_received"}])
async def test_what_is_off_or_waits_for_something_else_is_not_considered(
    way: Way, but: dict[str, Any]
) -> None:
    await way.hang("Won", **{"settings": {} if "code" in but else GO, **but})

    await way.happens()

    assert await way.checks() == []
    assert await way.stands() == "Offer"


@pytest.mark.parametrize("gone", ["trigger", "stage"])
async def test_what_was_deleted_is_not_considered(way: Way, gone: str) -> None:
    trigger = await way.hang("Won")
    async with way.database.transaction() as session:
        rows: dict[str, Trigger | Stage] = {
            "trigger": await session.get_one(Trigger, trigger.id),
            "stage": await find_stage(session, way.stages["Won"].id),
        }
        rows[gone].deleted_at = now()

    await way.happens()

    assert await way.checks() == []


async def test_triggers_of_other_pipelines_are_not_considered(way: Way) -> None:
    async with way.database.transaction() as session:
        *_, won = a_pipeline(session, "Begin", "End")
        a_trigger(session, won)

    await way.happens()

    assert await way.checks() == []


async def test_an_item_in_the_recycle_bin_stays_there(way: Way) -> None:
    await way.hang("Won")

    async with way.database.transaction() as session:
        deal = await lock_item(session, way.deal.id)
        occurred(session, way.occasion())
        await delete_item(session, deal, Cause.person(way.ann))

    assert await way.checks() == []
    assert await way.stands() == "Offer"


# Settings and conditions.


async def test_one_that_is_not_meant_lets_the_next_one_move(way: Way) -> None:
    await way.hang("Invoice", settings=STOP)
    await way.hang("Won", settings=GO)

    await way.happens()

    assert await way.told() == [("Invoice", "other settings"), ("Won", "moved")]
    first, _ = await way.checks()
    assert first.reason == "The code was go, not stop."


@pytest.mark.parametrize(
    ("condition", "outcome", "reason"),
    [
        (
            {"field": "deal.amount", "operator": ">", "value": 1000},
            "not met",
            "deal.amount is 500.00, needed > 1000",
        ),
        (
            {"field": "deal.custom.gone", "operator": "=", "value": 1},
            "unknown",
            "deal.custom.gone cannot be compared: there is no such field",
        ),
    ],
)
async def test_one_whose_conditions_are_not_met_lets_the_next_one_move(
    way: Way, condition: dict[str, Any], outcome: str, reason: str
) -> None:
    await way.edit(amount=Decimal(500))
    await way.hang("Invoice", conditions=condition)
    await way.hang("Won", conditions={"field": "deal.amount", "operator": "=", "value": 500})

    await way.happens()

    assert await way.told() == [("Invoice", outcome), ("Won", "moved")]
    first, second = await way.checks()
    assert first.reason == reason
    assert [each["outcome"] for each in second.comparisons] == ["met"]


async def test_conditions_see_the_item_after_the_change(way: Way) -> None:
    condition = {"field": "deal.amount", "operator": "changed since entry"}
    await way.hang(
        "Won", "field_changed", settings={"fields": ["deal.amount"]}, conditions=condition
    )

    await way.edit(amount=Decimal(500))

    assert await way.stands() == "Won"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"settings": {"colour": "red"}}, "Its settings can no longer be read; save it again."),
        ({"conditions": {"all": 7}}, "Its settings can no longer be read; save it again."),
        ({"moves_as": {"by": "nobody"}}, "Its settings can no longer be read; save it again."),
    ],
)
async def test_one_that_cannot_be_read_harms_nobody(
    way: Way, broken: dict[str, Any], reason: str
) -> None:
    await way.hang("Invoice", **broken)
    await way.hang("Won")

    await way.happens()

    assert await way.told() == [("Invoice", "broken"), ("Won", "moved")]
    assert (await way.checks())[0].reason == reason


async def test_a_fault_undoes_the_move_alone_and_the_next_one_is_tried(way: Way) -> None:
    await way.rule("Invoice", timing=BROKEN)
    await way.hang("Invoice")
    await way.hang("Won")

    async with way.database.transaction() as session:
        deal = await find_whole(session, way.deal.id, Deal, lock=True)
        await edit_item(session, deal, {"amount": Decimal(700)}, Cause.person(way.ann))
        occurred(session, way.occasion())

    assert await way.told() == [("Invoice", "broken"), ("Won", "moved")]
    (deal,) = await all_of(way.database, Deal)
    assert deal.amount == 700
    assert await way.stands() == "Won"
    assert len(await way.entries()) == 2


async def test_what_a_move_brought_about_has_not_happened_if_the_move_is_undone(way: Way) -> None:
    async with way.database.transaction() as session:
        deal = await lock_item(session, way.deal.id)
        await planned(session, deal, NOON, complete_on_stage_change=True)
    await way.rule("Invoice", timing=BROKEN)
    await way.hang("Invoice")
    await way.hang("Won", "activity_completed")

    await way.happens()

    assert await way.told() == [("Invoice", "broken")]
    assert await way.stands() == "Offer"


async def run_of(session: AsyncSession, entry: StageEntry, state: RunState) -> RuleRun:
    locked = await lock_entry(session, entry.id)
    assert locked is not None
    (run,) = locked.runs
    if state is RunState.DONE:
        await finish_run(session, run, RunState.DONE, "It was so.")
    return run


@pytest.mark.parametrize("state", [RunState.WAITING, RunState.DONE])
async def test_a_broken_trigger_harms_not_the_next_one_where_a_rule_is_the_cause(
    way: Way, state: RunState
) -> None:
    await way.rule("Invoice", timing=BROKEN)
    await way.hang("Invoice")
    won = await way.hang("Won")
    begun = await in_the_first_stage(way)

    async with way.database.transaction() as session:
        run = await run_of(session, begun, state)
        occurred(session, replace(way.occasion(), cause=Cause.rule(run)))
        await fire_triggers(session)
        seen = (run.stage_entry.id, run.item.title, [each.id for each in run.stage_entry.runs])

    assert seen == (begun.id, "Lathe", [run.id])
    assert await way.told() == [("Invoice", "broken"), ("Won", "moved")]
    _, entry = await way.entries()
    assert (entry.cause_trigger_id, entry.cause_run_id) == (won.id, run.id)
    assert (entry.parent_id, entry.root_id, entry.depth) == (begun.id, begun.id, 1)
    (kept,) = await all_of(way.database, RuleRun)
    expected = {RunState.WAITING: RunState.DROPPED}.get(state, state)
    assert kept.state is expected


async def test_a_broken_trigger_harms_not_the_next_one_where_another_trigger_is_the_cause(
    way: Way,
) -> None:
    async with way.database.transaction() as session:
        deal = await lock_item(session, way.deal.id)
        await planned(session, deal, NOON, complete_on_stage_change=True)
    await way.rule("New", timing=BROKEN)
    await way.hang("Invoice")
    await way.hang("New", "activity_completed", allow_moving_back=True)
    await way.hang("Won", "activity_completed")

    await way.happens()

    assert await way.told() == [("Invoice", "moved"), ("New", "broken"), ("Won", "moved")]
    _, second, third = await way.entries()
    assert second.left_at is not None
    assert (third.parent_id, third.root_id, third.depth) == (second.id, second.id, 1)


async def test_a_broken_trigger_leaves_all_that_it_met_as_it_was(way: Way) -> None:
    async with way.database.transaction() as session:
        deal = await lock_item(session, way.deal.id)
        await planned(session, deal, NOON, complete_on_stage_change=True)
    await way.rule("Invoice", timing=BROKEN)
    await way.hang("Invoice")

    async with way.database.transaction() as session:
        deal = await lock_item(session, way.deal.id)
        (call,) = await session.scalars(select(CrmActivity))
        deal.title, call.subject = "Drill", "Call"
        occurred(session, way.occasion())
        await fire_triggers(session)
        seen = (deal.title, deal.stage.name, deal.version, call.subject, call.completed_at)

    assert await way.told() == [("Invoice", "broken")]
    assert seen == ("Drill", "Offer", 2, "Call", None)
    (kept,) = await all_of(way.database, CrmActivity)
    assert (kept.subject, kept.completed_at) == ("Call", None)


async def half_done(session: AsyncSession, way: Way) -> None:
    async with in_savepoint(session):
        occurred(session, way.occasion("stop"))
        raise Conflict("It cannot be.")


async def test_what_failed_whole_has_not_happened(way: Way) -> None:
    async with way.database.transaction() as session:
        occurred(session, way.occasion("go"))

        with pytest.raises(Conflict):
            await half_done(session, way)

        assert [each.text for each in waiting(session)] == ["The shop says go"]


# Who moves.


@pytest.mark.parametrize(
    ("moves_as", "who", "doubt"),
    [
        (None, None, ""),
        ({"by": "responsible"}, "Bob", ""),
        ({"by": "creator"}, None, " As automation: Nobody is known as creator of deal {}."),
    ],
)
async def test_the_stage_is_changed_as_whom_the_trigger_names(
    way: Way, moves_as: dict[str, Any] | None, who: str | None, doubt: str
) -> None:
    trigger = await way.hang("Won", name="It is time", moves_as=moves_as)
    async with way.database.transaction() as session:
        deal = await lock_item(session, way.deal.id)
        bob = User(name="Bob")
        deal.responsible = bob

    await way.happens()

    (line,) = await all_of(
        way.database, HistoryEntry, HistoryEntry.kind == HistoryKind.STAGE_CHANGED
    )
    by = f"By trigger {trigger.id} «It is time», as {who or 'automation'}."
    assert line.text == f"Moved from «Offer» to «Won». {by}"
    assert (line.author_id, line.trigger_id) == ({"Bob": bob.id}.get(who or ""), trigger.id)
    (check,) = await way.checks()
    assert check.reason == "Moved to «Won»." + doubt.format(way.deal.id)


@pytest.mark.parametrize("by", ["user", "responsible", "creator"])
async def test_where_who_is_named_does_not_work_here_any_more_automation_moves(
    way: Way, by: str
) -> None:
    async with way.database.transaction() as session:
        bob = User(name="Bob", active=False)
        deal = await lock_item(session, way.deal.id)
        deal.responsible = deal.creator = bob
    named = {"user": {"id": bob.id}}.get(by, {})
    await way.hang("Won", moves_as={"by": by} | named)

    await way.happens()

    *_, entry = await way.entries()
    assert (entry.cause, entry.cause_user_id) == (CauseKind.TRIGGER, None)
    (check,) = await way.checks()
    assert check.reason == (
        f"Moved to «Won». As automation: User {bob.id} does not work here any more."
    )


async def test_where_nobody_is_responsible_automation_moves(way: Way) -> None:
    await way.hang("Won", moves_as={"by": "responsible"})

    await way.happens()

    *_, entry = await way.entries()
    assert (entry.cause, entry.cause_user_id) == (CauseKind.TRIGGER, None)


async def test_the_log_says_who_brought_it_about(way: Way) -> None:
    await way.hang("Won", "field_changed", settings={"fields": ["deal.amount"]})

    await way.edit(amount=Decimal(700))

    (check,) = await way.checks()
    assert check.cause_user_id == way.ann.id
    assert check.what_happened == f"Amount of deal {way.deal.id} changed"


# Chains.


async def test_what_a_move_brings_about_is_considered_after_it(way: Way) -> None:
    async with way.database.transaction() as session:
        deal = await lock_item(session, way.deal.id)
        call = await planned(session, deal, NOON, complete_on_stage_change=True)
    await way.hang("Invoice")
    await way.hang("Won", "activity_completed")

    await way.happens("go", "stop")

    assert await way.stands() == "Won"
    assert [each.what_happened for each in await way.checks()] == [
        "The shop says go",
        "The shop says stop",
        f"Meeting {call.id} «Offer» is completed",
    ]
    _, second, third = await way.entries()
    assert (second.parent_id, second.root_id, second.depth) == (None, None, 0)
    assert (third.parent_id, third.root_id, third.depth) == (second.id, second.id, 1)


@on_one_database
async def test_what_the_moves_of_one_occasion_bring_about_comes_after_each_its_own(
    way: Way,
) -> None:
    deals = await many_deals(way, 3)
    await way.hang("Invoice")
    await way.hang("Won", "activity_completed")

    async with way.database.transaction() as session:
        occurred(session, way.occasion("go", *deals))

    entries = await all_of(way.database, StageEntry, StageEntry.item_id.in_([d.id for d in deals]))
    first = {each.item_id: each.id for each in entries if each.stage_id == way.stages["Invoice"].id}
    then = [each for each in entries if each.stage_id == way.stages["Won"].id]
    assert [each.item_id for each in then] == [deal.id for deal in deals]
    assert [each.parent_id for each in then] == [first[deal.id] for deal in deals]
    assert [each.root_id for each in then] == [first[deal.id] for deal in deals]


def edits(amount: int) -> dict[str, Any]:
    changes = [{"field": "deal.amount", "value": amount}]
    return {"action": "edit_item", "params": {"changes": changes}}


WATCHING: dict[str, Any] = {"code": "field_changed", "settings": {"fields": ["deal.amount"]}}


async def in_the_first_stage(way: Way) -> StageEntry:
    """Let the deal begin anew, in a stage whose rule changes a field, by the hand of a person."""
    await way.rule("New", **edits(1))
    async with way.database.transaction() as session:
        way.deal = Deal(title="Lathe")
        return await way.create(session, way.deal, "New")


async def test_a_rule_that_changes_a_field_moves_its_own_item(way: Way, runner: Runner) -> None:
    await way.hang("Invoice", **WATCHING)
    await way.rule("Offer")
    begun = await in_the_first_stage(way)
    async with way.database.transaction() as session:
        a_rule(session, await find_stage(session, way.stages["New"].id), position=1)

    run = await runner.do(begun.id)

    assert (run.state, run.outcome) == (RunState.DONE, "Changed Amount.")
    assert await way.stands() == "Invoice"
    _, entry = await way.entries()
    assert (entry.cause_run_id, entry.cause_trigger_id is None) == (run.id, False)
    assert (entry.parent_id, entry.root_id, entry.depth) == (begun.id, begun.id, 1)
    assert (await runner.agenda(begun.id)).items == ()


async def test_rules_and_triggers_that_move_an_item_in_a_circle_are_stopped_and_it_is_told(
    way: Way, runner: Runner
) -> None:
    await way.rule("Offer", **edits(2))
    await way.hang("Offer", **WATCHING)
    trigger = await way.hang("New", **WATCHING, name="Back", allow_moving_back=True)
    async with way.database.transaction() as session:
        session.add(User(name="Ada", role=Role.ADMIN))
    begun = await in_the_first_stage(way)
    await runner.do(begun.id)
    _, second = await way.entries()
    async with way.database.transaction() as session:
        await session.execute(
            update(StageEntry).where(StageEntry.id == second.id).values(depth=MOST_LINKS)
        )

    run = await runner.do(second.id)

    _, moving, *_ = await way.checks()
    by = f"by trigger {moving.trigger_id}"
    path = f"loop: deal {way.deal.id} in «New» → deal {way.deal.id} in «Offer» {by}"
    assert (run.state, run.outcome) == (RunState.DONE, "Changed Amount.")
    assert await way.stands() == "Offer"
    *_, check, _ = await way.checks()
    assert (check.outcome, check.reason) == (TriggerOutcome.REFUSED, path)
    (notification,) = await all_of(way.database, Notification)
    assert notification.text == f"Trigger {trigger.id} «Back» was stopped. {path}"
    assert notification.item_id == way.deal.id


# What it costs.


class Read(tuple[int, ...]):
    """The items of an occasion, which count how often they are looked at."""

    __slots__ = ()
    times: ClassVar[int] = 0

    def __iter__(self) -> Iterator[int]:
        Read.times += 1
        return super().__iter__()


async def looks(way: Way, count: int) -> int:
    """Let so much happen at once; return how often items were looked at."""
    Read.times = 0
    async with way.database.transaction() as session:
        for _ in range(count):
            occurred(session, replace(way.occasion(), item_ids=Read([way.deal.id])))
    return Read.times


async def test_much_that_happens_costs_each_time_what_little_does(way: Way) -> None:
    await way.hang("Won", settings=STOP)

    assert await looks(way, 200) == 20 * await looks(way, 10)


async def editing(way: Way, amount: int) -> int:
    with counted(way.database) as statements:
        await way.edit(amount=Decimal(amount))
    return len(statements)


async def test_without_triggers_a_change_costs_one_statement_more_than_none(way: Way) -> None:
    with counted(way.database) as idle:
        await way.edit()
    with counted(way.database) as changing:
        async with way.database.transaction() as session:
            deal = await find_whole(session, way.deal.id, Deal, lock=True)
            await edit_item(session, deal, {"amount": Decimal(1)}, Cause.person(way.ann))
            waiting(session).clear()

    found = await editing(way, 2)

    assert len(changing) > len(idle)
    assert found == len(changing) + 1


async def new_deals(way: Way, count: int) -> list[Deal]:
    deals = [Deal(title=f"Deal {number}") for number in range(count)]
    async with way.database.transaction() as session:
        for deal in deals:
            await way.create(session, deal, "New")
    return deals


async def plan(way: Way, *deals: Deal) -> None:
    """Plan a meeting for each of these deals that completes itself as the deal moves."""
    async with way.database.transaction() as session:
        for deal in deals:
            locked = await lock_item(session, deal.id)
            await planned(session, locked, NOON, complete_on_stage_change=True)


async def many_deals(way: Way, count: int = 30) -> list[Deal]:
    """Return new deals, each with a meeting that completes itself."""
    deals = await new_deals(way, count)
    await plan(way, *deals)
    return deals


async def test_many_items_that_a_trigger_does_not_mean_cost_no_more_than_few(way: Way) -> None:
    await way.hang("Won", "activity_completed", settings={"kind": "call"})
    deals = await many_deals(way)

    few, many = await moving(way, deals[:3]), await moving(way, deals[3:])

    assert few == many
    assert {outcome for _, outcome in await way.told()} == {"other settings"}


@pytest.mark.parametrize("code", ["webhook", "activity_completed"])
async def test_many_items_without_triggers_of_their_own_cost_no_more_than_few(
    way: Way, code: str
) -> None:
    async with way.database.transaction() as session:
        _, end = a_pipeline(session, "Begin", "End")
        a_trigger(session, end, code)
    deals = await many_deals(way)

    few, many = await moving(way, deals[:3]), await moving(way, deals[3:])

    assert few == many
    assert await way.checks() == []


async def moving(way: Way, deals: list[Deal]) -> int:
    with counted(way.database) as statements:
        async with way.database.transaction() as session:
            asked = Asked([deal.id for deal in deals], way.stages["Invoice"].id)
            moved = await move_items(session, asked, way.manager, ())
    assert moved.counts[MoveOutcome.MOVED] == len(deals)
    # Each item has a version of its own, and is written alone.
    return sum(not each.startswith("UPDATE items") for each in statements)


async def test_many_items_that_triggers_move_on_stand_where_the_answer_says(way: Way) -> None:
    deals = await new_deals(way, 3)
    await plan(way, deals[1])
    await way.hang("Won", "activity_completed")

    async with way.database.transaction() as session:
        asked = Asked([deal.id for deal in deals], way.stages["Offer"].id)
        moved = await move_items(session, asked, way.manager, ())

    assert [await way.stands(deal) for deal in deals] == ["Offer", "Won", "Offer"]
    present = await all_of(way.database, StageEntry, StageEntry.left_at.is_(None))
    where = {each.item_id: each.id for each in present}
    assert [each.stage_entry_id for each in moved.verdicts] == [where[deal.id] for deal in deals]


async def stages_asked_for(way: Way, deals: list[Deal]) -> int:
    """Let all that happens to these deals move them; return how often stages were asked for."""
    with counted(way.database) as statements:
        async with way.database.transaction() as session:
            occurred(session, way.occasion("go", *deals))
    return sum("FROM stages" in each for each in statements)


@on_one_database
async def test_the_stage_that_many_items_are_moved_to_is_asked_for_once(way: Way) -> None:
    await way.hang("Won")
    deals = await new_deals(way, 12)

    few, many = await stages_asked_for(way, deals[:2]), await stages_asked_for(way, deals[2:])

    assert (few, many) == (1, 1)
    assert {outcome for _, outcome in await way.told()} == {"moved"}


async def test_it_is_told_whether_anything_was_considered(way: Way) -> None:
    async with way.database.transaction() as session:
        occurred(session, way.occasion())
        nothing = await fire_triggers(session)
    await way.hang("Won", settings=STOP)

    async with way.database.transaction() as session:
        occurred(session, way.occasion())
        something = await fire_triggers(session)

    assert (nothing, something) == (False, True)
