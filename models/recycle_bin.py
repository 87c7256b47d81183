"""The recycle bin: deleted items and clients rest here until somebody restores them."""

from dataclasses import replace

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.access import within_reach
from models.base import having
from models.booking_edit import let_bookings_rest, wake_bookings
from models.company import Company
from models.contact import Contact
from models.crm_activity_end import wake
from models.entering import enter_stage, leave_stage
from models.errors import Conflict
from models.history import HistoryKind, about_client, about_item
from models.item import Item
from models.pipeline import Pipeline, Stage, find_stage
from models.rule import RuleVersion
from models.rule_run import RuleRun
from models.stage_entry import Cause, sign
from models.user import User


async def delete_item(session: AsyncSession, item: Item, cause: Cause) -> None:
    """Put a locked item into the bin; its rules have nothing more to do, and its bookings end."""
    await leave_stage(session, item, cause, "the item was deleted")
    item.deleted_at = clock.now()
    item.deleted_by_run_id = cause.run_id
    line = about_item(item, HistoryKind.DELETED, f"Deleted {item.called}.")
    sign(line, cause)
    session.add(line)
    await let_bookings_rest(session, item, cause)


async def restore_item(session: AsyncSession, item: Item, cause: Cause) -> None:
    """Bring a locked item back into its stage, as an entry whose rules do not run.

    Where the stage is gone, it is the first of the pipeline, or the first of all. What was booked
    is booked again where it is free.
    """
    if item.deleted_at is None:
        raise Conflict(f"{item.called.capitalize()} is not in the recycle bin.")
    remark = await _who_deleted(session, item)
    item.deleted_at = None
    item.deleted_by_run_id = None
    stage = await _stage_to_return_to(session, item)
    await enter_stage(session, item, stage, replace(cause, remark=remark), new_pipeline=True)
    await wake_bookings(session, item, cause)
    await wake(session, item)


async def _who_deleted(session: AsyncSession, item: Item) -> str:
    """Say which rule had deleted an item, if one had."""
    if item.deleted_by_run_id is None:
        return ""
    title = await session.scalar(
        select(RuleVersion.title)
        .join(RuleRun, RuleRun.version_id == RuleVersion.id)
        .where(RuleRun.id == item.deleted_by_run_id)
    )
    return f" The rule «{title}» had deleted it."


async def _stage_to_return_to(session: AsyncSession, item: Item) -> Stage:
    stage_id = await session.scalar(
        select(Stage.id)
        .join(Stage.pipeline)
        .where(
            Pipeline.item_type == item.type,
            Pipeline.deleted_at.is_(None),
            Stage.deleted_at.is_(None),
        )
        .order_by(
            Stage.id != item.stage_id,
            Pipeline.id != item.pipeline_id,
            Pipeline.id,
            Stage.position,
            Stage.id,
        )
        .limit(1)
    )
    if stage_id is None:
        raise Conflict(f"There is no stage for {item.type}s.")
    return await find_stage(session, stage_id)


def delete_client(session: AsyncSession, client: Contact | Company, cause: Cause) -> None:
    """Put a locked contact or company into the bin; nothing may use it any more."""
    client.deleted_at = clock.now()
    client.deleted_by_run_id = cause.run_id
    line = about_client(client, HistoryKind.DELETED, f"Deleted {_called(client)}.")
    sign(line, cause)
    if cause.run is not None:
        line.item_id, line.item_type = cause.run.item_id, cause.run.item.type
    session.add(line)


def restore_client(session: AsyncSession, client: Contact | Company, cause: Cause) -> None:
    """Bring a contact or company back."""
    client.deleted_at = None
    client.deleted_by_run_id = None
    line = about_client(client, HistoryKind.RESTORED, f"Restored {_called(client)}.")
    sign(line, cause)
    session.add(line)


def _called(client: Contact | Company) -> str:
    return f"{type(client).__name__.lower()} {client.id}"


def deleted_items(by: User, **values: object) -> Select[Item]:
    """Return the items in the bin within somebody's reach that have these values, None any."""
    there = select(Item).where(Item.deleted_at.is_not(None), within_reach(by))
    return having(there, **values)
