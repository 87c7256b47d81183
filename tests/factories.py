"""Things to test with: sensible defaults, everything else named by the test."""

from datetime import datetime
from typing import Any, TypeVar

import pytest
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import ExecutableOption

from activities.registry import RulePlace
from activities.rule_check import check_rule
from models.base import Record
from models.crm_activity import CrmActivity, CrmActivityKind
from models.database import Database
from models.entering import create_item
from models.errors import InvalidRule
from models.item import Deal, Invoice, Item, Lead
from models.item_type import ItemType
from models.pipeline import Pipeline, Stage
from models.reminders import set_reminders
from models.rule import Rule, RuleVersion
from models.stage_entry import Cause, StageEntry
from models.trigger import Trigger
from models.user import User

AT_ONCE = {"kind": "at_once"}
IN_AN_HOUR = {"kind": "after_delay", "amount": 1, "unit": "hours"}
BROKEN = {"kind": "nonsense"}
"""The timing of a rule whose stage nothing can enter: a fault of ours."""


def a_pipeline(
    session: AsyncSession, *names: str, item_type: ItemType = ItemType.DEAL
) -> list[Stage]:
    """Make a pipeline with these stages, in order."""
    pipeline = Pipeline(name="Sales", item_type=item_type)
    stages = [
        Stage(name=name, position=place, pipeline=pipeline) for place, name in enumerate(names)
    ]
    session.add_all(stages)
    return stages


def a_rule(
    session: AsyncSession,
    stage: Stage,
    action: str = "add_history_entry",
    *,
    timing: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    position: int = 0,
    **rest: Any,
) -> Rule:
    """Hang a rule on a stage without asking whether it makes sense."""
    rule = Rule(stage=stage, position=position, enabled=rest.pop("enabled", True))
    rule.version = RuleVersion(
        rule=rule,
        number=1,
        title=rest.pop("title", action),
        action=action,
        params={"text": "It was so."} if params is None else params,
        timing=timing or AT_ONCE,
        **rest,
    )
    session.add(rule)
    return rule


def a_trigger(session: AsyncSession, stage: Stage, code: str = "webhook", **rest: Any) -> Trigger:
    """Hang a trigger on a stage without asking whether it makes sense."""
    settings = rest.pop("settings", {"code": "go"} if code == "webhook" else {})
    name = rest.pop("name", code)
    trigger = Trigger(stage=stage, type=code, name=name, settings=settings, **rest)
    session.add(trigger)
    return trigger


def rules_of(session: AsyncSession, stage: Stage, *rules: dict[str, Any]) -> list[Rule]:
    """Hang these rules on a stage, top-down."""
    return [
        a_rule(session, stage, position=position, **rule) for position, rule in enumerate(rules)
    ]


async def a_deal(session: AsyncSession, stage: Stage, **rest: Any) -> tuple[Deal, StageEntry]:
    """Make a deal that enters the stage, by the hand of a person."""
    deal = Deal(title=rest.pop("title", "Lathe"), **rest)
    return deal, await _entered(session, deal, stage)


async def a_lead(session: AsyncSession, stage: Stage, **rest: Any) -> tuple[Lead, StageEntry]:
    """Make a lead that enters the stage, by the hand of a person."""
    lead = Lead(title=rest.pop("title", "A call"), **rest)
    return lead, await _entered(session, lead, stage)


async def an_invoice(
    session: AsyncSession, stage: Stage, **rest: Any
) -> tuple[Invoice, StageEntry]:
    """Make an invoice that enters the stage, by the hand of a person."""
    invoice = Invoice(title=rest.pop("title", "Bill"), **rest)
    return invoice, await _entered(session, invoice, stage)


async def _entered(session: AsyncSession, item: Item, stage: Stage) -> StageEntry:
    person = User(name="Ann")
    session.add(person)
    await session.flush()
    return await create_item(session, item, stage, Cause.person(person))


async def entered(database: Database, *rules: dict[str, Any], told: bool = False) -> StageEntry:
    """Let a deal enter the first of two stages, which has these rules; Temporal may know it."""
    async with database.transaction() as session:
        first, _ = a_pipeline(session, "New", "Won")
        rules_of(session, first, *rules)
        _, entry = await a_deal(session, first)
        await session.flush()
        entry.told_version = entry.agenda_version if told else 0
    return entry


async def planned(
    session: AsyncSession,
    item: Item,
    starts_at: datetime,
    *minutes_before: int,
    kind: CrmActivityKind = CrmActivityKind.MEETING,
    **rest: Any,
) -> CrmActivity:
    """Plan something for an item, with reminders so many minutes before."""
    subject = rest.pop("subject", "Offer")
    crm_activity = CrmActivity(
        kind=kind, subject=subject, item=item, starts_at=starts_at, reminders=[], **rest
    )
    session.add(crm_activity)
    set_reminders(session, crm_activity, minutes_before)
    await session.flush()
    return crm_activity


Kind = TypeVar("Kind", bound=Record)


async def all_of(
    database: Database,
    kind: type[Kind],
    *conditions: ColumnElement[bool],
    options: tuple[ExecutableOption, ...] = (),
) -> list[Kind]:
    """Return the rows that are there now and fulfil the conditions, in order of their ids."""
    wanted = select(kind).where(*conditions).options(*options).order_by(kind.id)
    async with database.reading() as session:
        return list(await session.scalars(wanted))


async def refused(
    database: Database, stage: Stage, action: str, params: dict[str, Any] | None = None
) -> dict[str, str]:
    """Check such a rule as it is checked when it is saved; return what is wrong, by field."""
    async with database.transaction() as session:
        with pytest.raises(InvalidRule) as caught:
            await check_rule(
                RulePlace(session, stage), action=action, params=params or {}, conditions=None
            )
    return {problem.field: problem.reason for problem in caught.value.problems}
