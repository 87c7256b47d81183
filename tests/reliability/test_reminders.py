"""Between any two steps something else may happen: everybody is reminded, once, and in time."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from models.clock import now
from models.crm_activity import CrmActivity
from models.history import HistoryEntry
from models.installation import installation
from models.notification import Notification
from models.reminders import lock_reminders, move_reminders, stop_reminders
from models.user import User
from tests.factories import a_deal, a_pipeline, planned
from tests.fixtures.scene import Gate, Scene, until
from tests.workflows.shapes import page

COMPLETED = WorkflowExecutionStatus.COMPLETED
RUNNING = WorkflowExecutionStatus.RUNNING
AN_HOUR = timedelta(hours=1)


class Meeting:
    """A meeting of which Ann is to be reminded, its workflow, and what becomes of both."""

    def __init__(self, scene: Scene, meeting_id: int) -> None:
        self.scene = scene
        self.id = meeting_id

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.scene.handle_of_crm_activity(self.id)

    async def read(self) -> CrmActivity:
        async with self.scene.database.transaction() as session:
            return await self._locked(session)

    async def change(self, change: Callable[[AsyncSession, CrmActivity], object]) -> int:
        """Change the locked meeting; return the version of its agenda."""
        async with self.scene.database.transaction() as session:
            meeting = await self._locked(session)
            change(session, meeting)
            return meeting.agenda_version

    async def _locked(self, session: AsyncSession) -> CrmActivity:
        meeting = await lock_reminders(session, self.id)
        assert meeting is not None
        return meeting

    async def told(self) -> bool:
        meeting = await self.read()
        return meeting.told_version == meeting.agenda_version

    async def notifications(self) -> int:
        async with self.scene.database.reading() as session:
            return await session.scalar(select(func.count()).select_from(Notification)) or 0

    async def reminded(self, times: int = 1) -> None:
        async def it_is() -> bool:
            return await self.notifications() == times

        await until(it_is)

    async def knows(self, version: int) -> None:
        """Wait until the running workflow has heard of this version of the agenda."""

        async def heard() -> bool:
            return f"agenda {version}\n" in await page(self.handle)

        await until(heard)

    async def newest(self) -> str | None:
        """Return the id of the newest run of its workflow, if it has had one."""
        try:
            return (await self.handle.describe()).run_id
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None

    async def ends(self, status: WorkflowExecutionStatus = COMPLETED) -> None:
        async def ended() -> bool:
            return (await self.handle.describe()).status is status

        await until(ended)

    async def skip(self, span: timedelta) -> None:
        """Let time pass for its workflow alone."""
        await self.scene.temporal.fast_forward(self.handle, span)


async def a_meeting(
    scene: Scene, *minutes_before: int, starts_at: datetime | None = None
) -> Meeting:
    """Plan a meeting, by default in an hour."""
    async with scene.database.transaction() as session:
        stage, _ = a_pipeline(session, "New", "Won")
        deal, entry = await a_deal(session, stage)
        entry.told_version = entry.agenda_version
        person = User(name="Ann")
        meeting = await planned(
            session, deal, starts_at or now() + AN_HOUR, *minutes_before, responsible=person
        )
    return Meeting(scene, meeting.id)


def later(session: AsyncSession, meeting: CrmActivity) -> None:
    """Postpone a meeting by two hours."""
    meeting.starts_at += 2 * AN_HOUR
    move_reminders(session, meeting)


def completed(session: AsyncSession, meeting: CrmActivity) -> None:
    meeting.completed_at = now()
    stop_reminders(session, meeting)


async def test_a_reminder_is_told_once_and_given_at_its_time(scene: Scene) -> None:
    meeting = await a_meeting(scene, 30, 0)
    counts = [await scene.relay().tell_once(), await scene.relay().tell_once()]
    async with scene.worker():
        await meeting.skip(AN_HOUR / 2)
        await meeting.reminded()

        await meeting.skip(AN_HOUR / 2)

        await meeting.reminded(2)
        await meeting.ends()
    assert counts == [1, 0]
    assert await meeting.told()
    assert await meeting.handle.result() == {"given": 2}


async def test_without_reminders_there_is_no_workflow(scene: Scene) -> None:
    meeting = await a_meeting(scene)
    await scene.relay().tell_once()
    before = await meeting.newest()  # That of another test, whose database counted from one too.
    await meeting.change(lambda _, present: setattr(present, "told_version", 0))

    await scene.relay().tell_once()

    assert await meeting.newest() == before
    assert await meeting.told()


async def test_the_workflow_says_what_it_is_about_and_names_nobody(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0)
    await scene.relay().tell_once()

    described = await meeting.handle.describe()

    deal_id = (await meeting.read()).item_id
    assert described.workflow_type == "CrmActivityWorkflow"
    assert await described.static_summary() == f"Meeting {meeting.id} of deal {deal_id}"
    assert {pair.key.name: pair.value for pair in described.typed_search_attributes} == {
        "CuebookItem": f"deal:{deal_id}"
    }


async def test_postponed_while_the_old_time_is_dispatched(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0, starts_at=now())
    await scene.relay().tell_once()
    version = await meeting.change(later)  # Temporal has dispatched the old time, nobody works.

    async with scene.worker():
        await meeting.knows(version)

        assert await meeting.notifications() == 0
        await meeting.skip(2 * AN_HOUR)
        await meeting.reminded()


async def test_completed_while_the_reminder_is_dispatched(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0, starts_at=now())
    await scene.relay().tell_once()
    await meeting.change(completed)

    async with scene.worker():
        await meeting.ends()

    assert await meeting.notifications() == 0


async def test_reply_lost_after_commit(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0, starts_at=now())
    await scene.relay().tell_once()
    lost = LosesTheReply()

    async with scene.worker(lost):
        await meeting.ends()

    assert lost.replies == 2
    assert await meeting.notifications() == 1


async def test_first_tell_marked_late_after_it_was_postponed(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0)
    gate = Gate("send/mark")
    async with scene.worker():
        telling = asyncio.create_task(scene.relay(gate).tell_once())
        await gate.reached.wait()
        version = await meeting.change(later)

        gate.open.set()
        await telling

        assert not await meeting.told()
        await scene.relay().tell_once()
        await meeting.knows(version)
        assert await meeting.told()


async def test_completed_as_the_workflow_is_told(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0)
    gate = Gate("claim/send")
    async with scene.worker():
        telling = asyncio.create_task(scene.relay(gate).tell_once())
        await gate.reached.wait()
        await meeting.change(completed)
        gate.open.set()
        await telling

        await scene.relay().tell_once()

        await meeting.ends()
    assert await meeting.notifications() == 0


async def test_planned_anew_after_its_workflow_has_ended(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0, starts_at=now())
    await scene.relay().tell_once()
    async with scene.worker():
        await meeting.ends()
        await meeting.change(later)

        await scene.relay().tell_once()
        await meeting.skip(2 * AN_HOUR)

        await meeting.reminded(2)
        await meeting.ends()


async def test_two_relays(scene: Scene) -> None:
    meetings = [await a_meeting(scene, 0, starts_at=now()) for _ in range(6)]

    async with scene.worker():
        counts = await asyncio.gather(*(scene.relay().tell_once() for _ in range(2)))

        await asyncio.gather(*(meeting.ends() for meeting in meetings))
    assert sum(counts) == len(meetings)
    assert await meetings[0].notifications() == len(meetings)


async def test_a_relay_that_is_stopped_tells_what_it_has_claimed(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0)
    gate = Gate("claim/send")
    relaying = asyncio.create_task(scene.relay(gate).run())
    await gate.reached.wait()
    relaying.cancel()
    gate.open.set()

    await asyncio.gather(relaying, return_exceptions=True)

    assert await meeting.told()


async def test_temporal_emptied_under_a_living_database(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0)
    relay = scene.relay()
    await relay.tell_once()
    await relay.sweep()
    await meeting.handle.terminate("Temporal has lost it")
    async with scene.database.transaction() as session:
        (await installation(session)).namespace_id = "another one"

    await relay.sweep()
    await relay.tell_once()

    async with scene.worker():
        await meeting.skip(AN_HOUR)
        await meeting.reminded()


async def test_what_is_overdue_is_told_again(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0)
    relay = scene.relay()
    await relay.tell_once()
    await meeting.handle.terminate("nobody noticed")
    await meeting.change(
        lambda _, present: setattr(present.reminders[0], "due_at", now() - AN_HOUR)
    )

    await relay.sweep()
    await relay.tell_once()

    async with scene.worker():
        await meeting.reminded()


async def test_terminate(scene: Scene) -> None:
    meeting = await a_meeting(scene, 0)
    relay = scene.relay()
    await relay.tell_once()
    async with scene.worker():
        await meeting.knows((await meeting.read()).agenda_version)
        await meeting.handle.terminate("by mistake")

        async def seen_and_told() -> bool:
            await relay.sweep()
            return bool(await relay.tell_once())

        await until(seen_and_told)
        await meeting.ends(RUNNING)
        await meeting.skip(AN_HOUR)
        await meeting.reminded()
    async with scene.database.reading() as session:
        lines = await session.scalars(select(HistoryEntry.text))
        assert sum("was terminated in Temporal" in line for line in lines) == 1


async def test_cancel_stops_the_reminders_for_good(scene: Scene) -> None:
    meeting = await a_meeting(scene, 30, 0)
    await scene.relay().tell_once()
    async with scene.worker():
        await meeting.handle.cancel()

        await meeting.ends(WorkflowExecutionStatus.CANCELED)

    assert [each.due_at for each in (await meeting.read()).reminders] == [None, None]
    assert await meeting.told()


async def test_faults_put_the_reminder_back_and_it_is_given_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = await a_meeting(scene, 0, starts_at=now())
    await scene.relay().tell_once()
    async with scene.worker():

        async def put_back() -> bool:
            return (await meeting.read()).reminders[0].attempts == 1

        with monkeypatch.context() as patched:
            patched.setattr("activities.crm_activity.remind", broken)
            await until(put_back)

        await meeting.skip(timedelta(minutes=1))

        await meeting.reminded()
        await meeting.ends()


async def broken(*_: object, **__: object) -> None:
    """A fault in the middle of reminding."""
    raise OSError("disk on fire")


class LosesTheReply:
    """Breaks the activity after its commit, once: as if the worker had been cut off."""

    def __init__(self) -> None:
        self.replies = 0

    async def __call__(self, point: str) -> None:
        self.replies += point == "commit/reply"
        if self.replies == 1:
            raise ConnectionResetError("the reply never arrived")
