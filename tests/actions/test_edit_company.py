"""Change company: a rule edits the company of its item, as the API would."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import selectinload

from models import clock
from models.company import Company
from models.database import Database
from models.history import HistoryEntry, HistoryKind
from models.item_type import ItemType
from models.rule_run import RunState
from models.stage_entry import StageEntry
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner


def change(field: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "value": value}


async def entered(database: Database, *changes: dict[str, Any], **deal: Any) -> StageEntry:
    """Let a deal enter a stage where a rule changes its company so."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        a_rule(session, stage, "edit_company", params={"changes": list(changes)})
        _, entry = await a_deal(session, stage, **deal)
    return entry


def mills(**rest: Any) -> Company:
    return Company(name="Mills", contact_points=[], **rest)


async def the_company(database: Database) -> Company:
    company, *_ = await all_of(database, Company, options=(selectinload(Company.contact_points),))
    return company


async def test_fields_of_the_company_take_constants_and_fields_of_the_item(
    database: Database, runner: Runner
) -> None:
    entry = await entered(
        database,
        change("company.name", "{{ company.name }} & Sons"),
        change("company.industry"),
        change("company.founded_year", "{{ deal.amount | floor }}"),
        change("company.employees", 12),
        change("company.annual_revenue", 1000.5),
        change("company.emails", ["mills@example.com"]),
        company=mills(industry="Grain"),
        amount=Decimal(1987),
    )

    run = await runner.do(entry.id)

    company = await the_company(database)
    assert run.state is RunState.DONE, run.outcome
    assert (company.name, company.industry, company.founded_year) == ("Mills & Sons", None, 1987)
    assert (company.employees, company.annual_revenue) == (12, Decimal("1000.50"))
    assert company.emails == ["mills@example.com"]
    assert run.result == {"changed": 6}


async def test_the_change_stands_in_the_history_of_company_and_item(
    database: Database, runner: Runner
) -> None:
    entry = await entered(database, change("company.comments", "Paid."), company=mills())

    run = await runner.do(entry.id)

    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.CHANGED)
    company = await the_company(database)
    assert (line.text, line.field) == ("Comments: (empty) → Paid.", "comments")
    assert (line.subject_type, line.subject_id) == ("company", company.id)
    assert (line.item_id, line.author_id, line.run_id) == (entry.item_id, None, run.id)
    assert run.outcome == f"Changed Comments of company {company.id}."


@pytest.mark.parametrize("company", [lambda: None, lambda: mills(deleted_at=clock.now())])
async def test_without_a_company_outside_the_bin_it_fails_with_that_reason(
    database: Database, runner: Runner, company: Callable[[], Company | None]
) -> None:
    entry = await entered(database, change("company.comments", "Paid."), company=company())

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, f"Deal {entry.item_id} has no company.")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("company.name", "{{ deal.source }}", "this is never empty"),
        ("company.founded_year", "{{ deal.title }}", "Input should be a valid integer"),
        ("company.employees", "-{{ deal.id }}", "Input should be greater than or equal to 0"),
        (
            "company.parent_id",
            "{{ company.id }}",
            "Mills cannot be a subsidiary of Mills: that is a circle.",
        ),
    ],
)
async def test_what_the_api_would_refuse_fails_with_field_and_reason(
    database: Database, runner: Runner, field: str, value: str, reason: str
) -> None:
    entry = await entered(database, change(field, value), company=mills())

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (RunState.FAILED, f"{field}: {reason}")


async def test_it_is_for_leads_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New", item_type=ItemType.LEAD)
        changes = [change("company.address", "{{ lead.title }}")]
        a_rule(session, stage, "edit_company", params={"changes": changes})
        _, entry = await a_lead(session, stage, company=mills())

    await runner.do(entry.id)

    assert (await the_company(database)).address == "A call"


@on_one_database
@pytest.mark.parametrize(
    ("field", "value", "at", "reason"),
    [
        ("company.nmae", "x", "field", "unknown field company.nmae, did you mean company.name?"),
        ("contact.phones", [], "field", "contact.phones is changed by the action edit_contact"),
        ("company.name", "", "value", "this is never empty"),
        ("company.employees", 1.5, "value", "Input should be a valid integer"),
        ("company.founded_year", "20000", "value", "Input should be less than or equal to 9999"),
        ("company.parent_id", 42, "value", "There is no company 42."),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, field: str, value: Any, at: str, reason: str
) -> None:
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")

    assert await refused(database, stage, "edit_company", {"changes": [change(field, value)]}) == {
        f"/params/changes/0/{at}": reason
    }
