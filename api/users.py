"""Users: the people of the company, where they work and who is above them."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import EmailStr, Field

from api.dependencies import ADMINS, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import (
    EmailText,
    Filter,
    Id,
    Moment,
    Name,
    Page,
    Read,
    SearchText,
    Version,
    Write,
    YesOrNo,
)
from models.base import assign, find, linked
from models.department import Department
from models.installation import LocaleName
from models.timing import TimeZoneName
from models.user import Reach, Role, User, find_supervisor, save_user, users_where
from models.working_time import HolidayCountry, WorkingHours

router = resource("users", "/users")


class UserRead(Read):
    id: int
    name: str
    email: str | None
    role: Role
    reach: Reach
    department_id: int | None
    locale: str | None
    time_zone: str | None
    active: bool
    absent_from: datetime | None
    absent_until: datetime | None
    working_hours: WorkingHours | None
    holiday_country: str | None
    created_at: datetime
    version: Version


class UserFields(Write):
    """Locale, time zone and working time are the company's where the user has none."""

    email: Annotated[EmailStr, Field(max_length=320)] | None = None
    role: Role = Role.AGENT
    reach: Reach = Field(
        default=Reach.DEPARTMENT,
        description="Whose items an agent sees and moves: their own, or also those of their "
        "department and the departments below it.",
    )
    department_id: Id | None = None
    locale: LocaleName | None = None
    time_zone: TimeZoneName | None = None
    active: YesOrNo = Field(default=True, description="Whether the user works here.")
    absent_from: Moment | None = None
    absent_until: Moment | None = Field(
        default=None, description="Null while nobody knows when the user comes back."
    )
    working_hours: WorkingHours | None = Field(
        default=None, description="When the user works; null is when the company does."
    )
    holiday_country: HolidayCountry | None = Field(
        default=None, description="Whose public holidays the user has; null is the company's."
    )


class UserCreate(UserFields):
    name: Name


class UserUpdate(UserFields):
    """What is left out stays as it is."""

    name: Name = ""


class UserFilter(Filter):
    """Which users to list."""

    department_id: Id | None = None
    role: Role | None = None
    active: bool | None = None
    email: EmailText | None = Field(default=None, description="Exactly as it is shown.")
    q: SearchText | None = Field(default=None, description="Somewhere in the name.")


Sorted = Annotated[PageQuery, sorted_by("id", "name")]


async def _present(session: Session, user_id: Id) -> User:
    return await find(session, User, user_id)


async def _locked(session: Session, user_id: Id, match: IfMatch) -> User:
    return match.of(await find(session, User, user_id, lock=True))


PresentUser = Annotated[User, Depends(_present)]
LockedUser = Annotated[User, Depends(_locked)]


@router.get("")
async def list_users(
    session: ReadSession, where: Annotated[UserFilter, Query()], paging: Sorted
) -> Page[UserRead]:
    """Return users, also those who no longer work here, oldest first."""
    return await page_of(session, users_where(**where.asked()), paging, UserRead)


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[ADMINS])
async def create_user(session: Session, new: UserCreate) -> UserRead:
    """Create a user.

    Nobody can do anything with it yet: `POST /v1/tokens` makes a token for the new user.
    """
    user = User(**await linked(session, new.changes(), department=Department))
    await save_user(session, user)
    return UserRead.model_validate(user)


@router.get("/{user_id}")
async def read_user(user: PresentUser) -> UserRead:
    """Return a user.

    Everybody sees who works here, and who is away until when.
    """
    return UserRead.model_validate(user)


@router.patch("/{user_id}", dependencies=[ADMINS])
async def update_user(session: Session, user: LockedUser, sent: UserUpdate) -> UserRead:
    """Change fields of a user. The last active administrator stays one."""
    assign(user, await linked(session, sent.changes(), user, department=Department))
    await save_user(session, user)
    return UserRead.model_validate(user)


@router.delete("/{user_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[ADMINS])
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
