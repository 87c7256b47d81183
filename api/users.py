"""Users: the people of the company, where they work and who is above them."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from pydantic import BaseModel, EmailStr, Field
from sqlalchemy import select

from api.dependencies import Paging, ReadSession, Session, page_of
from api.schemas import Id, Moment, Name, Page, Read, Write
from models.base import assign, find, having, linked
from models.department import Department
from models.installation import LocaleName
from models.timing import TimeZoneName
from models.user import Role, User, find_supervisor, save_user

router = APIRouter(prefix="/users", tags=["users"])


class UserRead(Read):
    id: int
    name: str
    email: str | None
    role: Role
    department_id: int | None
    locale: str | None
    time_zone: str | None
    active: bool
    absent_from: datetime | None
    absent_until: datetime | None
    created_at: datetime


class UserFields(Write):
    """Locale and time zone are the company's where the user has none."""

    email: Annotated[EmailStr, Field(max_length=320)] | None = None
    role: Role = Role.AGENT
    department_id: Id | None = None
    locale: LocaleName | None = None
    time_zone: TimeZoneName | None = None
    active: bool = Field(default=True, description="Whether the user works here.")
    absent_from: Moment | None = None
    absent_until: Moment | None = Field(
        default=None, description="Null while nobody knows when the user comes back."
    )


class UserCreate(UserFields):
    name: Name


class UserUpdate(UserFields):
    """What is left out stays as it is."""

    name: Name = ""


class UserFilter(BaseModel):
    """Which users to list; nothing means all."""

    department_id: Id | None = None
    role: Role | None = None
    active: bool | None = None


async def _present(session: Session, user_id: Id) -> User:
    return await find(session, User, user_id)


async def _locked(session: Session, user_id: Id) -> User:
    return await find(session, User, user_id, lock=True)


PresentUser = Annotated[User, Depends(_present)]
LockedUser = Annotated[User, Depends(_locked)]


@router.get("")
async def list_users(
    session: ReadSession, where: Annotated[UserFilter, Query()], paging: Paging
) -> Page[UserRead]:
    """Return users, also those who no longer work here, oldest first."""
    return await page_of(session, having(select(User), **where.model_dump()), paging, UserRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_user(session: Session, new: UserCreate) -> UserRead:
    """Create a user."""
    user = User(**await linked(session, new.changes(), department=Department))
    await save_user(session, user)
    return UserRead.model_validate(user)


@router.get("/{user_id}")
async def read_user(user: PresentUser) -> UserRead:
    """Return a user."""
    return UserRead.model_validate(user)


@router.patch("/{user_id}")
async def update_user(session: Session, user: LockedUser, sent: UserUpdate) -> UserRead:
    """Change fields of a user. The last active administrator stays one."""
    assign(user, await linked(session, sent.changes(), user, department=Department))
    await save_user(session, user)
    return UserRead.model_validate(user)


@router.delete("/{user_id}", status_code=status.HTTP_204_NO_CONTENT)
async def deactivate_user(session: Session, user: LockedUser) -> None:
    """Let a user no longer work here: their tokens end, and nothing new is given to them.

    Users are never removed, since items and history name them; set `active` to take one back.
    """
    user.active = False
    await save_user(session, user)


@router.get("/{user_id}/supervisor")
async def read_supervisor(session: ReadSession, user: PresentUser) -> UserRead:
    """Return who is above a user: past empty posts, the user's own and those of absent people."""
    return UserRead.model_validate(await find_supervisor(session, user))
