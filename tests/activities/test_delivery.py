"""Delivering: nothing is lost, nothing is sent twice that is known to have arrived."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from temporalio.exceptions import ApplicationError

from activities.channel import NotYet, Refused, TryLater, Unclear
from activities.delivery import SLACK
from activities.transaction import no_pause
from models.agenda import Fault, Stop
from models.clock import now
from models.database import Database
from models.delivery import Delivery, DeliveryKind, DeliveryState
from models.entering import enter_stage, leave_stage
from models.errors import ActionFailed, CrmError
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.item import Deal, lock_item
from models.pipeline import Stage, find_stage
from models.rule import Rule, find_rule
from models.rule_edit import Waiting, delete_rule, lock_to_rewrite, rewrite, said, switch
from models.rule_run import (
    FAULT_PAUSES,
    Hold,
    RuleRun,
    RunState,
    release_all,
    retry,
    run_now,
    skip,
)
from models.settings import Automation, Settings, Uncertain
from models.stage_entry import Cause, StageEntry, lock_entry, lock_run
from models.user import User
from tests.factories import all_of, entered
from tests.fixtures.post import Post, PostRunner
from tests.fixtures.scene import Gate

A_SECOND = timedelta(seconds=1)
A_MINUTE = timedelta(minutes=1)
LIMIT = timedelta(seconds=Settings().delivery_seconds) + SLACK
HOLDS = Settings(uncertain_messages=Uncertain.HOLD)

Rules = Callable[..., dict[str, Any]]


class Office(PostRunner):
    """A runner with one rule that sends something, and what has become of it."""

    rule: Rules

    async def sending(
        self, at: datetime, *to: str, kind: DeliveryKind = DeliveryKind.MESSAGE
    ) -> StageEntry:
        """Let a deal enter a stage whose rule writes to these people, and have its action done."""
        entry = await entered(self.database, self.rule(*to, kind=kind), told=True)
        await self.do(entry.id, at)
        return entry

    async def dies(self, entry: StageEntry, at: datetime, point: str) -> None:
        """Let a worker die at a point of the entry's next step: nothing more is noted."""
        self.pause = Dies(point)
        with pytest.raises(ApplicationError):
            await self.do(entry.id, at)
        self.pause = no_pause

    async def switch(self, *, enabled: bool) -> None:
        (rule,) = await all_of(self.database, Rule)
        async with self.database.transaction() as session:
            await switch(session, await find_rule(session, rule.id, lock=True), enabled=enabled)

    async def deliveries(self) -> list[Delivery]:
        return await all_of(self.database, Delivery)

    async def states(self) -> list[DeliveryState]:
        return [each.state for each in await self.deliveries()]

    async def the_run(self) -> RuleRun:
        (run,) = await all_of(self.database, RuleRun)
        return run

    async def told(self) -> list[str]:
        of_deliveries = HistoryEntry.kind == HistoryKind.DELIVERY
        return [line.text for line in await all_of(self.database, HistoryEntry, of_deliveries)]

    async def somebody(self) -> User:
        (user,) = await all_of(self.database, User)
        return user


class Dies:
    def __init__(self, point: str) -> None:
        self.point = point

    async def __call__(self, point: str) -> None:
        if point == self.point:
            raise OSError("pulled the plug")


@pytest.fixture
def office(database: Database, post: Post, send_out_rule: Rules) -> Office:
    office = Office(database, Settings(), post)
    office.rule = send_out_rule
    return office


@pytest.fixture
def at() -> datetime:
    """When the action is done; the steps of a test say how long after it is."""
    return now() + A_SECOND


# What is sent.


async def test_a_run_is_done_when_what_it_sends_has_arrived(office: Office, at: datetime) -> None:
    entry = await office.sending(at, "ann")
    begun = await office.the_run()

    run = await office.do(entry.id, at + A_SECOND)

    (delivery,) = await office.deliveries()
    assert begun.state is RunState.DELIVERING
    assert (run.state, run.outcome) == (RunState.DONE, "Letters to ann. Sent to ann.")
    assert run.result == {"last": "ann"}
    assert (delivery.state, delivery.answer, delivery.tries) == (DeliveryState.SENT, "250 OK", 1)
    assert delivery.sent_at == at + A_SECOND
    assert [letter.key for letter in office.post.arrived] == [delivery.key]


async def test_delivering_goes_beside_the_loop_and_leaves_nothing_to_tell(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")
    step = await office.step(entry.id)

    agenda = await office.offer(step, at + A_SECOND)

    (after,) = await all_of(office.database, StageEntry)
    assert step.item.beside
    assert agenda.totals == {"done": 1}
    assert after.told_version == after.agenda_version == agenda.version


async def test_it_is_known_to_be_sending_before_anything_leaves_and_nothing_is_locked_meanwhile(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")
    seen: list[DeliveryState] = []

    async def look() -> None:
        seen.extend(await office.states())
        async with office.database.transaction() as session:
            locked = await lock_entry(session, entry.id)
            assert locked is not None

    office.post.meanwhile = look

    await office.do(entry.id, at + A_SECOND)

    assert seen == [DeliveryState.SENDING]
    assert await office.states() == [DeliveryState.SENT]


async def test_each_delivery_is_a_step_with_a_time_of_its_own(office: Office, at: datetime) -> None:
    entry = await office.sending(at, "ann", "bob", "cyd")

    # Even if no time has passed: what comes back unchanged would be offered a minute later.
    offered = [await office.step(entry.id)]
    offered.append(await next_step(office, entry, offered[-1], at))
    offered.append(await next_step(office, entry, offered[-1], at))
    await office.offer(offered[-1], at)

    assert all(one.item.key != other.item.key for one, other in pairwise(offered))
    assert office.post.recipients == ["ann", "bob", "cyd"]
    assert (await office.the_run()).outcome == (
        "Letters to ann, bob, cyd. Sent to ann. Sent to bob. Sent to cyd."
    )


async def next_step(runner: Office, entry: StageEntry, step: Any, at: datetime) -> Any:
    await runner.offer(step, at)
    return await runner.step(entry.id)


async def test_one_fails_one_is_down_for_a_minute_and_one_arrives(
    office: Office, at: datetime
) -> None:
    office.post.on_sending["ann"].append(Refused("ann refused it: 550 No such user."))
    office.post.on_sending["bob"].append(TryLater("421 Come back later"))
    entry = await office.sending(at, "ann", "bob", "cyd")

    runs = [await office.do(entry.id, at) for _ in range(3)]
    last = await office.do(entry.id, at + A_MINUTE)

    assert [run.state for run in runs] == [
        RunState.DELIVERING,
        RunState.DELIVERING,
        RunState.RETRYING,
    ]
    assert (runs[-1].due_at, runs[-1].fault) == (at + A_MINUTE, "421 Come back later")
    assert office.post.recipients == ["cyd", "bob"]
    assert (last.state, last.outcome) == (
        RunState.FAILED,
        "Letters to ann, bob, cyd. ann refused it: 550 No such user. Sent to bob. Sent to cyd.",
    )


async def test_pauses_grow_while_the_other_side_is_down_and_end_after_a_day(
    office: Office, at: datetime
) -> None:
    office.post.on_sending["ann"].extend(TryLater("down") for _ in range(len(FAULT_PAUSES) + 1))
    entry = await office.sending(at, "ann")

    waits = [await paused(office, entry) for _ in FAULT_PAUSES]
    last = await office.do(entry.id, (await office.the_run()).due_at)

    assert waits == FAULT_PAUSES
    assert last.state is RunState.FAILED
    assert last.outcome == "Letters to ann. Gave up after 19 tries: down"
    assert office.post.arrived == []


async def paused(runner: Office, entry: StageEntry) -> timedelta:
    """Do the next step when it is due; return how long the one after it has to wait."""
    (item,) = (await runner.agenda(entry.id)).items
    run = await runner.do(entry.id, item.due_at)
    assert run.due_at is not None
    return run.due_at - item.due_at


async def test_what_needs_something_of_ours_first_waits_without_having_failed(
    office: Office, at: datetime
) -> None:
    office.post.on_preparing["ann"].append(NotYet(at + A_MINUTE))
    entry = await office.sending(at, "ann")

    waiting = await office.do(entry.id, at)
    run = await office.do(entry.id, at + A_MINUTE)

    (delivery,) = await office.deliveries()
    assert (waiting.state, waiting.due_at) == (RunState.DELIVERING, at + A_MINUTE)
    assert run.state is RunState.DONE
    assert (delivery.tries, delivery.failures) == (1, 0)


@pytest.mark.parametrize("reason", [Refused("No address left."), ActionFailed("Deal 1 is gone.")])
async def test_what_cannot_be_prepared_fails_with_the_reason(
    office: Office,
    at: datetime,
    reason: CrmError,
) -> None:
    office.post.on_preparing["ann"].append(reason)
    entry = await office.sending(at, "ann")

    run = await office.do(entry.id, at)

    assert (run.state, run.outcome) == (RunState.FAILED, f"Letters to ann. {reason}")


# Nobody knows.


async def test_sent_but_never_noted_is_uncertain_and_sent_again_with_the_same_key(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")
    await office.dies(entry, at, "send/mark")

    early = await office.do(entry.id, at + A_SECOND)
    run = await office.do(entry.id, at + LIMIT)

    (delivery,) = await office.deliveries()
    assert early.due_at == at + LIMIT
    assert run.state is RunState.DONE
    assert [letter.key for letter in office.post.arrived] == [delivery.key] * 2
    assert (delivery.tries, delivery.uncertain_at) == (2, at + LIMIT)
    (line,) = await office.told()
    assert line == (
        f"Nobody knows whether delivery {delivery.id} to ann has arrived: the worker that was "
        "sending it has died. It is sent again."
    )


async def test_what_is_uncertain_is_held_for_a_person_if_that_is_wanted_and_the_rest_goes_on(
    office: Office, at: datetime
) -> None:
    office.settings = HOLDS
    entry = await office.sending(at, "ann", "bob")
    await office.dies(entry, at, "commit/send")

    run = await office.do(entry.id, at + LIMIT)

    assert office.post.recipients == ["bob"]
    assert await office.states() == [DeliveryState.UNCERTAIN, DeliveryState.SENT]
    assert (run.state, run.held_because) == (RunState.HELD, Hold.UNCERTAIN)
    assert (await office.told())[0].endswith("Somebody has to say whether it has.")


async def test_what_kills_its_worker_each_time_is_not_sent_without_end(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")
    await office.dies(entry, at, "send/mark")
    await office.dies(entry, at + LIMIT, "send/mark")

    run = await office.do(entry.id, at + 2 * LIMIT)

    (delivery,) = await office.deliveries()
    assert run.state is RunState.RETRYING
    assert (delivery.tries, delivery.failures) == (2, 1)
    assert delivery.due_at == run.due_at == at + 2 * LIMIT + A_MINUTE
    assert len(await office.told()) == 1


@pytest.mark.parametrize(
    ("settings", "state", "follows"),
    [
        (Settings(), DeliveryState.WAITING, "It is sent again later."),
        (HOLDS, DeliveryState.UNCERTAIN, "Somebody has to say whether it has."),
    ],
)
async def test_no_answer_is_uncertain_as_well(
    office: Office,
    at: datetime,
    settings: Settings,
    state: DeliveryState,
    follows: str,
) -> None:
    office.settings = settings
    office.post.on_sending["ann"].append(Unclear("the line went dead"))
    entry = await office.sending(at, "ann")

    await office.do(entry.id, at)

    (delivery,) = await office.deliveries()
    assert (delivery.state, delivery.error) == (state, "the line went dead")
    assert delivery.uncertain_at == at
    assert (await office.told())[0].endswith(f"the line went dead. {follows}")


async def test_sending_has_a_time_limit(office: Office, at: datetime) -> None:
    office.settings = Settings(delivery_seconds=1)
    office.post.open.clear()
    entry = await office.sending(at, "ann")

    await office.do(entry.id, at)

    (delivery,) = await office.deliveries()
    assert (delivery.state, delivery.error) == (
        DeliveryState.WAITING,
        "no answer within 1 seconds",
    )


async def test_a_late_answer_counts_where_nobody_has_sent_it_again(
    office: Office, at: datetime
) -> None:
    office.settings = HOLDS
    entry = await office.sending(at, "ann")
    gate = Gate("send/mark")
    office.pause = gate
    slow = asyncio.create_task(office.do(entry.id, at))
    await gate.reached.wait()
    held = await office.do(entry.id, at + LIMIT)

    gate.open.set()
    run = await slow

    assert held.state is RunState.HELD
    assert run.state is RunState.DONE
    assert office.post.recipients == ["ann"]


async def test_an_answer_that_comes_after_somebody_else_has_taken_it_changes_nothing(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")
    office.post.on_sending["ann"].append(Refused("too late"))
    gate = Gate("send/mark")
    office.pause = gate
    slow = asyncio.create_task(office.do(entry.id, at))
    await gate.reached.wait()
    await office.do(entry.id, at + LIMIT)

    gate.open.set()
    await slow

    assert (await office.the_run()).state is RunState.DONE
    assert await office.states() == [DeliveryState.SENT]


async def test_what_was_cut_off_by_temporal_is_sent_to_its_end_and_noted(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")
    step = await office.step(entry.id)
    office.post.open.clear()
    working = asyncio.create_task(office.offer(step, at))
    await office.post.sending.wait()

    working.cancel("heartbeat timed out")
    await asyncio.sleep(0)
    office.post.open.set()
    agenda = await working

    assert agenda.totals == {"done": 1}
    assert await office.states() == [DeliveryState.SENT]


# What follows from its being sent.


@pytest.mark.parametrize(
    "error",
    [ActionFailed("The contact is gone."), IntegrityError("", {}, ValueError()), KeyError("x")],
)
async def test_what_has_left_the_house_is_not_sent_again_because_something_follows_from_it(
    office: Office,
    at: datetime,
    error: Exception,
) -> None:
    office.post.on_settling["ann"].append(error)
    entry = await office.sending(at, "ann")

    run = await office.do(entry.id, at)

    (delivery,) = await office.deliveries()
    assert (run.state, run.outcome) == (RunState.DONE, "Letters to ann. Sent to ann.")
    assert delivery.state is DeliveryState.SENT
    assert delivery.subject == "Thanks"  # Nothing half-done is kept.


async def test_what_was_sent_is_noted_when_the_database_answers_again(
    office: Office,
    at: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("activities.delivery.MARK_PAUSE", 0.01)
    office.post.on_settling["ann"].append(OperationalError("", {}, OSError("gone away")))
    entry = await office.sending(at, "ann")

    run = await office.do(entry.id, at)

    assert run.state is RunState.DONE
    assert office.post.recipients == ["ann"]


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (ActionFailed("The number is taken."), DeliveryState.FAILED, "The number is taken."),
        (KeyError("x"), DeliveryState.WAITING, "KeyError: 'x'"),
        (TryLater("no room"), DeliveryState.WAITING, "no room"),
    ],
)
async def test_a_document_that_could_not_be_kept_is_not_there(
    office: Office,
    at: datetime,
    error: Exception,
    state: DeliveryState,
    words: str,
) -> None:
    office.post.on_settling["offer"].append(error)
    entry = await office.sending(at, "offer", kind=DeliveryKind.DOCUMENT)

    await office.do(entry.id, at)

    (delivery,) = await office.deliveries()
    assert (delivery.state, delivery.outcome or delivery.error) == (state, words)


async def test_a_document_whose_worker_died_is_made_again_and_nothing_is_uncertain(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "offer", kind=DeliveryKind.DOCUMENT)
    await office.dies(entry, at, "send/mark")

    run = await office.do(entry.id, at + LIMIT)

    (delivery,) = await office.deliveries()
    assert run.state is RunState.DONE
    assert delivery.uncertain_at is None
    assert await office.told() == []


# What happens to run, rule and item meanwhile.


@pytest.mark.parametrize("later", [A_MINUTE, -A_MINUTE])  # Clocks are put back at times.
async def test_a_person_retries_and_whoever_was_reached_is_not_written_to_again(
    office: Office, at: datetime, later: timedelta
) -> None:
    office.post.on_sending["bob"].append(Refused("bob refused it."))
    entry = await office.sending(at, "ann", "bob")
    failed = [await office.do(entry.id, at) for _ in range(2)][-1]
    async with office.database.transaction() as session:
        retry(session, await lock_run(session, failed.id))

    again = [await office.do(entry.id, at + later) for _ in range(2)][-1]

    assert failed.state is RunState.FAILED
    assert office.post.recipients == ["ann", "bob"]
    assert again.state is RunState.DONE
    assert again.outcome == "Letters to ann, bob. Sent to bob."


async def test_leaving_the_stage_takes_nothing_back(office: Office, at: datetime) -> None:
    entry = await office.sending(at, "ann", "bob")

    async def leave() -> None:
        office.post.meanwhile = None
        async with office.database.transaction() as session:
            item = await lock_item(session, entry.item_id)
            (won,) = await all_of(office.database, Stage, Stage.name == "Won")
            person = Cause.person(await office.somebody())
            await enter_stage(session, item, await find_stage(session, won.id), person)

    office.post.meanwhile = leave

    run = [await office.do(entry.id, at) for _ in range(2)][-1]

    (deal,) = await all_of(office.database, Deal)
    assert deal.stage_id != entry.stage_id
    assert run.state is RunState.DONE
    assert office.post.recipients == ["ann", "bob"]


async def test_deleting_the_item_takes_nothing_back(office: Office, at: datetime) -> None:
    entry = await office.sending(at, "ann", "bob")

    async def delete() -> None:
        office.post.meanwhile = None
        person = await office.somebody()
        async with office.database.transaction() as session:
            item = await lock_item(session, entry.item_id)
            await leave_stage(session, item, Cause.person(person), "deleted")
            item.deleted_at = now()

    office.post.meanwhile = delete

    run = [await office.do(entry.id, at) for _ in range(2)][-1]

    assert run.state is RunState.DONE
    assert office.post.recipients == ["ann", "bob"]


async def test_a_rule_switched_off_sends_no_more_until_it_is_on_again(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann", "bob")

    async def off() -> None:
        office.post.meanwhile = None
        await office.switch(enabled=False)

    office.post.meanwhile = off

    held = await office.do(entry.id, at)
    nothing_to_do = await office.agenda(entry.id)
    await office.switch(enabled=True)
    let_go = await office.the_run()
    run = await office.do(entry.id, at + A_MINUTE)

    assert (held.state, held.held_because) == (RunState.HELD, Hold.RULE_OFF)
    assert nothing_to_do.items == ()
    assert let_go.state is RunState.DELIVERING
    assert run.state is RunState.DONE
    assert office.post.recipients == ["ann", "bob"]


async def test_what_waits_for_another_try_can_be_skipped_after_its_rule_was_off(
    office: Office, at: datetime
) -> None:
    office.post.on_sending["ann"].append(TryLater("421"))
    entry = await office.sending(at, "ann")
    await office.do(entry.id, at)
    await office.switch(enabled=False)
    await office.switch(enabled=True)
    let_go, person = await office.the_run(), await office.somebody()

    async with office.database.transaction() as session:
        await skip(session, await lock_run(session, let_go.id), person)

    run = await office.the_run()
    assert (let_go.state, let_go.attempts) == (RunState.RETRYING, 1)
    assert (run.state, run.outcome) == (RunState.SKIPPED, "Skipped by Ann.")
    assert await office.states() == [DeliveryState.DROPPED]


async def test_paused_automation_sends_nothing_until_it_goes_on(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")
    office.settings = Settings(automation=Automation.PAUSED)

    held = await office.do(entry.id, at)
    sent_meanwhile = list(office.post.arrived)
    office.settings = Settings()
    async with office.database.transaction() as session:
        await release_all(session, Hold.PAUSED)
    run = await office.do(entry.id, at + A_MINUTE)

    assert (held.state, held.held_because) == (RunState.HELD, Hold.PAUSED)
    assert sent_meanwhile == []
    assert run.state is RunState.DONE


@pytest.mark.parametrize(
    ("came", "becomes"),
    [
        (None, [DeliveryState.SENT, DeliveryState.DROPPED]),
        (Refused("550"), [DeliveryState.FAILED, DeliveryState.DROPPED]),
        (TryLater("421"), [DeliveryState.DROPPED, DeliveryState.DROPPED]),
        (Unclear("silence"), [DeliveryState.UNCERTAIN, DeliveryState.DROPPED]),
    ],
)
async def test_a_run_skipped_while_it_sends_sends_no_more_and_what_was_sent_is_known(
    office: Office,
    at: datetime,
    came: Exception | None,
    becomes: list[DeliveryState],
) -> None:
    office.post.on_sending["ann"].extend([came] if came else [])
    entry = await office.sending(at, "ann", "bob")
    between: list[DeliveryState] = []

    async def stop() -> None:
        await office.switch(enabled=False)
        run, person = await office.the_run(), await office.somebody()
        async with office.database.transaction() as session:
            await skip(session, await lock_run(session, run.id), person)
        between.extend(await office.states())

    office.post.meanwhile = stop

    run = await office.do(entry.id, at)

    assert between == [DeliveryState.UNCERTAIN, DeliveryState.DROPPED]
    assert (run.state, run.outcome) == (RunState.SKIPPED, "Skipped by Ann.")
    assert await office.states() == becomes
    assert (await office.agenda(entry.id)).items == ()


async def test_a_rule_that_is_deleted_with_what_waits_sends_no_more(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann", "bob")
    step = await office.step(entry.id)
    (rule,) = await all_of(office.database, Rule)
    person = await office.somebody()
    async with office.database.transaction() as session:
        await delete_rule(session, rule.id, person, drop_waiting=True)

    agenda = await office.offer(step, at)

    assert agenda.totals == {"dropped": 1}
    assert await office.states() == [DeliveryState.DROPPED] * 2
    assert office.post.arrived == []


@pytest.mark.parametrize("waiting", [Waiting.RETIME, Waiting.CANCEL])
async def test_a_rule_that_is_edited_changes_nothing_of_what_is_on_its_way(
    office: Office,
    at: datetime,
    waiting: Waiting,
) -> None:
    entry = await office.sending(at, "ann")
    (rule,) = await all_of(office.database, Rule)
    person = await office.somebody()
    async with office.database.transaction() as session:
        locked = await lock_to_rewrite(session, rule.id, waiting)
        text = said(locked) | {"params": {"to": ["bob"], "kind": DeliveryKind.MESSAGE}}
        await rewrite(session, locked, text, person, waiting)

    run = await office.do(entry.id, at)

    assert run.state is RunState.DONE
    assert office.post.recipients == ["ann"]


async def test_a_person_need_not_wait_for_the_next_try(office: Office, at: datetime) -> None:
    office.post.on_sending["ann"].append(TryLater("down"))
    entry = await office.sending(at, "ann")
    waiting = await office.do(entry.id, at)
    async with office.database.transaction() as session:
        run_now(session, await lock_run(session, waiting.id))

    run = await office.do(entry.id, at + A_SECOND)

    assert waiting.due_at == at + A_MINUTE
    assert run.state is RunState.DONE


async def test_a_person_may_stop_what_is_tried_again(office: Office, at: datetime) -> None:
    office.post.on_sending["ann"].append(TryLater("down"))
    entry = await office.sending(at, "ann")
    waiting = await office.do(entry.id, at)
    person = await office.somebody()

    async with office.database.transaction() as session:
        await skip(session, await lock_run(session, waiting.id), person)

    (delivery,) = await office.deliveries()
    assert (delivery.state, delivery.outcome) == (DeliveryState.DROPPED, "Skipped by Ann.")
    assert (await office.agenda(entry.id)).items == ()


async def test_cancel_in_temporal_drops_what_has_not_been_sent(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann", "bob")
    await office.do(entry.id, at)
    agenda = await office.agenda(entry.id)

    await office.stop(Stop(database_id=agenda.database_id, entry_id=entry.id))

    run = await office.the_run()
    assert (run.state, run.outcome) == (RunState.DROPPED, "cancelled in Temporal")
    assert await office.states() == [DeliveryState.SENT, DeliveryState.DROPPED]
    assert office.post.recipients == ["ann"]


async def test_faults_of_ours_put_it_back_and_after_a_day_nothing_is_sent_any_more(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")

    waits = [await after_fault(office, entry) for _ in FAULT_PAUSES]
    await faulty(office, entry)

    run = await office.the_run()
    assert waits == FAULT_PAUSES
    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "Gave up after 19 tries in a day: OSError.",
    )
    assert await office.states() == [DeliveryState.DROPPED]
    assert office.post.arrived == []


async def after_fault(runner: Office, entry: StageEntry) -> timedelta:
    """Record a fault of the next step when it is due; return how long it is put back."""
    before = await runner.step(entry.id)
    await faulty(runner, entry)
    after = await runner.step(entry.id)
    return after.item.due_at - before.item.due_at


async def faulty(runner: Office, entry: StageEntry) -> None:
    step = await runner.step(entry.id)
    await runner.record_fault(Fault(step=step, error_type="OSError"), step.item.due_at)


async def test_what_a_worker_sent_for_another_database_is_not_noted_in_this_one(
    office: Office, at: datetime
) -> None:
    entry = await office.sending(at, "ann")

    async def replace() -> None:
        async with office.database.transaction() as session:
            (await installation(session)).database_id = uuid4()

    office.post.meanwhile = replace

    await office.do(entry.id, at)

    assert await office.states() == [DeliveryState.SENDING]
