"""Between any two steps of the protocol something else may happen: nothing is lost or doubled."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload
from temporalio.client import WorkflowExecutionStatus

from models.base import find
from models.clock import now
from models.contact import Contact
from models.database import Database
from models.entering import create_item, enter_stage
from models.history import HistoryEntry, HistoryKind
from models.installation import Installation, installation
from models.item import Deal, Invoice, Item, lock_item
from models.item_type import ItemType
from models.pipeline import Stage, StageKind, find_stage
from models.removal import remove_stage
from models.rule_run import RuleRun, RunState, postpone, run_now, skip
from models.stage_entry import Cause, StageEntry, lock_run
from models.task import Task, TaskItem, find_task, set_status
from models.task_fields import TaskStatus
from models.telling import LEASE
from models.trigger import Trigger, TriggerCheck, TriggerOutcome
from models.trigger_call import call_triggers
from models.user import User
from tests.factories import (
    BROKEN,
    IN_AN_HOUR,
    a_deal,
    a_pipeline,
    a_rule,
    a_trigger,
    all_of,
    planned,
    rules_of,
)
from tests.fixtures.api import SmallCompany
from tests.fixtures.database import on_postgres, somebody_waits
from tests.fixtures.runner import Runner
from tests.fixtures.scene import Gate, Scene, until

COMPLETED = WorkflowExecutionStatus.COMPLETED
AN_HOUR = timedelta(hours=1)
Answer = TypeVar("Answer")


async def change(scene: Scene, entry_id: int, place: int = 0) -> int:
    """Postpone a run of the entry by hand; return the agenda's new version."""
    run = await scene.run(entry_id, place)
    async with scene.database.transaction() as session:
        locked = await lock_run(session, run.id)
        postpone(session, locked, now() + timedelta(hours=2))
        return locked.stage_entry.agenda_version


async def leave(scene: Scene, entry: StageEntry) -> StageEntry:
    """Move the entry's item to the other stage of its pipeline."""
    async with scene.database.transaction() as session:
        item = await lock_item(session, entry.item_id)
        other = await session.scalar(
            select(Stage.id).where(Stage.pipeline_id == item.pipeline_id, Stage.id != item.stage_id)
        )
        assert other is not None
        target = await find_stage(session, other)
        person = (await session.scalars(select(User).limit(1))).one()
        entered = await enter_stage(session, item, target, Cause.person(person))
        assert entered is not None
        return entered


async def test_first_tell_marked_late_after_a_second_change(scene: Scene) -> None:
    entry = await scene.enter({"timing": IN_AN_HOUR})
    gate = Gate("send/mark")
    async with scene.worker():
        telling = asyncio.create_task(scene.relay(gate).tell_once())
        await gate.reached.wait()
        version = await change(scene, entry.id)

        gate.open.set()
        await telling

        assert not await scene.told(entry.id)
        await scene.relay().tell_once()
        await scene.knows(entry.id, version)
        assert await scene.told(entry.id)


async def test_stale_tell_after_a_newer_one(scene: Scene) -> None:
    entry = await scene.enter({"timing": IN_AN_HOUR})
    await scene.relay().tell_once()
    await change(scene, entry.id)
    gate = Gate("claim/send")
    async with scene.worker():
        slow = asyncio.create_task(scene.relay(gate).tell_once())
        await gate.reached.wait()
        newest = await change(scene, entry.id)
        await end_lease(scene, entry.id)
        await scene.relay().tell_once()
        await scene.knows(entry.id, newest)

        gate.open.set()
        await slow

        await settle(scene)
        await scene.knows(entry.id, newest)
        assert await scene.told(entry.id)


async def test_two_relays(scene: Scene) -> None:
    entries = [await scene.enter({}) for _ in range(6)]

    async with scene.worker():
        counts = await asyncio.gather(*(scene.relay().tell_once() for _ in range(2)))

        await asyncio.gather(*(scene.ends(entry.id, COMPLETED) for entry in entries))
    assert sum(counts) == len(entries)
    assert await count(scene, HistoryKind.INFORMATION) == len(entries)


async def test_lease_lost_during_a_slow_call(scene: Scene) -> None:
    entry = await scene.enter({"timing": IN_AN_HOUR})
    await scene.relay().tell_once()
    await change(scene, entry.id)
    gate = Gate("send/mark")
    async with scene.worker():
        slow = asyncio.create_task(scene.relay(gate).tell_once())
        await gate.reached.wait()
        await end_lease(scene, entry.id)
        newest = await change(scene, entry.id)
        await scene.relay().tell_once()

        gate.open.set()
        await slow

        assert (await scene.entry(entry.id)).told_version == 0  # Told again, to be sure.
        await settle(scene)
        await scene.knows(entry.id, newest)


async def test_workflow_closing_as_a_new_version_arrives(scene: Scene) -> None:
    entry = await scene.enter({}, {"timing": IN_AN_HOUR})
    await scene.relay().tell_once()
    gate = Gate("commit/reply")
    async with scene.worker(gate):
        await gate.reached.wait()
        await skip_by_hand(scene, entry.id, 1)
        gate.open.set()
        await scene.relay().tell_once()
        await scene.ends(entry.id, COMPLETED)
        await bring_back(scene, entry.id, 1)

        await scene.relay().tell_once()

        await scene.run_is(entry.id, RunState.DONE, 1)
        await scene.ends(entry.id, COMPLETED)


async def test_reply_lost_after_commit(scene: Scene) -> None:
    entry = await scene.enter({"action": "create_task", "params": {"title": "Call"}})
    await scene.relay().tell_once()
    lost = LosesTheReply()

    async with scene.worker(lost):
        await scene.ends(entry.id, COMPLETED)

    assert lost.replies == 2
    async with scene.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Task)) == 1


async def test_postpone_while_the_old_time_is_dispatched(scene: Scene) -> None:
    entry = await scene.enter({})
    await scene.relay().tell_once()
    version = await change(scene, entry.id)  # Temporal has dispatched the old time, nobody works.

    async with scene.worker():
        await scene.knows(entry.id, version)
        run = await scene.run(entry.id)

        assert run.state is RunState.WAITING
        assert await count(scene, HistoryKind.INFORMATION) == 0


async def test_run_offered_again_without_change(scene: Scene) -> None:
    entry = await scene.enter({"action": "create_task", "params": {"title": "Call"}})
    await scene.relay().tell_once()
    async with scene.worker():
        await scene.ends(entry.id, COMPLETED)
        stale = entry.agenda((await home(scene)).database_id)

        await scene.temporal.client.start_workflow(
            "StageEntryWorkflow",
            stale,
            id=(await scene.handle(entry.id)).id,
            task_queue=scene.task_queue,
        )

        await scene.ends(entry.id, COMPLETED)
    async with scene.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Task)) == 1


async def test_database_replaced_under_a_living_temporal(scene: Scene) -> None:
    entry = await scene.enter({"timing": IN_AN_HOUR})
    await scene.relay().tell_once()
    async with scene.worker():
        await scene.knows(entry.id, 1)
        async with scene.database.transaction() as session:
            (await installation(session)).database_id = uuid4()
            present = await session.get_one(StageEntry, entry.id)
            present.told_version = 0  # As an entry of the new database that has the same id.
            run_now(session, await lock_run(session, (await scene.run(entry.id)).id))
            present.agenda_version = 1

        await scene.relay().tell_once()

        await scene.run_is(entry.id, RunState.DONE)
        await scene.ends(entry.id, COMPLETED)


async def test_temporal_emptied_under_a_living_database(scene: Scene) -> None:
    entry = await scene.enter({"timing": IN_AN_HOUR})
    relay = scene.relay()
    await relay.tell_once()
    await relay.sweep()
    await (await scene.handle(entry.id)).terminate("Temporal has lost it")
    async with scene.database.transaction() as session:
        (await installation(session)).namespace_id = "another one"

    await relay.sweep()
    await relay.tell_once()

    async with scene.worker():
        await scene.skip(entry.id, AN_HOUR)
        await scene.run_is(entry.id, RunState.DONE)


async def test_what_is_overdue_is_told_again(scene: Scene) -> None:
    entry = await scene.enter({})
    relay = scene.relay()
    await relay.tell_once()
    await (await scene.handle(entry.id)).terminate("nobody noticed")
    async with scene.database.transaction() as session:
        run = await lock_run(session, (await scene.run(entry.id)).id)
        run.due_at = now() - AN_HOUR

    await relay.sweep()
    await relay.tell_once()

    async with scene.worker():
        await scene.run_is(entry.id, RunState.DONE)


async def test_fault_with_the_worker_gone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = await scene.enter({"action": "create_task", "params": {"title": "Call"}})
    await scene.relay().tell_once()
    broken = Broken()
    with monkeypatch.context() as patched:
        patched.setattr("activities.registry.ActionContext.in_charge", broken)
        async with scene.worker():
            await broken.met.wait()  # The worker goes after the first try.

    async with scene.worker():
        await scene.run_is(entry.id, RunState.DONE)

    async with scene.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Task)) == 1


async def test_faults_put_the_run_back_and_it_works_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await scene.enter({"action": "create_task", "params": {"title": "Call"}})
    await scene.relay().tell_once()
    async with scene.worker():
        with monkeypatch.context() as patched:
            patched.setattr("activities.registry.ActionContext.in_charge", Broken())
            await scene.run_is(entry.id, RunState.RETRYING)

        await scene.skip(entry.id, timedelta(minutes=1))

        await scene.run_is(entry.id, RunState.DONE)
        await scene.ends(entry.id, COMPLETED)


async def test_change_stage_from_a_rule(mover: str, scene: Scene) -> None:
    entry = await scene.enter(
        {"action": mover, "params": {}}, {"timing": IN_AN_HOUR, "title": "Never"}
    )
    relay = scene.relay()
    await relay.tell_once()
    async with scene.worker():
        await scene.ends(entry.id, COMPLETED)

        await settle(scene)

        left = await scene.entry(entry.id)
        assert [run.state for run in left.runs] == [RunState.DONE, RunState.DROPPED]
        assert left.left_at is not None


async def test_activity_completed_by_leaving_fires_a_trigger_that_moves(
    mover: str, scene: Scene
) -> None:
    way = await Way.of(scene, {"action": mover, "params": {}}, {"timing": IN_AN_HOUR})
    await scene.relay().tell_once()
    async with scene.worker():
        await scene.ends(way.first.id, COMPLETED)
        await settle(scene)

        await way.come_to(
            ("New", [RunState.DONE, RunState.DROPPED]),
            ("Done", [RunState.DROPPED]),
            ("Won", [RunState.DONE]),
        )

    assert await way.said() == [MOVED_TO_WON]
    assert await way.noted() == ["In Won"]  # The rule of the stage that was passed never ran.
    *_, last = await way.entries()
    assert last.cause_trigger_id == way.trigger.id
    assert last.cause_run_id == (await scene.run(way.first.id)).id  # It brought all about.
    assert (last.root_id, last.parent_id, last.depth) == (way.first.id, way.first.id, 1)


async def test_reply_lost_after_a_commit_in_which_a_trigger_moved(mover: str, scene: Scene) -> None:
    way = await Way.of(scene, {"action": mover, "params": {}})
    await scene.relay().tell_once()
    lost = LosesTheReply()
    async with scene.worker(lost):
        await scene.ends(way.first.id, COMPLETED)
        await settle(scene)

        await way.come_to(
            ("New", [RunState.DONE]), ("Done", [RunState.DROPPED]), ("Won", [RunState.DONE])
        )

    assert lost.replies > 2
    assert await way.said() == [MOVED_TO_WON]


async def test_trigger_moves_while_a_run_of_the_old_entry_is_under_way(scene: Scene) -> None:
    way = await Way.of(scene, {}, {"timing": IN_AN_HOUR}, type="webhook", settings={"code": "go"})
    await scene.relay().tell_once()
    gate = Gate("commit/reply")
    async with scene.worker(gate):
        await gate.reached.wait()
        await call(scene.database, way.first.item_id, "go")
        gate.open.set()
        await settle(scene)

        await way.come_to(("New", [RunState.DONE, RunState.DROPPED]), ("Won", [RunState.DONE]))
        await scene.ends(way.first.id, COMPLETED)

    assert await (await scene.handle(way.first.id)).result() == {"done": 1, "dropped": 1}
    assert await way.said() == [MOVED_TO_WON]


async def test_a_broken_trigger_never_fails_anyones_move(mover: str, scene: Scene) -> None:
    way = await Way.of(scene, {"action": mover, "params": {}})
    async with scene.database.transaction() as session:
        a_rule(session, await find_stage(session, way.trigger.stage_id), timing=BROKEN)
    await scene.relay().tell_once()
    async with scene.worker():
        await scene.ends(way.first.id, COMPLETED)
        await settle(scene)

        await way.come_to(("New", [RunState.DONE]), ("Done", [RunState.DONE]))

    assert [outcome for outcome, _ in await way.said()] == [TriggerOutcome.BROKEN]
    assert await way.noted() == ["In Done"]


"""For what cannot happen on SQLite, where one transaction writes at a time."""


@on_postgres
async def test_nothing_is_moved_to_a_stage_that_somebody_deletes_at_once(
    database: Database,
) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        trigger = a_trigger(session, won)
        deal, _ = await a_deal(session, new)

    async with database.transaction() as session:
        await remove_stage(session, await find(session, Stage, won.id, lock=True))
        await session.flush()
        calling = asyncio.create_task(call(database, deal.id, "go"))
        await until(lambda: somebody_waits(database))
    await calling

    assert await stand(database) == [("Lathe", "New")]
    (check,) = await all_of(database, TriggerCheck)
    assert (check.trigger_id, check.outcome) == (trigger.id, TriggerOutcome.REFUSED)
    assert check.reason == f"There is no stage {won.id}."


async def watch_tasks(company: SmallCompany, api: httpx2.AsyncClient, *stage_ids: int) -> None:
    """Let items move to each of these stages as a task of theirs is completed."""
    trigger = {"type": "task_status", "settings": {"status": "completed"}}
    for stage_id in stage_ids:
        company.made(await api.post(f"/v1/stages/{stage_id}/triggers", json=trigger))


@on_postgres
async def test_two_tasks_completed_at_once_that_both_want_to_move(
    company: SmallCompany, api: httpx2.AsyncClient
) -> None:
    _, done, won = await company.pipeline("New", "Done", "Won")
    await watch_tasks(company, api, done, won)
    deal = await company.deal()
    task = {"title": "Prepare the invoice", "item_id": deal["id"]}
    tasks = [company.made(await api.post("/v1/tasks", json=task)) for _ in range(2)]

    answers = await asyncio.gather(
        *(api.patch(f"/v1/tasks/{each['id']}", json={"status": "completed"}) for each in tasks)
    )

    assert [answer.status_code for answer in answers] == [200, 200]
    log = company.made(await api.get(f"/v1/items/{deal['id']}/trigger-log"))["items"]
    assert [line["outcome"] for line in log[::-1]] == [
        "moved",
        "another was first",
        "stands there",
        "moved",
    ]
    assert company.made(await api.get(f"/v1/deals/{deal['id']}"))["stage_id"] == won
    stays = company.made(await api.get(f"/v1/stage-entries?item_id={deal['id']}"))["items"]
    assert [stay["stage_id"] for stay in stays[:2]] == [won, done]
    assert len(stays) == 3


@contextmanager
def one_is_ended(database: Database) -> Iterator[None]:
    """Expect that PostgreSQL ends one transaction within the block for the sake of another."""
    lost: list[str] = []

    def note(context: ExceptionContext) -> None:
        lost.append(str(getattr(context.original_exception, "sqlstate", "")))

    engine = database.engine.sync_engine
    event.listen(engine, "handle_error", note)
    try:
        yield
    finally:
        event.remove(engine, "handle_error", note)
    assert lost == ["40P01"]


async def cross(database: Database, invoice: Item, pay: Callable[[], Awaitable[Answer]]) -> Answer:
    """Let one transaction lock a deal and its invoice, while another pays the invoice.

    That one has the invoice and waits for the deal, which a trigger wants to move, when the first
    wants the invoice: so PostgreSQL must end one of both.
    """
    paying: list[asyncio.Task[Answer]] = []

    async def work(session: AsyncSession) -> None:
        deal = await lock_item(session, invoice.source_item_id or 0)
        if not paying:
            paying.append(asyncio.ensure_future(pay()))
            await until(lambda: somebody_waits(database))
        (await lock_item(session, invoice.id)).title = deal.title = "Seen"

    with one_is_ended(database):
        await database.tried(work)
        return await paying[0]


async def stand(database: Database) -> list[tuple[str, str]]:
    """Return what all items are called, and where they stand."""
    items = await all_of(database, Item, options=(joinedload(Item.stage),))
    return [(item.title, item.stage.name) for item in items]


async def a_bill(database: Database) -> StageEntry:
    """Make a deal that moves when its invoice is paid, and the invoice, which a rule pays."""
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        sent, paid = a_pipeline(session, "Sent", "Paid", item_type=ItemType.INVOICE)
        paid.kind = StageKind.WON
        a_trigger(session, won, "invoice_paid")
        await session.flush()
        a_rule(session, sent, "change_stage", params={"stage": paid.id})
        deal, _ = await a_deal(session, new)
        person = (await session.scalars(select(User).limit(1))).one()
        invoice = Invoice(title="Bill", source_item=deal)
        return await create_item(session, invoice, sent, Cause.person(person))


@on_postgres
async def test_a_payment_and_a_change_of_the_deal_at_once_both_succeed(
    database: Database, api: httpx2.AsyncClient
) -> None:
    entry = await a_bill(database)

    async def pay() -> httpx2.Response:
        return await api.post(f"/v1/invoices/{entry.item_id}/pay", json={})

    answer = await cross(database, entry.item, pay)

    assert answer.status_code == 200, answer.text
    assert await stand(database) == [("Seen", "Won"), ("Seen", "Paid")]


@on_postgres
async def test_a_rule_that_pays_and_a_change_of_the_deal_at_once_both_succeed(
    database: Database, runner: Runner
) -> None:
    entry = await a_bill(database)

    async def pay() -> RuleRun:
        return await runner.do(entry.id)

    run = await cross(database, entry.item, pay)

    assert run.state is RunState.DONE, run.outcome
    assert await stand(database) == [("Seen", "Won"), ("Seen", "Paid")]


async def complete(database: Database, task: Task, mine: asyncio.Event, its: asyncio.Event) -> None:
    """Complete a task as a rule of its item does, once another has come as far."""

    async def work(session: AsyncSession) -> None:
        await lock_item(session, task.item_id or 0)
        locked = await find_task(session, task.id, lock=True)
        await set_status(session, locked, TaskStatus.COMPLETED, Cause.client())
        mine.set()
        await its.wait()

    await database.tried(work)


@on_postgres
async def test_two_tasks_tied_to_the_deals_of_each_other_both_move_both(
    database: Database,
) -> None:
    async with database.transaction() as session:
        new, won = a_pipeline(session, "New", "Won")
        a_trigger(session, won, "task_status")
        deals = [(await a_deal(session, new))[0] for _ in range(2)]
        tasks = [
            Task(title="Call", item=one, people=[], further_items=[TaskItem(item_id=other.id)])
            for one, other in (deals, deals[::-1])
        ]
        session.add_all(tasks)
    first, second = asyncio.Event(), asyncio.Event()

    with one_is_ended(database):
        await asyncio.gather(
            complete(database, tasks[0], first, second),
            complete(database, tasks[1], second, first),
        )

    assert await stand(database) == [("Lathe", "Won"), ("Lathe", "Won")]
    said = [check.outcome for check in await all_of(database, TriggerCheck)]
    assert said == [TriggerOutcome.MOVED] * 2 + [TriggerOutcome.STANDS_THERE] * 2


async def test_two_spam_deals_of_one_contact_at_once(scene: Scene) -> None:
    async with scene.database.transaction() as session:
        (spam,) = a_pipeline(session, "Spam")
        a_rule(session, spam, "add_to_exclusions", params={})
        contact = Contact(first_name="Sam")
        person = User(name="Ann")
        session.add_all([contact, person])
        await session.flush()
        entries = [
            await create_item(
                session, Deal(title="Win!", contact=contact), spam, Cause.person(person)
            )
            for _ in range(2)
        ]
    relay = scene.relay()
    await relay.tell_once()

    async with scene.worker():
        await asyncio.gather(*(scene.run_is(entry.id, RunState.DONE) for entry in entries))

    async with scene.database.reading() as session:
        after = await session.get_one(Contact, contact.id)
        deals = list(await session.scalars(select(Deal)))
    assert after.deleted_at is not None
    assert all(deal.deleted_at is not None for deal in deals)


async def test_cancel_in_flight(scene: Scene) -> None:
    entry = await scene.enter({}, {"timing": IN_AN_HOUR})
    await scene.relay().tell_once()
    gate = Gate("commit/reply")
    async with scene.worker(gate):
        await gate.reached.wait()
        await (await scene.handle(entry.id)).cancel()
        gate.open.set()

        await scene.ends(entry.id, WorkflowExecutionStatus.CANCELED)

    runs = (await scene.entry(entry.id)).runs
    assert [run.state for run in runs] == [RunState.DONE, RunState.DROPPED]
    assert runs[1].outcome == "cancelled in Temporal"


async def test_terminate(scene: Scene) -> None:
    entry = await scene.enter({"timing": IN_AN_HOUR})
    relay = scene.relay()
    await relay.tell_once()
    async with scene.worker():
        await scene.knows(entry.id, 1)
        await (await scene.handle(entry.id)).terminate("by mistake")

        async def seen_and_told() -> bool:
            await relay.sweep()
            return bool(await relay.tell_once())

        await until(seen_and_told)
        await scene.ends(entry.id, WorkflowExecutionStatus.RUNNING)
        await scene.skip(entry.id, AN_HOUR)
        await scene.run_is(entry.id, RunState.DONE)
    async with scene.database.reading() as session:
        lines = await session.scalars(
            select(HistoryEntry.text).where(HistoryEntry.item_id == entry.item_id)
        )
        assert sum("was terminated in Temporal" in line for line in lines) == 1


async def test_leaving_with_nothing_open_tells_nothing(scene: Scene) -> None:
    entry = await scene.enter({})
    await scene.relay().tell_once()
    async with scene.worker():
        await scene.ends(entry.id, COMPLETED)

    await leave(scene, entry)

    assert await scene.told(entry.id)


async def test_leaving_ends_the_workflow_and_nothing_runs(scene: Scene) -> None:
    entry = await scene.enter({"timing": IN_AN_HOUR})
    await scene.relay().tell_once()
    async with scene.worker():
        await scene.knows(entry.id, 1)
        await leave(scene, entry)

        await settle(scene)

        await scene.ends(entry.id, COMPLETED)
        assert (await (await scene.handle(entry.id)).result()) == {"dropped": 1}


class Way:
    """A deal on its way through New, Done and Won, of which the last two have a rule each.

    What is planned for it completes itself as it leaves a stage, for which a trigger waits that
    moves it to Won.
    """

    def __init__(self, scene: Scene, first: StageEntry, trigger: Trigger) -> None:
        self.scene = scene
        self.first = first
        self.trigger = trigger

    @classmethod
    async def of(cls, scene: Scene, *rules: dict[str, Any], **trigger: Any) -> Self:
        """Let the deal enter New, which has these rules."""
        usual = {"type": "activity_completed", "name": "Go on", "settings": {}}
        async with scene.database.transaction() as session:
            new, done, won = a_pipeline(session, "New", "Done", "Won")
            rules_of(session, new, *rules)
            for stage in (done, won):
                a_rule(session, stage, params={"text": f"In {stage.name}"})
            moving = Trigger(stage=won, **usual | trigger)
            session.add(moving)
            deal, first = await a_deal(session, new)
            await planned(session, deal, now() + AN_HOUR, complete_on_stage_change=True)
        return cls(scene, first, moving)

    async def entries(self) -> list[StageEntry]:
        return await all_of(
            self.scene.database,
            StageEntry,
            options=(joinedload(StageEntry.stage), selectinload(StageEntry.runs)),
        )

    async def stays(self) -> list[tuple[str, list[RunState]]]:
        """Return each stay of the deal with what became of its rules, oldest first."""
        return [
            (entry.stage.name, [run.state for run in entry.runs]) for entry in await self.entries()
        ]

    async def come_to(self, *stays: tuple[str, list[RunState]]) -> None:
        """Wait until the deal has had these stays, and Temporal knows of all of them."""

        async def has_come() -> bool:
            return await self.stays() == [*stays]

        await until(has_come)
        await settle(self.scene)
        told = [entry.told_version == entry.agenda_version for entry in await self.entries()]
        assert told == [True] * len(stays)

    async def said(self) -> list[tuple[TriggerOutcome, str]]:
        """Return the trigger log, oldest first."""
        checks = await all_of(self.scene.database, TriggerCheck)
        return [(check.outcome, check.reason) for check in checks]

    async def noted(self) -> list[str]:
        """Return what rules have written into history."""
        information = HistoryEntry.kind == HistoryKind.INFORMATION
        return [each.text for each in await all_of(self.scene.database, HistoryEntry, information)]


MOVED_TO_WON = (TriggerOutcome.MOVED, "Moved to «Won».")


class LosesTheReply:
    """Breaks the activity after its commit, once: as if the worker had been cut off."""

    def __init__(self) -> None:
        self.replies = 0

    async def __call__(self, point: str) -> None:
        self.replies += point == "commit/reply"
        if self.replies == 1:
            raise ConnectionResetError("the reply never arrived")


class Broken:
    """A fault in the middle of an action."""

    def __init__(self) -> None:
        self.met = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        self.met.set()
        raise OSError("disk on fire")


async def call(database: Database, item_id: int, code: str) -> None:
    """Call the triggers of an item, as another system does."""
    async with database.transaction() as session:
        person = (await session.scalars(select(User).limit(1))).one()
        await call_triggers(session, await lock_item(session, item_id), code, person)


async def end_lease(scene: Scene, entry_id: int) -> None:
    async with scene.database.transaction() as session:
        await session.execute(
            update(StageEntry).where(StageEntry.id == entry_id).values(tell_after=now() - LEASE)
        )


async def settle(scene: Scene) -> None:
    relay = scene.relay()

    async def nothing_left() -> bool:
        return await relay.tell_once() == 0

    await until(nothing_left)


async def skip_by_hand(scene: Scene, entry_id: int, place: int) -> None:
    run = await scene.run(entry_id, place)
    async with scene.database.transaction() as session:
        person = (await session.scalars(select(User).limit(1))).one()
        await skip(session, await lock_run(session, run.id), person)


async def bring_back(scene: Scene, entry_id: int, place: int) -> None:
    """Let a run that has ended be due again, as a person who retries does."""
    run = await scene.run(entry_id, place)
    async with scene.database.transaction() as session:
        locked = await lock_run(session, run.id)
        locked.state = RunState.WAITING
        run_now(session, locked)


async def home(scene: Scene) -> Installation:
    async with scene.database.reading() as session:
        return await installation(session)


async def count(scene: Scene, kind: HistoryKind) -> int:
    async with scene.database.reading() as session:
        lines = select(func.count()).select_from(HistoryEntry).where(HistoryEntry.kind == kind)
        return await session.scalar(lines) or 0
