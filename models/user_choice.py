"""Choices of people: how rules and triggers name somebody of an item, and who that is."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.department import Department
from models.errors import ActionFailed, Problem
from models.inputs import RowId
from models.item import Item
from models.user import User, members_of, supervisor_of


class UserBy(StrEnum):
    """How a rule names a person."""

    USER = "user"
    RESPONSIBLE = "responsible"
    CREATOR = "creator"
    DEPARTMENT = "department"
    SUPERVISOR = "supervisor"


class UserChoice(BaseModel):
    """A person: a fixed user, somebody of the item, a department, or the supervisor.

    `id` is that of the user or department and needed for those two only. Where one person is
    needed of a department it is the head, else whoever has been there longest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: UserBy = Field(title="Who")
    id: RowId | None = Field(default=None, title="User or department")

    @model_validator(mode="after")
    def _needs_id(self) -> Self:
        if (self.id is not None) != (self.by in {UserBy.USER, UserBy.DEPARTMENT}):
            needed = "needs an id" if self.id is None else "has no id"
            raise ValueError(f"a choice by {self.by} {needed}")
        return self

    @classmethod
    def of_item(cls) -> Self:
        return cls(by=UserBy.RESPONSIBLE)

    @classmethod
    def supervisor(cls) -> Self:
        return cls(by=UserBy.SUPERVISOR)


async def chosen(session: AsyncSession, item: Item, choice: UserChoice) -> User:
    """Return the one person chosen, or raise `ActionFailed` with the reason why there is none.

    Of those who do not work here any more only somebody of the item is anybody still: what they
    sign or have begun is theirs. The people of the item are loaded.
    """
    match choice.by:
        case UserBy.USER:
            return await _named(session, choice.id)
        case UserBy.DEPARTMENT:
            return (await _members(session, choice.id))[0]
        case UserBy.SUPERVISOR:
            return await _supervisor(session, item)
        case UserBy.RESPONSIBLE:
            return _somebody(item, item.responsible, "Nobody is responsible for")
        case UserBy.CREATOR:
            return _somebody(item, item.creator, "Nobody is known as creator of")


async def chosen_who_works(session: AsyncSession, item: Item, choice: UserChoice) -> User:
    """Return the same, where also somebody of the item is nobody once they have left."""
    return _who_works(await chosen(session, item, choice))


async def all_chosen(
    session: AsyncSession, item: Item, choices: Iterable[UserChoice], *, or_nobody: bool = False
) -> list[User]:
    """Return everybody chosen, each once, in order; of a department all members.

    Somebody of the item who has left is passed over; that nobody else was chosen is a failure,
    unless nobody will do as well.
    """
    found: dict[int, User] = {}
    for choice in choices:
        people = (
            await _members(session, choice.id)
            if choice.by is UserBy.DEPARTMENT
            else [await chosen(session, item, choice)]
        )
        found |= {user.id: user for user in people}
    there = [user for user in found.values() if user.active]
    return there if there or or_nobody else [_who_works(user) for user in found.values()]


NAMED = {UserBy.USER: User.id, UserBy.DEPARTMENT: Department.id}
"""Choices that name somebody by id, who must be there."""


def choices_in(value: object, at: str = "") -> Iterator[tuple[str, UserChoice]]:
    """Yield every choice of a person in settings with its JSON pointer."""
    if isinstance(value, UserChoice):
        yield at, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from choices_in(getattr(value, name), f"{at}/{name}")
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from choices_in(each, f"{at}/{index}")


async def missing_people(
    session: AsyncSession, choices: Iterable[tuple[str, UserChoice]]
) -> list[Problem]:
    """Return which choices, told with their pointers, name somebody who is not there."""
    return [
        Problem(f"{pointer}/id", f"There is no {choice.by} {choice.id}.")
        for pointer, choice in choices
        if choice.by in NAMED and not await _is_there(session, choice)
    ]


async def _is_there(session: AsyncSession, choice: UserChoice) -> bool:
    key = NAMED[choice.by]
    return await session.scalar(select(key).where(key == choice.id)) is not None


def _somebody(item: Item, user: User | None, nobody: str) -> User:
    if user is None:
        raise ActionFailed(f"{nobody} {item.called}.")
    return user


async def _named(session: AsyncSession, user_id: int | None) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise ActionFailed(f"There is no user {user_id}.")
    return _who_works(user)


def _who_works(user: User) -> User:
    if not user.active:
        raise ActionFailed(f"User {user.id} does not work here any more.")
    return user


async def _members(session: AsyncSession, department_id: int | None) -> list[User]:
    """Return the active people of a department, the head first."""
    found = [user for user in await members_of(session, department_id) if user.active]
    if not found:
        raise ActionFailed(f"Nobody works in department {department_id}.")
    return found


async def _supervisor(session: AsyncSession, item: Item) -> User:
    responsible = _somebody(item, item.responsible, "Nobody is responsible for")
    supervisor = await supervisor_of(session, responsible)
    if supervisor is None:
        raise ActionFailed(f"Nobody is above {responsible.name}, or they are all away.")
    return supervisor
