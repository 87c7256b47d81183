"""Moving items: one, or many at once with a verdict for each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.access import MANAGING, must_be, out_of_reach, reached, within_reach
from models.base import in_order
from models.entering import enter_stage, enter_stages, must_fit
from models.errors import Conflict, CrmError
from models.item import Item, find_item
from models.occasion import in_savepoint
from models.outbox import untold
from models.pipeline import Stage, StageKind, find_stage_sent, first_won_stage
from models.rule import Rule, present, rules_of
from models.savepoints import OnlyLooking
from models.stage_entry import Automation, Cause, StageEntry, present_entries, present_entry
from models.triggering import fire_triggers
from models.user import User


@dataclass(frozen=True)
class Move:
    """What came of moving an item: the present entry, new if anything changed."""

    item: Item
    entry: StageEntry
    changed: bool


@dataclass(frozen=True)
class Asked:
    """What somebody asks of a move of many; `confirm` is how many items rules may delete."""

    item_ids: Sequence[int]
    stage_id: int
    automation: Automation = Automation.RUN
    dry: bool = False
    confirm: int | None = None


class MoveOutcome(StrEnum):
    MOVED = "moved"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True)
class Verdict:
    """What came of one item of many; `reason` says why it was refused."""

    item_id: int
    outcome: MoveOutcome
    reason: str | None = None
    stage_entry_id: int | None = None


@dataclass(frozen=True)
class Started:
    """A rule that begins for every item that is moved."""

    rule_id: int
    title: str
    action: str
    destroys: bool


@dataclass(frozen=True)
class BulkMove:
    """One verdict per item, in the order asked, and the rules that start for those moved.

    Where triggers move items on, the rules are those of where these end. `destroys` counts the
    items that rules may delete there.
    """

    dry: bool
    verdicts: Sequence[Verdict]
    rules: Sequence[Started]
    destroys: int

    @property
    def counts(self) -> Mapping[MoveOutcome, int]:
        return {
            outcome: sum(each.outcome is outcome for each in self.verdicts)
            for outcome in MoveOutcome
        }


def may_run(by: User, automation: Automation) -> Automation:
    """Return what was asked for; only who manages lets items pass without their rules."""
    if automation is Automation.SKIP:
        must_be(by, MANAGING, "keep rules from running")
    return automation


async def move_item(
    session: AsyncSession, item: Item, stage_id: int, by: User, automation: Automation
) -> Move:
    """Let a person move a locked item to a stage of its pipeline; triggers may move it on."""
    stage = await find_stage_sent(session, stage_id)
    cause = Cause.person(by)
    entered = await enter_stage(session, item, stage, cause, automation=may_run(by, automation))
    if entered is None or await fire_triggers(session):
        present = await present_entry(session, item)
        return Move(item, present, changed=entered is not None)
    return Move(item, entered, changed=True)


async def enter_won_stage(session: AsyncSession, item: Item, cause: Cause) -> Stage | None:
    """Let a locked item enter the first won stage of its pipeline; return it if it has moved.

    An item that stands in a won stage stays there, and so does one whose pipeline has none.
    """
    if await stands_won(session, item):
        return None
    stage = await first_won_stage(session, item.pipeline_id)
    if stage is not None:
        await enter_stage(session, item, stage, cause)
    return stage


async def stands_won(session: AsyncSession, item: Item) -> Stage | None:
    """Return the stage that an item stands in, if that is a won one."""
    stage = await session.get_one(Stage, item.stage_id)
    return stage if stage.kind is StageKind.WON else None


async def lock_to_move(session: AsyncSession, item_id: int, by: User) -> Item:
    """Return an item within somebody's reach, locked."""
    return await reached(session, by, await find_item(session, item_id, lock=True))


async def move_items(
    session: AsyncSession, asked: Asked, by: User, destructive: Collection[str]
) -> BulkMove:
    """Let a person move many items to a stage; those that cannot be moved stay where they are.

    Each verdict has the entry where triggers leave its item. A dry move changes nothing and tells
    what would come of it. Where a rule of a stage in which items end has one of the destructive
    actions, the items that it would meet must be confirmed by their number, as a dry move tells
    it; else nothing is moved (`Conflict`).
    """
    automation = may_run(by, asked.automation)
    stage = await find_stage_sent(session, asked.stage_id)
    try:
        async with in_savepoint(session):
            return await _move(session, asked, stage, by, automation, destructive)
    except OnlyLooking as looked:
        untold(session).clear()
        foreseen: BulkMove = looked.found
        verdicts = [replace(each, stage_entry_id=None) for each in foreseen.verdicts]
        return replace(foreseen, verdicts=verdicts)


async def _move(
    session: AsyncSession,
    asked: Asked,
    stage: Stage,
    by: User,
    automation: Automation,
    destructive: Collection[str],
) -> BulkMove:
    """Move them, see where triggers leave them, and stop there if that is not what was wanted."""
    found = await _items(session, asked.item_ids, by)
    wanted = dict.fromkeys(asked.item_ids)
    verdicts = [_verdict(item_id, found.get(item_id), stage, by) for item_id in wanted]
    movable = [found[each.item_id][0] for each in verdicts if each.outcome is MoveOutcome.MOVED]
    entries = await enter_stages(
        session, [(item, stage) for item in movable], Cause.person(by), automation=automation
    )
    entered = {entry.item.id: entry.id for entry in entries}
    ends = dict.fromkeys(entered, stage.id)
    if await fire_triggers(session):
        entered |= await present_entries(session, entered)
        ends = {item.id: item.stage_id for item in movable}
    told = [replace(each, stage_entry_id=entered.get(each.item_id)) for each in verdicts]
    rules = {
        stage_id: await _rules(session, stage_id, automation, destructive)
        for stage_id in dict.fromkeys(ends.values() or [stage.id])
    }
    deadly = {stage_id for stage_id, each in rules.items() if any(rule.destroys for rule in each)}
    moved = BulkMove(
        asked.dry,
        told,
        [rule for several in rules.values() for rule in several],
        sum(stage_id in deadly for stage_id in ends.values()),
    )
    if asked.dry:
        raise OnlyLooking(moved)
    if moved.destroys and moved.destroys != asked.confirm:
        raise _unconfirmed(moved)
    return moved


async def _items(
    session: AsyncSession, item_ids: Sequence[int], by: User
) -> dict[int, tuple[Item, bool]]:
    """Return the items there are by id, locked, each with whether it is within reach."""
    rows = await session.execute(
        select(Item, within_reach(by))
        .where(Item.id.in_(in_order(item_ids)))
        .order_by(Item.id)
        .with_for_update(key_share=True, of=Item)
        .execution_options(populate_existing=True)
    )
    return {item.id: (item, bool(is_within)) for item, is_within in rows}


def _verdict(item_id: int, found: tuple[Item, bool] | None, stage: Stage, by: User) -> Verdict:
    if found is None:
        return Verdict(item_id, MoveOutcome.REFUSED, f"There is no item {item_id}.")
    item, is_within = found
    if not is_within:
        return Verdict(item_id, MoveOutcome.REFUSED, out_of_reach(by, item.called.capitalize()))
    try:
        must_fit(item, stage)
    except CrmError as error:
        return Verdict(item_id, MoveOutcome.REFUSED, error.reason)
    stays = item.stage_id == stage.id
    return Verdict(item_id, MoveOutcome.UNCHANGED if stays else MoveOutcome.MOVED)


async def _rules(
    session: AsyncSession, stage_id: int, automation: Automation, destructive: Collection[str]
) -> list[Started]:
    if automation is Automation.SKIP:
        return []
    rules = await rules_of(session, stage_id, enabled_only=True)
    return [_started(rule, destructive) for rule in rules]


def _started(rule: Rule, destructive: Collection[str]) -> Started:
    version = present(rule)
    return Started(rule.id, version.title, version.action, version.action in destructive)


def _unconfirmed(foreseen: BulkMove) -> Conflict:
    titles = ", ".join(f"«{each.title}»" for each in foreseen.rules if each.destroys)
    return Conflict(
        f"{titles} may delete {foreseen.destroys} of these items. Ask with «dry» what would come "
        f"of it, and confirm that number.",
        field="/confirm",
    )
