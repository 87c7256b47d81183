"""Wait: some time, or until the client gets in touch; the rule after it knows which it was."""

from collections.abc import Sequence

from pydantic import Field

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    RulePlace,
    rule_action,
)
from models import clock
from models.errors import ActionFailed, Problem
from models.fields import FieldKind
from models.item_date import ItemDate, When
from models.item_type import ItemType
from models.templates import Template
from models.wait import WaitEnd, end_waits


class Wait(ActionParams):
    until: When = Field(
        title="How long",
        description="At most so long, or until before, at or after a date of the item.",
    )
    comment: Template | None = Field(default=None, title="Comment")

    async def problems(self, place: RulePlace) -> Sequence[Problem]:  # noqa: ARG002 - as all do
        if isinstance(self.until, ItemDate) or self.until.amount:
            return []
        return [Problem("/until/amount", "There is nothing to wait for.")]


@rule_action(
    title="Wait",
    group=ActionGroup.MANAGE_ITEMS,
    items=[ItemType.LEAD, ItemType.DEAL],
    results=[
        Result(
            "ended_by", "Ended by", FieldKind.TEXT, choices=tuple(WaitEnd), short="wait.ended_by"
        ),
        Result("until", "Until when at most", FieldKind.DATETIME, short="wait.until"),
    ],
)
async def wait(params: Wait, context: ActionContext) -> str:
    """Wait for the client, at most so long; then the rule after this one starts counting.

    Whatever the client does ends it, and so does a person who ends it or goes on by planning
    something. What rules plan does not. There is one wait of an item at a time. Rules below can
    tell by `wait.ended_by` what it was: time, client, person or another wait.
    """
    until = context.moment(params.until)
    told = params.until.span
    if isinstance(params.until, ItemDate):
        told = params.until.in_words().removeprefix("at ")
    if until is None:
        raise ActionFailed(f"It cannot wait until {told}: that is empty.")
    if until <= clock.now():
        raise ActionFailed(f"It cannot wait until {told}: that is past.")
    await end_waits(context.session, context.item, WaitEnd.ANOTHER_WAIT)
    context.stay_open(until)
    context.leave(until=until)
    comment = context.render(params.comment).strip() if params.comment else ""
    return f"Waiting for the client until {context.in_words(until)}. {comment}".rstrip()
