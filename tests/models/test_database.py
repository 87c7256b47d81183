"""The database: who waits for whom, who is told after a commit, and what readers see."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import Database
from models.entering import enter_stage
from models.locking import lost_a_race
from models.pipeline import find_stage
from models.rule_run import Hold, RuleRun, hold_all, release_all
from models.stage_entry import Cause, StageEntry, lock_entry
from models.user import User
from tests.factories import IN_AN_HOUR, all_of, entered
from tests.fixtures.runner import Runner

A_MOMENT = 0.3
LATER = {"timing": IN_AN_HOUR}


@pytest.fixture
def told(database: Database) -> list[str]:
    """Grows by one whenever the database says that an agenda has changed."""
    told: list[str] = []
    database.on_agenda_change(lambda: told.append("changed"))
    return told


@pytest.fixture
async def sqlite(sqlite_database_url: str) -> AsyncIterator[Database]:
    database = Database(sqlite_database_url)
    yield database
    await database.close()


@pytest.fixture
async def postgres(postgres_database_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_database_url)
    yield database
    await database.close()


async def add_user(database: Database, name: str = "Ann") -> None:
    async with database.transaction() as session:
        session.add(User(name=name))


async def count_users(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def waits(database: Database) -> asyncio.Task[None]:
    """Begin to add a user; it must not be done after a moment."""
    adding = asyncio.create_task(add_user(database))
    done, _ = await asyncio.wait({adding}, timeout=A_MOMENT)
    assert not done
    return adding


async def test_on_sqlite_a_writer_waits_for_the_one_before(sqlite: Database) -> None:
    async with sqlite.transaction() as session:
        adding = await waits(sqlite)
        session.add(User(name="First"))

    await adding

    users = await all_of(sqlite, User)
    assert [user.name for user in users] == ["First", "Ann"]


async def test_on_sqlite_a_writer_waits_for_one_of_another_process_too(
    sqlite: Database, sqlite_database_url: str
) -> None:
    other = Database(sqlite_database_url)
    async with sqlite.transaction() as session:
        session.add(User(name="First"))
        await session.flush()
        adding = await waits(other)

    await adding

    assert len(await all_of(sqlite, User)) == 2
    await other.close()


async def test_on_sqlite_readers_wait_for_nobody(sqlite: Database) -> None:
    async with sqlite.transaction() as session:
        session.add(User(name="Ann"))
        await session.flush()
        async with sqlite.reading() as reader:
            seen = await count_users(reader)

    assert seen == 0


async def move_in_vain(database: Database, entry: StageEntry) -> None:
    """Move the entry's item in a transaction that fails in the end."""
    async with database.transaction() as session:
        await move(session, entry)
        await session.flush()
        raise ZeroDivisionError


async def move(session: AsyncSession, entry: StageEntry) -> None:
    locked = await lock_entry(session, entry.id)
    assert locked is not None
    person = User(name="Eve")
    session.add(person)
    won = await find_stage(session, entry.stage_id + 1)
    await enter_stage(session, locked.item, won, Cause.person(person))


async def test_a_failed_transaction_leaves_nothing_behind(database: Database) -> None:
    entry = await entered(database)

    with pytest.raises(ZeroDivisionError):
        await move_in_vain(database, entry)

    assert len(await all_of(database, StageEntry)) == 1
    assert "Eve" not in [user.name for user in await all_of(database, User)]


async def test_after_a_failed_transaction_others_go_on(database: Database) -> None:
    entry = await entered(database)
    with pytest.raises(ZeroDivisionError):
        await move_in_vain(database, entry)

    await add_user(database, "Ada")

    assert "Ada" in [user.name for user in await all_of(database, User)]


async def test_an_item_that_enters_a_stage_is_something_to_tell(
    database: Database, told: list[str]
) -> None:
    await entered(database)

    assert told == ["changed"]


async def test_it_is_said_once_for_all_that_a_transaction_changed_and_after_its_commit(
    database: Database, told: list[str]
) -> None:
    entry = await entered(database, LATER, LATER)
    told.clear()

    async with database.transaction() as session:
        await move(session, entry)
        await session.flush()
        before = list(told)

    assert (before, told) == ([], ["changed"])


async def test_what_no_agenda_has_to_do_with_is_not_said(
    database: Database, told: list[str]
) -> None:
    await add_user(database)
    await all_of(database, User)

    assert told == []


async def test_a_failed_transaction_says_nothing(database: Database, told: list[str]) -> None:
    entry = await entered(database, LATER)
    told.clear()

    with pytest.raises(ZeroDivisionError):
        await move_in_vain(database, entry)

    assert told == []


async def test_a_run_whose_reply_tells_it_all_says_nothing(
    database: Database, told: list[str], runner: Runner
) -> None:
    entry = await entered(database, {}, told=True)
    told.clear()

    await runner.do(entry.id)

    assert told == []


async def test_holding_says_nothing_and_releasing_does(database: Database, told: list[str]) -> None:
    await entered(database, LATER, told=True)
    (run,) = await all_of(database, RuleRun)
    told.clear()

    async with database.transaction() as session:
        await hold_all(session, run.rule_id)
    held = list(told)
    async with database.transaction() as session:
        await release_all(session, Hold.RULE_OFF, run.rule_id)

    assert (held, told) == ([], ["changed"])


async def test_every_listener_hears_it(database: Database, told: list[str]) -> None:
    database.on_agenda_change(lambda: told.append("heard too"))

    await entered(database)

    assert told == ["changed", "heard too"]


async def test_a_reader_sees_one_snapshot_whatever_others_commit_meanwhile(
    database: Database,
) -> None:
    async with database.reading() as session:
        before = await count_users(session)
        await add_user(database)
        after = await count_users(session)

    assert (before, after) == (0, 0)
    async with database.reading() as session:
        assert await count_users(session) == 1


async def test_what_a_reader_changes_is_not_kept(database: Database) -> None:
    async with database.reading() as session:
        session.add(User(name="Ann"))
        await session.flush()

    assert await all_of(database, User) == []


async def test_a_transaction_sees_what_others_have_committed_also_after_a_reader(
    postgres: Database,
) -> None:
    async with postgres.reading() as session:
        await count_users(session)

    async with postgres.transaction() as session:
        before = await count_users(session)
        await add_user(postgres)
        after = await count_users(session)

    assert (before, after) == (0, 1)


async def test_who_waits_too_long_for_a_lock_has_lost_a_race(postgres: Database) -> None:
    await add_user(postgres)
    locking = select(User).with_for_update()

    async with postgres.transaction() as first, postgres.transaction() as second:
        await first.execute(locking)
        await second.execute(text("SET LOCAL lock_timeout = '10ms'"))
        with pytest.raises(DBAPIError) as caught:
            await second.execute(locking)
        await second.rollback()

    assert lost_a_race(caught.value)


async def test_who_would_overwrite_what_they_have_not_seen_has_lost_a_race(
    postgres: Database,
) -> None:
    await add_user(postgres)

    async with postgres.reading() as session:
        user = (await session.scalars(select(User))).one()
        async with postgres.transaction() as other:
            (await other.get_one(User, user.id)).name = "Eve"
        user.name = "Ada"
        with pytest.raises(DBAPIError) as caught:
            await session.flush()

    assert lost_a_race(caught.value)


async def test_two_who_lock_crosswise_come_apart_and_one_has_lost_a_race(
    postgres: Database,
) -> None:
    await add_user(postgres, "Ada")
    await add_user(postgres, "Eve")
    ada, eve = await all_of(postgres, User)
    both_hold_one = asyncio.Barrier(2)

    async def lock(first: User, second: User) -> None:
        async with postgres.transaction() as session:
            await session.get_one(User, first.id, with_for_update=True)
            await both_hold_one.wait()
            await session.get_one(User, second.id, with_for_update=True)

    results = await asyncio.gather(lock(ada, eve), lock(eve, ada), return_exceptions=True)

    (error,) = filter(None, results)
    assert lost_a_race(error)


async def test_other_errors_are_no_lost_races(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught:
        async with database.transaction() as session:
            session.add(User(name=None))  # type: ignore[arg-type]

    assert not lost_a_race(caught.value)
    assert not lost_a_race(OSError("disk on fire"))


async def test_moments_come_back_aware_and_in_utc(database: Database) -> None:
    noon = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
    async with database.transaction() as session:
        session.add(User(name="Ann", absent_from=noon))

    (user,) = await all_of(database, User)

    assert user.absent_from == noon
    assert user.absent_from.tzinfo is UTC
