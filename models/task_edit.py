"""What people do with tasks: make them, change them, note the time that they took."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from models.access import reached
from models.base import assign, count_change, find_named, in_order, linked
from models.errors import Conflict, Invalid, Problem
from models.item import Item
from models.stage_entry import Cause
from models.task import (
    MOST_MINUTES,
    PARTS,
    Task,
    TaskItem,
    TaskPart,
    TaskPerson,
    ends_too_early,
    lock_task,
    set_status,
)
from models.task_fields import TaskStatus
from models.user import User
from models.wait import WaitEnd, end_waits


async def add_task(session: AsyncSession, creator: User, fields: Mapping[str, Any]) -> Task:
    """Store a new task of a person, with the fields that `change_task` knows.

    Who has something to do for an item waits no longer for its client.
    """
    named = _named(fields)
    items = [
        await find_named(session, Item, item_id, named[item_id], lock={"key_share": True})
        for item_id in in_order(named)
    ]
    task = Task(title=fields["title"], creator=creator, people=[], further_items=[])
    await change_task(session, task, fields, creator)
    for item in items:
        await end_waits(session, item, WaitEnd.PERSON, user=creator)
    return task


async def lock_to_change(session: AsyncSession, task_id: int, sent: Mapping[str, Any]) -> Task:
    """Return a whole task, locked after its items and those to which these changes tie it."""
    return await lock_task(session, task_id, *_named(sent))


async def change_task(
    session: AsyncSession, task: Task, changes: Mapping[str, Any], by: User
) -> None:
    """Let a person change a locked task, tying it only to items within their reach.

    `participant_ids` and `observer_ids` replace who takes part in that way, `further_item_ids` to
    what it is tied beside its first item.
    """
    fields = await linked(session, changes, task, item=Item, responsible=User)
    if fields.get("item") is not None:
        await reached(session, by, fields["item"])
    await _tie(session, task, changes, by)
    fields.pop("further_item_ids", None)
    for name, part in PARTS.items():
        if name in fields:
            before = set(task.people)
            task.people = await _people(session, task, part, fields.pop(name), f"/{name}")
            if set(task.people) != before:
                count_change(task, "title")
    status = fields.pop("status", task.status)
    _must_keep_result(task, fields, status)
    assign(task, fields)
    if ends_too_early(task):
        raise Invalid(Problem("/ends_at", "The task ends before it starts."))
    if task.estimated_minutes is not None and not task.time_tracking:
        raise Invalid(Problem("/estimated_minutes", "The task has no time tracking."))
    session.add(task)
    await set_status(session, task, status, Cause.person(by))
    await session.flush()


def _must_keep_result(task: Task, fields: Mapping[str, Any], status: TaskStatus) -> None:
    """Raise `Conflict` where a task would stay completed without the result that it needs."""
    stays = task.status is status is TaskStatus.COMPLETED
    lost = task.result and not fields.get("result", task.result)
    if stays and lost and fields.get("result_required", task.result_required):
        reason = f"Task {task.id} is completed and needs its result: take it up again first."
        raise Conflict(reason, field="/result")


async def _tie(session: AsyncSession, task: Task, sent: Mapping[str, Any], by: User) -> None:
    """Tie a task to the further items that were sent, if any were, and to none twice."""
    first_id = sent.get("item_id", task.item_id)
    present = {each.item_id: each for each in task.further_items}
    wanted = _further(sent) if "further_item_ids" in sent else dict.fromkeys(present, "")
    wanted.pop(first_id, None)
    for item_id in in_order(wanted.keys() - present.keys()):
        await reached(session, by, await find_named(session, Item, item_id, wanted[item_id]))
    if wanted and first_id is None:
        reason = "Further items need a first one: send item_id, or no further_item_ids."
        raise Invalid(Problem("/item_id", reason))
    if wanted.keys() != present.keys():
        task.further_items = [present.get(each) or TaskItem(item_id=each) for each in wanted]
        count_change(task, "title")


def _named(sent: Mapping[str, Any]) -> dict[int, str]:
    """Return all items that were sent, and where each was named."""
    named = _further(sent)
    if sent.get("item_id") is not None:
        named[sent["item_id"]] = "/item_id"
    return named


def _further(sent: Mapping[str, Any]) -> dict[int, str]:
    """Return the further items that were sent, and where each was named."""
    several = enumerate(sent.get("further_item_ids", ()))
    return {item_id: f"/further_item_ids/{place}" for place, item_id in several}


async def _people(
    session: AsyncSession, task: Task, part: TaskPart, user_ids: Sequence[int], field: str
) -> list[TaskPerson]:
    """Return who takes part in the task if just these users do in this way."""
    present = {person.user_id: person for person in task.people if person.part is part}
    for place, user_id in enumerate(user_ids):
        if user_id not in present:
            await find_named(session, User, user_id, f"{field}/{place}")
            present[user_id] = TaskPerson(user_id=user_id, part=part)
    others = [person for person in task.people if person.part is not part]
    return [*others, *(present[each] for each in dict.fromkeys(user_ids))]


def add_time(task: Task, minutes: int) -> None:
    """Note that so much time was spent on a locked task; less than nothing takes some back."""
    if not task.time_tracking:
        raise Conflict(f"Task {task.id} has no time tracking.")
    spent = task.spent_minutes + minutes
    if not 0 <= spent <= MOST_MINUTES:
        reason = f"{task.spent_minutes} minutes are noted; it would be {spent}."
        raise Invalid(Problem("/minutes", reason))
    task.spent_minutes = spent
