"""Documents: what was made of a template for an item, with its number and its public link."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    case,
    exists,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from models import clock
from models.access import MANAGING, reached_row, within_reach
from models.base import Base, Record, Versioned, containing, having
from models.delivery import OPEN, Delivery
from models.document_template import DocumentTemplate, DocumentTemplateVersion, file_name
from models.errors import NotFound
from models.history import HistoryKind, about_item
from models.installation import installation
from models.item import Item, lock_item
from models.occasion import DocumentOccasion, occurred
from models.provenance import MadeByRun
from models.signing import is_signed, signature
from models.stage_entry import Cause
from models.user import User

PATH = "/v1/d"
SIGNED = "document"
"""What tells the signatures of these links from those of others."""

UNKNOWN = "There is no such document."

DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PDF_TYPE = "application/pdf"

MOST_VIEWS = 1000
"""Views of one document whose time is kept; all are counted."""


class DocumentState(StrEnum):
    """`failed` says why in `failure`; a person may try the run again, which makes another."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


class DocumentContent(BaseModel):
    """What a delivery is to make."""

    document_id: int
    as_pdf: bool


class DocumentNews(StrEnum):
    """What can happen to a document that triggers wait for."""

    MADE = "created"
    VIEWED = "viewed"


@dataclass(frozen=True)
class DocumentFile:
    name: str
    media_type: str
    content: bytes


class Document(Record, Versioned, Base, kw_only=True):
    """It is being made until `made_at`, by a delivery; then it has a number, no other before.

    `values` are texts that stand there instead of fields, by path. The public link opens it while
    `link_open`; `links` counts how many there have been, so that one that was revoked never opens
    it again. `views` counts who opened it so, whoever that was, `viewed_at` is the first time.
    """

    __tablename__ = "documents"
    __table_args__ = (
        Index(None, "template_id", "number", unique=True),
        Index(None, "item_id", "id"),
        Index(None, "delivery_id"),
        Index(None, "made_by_run_id"),
        Record.options,
    )

    title: Mapped[str]
    template_id: Mapped[int] = mapped_column(ForeignKey(DocumentTemplate.id), init=False)
    template: Mapped[DocumentTemplate] = relationship(lazy="raise")
    template_version_id: Mapped[int] = mapped_column(
        ForeignKey(DocumentTemplateVersion.id), init=False
    )
    template_version: Mapped[DocumentTemplateVersion] = relationship(lazy="raise")
    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), init=False)
    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    values: Mapped[dict[str, Any]]
    on_timeline: Mapped[bool] = mapped_column(default=False)
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey(Delivery.id), init=False)
    delivery: Mapped[Delivery | None] = relationship(default=None, init=False, lazy="raise")
    number: Mapped[int | None] = mapped_column(default=None, init=False)
    number_text: Mapped[str | None] = mapped_column(default=None, init=False)
    made_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    docx: Mapped[bytes | None] = mapped_column(
        default=None, init=False, deferred=True, deferred_raiseload=True
    )
    docx_size: Mapped[int | None] = mapped_column(default=None, init=False)
    pdf: Mapped[bytes | None] = mapped_column(
        default=None, init=False, deferred=True, deferred_raiseload=True
    )
    pdf_size: Mapped[int | None] = mapped_column(default=None, init=False)
    pages: Mapped[int | None] = mapped_column(default=None, init=False)
    links: Mapped[int] = mapped_column(default=1, init=False)
    link_open: Mapped[bool] = mapped_column(default=True, init=False)
    views: Mapped[int] = mapped_column(default=0, init=False)
    viewed_at: Mapped[datetime | None] = mapped_column(default=None, init=False)
    made_by_run_id: Mapped[MadeByRun] = mapped_column(init=False)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    @hybrid_property
    def state(self) -> DocumentState:
        if self.made_at is not None:
            return DocumentState.READY
        under_way = self.delivery is None or self.delivery.is_open
        return DocumentState.MAKING if under_way else DocumentState.FAILED

    @state.inplace.expression
    @classmethod
    def _state(cls) -> ColumnElement[DocumentState]:
        under_way = exists().where(Delivery.id == cls.delivery_id, Delivery.state.in_(OPEN))
        return case(
            (cls.made_at.is_not(None), DocumentState.READY),
            (under_way, DocumentState.MAKING),
            else_=DocumentState.FAILED,
        )

    @property
    def failure(self) -> str | None:
        """Why it could not be made."""
        failed = self.state is DocumentState.FAILED and self.delivery is not None
        return self.delivery.outcome if failed and self.delivery is not None else None

    @property
    def called(self) -> str:
        """How people call it: "document 5 «Offer»"."""
        return f"document {self.id} «{self.title}»"

    @property
    def full_title(self) -> str:
        """The title with the number, once it has one."""
        return f"{self.title} {self.number_text}" if self.number_text else self.title


class DocumentView(Record, Base, kw_only=True):
    """Somebody has opened a document through its public link, at `created_at`."""

    __tablename__ = "document_views"
    __table_args__ = (Index(None, "document_id", "id"), Record.options)

    document_id: Mapped[int] = mapped_column(ForeignKey(Document.id))


def _within_reach(user: User) -> ColumnElement[bool]:
    return true() if user.role in MANAGING else Document.item.has(within_reach(user))


def documents_where(by: User, *, q: str | None = None, **values: object) -> Select[Document]:
    """Return the documents within somebody's reach that have these values, None meaning any.

    `q` is looked for in titles.
    """
    there = select(Document).where(Document.deleted_at.is_(None), _within_reach(by))
    whole = there.options(joinedload(Document.delivery))
    return having(whole, **values).where(*containing(Document.title, q))


async def find_document(session: AsyncSession, document_id: int, *, lock: bool = False) -> Document:
    """Return a document with its item and how it is made, or raise `NotFound`.

    Whoever locks it has locked its item.
    """
    wanted = (
        select(Document)
        .where(Document.id == document_id, Document.deleted_at.is_(None))
        .options(joinedload(Document.delivery), joinedload(Document.item, innerjoin=True))
        .execution_options(populate_existing=lock)
    )
    document = await session.scalar(
        wanted.with_for_update(of=Document, key_share=True) if lock else wanted
    )
    if document is None:
        raise NotFound(f"There is no document {document_id}.")
    return document


async def lock_document(session: AsyncSession, document_id: int) -> Document:
    """Return a document, locked with its item, or raise `NotFound`."""
    await lock_item(session, (await find_document(session, document_id)).item_id)
    return await find_document(session, document_id, lock=True)


async def reached_document(session: AsyncSession, user: User, document: Document) -> Document:
    """Return a document that is within somebody's reach, or raise `NotAllowed`."""
    return await reached_row(session, user, document, _within_reach(user), document.called)


async def document_to_make(session: AsyncSession, document_id: int) -> Document | None:
    """Return a document with its template and the file that it is made of, None if deleted."""
    found: Document | None = await session.scalar(
        select(Document)
        .where(Document.id == document_id, Document.deleted_at.is_(None))
        .options(
            joinedload(Document.template),
            joinedload(Document.template_version).undefer(DocumentTemplateVersion.content),
        )
        .execution_options(populate_existing=True)
    )
    return found


async def finish_document(  # noqa: PLR0913 - all that is known of it then
    session: AsyncSession,
    document: Document,
    *,
    number: int,
    number_text: str,
    docx: bytes,
    pdf: bytes | None,
    pages: int | None,
    cause: Cause,
) -> None:
    """Store a document of a locked item that has been made, under a number that it has taken."""
    document.number, document.number_text = number, number_text
    document.docx, document.docx_size = docx, len(docx)
    document.pdf, document.pdf_size = pdf, None if pdf is None else len(pdf)
    document.pages = pages
    document.made_at = clock.now()
    await session.flush()
    await _tell(session, document, DocumentNews.MADE, cause)


async def file_of(session: AsyncSession, document: Document, *, pdf: bool | None) -> DocumentFile:
    """Return the PDF or the DOCX of a document, None meaning the PDF if it has one.

    Raises `NotFound` where there is none, with the reason.
    """
    wants_pdf = document.pdf_size is not None if pdf is None else pdf
    column = Document.pdf if wants_pdf else Document.docx
    content = await session.scalar(select(column).where(Document.id == document.id))
    if content is None:
        why = {
            DocumentState.MAKING: "It is still being made.",
            DocumentState.READY: "It was made without a PDF.",
            DocumentState.FAILED: f"It could not be made: {document.failure}",
        }[document.state]
        raise NotFound(f"There is no such file of {document.called}. {why}")
    ending, media_type = ("pdf", PDF_TYPE) if wants_pdf else ("docx", DOCX_TYPE)
    return DocumentFile(file_name(document.full_title, ending), media_type, content)


def remove_document(session: AsyncSession, document: Document, by: User) -> None:
    """Delete a document of a locked item; its number is not given again."""
    document.deleted_at = clock.now()
    document.link_open = False
    line = about_item(document.item, HistoryKind.DELETED, f"Deleted {document.called}.")
    line.subject_type, line.subject_id = "document", document.id
    line.author_id = by.id
    session.add(line)


def public_link(document: Document, key: str, url: str) -> str:
    """Return where strangers open a document; `key` is the installation's `signing_key`."""
    return f"{url}{PATH}/{document.id}/{signature(key, SIGNED, document.id, document.links)}"


async def open_link(session: AsyncSession, document: Document, url: str) -> str:
    """Return the public link of a locked document; the one that was revoked is another."""
    if not document.link_open:
        document.link_open = True
        document.links += 1
    return public_link(document, (await installation(session)).signing_key, url)


def revoke_link(session: AsyncSession, document: Document, by: User) -> None:
    """Let the public link of a document of a locked item open nothing any more."""
    if document.link_open:
        document.link_open = False
        said = f"The public link of «{document.full_title}» was revoked."
        session.add(_line(document, said, author_id=by.id))


async def document_behind(session: AsyncSession, document_id: int, signed: str) -> Document:
    """Return the document that a public link opens, or raise `NotFound`, whatever the reason."""
    document = await session.scalar(
        select(Document)
        .where(Document.id == document_id, Document.deleted_at.is_(None), Document.link_open)
        .options(joinedload(Document.item, innerjoin=True))
    )
    home = await installation(session)
    if (
        document is None
        or not is_signed(home.signing_key, signed, SIGNED, document.id, document.links)
        or document.item.deleted_at is not None
        or document.made_at is None
    ):
        raise NotFound(UNKNOWN)
    return document


async def keep_view(session: AsyncSession, document: Document) -> None:
    """Note that somebody has opened a document through its link."""
    if document.viewed_at is None:
        # In the order of locks: what follows may move the item.
        await lock_item(session, document.item_id)
    viewed_at = clock.now()
    views = await session.scalar(
        update(Document)
        .where(Document.id == document.id)
        .values(
            views=Document.views + 1,
            viewed_at=case((Document.viewed_at.is_(None), viewed_at), else_=Document.viewed_at),
        )
        .returning(Document.views)
        .execution_options(synchronize_session=False)
    )
    if views is not None and views <= MOST_VIEWS:
        session.add(DocumentView(document_id=document.id))
    if views == 1:
        await _tell(session, document, DocumentNews.VIEWED, Cause.client())


async def _tell(
    session: AsyncSession, document: Document, news: DocumentNews, cause: Cause
) -> None:
    """Write into history that a document was made, or opened for the first time.

    Its item is locked, and triggers hear of it.
    """
    said = {
        DocumentNews.MADE: f"«{document.full_title}» was made",
        DocumentNews.VIEWED: f"«{document.full_title}» was opened through its public link",
    }[news]
    session.add(_line(document, f"{said}.", run_id=document.made_by_run_id))
    await session.flush()
    occasion = DocumentOccasion(
        trigger="document_created" if news is DocumentNews.MADE else "document_viewed",
        item_ids=(document.item_id,),
        cause=cause,
        text=said,
        template_id=document.template_id,
    )
    occurred(session, occasion)


def _line(
    document: Document, said: str, *, author_id: int | None = None, run_id: int | None = None
) -> Any:
    line = about_item(document.item, HistoryKind.DOCUMENT, said)
    line.subject_type, line.subject_id = "document", document.id
    line.author_id, line.run_id = author_id, run_id
    return line


async def documents_named(session: AsyncSession, ids: Sequence[int]) -> Sequence[Document]:
    """Return the documents with these ids in this order, also deleted ones."""
    if not ids:
        return ()
    found = await session.scalars(
        select(Document)
        .where(Document.id.in_(ids))
        .options(joinedload(Document.delivery))
        .execution_options(populate_existing=True)
    )
    return sorted(found, key=lambda each: ids.index(each.id))


async def newest_documents(
    session: AsyncSession, item_id: int, template_ids: Collection[int]
) -> dict[int, Document]:
    """Return the newest document of each template for an item, also one still being made."""
    found = await session.scalars(
        select(Document)
        .where(
            Document.item_id == item_id,
            Document.template_id.in_(template_ids),
            Document.deleted_at.is_(None),
        )
        .options(joinedload(Document.delivery))
        .order_by(Document.id)
    )
    return {document.template_id: document for document in found}
