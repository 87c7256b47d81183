"""Triggering: what has happened moves items, in the transaction in which it happened.

Occasions are taken one after another, in the order in which they occurred, once the change that
brought them about is done. Of the triggers that wait for one, in the pipeline where the item stands
now, the first that fits moves it, tried in the order of stages; why the others did not is kept.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self
from uuid import UUID, uuid4

import structlog
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from models.conditions import CONDITIONS, Condition, Outcome, Verdict
from models.entering import enter_stage
from models.errors import ActionFailed, CrmError, LoopDetected
from models.facts import Asked, facts_of
from models.installation import installation
from models.item import Item, lock_items
from models.locking import lost_a_race
from models.notification import Notification
from models.occasion import Occasion, in_savepoint, waiting
from models.pipeline import Stage, find_stage
from models.stage_entry import Cause, StageEntry, present_entry
from models.trigger import Trigger, TriggerCheck, TriggerOutcome
from models.trigger_type import all_trigger_types
from models.user import User, administrators
from models.user_choice import UserBy, UserChoice, chosen_who_works

log = structlog.get_logger()

UNREADABLE = "Its settings can no longer be read; save it again."
FAULT = "It met a fault of ours, which the log tells."


@dataclass(frozen=True)
class _CameOfIt:
    """What came of one trigger for one item."""

    outcome: TriggerOutcome
    reason: str
    comparisons: list[Any] = field(default_factory=list)
    entry: StageEntry | None = None


async def fire_triggers(session: AsyncSession) -> bool:
    """Let triggers consider all that has happened in the transaction; tell whether any has.

    Never recursive: what their moves bring about is considered after what happened before. A
    trigger that is broken, or whose move is refused, harms nobody else.
    """
    new, known = waiting(session), _Known(session)
    in_line: deque[Occasion] = deque()
    checks: list[TriggerCheck] = []
    while new or in_line:
        await known.learn(new)
        in_line.extend(new)
        new.clear()
        occasion, key = in_line.popleft(), uuid4()
        for item, triggers in known.meant(occasion):
            checks += await _consider(known, item, triggers, occasion, key)
    if checks:
        session.add_all(checks)
        await session.flush()
    return bool(checks)


@dataclass
class _Known:
    """What triggers there are, and items for them: asked at once for all that has occurred.

    Items are locked before any is moved, and stay in their pipelines while triggers fire. `stages`
    are those that nobody deletes meanwhile.
    """

    session: AsyncSession
    triggers: dict[str, dict[int, list[Trigger]]] = field(default_factory=dict)
    pipelines: dict[int, int] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    stages: set[int] = field(default_factory=set)

    async def learn(self, occasions: Sequence[Occasion]) -> None:
        """Read what is not known yet and matters for these."""
        if not occasions:
            return
        if types := {each.trigger for each in occasions} - self.triggers.keys():
            self.triggers |= await _triggers_of(self.session, types)
        awaited = [each for each in occasions if self.triggers[each.trigger]]
        named = {item_id for each in awaited for item_id in each.item_ids}
        if unknown := named - self.pipelines.keys():
            rows = await self.session.execute(
                select(Item.id, Item.pipeline_id).where(Item.id.in_(unknown))
            )
            self.pipelines |= dict(rows.all())
        meant = {item_id for each in awaited for item_id in self._meant(each)}
        if unlocked := meant - self.items.keys():
            self.items |= await lock_items(self.session, unlocked)

    def meant(self, occasion: Occasion) -> Iterator[tuple[Item, Sequence[Trigger]]]:
        """Yield the items of an occasion with the triggers that wait for it, as they are tried."""
        for item_id in self._meant(occasion):
            item = self.items[item_id]
            triggers = self.triggers[occasion.trigger].get(item.pipeline_id, ())
            if item.deleted_at is None and triggers:
                yield item, triggers

    async def keep(self, stage_id: int) -> None:
        """Let nobody delete a stage until the transaction ends; raises `NotFound` if it is gone."""
        if stage_id not in self.stages:
            await find_stage(self.session, stage_id)
            self.stages.add(stage_id)

    def _meant(self, occasion: Occasion) -> list[int]:
        waits = self.triggers[occasion.trigger]
        return sorted({each for each in occasion.item_ids if self.pipelines.get(each) in waits})


async def _triggers_of(
    session: AsyncSession, types: Collection[str]
) -> dict[str, dict[int, list[Trigger]]]:
    """Return the triggers at work of each of these types, by pipeline, as they are tried."""
    found = await session.scalars(
        select(Trigger)
        .join(Trigger.stage)
        .where(
            Trigger.type.in_(types),
            Trigger.enabled,
            Trigger.deleted_at.is_(None),
            Stage.deleted_at.is_(None),
        )
        .order_by(Stage.position, Stage.id, Trigger.position, Trigger.id)
        .options(contains_eager(Trigger.stage).joinedload(Stage.pipeline, innerjoin=True))
    )
    triggers: dict[str, dict[int, list[Trigger]]] = {each: {} for each in types}
    for trigger in found:
        triggers[trigger.type].setdefault(trigger.stage.pipeline_id, []).append(trigger)
    return triggers


async def _consider(
    known: _Known,
    item: Item,
    triggers: Sequence[Trigger],
    occasion: Occasion,
    key: UUID,
) -> list[TriggerCheck]:
    """Let triggers consider an occasion for a locked item; return the lines of the log."""
    first: Trigger | None = None
    checks = []
    for trigger in triggers:
        came = (
            _CameOfIt(TriggerOutcome.ANOTHER_WAS_FIRST, f"{_the(first)} has moved it.")
            if first is not None
            else await _move_if_meant(known, item, trigger, occasion)
        )
        if came.outcome is TriggerOutcome.MOVED:
            first = trigger
        checks.append(_line(item, trigger, occasion, key, came))
    return checks


async def _move_if_meant(
    known: _Known, item: Item, trigger: Trigger, occasion: Occasion
) -> _CameOfIt:
    """Move the item if it and the occasion are meant, or say why they are not."""
    stands = item.stage
    if trigger.stage_id == stands.id:
        return _CameOfIt(TriggerOutcome.STANDS_THERE, f"The item is in «{stands.name}» already.")
    back = (trigger.stage.position, trigger.stage.id) < (stands.position, stands.id)
    if back and not trigger.allow_moving_back:
        reason = f"«{trigger.stage.name}» is before «{stands.name}», and it may not move back."
        return _CameOfIt(TriggerOutcome.WOULD_MOVE_BACK, reason)
    other = _other_settings(trigger, occasion)
    return other or await _move_or_undo(known, item, trigger, occasion)


def _other_settings(trigger: Trigger, occasion: Occasion) -> _CameOfIt | None:
    """Say why this occasion is not meant, None if it is."""
    try:
        kind = all_trigger_types()[trigger.type]
        why_not = kind.why_not(kind.settings.model_validate(trigger.settings), occasion)
    except ValidationError:
        return _broken(trigger, UNREADABLE)
    except Exception:
        log.exception("A trigger met a fault", trigger_id=trigger.id)
        return _broken(trigger, FAULT)
    return None if why_not is None else _CameOfIt(TriggerOutcome.OTHER_SETTINGS, why_not)


async def _move_or_undo(
    known: _Known, item: Item, trigger: Trigger, occasion: Occasion
) -> _CameOfIt:
    """Move the item if the conditions are met: nothing half-done is kept, nobody else is harmed."""
    session = known.session
    try:
        how = _How.of(trigger)
    except ValidationError:
        return _broken(trigger, UNREADABLE)
    try:
        await known.keep(trigger.stage_id)  # Before the savepoint, which would let it go.
        async with in_savepoint(session):
            return await _move_if_met(session, item, trigger, occasion, how)
    except CrmError as error:
        if isinstance(error, LoopDetected):
            await _tell_administrators(session, item, trigger, error.reason)
        return _CameOfIt(TriggerOutcome.REFUSED, error.reason)
    except Exception as error:
        if lost_a_race(error):
            raise
        log.exception("A trigger met a fault", trigger_id=trigger.id, item_id=item.id)
        return _broken(trigger, FAULT)


@dataclass(frozen=True)
class _How:
    """On which conditions a trigger moves items, and as whom, as they are kept with it."""

    conditions: Condition | None
    moves_as: UserChoice | None

    @classmethod
    def of(cls, trigger: Trigger) -> Self:
        """Read it, or raise `ValidationError`."""
        asked, who = trigger.conditions, trigger.moves_as
        return cls(
            None if asked is None else CONDITIONS.validate_python(asked),
            None if who is None else UserChoice.model_validate(who),
        )


async def _move_if_met(
    session: AsyncSession, item: Item, trigger: Trigger, occasion: Occasion, how: _How
) -> _CameOfIt:
    comparisons: list[Any] = []
    if how.conditions is not None:
        verdict = await _verdict(session, item, how.conditions)
        comparisons = [each.model_dump(mode="json") for each in verdict.comparisons]
        if verdict.outcome is not Outcome.MET:
            return _CameOfIt(TriggerOutcome(verdict.outcome), verdict.in_words(), comparisons)
    user, doubt = await _who(session, item, how.moves_as)
    cause = Cause.by_trigger(trigger, user, occasion.cause)
    so_far = len(waiting(session))
    entry = await enter_stage(session, item, trigger.stage, cause, automation=cause.automation)
    _follow(session, entry, so_far)
    reason = f"Moved to «{trigger.stage.name}».{doubt}"
    return _CameOfIt(TriggerOutcome.MOVED, reason, comparisons, entry)


async def _verdict(session: AsyncSession, item: Item, conditions: Condition) -> Verdict:
    """Judge conditions by what a loaded item is now."""
    entry, home = await present_entry(session, item), await installation(session)
    facts = await facts_of(session, entry, home, Asked(str(conditions), conditions), url="")
    return facts.judge(conditions)


async def _tell_administrators(
    session: AsyncSession, item: Item, trigger: Trigger, reason: str
) -> None:
    session.add_all(
        Notification(
            recipient_id=admin.id,
            text=f"{_the(trigger)} was stopped. {reason}",
            item_id=item.id,
        )
        for admin in await administrators(session)
    )


def _follow(session: AsyncSession, entry: StageEntry | None, so_far: int) -> None:
    """Let what a move has brought about, beside so much before, come after the entry it began."""
    line = waiting(session)
    line[so_far:] = [
        replace(each, cause=replace(each.cause, after=entry)) for each in line[so_far:]
    ]


def _broken(trigger: Trigger, reason: str) -> _CameOfIt:
    log.error("A trigger is broken", trigger_id=trigger.id, reason=reason)
    return _CameOfIt(TriggerOutcome.BROKEN, reason)


async def _who(
    session: AsyncSession, item: Item, choice: UserChoice | None
) -> tuple[User | None, str]:
    """Return as whom the stage is changed, and what there is to say of that.

    An item moves also where the one chosen is nobody: then as automation.
    """
    if choice is None or (choice.by is UserBy.RESPONSIBLE and item.responsible is None):
        return None, ""
    try:
        return await chosen_who_works(session, item, choice), ""
    except ActionFailed as error:
        return None, f" As automation: {error.reason}"


def _line(
    item: Item, trigger: Trigger, occasion: Occasion, key: UUID, came: _CameOfIt
) -> TriggerCheck:
    return TriggerCheck(
        trigger=trigger,
        item_id=item.id,
        occasion=key,
        what_happened=occasion.text,
        outcome=came.outcome,
        reason=came.reason,
        comparisons=came.comparisons,
        cause_user_id=occasion.cause.user_id,
        cause_run_id=occasion.cause.run_id,
        stage_entry_id=None if came.entry is None else came.entry.id,
    )


def _the(trigger: Trigger) -> str:
    """Return how people call it, at the beginning of a sentence."""
    return f"{trigger.called[0].upper()}{trigger.called[1:]}"
