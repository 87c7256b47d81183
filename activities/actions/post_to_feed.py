"""Message in the feed: tell several people something that they may comment on."""

from typing import Self

from pydantic import Field, model_validator

from activities.registry import (
    ActionContext,
    ActionGroup,
    ActionParams,
    Result,
    as_text,
    as_title,
    rule_action,
)
from models.feed_post import FeedPost, add_post
from models.fields import FieldKind
from models.item_type import ItemType
from models.templates import Template
from models.user_choice import UserChoice


class PostToFeed(ActionParams):
    title: Template | None = Field(default=None, title="Title")
    text: Template = Field(title="Text", min_length=1)
    author: UserChoice = Field(
        default=UserChoice.of_item(),
        title="Author",
        description="The item's responsible person, if not chosen.",
    )
    recipients: tuple[UserChoice, ...] = Field(default=(), title="Recipients")
    to_all: bool = Field(default=False, title="To all", description="Everybody who works here.")

    @model_validator(mode="after")
    def _has_readers(self) -> Self:
        if not self.recipients and not self.to_all:
            raise ValueError("nobody would read it: choose recipients, or to all")
        return self


@rule_action(
    title="Message in the feed",
    group=ActionGroup.COMMUNICATION,
    items=ItemType,
    results=[
        Result("id", "ID", FieldKind.NUMBER),
        Result("title", "Title", FieldKind.TEXT),
        Result("url", "Link", FieldKind.TEXT),
    ],
)
async def post_to_feed(params: PostToFeed, context: ActionContext) -> str:
    """Write a post that people read and comment on; each of them is notified."""
    title = context.render(params.title).strip() if params.title else ""
    post = FeedPost(
        title=as_title(title) if title else None,
        text=as_text(context.render(params.text)),
        author=await context.in_charge(params.author),
        item=context.item,
        to_all=params.to_all,
        recipients=await context.users(params.recipients, or_nobody=params.to_all),
    )
    await add_post(context.session, post, context.url)
    context.leave(id=post.id, title=post.title, url=post.url(context.url))
    names = ["all"] if post.to_all else [user.name for user in post.recipients]
    return f"Posted {post.id} in the feed, to {', '.join(names)}."
