"""Sheets: a whole list as CSV, for whoever sends `Accept: text/csv`.

It is written within the request's one snapshot, and to a file once it is long: whoever reads it
slowly keeps no connection of the database, and a fault on the way is an error, not half a list.
History tells who took which list before the first byte of it leaves.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from exchange.cells import MEDIA_TYPE, cells, harmless, lines
from models.access import MANAGING, must_be
from models.database import Database
from models.history import about_list
from models.user import User

CSV = "text/csv"

KEPT_IN_MEMORY = 2**20
AT_ONCE = 2**16
"""Bytes."""

ROWS_AT_ONCE = 500

Tell = Callable[[int], Awaitable[None]]
"""Lets history tell that so many rows were taken."""


class SheetAnswer(StreamingResponse):
    """Is sent when the request's session is closed, and does first what there is to do `before`."""

    before: Callable[[], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.before()
        await super().__call__(scope, receive, send)


class Sheet:
    """The rows of one answer: a header of the fields, then a line for each.

    `is_of_rows`: they are those of a table, not of a catalogue that everybody may have.
    """

    def __init__(self, tell: Tell) -> None:
        # Closed by whoever reads it to its end.
        self._file = SpooledTemporaryFile(KEPT_IN_MEMORY)  # noqa: SIM115
        self._tell = tell
        self._count = 0
        self.is_of_rows = False

    def begin(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._write([columns])

    def add(self, rows: Sequence[BaseModel]) -> None:
        self._count += len(rows)
        told = (cells(row.model_dump(), self._columns) for row in rows)
        self._write([[harmless(cell) for cell in row] for row in told])

    def answer(self, name: str) -> Response:
        """Return it as a file of that name."""
        length = self._file.tell()
        self._file.seek(0)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Content-Length": str(length),
        }
        answer = SheetAnswer(self._read(), media_type=MEDIA_TYPE, headers=headers)
        answer.before = self._taken
        return answer

    async def _taken(self) -> None:
        if self.is_of_rows:
            await self._tell(self._count)

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
    sheet = Sheet(_telling(request, user.id)) if wanted else None
    request.state.sheet = sheet
    return sheet


def _telling(request: Request, user_id: int) -> Tell:
    database: Database = request.app.state.database
    path, query = request.url.path, request.url.query

    async def tell(count: int) -> None:
        async with database.transaction() as session:
            session.add(about_list(path.rpartition("/")[2], path, query, count, by_id=user_id))

    return tell


def filled_sheet(request: Request) -> Sheet | None:
    """Return the sheet of a request, if it asked for one."""
    sheet: Sheet | None = getattr(request.state, "sheet", None)
    return sheet


DOCUMENTED: dict[str, Any] = {"content": {CSV: {"schema": {"type": "string"}}}}
"""What the document says of an answer that is a list."""
