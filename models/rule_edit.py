"""Changing rules: each edit is a version, switching off holds, deleting asks about what waits."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.errors import Conflict
from models.pipeline import Stage
from models.rule import Rule, RuleVersion, find_rule, next_position, present
from models.rule_run import (
    OPEN,
    Hold,
    RuleRun,
    RunState,
    count_waiting,
    finish_run,
    hold_all,
    release_all,
)
from models.stage_entry import lock_run
from models.user import User

SAID = (
    "title",
    "action",
    "params",
    "timing",
    "conditions",
    "after_previous",
    "keep_when_item_leaves",
    "once_per_item",
)
"""What a version freezes; place and switch belong to the rule."""


def said(rule: Rule) -> dict[str, Any]:
    """Return what the rule says now, as JSON."""
    version = present(rule)
    return {name: getattr(version, name) for name in SAID}


async def add_rule(
    session: AsyncSession,
    stage: Stage,
    text: Mapping[str, Any],
    *,
    position: int | None,
    enabled: bool,
    by: User,
) -> Rule:
    """Hang a rule with this text, checked before, on a stage; by default below the others.

    Items that stand there already are not concerned.
    """
    place = await next_position(session, stage.id) if position is None else position
    rule = Rule(stage=stage, position=place, enabled=enabled)
    session.add(rule)
    await _say(session, rule, text, 1, by)
    return rule


async def rewrite(session: AsyncSession, rule: Rule, text: Mapping[str, Any], by: User) -> None:
    """Give a locked rule a new text, checked before; runs that wait keep the one they have."""
    if text != said(rule):
        await _say(session, rule, text, present(rule).number + 1, by)


async def _say(
    session: AsyncSession, rule: Rule, text: Mapping[str, Any], number: int, by: User
) -> None:
    version = RuleVersion(rule=rule, number=number, created_by_id=by.id, **text)
    session.add(version)
    await session.flush()
    rule.version = version
    await session.flush()


async def switch(session: AsyncSession, rule: Rule, *, enabled: bool) -> None:
    """Switch a locked rule off, which holds its waiting runs, or on, which lets them go on."""
    if enabled is rule.enabled:
        return
    rule.enabled = enabled
    if enabled:
        await release_all(session, Hold.RULE_OFF, rule.id)
    else:
        await hold_all(session, rule.id)


async def delete_rule(
    session: AsyncSession, rule_id: int, by: User, *, drop_waiting: bool = False
) -> None:
    """Take a rule off its stage. Runs that wait are dropped if that is wanted, else a `Conflict`.

    Runs that have ended are kept, with what the rule said.
    """
    await find_rule(session, rule_id)
    if drop_waiting:
        await _drop_waiting(session, rule_id, by)
    rule = await find_rule(session, rule_id, lock=True)
    if count := await count_waiting(session, rule_id):
        runs = "run" if count == 1 else "runs"
        raise Conflict(
            f"Rule {rule_id} has {count} waiting {runs}. Let them end, or send waiting=drop."
        )
    rule.deleted_at = clock.now()


async def _drop_waiting(session: AsyncSession, rule_id: int, by: User) -> None:
    # Items are locked before the rule, as everywhere, in ascending order.
    waiting = await session.scalars(
        select(RuleRun.id)
        .where(RuleRun.rule_id == rule_id, RuleRun.state.in_(OPEN))
        .order_by(RuleRun.item_id, RuleRun.stage_entry_id)
    )
    for run_id in waiting.all():
        run = await lock_run(session, run_id)
        if run.is_open:
            await finish_run(session, run, RunState.DROPPED, "the rule was deleted", by=by)
    await session.flush()
