"""Triggers on the stages: what moves items there by itself, and why it did or did not."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Depends, Path, Query, status
from pydantic import AliasPath, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.dependencies import MANAGERS, CurrentUser, IfMatch, ReadSession, Session
from api.item_resource import ItemRead
from api.paging import PageQuery, Paging, page_of, sorted_by
from api.routing import resource
from api.rules import Position
from api.schemas import (
    Filter,
    Id,
    Moment,
    Name,
    Page,
    Read,
    ShortText,
    Version,
    Write,
    YesOrNo,
)
from api.stages import PresentStage
from models.conditions import Conditions
from models.trigger import (
    TOP_DOWN,
    Trigger,
    TriggerCheck,
    TriggerOutcome,
    find_trigger,
    triggers_where,
)
from models.trigger_call import call_triggers, lock_named, must_be_awaited
from models.trigger_edit import add_trigger, change_trigger
from models.trigger_edit import delete_trigger as take_off
from models.trigger_log import checks_for, moved_as
from models.triggers.webhook import LONGEST_CODE
from models.user_choice import UserChoice

router = resource("triggers")


class TriggerRead(Read):
    """It hangs on the stage that it moves items to."""

    id: int
    stage_id: int = Field(description="The stage on which it hangs, to which it moves items.")
    type: str = Field(description="What it waits for, as `GET /v1/trigger-types` lists it.")
    name: str
    settings: dict[str, Any]
    conditions: Conditions | None = Field(
        description="What must be met when it happens; null for nothing."
    )
    moves_as: UserChoice | None = Field(description="As whom it moves items; null: automation.")
    allow_moving_back: bool = Field(description="Whether it moves items from later stages, too.")
    enabled: bool = Field(description="Whether it is switched on.")
    position: int
    version: Version
    created_at: datetime


class TriggerFields(Write):
    name: Name | None = Field(
        default=None,
        description="What people call it; if left out or null, the title of its type with its "
        "settings, in the language of the company.",
    )
    settings: dict[str, Any] = Field(default={}, description="See the catalogue of types.")
    conditions: Conditions | None = Field(
        default=None, description="Checked when it happens, on the data of that moment."
    )
    moves_as: UserChoice | None = Field(
        default=UserChoice.of_item(),
        description="As whom the stage is changed: history tells so. Null is automation.",
    )
    allow_moving_back: YesOrNo = Field(
        default=False, description="Move items also from stages behind the one it hangs on."
    )
    enabled: YesOrNo = Field(default=True, description="Switched off, it is not considered.")

    def as_json(self, *, only_sent: bool = False) -> dict[str, Any]:
        return self.model_dump(mode="json", include=self.model_fields_set if only_sent else None)


class TriggerCreate(TriggerFields):
    type: Name = Field(
        description="What it waits for, as `GET /v1/trigger-types` lists it.",
        examples=["task_status"],
    )
    position: Position | None = Field(default=None, description="Below the others, if left out.")


class TriggerUpdate(TriggerFields):
    """What is left out stays as it is."""

    type: Name = Field(
        default="", description="What it waits for, as `GET /v1/trigger-types` lists it."
    )
    position: Position = 0


class TriggerFilter(Filter):
    """Which triggers of a stage to list."""

    type: ShortText | None = Field(default=None, description="Only of this type.")
    enabled: bool | None = None


class TriggerCheckRead(Read):
    """One line of the trigger log: a trigger that was considered for an item, and why it did so.

    Lines with the same `occasion` belong together, in the order in which triggers were tried.
    """

    id: int
    created_at: datetime = Field(description="When it was considered.")
    item_id: int
    trigger_id: int = Field(description="The trigger that was considered.")
    trigger_name: str = Field(
        validation_alias=AliasPath("trigger", "name"), description="What it is called now."
    )
    stage_id: int = Field(
        validation_alias=AliasPath("trigger", "stage_id"),
        description="The stage on which it hangs, to which it moves items.",
    )
    occasion: UUID = Field(description="The same for all that was considered on one occasion.")
    what_happened: str = Field(
        description="In words.", examples=["Task 7 «Prepare the invoice» is completed"]
    )
    outcome: TriggerOutcome
    reason: str
    comparisons: list[Any] = Field(description="What its conditions compared.")
    moved_as_id: int | None = Field(
        default=None, description="The user as whom it moved the item; null for automation."
    )
    cause_user_id: int | None = Field(description="The user who brought it about.")
    cause_run_id: int | None = Field(description="The rule run that brought it about.")
    stage_entry_id: int | None = Field(description="The stay that the move began.")

    @classmethod
    def of(cls, check: TriggerCheck, moved: Mapping[int, int | None]) -> Self:
        line = cls.model_validate(check)
        return line.model_copy(update={"moved_as_id": moved.get(check.stage_entry_id or 0)})


class LogFilter(Filter):
    """Which lines of a trigger log to list."""

    outcome: TriggerOutcome | None = Field(default=None, description="Only with this outcome.")
    created_from: Moment | None = None
    created_to: Moment | None = None


class TriggerLogFilter(LogFilter):
    """Which lines of the trigger log of an item to list."""

    trigger_id: Id | None = None


class LogOfTriggerFilter(LogFilter):
    """Which lines of the log of a trigger to list."""

    item_id: Id | None = None


class TriggerCall(Write):
    item_id: Id = Field(description="The item to which something has happened.")
    text: ShortText = Field(
        default="",
        description="What has happened, for the trigger log.",
        examples=["The bank has received 5550 EUR"],
    )


class TriggerCallRead(Read):
    """What came of it. Where no trigger of the item's pipeline waits, nothing was considered."""

    moved: bool = Field(description="Whether any trigger has moved the item.")
    item: ItemRead = Field(description="The item as it is now.")
    stage_entry_id: int = Field(description="The stay in which it is now.")
    considered: list[TriggerCheckRead] = Field(
        description="Each trigger that was considered, as tried, and what followed from it."
    )


TriggerId = Annotated[Id, Path(alias="trigger", description="The id of the trigger.", examples=[1])]
Code = Annotated[
    str,
    Path(
        alias="trigger",
        description="The code for which triggers of the type `webhook` wait.",
        max_length=LONGEST_CODE,
    ),
]


async def _present(session: Session, trigger_id: TriggerId) -> Trigger:
    return await find_trigger(session, trigger_id)


async def _locked(session: Session, trigger_id: TriggerId, match: IfMatch) -> Trigger:
    return match.of(await find_trigger(session, trigger_id, lock=True))


PresentTrigger = Annotated[Trigger, Depends(_present)]
LockedTrigger = Annotated[Trigger, Depends(_locked)]

NewestFirst = Annotated[PageQuery, sorted_by("id", usually="-id")]


async def told(session: AsyncSession, checks: Sequence[TriggerCheck]) -> list[TriggerCheckRead]:
    """Return lines of the log as clients read them."""
    moved = await moved_as(session, checks)
    return [TriggerCheckRead.of(check, moved) for check in checks]


@router.get("/stages/{stage_id}/triggers")
async def list_triggers(
    session: ReadSession,
    stage: PresentStage,
    where: Annotated[TriggerFilter, Query()],
    paging: Paging,
) -> Page[TriggerRead]:
    """Return the triggers that move items to a stage, in the order in which they are tried.

    Those of earlier stages of the pipeline are tried before.
    """
    wanted = triggers_where(stage_id=stage.id, **where.asked())
    return await page_of(session, wanted, paging, TriggerRead, order=TOP_DOWN)


@router.post(
    "/stages/{stage_id}/triggers", status_code=status.HTTP_201_CREATED, dependencies=[MANAGERS]
)
async def create_trigger(session: Session, stage: PresentStage, new: TriggerCreate) -> TriggerRead:
    """Hang a trigger on a stage; from now on it moves items of the pipeline there.

    `type` says what it waits for, `settings` narrow that down, `conditions` are about the item. Of
    all triggers in the pipeline that wait for the same, the first that fits moves the item, in the
    order of the stages. It moves items from earlier stages only, unless `allow_moving_back`. One
    that could never move an item as written is refused, with every problem named.
    """
    return TriggerRead.model_validate(await add_trigger(session, stage, new.as_json()))


@router.get("/triggers/{trigger}")
async def read_trigger(trigger: PresentTrigger) -> TriggerRead:
    """Return a trigger."""
    return TriggerRead.model_validate(trigger)


@router.patch("/triggers/{trigger}", dependencies=[MANAGERS])
async def update_trigger(
    session: Session, trigger: LockedTrigger, sent: TriggerUpdate
) -> TriggerRead:
    """Change a trigger, or switch it on or off.

    Items that it has moved stay where they are. A name that nobody has given follows the settings;
    send null to let it follow them again.
    """
    await change_trigger(session, trigger, sent.as_json(only_sent=True))
    return TriggerRead.model_validate(trigger)


@router.delete(
    "/triggers/{trigger}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS]
)
async def delete_trigger(trigger: LockedTrigger) -> None:
    """Take a trigger off its stage. History and trigger logs keep what it has done."""
    take_off(trigger)


@router.get("/triggers/{trigger}/log")
async def list_log_of_trigger(
    session: ReadSession,
    user: CurrentUser,
    trigger: PresentTrigger,
    where: Annotated[LogOfTriggerFilter, Query()],
    paging: NewestFirst,
) -> Page[TriggerCheckRead]:
    """Return when a trigger was considered for items within your reach, and why it moved or not."""
    wanted = checks_for(user, trigger_id=trigger.id, **where.asked())
    shown = partial(told, session)
    return await page_of(session, wanted, paging, TriggerCheckRead, shown=shown)


@router.post("/triggers/{trigger}", name="fire_triggers")
async def call(
    session: Session, user: CurrentUser, code: Code, sent: TriggerCall
) -> TriggerCallRead:
    """Say that something has happened to an item, for triggers of the type `webhook`.

    All that wait for this code in the item's pipeline are considered, and the first that fits moves
    the item, before you get the answer: which were considered and why each did or did not, whether
    the item has moved, and where it stands. Send an `Idempotency-Key`, and repeat it as often as
    you like.
    """
    await must_be_awaited(session, code)
    item = await lock_named(session, sent.item_id, user)
    came_of_it = await call_triggers(session, item, code, user, sent.text)
    return TriggerCallRead(
        moved=came_of_it.moved,
        item=ItemRead.model_validate(came_of_it.item),
        stage_entry_id=came_of_it.entry.id,
        considered=await told(session, came_of_it.considered),
    )
