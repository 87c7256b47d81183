"""Access: what the roles may do, and which items are within somebody's reach.

Asked only where a person asks for something: nobody's permissions limit rules.
"""

from collections.abc import Collection
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from models.base import Row
from models.department import Department
from models.errors import NotAllowed
from models.item import Item, item_contacts
from models.user import Reach, Role, User

MANAGING = (Role.MANAGER, Role.ADMIN)
"""Who reaches every item, and sets up what happens to them."""

CALLED = {Role.ADMIN: "an administrator", Role.MANAGER: "a manager", Role.AGENT: "an agent"}

SomeItem = TypeVar("SomeItem", bound=Item)


def must_be(user: User, roles: Collection[Role], to: str, *, field: str = "") -> None:
    """Refuse whoever has another role; `to` is what these alone do ("change rules").

    `field` is what they have sent that asks for it.
    """
    if user.role not in roles:
        these = " and ".join(f"{CALLED[role].partition(' ')[2]}s" for role in roles)
        raise NotAllowed(f"Only {these} {to}; you are {CALLED[user.role]}.", field=field)


def within_reach(user: User) -> ColumnElement[bool]:
    """Return the condition on items that somebody sees and moves them.

    Agents reach what they are responsible for or have created and, unless they reach only their
    own, what people of their department or one below it are responsible for.
    """
    if user.role in MANAGING:
        return true()
    own = or_(Item.responsible_id == user.id, Item.creator_id == user.id)
    if user.reach is Reach.OWN:
        return own
    colleagues = select(User.id).where(User.department_id.in_(_departments_of(user)))
    return or_(own, Item.responsible_id.in_(colleagues))


def item_within_reach(
    user: User, item_id: SQLColumnExpression[int] | SQLColumnExpression[int | None]
) -> ColumnElement[bool]:
    """Return the condition that the item with this id is within somebody's reach."""
    return select(Item.id).where(Item.id == item_id, within_reach(user)).exists()


def client_within_reach(
    user: User,
    contact_id: SQLColumnExpression[int | None],
    company_id: SQLColumnExpression[int | None],
) -> ColumnElement[bool]:
    """Return the condition that somebody reaches any item of this contact or this company."""
    further = select(item_contacts.c.item_id).where(item_contacts.c.contact_id == contact_id)
    of_client = or_(
        Item.contact_id == contact_id, Item.company_id == company_id, Item.id.in_(further)
    )
    return select(Item.id).where(of_client, within_reach(user)).exists()


def _departments_of(user: User) -> Select[int]:
    top = select(Department.id).where(Department.id == user.department_id).cte(recursive=True)
    tree = top.union(select(Department.id).where(Department.parent_id == top.c.id))
    return select(tree.c.id)


async def reached(session: AsyncSession, user: User, item: SomeItem) -> SomeItem:
    """Return an item that is within somebody's reach, or raise `NotAllowed`."""
    return await reached_row(session, user, item, within_reach(user), item.called)


async def reached_row(
    session: AsyncSession, user: User, row: Row, condition: ColumnElement[bool], called: str
) -> Row:
    """Return a row whose table meets the condition of somebody's reach, or raise `NotAllowed`."""
    kind = type(row)
    if user.role not in MANAGING and not await session.scalar(
        select(kind.id).where(kind.id == row.id, condition)
    ):
        raise NotAllowed(out_of_reach(user, f"{called[:1].upper()}{called[1:]}"))
    return row


def out_of_reach(user: User, what: str) -> str:
    whose = "not yours" if user.reach is Reach.OWN else "neither yours nor of your department"
    return f"{what} is {whose}: ask a manager, or whoever is responsible to hand it over to you."
