"""Delivering: the step that sends what an action wrote, beside all others.

First *sending* is committed, then it is sent outside any transaction, then *sent* is committed. So
whoever dies in between leaves a delivery of which nobody knows whether it has arrived; what is done
with it then is a setting for each kind.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.channel import Channel, NotYet, Refused, Sent, TryLater, Unclear
from activities.registry import all_actions
from activities.results import as_kept
from activities.steps import Place, Steps
from activities.transaction import Pause, no_pause
from models.agenda import Agenda, Step
from models.database import Database
from models.delivery import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    arrive,
    begin_sending,
    doubt,
    drop,
    find_delivery,
    give_up,
    is_due,
    is_overdue,
    next_of,
    put_off,
    send_again,
    try_later,
)
from models.errors import CrmError
from models.history import HistoryKind
from models.installation import Installation
from models.occasion import in_savepoint
from models.outbox import raise_agenda
from models.provenance import acting
from models.rule_run import (
    DELIVER,
    FAULT_PAUSES,
    RuleRun,
    go_on_delivering,
    its_deliveries,
    tell_of_run,
)
from models.settings import Settings, Uncertain
from models.stage_entry import StageEntry, lock_entry

log = structlog.get_logger()

BEAT = timedelta(seconds=3)
"""Between signs of life, so that Temporal soon offers what a dead worker had."""

SLACK = timedelta(seconds=5)
"""Whoever sends has stopped that long before others take it for dead."""

MARKING = timedelta(seconds=30)
"""How long to try to note what was sent: forgetting it would send it twice."""

MARK_PAUSE = 1.0

DIED = "the worker that was sending it has died"


class Taken(NamedTuple):
    """A delivery that is being sent: its id, which try it is, and what its channel needs."""

    delivery_id: int
    kind: DeliveryKind
    tries: int
    prepared: Any


class DeliveryActivities(Steps):
    """The activity `deliver`, with a channel for each kind of delivery."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        channels: Mapping[DeliveryKind, Channel],
        pause: Pause = no_pause,
    ) -> None:
        super().__init__(database, settings, pause)
        self._channels = channels
        self._limit = timedelta(seconds=settings.delivery_seconds)
        self._dead_after = self._limit + SLACK

    def all(self) -> list[Callable[..., Awaitable[Agenda]]]:
        """Return the activities to register with a worker."""
        return [self.deliver]

    @activity.defn(name=DELIVER)
    async def deliver(self, step: Step) -> Agenda:
        """Send what the run has to send next, and say what is left to do.

        To its end, though Temporal may lose patience or the worker be told to stop: what is cut
        off halfway may have arrived or not.
        """
        working = asyncio.create_task(self.told_faults(self._deliver(step), step))
        beating = asyncio.create_task(_beat())
        try:
            while not working.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(working)
        finally:
            beating.cancel()
        return working.result()

    async def _deliver(self, step: Step) -> Agenda:
        began = asyncio.get_running_loop().time()
        taken: list[Taken] = []

        async def take(place: Place) -> None:
            taken.extend(await self._take(place))

        agenda = await self.fenced(step, take)
        for each in taken:
            await self.pause("commit/send")
            came = await self._send(each, began)
            await self.pause("send/mark")
            agenda = await self._mark(step, each, came)
        await self.pause("commit/reply")
        return agenda

    async def _take(self, place: Place) -> list[Taken]:
        """Note that the next delivery of a run is being sent; nothing if it has to wait."""
        session, run = place.session, place.run
        if await self.must_rest(place):
            return []
        deliveries = await its_deliveries(session, run)
        sending = [each for each in deliveries if each.state is DeliveryState.SENDING]
        for each in sending:
            if not is_overdue(each, self._dead_after):  # Perhaps somebody is still at it.
                run.due_at = (each.sending_at or each.created_at) + self._dead_after
                raise_agenda(session, run.stage_entry)
                return []
            self._doubt(place, each, DIED)
        delivery = next_of(deliveries)
        rests = sending and delivery is not None and not is_due(delivery)
        if delivery is None or rests:
            await go_on_delivering(session, run, deliveries)
            return []
        try:
            prepared = await self._channels[delivery.kind].prepare(place, delivery)
        except CrmError as error:
            give_up(delivery, error.reason)
        except NotYet as error:
            put_off(delivery, error.until)
        else:
            begin_sending(delivery)
            return [Taken(delivery.id, delivery.kind, delivery.tries, prepared)]
        await go_on_delivering(session, run, deliveries)
        return []

    def _doubt(self, place: Place, delivery: Delivery, why: str) -> None:
        """Go on with what has perhaps arrived: send it again, or leave it to a person.

        A worker that dies over it each time is not made to die without end.
        """
        doubted_before = delivery.uncertain_at is not None
        if delivery.kind.leaves:
            doubt(delivery, why)
        if delivery.kind.leaves and self._is_left(place.run, delivery.kind):
            follows = "Somebody has to say whether it has."
        elif delivery.tries == 1 and why is DIED:
            send_again(delivery)
            follows = "It is sent again."
        else:
            try_later(delivery, why, FAULT_PAUSES)
            follows = "It is sent again later."
        if delivery.kind.leaves and not doubted_before:
            text = f"Nobody knows whether {delivery.called} to {delivery.recipient} has arrived"
            told = f"{text}: {why}. {follows}"
            tell_of_run(place.session, place.run, HistoryKind.DELIVERY, told)

    def _is_left(self, run: RuleRun, kind: DeliveryKind) -> bool:
        """Tell whether what is uncertain is left to a person; so it is once its run has ended."""
        return not run.is_delivering or self.settings.uncertain(kind) is Uncertain.HOLD

    async def _send(self, taken: Taken, began: float) -> Sent | Exception:
        """Return what came of sending, in no transaction, before others take us for dead."""
        limit = self._limit.total_seconds()
        latest = began + limit + SLACK.total_seconds() / 2
        try:
            async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + limit, latest)):
                return await self._channels[taken.kind].send(taken.prepared)
        except (Refused, TryLater) as error:
            return error
        except TimeoutError:
            return Unclear(f"no answer within {limit:.0f} seconds")
        except Exception as error:
            log.exception("A channel met what it does not know", delivery_id=taken.delivery_id)
            return Unclear(f"{type(error).__name__}: {error}")

    async def _mark(self, step: Step, taken: Taken, came: Sent | Exception) -> Agenda:
        """Note what came of sending a delivery, unless somebody else has taken it since."""

        async def conclude(session: AsyncSession, home: Installation, entry: StageEntry) -> None:
            if home.database_id != step.database_id:
                return
            run = next(each for each in entry.runs if each.id == step.item.run_id)
            delivery = await find_delivery(session, taken.delivery_id, lock=True)
            if _is_news(delivery, taken, came):
                await self._conclude(Place(session, home, entry, run), delivery, came)

        loop = asyncio.get_running_loop()
        until = loop.time() + MARKING.total_seconds()
        while True:
            try:
                return await self.in_transaction(step.entry_id, conclude)
            except (DBAPIError, OSError) as error:
                if loop.time() > until:
                    raise
                log.warning(
                    "What was sent cannot be noted yet",
                    delivery_id=taken.delivery_id,
                    kind=type(error).__name__,
                )
                await asyncio.sleep(MARK_PAUSE)

    async def _conclude(self, place: Place, delivery: Delivery, came: Sent | Exception) -> None:
        session, run = place.session, place.run
        if isinstance(came, Sent):
            came = await self._settled(place, delivery, came)
        if isinstance(came, Sent):
            arrive(delivery, came.outcome, answer=came.answer, caught=came.caught)
            _leave(run, came)
        elif isinstance(came, Refused):
            give_up(delivery, came.reason)
        elif isinstance(came, NotYet):
            put_off(delivery, came.until)
        elif isinstance(came, Unclear):
            self._doubt(place, delivery, str(came))
        else:
            wait = came.wait if isinstance(came, TryLater) else timedelta()
            try_later(delivery, str(came), FAULT_PAUSES, wait)
        await session.flush()
        its = await its_deliveries(session, run)
        if run.is_delivering and delivery in its:
            await go_on_delivering(session, run, its)
        elif delivery.state is DeliveryState.WAITING:  # Its run has ended meanwhile.
            drop(delivery, run.outcome or "")

    async def _settled(self, place: Place, delivery: Delivery, sent: Sent) -> Sent | Exception:
        """Write what follows from its being sent.

        Whatever goes wrong then, it has left the house, and is not sent again for that.
        """
        session, entry_id, delivery_id = place.session, place.entry.id, delivery.id
        came: Exception
        try:
            with acting(place.run.id):
                async with in_savepoint(session):
                    return await self._channels[delivery.kind].settle(place, delivery, sent)
        except (TryLater, NotYet, CrmError) as error:
            came = error
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            came = error
        await lock_entry(session, entry_id)  # The rollback has made it forget its rows.
        await find_delivery(session, delivery_id, lock=True)
        if isinstance(came, TryLater | NotYet):
            return came
        log.error("What was sent has no consequences", delivery_id=delivery_id, exc_info=came)
        if delivery.kind.leaves:
            return sent
        if isinstance(came, CrmError):
            return Refused(came.reason)
        return TryLater(f"{type(came).__name__}: {came}")


def _is_news(delivery: Delivery, taken: Taken, came: Sent | Exception) -> bool:
    """Tell whether nobody has found out better by now, or has taken it since.

    That it has arrived is news also where others were about to send it again.
    """
    in_doubt = {DeliveryState.SENDING, DeliveryState.UNCERTAIN}
    if isinstance(came, Sent):
        in_doubt.add(DeliveryState.WAITING)
    return delivery.tries == taken.tries and delivery.state in in_doubt


def _leave(run: RuleRun, sent: Sent) -> None:
    """Add what came of sending to what the action has left, as far as that declares it."""
    action = all_actions()[run.version.action]
    declared = {field.path for field in action.results}
    known = {name: value for name, value in sent.result.items() if name in declared}
    run.result = {**(run.result or {}), **(as_kept(action, known) or {})} or None


async def _beat() -> None:
    with suppress(RuntimeError):  # Without a worker around it, in tests, nobody listens.
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT.total_seconds())
