"""Add comment: say something on the timeline of the item."""

from pydantic import Field

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    as_text,
    rule_action,
)
from models.fields import FieldKind
from models.item_type import ItemType
from models.templates import Template
from models.timeline import TimelineComment
from models.user_choice import UserChoice


class AddComment(ActionParams):
    text: Template = Field(title="Text", min_length=1)
    author: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Author",
        description="The item's responsible person, if not chosen.",
    )


@rule_action(
    title="Add comment",
    group=ActionGroup.COMMUNICATION,
    items=ItemType,
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("text", "Text", FieldKind.TEXT),
    ],
)
async def add_comment(params: AddComment, context: ActionContext) -> str:
    """Put a comment on the timeline of the item, signed by its responsible person."""
    author = await context.in_charge(params.author)
    comment = TimelineComment(
        text=as_text(context.render(params.text)),
        item_id=context.item.id,
        author_id=None if author is None else author.id,
    )
    context.session.add(comment)
    await context.session.flush()
    context.leave(id=comment.id, text=comment.text)
    return "Added a comment."
