"""Files: how they are taken from clients, and given to them."""

from typing import Any, Self
from urllib.parse import quote

from fastapi import Request, Response

from models.document import DOCX_TYPE, PDF_TYPE, DocumentFile
from models.errors import Invalid, Problem

FORMS = ("multipart/form-data", "application/json")
"""What a body is that holds a file within something else."""


class FileAnswer(Response):
    """A file under its name, which browsers take for what it is said to be and for nothing else."""

    @classmethod
    def download(cls, file: DocumentFile) -> Self:
        """Return a file that is to be saved."""
        return cls._of(file, "attachment", {"Cache-Control": "private, no-cache"})

    @classmethod
    def to_stranger(cls, file: DocumentFile) -> Self:
        """Return a file that may be shown; nobody on the way is to keep it or lead others to it."""
        shown = "inline" if file.media_type == PDF_TYPE else "attachment"
        headers = {
            "Cache-Control": "private, no-store",
            "Referrer-Policy": "no-referrer",
            "X-Robots-Tag": "noindex, nofollow",
        }
        return cls._of(file, shown, headers)

    @classmethod
    def _of(cls, file: DocumentFile, shown: str, headers: dict[str, str]) -> Self:
        named = {
            "Content-Disposition": disposition(shown, file.name),
            "X-Content-Type-Options": "nosniff",
        }
        return cls(file.content, media_type=file.media_type, headers={**named, **headers})


class DocxAnswer(FileAnswer):
    media_type = DOCX_TYPE


class PdfAnswer(FileAnswer):
    media_type = PDF_TYPE


def disposition(shown: str, name: str) -> str:
    """Return the header that names a file, after RFC 6266, also for clients that know ASCII only.

    The name has neither quotes nor what ends a line.
    """
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "'")
    said = f'{shown}; filename="{plain}"'
    return said if plain == name else f"{said}; filename*=UTF-8''{quote(name, safe='')}"


async def sent_file(request: Request, pointer: str, example: str = "offer.docx") -> bytes:
    """Return the body, which is a file itself; raises `Invalid` where it is none."""
    content = await request.body()
    kind, _, _ = request.headers.get("Content-Type", "").partition(";")
    if not content:
        raise Invalid(Problem(pointer, f"Send the file as the body: curl --data-binary @{example}"))
    if kind.strip().lower() in FORMS:
        reason = f"Send the file itself as the body, not within {kind}."
        raise Invalid(Problem(pointer, reason))
    return content


def documented(*kinds: type[FileAnswer]) -> dict[int | str, dict[str, Any]]:
    """Return what the document says of an answer that is a file of one of these kinds."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"content": {kind.media_type: schema for kind in kinds}}}


def body_of(media_type: str, description: str, *, binary: bool = True) -> dict[str, Any]:
    """Return what the document says of a request whose body is a file itself: `openapi_extra`."""
    schema = {"type": "string"} | ({"format": "binary"} if binary else {})
    body = {
        "required": True,
        "description": description,
        "content": {media_type: {"schema": schema}},
    }
    return {"requestBody": body}
