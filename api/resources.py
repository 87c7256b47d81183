"""Resources: rooms, cranes and whatever else is booked for items beside people."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import MANAGERS, IfMatch, ReadSession, Session
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Filter, Id, LongText, Name, Page, Read, SearchText, Version, Write
from models.base import find
from models.removal import remove_resource
from models.resource import Resource, add_resource, change_resource, resources_where
from models.working_time import WorkingHours

router = resource("resources", "/resources")


class ResourceRead(Read):
    id: int
    name: str
    description: str | None
    working_hours: WorkingHours | None = Field(
        description="When it can be used, by the day of the week; the company's, if null."
    )
    created_at: datetime
    version: Version


class ResourceFields(Write):
    description: LongText | None = None
    working_hours: WorkingHours | None = Field(
        default=None,
        description="When it can be used, on the company's clock; the company's hours, if null.",
    )


class ResourceCreate(ResourceFields):
    name: Name


class ResourceUpdate(ResourceFields):
    """What is left out stays as it is. What is booked stays booked."""

    name: Name = ""


class ResourceFilter(Filter):
    """Which resources to list."""

    q: SearchText | None = Field(default=None, description="Somewhere in the name.")


Sorted = Annotated[PageQuery, sorted_by("id", "name", "created_at")]


async def _present(session: Session, resource_id: Id) -> Resource:
    return await find(session, Resource, resource_id)


async def _locked(session: Session, resource_id: Id, match: IfMatch) -> Resource:
    return match.of(await find(session, Resource, resource_id, lock=True))


PresentResource = Annotated[Resource, Depends(_present)]
LockedResource = Annotated[Resource, Depends(_locked)]


@router.get("")
async def list_resources(
    session: ReadSession, where: Annotated[ResourceFilter, Query()], paging: Sorted
) -> Page[ResourceRead]:
    """Return what can be booked beside people, oldest first, if not said otherwise."""
    return await page_of(session, resources_where(**where.asked()), paging, ResourceRead)


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[MANAGERS])
async def create_resource(session: Session, new: ResourceCreate) -> ResourceRead:
    """Create a resource; bookings and rules can name it."""
    return ResourceRead.model_validate(await add_resource(session, new.changes()))


@router.get("/{resource_id}")
async def read_resource(found: PresentResource) -> ResourceRead:
    """Return a resource."""
    return ResourceRead.model_validate(found)


@router.patch("/{resource_id}", dependencies=[MANAGERS])
async def update_resource(
    session: Session, found: LockedResource, sent: ResourceUpdate
) -> ResourceRead:
    """Change a resource; what is booked stays booked, also outside new working hours."""
    await change_resource(session, found, sent.changes())
    return ResourceRead.model_validate(found)


@router.delete("/{resource_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS])
async def delete_resource(session: Session, found: LockedResource) -> None:
    """Delete a resource; 409 while it is booked for a time to come."""
    await remove_resource(session, found)
