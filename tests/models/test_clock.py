"""The one clock: wall time, a source of somebody's own, or what a block says."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from models import clock

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


def test_it_is_wall_time_in_utc() -> None:
    before = datetime.now(UTC)

    now = clock.now()

    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC


def test_a_source_of_ones_own_says_what_time_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)

    assert clock.now() == NOON


def test_within_a_block_it_is_the_moment_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)

    with clock.at(NOON + AN_HOUR):
        within = clock.now()

    assert (within, clock.now()) == (NOON + AN_HOUR, NOON)


def test_blocks_lie_within_each_other() -> None:
    with clock.at(NOON):
        with clock.at(NOON + AN_HOUR):
            inner = clock.now()
        outer = clock.now()

    assert (inner, outer) == (NOON + AN_HOUR, NOON)


def test_a_block_that_fails_gives_the_time_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock.clock, "source", lambda: NOON)

    with pytest.raises(ZeroDivisionError), clock.at(NOON + AN_HOUR):
        raise ZeroDivisionError

    assert clock.now() == NOON


async def test_two_tasks_at_once_have_each_their_own_time() -> None:
    both_said = asyncio.Barrier(2)

    async def time_within(moment: datetime) -> datetime:
        with clock.at(moment):
            await both_said.wait()
            return clock.now()

    one, other = await asyncio.gather(time_within(NOON), time_within(NOON + AN_HOUR))

    assert (one, other) == (NOON, NOON + AN_HOUR)
