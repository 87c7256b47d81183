"""Rules on the stages: what is to be done, when, and on which condition."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, status
from pydantic import Field

from activities.rule_saving import save_new_rule, save_rule
from api.dependencies import CurrentUser, ReadSession, Session
from api.schemas import Id, Name, Page, Read, Write
from models.conditions import Conditions
from models.pipeline import Stage, find_stage
from models.rule import Rule, find_rule, present, rules_of
from models.rule_edit import delete_rule, said
from models.rule_run import count_waiting_of
from models.timing import AtOnce, Timing

router = APIRouter(tags=["rules"])

LARGEST_POSITION = 1_000_000

RULE = ("id", "stage_id", "position", "enabled", "created_at")
"""What is shown of the rule itself; the rest is what it says."""

Position = Annotated[int, Field(ge=0, le=LARGEST_POSITION)]


class RuleRead(Read):
    """`version` counts edits; `waiting` are the runs that have not ended, of any version."""

    id: int
    stage_id: int
    position: int
    enabled: bool
    version: int
    title: str
    action: str
    params: dict[str, Any]
    timing: Timing
    conditions: Conditions | None
    after_previous: bool
    keep_when_item_leaves: bool
    once_per_item: bool
    waiting: int
    created_at: datetime

    @classmethod
    def of(cls, rule: Rule, waiting: int) -> Self:
        place = {name: getattr(rule, name) for name in RULE}
        number = present(rule).number
        return cls.model_validate(place | said(rule) | {"version": number, "waiting": waiting})


class RuleFields(Write):
    params: dict[str, Any] = Field(default={}, description="See the catalogue of actions.")
    timing: Timing = AtOnce()
    conditions: Conditions | None = Field(
        default=None, description="Checked when the rule is due, on the data of that moment."
    )
    after_previous: bool = Field(
        default=False, description="Start counting when the rule above has ended."
    )
    keep_when_item_leaves: bool = Field(
        default=False, description="Run also if the item is in another stage by then."
    )
    once_per_item: bool = Field(default=False, description="Not again when the item comes back.")
    enabled: bool = Field(default=True, description="Switching off holds the runs that wait.")

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


class Waiting(StrEnum):
    """What becomes of runs that wait for a rule which is deleted."""

    REFUSE = "refuse"
    DROP = "drop"


async def _stage(session: Session, stage_id: Id) -> Stage:
    return await find_stage(session, stage_id)


async def _locked(session: Session, rule_id: Id) -> Rule:
    return await find_rule(session, rule_id, lock=True)


StageOfRules = Annotated[Stage, Depends(_stage)]
LockedRule = Annotated[Rule, Depends(_locked)]


async def _shown(session: Session, rules: Sequence[Rule]) -> list[RuleRead]:
    waiting = await count_waiting_of(session, [rule.id for rule in rules])
    return [RuleRead.of(rule, waiting.get(rule.id, 0)) for rule in rules]


@router.get("/stages/{stage_id}/rules")
async def list_rules(session: ReadSession, stage: StageOfRules) -> Page[RuleRead]:
    """Return the rules of a stage in the order in which they run."""
    return Page(items=await _shown(session, await rules_of(session, stage.id)))


@router.post("/stages/{stage_id}/rules", status_code=status.HTTP_201_CREATED)
async def create_rule(
    session: Session, user: CurrentUser, stage: StageOfRules, new: RuleCreate
) -> RuleRead:
    """Hang a rule on a stage; it runs for items that enter from now on."""
    rule = await save_new_rule(session, stage, new.as_json(), user)
    return RuleRead.of(rule, waiting=0)


@router.get("/rules/{rule_id}")
async def read_rule(session: ReadSession, rule_id: Id) -> RuleRead:
    """Return a rule as it stands."""
    [rule] = await _shown(session, [await find_rule(session, rule_id)])
    return rule


@router.patch("/rules/{rule_id}")
async def update_rule(
    session: Session, user: CurrentUser, rule: LockedRule, sent: RuleUpdate
) -> RuleRead:
    """Change a rule, which makes a new version of it, or switch it on or off."""
    await save_rule(session, rule, sent.as_json(only_sent=True), user)
    [changed] = await _shown(session, [rule])
    return changed


@router.delete("/rules/{rule_id}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_rule(
    session: Session, user: CurrentUser, rule_id: Id, waiting: Waiting = Waiting.REFUSE
) -> None:
    """Delete a rule. Where runs wait for it, say `waiting=drop`, or it is refused."""
    await delete_rule(session, rule_id, user, drop_waiting=waiting is Waiting.DROP)
