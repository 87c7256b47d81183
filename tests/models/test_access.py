"""Access: which items and tasks are within whose reach, asked one by one or in a list."""

import pytest
from sqlalchemy import select

from models.access import MANAGING, must_be, reached, within_reach
from models.base import assign
from models.database import Database
from models.department import Department
from models.errors import NotAllowed
from models.item import Deal
from models.task import Task, TaskItem, TaskPart, TaskPerson, reached_task, tasks_within_reach
from models.user import Reach, Role, User
from tests.factories import a_deal, a_pipeline

DEALS = {
    "of Tom": ("Tom", None),
    "made by Tom for Oda": ("Oda", "Tom"),
    "of a colleague who has left": ("Sue", None),
    "of the department below": ("Ned", None),
    "of one further below": ("Una", None),
    "of the department above": ("Max", None),
    "of another department": ("Oda", None),
    "of no department": ("Hal", None),
    "of nobody": (None, None),
    "of nobody, made by Tom": (None, "Tom"),
    "of nobody, made by a colleague": (None, "Sue"),
}
"""Title, who is responsible, who has created it."""

OF_TOM = {"of Tom", "made by Tom for Oda", "of nobody, made by Tom"}
OF_HIS_DEPARTMENT = OF_TOM | {
    "of a colleague who has left",
    "of the department below",
    "of one further below",
}
OF_NO_DEPARTMENT = {"of no department"}
OF_NOBODY = {"of nobody", "of nobody, made by Tom", "of nobody, made by a colleague"}


@pytest.fixture
async def people(database: Database) -> dict[str, User]:
    """A company of departments one below the other and one beside, and a deal of each kind."""
    management = Department(name="Management")
    sales = Department(name="Sales", parent=management)
    north = Department(name="North", parent=sales)
    coast = Department(name="Coast", parent=north)
    service = Department(name="Service", parent=management)
    people = {
        "Tom": User(name="Tom", department=sales),
        "Sue": User(name="Sue", department=sales, active=False),
        "Ned": User(name="Ned", department=north),
        "Una": User(name="Una", department=coast),
        "Max": User(name="Max", department=management),
        "Oda": User(name="Oda", department=service),
        "Hal": User(name="Hal"),
    }
    async with database.transaction() as session:
        session.add_all(people.values())
        [new] = a_pipeline(session, "New")
        for title, (responsible, creator) in DEALS.items():
            who = {
                "responsible": people.get(responsible or ""),
                "creator": people.get(creator or ""),
            }
            await a_deal(session, new, title=title, **who)
    return people


async def deals_of(database: Database, user: User) -> set[str]:
    async with database.reading() as session:
        return set(await session.scalars(select(Deal.title).where(within_reach(user))))


async def is_reached(database: Database, user: User, title: str) -> bool:
    async with database.reading() as session:
        deal = (await session.scalars(select(Deal).where(Deal.title == title))).one()
        try:
            return await reached(session, user, deal) is deal
        except NotAllowed:
            return False


@pytest.mark.parametrize(
    ("name", "reach", "expected"),
    [
        ("Tom", Reach.OWN, OF_TOM),
        ("Tom", Reach.DEPARTMENT, OF_HIS_DEPARTMENT),
        ("Una", Reach.DEPARTMENT, {"of one further below"}),
        ("Max", Reach.DEPARTMENT, DEALS.keys() - OF_NO_DEPARTMENT - OF_NOBODY),
        ("Hal", Reach.DEPARTMENT, OF_NO_DEPARTMENT),
    ],
)
async def test_agents_reach_their_own_and_what_is_of_their_department_or_below(
    database: Database, people: dict[str, User], name: str, reach: Reach, expected: set[str]
) -> None:
    agent = people[name]
    agent.reach = reach

    assert await deals_of(database, agent) == expected


@pytest.mark.parametrize("role", MANAGING)
async def test_managers_and_administrators_reach_all(
    database: Database, people: dict[str, User], role: Role
) -> None:
    manager = people["Hal"]
    manager.role, manager.reach = role, Reach.OWN

    assert await deals_of(database, manager) == DEALS.keys()
    assert await is_reached(database, manager, "of nobody")


@pytest.mark.parametrize("title", DEALS)
async def test_one_item_is_reached_just_if_it_is_listed(
    database: Database, people: dict[str, User], title: str
) -> None:
    tom = people["Tom"]

    assert await is_reached(database, tom, title) == (title in await deals_of(database, tom))


@pytest.mark.parametrize(
    ("reach", "whose"),
    [(Reach.OWN, "not yours"), (Reach.DEPARTMENT, "neither yours nor of your department")],
)
async def test_a_refusal_says_what_is_missing(
    database: Database, people: dict[str, User], reach: Reach, whose: str
) -> None:
    tom = people["Tom"]
    tom.reach = reach

    async with database.reading() as session:
        deal = (await session.scalars(select(Deal).where(Deal.title == "of nobody"))).one()
        with pytest.raises(NotAllowed) as refusal:
            await reached(session, tom, deal)

    assert refusal.value.message == (
        f"Deal {deal.id} is {whose}: "
        "ask a manager, or whoever is responsible to hand it over to you."
    )


async def test_agents_reach_tasks_that_they_take_part_in_or_whose_item_they_reach(
    database: Database, people: dict[str, User]
) -> None:
    tom, sue = people["Tom"], people["Sue"]
    async with database.transaction() as session:
        deals = {deal.title: deal for deal in await session.scalars(select(Deal))}
        colleagues, others = deals["of a colleague who has left"], deals["of another department"]
        session.add_all(
            [
                a_task("his", responsible_id=tom.id),
                a_task("made by him", creator_id=tom.id),
                a_task("with him", people=[TaskPerson(user_id=tom.id, part=TaskPart.PARTICIPANT)]),
                a_task("seen by him", people=[TaskPerson(user_id=tom.id, part=TaskPart.OBSERVER)]),
                a_task("on a deal of a colleague", item_id=colleagues.id),
                a_task("on a deal of others", item_id=others.id),
                a_task(
                    "on theirs and a colleague's",
                    item_id=others.id,
                    further_items=[TaskItem(item_id=colleagues.id)],
                ),
                a_task("of a colleague", responsible_id=sue.id),
                a_task("of nobody"),
            ]
        )

    listed = await tasks_of(database, tom)

    assert listed == {
        "his",
        "made by him",
        "with him",
        "seen by him",
        "on a deal of a colleague",
        "on theirs and a colleague's",
    }
    assert [await is_task_reached(database, tom, title) for title in sorted(listed)] == [True] * 6
    assert not await is_task_reached(database, tom, "on a deal of others")
    assert not await is_task_reached(database, tom, "of a colleague")
    assert not await is_task_reached(database, tom, "of nobody")


async def test_managers_reach_every_task(database: Database, people: dict[str, User]) -> None:
    manager = people["Hal"]
    manager.role = Role.MANAGER
    async with database.transaction() as session:
        session.add(a_task("of nobody"))

    assert await tasks_of(database, manager) == {"of nobody"}
    assert await is_task_reached(database, manager, "of nobody")


def a_task(
    title: str,
    *,
    people: list[TaskPerson] | None = None,
    further_items: list[TaskItem] | None = None,
    **ids: int,
) -> Task:
    task = Task(
        title=title,
        people=people or [],
        further_items=further_items or [],
        tags=[],
        checklist=[],
    )
    assign(task, ids)
    return task


async def tasks_of(database: Database, user: User) -> set[str]:
    async with database.reading() as session:
        return set(await session.scalars(select(Task.title).where(tasks_within_reach(user))))


async def is_task_reached(database: Database, user: User, title: str) -> bool:
    async with database.reading() as session:
        task = (await session.scalars(select(Task).where(Task.title == title))).one()
        try:
            return await reached_task(session, user, task) is task
        except NotAllowed:
            return False


@pytest.mark.parametrize(
    ("role", "roles", "said"),
    [
        (Role.AGENT, MANAGING, "Only managers and administrators change rules; you are an agent."),
        (Role.MANAGER, [Role.ADMIN], "Only administrators change rules; you are a manager."),
    ],
)
def test_a_role_that_is_missing_is_said(role: Role, roles: list[Role], said: str) -> None:
    with pytest.raises(NotAllowed) as refusal:
        must_be(User(name="Tom", role=role), roles, "change rules")

    assert refusal.value.message == said


@pytest.mark.parametrize("role", MANAGING)
def test_who_has_one_of_the_roles_may(role: Role) -> None:
    must_be(User(name="Ada", role=role), MANAGING, "change rules")
