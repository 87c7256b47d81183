"""Document templates: DOCX files with fields, from which rules make offers, contracts, letters."""

from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import Depends, Path, Query, Request, Response, status
from pydantic import Field

from api.dependencies import (
    MANAGERS,
    CurrentUser,
    IfMatch,
    ReadSession,
    Session,
    Token,
    before_the_transaction,
)
from api.files import DocxAnswer, body_of, sent_file
from api.paging import PageQuery, page_of, sorted_by
from api.routing import resource
from api.schemas import Filter, Id, Name, Page, Read, SearchText, Version, Write
from documents.checking import check
from models.access import MANAGING
from models.document import DOCX_TYPE, DocumentFile
from models.document_template import (
    PLAIN_NUMBER,
    DocumentTemplate,
    DocumentTemplateVersion,
    NumberFormat,
    TemplateFile,
    add_template,
    add_version,
    change_template,
    file_name,
    find_template,
    find_version,
    remove_template,
    templates_where,
)
from models.field_definition import catalogue_of
from models.fields import Catalogue
from models.item_type import ItemType

router = resource("document templates", "/document-templates")
uploads = resource("document templates", "/document-templates")
"""They ask who is asking by themselves: before a transaction begins, the file is checked."""

NUMBERS = (
    "How the numbers of its documents are written: `{number}`, `{number:04}` for four digits, and "
    "`{year}`, around it any text. The count goes on over the years, without gaps."
)
TO_UPLOAD = "change document templates"

CONTENT = "/file"
"""How the body is called where something is wrong with it."""

UPLOADED = body_of(DOCX_TYPE, "The DOCX itself, as the body: `curl --data-binary @offer.docx …`.")


class DocumentTemplateVersionRead(Read):
    """A file as it was uploaded."""

    number: int = Field(description="Counted from 1 within the template.")
    file_name: str = Field(description="What it was called, or is called after the template.")
    size: int = Field(description="Bytes.")
    sha256: str = Field(description="The SHA-256 of the file, in hexadecimal digits.")
    fields: list[str] = Field(
        description="The fields that it uses, by path.", examples=[["deal.title", "contact.name"]]
    )
    creator_id: int | None
    created_at: datetime


class DocumentTemplateRead(Read):
    """Documents are made from the last of the versions."""

    live: ClassVar[bool] = True

    id: int
    name: str
    item_type: ItemType
    number_format: str = Field(description=NUMBERS, examples=["C-{year}-{number:04}"])
    last_number: int = Field(description="That of the newest document; 0 before the first.")
    versions: list[DocumentTemplateVersionRead] = Field(description="Its files, the oldest first.")
    created_at: datetime
    version: Version


class FileName(Filter):
    """What is said of a file that is uploaded."""

    file_name: Name | None = Field(
        default=None,
        description="What the file is called; after the template, if left out.",
        examples=["offer.docx"],
    )


class DocumentTemplateSaid(FileName):
    """What is said of a template whose file is uploaded."""

    name: Name = Field(description="What people call it, and its documents.", examples=["Offer"])
    item_type: ItemType = Field(description="For items of which type.", examples=["deal"])
    number_format: NumberFormat = Field(
        default=PLAIN_NUMBER, description=NUMBERS, examples=["C-{year}-{number:04}"]
    )


class DocumentTemplateUpdate(Write):
    """What is left out stays as it is; documents keep the numbers that they have."""

    name: Name = ""
    number_format: NumberFormat = Field(
        default=PLAIN_NUMBER, description=NUMBERS, examples=["C-{year}-{number:04}"]
    )


class DocumentTemplateFilter(Filter):
    """Which templates to list."""

    q: SearchText | None = Field(default=None, description="Somewhere in the name.")
    item_type: ItemType | None = Field(default=None, description="For items of this type.")


Sorted = Annotated[PageQuery, sorted_by("id", "name", "created_at")]


async def _present(session: Session, document_template_id: Id) -> DocumentTemplate:
    return await find_template(session, document_template_id)


async def _to_add_to(session: Session, document_template_id: Id) -> DocumentTemplate:
    return await find_template(session, document_template_id, lock=True)


async def _locked(session: Session, document_template_id: Id, match: IfMatch) -> DocumentTemplate:
    return match.of(await _to_add_to(session, document_template_id))


async def _version(
    session: ReadSession,
    document_template_id: Id,
    number: Annotated[Id, Path(description="Of which of its versions.")],
) -> DocumentTemplateVersion:
    return await find_version(session, document_template_id, number)


PresentTemplate = Annotated[DocumentTemplate, Depends(_present)]
TemplateToAddTo = Annotated[DocumentTemplate, Depends(_to_add_to)]
LockedTemplate = Annotated[DocumentTemplate, Depends(_locked)]
FoundVersion = Annotated[DocumentTemplateVersion, Depends(_version)]


async def _new_file(
    request: Request, token: Token, said: Annotated[DocumentTemplateSaid, Query()]
) -> TemplateFile:
    async with before_the_transaction(request, token, *MANAGING, to=TO_UPLOAD) as session:
        catalogue = await catalogue_of(session, said.item_type)
    return await _checked(request, catalogue, said.file_name or said.name)


async def _next_file(
    request: Request,
    token: Token,
    document_template_id: Id,
    said: Annotated[FileName, Query()],
) -> TemplateFile:
    async with before_the_transaction(request, token, *MANAGING, to=TO_UPLOAD) as session:
        template = await find_template(session, document_template_id)
        catalogue = await catalogue_of(session, template.item_type)
    return await _checked(request, catalogue, said.file_name or template.name)


async def _checked(request: Request, catalogue: Catalogue, name: str) -> TemplateFile:
    """Return the DOCX that was sent; raises `Invalid` with all that is wrong with it."""
    content = await sent_file(request, CONTENT)
    checked = await check(content, catalogue, pointer=CONTENT)
    return TemplateFile(content, file_name(name.removesuffix(".docx"), "docx"), checked.fields)


NEW_FILE, NEXT_FILE = Depends(_new_file), Depends(_next_file)
"""Stand first among the `dependencies` of a route: what opens a transaction comes after them."""


@router.get("")
async def list_document_templates(
    session: ReadSession, where: Annotated[DocumentTemplateFilter, Query()], paging: Sorted
) -> Page[DocumentTemplateRead]:
    """Return the templates of documents, oldest first, if not said otherwise."""
    return await page_of(session, templates_where(**where.asked()), paging, DocumentTemplateRead)


@uploads.post(
    "",
    status_code=status.HTTP_201_CREATED,
    dependencies=[NEW_FILE, MANAGERS],
    openapi_extra=UPLOADED,
)
async def create_document_template(
    session: Session,
    user: CurrentUser,
    said: Annotated[DocumentTemplateSaid, Query()],
    file: Annotated[TemplateFile, NEW_FILE],
) -> DocumentTemplateRead:
    """Upload a template: a DOCX as the body, and what is said of it in the query.

    Its texts hold fields as those of rules do: `{{ deal.title }}`, `{{ deal.amount | money }}`,
    and `{{ document.number }}` and `{{ document.date }}`. A row of a table is repeated for each
    product between rows with `{%tr for row in deal.products %}` and `{%tr endfor %}`. A file that
    could not be filled is refused, and everything that is wrong with it is named.
    """
    template = await add_template(
        session,
        file,
        user,
        name=said.name,
        item_type=said.item_type,
        number_format=said.number_format,
    )
    return DocumentTemplateRead.model_validate(template)


@router.get("/{document_template_id}")
async def read_document_template(template: PresentTemplate) -> DocumentTemplateRead:
    """Return a template with what is known of its files."""
    return DocumentTemplateRead.model_validate(template)


@router.patch("/{document_template_id}", dependencies=[MANAGERS])
async def update_document_template(
    session: Session, template: LockedTemplate, sent: DocumentTemplateUpdate
) -> DocumentTemplateRead:
    """Change the name of a template, or how numbers are written from now on."""
    await change_template(session, template, sent.changes())
    return DocumentTemplateRead.model_validate(template)


@router.delete(
    "/{document_template_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGERS]
)
async def delete_document_template(template: LockedTemplate) -> None:
    """Let no more documents be made from a template; rules that want some fail, and say so.

    The documents that were made from it stay.
    """
    remove_template(template)


@uploads.post(
    "/{document_template_id}/versions",
    status_code=status.HTTP_201_CREATED,
    dependencies=[NEXT_FILE, MANAGERS],
    openapi_extra=UPLOADED,
)
async def add_document_template_version(
    session: Session,
    user: CurrentUser,
    template: TemplateToAddTo,
    file: Annotated[TemplateFile, NEXT_FILE],
) -> DocumentTemplateRead:
    """Upload a new file for a template: a DOCX as the body, checked as the first one was.

    Documents are made from it from now on; those that are being made keep theirs.
    """
    await add_version(session, template, file, user)
    return DocumentTemplateRead.model_validate(template)


@router.get("/{document_template_id}/versions/{number}/docx", response_class=DocxAnswer)
async def read_document_template_file(version: FoundVersion) -> Response:
    """Return a file of a template as it was uploaded."""
    file = DocumentFile(version.file_name, DOCX_TYPE, version.content)
    return DocxAnswer.download(file)
