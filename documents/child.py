"""The child: reads one request, limits itself, opens the file, answers, and is gone.

`python -m documents.child`, as `documents.child_process` starts it.
"""

import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

from documents.pipe import meant, packed, unpacked
from documents.shape import MEGABYTE, Broken

Reply = tuple[dict[str, Any], Sequence[bytes]]


def main() -> None:
    """Answer the request on standard input; what libraries print goes nowhere."""
    answers = os.dup(1)
    os.dup2(2, 1)
    request, blobs = unpacked(sys.stdin.buffer.read())
    limits = request["limits"]
    limit(limits)
    try:
        answer, made = TASKS[request["task"]](request, *blobs)
        reply = packed(answer, *made)
    except MemoryError:
        megabytes = limits["memory"] // MEGABYTE
        reply = packed({"failed": f"takes more than {megabytes} MB of memory"})
    except RecursionError:
        reply = packed({"failed": "cannot be done: it is nested too deeply"})
    with os.fdopen(answers, "wb") as stream:
        stream.write(reply)


def limit(limits: dict[str, int]) -> None:
    """Take away from this process, for ever, what it will not need."""
    work = limits["work"]
    for kind, soft, hard in (
        (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
        (resource.RLIMIT_CPU, work, work + 1),
        (resource.RLIMIT_FSIZE, limits["file"], limits["file"]),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 256, 256),
    ):
        resource.setrlimit(kind, (soft, hard))


# Each task reads in only what it needs: most of its time is starting up.


def _check(_request: dict[str, Any], content: bytes) -> Reply:
    from documents.archive import inspect  # noqa: PLC0415
    from documents.uses import uses  # noqa: PLC0415

    if reasons := inspect(content):
        return {"uses": [], "reasons": reasons}, []
    found, reasons = uses(content)
    return {"uses": found, "reasons": reasons}, []


def _fill(request: dict[str, Any], content: bytes) -> Reply:
    from documents.archive import inspect  # noqa: PLC0415
    from documents.template import filled  # noqa: PLC0415

    if reasons := inspect(content):
        return {"broken": "; ".join(reasons)}, [b""]
    values = {path: meant(value) for path, value in request["values"].items()}
    try:
        docx = filled(content, values, locale=request["locale"], zone=request["zone"])
        if not request["pdf"]:
            return {}, [docx]
        from documents.typeset import printed  # noqa: PLC0415

        return {}, [docx, printed(docx)]
    except Broken as broken:
        return {"broken": str(broken)}, [b""]


def _office(request: dict[str, Any]) -> Reply:
    """Become LibreOffice, with the limits."""
    home = os.getcwd()  # noqa: PTH109 - as text
    os.execv(  # noqa: S606 - no shell is meant
        request["office"],
        [
            request["office"],
            f"-env:UserInstallation=file://{home}/profile",
            *("--headless", "--norestore", "--nologo", "--nolockcheck"),
            *("--convert-to", "pdf", "--outdir", home, f"{home}/document.docx"),
        ],
    )


TASKS: dict[str, Callable[..., Reply]] = {"check": _check, "fill": _fill, "office": _office}


if __name__ == "__main__":
    main()
