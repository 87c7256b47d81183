"""Message in the feed: a rule tells several people something, who are notified."""

from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models.database import Database
from models.department import Department
from models.feed_post import FeedPost
from models.notification import Notification
from models.rule_run import RunState
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.runner import Runner


@pytest.fixture
async def people(database: Database) -> dict[str, User]:
    """Tom and Eve of *Sales*, Otto elsewhere, and Gil, who has left."""
    sales = Department(name="Sales")
    several = [
        User(name="Tom", department=sales),
        User(name="Eve", department=sales),
        User(name="Otto"),
        User(name="Gil", department=sales, active=False),
    ]
    async with database.transaction() as session:
        session.add_all(several)
    return {user.name: user for user in several}


async def entered(database: Database, params: dict[str, Any], **deal: Any) -> StageEntry:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "post_to_feed", params={"text": "Look"} | params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def the_post(database: Database) -> FeedPost:
    (post,) = await all_of(database, FeedPost, options=(selectinload(FeedPost.recipients),))
    return post


async def told(database: Database) -> list[int]:
    return [notice.recipient_id for notice in await all_of(database, Notification)]


async def test_people_and_members_of_departments_are_told_once_but_not_the_author(
    database: Database, runner: Runner, people: dict[str, User]
) -> None:
    tom, eve, otto = people["Tom"], people["Eve"], people["Otto"]
    assert tom.department_id is not None
    recipients = [
        {"by": "user", "id": otto.id},
        {"by": "department", "id": tom.department_id},
        {"by": "responsible"},
    ]
    entry = await entered(database, {"recipients": recipients}, responsible=tom)

    run = await runner.do(entry.id)

    post = await the_post(database)
    assert post.recipient_ids == [tom.id, eve.id, otto.id]
    assert (post.author_id, post.item_id, post.made_by_run_id) == (tom.id, entry.item_id, run.id)
    assert await told(database) == [eve.id, otto.id]
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Posted {post.id} in the feed, to Otto, Tom, Eve.",
    )
    assert run.result == {
        "id": post.id,
        "title": None,
        "url": f"http://crm.example/v1/feed-posts/{post.id}",
    }


@pytest.mark.parametrize("rest", [{"recipients": [{"by": "responsible"}]}, {"to_all": True}])
async def test_who_made_the_item_and_has_left_keeps_nothing_from_the_others(
    database: Database, runner: Runner, people: dict[str, User], rest: dict[str, Any]
) -> None:
    creator = {"by": "creator"}
    params = rest | {"author": creator, "recipients": [creator, *rest.get("recipients", [])]}
    entry = await entered(database, params, creator=people["Gil"], responsible=people["Tom"])

    run = await runner.do(entry.id)

    assert run.state is RunState.DONE
    assert (await the_post(database)).author_id == people["Gil"].id
    assert people["Tom"].id in await told(database)
    assert people["Gil"].id not in await told(database)


async def test_nobody_reads_what_is_only_for_who_has_left(
    database: Database, runner: Runner, people: dict[str, User]
) -> None:
    gil = people["Gil"]
    entry = await entered(database, {"recipients": [{"by": "creator"}]}, creator=gil)

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"User {gil.id} does not work here any more.",
    )


async def test_everybody_who_works_here_is_told_what_is_for_all(
    database: Database, runner: Runner, people: dict[str, User]
) -> None:
    entry = await entered(
        database,
        {"to_all": True, "author": {"by": "user", "id": people["Eve"].id}},
    )

    run = await runner.do(entry.id)

    (ann,) = await all_of(database, User, User.name == "Ann")
    assert await told(database) == [people["Tom"].id, people["Otto"].id, ann.id]
    assert run.outcome is not None
    assert run.outcome.endswith("in the feed, to all.")


async def test_the_notification_has_the_title_and_leads_to_the_post(
    database: Database, runner: Runner, people: dict[str, User]
) -> None:
    params = {
        "title": "{{ deal.title }} is won",
        "text": "By {{ responsible.name }}",
        "recipients": [{"by": "user", "id": people["Otto"].id}],
    }
    entry = await entered(database, params, responsible=people["Tom"])

    run = await runner.do(entry.id)

    post = await the_post(database)
    assert (post.title, post.text) == ("Lathe is won", "By Tom")
    (notice,) = await all_of(database, Notification)
    assert (notice.text, notice.sender_id, notice.item_id, notice.made_by_run_id) == (
        "Lathe is won",
        people["Tom"].id,
        entry.item_id,
        run.id,
    )
    assert notice.link == f"http://crm.example/v1/feed-posts/{post.id}"


async def test_without_a_responsible_person_it_is_automation_that_posts(
    database: Database, runner: Runner, people: dict[str, User]
) -> None:
    entry = await entered(database, {"recipients": [{"by": "user", "id": people["Otto"].id}]})

    await runner.do(entry.id)

    assert (await the_post(database)).author_id is None
    assert await told(database) == [people["Otto"].id]


async def test_a_text_of_empty_fields_only_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"text": "{{ contact.name }}", "to_all": True})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "The text is empty, now that its fields are filled in.",
    )


async def test_a_recipient_who_is_not_there_fails_with_that_reason(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, {"recipients": [{"by": "responsible"}]})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Nobody is responsible for deal {entry.item_id}.",
    )
    assert await all_of(database, FeedPost) == []


async def test_a_post_that_nobody_would_read_is_refused(database: Database) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "post_to_feed", {"text": "Look"}) == {
        "/params": "nobody would read it: choose recipients, or to all"
    }
