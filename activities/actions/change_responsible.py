"""Change the responsible person: hand the item to one of several people."""

from collections.abc import Sequence
from enum import StrEnum
from secrets import choice as any_of

from pydantic import Field

from activities.registry import ActionContext, ActionGroup, ActionParams, Result, rule_action
from models.fields import FieldKind
from models.item_edit import edit_item, find_whole
from models.item_type import ItemType
from models.rule_counter import next_in_turn
from models.user import User, members_of, supervisor_of
from models.user_choice import UserBy, UserChoice


class Pick(StrEnum):
    """How one of several people is picked; in turn is remembered by rule, across items."""

    RANDOM = "random"
    FIRST = "first available"
    IN_TURN = "in turn"


class ChangeResponsible(ActionParams):
    candidates: tuple[UserChoice, ...] = Field(
        title="Candidates",
        min_length=1,
        description="Of a department all who work there, the head first.",
    )
    pick: Pick = Field(
        default=Pick.RANDOM,
        title="Pick",
        description="At random it is somebody else than now, if there is anybody else.",
    )
    skip_absent: bool = Field(
        default=True, title="Skip the absent", description="Whoever is away at that time."
    )
    changed_by: UserChoice | None = Field(
        default=None, title="Changed by", description="Automation, if not chosen."
    )


@rule_action(
    title="Change the responsible person",
    group=ActionGroup.MANAGE_ITEMS,
    items=ItemType,
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("responsible", "Responsible person", FieldKind.TEXT),
    ],
)
async def change_responsible(params: ChangeResponsible, context: ActionContext) -> str:
    """Make one of the candidates responsible; if none of them is available, nobody new is."""
    people = await _everybody(params.candidates, context)
    available = [each for each in people if _is_available(each, params)]
    if not available:
        return "Nobody is available; the responsible person stays."
    chosen = await _picked(params.pick, people, available, context)
    item = await find_whole(context.session, context.item.id, type(context.item))
    cause = await context.cause_as(params.changed_by)
    changed = await edit_item(context.session, item, {"responsible_id": chosen.id}, cause)
    context.leave(id=chosen.id, responsible=chosen.name)
    return f"{chosen.name} is responsible {'now' if changed else 'already'}."


def _is_available(user: User, params: ChangeResponsible) -> bool:
    return user.is_available() if params.skip_absent else user.active


async def _picked(
    pick: Pick, people: Sequence[User], available: Sequence[User], context: ActionContext
) -> User:
    match pick:
        case Pick.FIRST:
            return available[0]
        case Pick.IN_TURN:
            return await next_in_turn(context.session, context.run.rule_id, people, available)
        case Pick.RANDOM:
            present = context.item.responsible_id
            return any_of([each for each in available if each.id != present] or available)


async def _everybody(choices: Sequence[UserChoice], context: ActionContext) -> list[User]:
    """Return all who are meant, each once, in order, also who has left: their place counts."""
    found: dict[int, User] = {}
    for each in choices:
        found |= {user.id: user for user in await _meant(each, context) if user is not None}
    return list(found.values())


async def _meant(choice: UserChoice, context: ActionContext) -> Sequence[User | None]:
    item = context.item
    match choice.by:
        case UserBy.USER:
            return [await context.session.get(User, choice.id)]
        case UserBy.DEPARTMENT:
            return await members_of(context.session, choice.id)
        case UserBy.RESPONSIBLE:
            return [item.responsible]
        case UserBy.CREATOR:
            return [item.creator]
        case UserBy.SUPERVISOR:
            return [item.responsible and await supervisor_of(context.session, item.responsible)]
