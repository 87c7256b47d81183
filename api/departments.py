"""Departments: a tree, each with a head or an empty post."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import ADMINS, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Filter, Id, Name, Page, Read, SearchText, Version, Write
from models.base import find, linked
from models.department import Department, change_department, departments_where
from models.removal import remove_department
from models.user import User

router = resource("departments", "/departments")


class DepartmentRead(Read):
    id: int
    name: str
    parent_id: int | None
    head_id: int | None
    created_at: datetime
    version: Version


class DepartmentFields(Write):
    """Without a head the post is empty, and the head above is the supervisor."""

    parent_id: Id | None = None
    head_id: Id | None = None


class DepartmentCreate(DepartmentFields):
    name: Name


class DepartmentUpdate(DepartmentFields):
    """What is left out stays as it is."""

    name: Name = ""


class DepartmentFilter(Filter):
    """Which departments to list."""

    parent_id: Id | None = None
    head_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the name.")


Sorted = Annotated[PageQuery, sorted_by("id", "name")]


async def _present(session: Session, department_id: Id) -> Department:
    return await find(session, Department, department_id)


async def _locked(session: Session, department_id: Id, match: IfMatch) -> Department:
    return match.of(await find(session, Department, department_id, lock=True))


PresentDepartment = Annotated[Department, Depends(_present)]
LockedDepartment = Annotated[Department, Depends(_locked)]


@router.get("")
async def list_departments(
    session: ReadSession, where: Annotated[DepartmentFilter, Query()], paging: Sorted
) -> Page[DepartmentRead]:
    """Return departments, oldest first."""
    return await page_of(session, departments_where(**where.asked()), paging, DepartmentRead)


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[ADMINS])
async def create_department(session: Session, new: DepartmentCreate) -> DepartmentRead:
    """Create a department.

    Its head supervises who works there; with an empty post that is the head above.
    """
    fields = await linked(session, new.changes(), parent=Department, head=User)
    department = Department(**fields)
    session.add(department)
    await session.flush()
    return DepartmentRead.model_validate(department)


@router.get("/{department_id}")
async def read_department(department: PresentDepartment) -> DepartmentRead:
    """Return a department."""
    return DepartmentRead.model_validate(department)


@router.patch("/{department_id}", dependencies=[ADMINS])
async def update_department(
    session: Session, department: LockedDepartment, sent: DepartmentUpdate
) -> DepartmentRead:
    """Change a department; it cannot stand under itself, however far below."""
    changes = await linked(session, sent.changes(), department, parent=Department, head=User)
    await change_department(session, department, changes)
    return DepartmentRead.model_validate(department)


@router.delete("/{department_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[ADMINS])
async def delete_department(session: Session, department: LockedDepartment) -> None:
    """Delete a department without members and departments below; else 409 names them."""
    await remove_department(session, department)
