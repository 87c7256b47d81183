"""What has changed of an item since it entered a stage."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from models import clock
from models.changes import changed_since
from models.contact import Contact
from models.database import Database
from models.entering import enter_stage
from models.item import Item
from models.item_edit import edit_item, find_whole
from models.pipeline import Stage
from models.stage_entry import Cause, StageEntry
from models.user import User
from tests.factories import a_deal, a_pipeline

THEN = datetime(2027, 8, 1, 9, tzinfo=UTC)


class Story:
    """A deal that people edit and move, all at the same moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self) -> None:
        with clock.at(THEN):
            async with self._database.transaction() as session:
                stage, _ = a_pipeline(session, "New", "Won")
                boss = User(name="Boss")
                session.add(boss)
                deal, _ = await a_deal(session, stage, product_rows=[], further_contacts=[])
        self.deal_id, self.boss_id = deal.id, boss.id

    async def edit(self, **sent: Any) -> None:
        with clock.at(THEN):
            async with self._database.transaction() as session:
                deal = await find_whole(session, self.deal_id, Item, lock=True)
                boss = await session.get_one(User, self.boss_id)
                await edit_item(session, deal, sent, Cause.person(boss))

    async def move(self, name: str) -> None:
        with clock.at(THEN):
            async with self._database.transaction() as session:
                deal = await find_whole(session, self.deal_id, Item, lock=True)
                found = await session.scalars(select(Stage).where(Stage.name == name))
                stage = await session.get_one(Stage, found.one().id)
                await session.refresh(stage, ["pipeline"])
                boss = await session.get_one(User, self.boss_id)
                await enter_stage(session, deal, stage, Cause.person(boss))

    async def changed(self) -> list[set[str]]:
        """Return what has changed since each of the stays began, the first first."""
        async with self._database.reading() as session:
            entries = await session.scalars(select(StageEntry).order_by(StageEntry.id))
            return [set(await changed_since(session, entry)) for entry in entries.all()]


@pytest.fixture
async def story(database: Database) -> Story:
    story = Story(database)
    await story.begin()
    return story


async def test_an_item_that_nobody_edits_has_not_changed(story: Story) -> None:
    assert await story.changed() == [set()]


async def test_what_was_edited_has_changed_under_the_name_that_history_gives_it(
    story: Story,
) -> None:
    await story.edit(source="fair", responsible_id=story.boss_id, product_rows=[])

    assert await story.changed() == [{"source", "responsible"}]


async def test_a_client_that_is_tied_to_the_item_or_taken_from_it_changes_it(
    story: Story, database: Database
) -> None:
    anna, ben = Contact(first_name="Anna"), Contact(first_name="Ben")
    async with database.transaction() as session:
        session.add_all([anna, ben])
    await story.edit(contact_id=anna.id, further_contact_ids=[ben.id])
    await story.move("Won")
    await story.edit(further_contact_ids=[])

    assert await story.changed() == [{"contact", "further_contacts"}, {"further_contacts"}]


async def test_what_is_sent_as_it_was_has_not_changed(story: Story) -> None:
    await story.edit(title="Lathe", source=None)

    assert await story.changed() == [set()]


async def test_what_was_changed_back_has_been_changed(story: Story) -> None:
    await story.edit(source="fair")
    await story.edit(source=None)

    assert await story.changed() == [{"source"}]


async def test_only_what_comes_after_the_entry_counts_even_at_the_same_moment(
    story: Story,
) -> None:
    await story.edit(source="fair")
    await story.move("Won")
    await story.edit(comments="Soon")
    await story.move("New")
    await story.edit(title="Mill")

    assert await story.changed() == [
        {"source", "comments", "title"},
        {"comments", "title"},
        {"title"},
    ]
