"""Edit item: a rule writes what the API would accept, and nothing else."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy.orm import selectinload

from api.companies import CompanyUpdate
from api.contacts import ContactUpdate
from api.deals import DealUpdate
from api.invoices import InvoiceUpdate
from api.leads import LeadUpdate
from api.quotes import QuoteUpdate
from api.schemas import Write
from models.contact import Contact
from models.contact_point import points
from models.database import Database
from models.department import Department
from models.field_definition import FieldDefinition, add_definition
from models.field_writing import WritableFields
from models.fields import FieldKind
from models.history import HistoryEntry, HistoryKind
from models.installation import installation
from models.item import Deal, Item, Lead
from models.item_type import ItemType
from models.rule_run import RuleRun, RunState
from models.stage_entry import StageEntry
from models.user import User
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused, rules_of
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

NOW = datetime(2027, 3, 31, 22, 30, tzinfo=UTC)
"""Half past midnight on 1 April in Berlin."""


def change(field: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "value": value}


async def custom(database: Database, name: str, kind: FieldKind, *choices: str) -> None:
    """Give deals a custom field, called by its name with a capital."""
    definition = FieldDefinition(
        item_type=ItemType.DEAL,
        name=name,
        title=name.capitalize(),
        kind=kind,
        choices=list(choices),
    )
    async with database.transaction() as session:
        await add_definition(session, definition)


async def entered(
    database: Database, *changes: dict[str, Any], append: bool = False, **deal: Any
) -> StageEntry:
    """Let a deal enter a stage where a rule makes these changes."""
    params = {"changes": list(changes), "append": append}
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "edit_item", params=params)
        _, entry = await a_deal(session, stage, **deal)
    return entry


async def the_deal(database: Database) -> Deal:
    (deal,) = await all_of(database, Deal, options=(selectinload(Item.further_contacts),))
    return deal


async def changes_told(database: Database) -> list[HistoryEntry]:
    kinds = (HistoryKind.CHANGED, HistoryKind.RESPONSIBLE_CHANGED)
    return await all_of(database, HistoryEntry, HistoryEntry.kind.in_(kinds))


async def test_fields_of_every_kind_take_constants(database: Database, runner: Runner) -> None:
    entry = await entered(
        database,
        change("deal.title", " Press "),
        change("deal.amount", 12.5),
        change("deal.currency", "PLN"),
        change("deal.close_date", "2027-06-01"),
        change("item.source", "Fair"),
    )

    run = await runner.do(entry.id)

    deal = await the_deal(database)
    assert (deal.title, deal.amount, deal.currency) == ("Press", Decimal("12.50"), "PLN")
    assert (deal.close_date, deal.source) == (date(2027, 6, 1), "Fair")
    assert (run.state, run.outcome) == (
        RunState.DONE,
        "Changed Title, Amount, Currency, Close date, Source.",
    )
    assert run.result == {"changed": 5}


async def test_custom_fields_of_every_kind_take_constants(
    database: Database, runner: Runner
) -> None:
    await custom(database, "contract", FieldKind.TEXT)
    await custom(database, "area", FieldKind.NUMBER)
    await custom(database, "deposit", FieldKind.MONEY)
    await custom(database, "signed", FieldKind.DATETIME)
    await custom(database, "steep", FieldKind.BOOLEAN)
    await custom(database, "roof", FieldKind.LIST, "Flat", "Gable")
    await custom(database, "sides", FieldKind.MULTI, "North", "South")
    entry = await entered(
        database,
        change("deal.custom.contract", "K-17"),
        change("deal.custom.area", 3.5),
        change("deal.custom.deposit", "12.5"),
        change("deal.custom.signed", "2027-06-01T09:00+02:00"),
        change("deal.custom.steep", value=True),
        change("deal.custom.roof", "Flat"),
        change("item.custom.sides", ["North", "South"]),
    )

    run = await runner.do(entry.id)

    assert (await the_deal(database)).custom == {
        "contract": "K-17",
        "area": 3.5,
        "deposit": "12.50",
        "signed": "2027-06-01T07:00:00Z",
        "steep": True,
        "roof": "Flat",
        "sides": ["North", "South"],
    }
    assert run.result == {"changed": 7}


async def test_a_text_with_fields_is_read_as_the_kind_of_the_field(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = "Europe/Berlin"
    await custom(database, "area", FieldKind.NUMBER)
    await custom(database, "steep", FieldKind.BOOLEAN)
    await custom(database, "before", FieldKind.MULTI, "North", "South, a bit")
    await custom(database, "sides", FieldKind.MULTI, "North", "South, a bit")
    await custom(database, "signed", FieldKind.DATETIME)
    entry = await entered(
        database,
        change("deal.amount", "{{ deal.amount | times: 1.1 | round: 2 }}"),
        change("deal.begin_date", "{{ deal.close_date }}"),
        change("deal.close_date", "{{ deal.created_at }}"),
        change("deal.custom.area", " {{ deal.custom.area | plus: 1 }} "),
        change("deal.custom.steep", "{% if deal.amount > 5 %}true{% else %}false{% endif %}"),
        change("deal.custom.sides", "{{ deal.custom.before }}"),
        change("deal.custom.signed", "{{ deal.close_date }}"),
        change("deal.responsible_id", "{{ creator.id }}"),
        amount=Decimal("10.10"),
        close_date=date(2027, 6, 1),
        creator=User(name="Cem"),
        custom={"area": 3, "before": ["North", "South, a bit"]},
    )

    run = await runner.do(entry.id)

    deal = await the_deal(database)
    assert run.state is RunState.DONE, run.outcome
    assert (deal.amount, deal.begin_date) == (Decimal("11.11"), date(2027, 6, 1))
    assert deal.close_date == deal.created_at.astimezone().date()
    assert deal.responsible_id == deal.creator_id
    assert deal.custom == {
        "area": 4,
        "before": ["North", "South, a bit"],
        "steep": True,
        "sides": ["North", "South, a bit"],
        "signed": "2027-05-31T22:00:00Z",
    }


async def test_a_result_of_a_rule_above_can_be_written_into_a_field(
    database: Database, runner: Runner
) -> None:
    await custom(database, "task", FieldKind.NUMBER)
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        written = change("deal.custom.task", "{{ results.create_task.id }}")
        rules_of(
            session,
            stage,
            {"action": "create_task", "params": {"title": "Call"}},
            {"action": "edit_item", "params": {"changes": [written]}},
        )
        _, entry = await a_deal(session, stage)
    task = await runner.do(entry.id)

    await runner.do(entry.id)

    assert task.result is not None
    assert (await the_deal(database)).custom == {"task": task.result["id"]}


async def test_dates_and_times_can_be_so_long_after_the_run_or_around_another_date(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (await installation(session)).time_zone = "Europe/Berlin"
    await custom(database, "due", FieldKind.DATETIME)
    around = {"field": "deal.close_date", "direction": "before", "amount": 1, "unit": "months"}
    entry = await entered(
        database,
        change("deal.custom.due", {"amount": 2, "unit": "hours"}),
        change("deal.begin_date", around),
        change("deal.close_date", {"amount": 2, "unit": "weeks"}),
        close_date=date(2027, 6, 1),
    )

    run = await runner.do(entry.id, at=NOW)

    deal = await the_deal(database)
    assert run.state is RunState.DONE, run.outcome
    assert deal.custom == {"due": "2027-04-01T00:30:00Z"}
    assert (deal.begin_date, deal.close_date) == (date(2027, 5, 1), date(2027, 4, 15))


async def test_what_is_told_by_an_empty_date_or_a_text_of_nothing_is_emptied(
    database: Database, runner: Runner
) -> None:
    await custom(database, "contract", FieldKind.TEXT)
    around = {"field": "deal.close_date", "direction": "at"}
    entry = await entered(
        database,
        change("deal.amount"),
        change("deal.source", " {{ contact.name }} "),
        change("deal.begin_date", around),
        change("deal.comments", ""),
        change("deal.custom.contract", "{{ deal.close_date }}"),
        change("deal.further_contact_ids"),
        amount=Decimal(10),
        source="Fair",
        begin_date=date(2027, 1, 1),
        comments="Facing south.",
        custom={"contract": "K-17"},
        further_contacts=[Contact(first_name="Anna")],
    )

    run = await runner.do(entry.id)

    deal = await the_deal(database)
    assert run.state is RunState.DONE, run.outcome
    assert (deal.amount, deal.source, deal.begin_date, deal.comments) == (None, None, None, None)
    assert (deal.custom, deal.further_contact_ids) == ({}, [])


async def test_what_is_the_same_already_is_no_change(database: Database, runner: Runner) -> None:
    entry = await entered(
        database,
        change("deal.title", "{{ deal.title }}"),
        change("deal.amount", 10),
        change("deal.source"),
        amount=Decimal("10.00"),
    )
    before = (await the_deal(database)).version

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.DONE, "Nothing changed.")
    assert run.result == {"changed": 0}
    assert await changes_told(database) == []
    assert (await the_deal(database)).version == before


async def test_history_tells_each_real_change_with_rule_run_and_whoever_is_named(
    database: Database, runner: Runner
) -> None:
    tom = User(name="Tom")
    params = {
        "changes": [change("deal.amount", 12), change("deal.title", "Lathe")],
        "changed_by": {"by": "responsible"},
    }
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "edit_item", params=params)
        _, entry = await a_deal(session, stage, responsible=tom)

    run = await runner.do(entry.id)

    (line,) = await changes_told(database)
    assert line.text == "Amount: (empty) → 12.00"
    assert (line.field, line.old, line.new) == ("amount", None, "12.00")
    assert (line.author_id, line.rule_id, line.run_id) == (tom.id, run.rule_id, run.id)


async def test_without_anybody_named_it_is_automation(database: Database, runner: Runner) -> None:
    entry = await entered(database, change("deal.amount", 12))

    run = await runner.do(entry.id)

    (line,) = await changes_told(database)
    assert (line.author_id, line.run_id) == (None, run.id)


async def test_users_are_named_by_what_they_are_to_the_item(
    database: Database, runner: Runner
) -> None:
    await custom(database, "helper", FieldKind.USER)
    async with database.transaction() as session:
        marta = User(name="Marta")
        session.add(Department(name="Sales", head=marta))
    (sales,) = await all_of(database, Department)
    tom = User(name="Tom")
    async with database.transaction() as session:
        tom.department = await session.get_one(Department, sales.id)
        session.add(tom)
    entry = await entered(
        database,
        change("deal.responsible_id", {"by": "supervisor"}),
        change("deal.custom.helper", {"by": "responsible"}),
        responsible=tom,
    )

    run = await runner.do(entry.id)

    deal = await the_deal(database)
    assert run.state is RunState.DONE, run.outcome
    assert (deal.responsible_id, deal.custom) == (marta.id, {"helper": tom.id})
    told = [(each.kind, each.text) for each in await changes_told(database)]
    assert (HistoryKind.RESPONSIBLE_CHANGED, "Responsible: Tom → Marta") in told


async def test_several_values_replace_those_there_are(database: Database, runner: Runner) -> None:
    await custom(database, "sides", FieldKind.MULTI, "North", "South", "West")
    anna, ben = Contact(first_name="Anna"), Contact(first_name="Ben")
    async with database.transaction() as session:
        session.add(ben)
    entry = await entered(
        database,
        change("deal.custom.sides", ["South", "West"]),
        change("deal.further_contact_ids", [ben.id]),
        custom={"sides": ["North", "South"]},
        further_contacts=[anna],
    )

    await runner.do(entry.id)

    deal = await the_deal(database)
    assert deal.custom == {"sides": ["South", "West"]}
    assert deal.further_contact_ids == [ben.id]


async def test_several_values_are_added_if_that_is_chosen_each_once(
    database: Database, runner: Runner
) -> None:
    await custom(database, "sides", FieldKind.MULTI, "North", "South", "West")
    anna, ben = Contact(first_name="Anna"), Contact(first_name="Ben")
    async with database.transaction() as session:
        session.add(ben)
    entry = await entered(
        database,
        change("deal.custom.sides", ["South", "West"]),
        change("deal.further_contact_ids", ben.id),
        append=True,
        custom={"sides": ["North", "South"]},
        further_contacts=[anna],
    )

    await runner.do(entry.id)

    deal = await the_deal(database)
    assert deal.custom == {"sides": ["North", "South", "West"]}
    assert deal.further_contact_ids == sorted([anna.id, ben.id])


async def test_nothing_can_be_added_too(database: Database, runner: Runner) -> None:
    await custom(database, "sides", FieldKind.MULTI, "North")
    entry = await entered(
        database,
        change("deal.custom.sides", "{{ deal.source }}"),
        append=True,
        custom={"sides": ["North"]},
    )

    run = await runner.do(entry.id)

    assert run.outcome == "Nothing changed."


async def test_a_lead_has_names_phones_and_addresses_too(
    database: Database, runner: Runner
) -> None:
    params = {
        "changes": [
            change("lead.first_name", "Ida"),
            change("lead.phones", "030 22222\n030 1234567"),
            change("lead.emails", ["ida@example.com"]),
        ],
        "append": True,
    }
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New", item_type=ItemType.LEAD)
        a_rule(session, stage, "edit_item", params=params)
        there = points(phones=["030 1234567"], emails=[], region="DE")
        _, entry = await a_lead(session, stage, contact_points=there)

    run = await runner.do(entry.id)

    assert run.state is RunState.DONE, run.outcome
    (lead,) = await all_of(database, Lead, options=(selectinload(Lead.contact_points),))
    assert (lead.first_name, lead.emails) == ("Ida", ["ida@example.com"])
    assert lead.phones == ["030 1234567", "030 22222"]


async def test_runs_that_wait_for_a_date_of_the_item_follow_it(
    database: Database, runner: Runner
) -> None:
    around = {"kind": "around_date", "field": "deal.close_date", "direction": "at"}
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        changes = [change("deal.close_date", "2027-09-01")]
        rules_of(
            session,
            stage,
            {"action": "edit_item", "params": {"changes": changes}},
            {"timing": around},
        )
        _, entry = await a_deal(session, stage, close_date=date(2027, 6, 1))

    await runner.do(entry.id)

    _, waiting = await all_of(database, RuleRun)
    assert waiting.due_at is not None
    assert abs(waiting.due_at - datetime(2027, 9, 1, tzinfo=UTC)) < timedelta(days=1)


async def test_a_value_that_the_field_does_not_take_fails_naming_it_and_nothing_is_changed(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        change("deal.source", "Fair"),
        change("deal.amount", "{{ deal.title }}"),
    )

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "deal.amount: Input should be a valid decimal",
    )
    assert (await the_deal(database)).source is None


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("deal.amount", "-{{ deal.amount }}", "Input should be greater than or equal to 0"),
        ("deal.title", "{{ contact.name }}", "this is never empty"),
        (
            "deal.close_date",
            "{{ deal.title }}",
            "write a day like 2027-08-31",
        ),
        ("deal.currency", "{{ deal.title }}", "this is no currency code of ISO 4217 such as EUR"),
        ("deal.responsible_id", "{{ deal.amount | floor }}7", "There is no user 107."),
        (
            "deal.custom.area",
            "{{ deal.title }}",
            "«Area» takes a number of at most 15 digits such as 3 or 0.1.",
        ),
        ("deal.custom.roof", "{{ deal.title }}", "«Roof» has no choice Lathe, did you mean Flat?"),
        ("deal.contact_id", "{{ deal.amount | floor }}7", "There is no contact 107."),
    ],
)
async def test_what_the_api_would_refuse_fails_with_field_and_reason(
    database: Database, runner: Runner, field: str, value: str, reason: str
) -> None:
    await custom(database, "area", FieldKind.NUMBER)
    await custom(database, "roof", FieldKind.LIST, "Flat")
    entry = await entered(database, change(field, value), amount=Decimal(10))

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, f"{field}: {reason}")


async def test_a_moment_that_is_no_day_where_the_company_is_fails_naming_the_field(
    database: Database, runner: Runner
) -> None:
    async with database.transaction() as session:
        (await installation(session, lock=True)).time_zone = "Europe/Berlin"
    entry = await entered(database, change("deal.close_date", "9999-12-31T23:30:00Z"))

    run = await runner.do(entry.id, at=NOW)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "deal.close_date: Datetimes provided to dates should have zero time - e.g. be exact dates",
    )


async def test_a_custom_field_that_is_gone_fails_naming_it(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, change("deal.custom.gone", 1))

    run = await runner.do(entry.id)

    assert run.outcome == "unknown field deal.custom.gone, did you mean deal.comments?"


@on_one_database
@pytest.mark.parametrize(
    ("field", "value", "at", "reason"),
    [
        ("deal.amont", 1, "field", "unknown field deal.amont, did you mean deal.amount?"),
        ("amount", 1, "field", "unknown field amount, did you mean deal.amount?"),
        ("lead.amount", 1, "field", "unknown field lead.amount, did you mean deal.amount?"),
        ("deal.stage", 1, "field", "deal.stage is changed by the action change_stage"),
        (
            "item.pipeline_id",
            1,
            "field",
            "item.pipeline_id is changed by the action change_pipeline",
        ),
        ("contact.phones", [], "field", "contact.phones is changed by the action edit_contact"),
        ("deal.url", "x", "field", "deal.url cannot be changed"),
        ("deal.created_at", None, "field", "deal.created_at cannot be changed"),
        ("deal.amount", "x", "value", "Input should be a valid decimal"),
        (
            "deal.amount",
            True,
            "value",
            "Decimal input should be an integer, float, string or Decimal object",
        ),
        ("deal.amount", [1], "value", "this field holds one value, not a list"),
        ("deal.title", None, "value", "this is never empty"),
        ("deal.title", "x" * 201, "value", "String should have at most 200 characters"),
        ("deal.title", {"by": "responsible"}, "value", "this field holds no user"),
        ("deal.title", {"amount": 1, "unit": "days"}, "value", "this field holds no date or time"),
        (
            "deal.close_date",
            "soon",
            "value",
            "write a day like 2027-08-31",
        ),
        (
            "deal.source",
            "{{ deal.titel }}",
            "value",
            "line 1, column 4: unknown field deal.titel, did you mean deal.title?",
        ),
        ("deal.responsible_id", 42, "value", "There is no user 42."),
        ("deal.responsible_id", {"by": "user", "id": 42}, "value/id", "There is no user 42."),
        ("deal.further_contact_ids", [42], "value/0", "There is no contact 42."),
        (
            "deal.custom.sides",
            ["North", "Up"],
            "value/1",
            "«Sides» has no choice Up; there are North.",
        ),
        ("deal.custom.sides", "Up", "value", "«Sides» has no choice Up; there are North."),
        (
            "deal.close_date",
            {"field": "deal.title", "direction": "at"},
            "value/field",
            "deal.title is no date of the item, as deal.begin_date is",
        ),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, field: str, value: Any, at: str, reason: str
) -> None:
    await custom(database, "sides", FieldKind.MULTI, "North")
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
    params = {"changes": [change("deal.comments", "Fair"), change(field, value)]}

    assert await refused(database, stage, "edit_item", params) == {
        f"/params/changes/1/{at}": reason
    }


async def test_a_field_can_be_changed_once(database: Database) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
    params = {"changes": [change("deal.source", "Fair"), change("item.source", "Web")]}

    assert await refused(database, stage, "edit_item", params) == {
        "/params/changes/1/field": "item.source is there twice"
    }


NOT_BY_RULES = {"custom", "product_rows", "external_id"}
"""What the API takes beside fields of one value, or of several."""


@pytest.mark.parametrize(
    ("root", "item_type", "update"),
    [
        ("item", ItemType.LEAD, LeadUpdate),
        ("item", ItemType.DEAL, DealUpdate),
        ("item", ItemType.QUOTE, QuoteUpdate),
        ("item", ItemType.INVOICE, InvoiceUpdate),
        ("contact", ItemType.DEAL, ContactUpdate),
        ("company", ItemType.DEAL, CompanyUpdate),
    ],
)
async def test_rules_write_the_fields_that_the_api_writes_and_each_takes_the_same(
    database: Database, root: str, item_type: ItemType, update: type[Write]
) -> None:
    async with database.reading() as session:
        fields = await WritableFields.of(session, root, item_type)

    ours = {
        name: TypeAdapter(field.takes if field.required or field.several else field.takes | None)
        for name, field in fields.by_name.items()
    }
    theirs = {
        name: TypeAdapter(field.rebuild_annotation())
        for name, field in update.model_fields.items()
        if name not in NOT_BY_RULES
    }
    assert {name: each.json_schema() for name, each in ours.items()} == {
        name: each.json_schema() for name, each in theirs.items()
    }
