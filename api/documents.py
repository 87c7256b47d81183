"""Documents: what rules have made from templates, to be downloaded, or opened by strangers."""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, ClassVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.dependencies import CurrentUser, IfMatch, ReadSession, Session
from api.files import DocxAnswer, FileAnswer, PdfAnswer, documented
from api.limits import Limits
from api.paging import PageQuery, page_of, sorted_by
from api.previews import PublicUrl
from api.routing import resource
from api.schemas import Filter, Id, Moment, Page, Read, SearchText, Version
from models.database import Database
from models.document import (
    PATH,
    Document,
    DocumentFile,
    DocumentState,
    document_behind,
    documents_where,
    file_of,
    find_document,
    keep_view,
    lock_document,
    open_link,
    reached_document,
    remove_document,
    revoke_link,
)

router = resource("documents", "/documents")
public = APIRouter(prefix=PATH, tags=["documents"])
"""Without a token: the signature in the path opens it."""


class DocumentRead(Read):
    """It has a number once it is made. `made_by_run_id` names the rule run that wanted it."""

    live: ClassVar[bool] = True

    id: int
    title: str
    state: DocumentState = Field(description="How far it is.")
    failure: str | None = Field(description="Why it could not be made; null otherwise.")
    number: int | None = Field(description="Counted from 1 within the template, without gaps.")
    number_text: str | None = Field(
        description="The number as it is printed.", examples=["C-2027-0007"]
    )
    item_id: int
    template_id: int = Field(description="The template it is made from.")
    template_version_id: int = Field(description="The file of that template it is made from.")
    values: dict[str, str] = Field(
        description="What it says instead of fields, by their paths.",
        examples=[{"deal.amount": "on request"}],
    )
    on_timeline: bool = Field(description="Whether it is attached to the item's timeline.")
    docx_size: int | None = Field(description="Bytes of the DOCX; null until it is made.")
    pdf_size: int | None = Field(description="Bytes of the PDF; null if there is none.")
    pages: int | None = Field(description="Pages of the PDF; null if there is none.")
    link_open: bool = Field(description="Whether its public link opens it.")
    views: int = Field(
        description="How often it was opened through its public link. Whoever has the link counts: "
        "your own people too, and programs that look at links in mails."
    )
    viewed_at: datetime | None = Field(description="When it was first opened so.")
    made_by_run_id: int | None
    made_at: datetime | None = Field(description="When it was made; null until then.")
    created_at: datetime
    version: Version


class DocumentLinkRead(Read):
    url: str = Field(
        description="Whoever has it opens the document, without a token, until it is revoked.",
        examples=["https://crm.example/v1/d/5/8xJ2oN0r4Vd6yQm1tHc7bW"],
    )


class DocumentFilter(Filter):
    """Which documents to list."""

    item_id: Id | None = None
    template_id: Id | None = Field(default=None, description="Made from this template.")
    state: DocumentState | None = Field(default=None, description="How far it is.")
    made_by_run_id: Id | None = None
    q: SearchText | None = Field(default=None, description="Somewhere in the title.")
    created_from: Moment | None = None
    created_to: Moment | None = None


NewestFirst = Annotated[PageQuery, sorted_by("id", "created_at", "made_at", usually="-id")]


async def _present(session: Session, user: CurrentUser, document_id: Id) -> Document:
    return await reached_document(session, user, await find_document(session, document_id))


async def _to_share(session: Session, user: CurrentUser, document_id: Id) -> Document:
    return await reached_document(session, user, await lock_document(session, document_id))


async def _locked(session: Session, user: CurrentUser, document_id: Id, match: IfMatch) -> Document:
    return match.of(await _to_share(session, user, document_id))


PresentDocument = Annotated[Document, Depends(_present)]
DocumentToShare = Annotated[Document, Depends(_to_share)]
LockedDocument = Annotated[Document, Depends(_locked)]


async def _docx(session: ReadSession, document: PresentDocument) -> DocumentFile:
    return await file_of(session, document, pdf=False)


async def _pdf(session: ReadSession, document: PresentDocument) -> DocumentFile:
    return await file_of(session, document, pdf=True)


@router.get("")
async def list_documents(
    session: ReadSession,
    user: CurrentUser,
    where: Annotated[DocumentFilter, Query()],
    paging: NewestFirst,
) -> Page[DocumentRead]:
    """Return the documents of items within your reach, newest first, if not said otherwise."""
    return await page_of(session, documents_where(user, **where.asked()), paging, DocumentRead)


@router.get("/{document_id}")
async def read_document(document: PresentDocument) -> DocumentRead:
    """Return a document: how far it is, its number, how often it was opened."""
    return DocumentRead.model_validate(document)


@router.get("/{document_id}/docx", response_class=DocxAnswer)
async def read_document_docx(file: Annotated[DocumentFile, Depends(_docx)]) -> Response:
    """Return the DOCX of a document, to be edited."""
    return DocxAnswer.download(file)


@router.get("/{document_id}/pdf", response_class=PdfAnswer)
async def read_document_pdf(file: Annotated[DocumentFile, Depends(_pdf)]) -> Response:
    """Return the PDF of a document, if the rule wanted one."""
    return PdfAnswer.download(file)


@router.delete("/{document_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_document(session: Session, user: CurrentUser, document: LockedDocument) -> None:
    """Delete a document; its public link opens nothing then, its number is not given again."""
    remove_document(session, document, user)


@router.post("/{document_id}/link")
async def create_document_link(
    session: Session, url: PublicUrl, document: DocumentToShare
) -> DocumentLinkRead:
    """Return the public link of a document; one that was revoked is made anew, as another.

    Whoever has it opens the PDF, or the DOCX if there is none, without a token. Every time counts
    as a view; the first is told in the history of the item. A link cannot tell who follows it:
    your own people count as the client does.
    """
    return DocumentLinkRead(url=await open_link(session, document, url))


@router.delete(
    "/{document_id}/link", name="revoke_document_link", status_code=status.HTTP_204_NO_CONTENT
)
async def delete_document_link(
    session: Session, user: CurrentUser, document: LockedDocument
) -> None:
    """Revoke the public link of a document: from now on it opens nothing."""
    revoke_link(session, document, user)


async def _writing(request: Request) -> AsyncIterator[AsyncSession]:
    """Open a transaction, though it is a GET: that somebody looks is noted."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        yield session


Writing = Annotated[AsyncSession, Depends(_writing, scope="function")]
Signed = Annotated[str, Path(max_length=100, description="The secret part of the link.")]


async def shared_with(
    request: Request, session: Writing, document_id: Id, signature: Signed
) -> Document:
    """Return the document that a link opens; strangers are counted, whatever they try."""
    limits: Limits = request.app.state.limits
    await limits.count_stranger(request)
    return await document_behind(session, document_id, signature)


Shared = Annotated[Document, Depends(shared_with)]


async def _seen(session: Writing, document: Shared) -> DocumentFile:
    await keep_view(session, document)
    return await file_of(session, document, pdf=None)


async def _unseen(session: Writing, document: Shared) -> DocumentFile:
    return await file_of(session, document, pdf=None)


@public.get(
    "/{document_id}/{signature}",
    response_class=PdfAnswer,
    responses=documented(PdfAnswer, DocxAnswer),
)
async def read_shared_document(file: Annotated[DocumentFile, Depends(_seen)]) -> Response:
    """Return the PDF of a document, or its DOCX if it has none; the link is the key.

    That counts as a view. A link that was revoked leads nowhere, nor does that of a document or
    item that was deleted.
    """
    return FileAnswer.to_stranger(file)


@public.head("/{document_id}/{signature}", status_code=HTTPStatus.OK, include_in_schema=False)
async def probe_shared_document(file: Annotated[DocumentFile, Depends(_unseen)]) -> Response:
    """Tell what the link leads to; nobody has seen it then."""
    return FileAnswer.to_stranger(file)
