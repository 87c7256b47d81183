"""Settling: a person says whether something has arrived of which nobody knows."""

from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from models.crm_activity_edit import add_sent
from models.delivery import (
    Delivery,
    DeliveryState,
    arrive,
    find_delivery,
    give_up,
    send_again,
)
from models.errors import Conflict
from models.history import HistoryKind
from models.provenance import acting
from models.rule_run import RuleRun, go_on_delivering, its_deliveries, tell_of_run
from models.stage_entry import Cause, lock_run
from models.user import User


class DeliveryOfRun(NamedTuple):
    """A delivery and its run, both locked."""

    delivery: Delivery
    run: RuleRun


async def lock_with_run(session: AsyncSession, delivery_id: int) -> DeliveryOfRun:
    """Return a delivery with its run, locked in the order that everybody keeps, or `NotFound`."""
    known = await find_delivery(session, delivery_id)
    run = await lock_run(session, known.run_id)
    return DeliveryOfRun(await find_delivery(session, delivery_id, lock=True), run)


async def settle(
    session: AsyncSession, locked: DeliveryOfRun, *, arrived: bool, by: User
) -> Delivery:
    """Let an uncertain delivery have arrived, or send it again now; its run goes on.

    If its run has ended since, what has not arrived is not sent any more.
    """
    delivery, run = locked
    if delivery.state is not DeliveryState.UNCERTAIN:
        called = delivery.called.capitalize()
        raise Conflict(f"{called} is {delivery.state}: only what is uncertain is to be settled.")
    its = await its_deliveries(session, run)
    goes_on = run.is_delivering and delivery in its
    said = f"It has {'' if arrived else 'not '}arrived, says {by.name}."
    if arrived:
        arrive(delivery, said)
        with acting(run.id):
            await add_sent(session, delivery, Cause.rule(run))
    elif goes_on:
        send_again(delivery)
    else:
        give_up(delivery, said)
    text = f"{delivery.called.capitalize()} to {delivery.recipient}: {said}"
    tell_of_run(session, run, HistoryKind.DELIVERY, text, by)
    await session.flush()
    if goes_on:
        await go_on_delivering(session, run, its)
    return delivery
