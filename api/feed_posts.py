"""Feed posts: what people and rules tell several people at once, and what these say to it."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import Field

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.paging import PageQuery, Paging, page_of, sorted_by
from api.previews import PublicUrl
from api.routing import resource
from api.schemas import (
    Filter,
    Id,
    Ids,
    LongText,
    Moment,
    Name,
    Page,
    Read,
    SearchText,
    Version,
    Write,
    YesOrNo,
)
from models.feed_post import (
    FeedPost,
    comment_on_post,
    comments_on,
    delete_post,
    feed_of,
    find_post,
    lock_own_post,
    write_post,
)

router = resource("feed", "/feed-posts")


class FeedPostRead(Read):
    """Without an author it was automation; `made_by_run_id` says in which run."""

    id: int
    title: str | None
    text: str
    author_id: int | None
    item_id: int | None
    to_all: bool = Field(description="Whether everybody who works here reads it.")
    recipient_ids: list[int] = Field(description="Users who were told.")
    made_by_run_id: int | None
    created_at: datetime
    version: Version


class FeedPostCreate(Write):
    """Somebody must be told: people, all of some departments, or everybody."""

    title: Name | None = None
    text: Annotated[LongText, Field(min_length=1)]
    item_id: Id | None = None
    recipient_ids: Ids = Field(default=[], description="Users to be told.")
    department_ids: Ids = Field(
        default=[], description="Departments where everybody is to be told."
    )
    to_all: YesOrNo = Field(
        default=False, description="Whether everybody who works here is to be told."
    )


class FeedFilter(Filter):
    """Which posts to list."""

    author_id: Id | None = None
    item_id: Id | None = None
    made_by_run_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the title or text.")
    created_from: Moment | None = None
    created_to: Moment | None = None


class FeedCommentWrite(Write):
    text: Annotated[LongText, Field(min_length=1)]


class FeedCommentRead(Read):
    id: int
    feed_post_id: int = Field(description="What it was said to.")
    text: str
    author_id: int
    created_at: datetime


NewestFirst = Annotated[PageQuery, sorted_by("id", usually="-id")]


async def _found(session: Session, user: CurrentUser, feed_post_id: Id) -> FeedPost:
    return await find_post(session, user, feed_post_id)


async def _own(session: Session, user: CurrentUser, feed_post_id: Id, match: IfMatch) -> FeedPost:
    return match.of(await lock_own_post(session, user, feed_post_id))


FoundPost = Annotated[FeedPost, Depends(_found)]
OwnPost = Annotated[FeedPost, Depends(_own)]


@router.get("")
async def list_feed_posts(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[FeedFilter, Query()],
    paging: NewestFirst,
) -> Page[FeedPostRead]:
    """Return what you have written or were told, newest first; administrators read all."""
    return await page_of(session, feed_of(user, **where.asked()), paging, FeedPostRead)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_feed_post(
    session: Session, user: CurrentUser, url: PublicUrl, new: FeedPostCreate
) -> FeedPostRead:
    """Tell several people something; whoever asks is the author.

    Each of them gets a notification that leads to it.
    """
    post = await write_post(session, user, public_url=url, **new.changes())
    return FeedPostRead.model_validate(post)


@router.get("/{feed_post_id}")
async def read_feed_post(post: FoundPost) -> FeedPostRead:
    """Return a post that you have written or were told."""
    return FeedPostRead.model_validate(post)


@router.delete("/{feed_post_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_feed_post(post: OwnPost) -> None:
    """Delete a post with its comments.

    Its author does so, or an administrator. It cannot be restored.
    """
    delete_post(post)


@router.get("/{feed_post_id}/comments")
async def list_feed_comments(
    session: ReadSession, post: FoundPost, paging: Paging
) -> Page[FeedCommentRead]:
    """Return what was said to a post, oldest first."""
    return await page_of(session, comments_on(post), paging, FeedCommentRead)


@router.post("/{feed_post_id}/comments", status_code=status.HTTP_201_CREATED)
async def add_feed_comment(
    session: Session, user: CurrentUser, url: PublicUrl, post: FoundPost, said: FeedCommentWrite
) -> FeedCommentRead:
    """Say something to a post that you may read.

    Its author and whoever has said something before get a notification.
    """
    comment = await comment_on_post(session, post, user, said.text, public_url=url)
    return FeedCommentRead.model_validate(comment)
