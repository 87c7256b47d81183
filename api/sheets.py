"""Sheets: a whole list as CSV, for whoever sends `Accept: text/csv`.

It is written within the request's one snapshot, and to a file once it is long: whoever reads it
slowly keeps no connection of the database, and a fault on the way is an error, not half a list.
"""

from collections.abc import AsyncIterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from exchange.cells import MEDIA_TYPE, cells, lines
from models.access import MANAGING, must_be
from models.user import User

CSV = "text/csv"

KEPT_IN_MEMORY = 2**20
AT_ONCE = 2**16
"""Bytes."""

ROWS_AT_ONCE = 500


class Sheet:
    """The rows of one answer: a header of the fields, then a line for each."""

    def __init__(self) -> None:
        # Closed by whoever reads it to its end.
        self._file = SpooledTemporaryFile(KEPT_IN_MEMORY)  # noqa: SIM115

    def begin(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._write([columns])

    def add(self, rows: Sequence[BaseModel]) -> None:
        self._write([cells(row.model_dump(), self._columns) for row in rows])

    def answer(self, name: str) -> Response:
        """Return it as a file of that name."""
        length = self._file.tell()
        self._file.seek(0)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Content-Length": str(length),
        }
        return StreamingResponse(self._read(), media_type=MEDIA_TYPE, headers=headers)

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        self._file.write(lines(rows).encode())

    async def _read(self) -> AsyncIterator[bytes]:
        with self._file as file:
            while part := file.read(AT_ONCE):
                yield part


def sheet_for(request: Request, user: User) -> Sheet | None:
    """Return a sheet to be filled where CSV is what the client wants most, and leave it there.

    Only managers and administrators get one.
    """
    first, *_ = request.headers.get("Accept", "").split(",")
    wanted = first.partition(";")[0].strip().lower() == CSV
    if wanted:
        must_be(user, MANAGING, "take whole lists as CSV")
    sheet = Sheet() if wanted else None
    request.state.sheet = sheet
    return sheet


def filled_sheet(request: Request) -> Sheet | None:
    """Return the sheet of a request, if it asked for one."""
    sheet: Sheet | None = getattr(request.state, "sheet", None)
    return sheet


DOCUMENTED: dict[str, Any] = {"content": {CSV: {"schema": {"type": "string"}}}}
"""What the document says of an answer that is a list."""
