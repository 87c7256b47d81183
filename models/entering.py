"""Entering a stage: the one way into a stage entry, and out of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.base import in_order
from models.calendars import calendars_for
from models.crm_activity_end import complete_left, let_rest
from models.errors import Conflict, Invalid, LoopDetected, Problem
from models.history import HistoryEntry, HistoryKind, about_item
from models.item import Invoice, Item
from models.outbox import untold
from models.payment import mark_paid
from models.pipeline import Pipeline, Stage, StageKind
from models.rule import present, rules_of
from models.rule_run import OPEN, RuleRun, RunState, finish_run, needs_rows, next_due, ran_before
from models.stage_entry import (
    Automation,
    Cause,
    CauseKind,
    StageEntry,
    chain_to,
    lock_entries,
    sign,
)

MOST_LINKS = 100
MOST_ENTRIES = 200
ENTRIES_COUNT_FOR = timedelta(hours=24)
"""One root cause may open so many entries in this time, and so deep a chain whatever the time."""

MOST_TOLD = 4
"""Links of a chain of causes that are told of its beginning, and as many of its end."""


async def enter_stage(
    session: AsyncSession,
    item: Item,
    stage: Stage,
    cause: Cause,
    *,
    new_pipeline: bool = False,
    automation: Automation = Automation.RUN,
) -> StageEntry | None:
    """Let a locked item enter a stage: leave the present one, begin an entry, freeze its rules.

    The stage comes with its pipeline. Setting the same stage again changes nothing and returns
    None. Raises `Invalid` for a stage that the item cannot stand in, `Conflict` for an item in
    the recycle bin, `LoopDetected` where rules move items in a circle.
    """
    must_fit(item, stage, new_pipeline=new_pipeline)
    if item.stage_id == stage.id and cause.kind is not CauseKind.RESTORE:
        return None
    [entry] = await _enter(session, [(item, stage)], cause, automation)
    return entry


async def enter_stages(
    session: AsyncSession,
    placed: Sequence[tuple[Item, Stage]],
    cause: Cause,
    *,
    automation: Automation = Automation.RUN,
) -> list[StageEntry]:
    """Let many locked items enter a stage each, as `enter_stage` does, in few statements.

    Each must fit, and stand elsewhere now; the entries come in the same order.
    """
    for item, stage in placed:
        must_fit(item, stage)
    return await _enter(session, placed, cause, automation)


async def create_item(
    session: AsyncSession,
    item: Item,
    stage: Stage,
    cause: Cause,
    *,
    automation: Automation = Automation.RUN,
) -> StageEntry:
    """Put a new item into its first stage, whose rules start as for every other."""
    [entry] = await create_items(session, [(item, stage)], cause, automation=automation)
    return entry


async def create_items(
    session: AsyncSession,
    placed: Sequence[tuple[Item, Stage]],
    cause: Cause,
    *,
    automation: Automation = Automation.RUN,
) -> list[StageEntry]:
    """Put many new items, none of them in the session yet, into a stage each, in few statements."""
    return await enter_stages(session, placed, cause, automation=automation)


async def _enter(
    session: AsyncSession,
    placed: Sequence[tuple[Item, Stage]],
    cause: Cause,
    automation: Automation,
) -> list[StageEntry]:
    if cause.kind is CauseKind.RESTORE:
        automation = Automation.SKIP
    cause = replace(cause, automation=automation)
    root_id, depth = await _chain(session, cause)
    won = [item for item, stage in placed if stage.kind is StageKind.WON]
    # Before rules of the new stage count from the payment.
    await mark_paid(session, [item for item in won if isinstance(item, Invoice)], cause)
    left = await _leave(session, [item for item, _ in placed], cause, "left the stage")
    entries = []
    for item, stage in placed:
        item.pipeline = stage.pipeline
        item.stage = stage
        entry = StageEntry(
            item=item,
            stage=stage,
            entered_at=clock.now(),
            cause=cause.kind,
            cause_user=cause.user,
            cause_run=cause.run,
            cause_trigger=cause.trigger,
            automation=automation,
            root_id=root_id,
            parent_id=None if cause.parent is None else cause.parent.id,
            depth=depth,
            runs=[],
        )
        session.add(entry)
        entries.append(entry)
    skipped = [] if automation is Automation.SKIP else await _freeze_rules(session, entries)
    await session.flush()
    for run, why in reversed(skipped):  # From below, as the end of one is felt by the next.
        await finish_run(session, run, RunState.SKIPPED, why)
    for entry in entries:
        entry.agenda_version = 1  # Nobody has seen an earlier one.
        session.add(await _line(session, entry, left.get(entry.item.id), cause))
    untold(session).update(entries if len(entries) == 1 else [None])
    return entries


async def leave_stage(session: AsyncSession, item: Item, cause: Cause, reason: str) -> None:
    """End the stay of a locked item for good: it is deleted. Every open run is dropped.

    Except the one that acts; also runs that were kept, of earlier stays.
    """
    await _leave(session, [item], cause, reason, for_good=True)


async def _leave(
    session: AsyncSession,
    items: Sequence[Item],
    cause: Cause,
    reason: str,
    *,
    for_good: bool = False,
) -> dict[int, StageEntry]:
    """End the present stays, by item: drop open runs, except kept ones and the one that acts.

    CRM activities that complete themselves then do so. `for_good` drops what was kept too, of
    earlier stays as well, and lets CRM activities rest as they are.
    """
    known = set(in_order(item.id for item in items))
    if not known:
        return {}
    concerned: ColumnElement[bool] = StageEntry.left_at.is_(None)
    if for_good:
        still_open = select(RuleRun.stage_entry_id).where(
            RuleRun.item_id.in_(known), RuleRun.state.in_(OPEN)
        )
        concerned = or_(concerned, StageEntry.id.in_(still_open))
    left = {}
    there = [item for item in items if item.id in known]
    for entry in await lock_entries(session, there, concerned):
        if entry.left_at is None:
            entry.left_at = clock.now()
            left[entry.item_id] = entry
        for run in reversed(entry.runs):  # From below, as the end of one is felt by the next.
            if run.is_open and run is not cause.acting and not _stays(run, for_good=for_good):
                await finish_run(session, run, RunState.DROPPED, reason, by=cause.user)
    if for_good:
        await let_rest(session, known)
    elif left:
        moved = [item for item in there if item.id in left]
        await complete_left(session, moved, cause)
    return left


def _stays(run: RuleRun, *, for_good: bool) -> bool:
    """Tell whether an open run survives: what is on its way does, kept ones if not for good."""
    return run.is_delivering or (run.keep and not for_good)


async def _freeze_rules(
    session: AsyncSession, entries: Sequence[StageEntry]
) -> list[tuple[RuleRun, str]]:
    """Make the runs of these entries; return those to be skipped at once, and why."""
    stages = {entry.stage.id for entry in entries}
    rules = {stage: await rules_of(session, stage, enabled_only=True) for stage in stages}
    every = [rule for several in rules.values() for rule in several]
    if not every:
        return []
    once = [rule.id for rule in every if present(rule).once_per_item]
    ran = await ran_before(session, [entry.item.id for entry in entries], once)
    items, versions = [entry.item for entry in entries], [present(rule) for rule in every]
    late = any(needs_rows(version) for version in versions)
    calendars = None if late else await calendars_for(session, items, versions)
    runs = [
        RuleRun(
            stage_entry=entry,
            item=entry.item,
            rule=rule,
            version=present(rule),
            position=rule.position,
            keep=present(rule).keep_when_item_leaves,
            next_activity=present(rule).action,
        )
        for entry in entries
        for rule in rules[entry.stage.id]
    ]
    session.add_all(runs)
    if calendars is None:
        await session.flush()
        calendars = await calendars_for(session, items, versions)
    skipped = []
    for run in runs:
        if (run.item.id, run.rule.id) in ran:
            skipped.append((run, "It runs once per item, and has."))
        elif run.predecessor is None:
            due = next_due(run, run.anchor, calendars)
            run.due_at = due.at
            if due.skipped is not None:
                skipped.append((run, due.skipped))
    return skipped


def must_fit(item: Item, stage: Stage, *, new_pipeline: bool = False) -> None:
    """Raise `Conflict` or `Invalid` where an item cannot enter that stage."""
    if item.deleted_at is not None:
        raise Conflict(f"{item.called.capitalize()} is in the recycle bin.")
    pipeline = stage.pipeline
    if pipeline.item_type is not item.type:
        raise Invalid(
            Problem("/stage_id", f"Stage {stage.id} «{stage.name}» is for {pipeline.item_type}s.")
        )
    elsewhere = item.pipeline_id not in {None, pipeline.id}
    if elsewhere and not new_pipeline:
        raise Invalid(
            Problem(
                "/stage_id",
                f"Stage {stage.id} «{stage.name}» belongs to pipeline {pipeline.id} "
                f"«{pipeline.name}»; {item.called} is in pipeline {item.pipeline_id}.",
            )
        )


async def _chain(session: AsyncSession, cause: Cause) -> tuple[int | None, int]:
    """Return root and depth of an entry with this cause; people begin a chain anew."""
    parent = cause.parent
    if parent is None:
        return None, 0
    root_id, depth = parent.root_id or parent.id, parent.depth + 1
    opened = await session.scalar(
        select(func.count())
        .select_from(StageEntry)
        .where(
            StageEntry.root_id == root_id,
            StageEntry.entered_at > clock.now() - ENTRIES_COUNT_FOR,
        )
    )
    if depth > MOST_LINKS or (opened or 0) >= MOST_ENTRIES:
        raise LoopDetected(f"loop: {await _path_to(session, parent)}")
    return root_id, depth


async def _path_to(session: AsyncSession, entry: StageEntry) -> str:
    """Return the chain of causes that led to an entry, first to last, in words.

    Of a long one it is how it begins and ends, and where all of it is told.
    """
    chain = chain_to(entry.id)
    steps = await session.execute(
        select(Item.type, Item.id, Stage.name, StageEntry.cause_trigger_id)
        .select_from(chain)
        .join(StageEntry, StageEntry.id == chain.c.id)
        .join(Item, Item.id == StageEntry.item_id)
        .join(Stage, Stage.id == StageEntry.stage_id)
        .order_by(chain.c.depth)
    )
    path = [
        f"{kind} {item_id} in «{stage}»" + ("" if trigger is None else f" by trigger {trigger}")
        for kind, item_id, stage, trigger in steps
    ]
    between = len(path) - 2 * MOST_TOLD
    if between <= 1:
        return " → ".join(path)
    told = [*path[:MOST_TOLD], f"… {between} more …", *path[-MOST_TOLD:]]
    return f"{' → '.join(told)}; all of it is in /v1/stage-entries/{entry.id}/causes"


async def _line(
    session: AsyncSession, entry: StageEntry, left: StageEntry | None, cause: Cause
) -> HistoryEntry:
    name = entry.stage.name
    if left is None and cause.kind is not CauseKind.RESTORE:
        line = about_item(entry.item, HistoryKind.CREATED, f"Created in «{name}».")
    elif left is None:
        line = about_item(entry.item, HistoryKind.RESTORED, f"Restored to «{name}».")
    else:
        before = left.stage.name
        if left.stage.pipeline_id != entry.stage.pipeline_id:
            pipeline = await session.get_one(Pipeline, left.stage.pipeline_id)
            before, name = f"{pipeline.name} › {before}", f"{entry.stage.pipeline.name} › {name}"
        line = about_item(
            entry.item, HistoryKind.STAGE_CHANGED, f"Moved from «{before}» to «{name}»."
        )
        line.field, line.old, line.new = "stage", before, name
    if entry.automation is Automation.SKIP and cause.kind is not CauseKind.RESTORE:
        line.text += " Its rules were not run."
    line.text += cause.remark
    sign(line, cause)
    return line
