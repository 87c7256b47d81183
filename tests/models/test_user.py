"""Users: who is away, and who is above whom."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.database import Database
from models.department import DEEPEST, Department, departments_above, place_under
from models.errors import Conflict, Invalid
from models.locking import lost_a_race
from models.user import Role, User, administrators, save_user, supervisor_of

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EARLIER = NOON - timedelta(days=1)
LATER = NOON + timedelta(days=1)


async def supervisor(database: Database, user: User) -> str | None:
    """Return the name of who is above at noon, read afresh."""
    async with database.reading() as session:
        known = await session.get_one(User, user.id)
        with clock.at(NOON):
            above = await supervisor_of(session, known)
        return None if above is None else above.name


async def store(database: Database, *rows: object) -> None:
    async with database.transaction() as session:
        session.add_all(rows)


@pytest.mark.parametrize(
    ("absent_from", "absent_until", "here"),
    [
        (None, None, True),
        (EARLIER, None, False),
        (LATER, None, True),
        (None, EARLIER, True),
        (None, LATER, False),
        (EARLIER, LATER, False),
        (EARLIER, NOON, True),
        (NOON, LATER, False),
        (LATER, LATER + timedelta(days=1), True),
    ],
)
def test_somebody_is_away_from_the_first_moment_until_the_last(
    absent_from: datetime | None, absent_until: datetime | None, *, here: bool
) -> None:
    user = User(name="Bob", absent_from=absent_from, absent_until=absent_until)

    with clock.at(NOON):
        assert user.is_available() is here


def test_who_has_left_is_not_available() -> None:
    user = User(name="Bob", active=False)

    assert not user.is_available()


async def test_the_supervisor_is_the_head_of_the_department(database: Database) -> None:
    head = User(name="Head")
    bob = User(name="Bob", department=Department(name="Sales", head=head))
    await store(database, bob)

    assert await supervisor(database, bob) == "Head"


async def test_the_climb_passes_empty_posts_oneself_and_the_absent(database: Database) -> None:
    chief = User(name="Chief")
    whole = Department(name="Everything", head=chief)
    away = Department(name="Away", parent=whole, head=User(name="Away", absent_from=EARLIER))
    gone = Department(name="Gone", parent=away, head=User(name="Gone", active=False))
    empty = Department(name="Empty", parent=gone)
    sales = Department(name="Sales", parent=empty)
    bob = User(name="Bob", department=sales)
    sales.head = bob
    await store(database, bob)

    assert await supervisor(database, bob) == "Chief"


async def test_nobody_is_above_the_chief(database: Database) -> None:
    whole = Department(name="Everything")
    chief = User(name="Chief", department=whole)
    whole.head = chief
    await store(database, chief)

    assert await supervisor(database, chief) is None


async def test_nobody_is_above_who_has_no_department(database: Database) -> None:
    bob = User(name="Bob")
    await store(database, bob)

    assert await supervisor(database, bob) is None


async def test_departments_in_a_circle_do_not_hang_the_climb(database: Database) -> None:
    upper = Department(name="Upper")
    lower = Department(name="Lower", parent=upper)
    bob = User(name="Bob", department=lower)
    await store(database, bob)
    async with database.transaction() as session:
        # As only a mistake outside the product could make it.
        known = await session.get_one(Department, upper.id)
        known.parent = await session.get_one(Department, lower.id)

    assert await supervisor(database, bob) is None
    async with database.reading() as session:
        assert len(await departments_above(session, lower.id)) == DEEPEST + 1


async def test_a_circle_of_departments_is_refused(database: Database) -> None:
    upper = Department(name="Upper")
    lower = Department(name="Lower", parent=Department(name="Middle", parent=upper))

    async with database.transaction() as session:
        session.add(lower)
        await session.flush()
        with pytest.raises(Invalid, match="that is a circle") as caught:
            await place_under(session, upper, lower)

    assert caught.value.field == "/parent_id"


async def refuse(session: AsyncSession, user: User) -> str:
    with pytest.raises(Conflict) as caught:
        await save_user(session, user)
    return caught.value.message


async def test_somebody_must_stay_administrator(database: Database) -> None:
    ada, eve = User(name="Ada", role=Role.ADMIN), User(name="Eve", role=Role.ADMIN)

    async with database.transaction() as session:
        await save_user(session, ada)
        await save_user(session, eve)
        eve.active = False
        await save_user(session, eve)
        ada.role = Role.AGENT
        message = await refuse(session, ada)
        await session.rollback()

    assert message == "Ada is the last active administrator."


async def test_of_two_administrators_dismissed_at_once_one_stays(database: Database) -> None:
    pair = [User(name=name, role=Role.ADMIN) for name in ("Ada", "Eve")]
    async with database.transaction() as session:
        session.add_all(pair)

    async def dismiss(user: User) -> None:
        async with database.transaction() as session:
            found = await session.get_one(User, user.id)
            found.role = Role.AGENT
            await save_user(session, found)

    ends = await asyncio.gather(*map(dismiss, pair), return_exceptions=True)

    async with database.reading() as session:
        left = await administrators(session)
    [lost] = [end for end in ends if end is not None]
    assert isinstance(lost, Conflict) or lost_a_race(lost)
    assert len(left) == 1
