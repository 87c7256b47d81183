"""Fill a template, and make a PDF of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from documents.child_process import ChildFailed, ask, ask_office
from documents.pdf import pages_of
from documents.pipe import plain
from documents.shape import LARGEST_RESULT, LARGEST_TEMPLATE, MEGABYTE, MOST_PAGES, PATIENCE
from models.errors import CrmError


class DocumentFailed(CrmError):
    """A template cannot be filled, or not within the limits; the message says why."""


@dataclass(frozen=True)
class Made:
    """A filled document. `pages` are those of the PDF; None if none was asked for."""

    docx: bytes
    pdf: bytes | None
    pages: int | None


async def fill(  # noqa: PLR0913 - what is filled, for whom, and how it is printed
    content: bytes,
    values: Mapping[str, object],
    *,
    locale: str,
    zone: str,
    pdf: bool,
    office: Path | None = None,
    patience: float = PATIENCE,
) -> Made:
    """Fill a DOCX template for a reader of that locale and time zone.

    Values are keyed by full path as `models.field_values.field_values` returns them
    (`deal.title`; `deal.products` is a list of mappings), with `document.number` and
    `document.date` besides; None and custom fields that are not there read as nothing. `office`
    is LibreOffice's `soffice`, which then makes the PDF; without it we do. It may take `patience`
    seconds once it has begun. Raises DocumentFailed.
    """
    if len(content) > LARGEST_TEMPLATE:
        raise DocumentFailed(f"The template is larger than {LARGEST_TEMPLATE // MEGABYTE} MB.")
    request = {
        "task": "fill",
        "values": {path: plain(value) for path, value in values.items()},
        "locale": locale,
        "zone": zone,
        "pdf": pdf and office is None,
    }
    try:
        answer, [docx, *printed] = await ask(request, content, patience=patience)
        if pdf and office is not None:
            printed = [await ask_office(office, docx)]
    except ChildFailed as failed:
        raise DocumentFailed(f"Making the document {failed}.") from failed
    if reason := answer.get("broken"):
        raise DocumentFailed(f"The document cannot be made: {reason}.")
    made = printed[0] if printed else None
    pages = None if made is None else pages_of(made)
    if pages is not None and pages > MOST_PAGES:
        raise DocumentFailed(f"The document gets longer than {MOST_PAGES} pages.")
    if max(len(docx), len(made or b"")) > LARGEST_RESULT:
        raise DocumentFailed(f"The document gets larger than {LARGEST_RESULT // MEGABYTE} MB.")
    return Made(docx, made, pages)
