"""Document templates: DOCX files with fields, each new file kept as a version."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from sqlalchemy import ForeignKey, Index, Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload, undefer

from models import clock
from models.base import Base, EnumText, Record, Versioned, assign, containing, count_change, having
from models.errors import NotFound
from models.inputs import Name
from models.item_type import ItemType
from models.user import User

LONGEST_FORMAT = 60
PLACEHOLDER = re.compile(r"\{(?:(year)|number(?::0([1-9]))?)\}")

PLAIN_NUMBER = "{number}"

LONGEST_FILE_NAME = 120
NO_PART_OF_A_FILE_NAME = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e]+')


def _check_number_format(text: str) -> str:
    rest = PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        raise ValueError("braces are for {number}, {number:04} and {year} only")
    if "{number" not in text:
        raise ValueError("it needs {number}, or {number:04} for four digits")
    if not text.isprintable():
        raise ValueError("it holds a character that cannot be printed")
    return text


NumberFormat = Annotated[
    Name, Field(max_length=LONGEST_FORMAT), AfterValidator(_check_number_format)
]
"""How the number of a document is written, such as `C-{year}-{number:04}`."""


def written_number(number_format: str, number: int, year: int) -> str:
    """Return the number of a document as it is printed: the 7th of 2027 is `C-2027-0007`."""

    def filled(found: re.Match[str]) -> str:
        return f"{year}" if found[1] else f"{number:0{found[2] or 1}}"

    return PLACEHOLDER.sub(filled, number_format)


def file_name(stem: str, ending: str) -> str:
    """Return a name for a file that fits any system, and a header."""
    plain = NO_PART_OF_A_FILE_NAME.sub("-", stem)[:LONGEST_FILE_NAME].strip(" .-")
    return f"{plain or 'document'}.{ending}"


class DocumentTemplate(Record, Versioned, Base, kw_only=True):
    """For items of one type. `last_number` is that of the newest document: there are no gaps.

    Only `take_number` changes it; `version` does not count that.
    """

    __tablename__ = "document_templates"
    __table_args__ = (Index(None, "name", "id"), Record.options)

    name: Mapped[str]
    item_type: Mapped[ItemType] = mapped_column(EnumText(ItemType))
    number_format: Mapped[str] = mapped_column(default=PLAIN_NUMBER)
    last_number: Mapped[int] = mapped_column(default=0, init=False)
    versions: Mapped[list["DocumentTemplateVersion"]] = relationship(
        default_factory=list,
        init=False,
        lazy="raise",
        back_populates="template",
        order_by="DocumentTemplateVersion.number",
    )
    deleted_at: Mapped[datetime | None] = mapped_column(default=None, init=False)

    @property
    def called(self) -> str:
        """How people call it: "document template 7 «Offer»"."""
        return f"document template {self.id} «{self.name}»"


class DocumentTemplateVersion(Record, Base, kw_only=True):
    """One file as it was uploaded; documents made from it keep it. `fields` are paths."""

    __tablename__ = "document_template_versions"
    __table_args__ = (Index(None, "template_id", "number", unique=True), Record.options)

    template_id: Mapped[int] = mapped_column(ForeignKey(DocumentTemplate.id), init=False)
    template: Mapped[DocumentTemplate] = relationship(lazy="raise", back_populates="versions")
    number: Mapped[int]
    content: Mapped[bytes] = mapped_column(deferred=True, deferred_raiseload=True)
    file_name: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str]
    fields: Mapped[list[Any]]
    creator_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), default=None)


@dataclass(frozen=True)
class TemplateFile:
    """A DOCX that was found to be in order, and the paths of the fields that it uses."""

    content: bytes
    name: str
    fields: Sequence[str]


def templates_where(*, q: str | None = None, **values: object) -> Select[DocumentTemplate]:
    """Return the templates with their versions that have these values, None meaning any.

    `q` is looked for in names.
    """
    there = select(DocumentTemplate).where(DocumentTemplate.deleted_at.is_(None))
    whole = there.options(selectinload(DocumentTemplate.versions))
    return having(whole, **values).where(*containing(DocumentTemplate.name, q))


async def find_template(
    session: AsyncSession, template_id: int, *, lock: bool = False
) -> DocumentTemplate:
    """Return a template with its versions, or raise `NotFound`."""
    wanted = templates_where(id=template_id)
    if lock:
        wanted = wanted.with_for_update(of=DocumentTemplate, key_share=True).execution_options(
            populate_existing=True
        )
    template = await session.scalar(wanted)
    if template is None:
        raise NotFound(f"There is no document template {template_id}.")
    return template


async def find_version(
    session: AsyncSession, template_id: int, number: int
) -> DocumentTemplateVersion:
    """Return a version with its file, or raise `NotFound`."""
    template = await find_template(session, template_id)
    version = await session.scalar(
        select(DocumentTemplateVersion)
        .where(
            DocumentTemplateVersion.template_id == template.id,
            DocumentTemplateVersion.number == number,
        )
        .options(undefer(DocumentTemplateVersion.content))
        .execution_options(populate_existing=True)
    )
    if version is None:
        raise NotFound(f"There is no version {number} of {template.called}.")
    return version


async def add_template(
    session: AsyncSession,
    file: TemplateFile,
    creator: User | None,
    *,
    name: str,
    item_type: ItemType,
    number_format: str = PLAIN_NUMBER,
) -> DocumentTemplate:
    """Make a template, whose first version is this file."""
    template = DocumentTemplate(name=name, item_type=item_type, number_format=number_format)
    session.add(template)
    await add_version(session, template, file, creator)
    return template


async def add_version(
    session: AsyncSession, template: DocumentTemplate, file: TemplateFile, creator: User | None
) -> DocumentTemplateVersion:
    """Give a locked template a new file; documents that are being made keep theirs."""
    version = DocumentTemplateVersion(
        template=template,
        number=len(template.versions) + 1,
        content=file.content,
        file_name=file.name,
        size=len(file.content),
        sha256=sha256(file.content).hexdigest(),
        fields=list(file.fields),
        creator_id=None if creator is None else creator.id,
    )
    session.add(version)
    count_change(template, "name")
    await session.flush()
    return version


async def change_template(
    session: AsyncSession, template: DocumentTemplate, changes: Mapping[str, Any]
) -> None:
    """Give a locked template another name or number format; documents keep their numbers."""
    assign(template, changes)
    await session.flush()


def remove_template(template: DocumentTemplate) -> None:
    """Let no more documents be made of a locked template; those there are stay."""
    template.deleted_at = clock.now()


async def take_number(session: AsyncSession, template_id: int, number: int) -> bool:
    """Take a number; False if it is not the one after the last, as somebody else was faster."""
    taken = await session.scalar(
        update(DocumentTemplate)
        .where(DocumentTemplate.id == template_id, DocumentTemplate.last_number == number - 1)
        .values(last_number=number)
        .returning(DocumentTemplate.last_number)
        .execution_options(synchronize_session=False)
    )
    return taken is not None


async def last_number(session: AsyncSession, template_id: int) -> int:
    """Return the number of the newest document of a template as it is now."""
    found = await session.scalar(
        select(DocumentTemplate.last_number).where(DocumentTemplate.id == template_id)
    )
    return found or 0
