"""Create task: something to do for somebody, tied to the item and to the rule run."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models import clock
from models.contact import Contact
from models.database import Database
from models.department import Department
from models.entering import enter_stage
from models.installation import installation
from models.item import Item, lock_item
from models.item_type import ItemType
from models.notification import Notification
from models.pipeline import find_stage
from models.rule_run import RuleRun, RunState
from models.stage_entry import Cause, StageEntry
from models.task import Task, TaskPart, delete_task, lock_task, set_status
from models.task_edit import change_task
from models.task_fields import TaskPriority, TaskStatus
from models.user import Role, User
from tests.factories import (
    IN_AN_HOUR,
    a_deal,
    a_lead,
    a_pipeline,
    a_rule,
    all_of,
    refused,
    rules_of,
)
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

NOON = datetime(2027, 10, 30, 12, 0, tzinfo=UTC)
"""The day before clocks go back in Berlin."""


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage that makes a task with these params, besides a title."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "create_task", params={"title": "Call"} | params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def the_task(database: Database) -> Task:
    (task,) = await all_of(database, Task, options=(selectinload(Task.people),))
    return task


async def some_user(database: Database, name: str, **rest: Any) -> User:
    user = User(name=name, **rest)
    async with database.transaction() as session:
        session.add(user)
    return user


async def test_the_task_is_tied_to_the_item_and_to_the_run_that_made_it(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {})

    run = await runner.do(entry.id)

    task = await the_task(database)
    assert (task.item_id, task.made_by_run_id) == (entry.item_id, run.id)
    assert (run.state, run.outcome) == (RunState.DONE, f"Created task {task.id} «Call».")
    assert run.began_at is None


async def test_what_is_not_said_has_its_default(database: Database, runner: Runner) -> None:
    tom = User(name="Tom")
    entry = await entered(database, {}, responsible=tom)

    await runner.do(entry.id)

    task = await the_task(database)
    assert task.responsible_id == tom.id
    assert task.status is TaskStatus.PENDING
    assert task.priority is TaskPriority.NORMAL
    assert (task.description, task.creator_id, task.deadline_at) == (None, None, None)
    assert (task.starts_at, task.ends_at) == (None, None)
    assert (task.participant_ids, task.observer_ids) == ([], [])
    assert (task.tags, task.checklist) == ([], [])
    assert (task.time_tracking, task.result_required) == (False, False)


async def test_title_description_and_checklist_hold_fields_of_the_item(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        {
            "title": "Offer for {{ contact.name }}",
            "description": "{{ deal.title }}: {{ item.url }}",
            "checklist": ["Measure {{ deal.title }}", "Write"],
        },
        contact=Contact(first_name="Anna"),
    )

    await runner.do(entry.id)

    task = await the_task(database)
    assert task.title == "Offer for Anna"
    assert task.description == f"Lathe: http://crm.example/v1/deals/{entry.item_id}"
    assert task.checklist == [
        {"text": "Measure Lathe", "done": False},
        {"text": "Write", "done": False},
    ]


async def test_an_empty_field_reads_as_nothing(database: Database, runner: Runner) -> None:
    entry = await entered(database, {"title": "Call {{ contact.name }}!"})

    await runner.do(entry.id)

    assert (await the_task(database)).title == "Call !"


async def test_a_title_of_empty_fields_only_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"title": " {{ contact.name }} "})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "The title is empty, now that its fields are filled in.",
    )


async def test_a_title_longer_than_people_may_give_is_cut(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"title": "{{ deal.title }}!"}, title="x" * 200)

    await runner.do(entry.id)

    assert (await the_task(database)).title == "x" * 199 + "…"


async def test_responsible_and_creator_are_the_people_chosen(
    database: Database, runner: Runner
) -> None:
    eve, tom = await some_user(database, "Eve"), await some_user(database, "Tom")
    entry = await entered(
        database,
        {
            "responsible": {"by": "user", "id": eve.id},
            "creator": {"by": "responsible"},
        },
        responsible=tom,
    )

    await runner.do(entry.id)

    task = await the_task(database)
    assert (task.responsible_id, task.creator_id) == (eve.id, tom.id)


async def test_there_is_a_task_also_where_who_made_the_item_has_left(
    database: Database, runner: Runner
) -> None:
    gil, tom = await some_user(database, "Gil", active=False), await some_user(database, "Tom")
    creator = {"by": "creator"}
    entry = await entered(
        database,
        {
            "creator": creator,
            "participants": [creator],
            "observers": [creator, {"by": "responsible"}],
        },
        creator=gil,
        responsible=tom,
    )

    await runner.do(entry.id)

    task = await the_task(database)
    assert (task.creator_id, task.responsible_id) == (gil.id, tom.id)
    assert [(each.user_id, each.part) for each in task.people] == [(tom.id, TaskPart.OBSERVER)]


async def test_a_department_is_responsible_by_its_head(database: Database, runner: Runner) -> None:
    head = User(name="Hella")
    sales = Department(name="Sales", head=head)
    head.department = sales
    async with database.transaction() as session:
        session.add_all([User(name="Tom", department=sales), head])
    entry = await entered(database, {"responsible": {"by": "department", "id": sales.id}})

    await runner.do(entry.id)

    assert (await the_task(database)).responsible_id == head.id


async def test_a_department_without_a_head_by_whoever_has_been_there_longest(
    database: Database, runner: Runner
) -> None:
    sales = Department(name="Sales")
    await some_user(database, "Gone", department=sales, active=False)
    tom = await some_user(database, "Tom", department=sales)
    await some_user(database, "Eve", department=sales)
    entry = await entered(database, {"responsible": {"by": "department", "id": sales.id}})

    await runner.do(entry.id)

    assert (await the_task(database)).responsible_id == tom.id


async def test_nobody_in_the_department_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    sales = Department(name="Sales")
    async with database.transaction() as session:
        session.add(sales)
    entry = await entered(database, {"responsible": {"by": "department", "id": sales.id}})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Nobody works in department {sales.id}.",
    )


async def test_participants_and_observers_are_counted_once_and_of_departments_all(
    database: Database, runner: Runner
) -> None:
    sales = Department(name="Sales")
    eve = await some_user(database, "Eve", department=sales)
    tom = await some_user(database, "Tom", department=sales)
    entry = await entered(
        database,
        {
            "participants": [
                {"by": "user", "id": eve.id},
                {"by": "department", "id": sales.id},
                {"by": "responsible"},
            ],
            "observers": [{"by": "user", "id": eve.id}],
        },
        responsible=tom,
    )

    await runner.do(entry.id)

    task = await the_task(database)
    assert task.participant_ids == [eve.id, tom.id]
    assert task.observer_ids == [eve.id]


async def test_an_item_without_the_person_wanted_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"participants": [{"by": "creator"}]})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Nobody is known as creator of deal {entry.item_id}.",
    )
    assert await all_of(database, Task) == []


async def test_deadline_start_and_end_are_counted_from_the_moment_the_rule_runs(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        {
            "start": {"amount": 90, "unit": "minutes"},
            "end": {"amount": 5, "unit": "hours"},
            "deadline": {"amount": 1, "unit": "weeks"},
        },
    )

    await runner.do(entry.id, at=NOON)

    task = await the_task(database)
    assert task.starts_at == NOON + timedelta(minutes=90)
    assert task.ends_at == NOON + timedelta(hours=5)
    assert task.deadline_at == NOON + timedelta(days=7)


async def test_days_are_counted_on_the_calendar_of_the_company(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = "Europe/Berlin"
    entry = await entered(database, {"deadline": {"amount": 1, "unit": "days"}})

    await runner.do(entry.id, at=NOON)

    # 14:00 in Berlin on both days, though the night has an hour more.
    assert (await the_task(database)).deadline_at == NOON + timedelta(hours=25)


BEFORE_CLOSING = {"field": "deal.close_date", "direction": "before", "amount": 2, "unit": "days"}


async def test_a_deadline_before_a_date_of_the_item_is_counted_from_that_day_in_the_company_s_zone(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = "Europe/Berlin"
    params = {
        "deadline": BEFORE_CLOSING,
        "start": {"field": "item.begin_date", "direction": "at"},
        "end": {"field": "item.begin_date", "direction": "after", "amount": 8, "unit": "hours"},
    }
    entry = await entered(
        database, params, begin_date=date(2027, 11, 1), close_date=date(2027, 12, 24)
    )

    await runner.do(entry.id, at=NOON)

    task = await the_task(database)
    assert task.deadline_at == datetime(2027, 12, 21, 23, 0, tzinfo=UTC)
    assert task.starts_at == datetime(2027, 10, 31, 23, 0, tzinfo=UTC)
    assert task.ends_at == datetime(2027, 11, 1, 7, 0, tzinfo=UTC)


async def test_a_custom_date_counts_as_well(database: Database, runner: Runner) -> None:
    renewal = {"field": "deal.custom.renewal", "direction": "at"}
    entry = await entered(
        database, {"deadline": renewal}, custom={"renewal": "2027-12-01T10:00:00Z"}
    )

    await runner.do(entry.id)

    assert (await the_task(database)).deadline_at == datetime(2027, 12, 1, 10, 0, tzinfo=UTC)


async def test_an_empty_date_makes_a_task_without_deadline_and_says_so(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"deadline": BEFORE_CLOSING})

    run = await runner.do(entry.id)

    task = await the_task(database)
    assert task.deadline_at is None
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Created task {task.id} «Call»; no deadline, as close_date is empty.",
    )


async def test_an_end_before_the_start_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    params = {"start": {"amount": 2, "unit": "days"}, "end": {"amount": 1, "unit": "days"}}
    entry = await entered(database, params)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "The task would end before it starts.",
    )
    assert await all_of(database, Task) == []


async def test_whoever_is_responsible_is_notified_in_their_language_with_a_link(
    database: Database, runner: Runner
) -> None:
    tom, eve = await some_user(database, "Tom"), await some_user(database, "Eve")
    entry = await entered(database, {"creator": {"by": "user", "id": eve.id}}, responsible=tom)

    await runner.do(entry.id)

    task = await the_task(database)
    (notice,) = await all_of(database, Notification)
    assert (notice.recipient_id, notice.sender_id, notice.text) == (
        tom.id,
        eve.id,
        "New task: Call",
    )
    assert notice.link == f"http://crm.example/v1/tasks/{task.id}"


async def test_a_task_of_nobody_is_told_to_nobody(database: Database, runner: Runner) -> None:
    entry = await entered(database, {})

    await runner.do(entry.id)

    assert await all_of(database, Notification) == []


WAITING = {"wait_until_completed": True}
AFTER_AN_HOUR = {"timing": IN_AN_HOUR, "after_previous": True}


async def waited_for(database: Database, runner: Runner, **task: Any) -> tuple[StageEntry, Task]:
    """Let a rule wait for the task that it has made, and another an hour for that rule."""
    async with database.transaction() as session:
        stage, _ = a_pipeline(session, "New", "Won")
        params = {"title": "Call"} | WAITING | task
        waiting = {"action": "create_task", "params": params}
        rules_of(session, stage, waiting, AFTER_AN_HOUR | {"title": "Then"})
        _, entry = await a_deal(session, stage)
    await runner.do(entry.id, at=NOON)
    return entry, await the_task(database)


async def both_runs(database: Database, entry: StageEntry) -> list[RuleRun]:
    return await all_of(database, RuleRun, RuleRun.stage_entry_id == entry.id)


async def test_until_the_task_is_completed_the_run_is_in_progress_and_the_next_does_not_count(
    database: Database, runner: Runner
) -> None:
    entry, task = await waited_for(database, runner)

    run, then = await both_runs(database, entry)

    assert (run.state, run.began_at, run.due_at) == (RunState.IN_PROGRESS, NOON, None)
    assert run.outcome == f"Created task {task.id} «Call». Waiting until it is completed."
    assert run.result == {
        "id": task.id,
        "title": "Call",
        "responsible": None,
        "deadline": None,
        "completed_by": None,
        "completed_at": None,
        "deleted": False,
    }
    assert (then.state, then.due_at) == (RunState.WAITING, None)
    assert (await runner.agenda(entry.id)).items == ()


async def test_whoever_completes_the_task_lets_the_next_rule_start_counting(
    database: Database, runner: Runner
) -> None:
    entry, task = await waited_for(database, runner)
    tom = await some_user(database, "Tom", role=Role.ADMIN)
    done_at = NOON + timedelta(days=2)

    with clock.at(done_at):
        async with database.transaction() as session:
            locked = await lock_task(session, task.id)
            await change_task(session, locked, {"status": TaskStatus.COMPLETED}, tom)

    run, then = await both_runs(database, entry)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Task {task.id} «Call» was completed by Tom.",
    )
    assert run.result is not None
    assert run.result["completed_by"] == "Tom"
    assert run.result["completed_at"] == "2027-11-01T12:00:00Z"
    assert run.result["deleted"] is False
    assert then.due_at == done_at + timedelta(hours=1)
    assert [item.run_id for item in (await runner.agenda(entry.id)).items] == [then.id]


async def test_a_rule_may_complete_the_task_that_another_waits_for(
    database: Database, runner: Runner
) -> None:
    entry, task = await waited_for(database, runner, result_required=True)
    _, other = await both_runs(database, entry)

    async with database.transaction() as session:
        locked = await lock_task(session, task.id)
        cause = Cause.rule(await session.get_one(RuleRun, other.id))
        await set_status(session, locked, TaskStatus.COMPLETED, cause)

    run, _ = await both_runs(database, entry)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Task {task.id} «Call» was completed by a rule.",
    )
    assert run.result is not None
    assert run.result["completed_by"] is None


async def test_a_task_that_is_deleted_is_waited_for_no_longer(
    database: Database, runner: Runner
) -> None:
    entry, task = await waited_for(database, runner)
    tom = await some_user(database, "Tom")

    async with database.transaction() as session:
        await delete_task(session, await lock_task(session, task.id), tom)

    run, _ = await both_runs(database, entry)
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Task {task.id} «Call» was deleted by Tom.",
    )
    assert run.result is not None
    assert run.result["deleted"] is True


async def test_a_task_that_is_tied_to_another_deal_is_still_waited_for(
    database: Database, runner: Runner
) -> None:
    entry, task = await waited_for(database, runner)
    tom = await some_user(database, "Tom", role=Role.ADMIN)
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "Elsewhere")
        deal, _ = await a_deal(session, stage)

    async with database.transaction() as session:
        await change_task(session, await lock_task(session, task.id), {"item_id": deal.id}, tom)
    async with database.transaction() as session:
        await set_status(
            session, await lock_task(session, task.id), TaskStatus.COMPLETED, Cause.person(tom)
        )

    run, _ = await both_runs(database, entry)
    assert run.state is RunState.DONE


async def test_leaving_the_stage_drops_the_run_and_leaves_the_task(
    database: Database, runner: Runner
) -> None:
    entry, task = await waited_for(database, runner)

    async with database.transaction() as session:
        item = await lock_item(session, entry.item_id)
        won = await find_stage(session, entry.stage_id + 1)
        ada = User(name="Ada")
        session.add(ada)
        await session.flush()
        await enter_stage(session, item, won, Cause.person(ada))
        await set_status(
            session, await lock_task(session, task.id), TaskStatus.COMPLETED, Cause.person(ada)
        )

    runs = await both_runs(database, entry)
    assert [run.state for run in runs] == [RunState.DROPPED, RunState.DROPPED]
    assert (await the_task(database)).status is TaskStatus.COMPLETED


async def test_priority_tags_time_tracking_and_required_result_are_as_chosen(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        {
            "priority": "high",
            "tags": ["roof", "urgent"],
            "time_tracking": True,
            "estimated_minutes": 120,
            "result_required": True,
        },
    )

    await runner.do(entry.id)

    task = await the_task(database)
    assert task.priority is TaskPriority.HIGH
    assert task.tags == ["roof", "urgent"]
    assert (task.time_tracking, task.result_required) == (True, True)
    assert (task.estimated_minutes, task.spent_minutes) == (120, 0)


async def test_leads_get_tasks_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, "create_task", params={"title": "Call {{ lead.name }}"})
        _, entry = await a_lead(session, incoming, first_name="Anna", last_name="Keller")

    await runner.do(entry.id)

    task = await the_task(database)
    assert (task.title, task.item_id) == ("Call Anna Keller", entry.item_id)


async def test_the_item_itself_does_not_change(database: Database, runner: Runner) -> None:
    entry = await entered(database, {})
    (before,) = await all_of(database, Item)

    await runner.do(entry.id)

    (after,) = await all_of(database, Item)
    assert after.version == before.version


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({}, "/params/title", "Field required"),
        ({"title": ""}, "/params/title", "String should have at least 1 character"),
        (
            {"title": "Call", "description": "Worth {{ deal.ammount }}"},
            "/params/description",
            "line 1, column 10: unknown field deal.ammount, did you mean deal.amount?",
        ),
        (
            {"title": "Call", "checklist": ["Ring", "Ask {{ contact.fone }}"]},
            "/params/checklist/1",
            "line 1, column 8: unknown field contact.fone, did you mean contact.phone?",
        ),
        (
            {"title": "Call", "observers": [{"by": "responsible"}, {"by": "user", "id": 42}]},
            "/params/observers/1/id",
            "There is no user 42.",
        ),
        (
            {"title": "Call", "deadline": {"amount": -1, "unit": "days"}},
            "/params/deadline/amount",
            "Input should be greater than or equal to 0",
        ),
        (
            {"title": "Call", "deadline": {"field": "deal.close_date", "direction": "before"}},
            "/params/deadline",
            "at the date takes no amount; before and after need at least 1",
        ),
        (
            {"title": "Call", "deadline": {"field": "deal.closing", "direction": "at"}},
            "/params/deadline/field",
            "unknown field deal.closing, did you mean deal.close_date?",
        ),
        (
            {"title": "Call", "start": {"field": "deal.title", "direction": "at"}},
            "/params/start/field",
            "deal.title is no date of the item, as deal.begin_date is",
        ),
        (
            {"title": "Call", "estimated_minutes": 30},
            "/params",
            "estimated minutes need time tracking",
        ),
        (
            {"title": "Call", "tags": ["late", "x" * 201]},
            "/params/tags/1",
            "String should have at most 200 characters",
        ),
        (
            {"title": "Call", "checklist": ["Ring"] * 51},
            "/params/checklist",
            "Input should have at most 50 items, not 51",
        ),
        (
            {"title": "Call", "priority": "highest"},
            "/params/priority",
            "Input should be 'low', 'normal' or 'high', did you mean high?",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, params: dict[str, Any], field: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "create_task", params) == {field: reason}
