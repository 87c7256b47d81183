"""Changing rules: each edit is a version; what waits keeps its own, unless something else is said.

Switching off holds what waits, deleting asks about it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.errors import Conflict
from models.item import Item
from models.pipeline import Stage
from models.retiming import start_anew
from models.rule import Rule, RuleVersion, find_rule, next_position, present
from models.rule_run import (
    MOST_AT_ONCE,
    OPEN,
    Hold,
    RuleRun,
    RunState,
    count_waiting,
    finish_run,
    hold_all,
    release_all,
)
from models.stage_entry import StageEntry, lock_entries
from models.user import User


class Waiting(StrEnum):
    """What becomes of the runs that wait for a rule whose text changes; those that began go on."""

    KEEP = "keep"
    RETIME = "retime"
    CANCEL = "cancel"


SAID = (
    "title",
    "action",
    "params",
    "timing",
    "conditions",
    "after_previous",
    "keep_when_item_leaves",
    "once_per_item",
    "stop_on_failure",
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


async def lock_to_rewrite(session: AsyncSession, rule_id: int, waiting: Waiting) -> Rule:
    """Return a rule, locked after the items whose runs will be concerned, or raise `NotFound`."""
    if waiting is not Waiting.KEEP:
        await _lock_items(session, rule_id)
    return await find_rule(session, rule_id, lock=True)


async def rewrite(
    session: AsyncSession,
    rule: Rule,
    text: Mapping[str, Any],
    by: User,
    waiting: Waiting = Waiting.KEEP,
) -> None:
    """Give a rule, locked for it, a new text, checked before; `waiting` runs follow it, or end."""
    if text != said(rule):
        await _say(session, rule, text, present(rule).number + 1, by)
        if waiting is not Waiting.KEEP:
            version = present(rule)
            for run in await _waiting_runs(session, rule.id):
                await _follow(session, run, version, waiting, by)
            await session.flush()


async def _follow(
    session: AsyncSession, run: RuleRun, version: RuleVersion, waiting: Waiting, by: User
) -> None:
    if run.began_at is not None:
        return
    if waiting is Waiting.CANCEL:
        await finish_run(session, run, RunState.DROPPED, "the rule was changed", by=by)
        return
    run.version = version
    run.keep = version.keep_when_item_leaves
    run.next_activity = version.action
    await start_anew(session, run, by=by)


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
        await _lock_items(session, rule_id)
    rule = await find_rule(session, rule_id, lock=True)
    if drop_waiting:
        for run in await _waiting_runs(session, rule_id):
            await finish_run(session, run, RunState.DROPPED, "the rule was deleted", by=by)
        await session.flush()
    if count := await count_waiting(session, rule_id):
        runs = "run" if count == 1 else "runs"
        raise Conflict(
            f"Rule {rule_id} has {count} waiting {runs}. Let them end, or send waiting=drop."
        )
    rule.deleted_at = clock.now()


async def _lock_items(session: AsyncSession, rule_id: int) -> Sequence[Item]:
    """Return the items for which runs of a rule are open, locked in order."""
    found = await session.scalars(
        select(Item)
        .where(Item.id.in_(select(RuleRun.item_id).where(_open_of(rule_id))))
        .order_by(Item.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def _waiting_runs(session: AsyncSession, rule_id: int) -> list[RuleRun]:
    """Return the open runs of a rule, locked with their entries after all their items.

    In few statements for any number. Items that have come since the first lock are locked now.
    """
    items = await _lock_items(session, rule_id)
    concerned = StageEntry.id.in_(select(RuleRun.stage_entry_id).where(_open_of(rule_id)))
    found = []
    for start in range(0, len(items), MOST_AT_ONCE):
        entries = await lock_entries(session, items[start : start + MOST_AT_ONCE], concerned)
        found += [run for entry in entries for run in entry.runs]
    return [run for run in found if run.rule_id == rule_id and run.is_open]


def _open_of(rule_id: int) -> ColumnElement[bool]:
    return (RuleRun.rule_id == rule_id) & RuleRun.state.in_(OPEN)
