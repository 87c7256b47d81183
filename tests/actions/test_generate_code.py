"""Generate code: of the length and characters wanted, and in a field the only one."""

import asyncio
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from models.clock import now
from models.database import Database
from models.field_definition import FieldDefinition, add_definition
from models.fields import FieldKind
from models.history import HistoryEntry, HistoryKind
from models.item import Deal, Item, Lead
from models.item_type import ItemType
from models.pipeline import Stage, find_stage
from models.rule_run import RuleRun, RunState
from models.stage_entry import StageEntry
from tests.factories import a_deal, a_lead, a_pipeline, a_rule, all_of, refused, rules_of
from tests.fixtures.database import on_one_database
from tests.fixtures.runner import Runner

CODE = "deal.custom.code"


@pytest.fixture
async def stage(database: Database) -> Stage:
    """A stage of deals, which have a text field *code* and a number *area*."""
    async with database.transaction() as session:
        (stage,) = a_pipeline(session, "New")
        await define(session, "code", FieldKind.TEXT)
        await define(session, "area", FieldKind.NUMBER)
    return stage


async def define(session: AsyncSession, name: str, kind: FieldKind) -> None:
    definition = FieldDefinition(
        item_type=ItemType.DEAL, name=name, title=name.capitalize(), kind=kind, choices=[]
    )
    await add_definition(session, definition)


async def entered(database: Database, stage: Stage, params: dict[str, Any]) -> StageEntry:
    async with database.transaction() as session:
        here = await find_stage(session, stage.id)
        a_rule(session, here, "generate_code", params=params)
        _, entry = await a_deal(session, here)
    return entry


async def enter(database: Database, stage: Stage) -> StageEntry:
    async with database.transaction() as session:
        _, entry = await a_deal(session, await find_stage(session, stage.id))
    return entry


async def there(database: Database, stage: Stage, *codes: str) -> None:
    """Let deals have these codes already; no rule is on the stage yet."""
    async with database.transaction() as session:
        here = await find_stage(session, stage.id)
        [await a_deal(session, here, custom={"code": code}) for code in codes]


async def code_of(database: Database, entry: StageEntry) -> str | None:
    (deal,) = await all_of(database, Deal, Deal.id == entry.item_id)
    return deal.custom.get("code")


def left_by(run: RuleRun) -> str:
    """Return the code that a run has left."""
    assert run.result is not None, run.outcome
    return str(run.result["code"])


async def test_by_default_it_is_five_digits_and_only_left_for_rules_below(
    database: Database, runner: Runner, stage: Stage
) -> None:
    entry = await entered(database, stage, {})

    run = await runner.do(entry.id)

    code = left_by(run)
    assert (len(code), set(code) <= set(digits)) == (5, True)
    assert (run.state, run.outcome) == (RunState.DONE, f"Generated {code}.")
    assert await code_of(database, entry) is None


@on_one_database
@pytest.mark.parametrize(
    ("alphabets", "characters"),
    [
        (["digits"], digits),
        (["lower"], ascii_lowercase),
        (["upper", "digits"], ascii_uppercase + digits),
        (["lower", "lower", "upper", "digits"], ascii_lowercase + ascii_uppercase + digits),
    ],
)
async def test_it_is_made_of_the_characters_wanted_all_of_them(
    database: Database, runner: Runner, stage: Stage, alphabets: list[str], characters: str
) -> None:
    first = await entered(database, stage, {"length": 64, "alphabets": alphabets})
    entries = [first, *[await enter(database, stage) for _ in range(19)]]

    codes = [left_by(await runner.do(entry.id)) for entry in entries]

    # One of 62 characters is missing in 1280 draws once in ten million.
    assert set("".join(codes)) == set(characters)
    assert {len(code) for code in codes} == {64}
    assert len(set(codes)) == 20


async def test_rules_below_call_it_code(database: Database, runner: Runner, stage: Stage) -> None:
    async with database.transaction() as session:
        here = await find_stage(session, stage.id)
        text = "{{ code }} {{ results.generate_code.code }}"
        rules_of(
            session, here, {"action": "generate_code", "params": {}}, {"params": {"text": text}}
        )
        _, entry = await a_deal(session, here)

    code = left_by(await runner.do(entry.id))
    await runner.do(entry.id)

    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.INFORMATION)
    assert line.text == f"{code} {code}"


async def test_it_is_written_into_the_field_and_history_tells_so(
    database: Database, runner: Runner, stage: Stage
) -> None:
    entry = await entered(database, stage, {"target": CODE})

    run = await runner.do(entry.id)

    assert await code_of(database, entry) == left_by(run)
    (line,) = await all_of(database, HistoryEntry, HistoryEntry.kind == HistoryKind.CHANGED)
    assert (line.field, line.new, line.run_id) == ("custom.code", left_by(run), run.id)


async def test_a_field_of_the_item_itself_can_be_the_target(
    database: Database, runner: Runner, stage: Stage
) -> None:
    entry = await entered(database, stage, {"target": "item.source"})

    run = await runner.do(entry.id)

    (deal,) = await all_of(database, Deal)
    assert deal.source == left_by(run)


async def test_it_is_tried_until_no_other_item_has_it_there_not_even_in_the_bin(
    database: Database, runner: Runner, stage: Stage
) -> None:
    await there(database, stage, *"678")
    async with database.transaction() as session:
        await session.execute(update(Item).values(deleted_at=now()))
    await there(database, stage, *"012345")
    entry = await entered(database, stage, {"target": CODE, "length": 1})

    run = await runner.do(entry.id)

    assert left_by(run) == "9"


async def test_items_of_another_type_may_have_the_same(
    database: Database, runner: Runner, stage: Stage
) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        [await a_lead(session, incoming, custom={"code": code}) for code in digits]
    entry = await entered(database, stage, {"target": CODE, "length": 1})

    run = await runner.do(entry.id)

    assert run.state is RunState.DONE, run.outcome


async def test_where_all_are_taken_it_fails_after_so_many_tries(
    database: Database, runner: Runner, stage: Stage
) -> None:
    await there(database, stage, *digits)
    entry = await entered(database, stage, {"target": CODE, "length": 1})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "Found no free code in 100 tries. Let it be longer, or made of more.",
    )
    assert await code_of(database, entry) is None


async def test_ten_deals_at_once_get_the_ten_codes_that_there_are(
    database: Database, runner: Runner, stage: Stage
) -> None:
    first = await entered(database, stage, {"target": CODE, "length": 1})
    entries = [first, *[await enter(database, stage) for _ in range(9)]]

    runs = await asyncio.gather(*(runner.do(entry.id) for entry in entries))

    assert sorted(map(left_by, runs)) == list(digits)


async def test_it_is_for_leads_too(database: Database, runner: Runner) -> None:
    async with database.transaction() as session:
        (incoming,) = a_pipeline(session, "Incoming", item_type=ItemType.LEAD)
        a_rule(session, incoming, "generate_code", params={"target": "lead.source"})
        _, entry = await a_lead(session, incoming)

    run = await runner.do(entry.id)

    (lead,) = await all_of(database, Lead)
    assert lead.source == left_by(run)


async def test_a_field_that_is_gone_fails_naming_it(
    database: Database, runner: Runner, stage: Stage
) -> None:
    entry = await entered(database, stage, {"target": "deal.custom.gone"})

    run = await runner.do(entry.id)

    assert (run.state, run.outcome) == (
        RunState.FAILED,
        "unknown field deal.custom.gone, did you mean deal.custom.code?",
    )


@on_one_database
@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ({"length": 0}, "length", "Input should be greater than or equal to 1"),
        ({"length": 65}, "length", "Input should be less than or equal to 64"),
        (
            {"alphabets": []},
            "alphabets",
            "Input should have at least 1 item, not 0",
        ),
        (
            {"target": "deal.custom.kode"},
            "target",
            "unknown field deal.custom.kode, did you mean deal.custom.code?",
        ),
        ({"target": "deal.custom.area"}, "target", "deal.custom.area is no field of text"),
        ({"target": "deal.currency"}, "target", "deal.currency is no field of text"),
        (
            {"target": "contact.position"},
            "target",
            "contact.position is changed by the action edit_contact",
        ),
        ({"target": "deal.stage"}, "target", "deal.stage is changed by the action change_stage"),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_place_and_reason(
    database: Database, stage: Stage, params: dict[str, Any], field: str, reason: str
) -> None:
    assert await refused(database, stage, "generate_code", params) == {f"/params/{field}": reason}
