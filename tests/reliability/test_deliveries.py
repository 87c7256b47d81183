"""While something leaves the house anything may happen: to the worker, the item and the rule."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.delivery import SLACK
from models.clock import now
from models.delivery import Delivery, DeliveryKind, DeliveryState
from models.entering import enter_stage, leave_stage
from models.item import lock_item
from models.pipeline import Stage, find_stage
from models.rule import Rule, find_rule
from models.rule_edit import switch
from models.rule_run import Hold, RunState, skip
from models.settings import Settings, Uncertain
from models.settling import lock_with_run, settle
from models.stage_entry import Cause, StageEntry, lock_run
from models.user import User
from tests.factories import all_of
from tests.fixtures.database import on_one_database
from tests.fixtures.post import Post
from tests.fixtures.scene import Gate, Scene, until

RATE = 8
"""Deliveries in a second."""

COMPLETED = WorkflowExecutionStatus.COMPLETED
IN_A_SECOND = {"kind": "after_delay", "amount": 1, "unit": "seconds"}
DEAD_AFTER = timedelta(seconds=Settings().delivery_seconds) + SLACK
HOLDS = Settings(uncertain_messages=Uncertain.HOLD)

Rules = Callable[..., dict[str, Any]]


@pytest.fixture
def house(scene: Scene, post: Post) -> Scene:
    """A scene that everything leaves by the post of the test."""
    scene.channels = dict.fromkeys(DeliveryKind, post)
    return scene


async def states(scene: Scene) -> list[DeliveryState]:
    return [each.state for each in await all_of(scene.database, Delivery)]


async def settled(scene: Scene) -> None:
    """Tell Temporal everything that it does not know."""
    relay = scene.relay()

    async def nothing_left() -> bool:
        return await relay.tell_once() == 0

    await until(nothing_left)


class BreaksOff:
    """Ends whoever comes to a point the so-manieth time, as if the plug was pulled there."""

    def __init__(self, point: str, time: int = 1) -> None:
        self.point = point
        self.left = time
        self.reached = asyncio.Event()

    async def __call__(self, point: str) -> None:
        self.left -= point == self.point
        if self.left == 0 and not self.reached.is_set():
            self.reached.set()
            raise ConnectionResetError("pulled the plug")


async def is_due_later(scene: Scene, entry: StageEntry) -> None:
    """Wait until the workflow knows that somebody else may still be sending."""

    async def it_is() -> bool:
        run = await scene.run(entry.id)
        return run.due_at is not None and run.due_at > now()

    await until(it_is)
    await scene.knows(entry.id, (await scene.entry(entry.id)).agenda_version)


async def test_a_reply_lost_after_the_commit_sends_nothing_twice(
    house: Scene, post: Post, send_out_rule: Rules
) -> None:
    entry = await house.enter(send_out_rule("ann"))
    await house.relay().tell_once()
    second = BreaksOff("commit/reply", time=2)  # The first reply is that of the action.

    async with house.worker(second):
        await house.ends(entry.id, COMPLETED)

    assert second.reached.is_set()
    assert post.recipients == ["ann"]
    assert await states(house) == [DeliveryState.SENT]


async def test_who_dies_between_sending_and_marking_leaves_what_is_sent_again_with_the_same_key(
    house: Scene, post: Post, send_out_rule: Rules
) -> None:
    entry = await house.enter(send_out_rule("ann"))
    await house.relay().tell_once()

    async with house.worker(BreaksOff("send/mark")):
        await is_due_later(house, entry)
        await house.skip(entry.id, DEAD_AFTER)
        await house.ends(entry.id, COMPLETED)

    (delivery,) = await all_of(house.database, Delivery)
    assert [letter.key for letter in post.arrived] == [delivery.key] * 2
    assert (delivery.state, delivery.tries) == (DeliveryState.SENT, 2)
    assert delivery.uncertain_at is not None


@pytest.mark.parametrize(("arrived", "letters"), [(True, 1), (False, 2)])
async def test_who_dies_between_sending_and_marking_leaves_what_a_person_settles(
    house: Scene, post: Post, send_out_rule: Rules, *, arrived: bool, letters: int
) -> None:
    house.settings = HOLDS
    entry = await house.enter(send_out_rule("ann"))
    await house.relay().tell_once()

    async with house.worker(BreaksOff("send/mark")):
        await is_due_later(house, entry)
        await house.skip(entry.id, DEAD_AFTER)
        await house.run_is(entry.id, RunState.HELD)
        held = await house.run(entry.id)
        sent_by_then = len(post.arrived)
        await say(house, arrived=arrived)
        await settled(house)
        await house.run_is(entry.id, RunState.DONE)
        await house.ends(entry.id, COMPLETED)

    assert held.held_because is Hold.UNCERTAIN
    assert sent_by_then == 1
    assert len(post.arrived) == letters
    assert len({letter.key for letter in post.arrived}) == 1


async def say(scene: Scene, *, arrived: bool) -> None:
    (delivery,) = await all_of(scene.database, Delivery)
    (person,) = await all_of(scene.database, User)
    async with scene.database.transaction() as session:
        locked = await lock_with_run(session, delivery.id)
        await settle(session, locked, arrived=arrived, by=person)


async def move(scene: Scene, entry: StageEntry) -> None:
    (person,) = await all_of(scene.database, User)
    *_, other = await all_of(scene.database, Stage)
    async with scene.database.transaction() as session:
        item = await lock_item(session, entry.item_id)
        target = await find_stage(session, other.id)
        await enter_stage(session, item, target, Cause.person(person))


async def delete(scene: Scene, entry: StageEntry) -> None:
    (person,) = await all_of(scene.database, User)
    async with scene.database.transaction() as session:
        item = await lock_item(session, entry.item_id)
        await leave_stage(session, item, Cause.person(person), "deleted")
        item.deleted_at = now()


async def switch_off(scene: Scene, _entry: StageEntry) -> None:
    await _switch(scene, enabled=False)


async def switch_off_and_on(scene: Scene, _entry: StageEntry) -> None:
    await _switch(scene, enabled=False)
    await _switch(scene, enabled=True)


async def _switch(scene: Scene, *, enabled: bool) -> None:
    (rule,) = await all_of(scene.database, Rule)
    async with scene.database.transaction() as session:
        await switch(session, await find_rule(session, rule.id, lock=True), enabled=enabled)


async def switch_off_and_skip(scene: Scene, entry: StageEntry) -> None:
    await _switch(scene, enabled=False)
    run = await scene.run(entry.id)
    (person,) = await all_of(scene.database, User)
    async with scene.database.transaction() as session:
        await skip(session, await lock_run(session, run.id), person)


@pytest.mark.parametrize(
    ("happens", "state", "recipients"),
    [
        (move, RunState.DONE, ["ann", "bob"]),
        (delete, RunState.DONE, ["ann", "bob"]),
        (switch_off, RunState.HELD, ["ann"]),
        (switch_off_and_on, RunState.DONE, ["ann", "bob"]),
        (switch_off_and_skip, RunState.SKIPPED, ["ann"]),
    ],
)
async def test_what_happens_while_something_is_sent_loses_and_doubles_nothing(
    house: Scene,
    post: Post,
    send_out_rule: Rules,
    happens: Callable[[Scene, StageEntry], Awaitable[None]],
    state: RunState,
    recipients: list[str],
) -> None:
    entry = await house.enter(send_out_rule("ann", "bob"))
    await house.relay().tell_once()
    gate = Gate("send/mark")
    async with house.worker(gate):
        await gate.reached.wait()
        await happens(house, entry)
        await settled(house)

        gate.open.set()

        await house.run_is(entry.id, state)
        await settled(house)
        await house.ends(entry.id, COMPLETED)

    assert post.recipients == recipients
    assert (await states(house))[0] is DeliveryState.SENT


async def test_what_hangs_holds_up_no_other_rule_of_the_stage(
    house: Scene, post: Post, send_out_rule: Rules
) -> None:
    post.open.clear()
    entry = await house.enter(send_out_rule("ann"), {}, {"timing": IN_A_SECOND})
    await house.relay().tell_once()
    async with house.worker():
        await post.sending.wait()

        await house.run_is(entry.id, RunState.DONE, 1)
        await house.run_is(entry.id, RunState.DONE, 2)

        assert await states(house) == [DeliveryState.SENDING]
        post.open.set()
        await house.ends(entry.id, COMPLETED)
    assert post.recipients == ["ann"]


@on_one_database
async def test_what_is_due_at_once_keeps_to_the_rate_limit(
    house: Scene, post: Post, send_out_rule: Rules
) -> None:
    house.settings = Settings(deliveries_per_second=RATE)
    begun: list[float] = []
    post.meanwhile = partial(_note_time, begun)
    entries = [await house.enter(send_out_rule("ann")) for _ in range(4 * RATE)]
    await settled(house)

    async with house.worker():
        await post.sending.wait()
        other = await house.enter({"action": "create_task", "params": {"title": "Call"}})
        await settled(house)
        await house.run_is(other.id, RunState.DONE)
        await asyncio.gather(*(house.run_is(entry.id, RunState.DONE) for entry in entries))

    # Temporal saves up what it may give in a second, no more.
    assert begun[-1] - begun[0] > 2.5
    assert len(post.arrived) == 4 * RATE


async def _note_time(times: list[float]) -> None:
    times.append(asyncio.get_running_loop().time())


async def test_a_worker_that_is_told_to_stop_sends_to_the_end_what_it_has_begun(
    house: Scene, post: Post, send_out_rule: Rules
) -> None:
    post.open.clear()
    entry = await house.enter(send_out_rule("ann"))
    await house.relay().tell_once()

    async with house.worker():
        await post.sending.wait()
        asyncio.get_running_loop().call_later(0.1, post.open.set)

    assert await states(house) == [DeliveryState.SENT]
    assert (await house.run(entry.id)).state is RunState.DONE


async def test_cancel_in_flight_finishes_what_is_being_sent_and_drops_the_rest(
    house: Scene, post: Post, send_out_rule: Rules
) -> None:
    entry = await house.enter(send_out_rule("ann", "bob"))
    await house.relay().tell_once()
    gate = Gate("send/mark")
    async with house.worker(gate):
        await gate.reached.wait()
        await (await house.handle(entry.id)).cancel()
        gate.open.set()

        await house.ends(entry.id, WorkflowExecutionStatus.CANCELED)

    assert post.recipients == ["ann"]
    assert await states(house) == [DeliveryState.SENT, DeliveryState.DROPPED]
    assert (await house.run(entry.id)).outcome == "cancelled in Temporal"


async def test_terminate_while_something_is_sent_doubles_nothing(
    house: Scene, post: Post, send_out_rule: Rules
) -> None:
    entry = await house.enter(send_out_rule("ann", "bob"))
    relay = house.relay()
    await relay.tell_once()
    gate = Gate("send/mark")
    async with house.worker(gate):
        await gate.reached.wait()
        await (await house.handle(entry.id)).terminate("by mistake")

        async def seen_and_told() -> bool:
            await relay.sweep()
            return bool(await relay.tell_once())

        await until(seen_and_told)
        await is_due_later(house, entry)  # The new workflow has offered it, too early.
        gate.open.set()

        async def noted() -> bool:
            return (await states(house))[0] is DeliveryState.SENT

        await until(noted)
        await house.skip(entry.id, DEAD_AFTER)  # The answer went to a workflow that is no more.
        await house.ends(entry.id, COMPLETED)

    assert post.recipients == ["ann", "bob"]
