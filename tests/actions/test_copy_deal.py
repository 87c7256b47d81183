"""Copy deal: all of it but what it came from, in any stage of any pipeline of deals."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models import clock
from models.booking import Booked, Booking
from models.booking_edit import book
from models.clock import now
from models.company import Company
from models.contact import Contact
from models.crm_activity import CrmActivity, CrmActivityKind, CrmActivityStatus
from models.crm_activity_edit import add_crm_activity
from models.database import Database
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.item import Deal, Item, lock_item
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage, find_stage
from models.product_row import ProductRow
from models.reminders import Reminder
from models.resource import Resource
from models.rule_run import RunState
from models.stage_entry import Cause, CauseKind, StageEntry
from models.timeline import TimelineComment, add_comment
from models.user import Role, User
from tests.factories import a_deal, a_pipeline, a_rule, all_of, refused
from tests.fixtures.runner import Runner

OF_ITS_OWN = {
    "id",
    "title",
    "version",
    "stage_id",
    "source_item_id",
    "made_by_run_id",
    "created_at",
}
"""Columns in which a copy in the same pipeline differs from its source."""

LONG_AGO = datetime(2027, 1, 5, 9, 0, tzinfo=UTC)

WHOLE = (selectinload(Item.product_rows), selectinload(Item.further_contacts))


@pytest.fixture
async def sales(database: Database) -> list[Stage]:
    """The stages of a pipeline; the rules are hung on the last."""
    async with database.transaction() as session:
        return a_pipeline(session, "New", "Offer", "Closed won")


@pytest.fixture
async def installing(database: Database) -> list[Stage]:
    """The stages of another pipeline of deals."""
    async with database.transaction() as session:
        return a_pipeline(session, "Planning", "Running")


async def won(database: Database, sales: list[Stage], **deal: Any) -> tuple[Deal, StageEntry]:
    """Let a deal enter the last stage, which copies it."""
    params = deal.pop("params", {})
    async with database.transaction() as session:
        stage = await find_stage(session, sales[-1].id)
        a_rule(session, stage, "copy_deal", params=params)
        return await a_deal(session, stage, **deal)


async def copy_of(database: Database, deal: Deal) -> Deal:
    (copy,) = await all_of(database, Deal, Deal.source_item_id == deal.id, options=WHOLE)
    return copy


async def test_every_field_is_copied(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    tom = User(name="Tom")
    deal, entry = await won(
        database,
        sales,
        responsible=tom,
        creator=tom,
        contact=Contact(first_name="Anna"),
        company=Company(name="Mills"),
        amount=Decimal("18500.50"),
        currency="PLN",
        begin_date=date(2027, 3, 1),
        close_date=date(2027, 6, 1),
        source="Fair",
        comments="Facing south.",
        custom={"contract_no": "K-17", "rooms": 3, "paid": True},
    )

    await runner.do(entry.id)

    copy = await copy_of(database, deal)
    fields = set(Item.__table__.columns.keys()) - OF_ITS_OWN
    assert {name: getattr(copy, name, None) for name in fields} == {
        name: getattr(deal, name, None) for name in fields
    }


async def test_all_contacts_are_copied(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    anna, ben, cem = (Contact(first_name=name) for name in ("Anna", "Ben", "Cem"))
    deal, entry = await won(database, sales, contact=anna, further_contacts=[ben, cem])

    await runner.do(entry.id)

    copy = await copy_of(database, deal)
    assert copy.contact_id == anna.id
    assert copy.further_contact_ids == [ben.id, cem.id]


async def test_product_rows_are_copied_and_the_source_keeps_its_own(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    rows = [
        ProductRow(name="Panel", price=Decimal("250.00"), quantity=Decimal(40)),
        ProductRow(name="Work", price=Decimal("80.00"), quantity=Decimal("7.5")),
    ]
    deal, entry = await won(database, sales, product_rows=rows)

    await runner.do(entry.id)

    copy = await copy_of(database, deal)
    assert [(row.name, row.price, row.quantity) for row in copy.product_rows] == [
        ("Panel", Decimal("250.00"), Decimal(40)),
        ("Work", Decimal("80.00"), Decimal("7.5")),
    ]
    kept = await all_of(database, ProductRow, ProductRow.item_id == deal.id)
    assert [row.id for row in kept] == [row.id for row in rows]


async def test_the_source_stays_as_it_is(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    deal, entry = await won(database, sales)

    await runner.do(entry.id)

    (after,) = await all_of(database, Deal, Deal.id == deal.id)
    assert (after.stage_id, after.title, after.version) == (
        sales[-1].id,
        "Lathe",
        deal.version,
    )


async def test_the_copy_remembers_its_source_and_the_run_that_made_it(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    deal, entry = await won(database, sales)

    run = await runner.do(entry.id)

    copy = await copy_of(database, deal)
    assert copy.made_by_run_id == run.id
    assert (run.state, run.outcome) == (
        RunState.DONE,
        f"Copied to deal {copy.id} «Lathe (Copy)» in «Sales › New».",
    )


@pytest.mark.parametrize(
    ("locale", "title"),
    [
        ("en", "Lathe (Copy)"),
        ("es", "Lathe (Copia)"),
        ("pl_PL", "Lathe (Kopia)"),
        ("de", "Lathe (Kopie)"),
        ("fr_FR", "Lathe (Copie)"),
        ("ja", "Lathe (Copy)"),
    ],
)
async def test_the_name_is_that_of_the_source_with_the_word_copy_of_the_companys_language(
    database: Database, runner: Runner, sales: list[Stage], locale: str, title: str
) -> None:
    async with database.transaction() as session:
        (await installation(session)).locale = locale
    deal, entry = await won(database, sales)

    await runner.do(entry.id)

    assert (await copy_of(database, deal)).title == title


async def test_another_name_may_hold_fields(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    deal, entry = await won(
        database, sales, params={"name": "{{ deal.title }} for {{ deal.stage }}"}
    )

    await runner.do(entry.id)

    assert (await copy_of(database, deal)).title == "Lathe for Closed won"


async def test_a_name_of_empty_fields_only_fails_with_that_reason(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    _, entry = await won(database, sales, params={"name": "{{ contact.name }}"})

    run = await runner.do(entry.id)

    assert run.outcome == "The title is empty, now that its fields are filled in."
    assert len(await all_of(database, Deal)) == 1


async def test_the_copy_of_a_deal_with_the_longest_name_has_no_longer_one(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    deal, entry = await won(database, sales, title="x" * 200)

    await runner.do(entry.id)

    assert (await copy_of(database, deal)).title == "x" * 199 + "…"


async def test_by_default_the_copy_begins_in_the_first_stage_of_the_same_pipeline(
    database: Database, runner: Runner, sales: list[Stage], installing: list[Stage]
) -> None:
    deal, entry = await won(database, sales)

    await runner.do(entry.id)

    copy = await copy_of(database, deal)
    assert (copy.pipeline_id, copy.stage_id) == (sales[0].pipeline_id, sales[0].id)


async def test_in_another_pipeline_it_begins_in_the_first_stage(
    database: Database, runner: Runner, sales: list[Stage], installing: list[Stage]
) -> None:
    pipeline_id = installing[0].pipeline_id
    deal, entry = await won(database, sales, params={"pipeline": pipeline_id})

    await runner.do(entry.id)

    copy = await copy_of(database, deal)
    assert (copy.pipeline_id, copy.stage_id) == (pipeline_id, installing[0].id)


async def test_it_begins_in_the_stage_chosen(
    database: Database, runner: Runner, sales: list[Stage], installing: list[Stage]
) -> None:
    running = installing[1]
    deal, entry = await won(
        database, sales, params={"pipeline": running.pipeline_id, "stage": running.id}
    )

    await runner.do(entry.id)

    assert (await copy_of(database, deal)).stage_id == running.id


async def test_where_its_stage_is_of_another_pipeline_by_now_it_fails_with_a_plain_sentence(
    database: Database, runner: Runner, sales: list[Stage], installing: list[Stage]
) -> None:
    planning = installing[0]
    _, entry = await won(database, sales, params={"stage": planning.id})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"Stage {planning.id} «Planning» is not of pipeline {sales[0].pipeline_id}.",
    )


async def test_the_copy_is_for_the_person_chosen(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    tom, eve = User(name="Tom"), User(name="Eve")
    async with database.transaction() as session:
        session.add(eve)
    deal, entry = await won(
        database,
        sales,
        responsible=tom,
        params={"responsible": {"by": "user", "id": eve.id}},
    )

    await runner.do(entry.id)

    assert (await copy_of(database, deal)).responsible_id == eve.id


async def test_the_copy_enters_its_stage_as_every_new_deal_so_that_its_rules_start(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    async with database.transaction() as session:
        rule = a_rule(session, await find_stage(session, sales[0].id), title="Welcome")
    deal, entry = await won(database, sales)

    run = await runner.do(entry.id)

    copy = await copy_of(database, deal)
    (its_entry,) = await all_of(
        database,
        StageEntry,
        StageEntry.item_id == copy.id,
        options=(selectinload(StageEntry.runs),),
    )
    assert [each.rule_id for each in its_entry.runs] == [rule.id]
    assert (its_entry.cause, its_entry.cause_run_id) == (CauseKind.RULE, run.id)
    assert (its_entry.root_id, its_entry.depth) == (entry.id, 1)
    (line,) = await all_of(
        database,
        HistoryEntry,
        HistoryEntry.item_id == copy.id,
        HistoryEntry.kind == HistoryKind.CREATED,
    )
    assert (line.text, line.run_id, line.author_id) == ("Created in «New».", run.id, None)


async def test_a_stage_that_is_gone_by_then_fails_the_run_with_that_reason(
    database: Database, runner: Runner, sales: list[Stage], installing: list[Stage]
) -> None:
    running = installing[1]
    _, entry = await won(
        database, sales, params={"pipeline": running.pipeline_id, "stage": running.id}
    )
    async with database.transaction() as session:
        (await session.get_one(Stage, running.id)).deleted_at = now()

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, f"There is no stage {running.id}.")
    assert len(await all_of(database, Deal)) == 1


async def test_a_pipeline_that_is_gone_by_then_fails_the_run_with_that_reason(
    database: Database, runner: Runner, sales: list[Stage], installing: list[Stage]
) -> None:
    pipeline_id = installing[0].pipeline_id
    _, entry = await won(database, sales, params={"pipeline": pipeline_id})
    async with database.transaction() as session:
        (await session.get_one(Pipeline, pipeline_id)).deleted_at = now()

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        f"There is no stage for deals in pipeline {pipeline_id}.",
    )


async def talked_about(database: Database, deal: Deal, tom: User) -> None:
    """Let people have talked of a deal, called, and have another call still to make."""
    async with database.transaction() as session:
        item = await lock_item(session, deal.id)
        tom = await session.get_one(User, tom.id)
        with clock.at(LONG_AGO):
            await add_comment(session, item, tom, "Send it by Monday.", from_client=True)
            call = {"kind": CrmActivityKind.CALL, "item_id": deal.id}
            await add_crm_activity(
                session,
                tom,
                call
                | {
                    "subject": "Asked",
                    "status": CrmActivityStatus.COMPLETED,
                    "result": "She likes it",
                },
            )
            await add_crm_activity(
                session, tom, call | {"subject": "To ask", "starts_at": now() + timedelta(days=9)}
            )


async def test_the_timeline_is_copied_if_that_is_wanted_but_not_what_is_still_planned(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    tom = User(name="Tom", role=Role.ADMIN)
    deal, entry = await won(database, sales, params={"copy_timeline": True}, responsible=tom)
    await talked_about(database, deal, tom)

    run = await runner.do(entry.id)

    copy = await copy_of(database, deal)
    theirs, ours = await all_of(database, TimelineComment, TimelineComment.item_id == copy.id)
    assert (theirs.text, theirs.author_id, theirs.from_client, theirs.created_at) == (
        "Send it by Monday.",
        tom.id,
        True,
        LONG_AGO,
    )
    assert (ours.text, ours.author_id) == (
        f"All that is older was copied from deal {deal.id}.",
        None,
    )
    (call,) = await all_of(database, CrmActivity, CrmActivity.item_id == copy.id)
    assert (call.subject, call.result, call.completed_at, call.completed_by_id) == (
        "Asked",
        "She likes it",
        LONG_AGO,
        tom.id,
    )
    assert (call.version, call.told_version, call.agenda_version) == (1, 1, 1)
    assert {theirs.made_by_run_id, ours.made_by_run_id, call.made_by_run_id} == {run.id}


async def test_the_deal_keeps_its_timeline_and_reminds_once(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    tom = User(name="Tom", role=Role.ADMIN)
    deal, entry = await won(database, sales, params={"copy_timeline": True}, responsible=tom)
    await talked_about(database, deal, tom)
    before = await all_of(database, Reminder)

    await runner.do(entry.id)

    assert [each.id for each in await all_of(database, Reminder)] == [each.id for each in before]
    (comment,) = await all_of(database, TimelineComment, TimelineComment.item_id == deal.id)
    assert comment.made_by_run_id is None
    assert len(await all_of(database, CrmActivity, CrmActivity.item_id == deal.id)) == 2


async def test_without_being_wanted_no_timeline_is_copied(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    tom = User(name="Tom", role=Role.ADMIN)
    deal, entry = await won(database, sales, responsible=tom)
    await talked_about(database, deal, tom)

    await runner.do(entry.id)

    copy = await copy_of(database, deal)
    assert await all_of(database, TimelineComment, TimelineComment.item_id == copy.id) == []


async def test_a_deal_without_timeline_leaves_the_copy_without_a_word(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    _, entry = await won(database, sales, params={"copy_timeline": True})

    await runner.do(entry.id)

    assert await all_of(database, TimelineComment) == []


async def test_a_stage_of_another_pipeline_is_refused(
    database: Database, sales: list[Stage], installing: list[Stage]
) -> None:
    planning = installing[0]

    problems = await refused(database, sales[-1], "copy_deal", {"stage": planning.id})

    assert problems == {
        "/params/stage": f"Stage {planning.id} «Planning» is not of pipeline "
        f"{sales[0].pipeline_id}."
    }


async def test_a_stage_that_does_not_exist_is_refused(
    database: Database, sales: list[Stage]
) -> None:
    problems = await refused(database, sales[-1], "copy_deal", {"stage": 4711})

    assert problems == {"/params/stage": "There is no stage 4711."}


async def test_a_pipeline_of_leads_is_refused(database: Database, sales: list[Stage]) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)

    problems = await refused(database, sales[-1], "copy_deal", {"pipeline": incoming.pipeline_id})

    assert problems == {
        "/params/pipeline": f"There is no stage for deals in pipeline {incoming.pipeline_id}."
    }


async def test_a_stage_of_leads_is_refused(database: Database, sales: list[Stage]) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)

    problems = await refused(
        database,
        sales[-1],
        "copy_deal",
        {"pipeline": incoming.pipeline_id, "stage": incoming.id},
    )

    assert list(problems) == ["/params/pipeline"]


async def test_a_pipeline_without_stages_is_refused(database: Database, sales: list[Stage]) -> None:
    empty = Pipeline(name="Empty", item_type=ItemType.DEAL)
    async with database.transaction() as session:
        session.add(empty)

    problems = await refused(database, sales[-1], "copy_deal", {"pipeline": empty.id})

    assert list(problems) == ["/params/pipeline"]


async def test_all_that_is_wrong_is_told_at_once(database: Database, sales: list[Stage]) -> None:
    problems = await refused(
        database,
        sales[-1],
        "copy_deal",
        {
            "name": "{{ deal.titel }}",
            "stage": 4711,
            "responsible": {"by": "user", "id": 42},
        },
    )

    assert problems.keys() == {"/params/name", "/params/stage", "/params/responsible/id"}


async def test_copying_deals_is_not_for_the_stages_of_leads(database: Database) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)

    problems = await refused(database, incoming, "copy_deal")

    assert problems == {"/action": "«Copy deal» is not for leads, whose stage this is."}


async def test_a_client_in_the_recycle_bin_is_not_copied(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    contact = Contact(first_name="Anna", contact_points=[])
    async with database.transaction() as session:
        session.add(contact)
    deal, entry = await won(database, sales, contact=contact)
    async with database.transaction() as session:
        (await session.get_one(Contact, contact.id)).deleted_at = now()

    await runner.do(entry.id)

    assert (await copy_of(database, deal)).contact_id is None


async def visited(
    database: Database, deal: Deal, crane: Resource, person: User, begins: datetime
) -> Booking:
    """Book a resource for an hour, some days before."""
    with clock.at(begins - timedelta(days=5)):
        async with database.transaction() as session:
            booking = Booking(
                item=await lock_item(session, deal.id),
                field="visit",
                service="Survey",
                starts_at=begins,
                ends_at=begins + timedelta(hours=1),
                holds=[],
            )
            who = Booked([await session.get_one(Resource, crane.id)])
            cause = Cause.person(await session.get_one(User, person.id))
            await book(session, booking, who, cause)
    return booking


async def test_what_is_booked_for_a_time_to_come_is_booked_for_the_copy_too(
    database: Database, runner: Runner, sales: list[Stage]
) -> None:
    crane, person = Resource(name="Crane"), User(name="Ann")
    visit = FieldDefinition(
        item_type=ItemType.DEAL, name="visit", title="Visit", kind=FieldKind.BOOKING, choices=[]
    )
    async with database.transaction() as session:
        session.add_all([crane, person])
        await add_definition(session, visit)
    deal, entry = await won(database, sales, custom={"contract_no": "K-17"})
    morning = datetime(2027, 8, 2, 10, tzinfo=UTC)
    await visited(database, deal, crane, person, morning - timedelta(days=1))
    booking = await visited(database, deal, crane, person, morning + timedelta(days=1))

    run = await runner.do(entry.id, at=morning)

    copy = await copy_of(database, deal)
    assert run.outcome == (
        f"Copied to deal {copy.id} «Lathe (Copy)» in «Sales › New». Booked Crane for «Survey»: "
        "3 August 2027, 11:00 to 12:00, as Crane is booked 3 August 2027, 10:00 to 11:00."
    )
    assert copy.custom == {"contract_no": "K-17", "visit": "2027-08-03T11:00:00Z"}
    (made,) = await all_of(database, Booking, Booking.item_id == copy.id)
    assert (made.source_booking_id, made.made_by_run_id) == (booking.id, run.id)
