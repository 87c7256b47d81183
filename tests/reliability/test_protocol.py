"""Between any two steps of the protocol something else may happen: nothing is lost or doubled."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from temporalio.client import WorkflowExecutionStatus

from models.clock import now
from models.contact import Contact
from models.entering import create_item, enter_stage
from models.history import HistoryEntry, HistoryKind
from models.installation import Installation, installation
from models.item import Deal, lock_item
from models.pipeline import Stage, find_stage
from models.rule_run import RunState, postpone, run_now, skip
from models.stage_entry import Cause, StageEntry, lock_run
from models.task import Task
from models.telling import LEASE
from models.user import User
from tests.factories import IN_AN_HOUR, a_pipeline, a_rule
from tests.fixtures.scene import Gate, Scene, until

COMPLETED = WorkflowExecutionStatus.COMPLETED
AN_HOUR = timedelta(hours=1)


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
