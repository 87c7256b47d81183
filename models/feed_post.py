"""Feed posts: what somebody, or a rule, tells several people, who may comment on it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    Table,
    insert,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from models import clock
from models.access import reached
from models.base import Base, Id, Record, Versioned, containing, find_named, having
from models.department import Department
from models.errors import Invalid, NotAllowed, NotFound, Problem
from models.item import Item
from models.notification import Notification
from models.provenance import MadeByRun
from models.user import Role, User

LONGEST_BEGINNING = 200
"""Characters of a post or comment without a title that a notification repeats."""

feed_post_recipients = Table(
    "feed_post_recipients",
    Base.metadata,
    Column("feed_post_id", Id, ForeignKey("feed_posts.id"), primary_key=True),
    Column("user_id", Id, ForeignKey(User.id), primary_key=True, index=True),
)


class FeedPost(Record, Versioned, Base, kw_only=True):
    """`to_all`: everybody reads it, also those who come later; else the recipients and author."""

    __tablename__ = "feed_posts"
    __table_args__ = (Index(None, "author_id"), Index(None, "item_id"), Record.options)

    title: Mapped[str | None] = mapped_column(default=None)
    text: Mapped[str]
    author_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), init=False)
    author: Mapped[User | None] = relationship(default=None, lazy="raise", foreign_keys=author_id)
    item_id: Mapped[int | None] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item | None] = relationship(default=None, lazy="raise")
    to_all: Mapped[bool] = mapped_column(default=False)
    recipients: Mapped[list[User]] = relationship(
        default_factory=list, lazy="raise", secondary=feed_post_recipients, order_by=User.id
    )
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    @property
    def recipient_ids(self) -> list[int]:
        return sorted(user.id for user in self.recipients)

    def url(self, public_url: str) -> str:
        """Where people find it."""
        return f"{public_url}/v1/feed-posts/{self.id}"


class FeedComment(Record, Base, kw_only=True):
    __tablename__ = "feed_comments"
    __table_args__ = (Index(None, "feed_post_id", "id"), Record.options)

    feed_post_id: Mapped[int] = mapped_column(ForeignKey(FeedPost.id))
    text: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey(User.id))


def _read_by(user: User) -> ColumnElement[bool]:
    """Return the condition that somebody may read a post; administrators read all."""
    if user.role is Role.ADMIN:
        return true()
    received = select(feed_post_recipients.c.feed_post_id).where(
        feed_post_recipients.c.user_id == user.id
    )
    return or_(FeedPost.to_all, FeedPost.author_id == user.id, FeedPost.id.in_(received))


_WHOLE = selectinload(FeedPost.recipients).load_only(User.id)


def feed_of(reader: User, *, q: str | None = None, **values: object) -> Select[FeedPost]:
    """Return the posts that somebody may read with these values, None meaning any.

    `q` is looked for in titles and texts.
    """
    there = select(FeedPost).where(FeedPost.deleted_at.is_(None), _read_by(reader))
    wanted = having(there.options(_WHOLE), **values)
    if q is None:
        return wanted
    return wanted.where(or_(*containing(FeedPost.title, q), *containing(FeedPost.text, q)))


async def find_post(session: AsyncSession, reader: User, post_id: int) -> FeedPost:
    """Return a post; raises `NotFound`, or `NotAllowed` where it is not for that reader."""
    post = await session.get(FeedPost, post_id, options=[_WHOLE])
    if post is None or post.deleted_at is not None:
        raise NotFound(f"There is no feed post {post_id}.")
    if not await session.scalar(
        select(FeedPost.id).where(FeedPost.id == post.id, _read_by(reader))
    ):
        raise NotAllowed(f"Feed post {post.id} is for others.")
    return post


async def lock_own_post(session: AsyncSession, user: User, post_id: int) -> FeedPost:
    """Return a locked post that somebody may delete: its author, or an administrator."""
    await session.execute(select(FeedPost.id).where(FeedPost.id == post_id).with_for_update())
    post = await find_post(session, user, post_id)
    if user.role is not Role.ADMIN and post.author_id != user.id:
        raise NotAllowed("Only the author of a feed post and administrators delete it.")
    return post


def comments_on(post: FeedPost) -> Select[FeedComment]:
    return select(FeedComment).where(FeedComment.feed_post_id == post.id)


async def write_post(  # noqa: PLR0913 - the parts of a post
    session: AsyncSession,
    author: User,
    *,
    public_url: str,
    text: str,
    title: str | None = None,
    item_id: int | None = None,
    recipient_ids: Sequence[int] = (),
    department_ids: Sequence[int] = (),
    to_all: bool = False,
) -> FeedPost:
    """Let a person write to people, to all of departments, or to everybody who works here."""
    item = None
    if item_id is not None:
        item = await reached(session, author, await find_named(session, Item, item_id, "/item_id"))
    recipients = {
        user_id: await find_named(session, User, user_id, f"/recipient_ids/{place}")
        for place, user_id in enumerate(recipient_ids)
    }
    for place, department_id in enumerate(department_ids):
        await find_named(session, Department, department_id, f"/department_ids/{place}")
    members = await session.scalars(
        select(User).where(User.department_id.in_(department_ids), User.active)
    )
    recipients |= {user.id: user for user in members}
    if not recipients and not to_all:
        raise Invalid(Problem("/recipient_ids", "Nobody would read it: say who, or to all."))
    post = FeedPost(
        title=title,
        text=text,
        author=author,
        item=item,
        to_all=to_all,
        recipients=list(recipients.values()),
    )
    await add_post(session, post, public_url)
    return post


async def add_post(session: AsyncSession, post: FeedPost, public_url: str) -> None:
    """Store a new post; everybody who receives it is notified, but for the author."""
    session.add(post)
    await session.flush()
    who = User.id.in_(post.recipient_ids)
    readers = select(User.id).where(User.active, User.active if post.to_all else who)
    said = post.title or _beginning(post.text)
    await _notify(session, readers, post, said, by=post.author_id, public_url=public_url)


async def comment_on_post(
    session: AsyncSession, post: FeedPost, author: User, text: str, *, public_url: str
) -> FeedComment:
    """Let a reader comment on a post; its author and earlier commentators are notified."""
    earlier = comments_on(post).with_only_columns(FeedComment.author_id)
    concerned = select(User.id).where(
        User.active, or_(User.id == post.author_id, User.id.in_(earlier))
    )
    said = _beginning(text)
    await _notify(session, concerned, post, said, by=author.id, public_url=public_url)
    comment = FeedComment(feed_post_id=post.id, text=text, author_id=author.id)
    session.add(comment)
    await session.flush()
    return comment


def delete_post(post: FeedPost) -> None:
    """Delete a locked post, with what was said of it."""
    post.deleted_at = clock.now()


async def _notify(
    session: AsyncSession,
    who: Select[int],
    post: FeedPost,
    text: str,
    *,
    by: int | None,
    public_url: str,
) -> None:
    """Tell everybody but one something, with a link to the post, in one statement."""
    told: dict[str, object] = {
        "text": text,
        "sender_id": by,
        "item_id": post.item_id,
        "link": post.url(public_url),
    }
    others = who if by is None else who.where(User.id != by)
    columns = [literal(value, Notification.__table__.c[name].type) for name, value in told.items()]
    rows = others.order_by(User.id).add_columns(*columns)
    await session.execute(insert(Notification).from_select(["recipient_id", *told], rows))


def _beginning(text: str) -> str:
    return text if len(text) <= LONGEST_BEGINNING else f"{text[: LONGEST_BEGINNING - 1]}…"
