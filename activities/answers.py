"""Answers: what the words and headers of a server mean to which something was posted."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus

import httpcore2
import httpx2

from models.delivery import LONGEST_WORDS
from models.fields import UNSTORABLE

MOST_BYTES = 65_536
"""Of an answer that are read."""

READING = 3.0
"""Seconds that the rest of an answer may take, of which the first line has come."""

BROKEN_OFF = (
    TimeoutError,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpx2.TransportError,
)
"""How the rest of an answer fails to come."""

LONGEST_QUOTE = 200
"""Characters of an answer in the sentence that history tells."""

LONGEST_WAIT = timedelta(days=1)
SECONDS = re.compile(r"[0-9]{1,9}")

OF_THE_MOMENT = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
"""What says that the same may be accepted later, besides all that is the server's own fault."""


def storable(words: str) -> str:
    """Return words without what no database takes."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", words)


async def beginning(parts: AsyncIterator[bytes]) -> str:
    """Return how an answer begins, as it came; one that breaks off has said enough by its status.

    No more is read than that, however much there is.
    """
    read = bytearray()
    with suppress(*BROKEN_OFF):
        async with asyncio.timeout(READING):
            async for part in parts:
                read += part
                if len(read) >= MOST_BYTES:
                    break
    return storable(read[:MOST_BYTES].decode(errors="replace")[:LONGEST_WORDS])


def quoted(words: str) -> str:
    """Return how words begin, in one line."""
    return " ".join(words.split())[:LONGEST_QUOTE]


def wait_asked(headers: Mapping[str, str]) -> timedelta:
    """Return how long a server asks to wait; nothing if it does not say it in seconds."""
    asked = SECONDS.fullmatch(headers.get("retry-after", ""))
    return min(timedelta(seconds=int(asked[0])), LONGEST_WAIT) if asked else timedelta()
