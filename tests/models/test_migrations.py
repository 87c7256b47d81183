"""The migrations lead to the tables that the code has, and back."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, table, text

from models import clock
from models.booking import Booking, BookingHold
from models.contact import Contact
from models.contact_point import ContactPoint, email
from models.crm_activity import Completion, CrmActivity, CrmActivityKind
from models.crm_activity_end import as_completed
from models.database import Database
from models.delivery import Reaction, ReactionKind
from models.document import DocumentView
from models.entering import enter_stage
from models.exclusion import Exclusion, ExclusionClaim, ExclusionKind, excluded_among
from models.history import HistoryKind, about_item
from models.inbound import Inbound, InboundKind, InboundOutcome, key_within
from models.item import Item
from models.migrations import alembic_config, migrate, revisions
from models.reminders import Reminder
from models.resource import Resource
from models.stage_entry import Cause, StageEntry
from models.tables import metadata
from models.task import Task, TaskItem
from models.trigger import TriggerCheck, TriggerOutcome, triggers_where
from sample_company import load_sample_company
from tests.factories import a_deal, a_pipeline, a_rule, a_trigger
from tests.fixtures.documents import made


@pytest.fixture
async def database(database: Database) -> AsyncIterator[Database]:
    """A database whose connections end with the test: they know the tables as they were.

    It has the newest ones again, however the test ends.
    """
    yield database
    await migrate(database)
    await database.close()


def test_there_is_one_newest_revision() -> None:
    heads = ScriptDirectory.from_config(alembic_config()).get_heads()

    assert len(heads) == 1


async def test_a_migrated_database_is_at_the_newest_revision(database: Database) -> None:
    present, newest = await revisions(database)

    assert present == newest


async def test_the_tables_of_a_migrated_database_are_those_of_the_code(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with database.engine.connect() as connection:
        found = await connection.run_sync(differences)

    assert found == []


async def test_every_migration_goes_down_and_up_again(database: Database) -> None:
    def tables(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), "base"))
        left = await connection.run_sync(tables)
    await migrate(database)
    async with database.engine.connect() as connection:
        back = await connection.run_sync(tables)

    assert left == {"alembic_version"} | (left & {"sqlite_sequence"})
    assert set(metadata.tables) <= back


async def test_a_company_goes_one_migration_down_and_up_again_and_keeps_what_was_there_before(
    database: Database,
) -> None:
    def rows(connection: Connection) -> dict[str, int]:
        return {
            name: connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }

    def down(connection: Connection) -> set[str]:
        command.downgrade(alembic_config(connection), "-1")
        return set(inspect(connection).get_table_names()) & set(metadata.tables)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    await load_sample_company(database)
    await use_what_is_newest(database)
    async with database.engine.begin() as connection:
        full = await connection.run_sync(rows)
        older = await connection.run_sync(down)
    await migrate(database)
    async with database.engine.connect() as connection:
        back = await connection.run_sync(rows)
        different = await connection.run_sync(differences)

    newest = set(full) - older
    assert {name: full[name] for name in newest if not full[name]} == {}
    assert full["rule_runs"] > 0
    assert {name: back[name] for name in older} == {name: full[name] for name in older}
    assert different == []


async def test_what_is_of_no_item_does_not_survive_where_everything_needs_one(
    database: Database,
) -> None:
    def down(connection: Connection) -> tuple[int | None, int | None]:
        command.downgrade(alembic_config(connection), "0004")
        left = select(func.count()).select_from
        return connection.scalar(left(table("crm_activities"))), connection.scalar(
            left(table("contacts"))
        )

    contact = Contact(first_name="Anna", contact_points=[email("ÄNNA@Berg.example")])
    call = CrmActivity(
        kind=CrmActivityKind.CALL,
        subject="Call",
        item=None,
        contact=contact,
        starts_at=clock.now(),
        reminders=[Reminder(minutes_before=5)],
    )
    async with database.transaction() as session:
        inbound = an_inbound_call()
        session.add_all([contact, inbound])
        await session.flush()
        call.inbound_id = inbound.id
        session.add(call)
    async with database.engine.begin() as connection:
        left = await connection.run_sync(down)
    await migrate(database)
    async with database.reading() as session:
        compared = await session.scalar(select(ContactPoint.compared))

    assert left == (0, 1)
    assert compared == "änna@berg.example"


WORDS: dict[tuple[str, str], set[str | None]] = {
    ("stage_entries", "cause"): {"person", "rule", "restore"},
    ("crm_activities", "kind"): {"to-do", "call", "meeting", "email", "message"},
    ("crm_activities", "completion"): {"person", "rule", "stage change", None},
    ("history_entries", "kind"): {
        *("information", "created", "changed", "stage changed", "responsible changed"),
        *("deleted", "restored", "linked", "unlinked", "rule run", "crm activity", "delivery"),
        *("booking", "document"),
    },
}
"""What 0004 knows, column by column."""


async def go_down(database: Database, to: str = "0004") -> None:
    """Bring a database to the tables of an older revision."""
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), to))


async def said(database: Database, statement: str) -> list[tuple[Any, ...]]:
    """Return what SQL says of the tables as they are now."""
    async with database.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def do(database: Database, *statements: str) -> None:
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def moved_on(database: Database, *causes: str) -> list[StageEntry]:
    """Let a deal enter a stage with a rule, and another for each of these causes."""
    async with database.transaction() as session:
        new, *others = a_pipeline(session, "New", *causes)
        a_rule(session, new)
        trigger = a_trigger(session, new)
        deal, begun = await a_deal(session, new)
        (run,) = begun.runs
        known = {
            "rule": Cause.rule(run),
            "trigger of a rule": Cause.by_trigger(trigger, None, Cause.rule(run)),
            "trigger": Cause.by_trigger(trigger, None, Cause.client()),
            "client": Cause.client(),
        }
        entries = [await enter_stage(session, deal, stage, known[stage.name]) for stage in others]
        form = CrmActivity(
            kind=CrmActivityKind.FORM,
            subject="Form",
            item=deal,
            starts_at=clock.now(),
            reminders=[],
        )
        as_completed(form, None, clock.now(), Completion.CLIENT)
        session.add(form)
        session.add_all(about_item(deal, kind, "It was so.") for kind in HistoryKind)
    return [begun, *(each for each in entries if each is not None)]


async def test_older_code_meets_no_words_that_it_does_not_know(database: Database) -> None:
    await load_sample_company(database)
    await moved_on(database, "rule", "trigger of a rule", "trigger", "client")

    await go_down(database)

    found = {
        (there, column): {word for (word,) in await said(database, f"SELECT {column} FROM {there}")}  # noqa: S608 - ours
        for there, column in WORDS
    }
    unknown = set().union(*(found[place] - words for place, words in WORDS.items()))
    assert unknown == set()
    causes = await said(database, "SELECT cause FROM stage_entries ORDER BY id DESC LIMIT 4")
    assert causes == [("person",), ("person",), ("rule",), ("rule",)]


async def test_entries_that_a_rule_began_know_the_one_they_came_from(database: Database) -> None:
    begun, second = await moved_on(database, "rule")
    await go_down(database)

    await migrate(database)

    parents = "SELECT id, parent_id FROM stage_entries ORDER BY id"
    assert await said(database, parents) == [(begun.id, None), (second.id, begun.id)]


async def test_what_was_read_in_another_way_is_read_anew(database: Database) -> None:
    begun, _ = await moved_on(database, "rule")
    (run,) = begun.runs
    await go_down(database)
    at, to = "'2026-01-01 00:00:00'", "INSERT INTO"
    point = f"{to} contact_points (kind, raw, value, item_id, created_at) VALUES"
    listed = f"{to} exclusions (kind, value, comment, made_by_run_id, created_at, version) VALUES"
    await do(
        database,
        f"{point} ('phone', '0049 00 30 123456', '+49030123456', {begun.item_id}, {at})",
        f"{point} ('phone', '030 123456', '+4930123456', {begun.item_id}, {at})",
        f"{point} ('phone', 'ask Ann', NULL, {begun.item_id}, {at})",
        f"{point} ('email', 'x', 'ÄNNA@straße.example', {begun.item_id}, {at})",
        f"{point} ('email', 'x', 'ILI@firm.example', {begun.item_id}, {at})",
        f"{listed} ('phone', '+49030123456', 'By a rule', {run.id}, {at}, 1)",
        f"{listed} ('phone', '+4930123456', 'By Ann', NULL, {at}, 1)",
        f"{listed} ('phone', '+49040123456', 'Alone', NULL, {at}, 1)",
        f"{listed} ('email', 'änna@strasse.example', 'Spam', NULL, {at}, 1)",
        f"{listed} ('domain', 'firm.example', NULL, NULL, {at}, 1)",
    )

    await migrate(database)

    assert await said(database, "SELECT value, compared FROM contact_points ORDER BY id") == [
        ("+4930123456", "+4930123456"),
        ("+4930123456", "+4930123456"),
        (None, None),
        ("ÄNNA@straße.example", "änna@straße.example"),
        ("ILI@firm.example", "ili@firm.example"),
    ]
    assert await said(database, "SELECT kind, value, comment FROM exclusions ORDER BY id") == [
        ("phone", "+4930123456", "By Ann"),
        ("phone", "+4940123456", "Alone"),
        ("email", "änna@strasse.example", "Spam"),
        ("domain", "firm.example", None),
        ("email", "änna@straße.example", "Spam"),
    ]
    (claim,) = await said(database, "SELECT run_id, comment FROM exclusion_claims")
    assert claim == (run.id, "By a rule")
    async with database.reading() as session:
        known = list(await session.scalars(select(ContactPoint.value)))
        excluded = await excluded_among(session, [each for each in known if each])
    assert excluded == {"+4930123456", "ÄNNA@straße.example", "ILI@firm.example"}


async def test_who_has_written_by_a_handle_is_known_by_it_from_now_on(database: Database) -> None:
    await go_down(database, "0005")
    columns = "kind, key, outcome, reason, sender, address, subject, happened_at, created_at"
    to = f"INSERT INTO inbound ({columns}, content) VALUES"
    rest = "'lead', '', '030 1', '+49301', 'Roof', '2026-01-01 00:00:00', '2026-01-01 00:00:00'"
    await do(
        database,
        f'{to} (\'message\', \'a\', {rest}, \'{{"channel": "A%: ", "handle": " @Ännä "}}\')',
        f"{to} ('message', 'b', {rest}, '{{\"channel\": \"SMS\", \"handle\": null}}')",
        f"{to} ('call', 'c', {rest}, '{{\"line\": \"Berlin\"}}')",
    )

    await migrate(database)

    handles = await said(database, "SELECT handle FROM inbound ORDER BY id")
    assert handles == [(key_within("A%: ", " @ännä "),), (None,), (None,)]


def an_inbound_call() -> Inbound:
    return Inbound(
        kind=InboundKind.CALL,
        key="1",
        outcome=InboundOutcome.UNKNOWN,
        reason="",
        sender=None,
        address=None,
        subject="Call",
        happened_at=clock.now(),
        content={},
        raw=None,
    )


async def use_what_is_newest(database: Database) -> None:
    """Write a row into each table that the newest migration has made."""
    document = await made(database)
    start, end = clock.now(), clock.now() + timedelta(hours=1)
    async with database.transaction() as session:
        crane = Resource(name="Crane")
        hold = BookingHold(resource=crane, starts_at=start, ends_at=end)
        item = await session.get_one(Item, document.item_id)
        booking = Booking(
            item=item, field="visit", service="Survey", starts_at=start, ends_at=end, holds=[hold]
        )
        reaction = Reaction(delivery_id=document.delivery_id or 0, kind=ReactionKind.OPENED)
        session.add_all([booking, reaction, DocumentView(document_id=document.id)])
        session.add(an_inbound_call())
        [trigger, *_] = await session.scalars(triggers_where())
        check = TriggerCheck(
            trigger=trigger,
            item_id=item.id,
            occasion=uuid4(),
            what_happened="Paid",
            outcome=TriggerOutcome.REFUSED,
            reason="Late",
            comparisons=[],
        )
        session.add(check)
        exclusion = Exclusion(kind=ExclusionKind.DOMAIN, value="prizes.example")
        session.add(exclusion)
        await session.flush()
        claim = {"exclusion_id": exclusion.id, "run_id": document.made_by_run_id or 0}
        session.add(ExclusionClaim(**claim, comment="Spam"))
        session.add(Task(title="Call", further_items=[TaskItem(item_id=item.id)]))
