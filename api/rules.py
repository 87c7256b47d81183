"""Rules on the stages: what is to be done, when, and on which condition."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, ClassVar, Self

from fastapi import Depends, Query, status
from pydantic import ConfigDict, Field

from activities.registry import without_secrets
from activities.rule_saving import save_new_rule, save_rule
from api.dependencies import MANAGERS, CurrentUser, IfMatch, ReadSession, Session
from api.paging import Paging, page_of
from api.routing import resource
from api.schemas import (
    Filter,
    Id,
    Name,
    Page,
    Read,
    Version,
    Whole,
    Write,
    YesOrNo,
)
from models.brake import release
from models.conditions import Conditions
from models.pipeline import Stage, find_stage
from models.rule import TOP_DOWN, Rule, find_rule, present, rules_where
from models.rule_edit import Waiting, delete_rule, lock_to_rewrite, said
from models.rule_run import count_waiting_of
from models.timing import AtOnce, Timing

router = resource("rules")

LARGEST_POSITION = 1_000_000

RULE = ("id", "stage_id", "position", "enabled", "braked_at", "created_at")
"""What is shown of the rule itself; the rest is what it says."""

Position = Annotated[Whole, Field(ge=0, le=LARGEST_POSITION)]


class RuleRead(Read):
    """`waiting` are the runs that have not ended, whatever the rule said when they began."""

    live: ClassVar[bool] = True

    id: int
    stage_id: int
    position: int
    enabled: bool
    version: Version
    text_version: int = Field(description="Counts what it said; runs keep what they began with.")
    title: str
    action: str
    params: dict[str, Any]
    timing: Timing
    conditions: Conditions | None
    after_previous: bool
    keep_when_item_leaves: bool
    once_per_item: bool
    stop_on_failure: bool
    waiting: int
    braked_at: datetime | None = Field(
        description="When administrators were told that it has deleted too much in an hour; null "
        "while it is not held for that."
    )
    created_at: datetime

    @classmethod
    def of(cls, rule: Rule, waiting: int) -> Self:
        place = {name: getattr(rule, name) for name in RULE}
        version = present(rule)
        shown = {"params": without_secrets(version.action, version.params)}
        counts = {"version": rule.changes, "text_version": version.number, "waiting": waiting}
        return cls.model_validate(place | said(rule) | shown | counts)


class RuleFields(Write):
    # As JSON, a number beyond all numbers would be null, which empties fields.
    model_config = ConfigDict(ser_json_inf_nan="constants")

    params: dict[str, Any] = Field(default={}, description="See the catalogue of actions.")
    timing: Timing = Field(
        default=AtOnce(), description="From entering the stage, or around a date of the item."
    )
    conditions: Conditions | None = Field(
        default=None, description="Checked when the rule is due, on the data of that moment."
    )
    after_previous: YesOrNo = Field(
        default=False, description="Start counting when the rule above has ended."
    )
    keep_when_item_leaves: YesOrNo = Field(
        default=False, description="Run also if the item is in another stage by then."
    )
    once_per_item: YesOrNo = Field(default=False, description="Not again when the item comes back.")
    stop_on_failure: YesOrNo = Field(
        default=False, description="Not if the rule above failed; with `after_previous` only."
    )
    enabled: YesOrNo = Field(default=True, description="Switching off holds the runs that wait.")

    def as_json(self, *, only_sent: bool = False) -> dict[str, Any]:
        return self.model_dump(mode="json", include=self.model_fields_set if only_sent else None)


class RuleCreate(RuleFields):
    title: Name
    action: Name = Field(examples=["create_task"])
    position: Position | None = Field(default=None, description="Below the others, if left out.")


class RuleUpdate(RuleFields):
    """What is left out stays as it is; runs that wait keep the rule as it was."""

    title: Name = ""
    action: Name = ""
    position: Position = 0


class RuleFilter(Filter):
    """Which rules of a stage to list."""

    enabled: bool | None = None


class WaitingForDeleted(StrEnum):
    """What becomes of runs that wait for a rule which is deleted."""

    REFUSE = "refuse"
    DROP = "drop"


async def _stage(session: Session, stage_id: Id) -> Stage:
    return await find_stage(session, stage_id)


async def _locked(
    session: Session, rule_id: Id, match: IfMatch, waiting: Waiting = Waiting.KEEP
) -> Rule:
    rule = await lock_to_rewrite(session, rule_id, waiting)
    match.must_be(rule.changes)
    return rule


async def _to_delete(session: Session, rule_id: Id, match: IfMatch) -> int:
    """Check the version only: what waits must be locked before the rule is."""
    match.must_be((await find_rule(session, rule_id)).changes)
    return rule_id


async def _to_release(session: Session, rule_id: Id) -> Rule:
    return await find_rule(session, rule_id, lock=True)


StageOfRules = Annotated[Stage, Depends(_stage)]
LockedRule = Annotated[Rule, Depends(_locked)]
RuleToDelete = Annotated[int, Depends(_to_delete)]
RuleToRelease = Annotated[Rule, Depends(_to_release)]


async def _shown(session: Session, rules: Sequence[Rule]) -> list[RuleRead]:
    waiting = await count_waiting_of(session, [rule.id for rule in rules])
    return [RuleRead.of(rule, waiting.get(rule.id, 0)) for rule in rules]


@router.get("/stages/{stage_id}/rules")
async def list_rules(
    session: ReadSession,
    stage: StageOfRules,
    where: Annotated[RuleFilter, Query()],
    paging: Paging,
) -> Page[RuleRead]:
    """Return the rules of a stage in the order in which they run.

    Those that are due at the same moment run top-down, one after another.
    """
    wanted = rules_where(stage_id=stage.id, **where.asked())
    shown = partial(_shown, session)
    return await page_of(session, wanted, paging, RuleRead, order=TOP_DOWN, shown=shown)


@router.post(
    "/stages/{stage_id}/rules", status_code=status.HTTP_201_CREATED, dependencies=[MANAGERS]
)
async def create_rule(
    session: Session, user: CurrentUser, stage: StageOfRules, new: RuleCreate
) -> RuleRead:
    """Hang a rule on a stage; it runs for items that enter from now on.

    `action` says what it does, `params` how; `timing` when it is due, `conditions` what must be
    true by then. A rule that could never run as written is refused, with every problem named. Try
    texts and conditions on an item first: see *previews*.
    """
    rule = await save_new_rule(session, stage, new.as_json(), user)
    return RuleRead.of(rule, waiting=0)


@router.get("/rules/{rule_id}")
async def read_rule(session: ReadSession, rule_id: Id) -> RuleRead:
    """Return a rule as it stands.

    `waiting` says how many runs wait for it, whatever it said when they began.
    """
    [rule] = await _shown(session, [await find_rule(session, rule_id)])
    return rule


@router.patch("/rules/{rule_id}", dependencies=[MANAGERS])
async def update_rule(
    session: Session,
    user: CurrentUser,
    rule: LockedRule,
    sent: RuleUpdate,
    waiting: Waiting = Waiting.KEEP,
) -> RuleRead:
    """Change a rule, which makes a new version of it, or switch it on or off.

    Runs that wait keep the version they began with, unless `waiting` says that they take the new
    one and are due by it (`retime`), or are dropped (`cancel`); how many wait, the rule says.
    Switched off, it holds them; switched on again, it lets them go on.
    """
    await save_rule(session, rule, sent.as_json(only_sent=True), user, waiting)
    [changed] = await _shown(session, [rule])
    return changed


@router.post("/rules/{rule_id}/release", dependencies=[MANAGERS])
async def release_rule(session: Session, rule: RuleToRelease) -> RuleRead:
    """Let a rule go on that is held because it has deleted too much in an hour.

    What it has deleted so far counts no longer: as many again, and it is held again. A rule that is
    not held stays as it is.
    """
    await release(session, rule)
    [released] = await _shown(session, [rule])
    return released


@router.delete(
    "/rules/{rule_id}",
    name="delete_rule",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[MANAGERS],
)
async def remove_rule(
    session: Session,
    user: CurrentUser,
    rule_id: RuleToDelete,
    waiting: WaitingForDeleted = WaitingForDeleted.REFUSE,
) -> None:
    """Delete a rule. Where runs wait for it, say `waiting=drop`, or it is refused."""
    await delete_rule(session, rule_id, user, drop_waiting=waiting is WaitingForDeleted.DROP)
